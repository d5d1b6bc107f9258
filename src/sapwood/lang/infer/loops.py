"""Loops: `while`, `for` over range, tuples and tensors, `unroll`, and `parallel`.

A loop's body is walked until the types of the carried names stop changing (weak literals and ints may widen),
then its exits are closed with the final types.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.api.loops import Parallel, Unroll
from sapwood.lang.errors import (
    BadOperand,
    Loc,
    LoopTypeChange,
    NotIterable,
    ParallelAssignment,
    ParallelExit,
    UnrollTooLong,
    UnsupportedSyntax,
)
from sapwood.lang.front import hir
from sapwood.lang.infer.join import Clash, adapt, fresh, join
from sapwood.lang.ir.ssa import Op, Region, Var
from sapwood.lang.ops import arith, control
from sapwood.lang.ops.operators import binary, require_index, truth
from sapwood.lang.types import BOOL, I64, U64
from sapwood.lang.values import Agg, Known, Spec, Value, describe, spec_of

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
class Context:
    """What `break` and `continue` mean inside the innermost loop statement."""

    kind: str  # "loop" | "unroll" | "parallel"
    break_to: list[Snapshot] | None = None
    continue_to: list[Snapshot] | None = None
    before_continue: Callable[[], None] | None = None


class LoopMixin:
    """The loop statements of a FunctionWalker."""

    if TYPE_CHECKING:
        b: Builder
        interp: Interpreter
        vars: dict[str, Value]
        where: dict[str, Loc]
        contexts: list[Context]

        def at(self, region: Region, loc: Loc | None = None) -> Any: ...
        def block(self, statements: list[hir.Stmt]) -> bool: ...
        def expr(self, e: hir.Expr) -> Value: ...
        def assign(self, target: hir.Target, value: Value, loc: Loc) -> None: ...
        def call_compiled(self, fn: Any, args: list[Value], kwargs: dict[str, Value]) -> Value: ...
        def merge(
            self, before: Any, live: Any, loc: Loc, terminator: Any, attrs: Any
        ) -> tuple[dict[str, Value], tuple[Var, ...]]: ...

    # -- exits ------------------------------------------------------------------------------------

    def leave(self, s: hir.Stmt, what: str) -> None:
        context = self.contexts[-1] if self.contexts else None
        if context is None:
            raise UnsupportedSyntax(s.loc, what=f"{what} outside a loop", hint="remove it")
        if what == "break":
            if context.break_to is None:
                raise ParallelExit(s.loc, what="break")
            context.break_to.append((self.b.region, dict(self.vars)))
            return
        if context.before_continue is not None:
            context.before_continue()
        assert context.continue_to is not None
        context.continue_to.append((self.b.region, dict(self.vars)))

    # -- the loop operation -----------------------------------------------------------------------

    def run_loop(
        self, key: Any, names: Sequence[str], loc: Loc, body: Callable[[Loop], bool], once: bool = False
    ) -> bool:
        """Emit a loop whose body is walked by `body` (True: control does not reach its end).

        `names` are those that the body may assign. With `once`, the end of the body is a break.
        """
        before = dict(self.vars)
        carried = [] if once else [n for n in names if n in before]
        specs: dict[str, Spec] = {n: spec_of(before[n]) for n in carried}
        hint_key = (key, self.interp.inline_depth, tuple(specs.items()))
        specs = dict(self.interp.loop_hints.get(hint_key, specs))
        where = dict(self.where)
        while True:
            loop, region = Loop(), Region()
            params: list[Var] = []
            self.vars = dict(before)
            for n in carried:
                value, leaves = fresh(specs[n], n.lstrip("$"))
                self.vars[n] = value
                params += leaves
            region.params = tuple(params)
            with self.at(region):
                if not body(loop):
                    (loop.breaks if once else loop.continues).append((self.b.region, dict(self.vars)))
            wider = self._widen(specs, loop.continues, before, loc, where)
            if wider == specs:
                break
            specs = wider
        self.interp.loop_hints[hint_key] = specs
        initial: list[Var] = []
        with self.at(self.b.region, loc):
            for n in carried:
                initial += adapt(self.b, before[n], specs[n])
        identity = object()
        for where, values in loop.continues:
            with self.at(where, loc):
                leaves = [leaf for n in carried for leaf in adapt(self.b, values[n], specs[n])]
                self.b.emit(control.continue_, tuple(leaves), (), {"target": identity})
        assigned = set(names)
        kept = {n: v for n, v in before.items() if n not in assigned or once}
        self.vars, results = self.merge(kept, loop.breaks, loc, control.break_, {"target": identity})
        op = Op(control.loop, tuple(initial), results, {"id": identity, "once": once}, (region,), loc)
        self.b.region.ops.append(op)
        if not loop.breaks:
            self.vars = before
        return not loop.breaks

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
                    notes = ((f"it is {describe(before[n])} before the loop", where.get(n, loc)),)
                    raise LoopTypeChange(
                        self.where.get(n, loc), notes, name=n, before=describe(out[n]), after=describe(new)
                    ) from None
        return out

    # -- while ------------------------------------------------------------------------------------

    def while_loop(self, s: hir.While) -> bool:
        def body(loop: Loop) -> bool:
            self.b.loc = s.loc
            if self._exit_unless(truth(self.b, self.expr(s.test)), loop, s.other, s.loc):
                return True
            return self._in_context(Context("loop", loop.breaks, loop.continues), s.body)

        names = [*s.assigned, *_assigned_in(s.other)]
        return self.run_loop(id(s), names, s.loc, body)

    def _in_context(self, context: Context, body: list[hir.Stmt]) -> bool:
        self.contexts.append(context)
        try:
            return self.block(body)
        finally:
            self.contexts.pop()

    def _exit_unless(self, test: Known | Var, loop: Loop, other: list[hir.Stmt], loc: Loc) -> bool:
        """`if not test: <other>; break`. True when the loop certainly ends here."""
        if isinstance(test, Known):
            if test.value:
                return False
            if not self.block(other):
                loop.breaks.append((self.b.region, dict(self.vars)))
            return True
        go, leave = Region(), Region()
        with self.at(go, loc):
            self.b.emit(control.yield_)
        before = dict(self.vars)
        with self.at(leave):
            if not self.block(other):
                loop.breaks.append((leave if self.b.region is leave else self.b.region, dict(self.vars)))
        self.vars = before
        self.b.region.ops.append(Op(control.if_, (test,), (), {}, (go, leave), loc))
        return False

    # -- for --------------------------------------------------------------------------------------

    def for_loop(self, s: hir.For) -> bool:
        iterable = self.expr(s.iterable)
        self.b.loc = s.iterable.loc
        match iterable:
            case Agg(type=ty.Tuple(), items=(Known(value=marker), *rest)) if marker is range:
                return self._range(s, *rest)
            case Agg(type=ty.Tuple(), items=(Known(value=marker), *rest)) if marker is Parallel:
                return self._parallel(s, rest)
            case Agg(type=ty.Tuple(), items=(Known(value=marker), *rest)) if marker is Unroll:
                return self._unroll(s, list(rest))
            case Agg(type=ty.Tuple()):
                return self._unroll(s, list(iterable.items))
            case Known(value=tuple() | str() | range() as items):
                return self._unroll(s, [Known(i) for i in items])
            case Agg(type=ty.Tensor() | ty.StackArray()):
                return self._elements(s, iterable)
        raise NotIterable(s.iterable.loc, type=describe(iterable))

    def _range(self, s: hir.For, start: Value, stop: Value, step: Value, bind: Any = None) -> bool:
        b, loc = self.b, s.loc
        if isinstance(step, Known) and step.value == 0:
            raise BadOperand(loc, function="range", detail="the step is 0", hint="use a step of 1 or more")
        if isinstance(step, Var) and not b.unchecked:
            zero = b.emit1(arith.compare, (step, b.index(0)), BOOL, test="eq")
            b.raise_if(zero, ValueError, "range() arg 3 must not be zero")
        first = b.materialize(start)
        limit = b.materialize(stop)
        counter, left = f"$for{s.loc.line}.{s.loc.col}", f"$left{s.loc.line}.{s.loc.col}"
        carried = [*s.assigned, *_assigned_in(s.other), counter]
        self.vars[counter] = first
        by_one = isinstance(step, Known) and step.value in (1, -1)
        if not by_one:
            self.vars[left] = self.call_compiled(_range_length(), [first, limit, step], {})
            carried.append(left)
        proven: set[Any] = set()
        if isinstance(step, Known) and step.value > 0 and self._not_negative(start):
            proven = {stop.value if isinstance(stop, Known) else limit}

        def more(i: Var) -> Var:
            if by_one:
                assert isinstance(step, Known)
                return b.emit1(arith.compare, (i, limit), BOOL, test="lt" if step.value > 0 else "gt")
            n = self.vars[left]
            assert isinstance(n, Var)
            return b.emit1(arith.compare, (n, b.const(0, U64)), BOOL, test="ne")

        def advance() -> None:
            self.vars[counter] = binary(b, operator.add, self.vars[counter], step)
            if not by_one:
                n = self.vars[left]
                assert isinstance(n, Var)
                self.vars[left] = b.emit1(arith.sub, (n, b.const(1, U64)), U64)

        def body(loop: Loop) -> bool:
            b.loc = loc
            i = self.vars[counter]
            assert isinstance(i, Var)
            if self._exit_unless(more(i), loop, s.other, loc):
                return True
            if proven:
                b.below[i] = proven
            b.loc = loc
            self.assign(s.target, i if bind is None else bind(i), loc)
            context = Context("loop", loop.breaks, loop.continues, advance)
            if self._in_context(context, s.body):
                return True
            b.loc = loc
            advance()
            return False

        dead = self.run_loop(id(s), carried, loc, body)
        self.vars.pop(counter, None)
        self.vars.pop(left, None)
        return dead

    def _not_negative(self, v: Value) -> bool:
        if isinstance(v, Known):
            return v.value >= 0
        return isinstance(v, Var) and v in self.b.below

    def _elements(self, s: hir.For, value: Agg) -> bool:
        from sapwood.lang.infer.objects import get_item, length

        n = length(self, value)
        return self._range(s, Known(0), n, Known(1), bind=lambda i: get_item(self, value, i))

    # -- unroll -----------------------------------------------------------------------------------

    def _unroll(self, s: hir.For, items: list[Value]) -> bool:
        if len(items) > UNROLL_LIMIT:
            raise UnrollTooLong(s.loc, count=len(items), limit=UNROLL_LIMIT)
        breaks, continues = _has(s.body, hir.Break), _has(s.body, hir.Continue)
        names = [*s.assigned, *_assigned_in(s.other)]

        def once(item: Value, out: list[Snapshot] | None) -> bool:
            self.b.loc = s.loc
            if not continues:
                self.assign(s.target, item, s.loc)
                return self._in_context(Context("unroll", out, None), s.body)

            def body(loop: Loop) -> bool:
                self.assign(s.target, item, s.loc)
                return self._in_context(Context("unroll", out, loop.breaks), s.body)

            return self.run_loop((id(s), "item"), names, s.loc, body, once=True)

        def every(out: list[Snapshot] | None) -> bool:
            return any(once(item, out) for item in items) or self.block(s.other)

        if not breaks:
            return every(None)
        return self.run_loop(id(s), names, s.loc, lambda loop: every(loop.breaks), once=True)

    # -- parallel ---------------------------------------------------------------------------------

    def _parallel(self, s: hir.For, rest: list[Value]) -> bool:
        count, reductions = rest[0], rest[1]
        assert isinstance(reductions, Known)
        b, loc = self.b, s.loc
        limit = b.materialize(require_index(b, count, "the argument of parallel"))
        names, kinds = self._reductions(s, reductions.value)
        outer = dict(self.vars)
        targets = {s.target} if isinstance(s.target, str) else set()
        for n in s.assigned:
            if n in outer and n not in names and n not in targets and n[0] != "$":
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
                if not dead:
                    wider = [self._reduced(n, t, loc) for n, t in zip(names, specs, strict=True)]
                    if wider != specs:
                        specs = wider
                        continue
                    leaves = [adapt(b, self.vars[n], Spec("leaf", t))[0] for n, t in zip(names, specs, strict=True)]
                    b.loc = loc
                    b.emit(control.yield_, tuple(leaves))
            break
        self.vars = outer
        b.loc = loc
        initial = [adapt(b, outer[n], Spec("leaf", t))[0] for n, t in zip(names, specs, strict=True)]
        results = tuple(Var(t, n) for n, t in zip(names, specs, strict=True))
        attrs = {"kinds": tuple(kinds)}
        b.region.ops.append(Op(control.parallel_for, (limit, *initial), results, attrs, (region,), loc))
        self.vars.update(zip(names, results, strict=True))
        return False

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


def _range_length() -> Any:
    from sapwood.lang.library.ranges import range_length

    return range_length


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
    for s in body:
        if isinstance(s, kind):
            return True
        if isinstance(s, hir.If) and (_has(s.then, kind) or _has(s.other, kind)):
            return True
        if isinstance(s, hir.For | hir.While) and _has(s.other, kind):
            return True
    return False


def _first_assignment(body: list[hir.Stmt], name: str) -> Loc | None:
    for s in body:
        if isinstance(s, hir.Assign) and s.target == name:
            return s.loc
        for inner in (getattr(s, a, []) for a in ("then", "other", "body")):
            found = _first_assignment(inner, name)
            if found is not None:
                return found
    return None


def _assigned_in(body: list[hir.Stmt]) -> tuple[str, ...]:
    from sapwood.lang.front.ast2hir import _assigned

    return tuple(sorted(_assigned(body)))


