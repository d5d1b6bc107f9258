"""Loops: `while`, `for` over range, tuples and tensors, `unroll`, and `parallel`.

A loop's body is walked until the types of the carried names stop changing (weak literals and ints may widen),
then its exits are closed with the final types.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.api.loops import Parallel, Unroll
from sapwood.lang.errors import (
    BadOperand,
    Loc,
    LoopTypeChange,
    ParallelAssignment,
    ParallelExit,
    UnrollTooLong,
    UnsupportedSyntax,
)
from sapwood.lang.errors.iteration import ParallelIterator
from sapwood.lang.front import hir
from sapwood.lang.front.names import assigned, walk_statements
from sapwood.lang.infer.adapt import adapt, fresh, same
from sapwood.lang.infer.heap import Dead
from sapwood.lang.infer.iteration.adapters import IndexedEnumerate, IndexedMap, IndexedReversed, IndexedZip
from sapwood.lang.infer.iteration.generators import drive_nested, state_names
from sapwood.lang.infer.iteration.protocol import Ended, Indexed, Items, Iteration, LoopSink, Skipped, iterate
from sapwood.lang.infer.names import is_shared, is_written, plain_name
from sapwood.lang.infer.narrow import forget_places
from sapwood.lang.infer.text.sizes import read_before
from sapwood.lang.ir.ssa import Op, Region, Var
from sapwood.lang.join import Clash, join
from sapwood.lang.ops import control
from sapwood.lang.ops.operators import binary, require_index
from sapwood.lang.types import I64
from sapwood.lang.values import Agg, Known, Spec, Value, describe, rebuild, spec_of

if TYPE_CHECKING:
    from sapwood.lang.infer.builder import Builder
    from sapwood.lang.infer.interpreter import Interpreter

UNROLL_LIMIT = 4096
Snapshot = tuple[Region, dict[str, Value]]


@dataclass(eq=False)
class Loop:
    """An open loop: where `break` and `continue` were met, with the names at that point."""

    breaks: list[Snapshot] = field(default_factory=list)
    continues: list[Snapshot] = field(default_factory=list)


@dataclass(eq=False)
class Exits:
    """Where the body of an iteration leaves to: after the loop, or to the next item."""

    breaks: list[Snapshot] | None
    continues: list[Snapshot] | None


@dataclass(eq=False)
class Context:
    """A statement around the place that is being walked: what `break` and `continue` mean in a loop, what is to be
    done before they leave a try."""

    kind: str  # "loop" | "unroll" | "parallel" | "final" | "handler"
    break_to: list[Snapshot] | None = None
    continue_to: list[Snapshot] | None = None
    unwind: Callable[[], bool] | None = None  # what is done on the way out; True if that leaves in its own way
    guard: Any = None  # the innermost try around it
    caught: Any = None  # "handler": the record of the exception that is being handled
    inner: Any = None  # "handler": the guard of its own


class LoopMixin:
    """The loop statements of a FunctionWalker."""

    if TYPE_CHECKING:
        b: Builder
        interp: Interpreter
        vars: dict[str, Value]
        where: dict[str, Loc]
        contexts: list[Context]
        keys: dict[str, str]

        def at(self, region: Region, loc: Loc | None = None, names: Any = None) -> Any: ...
        returns: list[tuple[Region, Value, Loc]]

        def block(self, statements: list[hir.Stmt]) -> bool: ...
        def unwind(self, depth: int) -> bool: ...
        def narrow(self, facts: Any) -> None: ...
        def narrowings(self, test: hir.Expr) -> Any: ...
        def expr(self, e: hir.Expr) -> Value: ...
        def iterable(self, e: hir.Expr) -> Value: ...
        def condition(self, e: hir.Expr) -> Known | Var: ...
        def assign(self, target: hir.Target, value: Value, loc: Loc) -> None: ...
        def call_compiled(self, fn: Any, args: list[Value], kwargs: dict[str, Value]) -> Value: ...
        def merge(
            self, before: Any, live: Any, loc: Loc, terminator: Any, attrs: Any
        ) -> tuple[dict[str, Value], tuple[Var, ...]]: ...

    # -- exits ------------------------------------------------------------------------------------

    def leave(self, s: hir.Stmt, what: str) -> None:
        depth = len(self.contexts)
        while depth and self.contexts[depth - 1].unwind is not None:
            depth -= 1
        context = self.contexts[depth - 1] if depth else None
        if context is None:
            raise UnsupportedSyntax(s.loc, what=f"{what} outside a loop", hint="remove it")
        if what == "break":
            if context.break_to is None:
                raise ParallelExit(s.loc, what="break")
            if self.unwind(depth):
                return
            context.break_to.append((self.b.region, dict(self.vars)))
            return
        if self.unwind(depth):
            return
        assert context.continue_to is not None
        context.continue_to.append((self.b.region, dict(self.vars)))

    # -- the loop operation -----------------------------------------------------------------------

    def run_loop(
        self, key: Any, names: Sequence[str], loc: Loc, body: Callable[[Loop], bool], once: bool = False
    ) -> bool:
        """Emit a loop whose body is walked by `body` (True: control does not reach its end).

        `names` are those that the body may assign. With `once`, the end of the body is a break.
        """
        if not once:
            forget_places(self.vars)
        before = dict(self.vars)
        names = [self.keys.get(n, n) for n in names]
        iterators = state_names(before)  # whoever holds an iterator may ask it anywhere
        written = list(filter(is_written, before))  # nested functions that are called here may assign these
        iterators += written
        carried = [] if once else [n for n in dict.fromkeys((*names, *iterators)) if n in before]
        specs: dict[str, Spec] = {n: spec_of(before[n]) for n in carried}
        hint_key = (key, self.interp.inline_depth, tuple(specs.items()))
        specs = dict(self.interp.loop_hints.get(hint_key, specs))
        where = dict(self.where)
        exits = self.interp.open_exits
        marks = [(e, len(e)) for e in (*exits, self.returns)]
        left_alone = [] if once else [v for n, v in before.items() if n not in carried]
        with read_before(self, left_alone):
            while True:
                for e, n in marks:  # an earlier walk of this body may have left some
                    del e[n:]
                loop, region = Loop(), Region()
                exits += (loop.breaks, loop.continues)
                params: list[Var] = []
                self.vars = dict(before)
                heads: dict[str, Value] = {}
                for n in carried:
                    value, leaves = fresh(specs[n], n.lstrip("$"))
                    self.vars[n] = heads[n] = value
                    params += leaves
                region.params = tuple(params)
                try:
                    with self.at(region), suppress(Dead):
                        if not body(loop):
                            (loop.breaks if once else loop.continues).append((self.b.region, dict(self.vars)))
                finally:
                    del exits[-2:]
                wider = self._widen(specs, loop.continues, before, loc, where)
                if wider == specs:
                    break
                specs = wider
        self.interp.loop_hints[hint_key] = specs
        initial: list[Var] = []
        with self.at(self.b.region, loc, before):
            for n in carried:
                initial += adapt(self.b, before[n], specs[n])
        identity = object()
        self._rebound(carried, params, specs, loop.continues)
        for where, values in loop.continues:
            with self.at(where, loc, values):
                leaves = [leaf for n in carried for leaf in adapt(self.b, values[n], specs[n])]
                self.b.emit(control.continue_, tuple(leaves), (), {"target": identity})
        changed = {*names, *iterators}
        kept = {n: v for n, v in before.items() if n not in changed or once}
        self.vars, results = self.merge(kept, loop.breaks, loc, control.break_, {"target": identity})
        op = Op(control.loop, tuple(initial), results, {"id": identity, "once": once}, (region,), loc)
        self.b.region.ops.append(op)
        if not loop.breaks:
            self.vars = before
        for n in written:  # most loops do not
            if not once and all(same(v[n], heads[n]) for _, v in (*loop.continues, *loop.breaks)):
                self.vars[n] = before[n]
        return not loop.breaks

    def _rebound(
        self, names: list[str], params: list[Var], specs: dict[str, Spec], continues: list[Snapshot]
    ) -> None:
        """A name that holds another object after an iteration: storage of the frame exists once, so it must be heap."""
        from sapwood.lang.memory_layout import NeedsHeap

        if self.interp.kernel is not None:
            return
        at = iter(params)
        for n in names:
            inside = _storage(rebuild(specs[n], at))
            for _, values in continues if inside else ():
                for (cls, before), (_, after) in zip(inside, _storage(values[n]), strict=False):
                    if before is not after:
                        raise NeedsHeap(cls, self.b.loc)

    def _widen(
        self,
        specs: dict[str, Spec],
        continues: list[Snapshot],
        before: dict[str, Value],
        loc: Loc,
        where: dict[str, Loc],
    ) -> dict[str, Spec]:
        out = dict(specs)
        for _, values in continues:
            for n in specs:
                new = spec_of(values[n])
                try:
                    out[n] = join(out[n], new)
                except Clash:
                    name = plain_name(n)
                    notes = ((f"it is {describe(before[n])} before the loop", where.get(name, loc)),)
                    raise LoopTypeChange(
                        self.where.get(name, loc), notes, name=name, before=describe(out[n]), after=describe(new)
                    ) from None
        return out

    # -- while ------------------------------------------------------------------------------------

    def while_loop(self, s: hir.While) -> bool:
        def body(loop: Loop) -> bool:
            self.b.loc = s.loc
            test = self.condition(s.test)
            self.b.loc = s.loc
            try:
                LoopSink(self, loop.breaks, None, lambda: self.block(s.other)).end_unless(test)
            except Ended:
                return True
            self.narrow(self.narrowings(s.test)[0])
            return self._in_context(Context("loop", loop.breaks, loop.continues), s.body)

        names = [*s.assigned, *_assigned_in(s.other)]
        return self.run_loop(id(s), names, s.loc, body)

    def _in_context(self, context: Context, body: list[hir.Stmt]) -> bool:
        context.guard = self.b.guard
        self.contexts.append(context)
        try:
            return self.block(body)
        finally:
            self.contexts.pop()

    # -- for --------------------------------------------------------------------------------------

    def for_loop(self, s: hir.For) -> bool:
        iterable = self.iterable(s.iterable)
        self.b.loc = s.iterable.loc
        match iterable:
            case Agg(type=ty.Tuple(), items=(Known(value=marker), *rest)) if marker is Parallel:
                return self._parallel(s, rest)
            case Agg(type=ty.Tuple(), items=(Known(value=marker), *rest)) if marker is Unroll:
                it: Iteration = Items(tuple(rest))
                it.static = True
            case _:
                it = iterate(self, iterable, s.iterable.loc)

        def consume(item: Value, exits: Exits) -> bool:
            self.b.loc = s.loc
            self.assign(s.target, item, s.loc)
            return self._in_context(Context("loop", exits.breaks, exits.continues), s.body)

        names = [*s.assigned, *_assigned_in(s.other)]
        other = (lambda: self.block(s.other)) if s.other else None
        breaks, continues = _has(s.body, hir.Break), _has(s.body, hir.Continue)
        return self.drive(it, id(s), names, s.loc, consume, other, breaks, continues)

    def drive(
        self,
        it: Iteration,
        key: Any,
        names: Sequence[str],
        loc: Loc,
        consume: Callable[[Value, Exits], bool],
        other: Callable[[], bool] | None = None,
        breaks: bool = False,
        continues: bool = False,
        started: bool = False,
    ) -> bool:
        """Run `consume` on each item of an iteration; True when control does not come out.

        `names` are those that consume may assign; `breaks` and `continues` say whether it leaves by these lists of
        the exits that it gets; otherwise it returns whether it is dead. `other` runs when the items are at an end.
        """
        self.b.loc = loc
        if it.nested or it.pushed and not started:
            return drive_nested(self, it, key, list(names), consume, other, breaks, continues)
        if isinstance(it, Indexed) and it.static and not started:
            return self._repeat(it, key, names, loc, consume, other, breaks, continues)
        if not started:
            it.start(self, self.temporary("for", "@"))

        def body(loop: Loop) -> bool:
            self.b.loc = loc
            try:
                item = it.next(self, LoopSink(self, loop.breaks, loop.continues, self._ending(it, other)))
            except Ended:
                return True
            except Skipped:
                loop.continues.append((self.b.region, dict(self.vars)))
                return True
            self.b.loc = loc
            return consume(item, Exits(loop.breaks, loop.continues))

        dead = self.run_loop(key, [*names, *it.names()], loc, body)
        it.forget(self)
        return dead

    def _ending(self, it: Iteration, other: Callable[[], bool] | None) -> Callable[[], bool]:
        def end() -> bool:
            if isinstance(it, Indexed):
                it.finish(self)
            return other is not None and other()

        return end

    def temporary(self, what: str, mark: str = "") -> str:
        """A name that no program has, the same one whenever this place is walked. Those that begin with `$` last
        as long as one statement, with `@` they hold the state of an iteration."""
        name = base = f"{mark}{what}.{self.b.loc.line}.{self.b.loc.col}"
        n = 0
        while name in self.vars:
            n += 1
            name = f"{base}.{n}x"
        return name

    # -- unroll -----------------------------------------------------------------------------------

    def _repeat(
        self,
        it: Indexed,
        key: Any,
        names: Sequence[str],
        loc: Loc,
        consume: Callable[[Value, Exits], bool],
        other: Callable[[], bool] | None,
        breaks: bool,
        continues: bool,
    ) -> bool:
        """The body again for each item, whose types may differ."""
        it.prepare(self)
        count, ends_early = _most(it)
        if count > UNROLL_LIMIT:
            raise UnrollTooLong(loc, count=count, limit=UNROLL_LIMIT)
        end = self._ending(it, other)

        def once(k: int, out: list[Snapshot] | None) -> bool:
            self.b.loc = loc
            if ends_early:
                assert out is not None
                test = binary(self.b, operator.lt, Known(k), it.current_bound(self))
                assert isinstance(test, Known | Var)
                LoopSink(self, out, None, end).end_unless(test)
            if not continues:
                return consume(it.at(self, Known(k)), Exits(out, None))

            def body(loop: Loop) -> bool:
                return consume(it.at(self, Known(k)), Exits(out, loop.breaks))

            return self.run_loop((key, "item"), names, loc, body, once=True)

        def every(out: list[Snapshot] | None) -> bool:
            try:
                return any(once(k, out) for k in range(count)) or end()
            except Ended:
                return True

        if not breaks and not ends_early:
            return every(None)
        return self.run_loop(key, names, loc, lambda loop: every(loop.breaks), once=True)

    # -- parallel ---------------------------------------------------------------------------------

    def _parallel(self, s: hir.For, rest: list[Value]) -> bool:
        count, reductions = rest[0], rest[1]
        assert isinstance(reductions, Known)
        b, loc = self.b, s.loc
        limit = b.materialize(require_index(b, count, "the argument of parallel"))
        names, kinds = self._reductions(s, reductions.value)
        names = [self.keys.get(n, n) for n in names]
        outer = dict(self.vars)
        targets = {s.target} if isinstance(s.target, str) else set()
        for n in s.assigned:
            key = self.keys.get(n, n)
            if key in outer and key not in names and n not in targets and n[0] != "$":
                place = _first_assignment(s.body, n) or loc
                raise ParallelAssignment(place, (("the value comes from", self.where.get(n, loc)),), name=n)
        specs = [_reduction_type(b, outer[n], n) for n in names]
        while True:
            region = Region()
            index = Var(I64, "i")
            self.vars = dict(outer)
            accumulators = [Var(t, n) for n, t in zip(names, specs, strict=True)]
            self.vars.update(zip(names, accumulators, strict=True))
            region.params = (index, *accumulators)
            b.below[index] = {count.value if isinstance(count, Known) else limit}
            continues: list[Snapshot] = []
            guard, b.guard = b.guard, None  # exceptions leave the body's own function
            with self.at(region):

                def body(loop: Loop, index: Var = index) -> bool:
                    self.assign(s.target, index, loc)
                    return self._in_context(Context("parallel", None, loop.breaks), s.body)

                if _has(s.body, hir.Continue):
                    self.run_loop((id(s), "item"), names, loc, body, once=True)
                    dead = False
                else:
                    self.assign(s.target, index, loc)
                    dead = self._in_context(Context("parallel", None, continues), s.body)
                for n in state_names(outer):
                    if not same(self.vars[n], outer[n]):
                        raise ParallelIterator(loc)
                if not dead:
                    self._check_shared(outer, {*names, *(self.keys.get(n, n) for n in targets)}, loc)
                    wider = [self._reduced(n, t, loc) for n, t in zip(names, specs, strict=True)]
                    if wider != specs:
                        specs, b.guard = wider, guard
                        continue
                    leaves = [adapt(b, self.vars[n], Spec("leaf", t))[0] for n, t in zip(names, specs, strict=True)]
                    b.loc = loc
                    b.emit(control.yield_, tuple(leaves))
            b.guard = guard
            break
        self.vars = outer
        b.loc = loc
        initial = [adapt(b, outer[n], Spec("leaf", t))[0] for n, t in zip(names, specs, strict=True)]
        results = tuple(Var(t, n) for n, t in zip(names, specs, strict=True))
        attrs = {"kinds": tuple(kinds)}
        b.append(Op(control.parallel_for, (limit, *initial), results, attrs, (region,), loc))
        self.vars.update(zip(names, results, strict=True))
        return False

    def _check_shared(self, outer: dict[str, Value], allowed: set[str], loc: Loc) -> None:
        """A nested function that an iteration calls cannot assign the names of the code around the loop."""
        for n, old in outer.items():
            if is_shared(n) and n not in allowed and not same(self.vars[n], old):
                raise ParallelAssignment(loc, name=plain_name(n))

    def _reduced(self, name: str, current: ty.Scalar, loc: Loc) -> ty.Scalar:
        try:
            spec = join(Spec("leaf", current), spec_of(self.vars[name]))
        except Clash:
            raise LoopTypeChange(loc, name=name, before=current, after=describe(self.vars[name])) from None
        return spec.data

    def _reductions(self, s: hir.For, declared: tuple[tuple[str, int], ...]) -> tuple[list[str], list[str]]:
        """Names and kinds of the reductions: the arguments of parallel() must be plain names."""
        names: list[str] = []
        kinds: list[str] = []
        assert isinstance(s.iterable, hir.Call)
        for kind, _ in declared:
            value = dict(s.iterable.kwargs)[kind]
            parts = value.args if isinstance(value, hir.Call) else (value,)
            for part in parts:
                if not isinstance(part, hir.Name):
                    hint = "name a variable: parallel(n, add=total)"
                    raise BadOperand(value.loc, function="parallel", detail=f"{kind}= needs a variable", hint=hint)
                names.append(part.name)
                kinds.append(kind)
        return names, kinds


def _most(it: Indexed) -> tuple[int, bool]:
    """How many items a repeated body has at most, and whether there may be fewer at run time."""
    match it:
        case IndexedZip():
            most = [_most(p) for p in it.parts if p.static]
            fewer = any(f for _, f in most)
            counts = [n for n, _ in most]
            for p in it.parts:
                if not p.static:
                    if isinstance(p.limit, Known):
                        counts.append(max(p.limit.value, 0))
                    else:
                        fewer = True
            return min(counts), fewer
        case IndexedEnumerate() | IndexedReversed() | IndexedMap():
            return _most(it.inner)
    assert isinstance(it, Items)
    return len(it.items), False


def _reduction_type(b: Any, value: Value, name: str) -> ty.Scalar:
    spec = spec_of(value)
    if spec.kind == "leaf" and isinstance(spec.data, ty.Scalar):
        return spec.data
    if isinstance(value, Known):
        return b.materialize(value).type
    hint = "reduce numbers"
    raise BadOperand(b.loc, function="parallel", detail=f"'{name}' is {describe(value)}", hint=hint)


def _has(body: list[hir.Stmt], kind: type[hir.Stmt]) -> bool:
    """Whether a `break` or `continue` belongs to the loop with this body."""
    return any(isinstance(s, kind) for s in walk_statements(body, into_loops=False))


def _first_assignment(body: list[hir.Stmt], name: str) -> Loc | None:
    assignments = (s for s in walk_statements(body) if isinstance(s, hir.Assign) and s.target == name)
    return next((s.loc for s in assignments), None)


def _storage(value: Value) -> list[tuple[type, Var]]:
    """Mutable structs on the stack in a value: (class, address)."""
    if not isinstance(value, Agg):
        return []
    if isinstance(value.type, ty.Struct) and not value.type.frozen and isinstance(value.items[0], Var):
        return [(value.type.cls, value.items[0])]
    return [s for item in value.items for s in _storage(item)]


def _assigned_in(body: list[hir.Stmt]) -> tuple[str, ...]:
    return tuple(sorted(assigned(body))) if body else ()


