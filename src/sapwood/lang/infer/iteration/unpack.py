"""Unpacking: `a, b = xs` and `a, *rest, b = xs` for anything that can be iterated."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from sapwood.lang.errors import Loc, UnpackMismatch
from sapwood.lang.infer.containers.collect import list_of
from sapwood.lang.infer.containers.lists import make_list
from sapwood.lang.infer.heap import Dead, is_reference, require_some
from sapwood.lang.infer.iteration.adapters import has_next, known_items
from sapwood.lang.infer.iteration.protocol import Indexed, Iteration, RaiseSink, is_iterable, iterate
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import control
from sapwood.lang.ops.operators import binary
from sapwood.lang.values import Known, Value, describe

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker


class Part(Indexed):
    """The items of a sequence from `first` on, `count` of them."""

    def __init__(self, inner: Indexed, first: int, count: Value) -> None:
        super().__init__()
        self.inner, self.first, self.count = inner, first, count
        self.static, self.pure = inner.static, inner.pure

    def prepare(self, w: Walker) -> None:
        self.inner.prepare(w)
        super().prepare(w)

    def lay_out(self, w: Walker) -> None:
        self.inner.lay_out(w)

    def length(self, w: Walker) -> Value:
        return self.count

    def at(self, w: Walker, i: Value) -> Value:
        return self.inner.at(w, binary(w.b, operator.add, i, Known(self.first)))


def unpack(w: Walker, value: Value, before: int, after: int | None, loc: Loc) -> list[Value]:
    """The first `before` items and, with a starred name, the list of those between and the last `after` ones."""
    w.b.loc = loc
    names = before + (after or 0)
    value = require_some(w, value, TypeError, "cannot unpack non-iterable NoneType object")
    if not is_iterable(value):
        raise UnpackMismatch(loc, found=describe(value), count=names)
    it = iterate(w, value, loc)
    if (it.pushed or isinstance(it, Indexed) and it.static) and not is_reference(value):
        items = known_items(w, it)
        if items is not None:
            return _known(w, list(items), value, before, after, loc)
    if isinstance(it, Indexed) and it.sequence:
        return _sequence(w, it, before, after, loc)
    return _in_turn(w, it, before, after, loc)


def _known(
    w: Walker, items: list[Value], value: Value, before: int, after: int | None, loc: Loc
) -> list[Value]:  # fmt: skip
    least = before + (after or 0)
    if len(items) < least or after is None and len(items) > least:
        raise UnpackMismatch(loc, found=describe(value), count=least if after is None else f"at least {least}")
    if after is None:
        return items
    end = len(items) - after
    return [*items[:before], make_list(w, *items[before:end]), *items[end:]]


def _sequence(w: Walker, it: Indexed, before: int, after: int | None, loc: Loc) -> list[Value]:
    it.prepare(w)
    b = w.b
    n = it.length(w)
    least = before + (after or 0)
    _check(w, binary(b, operator.lt, n, Known(least)), _few(least, after is not None), n)
    if after is None:
        _check(w, binary(b, operator.gt, n, Known(least)), _many(least))
    first = [it.at(w, _index(w, k, n)) for k in range(before)]
    if after is None:
        return first
    middle = list_of(w, Part(it, before, binary(b, operator.sub, n, Known(least))), loc)
    starts = (binary(b, operator.sub, n, Known(after - k)) for k in range(after))
    return [*first, middle, *(it.at(w, i) for i in starts)]


def _index(w: Walker, k: int, n: Value) -> Value:
    """The number k, which is known to be below n."""
    if isinstance(n, Known):
        return Known(k)
    i = w.b.index(k)
    w.b.below[i] = {n}  # type: ignore[assignment]
    return i


def _in_turn(w: Walker, it: Iteration, before: int, after: int | None, loc: Loc) -> list[Value]:
    if after is not None or it.nested:
        rest = list_of(w, it, loc)
        return unpack(w, rest, before, after, loc)
    if not it.lasting:
        it.start(w, w.temporary("unpack", "@"))
    items = []
    for k in range(before):
        w.b.loc = loc
        items.append(it.next(w, RaiseSink(w, ValueError, _few(before, False).format(k))))
    _check(w, has_next(w, it), _many(before))
    it.forget(w)
    return items


def _few(count: int, starred: bool) -> str:
    return f"not enough values to unpack (expected {'at least ' * starred}{count}, got {{0}})"


def _many(count: int) -> str:
    return f"too many values to unpack (expected {count})"


def _check(w: Walker, bad: Value, message: str, *shown: Value) -> None:
    if isinstance(bad, Var):
        w.b.raise_if(bad, ValueError, message, *(w.b.materialize(v) for v in shown))
    elif isinstance(bad, Known) and bad.value:
        text = message.format(*(v.value for v in shown if isinstance(v, Known)))
        w.b.emit(control.raise_, (), (), {"exception": ValueError, "parts": [{"value": text}]})
        raise Dead


