"""Walks the HIR of one function and emits SSA: statements and expressions.

Branches are in `branches.py`, loops in `loops.py`, calls in `calls.py`, names in `scope.py`; what indexing and
attributes mean in `objects.py`.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.declared import Bindings, Declared, declare, spec_of_declared
from sapwood.lang.errors import (
    AssignmentMismatch,
    ClosureEscapes,
    DeletedName,
    EscapingReference,
    GlobalAssignment,
    Loc,
    MissingReturn,
    ParallelExit,
    ReturnMismatch,
    StarArguments,
    UnsupportedSyntax,
)
from sapwood.lang.errors.hints import returns_hint
from sapwood.lang.errors.iteration import IteratorEscapes
from sapwood.lang.front import hir
from sapwood.lang.infer.adapt import adapt
from sapwood.lang.infer.branches import BranchMixin
from sapwood.lang.infer.calls import CallMixin
from sapwood.lang.infer.closures import ClosureMixin, shared_results, with_shared
from sapwood.lang.infer.comptime import evaluate
from sapwood.lang.infer.exceptions import ExceptionMixin
from sapwood.lang.infer.fit import Misfit, fit, fit_parameter
from sapwood.lang.infer.foretell import foretell, foretell_stored
from sapwood.lang.infer.heap import Dead, require_some
from sapwood.lang.infer.interpreter import Instance, Interpreter
from sapwood.lang.infer.iteration.generators import begin, comprehension, runs_in
from sapwood.lang.infer.iteration.unpack import unpack
from sapwood.lang.infer.loops import Loop, LoopMixin, Snapshot
from sapwood.lang.infer.narrow import NarrowMixin, forget_places, is_optional, place_name
from sapwood.lang.infer.operate import OperatorMixin
from sapwood.lang.infer.scope import ScopeMixin
from sapwood.lang.infer.text.pieces import pieces
from sapwood.lang.ir.ssa import Op, Region
from sapwood.lang.join import Clash, join, without_characters
from sapwood.lang.memory_layout import NeedsHeap
from sapwood.lang.ops import control
from sapwood.lang.ops.operators import logical_not, truth
from sapwood.lang.signatures import evaluate_annotation
from sapwood.lang.values import Agg, Known, Spec, Unbound, Value, Var, describe, spec_of

if TYPE_CHECKING:
    from sapwood.lang.infer.builder import Builder

_MISSING = object()
_ITERATING = (enumerate, zip, map, filter, set, frozenset, sorted)  # iterate over their arguments once, if they do


def _has_starred(args: tuple[hir.Expr, ...]) -> bool:
    return any(isinstance(a, hir.Starred) for a in args)


def _named_items(value: hir.Expr) -> list[tuple[str, hir.Expr]] | None:
    """The keywords of `**{"name": value}`, a dict that is written out; None of anything else."""
    if not (isinstance(value, hir.Call) and isinstance(value.callee, hir.Literal)) or value.kwargs:
        return None
    if value.callee.value is not hir.make_dict:
        return None
    pairs = []
    for item in value.args:
        match item:
            case hir.Call(callee=hir.Literal(value=hir.make_tuple), args=(hir.Literal(value=str() as key), v)):
                pairs.append((key, v))
            case _:
                return None
    return pairs


class FunctionWalker(
    BranchMixin, LoopMixin, CallMixin, ClosureMixin, OperatorMixin, NarrowMixin, ExceptionMixin, ScopeMixin
):
    """The state of one walk: where code goes, what each name holds."""

    def __init__(
        self,
        interpreter: Interpreter,
        builder: Builder,
        code: hir.FunctionDef,
        python: FunctionType | None,
        declared: list[Declared],
        name: str,
        captured: dict[str, Value] | None = None,
        typevars: Bindings | None = None,
        itself: Value | None = None,
    ) -> None:
        self.interp = interpreter
        self.b = builder
        self.code = code
        self.python = python
        self.declared = declared
        self.name = name
        self.captured = captured or {}
        self.itself = itself  # a nested function as a value: it may call itself
        self.keys: dict[str, str] = {}  # where shared names are among `vars`: see closures.py
        self.typevars: Bindings = dict(typevars or {})
        self.vars: dict[str, Value] = {}
        self.where: dict[str, Loc] = {}
        self.contexts: list[Any] = []  # enclosing loops and tries, innermost last
        self.blocks: dict[str, list[Snapshot]] = {}  # label of an open block -> where it was left
        self.suspended: dict[str, Value] | None = None  # the names, while another function's body is walked in place
        self.callee: FunctionWalker | None = None  # the walker of that function
        self.returns: list[tuple[Region, Value, Loc, dict[str, Value]]] = []  # with the names at that point
        self.is_entry = False  # the entry's own frame, which walks no body
        self.instance: Instance | None = None  # None when the body is inlined into a caller
        self.called_at: Any = None  # where, if so
        self.call_place: Loc = code.loc  # where it is called, or begins
        self.on_yield: Callable[[Value, Loc], bool] | None = None  # of a generator: what takes the items
        self.lending: dict[str, str] = {}  # of a generator: keys of lent names -> the names of who runs it
        self.lent: frozenset[str] = frozenset()  # the caller's shared names, and the state of its iterators
        self.comprehended: dict[str, Value] = {}  # the names of the comprehensions that are being walked
        self.straight = False  # inlined with no way out but its end: its names hold on after it
        self.unpacked: hir.Expr | None = None  # the value that the statement unpacks
        self.conditions: dict[str, hir.Expr] = {}  # what the names of conditions stand for
        self.result: Declared | None = self._declared_result()

    def _declared_result(self) -> Declared | None:
        if self.code.returns is None or self.code.generator:
            return None
        text = self.code.returns.value  # type: ignore[attr-defined]
        loc = self.code.returns.loc
        annotation = evaluate_annotation(text, self.python, loc, "return", own=self.itself is None)
        return declare(annotation, "return", loc)

    # -- whole functions --------------------------------------------------------------------------

    def enter(self, shared: dict[str, Value]) -> dict[str, str]:
        """Begin to run, with the shared names of the functions around; gives the keys of the own ones."""
        own = self.own_keys()
        around = self.itself.type.shared if isinstance(self.itself, Agg) else ()  # type: ignore[union-attr]
        self.keys = dict(around) | own
        for n in self.code.writes - self.keys.keys():
            raise GlobalAssignment(self.code.loc, name=n, scope="nonlocal")
        self.vars = dict(shared)
        self.lent = frozenset(shared)
        self.interp.frames.append(self)
        return own

    def bind_parameters(self, values: list[Value]) -> None:
        for p, declared, value in zip(self.code.params, self.declared, values, strict=True):
            self.b.loc = p.loc
            fitted = fit_parameter(self.b, p, declared, value, self.typevars, self.name)
            self.vars[self.keys.get(p.name, p.name)] = begin(self, fitted)
            self.where[p.name] = p.loc

    def run_instance(self, instance: Instance, values: list[Value]) -> None:
        """Walk the body as a function of its own and fill in the instance."""
        self.instance = instance
        self.enter({})
        try:
            self.bind_parameters(values)
            self.collect_returns()
        finally:
            self.interp.frames.pop()
        self._finish(instance, self.join_returns())

    def run_closure(self, instance: Instance, values: list[Value], shared: dict[str, Value], back: list[str]) -> None:
        """Walk the body of a recursive nested function; it gives back the shared names `back` as well."""
        self.instance = instance
        self.enter(shared)
        try:
            self.bind_parameters(values)
            self.collect_returns()
        finally:
            self.interp.frames.pop()
        spec = with_shared(self.join_returns(), shared, back)
        for i, (region, value, loc, names) in enumerate(self.returns):
            self.returns[i] = (region, shared_results(back, shared, value, names, loc), loc, names)
        self._finish(instance, spec)

    def _finish(self, instance: Instance, spec: Spec) -> None:
        spec = self.interp.settle_result(instance, spec, bool(self.returns))
        if instance.plain or instance.function.recursive:
            spec = without_characters(spec)
        self.interp.frames.append(self)  # conversions may call the library
        for region, value, loc, _ in self.returns:
            with self.at(region, loc):
                self.b.emit(control.return_, tuple(adapt(self.b, value, spec)))
        self.interp.frames.pop()
        instance.endless = not self.returns
        instance.function.results = tuple(spec.leaves())
        instance.result = spec
        if instance.function.recursive:
            self._check_stack(instance)

    def collect_returns(self) -> None:
        dead = self.block(self.code.body)
        if not dead:
            value: Value = Known(None)
            if self.result is not None:
                try:
                    value = fit(self.b, self.result, value, {} if self.result.kind == "typevar" else self.typevars)
                except Misfit:
                    raise MissingReturn(self.code.loc, function=self.name, expected=self.result) from None
            self.returns.append((self.b.region, value, self.code.loc, self.vars))

    def join_returns(self) -> Spec:
        spec: Spec | None = None
        first = self.code.loc
        for _, value, loc, _ in self.returns:
            here = spec_of(value)
            try:
                spec = here if spec is None else join(spec, here)
            except Clash:
                assert spec is not None
                raise ReturnMismatch(
                    loc, (("the other return", first),), function=self.name, found=describe(here),
                    expected=describe(spec), why="is returned elsewhere", hint=returns_hint(),
                ) from None
            first = loc
        return spec or Spec("known", Known(None))

    def _check_stack(self, instance: Instance) -> None:
        attrs = {"exception": RecursionError, "message": "maximum recursion depth exceeded"}
        op = Op(control.check_stack, (), (), attrs, (), self.code.loc)
        instance.function.body.ops.insert(0, op)

    def declared_spec(self) -> Spec | None:
        """The result's spec from the annotation alone, for calls in a cycle."""
        return None if self.result is None else spec_of_declared(self.result, self.typevars)

    # -- places -----------------------------------------------------------------------------------

    @contextmanager
    def at(self, region: Region, loc: Loc | None = None, names: dict[str, Value] | None = None) -> Iterator[None]:
        """Emit into a region; `names` are those of the path that ends there, which its error edges see."""
        saved, saved_loc, saved_names = self.b.region, self.b.loc, self.vars
        self.b.region = region
        if loc is not None:
            self.b.loc = loc
        if names is not None:
            self.vars = dict(names)
        try:
            yield
        finally:
            self.b.region, self.b.loc = saved, saved_loc
            if names is not None:
                self.vars = saved_names

    # -- statements -------------------------------------------------------------------------------

    def block(self, statements: list[hir.Stmt]) -> bool:
        """Run statements; True when control does not come out of them."""
        try:
            for s in statements:
                if self.stmt(s):
                    return True
        except Dead:
            return True
        return False

    def stmt(self, s: hir.Stmt) -> bool:
        self.b.loc = s.loc
        match s:
            case hir.Assign():
                self.unpacked = s.value if isinstance(s.target, tuple) else None
                if s.annotation is not None:
                    value = self._annotated(s)
                else:
                    value = self.expr(s.value)
                self.assign(s.target, value, s.loc)
            case hir.Evaluate():
                foretell_stored(self, s.value)
                self.expr(s.value)
            case hir.If():
                return self._if(s)
            case hir.While():
                return self.while_loop(s)
            case hir.For():
                return self.for_loop(s)
            case hir.Return():
                return self._return(s)
            case hir.Yield():
                value = self.expr(s.value)
                assert self.on_yield is not None
                return self.on_yield(value, s.loc)
            case hir.Break():
                self.leave(s, "break")
                return True
            case hir.Continue():
                self.leave(s, "continue")
                return True
            case hir.Raise():
                self.raise_statement(s)
                return True
            case hir.Try():
                return self.try_statement(s)
            case hir.With():
                return self.with_statement(s)
            case hir.Define():
                self.assign(s.name, self.closure(s.function), s.loc)
            case hir.Block():
                return self._block(s)
            case hir.Leave():
                self.blocks[s.label].append((self.b.region, dict(self.vars)))
                return True
            case hir.Delete():
                self.lookup(s.name, s.loc)
                self.vars[self.keys.get(s.name, s.name)] = Unbound(s.loc, DeletedName(s.loc, name=s.name))
            case hir.Nonlocal():
                pass
        return False

    def _block(self, s: hir.Block) -> bool:
        """Statements that may be left early: a loop that runs once."""
        for name in s.names:
            self.vars[name] = Unbound(s.loc)

        def body(loop: Loop) -> bool:
            self.blocks[s.label] = loop.breaks
            return self.block(s.body)

        return self.run_loop((id(s), "block"), (), s.loc, body, once=True)

    def _annotated(self, s: hir.Assign) -> Value:
        assert isinstance(s.target, str) and isinstance(s.annotation, hir.Literal)
        found = evaluate_annotation(s.annotation.value, self.python, s.loc, s.target, own=False)
        declared = declare(found, s.target, s.loc)
        foretell(self, s.value, spec_of_declared(declared, self.typevars))
        value = self.expr(s.value)
        try:
            return fit(self.b, declared, value, self.typevars)
        except Misfit as m:
            hint = m.hint or "change the annotation or the value"
            raise AssignmentMismatch(
                s.loc, name=s.target, expected=declared, found=describe(value), hint=hint
            ) from None

    def assign(self, target: hir.Target, value: Value, loc: Loc) -> None:
        if isinstance(target, str):
            forget_places(self.vars, target)
            self.vars[self.keys.get(target, target)] = begin(self, value)
            self.where[target] = loc
            return
        assert isinstance(target, tuple)
        star = next((i for i, t in enumerate(target) if isinstance(t, hir.StarTarget)), None)
        after = None if star is None else len(target) - 1 - star
        items = unpack(self, value, len(target) if star is None else star, after, loc)
        for t, v in zip(target, items, strict=True):
            self.assign(t.target if isinstance(t, hir.StarTarget) else t, v, loc)

    def _if(self, s: hir.If) -> bool:
        test = self.condition(s.test)
        if isinstance(test, Known):
            return self.block(s.then if test.value else s.other)
        narrowed = self.narrowings(s.test)

        def then() -> bool:
            self.narrow(narrowed[0])
            return self.block(s.then)

        def other() -> bool:
            self.narrow(narrowed[1])
            return self.block(s.other)

        return self.split(test, (then, other), s.loc)

    def _return(self, s: hir.Return) -> bool:
        if any(c.kind == "parallel" for c in self.contexts):
            raise ParallelExit(s.loc, what="return")
        if s.value is not None:
            foretell(self, s.value, self.declared_spec())
        value: Value = Known(None) if s.value is None else self.expr(s.value)
        self.b.loc = s.loc
        if self.result is not None and value != Known(NotImplemented):
            try:
                value = fit(self.b, self.result, value, self.typevars)
            except Misfit:
                notes = () if self.code.returns is None else (("declared here", self.code.returns.loc),)
                hint = returns_hint(str(self.result), is_optional(value) or value == Known(None))
                raise ReturnMismatch(
                    s.loc, notes, function=self.name, found=describe(value), expected=self.result, why="is declared",
                    hint=hint,
                ) from None
        self._check_escape(value, s.loc)
        if not self.unwind(0):
            self.returns.append((self.b.region, value, s.loc, self.vars))
        return True

    def _check_escape(self, value: Value, loc: Loc) -> None:
        if isinstance(value, Agg) and isinstance(value.type, ty.Lazy | ty.Iterator):
            if self.instance is not None or runs_in(value, self):
                raise IteratorEscapes(loc, type=describe(value), function=self.name)
        if self.instance is None:
            return  # inlined: the storage is the caller's
        if isinstance(value, Agg):
            if isinstance(value.type, ty.StackArray) or (
                isinstance(value.type, ty.Struct) and not value.type.frozen
            ):
                leaf = value.items[0]
                if isinstance(leaf, Var) and leaf not in self.instance.function.params:
                    if isinstance(value.type, ty.Struct):
                        raise NeedsHeap(value.type.cls, loc)
                    raise EscapingReference(loc, what=describe(value), function=self.name)
            if isinstance(value.type, ty.Closure):
                raise ClosureEscapes(loc, detail="a function cannot be returned")
            for item in value.items:
                self._check_escape(item, loc)

    # -- expressions ------------------------------------------------------------------------------

    def expr(self, e: hir.Expr) -> Value:
        self.b.loc = e.loc
        match e:
            case hir.Literal():
                return Known(e.value)
            case hir.Name():
                return self.lookup(e.name, e.loc)
            case hir.Call():
                return self._call(e)
            case hir.IfExp():
                return self.if_expression(e)
            case hir.Bind():
                return self._bind_name(e, self.expr(e.value), self.expr)
            case hir.Lambda():
                return self.closure(e.function)
            case hir.Python():
                return evaluate(self, e.node, e.loc)
            case hir.NamedExpr():
                value = self.expr(e.value)
                self.assign(e.name, value, e.loc)
                return value
            case hir.Comprehension():
                return comprehension(self, e)
        raise UnsupportedSyntax(e.loc, what="a starred expression", hint="write the items out")

    def iterable(self, e: hir.Expr) -> Value:
        """The value of an expression, for who iterates over it and does nothing else."""
        found = pieces(self, e)
        return self.expr(e) if found is None else found

    def arguments(self, args: tuple[hir.Expr, ...]) -> list[Value]:
        """The values of arguments; the items of a starred tuple are arguments of their own."""
        out: list[Value] = []
        for a in args:
            if not isinstance(a, hir.Starred):
                out.append(self.expr(a))
                continue
            value = self.expr(a.value)
            if isinstance(value, Agg) and isinstance(value.type, ty.Tuple):
                out += value.items
            elif isinstance(value, Known) and isinstance(value.value, tuple):
                out += map(Known, value.value)
            else:
                self.b.loc = a.loc
                out.append(Agg(ty.Tuple(2), (Known(hir.Starred), value)))
        return out

    def keywords(self, kwargs: tuple[tuple[str | None, hir.Expr], ...], loc: Loc) -> dict[str, Value]:
        out: dict[str, Value] = {}
        for name, value in kwargs:
            pairs = [(name, value)] if name is not None else _named_items(value)
            if pairs is None:
                raise StarArguments(loc, what="**", where="call", hint="name each parameter")
            for key, v in pairs:
                if key in out:
                    raise StarArguments(loc, what=f"a second '{key}'", where="call", hint="give each parameter once")
                out[key] = self.expr(v)
        return out

    def _bind_name(self, e: hir.Bind, value: Value, walk: Callable[[Any], Value]) -> Value:
        saved = self.vars.get(e.name)
        self.vars[e.name] = value
        self.conditions[e.name] = e.value
        result = walk(e.body)
        if saved is None:
            del self.vars[e.name]
        else:
            self.vars[e.name] = saved
        return result

    def condition(self, e: hir.Expr) -> Known | Var:
        """The truth of an expression; what `and` and `or` combine may be of any types."""
        if isinstance(e, hir.Bind) and isinstance(e.body, hir.IfExp):
            test, then, other = e.body.test, e.body.then, e.body.other
            if any(isinstance(x, hir.Name) and x.name == e.name for x in (then, other)) and (
                isinstance(test, hir.Name) and test.name == e.name
            ):
                part = self._bind_name(e, self.condition(e.value), lambda x: self.if_expression(x, self.condition))
                return truth(self.b, part)
        value = self.expr(e)
        self.b.loc = e.loc
        return truth(self.b, value)

    def _call(self, e: hir.Call) -> Value:
        callee = e.callee.value if isinstance(e.callee, hir.Literal) else _MISSING
        if callee is _MISSING:
            target = self.expr(e.callee)
            if isinstance(target, Known) and any(target.value is f for f in _ITERATING) and not _has_starred(e.args):
                args = [self.iterable(a) for a in e.args]
            else:
                args = self.arguments(e.args)
            kwargs = self.keywords(e.kwargs, e.loc)
            if any(isinstance(a, Agg) and a.items[:1] == (Known(hir.Starred),) for a in args):
                from sapwood.lang.infer.iteration.spread import call_spread

                return call_spread(self, target, args, kwargs, e.loc, self.unpacked is e)
            self.b.loc = e.loc
            return self.call(target, args, kwargs, e.loc)
        if callee in (operator.is_, operator.is_not) and self.is_caught(e.args[0]):
            if isinstance(e.args[1], hir.Literal) and e.args[1].value is None:
                return Known(callee is operator.is_not)
        if callee in (operator.eq, operator.ne):
            sliced = self._compare_slice(e)
            if sliced is not None:
                return sliced
        args = self.arguments(e.args)
        self.b.loc = e.loc
        result = self.apply_operator(callee, args, e.loc)
        if callee in (operator.setitem, setattr, operator.delitem) and isinstance(e.args[0], hir.Name):
            forget_places(self.vars, e.args[0].name)
        elif callee in (operator.getitem, getattr) and is_optional(result) and place_name(e) in self.vars:
            return require_some(self, result, TypeError, "None where a test before has found something else")
        return result

    def _compare_slice(self, e: hir.Call) -> Value | None:
        """`s[i:j] == t` of texts, which needs no slice; None if it is something else."""
        match e.args:
            case (
                hir.Call(
                    callee=hir.Literal(value=operator.getitem),
                    args=(x, hir.Call(callee=hir.Literal(value=builtins.slice)) as index),
                ) as first,
                second,
            ):
                pass
            case _:
                return None
        from sapwood.lang.infer.text.strings import is_text, slice_equal

        values = [self.expr(x), self.expr(index)]
        self.b.loc = first.loc
        step = values[1].items[3] if isinstance(values[1], Agg) else None
        if is_text(values[0]) and step == Known(None):
            other = self.expr(second)
            self.b.loc = e.loc
            if is_text(other):
                same = slice_equal(self, values[0], values[1], other)
                return same if e.callee.value is operator.eq else logical_not(self.b, same)  # type: ignore[attr-defined]
            part = self.apply_operator(operator.getitem, values, first.loc)
        else:
            part = self.apply_operator(operator.getitem, values, first.loc)
            other = self.expr(second)
        self.b.loc = e.loc
        return self.apply_operator(e.callee.value, [part, other], e.loc)  # type: ignore[attr-defined]
