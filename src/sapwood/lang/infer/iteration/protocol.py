"""One protocol for everything that iterates: `for`, comprehensions, `sum`, `zip`, `next`.

An `Iteration` is made at compile time from an abstract value. What changes while it runs lies in names of the
walker, so a loop carries it like any other name; `next` emits what takes one item. Adapters hold iterations and
emit nothing of their own but what they mean: `for i, (a, b) in enumerate(zip(xs, ys))` is one counted loop.

`ITERABLES` says, by type, how a value is iterated; a type registers with one `@iterates` entry.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.errors import Loc
from sapwood.lang.errors.iteration import NotIterable
from sapwood.lang.infer import layout
from sapwood.lang.infer.adapt import adapt
from sapwood.lang.infer.containers.tables import constant_column
from sapwood.lang.infer.heap import Dead
from sapwood.lang.ir.ssa import Op, Region, Var
from sapwood.lang.join import Clash, join
from sapwood.lang.ops import arith, control, memory
from sapwood.lang.types import BOOL, I64
from sapwood.lang.values import Agg, Known, Spec, Value, describe, spec_of

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker

UNROLLED_CHARACTERS = 8  # of a constant text
UNROLLED_ITEMS = 64  # a longer tuple of equal types is laid out in memory and looped over


class Ended(Exception):
    """The iteration certainly ends here: what would follow is dead."""


class Skipped(Exception):
    """The item is certainly passed over."""


class Sink:
    """What an iteration does when it is over, or passes an item over. `before` runs on the way out."""

    can_skip = False

    def end_unless(self, test: Known | Var, before: Callable[[], None] | None = None) -> None:
        raise NotImplementedError

    def skip_unless(self, test: Known | Var) -> None:
        raise NotImplementedError


class Iteration:
    """An iteration to be: `start` gives its state to names that begin with `prefix`, `next` takes an item."""

    kind = "iterator"
    nested = False  # whether only loops around what takes the items can make them
    pushed = False  # whether a loop had better be that: the items may be of different types
    lasting = False  # whether its state stays in the names when a loop over it ends

    def __init__(self) -> None:
        self.state: list[str] = []

    def names(self) -> list[str]:
        """The names that a loop over it has to carry."""
        return self.state

    def forget(self, w: Walker) -> None:
        """The loop over it has ended, and nobody else knows it."""
        for n in self.state:
            w.vars.pop(n, None)

    def start(self, w: Walker, prefix: str) -> None:
        raise NotImplementedError

    def next(self, w: Walker, sink: Sink) -> Value:
        raise NotImplementedError

    def backward(self) -> Iteration | None:
        """The iteration from the end, of one that has its own."""
        return None

    def length(self, w: Walker) -> Value | None:
        """How many items are left at most, where that is known before; None where it is not."""
        return None


class Indexed(Iteration):
    """Items by number: `at(i)` for each i from 0 to `length`."""

    fixed = True  # the length is the same all the time; of a list it is not
    pure = True  # `at` has no effect that can be seen, so it matters to nobody how often it runs
    sequence = False  # can be reversed, and indexed by the program
    static = False  # the number has to be known: items may be of different types

    def length(self, w: Walker) -> Value:
        raise NotImplementedError

    def at(self, w: Walker, i: Value) -> Value:
        raise NotImplementedError

    def bound(self, w: Walker) -> Value:
        """What numbers are compared with: the length, or below 0 where it would be 0."""
        return self.length(w)

    def dims(self) -> set[Any]:
        """Dimensions that every number of an item is known to be below, for the bounds checks of others."""
        return set()

    def prepare(self, w: Walker) -> None:
        """Compute what stays the same."""
        self.limit = self.bound(w) if self.fixed else None

    def current_bound(self, w: Walker) -> Value:
        return self.bound(w) if self.limit is None else self.limit

    def start(self, w: Walker, prefix: str) -> None:
        self.prepare(w)
        self.lay_out(w)
        if self.limit is not None:
            self.limit = w.b.materialize(self.limit)
        self.state = [prefix]
        w.vars[prefix] = w.b.index(0)

    def next(self, w: Walker, sink: Sink) -> Value:
        b, (slot,) = w.b, self.state
        i = w.vars[slot]
        assert isinstance(i, Var)
        limit = b.materialize(self.current_bound(w))

        def exhausted() -> None:  # for good, even if the sequence grows again
            w.vars[slot] = w.b.index(2**63 - 1)

        test = b.emit1(arith.compare, (i, limit), BOOL, test="lt")
        sink.end_unless(test, None if self.fixed else exhausted)
        b.below[i] = {limit} | self.dims()
        w.vars[slot] = b.emit1(arith.advance, (i, b.index(1)), I64)
        return self.at(w, i)

    def lay_out(self, w: Walker) -> None:
        """Make ready for numbers of run time: items of a tuple have to be in memory."""

    def finish(self, w: Walker) -> None:
        """Emit, on the way out, what has to be checked there."""


# -- the table ---------------------------------------------------------------------------------------

Rule = Callable[["Walker", Any], "Iteration | None"]
ITERABLES: dict[type, Rule] = {}


def iterates(*kinds: type) -> Callable[[Rule], Rule]:
    """Enter how values of these types are iterated: types of the language, or Python types of constants.

    The rule may give None: this value is not iterable."""

    def enter(rule: Rule) -> Rule:
        for kind in kinds:
            ITERABLES[kind] = rule
        return rule

    return enter


def type_key(value: Value) -> type:
    """The class that the table knows a value by."""
    match value:
        case Agg(type=t):
            return type(t)
        case Var(type=t):
            return type(t.target) if isinstance(t, ty.Ref) else type(t)
        case Known(value=v):
            return type(v)
    return type(value)


def iterate(w: Walker, value: Value, loc: Loc) -> Iteration:
    """The iteration over a value; raises NotIterable."""
    if isinstance(value, Var) and isinstance(value.type, ty.Ref):
        from sapwood.lang.infer.heap import rules_of

        rules_of(value)  # the module of such objects enters how they are iterated
    rule = ITERABLES.get(type_key(value))
    found = None if rule is None else rule(w, value)
    if found is None:
        hint = "to count, loop over range(n)" if _is_number(value) else NotIterable.hint
        raise NotIterable(loc, type=describe(value), hint=hint)
    return found


def is_iterable(value: Value) -> bool:
    return type_key(value) in ITERABLES


def _is_number(value: Value) -> bool:
    return isinstance(value, Var) and isinstance(value.type, ty.Scalar) or (
        isinstance(value, Known) and isinstance(value.value, int | float)
    )


# -- sequences ---------------------------------------------------------------------------------------


class Elements(Indexed):
    """A tensor (along its first axis), a stack array, or the lanes of a vector."""

    sequence = True

    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value

    def length(self, w: Walker) -> Value:
        from sapwood.lang.infer.objects import length

        return length(w, self.value)

    def at(self, w: Walker, i: Value) -> Value:
        from sapwood.lang.infer.objects import get_item

        return get_item(w, self.value, i)

    def dims(self) -> set[Any]:
        match self.value:
            case Agg(type=ty.Tensor(), items=(_, dim, *_)):
                return {dim.value if isinstance(dim, Known) else dim}
            case Agg(type=ty.StackArray(size=size)):
                return {size}
        return set()


@iterates(ty.Tensor, ty.StackArray, ty.Simd)
def _elements(w: Walker, value: Value) -> Iteration | None:
    if isinstance(value, Agg) and isinstance(value.type, ty.Tensor) and value.type.rank == 0:
        return None
    return Elements(value)


class Items(Indexed):
    """The items of a tuple."""

    sequence = True

    def __init__(self, items: tuple[Value, ...]) -> None:
        super().__init__()
        self.items = items
        self.static = len(items) <= UNROLLED_ITEMS or self._spec() is None
        self.memory: Value | None = None
        self.spec: Spec | None = None

    def _spec(self) -> Spec | None:
        """What all items can be brought to, if that can lie in an array."""
        try:
            spec = spec_of(self.items[0]) if self.items else None
            for item in self.items[1:]:
                assert spec is not None
                spec = join(spec, spec_of(item))
        except Clash:
            return None
        if spec is not None and spec.kind == "known" and isinstance(spec.data.value, bool | int | float):
            spec = join(spec, Spec("known", Known(not spec.data.value)))  # some other of its type
        return spec if spec is not None and spec.kind == "leaf" and isinstance(spec.data, ty.Scalar) else None

    def length(self, w: Walker) -> Value:
        return Known(len(self.items))

    def dims(self) -> set[Any]:
        return {len(self.items)}

    def lay_out(self, w: Walker) -> None:
        from sapwood.lang.errors import BadOperand

        spec = self._spec()
        if spec is None and self.items:
            shown = describe(Agg(ty.Tuple(len(self.items)), self.items))
            hint = "loop over it directly: `for x in items` repeats its body for each type"
            raise BadOperand(w.b.loc, function="iteration", detail=f"the items of {shown} differ in type", hint=hint)
        elem = ty.I64 if spec is None else spec.data
        self.elem = elem
        self.memory = constant_column(w.b, self.items, elem)
        if self.memory is not None:
            return
        pointer = memory.allocate_stack(w.b, elem, max(len(self.items), 1) * elem.itemsize)
        for i, item in enumerate(self.items):
            (leaf,) = adapt(w.b, item, Spec("leaf", elem))
            w.b.emit(memory.store, (memory.offset(w.b, pointer, Known(i)), leaf))
        self.memory, self.elem = pointer, elem

    def at(self, w: Walker, i: Value) -> Value:
        if not self.items:  # nobody gets here: what was never put in has no type either
            from sapwood.lang.infer.containers.lists import nothing_there

            nothing_there(w, IndexError, "tuple index out of range")
        if isinstance(i, Known):
            return self.items[i.value]
        assert isinstance(self.memory, Var)
        return layout.read(w.b, memory.offset(w.b, self.memory, i), self.elem)


@iterates(ty.Tuple)
def _tuple(w: Walker, value: Agg) -> Iteration | None:
    marker = value.items[0] if value.items else None
    if isinstance(marker, Known) and isinstance(marker.value, type) and marker.value is slice:
        return None
    return Items(value.items)


@iterates(tuple, str, bytes)
def _constant(w: Walker, value: Known) -> Iteration:
    if isinstance(value.value, str | bytes) and len(value.value) > UNROLLED_CHARACTERS:
        return iterate(w, w.b.materialize(value), w.b.loc)
    return Items(tuple(Known(v) for v in value.value))


@iterates(ty.Character)
def _character(w: Walker, value: Value) -> Iteration:
    return Items((value,))


@iterates(ty.Str)
def _text(w: Walker, value: Var) -> Iteration:
    from sapwood.lang.infer.heap import require_some
    from sapwood.lang.infer.text.strings import Characters

    found = require_some(w, value, TypeError, "'NoneType' object is not iterable")
    assert isinstance(found, Var)
    return Characters(found)


@iterates(ty.Bytes, ty.ByteArray)
def _bytes(w: Walker, value: Var) -> Iteration:
    from sapwood.lang.infer.heap import require_some
    from sapwood.lang.infer.text.bytes_rules import Numbers

    found = require_some(w, value, TypeError, "'NoneType' object is not iterable")
    assert isinstance(found, Var)
    return Numbers(found)


@iterates(ty.MemoryView)
def _view(w: Walker, value: Var) -> Iteration:
    from sapwood.lang.infer.heap import require_some
    from sapwood.lang.infer.text.memory_views import ViewItems

    found = require_some(w, value, TypeError, "'NoneType' object is not iterable")
    assert isinstance(found, Var)
    return ViewItems(found)


class ListItems(Indexed):
    """A list, by number, as long as there is such an item: it may change while it is iterated."""

    kind = "list_iterator"
    fixed = False
    sequence = True

    def __init__(self, xs: Var) -> None:
        super().__init__()
        self.xs = xs

    def length(self, w: Walker) -> Value:
        from sapwood.lang.infer.heap import rules_of

        return rules_of(self.xs).length(w, self.xs)

    def at(self, w: Walker, i: Value) -> Value:
        from sapwood.lang.ops import heap

        assert isinstance(self.xs.type, ty.Ref) and isinstance(self.xs.type.target, ty.List)
        place = memory.offset(w.b, w.b.apply(heap.elements, self.xs), i)
        return layout.read(w.b, place, ty.Stored(self.xs.type.target.elem))


@iterates(ty.List)
def _list(w: Walker, xs: Var) -> Iteration:
    from sapwood.lang.infer.heap import require_some

    found = require_some(w, xs, TypeError, "'NoneType' object is not iterable")
    assert isinstance(found, Var) and isinstance(found.type, ty.Ref) and isinstance(found.type.target, ty.List)
    return Items(()) if found.type.target.elem.kind == "never" else ListItems(found)


# -- several iterations in one loop --------------------------------------------------------------------


def least(w: Walker, values: list[Value]) -> Value:
    """The smallest of some bounds."""
    known = [v.value for v in values if isinstance(v, Known)]
    rest = [v for v in values if not isinstance(v, Known)]
    out: list[Value] = [*rest, *([Known(min(known))] if known else [])]
    result = out[0]
    for v in out[1:]:
        result = w.b.apply(arith.minimum, result, v)
    return result


def by_number(parts: list[Iteration]) -> bool:
    """Whether iterations can share one counter: no item may be taken too often, nor one too many."""
    if not all(isinstance(p, Indexed) for p in parts):
        return False
    return all(p.pure for p in parts[:-1])  # type: ignore[attr-defined]


# -- sinks -------------------------------------------------------------------------------------------

Snapshot = tuple[Region, dict[str, Value]]


def branch_away(w: Walker, test: Var, leave: Callable[[], None], when: bool = False) -> None:
    """`if test == when: <leave>`, where leave does not come back."""
    stay, away = Region(), Region()
    loc = w.b.loc
    with w.at(stay, loc):
        w.b.emit(control.yield_)
    before = w.vars
    w.vars = dict(before)
    with w.at(away, loc), suppress(Dead):
        leave()
    w.vars = before
    regions = (away, stay) if when else (stay, away)
    w.b.region.ops.append(Op(control.if_, (test,), (), {}, regions, loc))


class LoopSink(Sink):
    """Ends the loop with these exits; an item is passed over by `continues`, if there is one."""

    def __init__(
        self, w: Walker, breaks: list[Snapshot], continues: list[Snapshot] | None, other: Callable[[], bool] | None
    ) -> None:
        self.w, self.breaks, self.continues, self.other = w, breaks, continues, other
        self.can_skip = continues is not None

    def end_unless(self, test: Known | Var, before: Callable[[], None] | None = None) -> None:
        def leave() -> None:
            if before is not None:
                before()
            if self.other is None or not self.other():
                self.breaks.append((self.w.b.region, dict(self.w.vars)))

        if isinstance(test, Var):
            branch_away(self.w, test, leave)
        elif not test.value:
            leave()
            raise Ended

    def skip_unless(self, test: Known | Var) -> None:
        assert self.continues is not None
        continues = self.continues

        def leave() -> None:
            continues.append((self.w.b.region, dict(self.w.vars)))

        if isinstance(test, Var):
            branch_away(self.w, test, leave)
        elif not test.value:
            leave()
            raise Skipped


class Through(Sink):
    """Ends what another sink ends; items are passed over here, or not at all."""

    def __init__(self, w: Walker, outer: Sink, continues: list[Snapshot] | None) -> None:
        self.outer = outer
        self.own = LoopSink(w, [], continues, None)
        self.can_skip = continues is not None

    def end_unless(self, test: Known | Var, before: Callable[[], None] | None = None) -> None:
        self.outer.end_unless(test, before)

    def skip_unless(self, test: Known | Var) -> None:
        self.own.skip_unless(test)


class RaiseSink(Sink):
    """The end is an exception."""

    def __init__(self, w: Walker, exception: type[BaseException], message: str) -> None:
        self.w, self.exception, self.message = w, exception, message

    def end_unless(self, test: Known | Var, before: Callable[[], None] | None = None) -> None:
        b = self.w.b
        if before is not None:
            if isinstance(test, Var):
                guard = test
                branch = b.emit1(arith.bxor, (guard, b.const(True, BOOL)), BOOL)
                _run_if(self.w, branch, before)
            elif not test.value:
                before()
        if isinstance(test, Var):
            over = b.emit1(arith.bxor, (test, b.const(True, BOOL)), BOOL)
            b.raise_if(over, self.exception, self.message)
        elif not test.value:
            parts = [{"value": self.message}] if self.message else []
            b.emit(control.raise_, (), (), {"exception": self.exception, "parts": parts})
            raise Dead


def _run_if(w: Walker, test: Var, run: Callable[[], None]) -> None:
    then, other = Region(), Region()
    names = w.vars
    for region, body in ((then, run), (other, None)):
        w.vars = dict(names)
        with w.at(region, w.b.loc):
            if body is not None:
                body()
            w.b.emit(control.yield_)
    w.vars = names
    w.b.region.ops.append(Op(control.if_, (test,), (), {}, (then, other), w.b.loc))
