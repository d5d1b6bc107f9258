"""`enumerate`, `zip`, `reversed`, `map`, `filter`: iterations over iterations.

Where every part gives its items by number, so does the adapter: then one counter serves all of them. Otherwise
each part keeps its own state and is asked in turn, as CPython does.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.errors.iteration import NotReversible
from sapwood.lang.infer.heap import Dead
from sapwood.lang.infer.iteration.protocol import (
    Ended,
    Indexed,
    Items,
    Iteration,
    LoopSink,
    Sink,
    Skipped,
    Through,
    by_number,
    iterate,
    iterates,
    least,
)
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith
from sapwood.lang.ops.operators import binary, truth
from sapwood.lang.types import BOOL, I64
from sapwood.lang.values import Agg, Known, Value, describe, make_tuple

if TYPE_CHECKING:
    from sapwood.lang.infer.loops import Loop
    from sapwood.lang.infer.walker import FunctionWalker as Walker


def pair(*items: Value) -> Value:
    return make_tuple(list(items))


# -- by number ---------------------------------------------------------------------------------------


class IndexedZip(Indexed):
    kind = "zip"

    def __init__(self, parts: list[Indexed], strict: bool = False) -> None:
        super().__init__()
        self.parts, self.strict = parts, strict
        self.fixed = all(p.fixed for p in parts)
        self.pure = all(p.pure for p in parts)
        self.static = any(p.static for p in parts)

    def prepare(self, w: Walker) -> None:
        for p in self.parts:
            p.prepare(w)
        super().prepare(w)

    def lay_out(self, w: Walker) -> None:
        for p in self.parts:
            p.lay_out(w)

    def length(self, w: Walker) -> Value:
        return least(w, [p.length(w) for p in self.parts])

    def bound(self, w: Walker) -> Value:
        return least(w, [p.current_bound(w) for p in self.parts])

    def dims(self) -> set[Any]:
        return set().union(*(p.dims() for p in self.parts))

    def at(self, w: Walker, i: Value) -> Value:
        return pair(*(p.at(w, i) for p in self.parts))

    def finish(self, w: Walker) -> None:
        for p in self.parts:
            p.finish(w)
        if self.strict:
            n = [p.length(w) for p in self.parts]
            shortest = least(w, n)
            for k, length in enumerate(n):
                if k:
                    short = binary(w.b, operator.lt, length, n[0])  # CPython asks from left to right
                    _raise_when(w, _both(w, short, binary(w.b, operator.eq, length, shortest)), _uneven(k, "shorter"))
            for k, length in enumerate(n):
                if k:
                    _raise_when(w, binary(w.b, operator.gt, length, n[0]), _uneven(k, "longer"))


def _both(w: Walker, x: Value, y: Value) -> Value:
    from sapwood.lang.ops.operators import logical_and

    return logical_and(w.b, x, y)


def _uneven(k: int, how: str, name: str = "zip") -> str:
    before = "argument 1" if k == 1 else f"arguments 1-{k}"
    return f"{name}() argument {k + 1} is {how} than {before}"


def _raise_when(w: Walker, test: Value, message: str) -> None:
    if isinstance(test, Var):
        w.b.raise_if(test, ValueError, message)
    elif isinstance(test, Known) and test.value:
        w.b.raise_if(w.b.const(True, BOOL), ValueError, message)


class Following(Indexed):
    """Makes something of each item of another, by number: as many of them, in the same places."""

    inner: Indexed

    def prepare(self, w: Walker) -> None:
        self.inner.prepare(w)
        self.limit = self.inner.limit

    def lay_out(self, w: Walker) -> None:
        self.inner.lay_out(w)

    def length(self, w: Walker) -> Value:
        return self.inner.length(w)

    def bound(self, w: Walker) -> Value:
        return self.inner.current_bound(w)

    def dims(self) -> set[Any]:
        return self.inner.dims()

    def finish(self, w: Walker) -> None:
        self.inner.finish(w)


class IndexedEnumerate(Following):
    kind = "enumerate"

    def __init__(self, inner: Indexed, first: Value) -> None:
        super().__init__()
        self.inner, self.first = inner, first
        self.fixed, self.pure, self.static = inner.fixed, inner.pure, inner.static

    def at(self, w: Walker, i: Value) -> Value:
        number = i if self.first == Known(0) else binary(w.b, operator.add, self.first, i)
        return pair(number, self.inner.at(w, i))


class IndexedReversed(Indexed):
    kind = "reversed"

    def __init__(self, inner: Indexed) -> None:
        super().__init__()
        self.inner = inner
        self.static = inner.static

    def prepare(self, w: Walker) -> None:
        self.inner.prepare(w)
        self.count = self.inner.length(w)
        self.limit = self.count

    def lay_out(self, w: Walker) -> None:
        self.inner.lay_out(w)

    def length(self, w: Walker) -> Value:
        return self.inner.length(w)

    def dims(self) -> set[Any]:
        return self.inner.dims()

    def at(self, w: Walker, i: Value) -> Value:
        b = w.b
        j = binary(b, operator.sub, binary(b, operator.sub, self.count, Known(1)), i)
        if isinstance(j, Var):
            b.below[j] = {self.count.value if isinstance(self.count, Known) else self.count} | self.inner.dims()
        return self.inner.at(w, j)


class ReversedList(Iteration):
    """From the end of a sequence whose length may change: by number, as long as there is such an item."""

    kind = "reversed"

    def __init__(self, inner: Indexed) -> None:
        super().__init__()
        self.inner = inner

    def start(self, w: Walker, prefix: str) -> None:
        self.inner.prepare(w)
        self.state = [prefix]
        w.vars[prefix] = binary(w.b, operator.sub, w.b.materialize(self.inner.length(w)), Known(1))

    def next(self, w: Walker, sink: Sink) -> Value:
        from sapwood.lang.infer.tensors import _outside

        i = w.vars[self.state[0]]
        assert isinstance(i, Var)
        n = w.b.materialize(self.inner.length(w))
        outside = _outside(w.b, i, n)
        sink.end_unless(w.b.emit1(arith.bxor, (outside, w.b.const(True, BOOL)), BOOL))
        w.b.below[i] = {n}
        w.vars[self.state[0]] = binary(w.b, operator.sub, i, Known(1))
        return self.inner.at(w, i)


class IndexedMap(Following):
    kind = "map"
    pure = False

    def __init__(self, function: Value, inner: IndexedZip) -> None:
        super().__init__()
        self.function, self.inner, self.parts = function, inner, inner.parts
        self.fixed, self.static = inner.fixed, inner.static

    def at(self, w: Walker, i: Value) -> Value:
        return w.call(self.function, [p.at(w, i) for p in self.parts], {}, w.b.loc)


# -- one after the other -----------------------------------------------------------------------------


class Composite(Iteration):
    """An iteration over others that keep their own state."""

    def __init__(self, parts: list[Iteration]) -> None:
        super().__init__()
        self.parts = parts

    def names(self) -> list[str]:
        return [*self.state, *(n for p in self.parts for n in p.names())]

    def start(self, w: Walker, prefix: str) -> None:
        for k, p in enumerate(self.parts):
            p.start(w, f"{prefix}.{k}")

    def forget(self, w: Walker) -> None:
        super().forget(w)
        for p in self.parts:
            p.forget(w)


class Zip(Composite):
    kind = "zip"

    def __init__(self, parts: list[Iteration], strict: bool = False) -> None:
        super().__init__(parts)
        self.strict = strict

    def length(self, w: Walker) -> Value | None:
        lengths = [n for n in (p.length(w) for p in self.parts) if n is not None]
        return least(w, lengths) if lengths else None

    def take(self, w: Walker, sink: Sink) -> list[Value]:
        out: list[Value] = []
        for k, p in enumerate(self.parts):
            before = None
            if self.strict:
                before = (lambda k=k: _raise_when(w, Known(True), _uneven(k, "shorter"))) if k else self._rest(w)
            inner = sink if not k else Through(w, sink, None)  # nothing is lost when the first passes over
            out.append(p.next(w, _Before(inner, before)))
        return out

    def _rest(self, w: Walker) -> Callable[[], None]:
        def check() -> None:
            for k, p in enumerate(self.parts[1:], 1):
                _raise_when(w, has_next(w, p), _uneven(k, "longer"))

        return check

    def next(self, w: Walker, sink: Sink) -> Value:
        return pair(*self.take(w, sink))


class _Before(Sink):
    """Another sink, with something to do on the way out."""

    def __init__(self, inner: Sink, before: Callable[[], None] | None) -> None:
        self.inner, self.before = inner, before
        self.can_skip = inner.can_skip

    def end_unless(self, test: Known | Var, before: Callable[[], None] | None = None) -> None:
        def both() -> None:
            for run in (before, self.before):
                if run is not None:
                    run()

        self.inner.end_unless(test, both if before or self.before else None)

    def skip_unless(self, test: Known | Var) -> None:
        self.inner.skip_unless(test)


def has_next(w: Walker, it: Iteration) -> Value:
    """Whether there is another item, which is taken."""
    flag = w.temporary("has")

    def body(loop: Loop) -> bool:
        def none() -> bool:
            w.vars[flag] = Known(False)
            return False

        try:
            it.next(w, LoopSink(w, loop.breaks, None, none))
        except Ended:
            return True
        w.vars[flag] = Known(True)
        return False

    if w.run_loop((flag, w.b.loc), [flag, *it.names()], w.b.loc, body, once=True):
        raise Dead
    return w.vars.pop(flag)


class Transformed(Composite):
    """An iteration that makes something of each item of another one, or passes it over."""

    skips = False
    ends = False  # it may be over before the other one is

    def __init__(self, inner: Iteration) -> None:
        super().__init__([inner])

    @property
    def inner(self) -> Iteration:
        return self.parts[0]

    @property
    def nested(self) -> bool:
        return self.inner.nested

    @property
    def pushed(self) -> bool:
        return self.inner.pushed or isinstance(self.inner, Indexed) and self.inner.static

    def length(self, w: Walker) -> Value | None:
        return None if self.skips else self.inner.length(w)

    def begin(self, w: Walker, prefix: str) -> None:
        """State of its own."""

    def ask(self, w: Walker, sink: Sink) -> None:
        """End before another item is asked for."""

    def transform(self, w: Walker, item: Value, sink: Sink) -> Value:
        raise NotImplementedError

    def start(self, w: Walker, prefix: str) -> None:
        super().start(w, prefix)
        self.begin(w, prefix)

    def next(self, w: Walker, sink: Sink) -> Value:
        if not self.skips or sink.can_skip:
            return self.transform(w, self.inner.next(w, sink), sink)
        found = w.temporary("found")  # the loop around it cannot pass items over: search in one of its own

        def body(loop: Loop) -> bool:
            through = Through(w, sink, loop.continues)
            try:
                w.vars[found] = self.transform(w, self.inner.next(w, through), through)
            except (Ended, Skipped):
                return True
            loop.breaks.append((w.b.region, dict(w.vars)))
            return True

        if w.run_loop((found, w.b.loc), [found, *self.names()], w.b.loc, body):
            raise Dead
        return w.vars.pop(found)


def known_items(w: Walker, it: Iteration) -> Iterator[Value] | None:
    """The items one by one, where their number is known now; None where it is not."""
    if isinstance(it, Transformed) and not it.skips:
        items = known_items(w, it.inner)
        if items is None:
            return None
        it.begin(w, w.temporary("items", "@"))
        return (it.transform(w, item, Sink()) for item in items)
    if not isinstance(it, Indexed):
        return None
    it.prepare(w)
    n = it.length(w)
    return (it.at(w, Known(k)) for k in range(n.value)) if isinstance(n, Known) else None


class Enumerate(Transformed):
    kind = "enumerate"

    def __init__(self, inner: Iteration, first: Value) -> None:
        super().__init__(inner)
        self.first = first

    def begin(self, w: Walker, prefix: str) -> None:
        self.state = [prefix]
        w.vars[prefix] = w.b.materialize(self.first)

    def transform(self, w: Walker, item: Value, sink: Sink) -> Value:
        number = w.vars[self.state[0]]
        near = isinstance(self.first, Known) and abs(self.first.value) < 1 << 32
        add = arith.advance if near else arith.add
        w.vars[self.state[0]] = w.b.emit1(add, (number, w.b.index(1)), I64)
        return pair(number, item)


class Map(Transformed):
    """Of one iterable."""

    kind = "map"

    def __init__(self, function: Value, inner: Iteration) -> None:
        super().__init__(inner)
        self.function = function

    def transform(self, w: Walker, item: Value, sink: Sink) -> Value:
        return w.call(self.function, [item], {}, w.b.loc)


class MapSeveral(Zip):
    kind = "map"

    def __init__(self, function: Value, parts: list[Iteration]) -> None:
        super().__init__(parts)
        self.function = function

    def next(self, w: Walker, sink: Sink) -> Value:
        return w.call(self.function, self.take(w, sink), {}, w.b.loc)


class Filter(Transformed):
    kind = "filter"
    skips = True

    def __init__(self, function: Value, inner: Iteration) -> None:
        super().__init__(inner)
        self.function = function

    def transform(self, w: Walker, item: Value, sink: Sink) -> Value:
        test = item if self.function in (Known(None), Known(bool)) else w.call(self.function, [item], {}, w.b.loc)
        sink.skip_unless(truth(w.b, test))
        return item


# -- the table ---------------------------------------------------------------------------------------

ADAPTERS: dict[str, Callable[..., Iteration]] = {}


def adapter(kind: str) -> Callable[[Callable[..., Iteration]], Callable[..., Iteration]]:
    def enter(rule: Callable[..., Iteration]) -> Callable[..., Iteration]:
        ADAPTERS[kind] = rule
        return rule

    return enter


@iterates(ty.Lazy)
def _lazy(w: Walker, value: Agg) -> Iteration:
    assert isinstance(value.type, ty.Lazy)
    rule = ADAPTERS.get(value.type.kind)
    assert rule is not None, value.type
    return rule(w, value)


@adapter("zip")
def _zip(w: Walker, value: Agg) -> Iteration:
    *items, strict = value.items
    assert isinstance(strict, Known)
    parts = [iterate(w, v, w.b.loc) for v in items]
    if not parts:
        return Items(())
    if by_number(parts):
        return IndexedZip(parts, strict.value)  # type: ignore[arg-type]
    for k, v in enumerate(items):  # one after the other: the characters of a constant are not repeated for
        if isinstance(v, Known) and isinstance(v.value, str | bytes):
            parts[k] = iterate(w, w.b.materialize(v), w.b.loc)
    return Zip(parts, strict.value)


@adapter("enumerate")
def _enumerate(w: Walker, value: Agg) -> Iteration:
    inner, first = value.items
    it = iterate(w, inner, w.b.loc)
    return IndexedEnumerate(it, first) if isinstance(it, Indexed) else Enumerate(it, first)


@adapter("reversed")
def _reversed(w: Walker, value: Agg) -> Iteration:
    from sapwood.lang.infer.iteration.struct_iteration import backwards

    (inner,) = value.items
    it = backwards(w, inner) or iterate(w, inner, w.b.loc)
    turned = it.backward()
    if turned is not None:
        return turned
    if not isinstance(it, Indexed) or not it.sequence:
        raise NotReversible(w.b.loc, type=describe(inner))
    return IndexedReversed(it) if it.fixed else ReversedList(it)


@adapter("map")
def _map(w: Walker, value: Agg) -> Iteration:
    function, *items = value.items
    parts = [iterate(w, v, w.b.loc) for v in items]
    if by_number(parts):
        return IndexedMap(function, IndexedZip(parts))  # type: ignore[arg-type]
    return Map(function, parts[0]) if len(parts) == 1 else MapSeveral(function, parts)


@adapter("filter")
def _filter(w: Walker, value: Agg) -> Iteration:
    function, inner = value.items
    return Filter(function, iterate(w, inner, w.b.loc))


@adapter("iter")
def _iter(w: Walker, value: Agg) -> Iteration:
    """iter(x): the iteration of x itself."""
    return iterate(w, value.items[0], w.b.loc)


def lazy(kind: str, *items: Value, code: Any = None) -> Agg:
    return Agg(ty.Lazy(kind, code), items)

