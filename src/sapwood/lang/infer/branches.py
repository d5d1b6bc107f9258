"""Where control splits and meets: names, and values, that two paths leave behind."""

from __future__ import annotations

import enum
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BranchTypes, ClosureEscapes, CompileError, Loc
from sapwood.lang.front import hir
from sapwood.lang.infer.adapt import adapt, fresh, same
from sapwood.lang.infer.heap import Dead
from sapwood.lang.infer.names import plain_name
from sapwood.lang.ir.ssa import Op, Region
from sapwood.lang.join import Clash, bring_together, join
from sapwood.lang.ops import control
from sapwood.lang.values import Known, Spec, Unbound, Value, Var, describe, spec_of

if TYPE_CHECKING:
    from sapwood.lang.infer.builder import Builder
    from sapwood.lang.infer.narrow import Facts


class BranchMixin:
    """Branches of a FunctionWalker."""

    if TYPE_CHECKING:
        b: Builder
        vars: dict[str, Value]
        where: dict[str, Loc]

        def at(
            self, region: Region, loc: Loc | None = None, names: dict[str, Value] | None = None
        ) -> AbstractContextManager[None]: ...

        def condition(self, e: hir.Expr) -> Known | Var: ...
        def expr(self, e: hir.Expr) -> Value: ...
        def narrow(self, facts: Facts) -> None: ...
        def narrowings(self, test: hir.Expr) -> tuple[Facts, Facts]: ...

    def split(self, test: Known | Var, ways: tuple[Callable[[], bool], Callable[[], bool]], loc: Loc) -> bool:
        """Emit an `if` whose sides the functions walk; True when control comes out of neither."""
        assert isinstance(test, Var)
        before = self.vars
        where = dict(self.where)
        ends: list[tuple[Region, dict[str, Value], bool]] = []
        places: list[dict[str, Loc]] = []
        for way in ways:
            region = Region()
            self.vars, self.where = dict(before), dict(where)
            with self.at(region):
                dead = way()
                ends.append((region, self.vars, dead))
                places += [] if dead else [self.where]
        self.b.loc = loc
        live = [(r, v) for r, v, dead in ends if not dead]
        self.vars, results = self.merge(before, live, loc, control.yield_, {}, places)
        for place in places:
            self.where = {**self.where, **place}
        self.b.region.ops.append(Op(control.if_, (test,), results, {}, (ends[0][0], ends[1][0]), loc))
        return not live

    def merge(
        self,
        before: dict[str, Value],
        live: list[tuple[Region, dict[str, Value]]],
        loc: Loc,
        terminator: Any,
        attrs: dict[str, Any],
        places: list[dict[str, Loc]] | None = None,
        first: list[list[Var]] | None = None,
    ) -> tuple[dict[str, Value], tuple[Var, ...]]:
        """Names after several paths meet; ends each path's region with `terminator` and the merged leaves.

        `places` says where each path assigned its names last; `first` are leaves that go before theirs.
        """
        after, moved = self.meet(before, [values for _, values in live], loc, places)
        results: list[Var] = []
        for n, spec in moved:
            value, leaves = fresh(spec, n.lstrip("$"))
            after[n] = value
            results += leaves
        for i, (region, values) in enumerate(live):
            with self.at(region, loc, values):
                leaves = [] if first is None else list(first[i])
                leaves += [leaf for n, spec in moved for leaf in adapt(self.b, values[n], spec)]
                self.b.emit(terminator, tuple(leaves), (), dict(attrs))
        return after, tuple(results)

    def meet(
        self,
        before: dict[str, Value],
        paths: list[dict[str, Value]],
        loc: Loc,
        places: list[dict[str, Loc]] | None = None,
    ) -> tuple[dict[str, Value], list[tuple[str, Spec]]]:
        """Names that are the same, or have no value, after several paths; and the specs of the others."""
        after: dict[str, Value] = {}
        moved: list[tuple[str, Spec]] = []
        names = dict.fromkeys(n for values in paths for n in values if n[0] != "$" or n in before)
        for n in names:
            values = [v.get(n) for v in paths]
            if any(v is None for v in values):
                after[n] = Unbound(loc)
                continue
            old = before.get(n)
            if old is not None and all(same(v, old) for v in values):  # type: ignore[arg-type]
                after[n] = old
                continue
            specs = [spec_of(v) for v in values]  # type: ignore[arg-type]
            try:
                spec = specs[0]
                for other in specs[1:]:
                    spec = join(spec, other)
            except Clash:
                after[n] = Unbound(loc, self._clash(n, specs, loc, [p.get(plain_name(n), loc) for p in places or ()]))
                continue
            if spec.kind == "unbound":
                after[n] = next(v for v in values if isinstance(v, Unbound))
                continue
            moved.append((n, spec))
        return after, moved

    def _clash(self, name: str, specs: list[Spec], loc: Loc, places: list[Loc]) -> CompileError:
        name = plain_name(name)
        bring_together(specs[0], specs[-1])
        first, second = describe(specs[0]), describe(specs[-1])
        notes = tuple((f"{d} here", p) for d, p in zip((first, second), places, strict=False))
        if any(s.kind == "agg" and isinstance(s.data, ty.Closure) or s.kind == "known" for s in specs):
            functions = [s.kind == "agg" and isinstance(s.data, ty.Closure) for s in specs]
            if all(functions) or any(s.kind == "known" and callable(s.data.value) for s in specs):
                return ClosureEscapes(loc, notes, detail=f"{name} would be a different one on each path")
        hint = BranchTypes.hint
        if all(s.kind == "known" and isinstance(s.data.value, enum.Enum) for s in specs):
            hint = "members of different classes have no type in common: choose between members of one"
        return BranchTypes(loc, notes, name=name, first=first, second=second, hint=hint)

    def if_expression(self, e: hir.IfExp, walk: Callable[[hir.Expr], Value] | None = None) -> Value:
        """`a if test else b`; `walk` says how the values are walked."""
        test = self.condition(e.test)
        walk = walk or self.expr
        if isinstance(test, Known):
            return walk(e.then if test.value else e.other)
        before, where = self.vars, dict(self.where)
        ends: list[tuple[Region, dict[str, Value]]] = []
        values: list[Value] = []
        regions: list[Region] = []
        for part, narrowed in zip((e.then, e.other), self.narrowings(e.test), strict=True):
            region = Region()
            regions.append(region)
            self.vars = dict(before)
            with self.at(region):
                self.narrow(narrowed)
                inside = {n: self.vars[n] for n in narrowed if n in before and n in self.vars}
                try:
                    values.append(walk(part))
                except Dead:
                    continue
                self.vars.update((n, before[n]) for n, v in inside.items() if self.vars[n] is v)
                ends.append((region, self.vars))
        self.b.loc = e.loc
        if not ends:
            self.vars = before
            self.b.region.ops.append(Op(control.if_, (test,), (), {}, tuple(regions), e.loc))
            raise Dead
        specs = [spec_of(v) for v in values]
        try:
            spec = join(specs[0], specs[-1])
        except Clash:
            raise self._clash("this expression", specs, e.loc, [e.then.loc, e.other.loc]) from None
        value, leaves = fresh(spec)
        first = []
        for (region, names), v in zip(ends, values, strict=True):
            with self.at(region, e.loc, names):
                first.append(adapt(self.b, v, spec))
        self.vars, results = self.merge(before, ends, e.loc, control.yield_, {}, [where, self.where], first)
        results = (*leaves, *results)
        self.b.region.ops.append(Op(control.if_, (test,), results, {}, tuple(regions), e.loc))
        return value

    def choose(
        self, test: Value, x: Callable[[], Value], y: Callable[[], Value], what: str = "this expression"
    ) -> Value:
        """`x() if test else y()`."""
        if isinstance(test, Known):
            return x() if test.value else y()
        assert isinstance(test, Var)
        loc = self.b.loc
        ends: list[tuple[Region, Value]] = []
        before = self.vars
        regions: list[Region] = []
        for make in (x, y):
            region = Region()
            regions.append(region)
            self.vars = dict(before)
            with self.at(region, loc), suppress(Dead):
                ends.append((region, make()))
        self.vars = before
        if not ends:
            self.b.region.ops.append(Op(control.if_, (test,), (), {}, tuple(regions), loc))
            raise Dead
        specs = [spec_of(v) for _, v in ends]
        try:
            spec = join(specs[0], specs[-1])
        except Clash:
            raise self._clash(what, specs, loc, []) from None
        value, leaves = fresh(spec)
        for region, v in ends:
            with self.at(region, loc):
                self.b.emit(control.yield_, tuple(adapt(self.b, v, spec)))
        self.b.region.ops.append(Op(control.if_, (test,), tuple(leaves), {}, tuple(regions), loc))
        return value
