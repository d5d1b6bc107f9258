"""`tuple[T, ...]`: a tuple whose length only run time knows. It is laid out as a list, which nobody changes."""

from __future__ import annotations

import operator
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import NoOperator
from sapwood.lang.infer.border import box, demand
from sapwood.lang.infer.containers.lists import (
    ListRules,
    checked_index,
    collect,
    element,
    element_spec,
    is_empty,
    is_list,
    show_function,
)
from sapwood.lang.infer.heap import HeapRules, require_some
from sapwood.lang.infer.iteration.protocol import Iteration, ListItems, iterates
from sapwood.lang.ir.ssa import Var
from sapwood.lang.join import Clash, join, storable
from sapwood.lang.ops import heap
from sapwood.lang.ops.objects import api, is_of_type
from sapwood.lang.ops.operators import COMPARISONS, SYMBOLS, binary
from sapwood.lang.values import Agg, Known, Value, describe, spec_of

LISTS = ListRules()


def is_row(x: Value) -> bool:
    reference = isinstance(x, Var) and isinstance(x.type, ty.Ref) and not x.type.nullable
    return reference and isinstance(x.type.target, ty.TupleOf)  # type: ignore[union-attr]


def as_list(w: Any, x: Var) -> Var:
    """The same object as a list, for what only reads it."""
    assert isinstance(x.type, ty.Ref) and isinstance(x.type.target, ty.TupleOf)
    return w.b.emit1(heap.reference_as, (x,), ty.Ref(ty.List(x.type.target.elem)))


def as_row(w: Any, xs: Var) -> Value:
    """A new list, which nobody else has, as a tuple."""
    if is_empty(xs):
        return Known(())
    return w.b.emit1(heap.reference_as, (xs,), ty.Ref(ty.TupleOf(element_spec(xs))))


def row_of(w: Any, iterable: Value) -> Value:
    """`tuple(iterable)`"""
    return iterable if is_row(iterable) else as_row(w, collect(w, iterable))


def row_of_items(w: Any, x: Value, elem: Any) -> Value:
    """A tuple of known length as one of such elements."""
    return as_row(w, collect(w, x, elem))


def _listed(w: Any, x: Value, like: Value) -> Value | None:
    """A tuple of either kind as a list of the elements that `like` has; None of what is none."""
    if is_row(x):
        return as_list(w, x)  # type: ignore[arg-type]
    fixed = isinstance(x, Known) and isinstance(x.value, tuple) or isinstance(x, Agg) and isinstance(x.type, ty.Tuple)
    if not fixed:
        return None
    elem = like.type.target.elem  # type: ignore[union-attr]
    try:
        return collect(w, x, elem) if all(join(elem, storable(s)) == elem for s in _items(x)) else None
    except Clash:
        return None


def _items(x: Value) -> list[Any]:
    from sapwood.lang.ops.operators import tuple_items

    return [spec_of(i) for i in tuple_items(x)]


def _index(w: Any, xs: Var, x: Value, start: Value = Known(0), stop: Value = Known(None), /) -> Value:
    from sapwood.lang.infer.containers.list_methods import place_between

    found = place_between(w, xs, x, start, stop)
    assert found is not None
    missing = binary(w.b, operator.lt, found, Known(0))
    w.b.raise_if(w.b.materialize(missing), ValueError, "tuple.index(x): x not in tuple")
    return found


class TupleOfRules(HeapRules):
    def drop(self, target: ty.TupleOf) -> tuple[Any, tuple[Value, ...]]:
        return LISTS.drop(ty.List(target.elem))

    def attribute(self, w: Any, x: Var, name: str) -> Value | None:
        from sapwood.lang.infer.containers.list_methods import count
        from sapwood.lang.infer.objects import bound

        return bound({"count": count, "index": _index}, name, as_list(w, x))

    def length(self, w: Any, x: Var) -> Value:
        return LISTS.length(w, as_list(w, x))

    def get_item(self, w: Any, x: Var, index: Value) -> Value:
        from sapwood.lang.infer.containers.slices import is_slice

        xs = as_list(w, x)
        if is_slice(index):
            return as_row(w, LISTS.get_item(w, xs, index))  # type: ignore[arg-type]
        i = checked_index(w.b, index, LISTS.length(w, xs), "tuple index out of range")  # type: ignore[arg-type]
        return element(w, xs, i)

    def contains(self, w: Any, x: Var, item: Value) -> Value | None:
        return LISTS.contains(w, as_list(w, x), item)

    def hashable(self, x: Var) -> bool:
        return True

    def hash(self, w: Any, x: Var) -> Value | None:
        from sapwood.lang.library.tuple_rows import row_hash

        return w.call_compiled(row_hash, [as_list(w, x)], {})

    def binary(self, w: Any, fn: Any, x: Value, y: Value) -> Value | None:
        row = x if is_row(x) else y
        if fn is operator.mul:
            times = y if row is x else x
            return as_row(w, LISTS.binary(w, fn, as_list(w, row), times))  # type: ignore[arg-type]
        p, q = _listed(w, x, row), _listed(w, y, row)
        if p is not None and q is not None and (fn in COMPARISONS or fn is operator.add):
            found = LISTS.binary(w, fn, p, q)
            return as_row(w, found) if fn is operator.add else found  # type: ignore[arg-type]
        if fn in (operator.eq, operator.ne):
            return Known(fn is operator.ne)
        hint = "tuples are compared and joined with tuples of such elements; tuple(xs) makes one"
        raise NoOperator(w.b.loc, left=describe(x), op=SYMBOLS[fn], right=describe(y), hint=hint)

    def text(self, w: Any, x: Var, how: str) -> list[Value] | None:
        from sapwood.lang.library.tuple_rows import row_text

        return [w.call_compiled(row_text, [as_list(w, x), show_function(how)], {})]

    def to_object(self, w: Any, x: Var) -> Var:
        return api(w.b, "PyList_AsTuple", (box(w, as_list(w, x)),))

    def from_object(self, w: Any, x: Var, target: Any) -> Var:
        demand(w, is_of_type(w.b, x, "PyTuple_Type", exact=False), x, "tuple")
        found = LISTS.from_object(w, api(w.b, "PySequence_List", (x,)), ty.List(target.elem))
        return w.b.emit1(heap.reference_as, (found,), ty.Ref(target))


@iterates(ty.TupleOf)
def _iterate(w: Any, x: Value) -> Iteration:
    found = require_some(w, x, TypeError, "'NoneType' object is not iterable")
    assert isinstance(found, Var)
    return ListItems(as_list(w, found))


# -- zip(*rows) ---------------------------------------------------------------------------------------


def columns(w: Any, rows: Value, unpacked: bool) -> Value | None:
    """`zip(*rows)`: an iterator over the columns, which are made at once; None if the rows are of no such kind.

    Rows that are tuples of known length have columns of different types: only where they are unpacked.
    """
    from sapwood.lang.infer.iteration.adapters import lazy
    from sapwood.lang.library.tuple_rows import columns_of, fixed_column, fixed_columns

    xs = rows if is_list(rows) else collect(w, rows)
    if is_empty(xs):
        return lazy("iter", Known(()))
    elem = element_spec(xs)
    if elem.kind == "agg" and isinstance(elem.data, ty.Tuple):
        count = len(elem.items)
        if len({storable(s) for s in elem.items}) == 1:
            return lazy("iter", w.call_compiled(fixed_columns, [xs, Known(count)], {}))
        if not unpacked:
            return None
        none = w.operate(operator.eq, w.call(Known(len), [xs], {}, w.b.loc), Known(0))
        w.b.raise_if(none, ValueError, f"not enough values to unpack (expected {count}, got 0)")
        items = [row_of(w, w.call_compiled(fixed_column, [xs, Known(i)], {})) for i in range(count)]
        return Agg(ty.Tuple(count), tuple(items))
    if elem.kind == "leaf" and isinstance(elem.data, ty.Ref) and not elem.data.nullable:
        if isinstance(elem.data.target, ty.List | ty.TupleOf | ty.Str):
            return lazy("iter", w.call_compiled(columns_of, [xs], {}))
    return None
