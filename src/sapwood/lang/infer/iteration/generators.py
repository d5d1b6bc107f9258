"""Generator expressions, and iterators that are held in a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.errors import UnsupportedSyntax
from sapwood.lang.errors.iteration import GeneratorElsewhere, NestedGenerator
from sapwood.lang.infer.adapt import same
from sapwood.lang.infer.iteration.adapters import Transformed, adapter, lazy
from sapwood.lang.infer.iteration.protocol import Ended, Indexed, Iteration, LoopSink, Sink, Skipped, iterate, iterates
from sapwood.lang.values import Agg, Known, Value

if TYPE_CHECKING:
    from sapwood.lang.infer.loops import Exits, Loop, Snapshot
    from sapwood.lang.infer.walker import FunctionWalker as Walker


class Code:
    """What a generator expression runs, and the function whose names it sees. `around` are names of comprehensions
    around it, which end before it is run."""

    def __init__(self, node: Any, owner: Walker) -> None:
        self.node, self.owner = node, owner
        self.around = dict(owner.comprehended)
        self.unchecked = owner.b.unchecked
        self.names = {*self.around, *node.names}


@contextmanager
def scope(owner: Walker, local: dict[str, Value], w: Walker, code: Code) -> Iterator[None]:
    """Run code of the comprehension: in its function's names, with its own ones in front of them."""
    missing = object()
    hidden: dict[str, Any] = {n: owner.vars.get(n, missing) for n in code.names}
    for n in code.node.names:
        owner.vars.pop(n, None)
    inside = {n: v for n, v in code.around.items() if n not in code.node.names} | local
    owner.vars.update(inside)
    comprehended, owner.comprehended = owner.comprehended, inside
    before = dict(owner.vars) if owner is not w else {}
    unchecked, owner.b.unchecked = owner.b.unchecked, code.unchecked
    try:
        yield
    finally:
        owner.b.unchecked, owner.comprehended = unchecked, comprehended
        changed = [] if owner is w else _changed(owner, before, code)
        for n, v in hidden.items():
            if v is missing:
                owner.vars.pop(n, None)
            else:
                owner.vars[n] = v
    if changed:  # the loop that runs here does not carry another function's names
        raise GeneratorElsewhere(code.node.loc, name=changed[0] if changed[0][0] != "@" else "an iterator")


def _changed(owner: Walker, before: dict[str, Value], code: Code) -> list[str]:
    names = (n for n in owner.vars if n not in code.names and n[0] != "$")
    return [n for n in names if n not in before or not same(owner.vars[n], before[n])]


class Generator(Transformed):
    """A generator expression with one `for`."""

    kind = "generator"

    def __init__(self, code: Code, inner: Iteration) -> None:
        super().__init__(inner)
        self.code = code
        self.skips = bool(code.node.clauses[0].conditions)

    def names(self) -> list[str]:
        return [*super().names(), *self.code.node.assigned]

    def transform(self, w: Walker, item: Value, sink: Sink) -> Value:
        (value,) = elements(w, self.code, bind_clause(w, self.code, 0, item, {}, sink))
        return value


def bind_clause(
    w: Walker, code: Code, k: int, item: Value, local: dict[str, Value], sink: Sink
) -> dict[str, Value]:
    """The comprehension's own names with an item of clause k bound; passes over what its conditions refuse."""
    owner, clause = code.owner, code.node.clauses[k]
    with scope(owner, local, w, code):
        owner.b.loc = clause.loc
        owner.assign(clause.target, item, clause.loc)
        owner.block(clause.prologue)
        local = {n: v for n, v in owner.vars.items() if n in code.node.names}
        tests = clause.conditions
    for condition in tests:
        with scope(owner, local, w, code):
            test = _evaluated(code, lambda e=condition: owner.condition(e))
        sink.skip_unless(test)
    return local


def elements(w: Walker, code: Code, local: dict[str, Value]) -> list[Value]:
    with scope(code.owner, local, w, code):
        return [_evaluated(code, lambda e=e: code.owner.expr(e)) for e in code.node.elements]


def _evaluated(code: Code, evaluate: Callable[[], Any]) -> Any:
    from sapwood.lang.infer.iteration.stopped import without_stop

    return without_stop(code.owner, evaluate) if code.node.kind == "generator" else evaluate()


def clause_iterable(w: Walker, code: Code, k: int, local: dict[str, Value]) -> Iteration:
    owner, clause = code.owner, code.node.clauses[k]
    with scope(owner, local, w, code):
        value = _evaluated(code, lambda: owner.iterable(clause.iterable))
        owner.b.loc = clause.iterable.loc
        return iterate(w, value, clause.iterable.loc)


class Nested(Iteration):
    """A generator expression with several `for`s: a nest of loops around what takes its items."""

    kind = "generator"
    nested = True

    def __init__(self, code: Code, first: Iteration) -> None:
        super().__init__()
        self.code, self.first = code, first

    def names(self) -> list[str]:
        return [*self.first.names(), *self.code.node.assigned]

    def start(self, w: Walker, prefix: str) -> None:
        raise NestedGenerator(self.code.node.loc, what="cannot be taken item by item here")

    def drive(
        self,
        w: Walker,
        key: Any,
        names: list[str],
        consume: Callable[[list[Value], Exits], bool],
        other: Callable[[], bool] | None,
        breaks: bool,
        continues: bool,
    ) -> bool:
        """The loops around `consume`."""
        return drive_clauses(w, self.code, self.first, key, names, consume, other, breaks, continues)


def drive_nested(
    w: Walker,
    it: Iteration,
    key: Any,
    names: list[str],
    consume: Callable[[Value, Exits], bool],
    other: Callable[[], bool] | None,
    breaks: bool,
    continues: bool,
) -> bool:
    """The loops of a generator expression with several `for`s, or the repetition of a body for the items of a tuple,
    with what other iterations make of these items inside."""
    from sapwood.lang.infer.loops import Exits

    chain: list[Transformed] = []
    while not isinstance(it, Nested | Indexed):
        if isinstance(it, StartedNested):
            it = it.enter(w)
        else:
            assert isinstance(it, Transformed)
            chain.insert(0, it)
            it = it.inner
    for k, t in enumerate(chain):
        t.begin(w, f"{w.temporary('for', '@')}.{k}")
        names = [*names, *t.state, *(t.code.node.assigned if isinstance(t, Generator) else ())]

    ends = any(t.ends for t in chain)
    loc = w.b.loc

    def each(values: list[Value], exits: Exits) -> bool:
        if not ends:
            return transformed(values[0], exits)

        def one(loop: Loop) -> bool:
            return transformed(values[0], Exits(exits.breaks, loop.breaks))

        return w.run_loop((key, "item"), [], loc, one, once=True) or asked(exits.breaks)

    def transformed(item: Value, exits: Exits) -> bool:
        sink = LoopSink(w, [] if exits.breaks is None else exits.breaks, exits.continues, other)
        try:
            for t in chain:
                item = t.transform(w, item, sink)
        except (Skipped, Ended):
            return True
        return consume(item, exits)

    def asked(breaks: list[Snapshot] | None) -> bool:
        """Whether there is certainly no other item to ask for."""
        assert breaks is not None
        try:
            for t in reversed(chain):
                t.ask(w, LoopSink(w, breaks, None, other))
        except Ended:
            return True
        return False

    def run() -> bool:
        leaves, skips = breaks or ends, not ends and (continues or any(t.skips for t in chain))
        if isinstance(it, Nested):
            return it.drive(w, key, names, each, other, leaves, skips)
        return w.drive(it, key, names, loc, lambda v, e: each([v], e), other, leaves, skips)

    if ends:
        dead = w.run_loop((key, "ask"), [], loc, lambda loop: asked(loop.breaks) or run(), once=True)
    else:
        dead = run()
    for t in chain:
        for n in t.state:
            w.vars.pop(n, None)
    return dead


def drive_clauses(
    w: Walker,
    code: Code,
    first: Iteration,
    key: Any,
    names: list[str],
    consume: Callable[[list[Value], Exits], bool],
    other: Callable[[], bool] | None = None,
    breaks: bool = False,
    continues: bool = False,
) -> bool:
    """The loops of a comprehension around `consume`, which gets its elements."""
    from sapwood.lang.infer.loops import Exits

    clauses = code.node.clauses
    names = [*names, *code.node.assigned]

    def level(k: int, it: Iteration, local: dict[str, Value], outer: Exits | None) -> bool:
        clause = clauses[k]
        last = k == len(clauses) - 1

        def inside(item: Value, exits: Exits) -> bool:
            sink = LoopSink(w, [], exits.continues, None)
            try:
                mine = bind_clause(w, code, k, item, local, sink)
            except Skipped:
                return True
            top = exits if outer is None else outer
            if last:
                return consume(elements(w, code, mine), Exits(top.breaks, exits.continues))
            return level(k + 1, clause_iterable(w, code, k + 1, mine), mine, Exits(top.breaks, None))

        skips = bool(clause.conditions) or last and continues
        return w.drive(
            it, (key, k), names, clause.loc, inside, other if outer is None else None,
            breaks=breaks and outer is None, continues=skips,
        )  # fmt: skip

    return level(0, first, {}, None)


@adapter("generator")
def _generator(w: Walker, value: Agg) -> Iteration:
    assert isinstance(value.type, ty.Lazy)
    code = value.type.code
    first = iterate(w, value.items[0], code.node.clauses[0].iterable.loc)
    return Generator(code, first) if len(code.node.clauses) == 1 else Nested(code, first)


def generator(w: Walker, node: Any) -> Value:
    """A generator expression: its first iterable is evaluated now, everything else when it is run."""
    first = w.iterable(node.clauses[0].iterable)
    iterate(w, first, node.clauses[0].iterable.loc)  # Python asks now, too
    return lazy("generator", first, code=Code(node, w))


def comprehension(w: Walker, node: Any) -> Value:
    rule = COMPREHENSIONS.get(node.kind)
    if rule is None:
        what, hint = f"a {node.kind} comprehension", "use a Tensor and a loop"
        raise UnsupportedSyntax(node.loc, what=what, hint=hint)
    return rule(w, node)


COMPREHENSIONS: dict[str, Callable[[Walker, Any], Value]] = {"generator": generator}
"""How a comprehension is built, by kind; containers enter theirs."""


# -- iterators in names ------------------------------------------------------------------------------


class Started(Iteration):
    """An iteration that has begun, and goes on where it was left."""

    lasting = True

    def __init__(self, inner: Iteration) -> None:
        super().__init__()
        self.inner = inner
        self.kind = inner.kind

    def names(self) -> list[str]:
        return self.inner.names()

    def start(self, w: Walker, prefix: str) -> None:
        pass

    def forget(self, w: Walker) -> None:
        pass

    def next(self, w: Walker, sink: Sink) -> Value:
        return self.inner.next(w, sink)


@iterates(ty.Iterator)
def _started(w: Walker, value: Agg) -> Iteration:
    assert isinstance(value.type, ty.Iterator)
    return value.type.iteration


class StartedNested(Started):
    """Loops that run around what takes the items cannot be left and entered again: they run once."""

    nested = True

    def __init__(self, inner: Iteration, flag: str) -> None:
        super().__init__(inner)
        self.state = [flag]

    def names(self) -> list[str]:
        return [*self.state, *self.inner.names()]

    def next(self, w: Walker, sink: Sink) -> Value:
        self.inner.start(w, "")  # says that it cannot
        raise AssertionError

    def enter(self, w: Walker) -> Iteration:
        if w.vars[self.state[0]] != Known(False):
            raise NestedGenerator(w.b.loc, what="is run again")
        w.vars[self.state[0]] = Known(True)
        return self.inner


STATE = "@iter"


def begin(w: Walker, value: Value) -> Value:
    """A value that is to have a name: an iterator begins its life here."""
    if not isinstance(value, Agg):
        return value
    if isinstance(value.type, ty.Tuple) and any(isinstance(i, Agg) for i in value.items):
        items = tuple(begin(w, i) for i in value.items)
        return value if all(x is y for x, y in zip(items, value.items, strict=True)) else Agg(value.type, items)
    if not isinstance(value.type, ty.Lazy):
        return value
    it = iterate(w, value, w.b.loc)
    if isinstance(it, Started):
        return value.items[0] if value.type.kind == "iter" else value
    prefix = w.temporary("iter", "@")
    if it.nested:
        w.vars[prefix] = Known(False)
        return Agg(ty.Iterator(value.type.kind, StartedNested(it, prefix)), ())
    it.start(w, prefix)
    if prefix not in w.vars:
        w.vars[prefix] = Known(None)  # takes the name
    return Agg(ty.Iterator(value.type.kind, Started(it)), ())


def runs_in(value: Agg, w: Walker) -> bool:
    """Whether an iterator needs the names of the function that is walked, so that it ends with it."""
    if isinstance(value.type, ty.Iterator):
        return not set(state_names(value.type.iteration.names())) <= w.lent
    if isinstance(value.type, ty.Lazy) and value.type.code is not None and value.type.code.owner is w:
        return not w.straight
    return any(isinstance(i, Agg) and runs_in(i, w) for i in value.items)


def state_names(names: Any) -> list[str]:
    """The names among these that hold the state of iterators which are held in names."""
    return [n for n in names if n.startswith(STATE)]
