"""Iteration over dicts and their views, and the operators of `d.keys()` and `d.items()`, which are those of sets."""

from __future__ import annotations

import operator
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.infer.containers.dicts import (
    USED,
    DictRules,
    entry,
    find,
    is_empty,
    items_of,
    present_or,
)
from sapwood.lang.infer.containers.lists import LENGTH, word
from sapwood.lang.infer.containers.sets import is_set, isdisjoint, of_iterable
from sapwood.lang.infer.equality import equal
from sapwood.lang.infer.heap import require_some, rules_of
from sapwood.lang.infer.iteration.protocol import Items, Iteration, Sink, iterates
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith
from sapwood.lang.ops.operators import binary
from sapwood.lang.types import BOOL
from sapwood.lang.values import Agg, Known, Value, make_tuple

_COMBINE = {operator.and_, operator.or_, operator.sub, operator.xor}
_COMPARE = {operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge}


def is_set_view(x: Value) -> bool:
    """Keys or items of a dict: those can be compared and combined; values cannot."""
    return isinstance(x, Agg) and isinstance(x.type, ty.DictView) and x.type.kind != "values"


def view_operator(w: Any, fn: Any, x: Value, y: Value) -> Value | None:
    """An operator where a view stands on one side; None: it has no meaning of its own."""
    if not (is_set_view(x) or is_set_view(y)):
        return None
    if fn in _COMPARE:
        if not all(is_set_view(v) or is_set(v) for v in (x, y)):
            return None
        if fn in (operator.eq, operator.ne) and _is_items(x) and _is_items(y):
            return w.operate(fn, x.items[0], y.items[0])  # type: ignore[union-attr]  # values need no hash
    elif fn not in _COMBINE:
        return None
    left, right = (v if is_set(v) else of_iterable(w, v, False) for v in (x, y))
    return rules_of(left).binary(w, fn, left, right)


def _is_items(x: Value) -> bool:
    return isinstance(x, Agg) and isinstance(x.type, ty.DictView) and x.type.kind == "items"


def view_isdisjoint(w: Any, view: Agg, other: Value, /) -> Value:
    """`d.keys().isdisjoint(xs)`"""
    return isdisjoint(w, of_iterable(w, view, False), other)


VIEW_METHODS = {"isdisjoint": view_isdisjoint}


# -- iteration --------------------------------------------------------------------------------------


class DictEntries(Iteration):
    """Entries in order; RuntimeError when their number has changed."""

    def __init__(self, d: Var, kind: str) -> None:
        super().__init__()
        self.d, self.part = d, kind
        self.kind = f"dict_{kind}iterator"

    def length(self, w: Any) -> Value | None:
        return word(w.b, self.d, LENGTH)

    def start(self, w: Any, prefix: str) -> None:
        place, count = prefix, f"{prefix}.n"
        self.state = [place, count]
        w.vars[place] = w.b.index(0)
        w.vars[count] = word(w.b, self.d, LENGTH)

    def next(self, w: Any, sink: Sink) -> Value:
        b = w.b
        n = word(b, self.d, LENGTH)
        changed = b.emit1(arith.compare, (n, w.vars[self.state[1]]), BOOL, test="ne")
        b.raise_if(changed, RuntimeError, "dictionary changed size during iteration")
        i = self.place(w, sink)
        if self.part == "items":
            return make_tuple([entry(w, self.d, i, 0), entry(w, self.d, i, 1)])
        return entry(w, self.d, i, 0 if self.part == "keys" else 1)

    def place(self, w: Any, sink: Sink) -> Var:
        """The place of the next entry."""
        from sapwood.lang.library.dict import dict_next

        i = w.call_compiled(dict_next, [self.d, w.vars[self.state[0]]], {})
        assert isinstance(i, Var)
        sink.end_unless(w.b.emit1(arith.compare, (i, word(w.b, self.d, USED)), BOOL, test="lt"))
        w.vars[self.state[0]] = binary(w.b, operator.add, i, Known(1))
        return i

    def backward(self) -> Iteration | None:
        return DictBackward(self.d, self.part)


class DictBackward(DictEntries):
    """The same from the last entry to the first."""

    def start(self, w: Any, prefix: str) -> None:
        super().start(w, prefix)
        w.vars[prefix] = word(w.b, self.d, USED)

    def place(self, w: Any, sink: Sink) -> Var:
        from sapwood.lang.library.dict import dict_before

        i = w.call_compiled(dict_before, [self.d, w.vars[self.state[0]]], {})
        sink.end_unless(w.b.emit1(arith.compare, (i, w.b.index(0)), BOOL, test="ge"))
        w.vars[self.state[0]] = i
        return i

    def backward(self) -> Iteration | None:
        return None


def in_view(w: Any, view: Agg, item: Value) -> Value | None:
    """`item in d.keys()` or `d.items()`; None: look at all values."""
    d = view.items[0]
    assert isinstance(view.type, ty.DictView) and isinstance(d, Var)
    if view.type.kind == "values":
        return None
    if view.type.kind == "keys":
        return DictRules().contains(w, d, item)
    key, value = items_of(item)
    return present_or(w, find(w, d, key), lambda at: equal(w, entry(w, d, at, 1), value), lambda: Known(False))


def iterate_dict(w: Any, d: Value, kind: str) -> Iteration:
    found = require_some(w, d, TypeError, "'NoneType' object is not iterable")
    assert isinstance(found, Var)
    return Items(()) if is_empty(found) else DictEntries(found, kind)


@iterates(ty.Dict)
def _dict_keys(w: Any, d: Value) -> Iteration:
    return iterate_dict(w, d, "keys")


@iterates(ty.DictView)
def _dict_view(w: Any, view: Agg) -> Iteration:
    assert isinstance(view.type, ty.DictView)
    return iterate_dict(w, view.items[0], view.type.kind)
