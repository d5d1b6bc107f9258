"""Tuples: items chosen at run time, methods, repetition."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand
from sapwood.lang.front import hir
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith
from sapwood.lang.ops.operators import binary, logical_not, logical_or, truth, tuple_items
from sapwood.lang.values import Known, Value

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker

CHOICES = 256  # items of a tuple that an index may choose from at run time


def choose_item(w: Walker, items: tuple[Value, ...], index: Var) -> Value:
    """An item that is known at run time only: all of them have to meet in one type."""
    from sapwood.lang.infer.containers.lists import checked_index

    if len(items) > CHOICES:
        detail = f"an index known at run time can choose from {CHOICES} items, not {len(items)}"
        raise BadOperand(w.b.loc, function="tuple", detail=detail, hint="put them into a list or a Tensor")
    i = checked_index(w.b, index, w.b.index(len(items)), "tuple index out of range")

    def choose(low: int, high: int) -> Value:
        if high - low == 1:
            return items[low]
        middle = (low + high) // 2
        test = w.b.emit1(arith.compare, (i, w.b.index(middle)), ty.BOOL, test="lt")
        return w.choose(test, lambda: choose(low, middle), lambda: choose(middle, high))

    return choose(0, len(items))


def _equal(w: Walker, x: Value, item: Value) -> list[Known | Var]:
    return [truth(w.b, w.call(Known(hir.match_value), [i, item], {}, w.b.loc)) for i in tuple_items(x)]


def _count(w: Walker, x: Value, item: Value) -> Value:
    total: Value = Known(0)
    for found in _equal(w, x, item):
        total = binary(w.b, operator.add, total, found)
    return total


def _index(w: Walker, x: Value, item: Value) -> Value:
    tests = _equal(w, x, item)
    some: Value = Known(False)
    for test in tests:
        some = logical_or(w.b, some, test)
    w.b.raise_if(w.b.materialize(logical_not(w.b, some)), ValueError, "tuple.index(x): x not in tuple")
    result: Value = Known(0)
    for i, test in reversed(list(enumerate(tests))):
        if isinstance(test, Known):
            result = Known(i) if test.value else result
        else:
            result = w.b.emit1(arith.select, (test, w.b.index(i), w.b.materialize(result)), ty.I64)
    return result


TUPLE_METHODS: dict[str, Any] = {"count": _count, "index": _index}
