"""Nested functions: what they capture, how they are called, and names that they share with the functions around.

A nested function is compiled into its callers: its body is walked in place. A captured name that is assigned once is
captured as a value. A *shared* name (front/scopes.py) lies among the names of whoever runs at the moment, under a key
of its own (`total&2.14.8`), so that branches and loops carry it like any other name, and a nested function that is
called from wherever reads and assigns it there. Recursive nested functions are compiled as functions: they get what
they captured, and the shared names, as further parameters, and give back those shared names that are assigned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.declared import Bindings
from sapwood.lang.errors import (
    ClosureEscapes,
    CompileError,
    Loc,
    MaybeUnbound,
    RecursionNeedsReturnType,
    RecursiveSharedType,
)
from sapwood.lang.front import hir
from sapwood.lang.front.names import walk_statements
from sapwood.lang.infer.adapt import adapt
from sapwood.lang.infer.builder import Builder
from sapwood.lang.infer.fit import fit_parameter
from sapwood.lang.infer.heap import Dead
from sapwood.lang.infer.interpreter import Instance, declare_parameters
from sapwood.lang.infer.iteration.adapters import lazy
from sapwood.lang.infer.iteration.generator_functions import GeneratorCode
from sapwood.lang.infer.iteration.generators import STATE
from sapwood.lang.infer.loops import Loop
from sapwood.lang.infer.names import MARK, WRITTEN, is_shared, is_written, plain_name
from sapwood.lang.ir.ssa import Function, Region, Var
from sapwood.lang.join import Clash, join, storable
from sapwood.lang.ops import control
from sapwood.lang.values import Agg, Known, Spec, Unbound, Value, describe, leaves_of, rebuild, spec_of

if TYPE_CHECKING:
    from sapwood.lang.infer.interpreter import Interpreter
    from sapwood.lang.infer.walker import FunctionWalker


class ClosureMixin:
    """Nested functions of a FunctionWalker."""

    if TYPE_CHECKING:
        b: Builder
        interp: Interpreter
        vars: dict[str, Value]
        captured: dict[str, Value]
        typevars: Bindings
        python: Any
        code: hir.FunctionDef
        keys: dict[str, str]
        itself: Value | None
        callee: FunctionWalker | None
        suspended: dict[str, Value] | None

        def expr(self, e: hir.Expr) -> Value: ...
        def lookup(self, name: str, loc: Loc) -> Value: ...
        def run_loop(self, key: Any, names: Any, loc: Loc, body: Any, once: bool = False) -> bool: ...
        def bind_arguments(
            self, code: hir.FunctionDef, name: str, args: list[Value], kwargs: dict[str, Value],
            defaults: dict[str, Value], loc: Loc,
        ) -> list[Value]: ...  # fmt: skip

    # -- shared names -----------------------------------------------------------------------------

    def own_keys(self) -> dict[str, str]:
        """Keys of the names that this function shares with those inside it."""
        place = f"{len(self.interp.frames)}.{self.code.loc.line}.{self.code.loc.col}"
        return {n: f"{n}{WRITTEN if n in self.code.written else MARK}{place}" for n in self.code.shared}

    def shared(self) -> dict[str, Value]:
        """What a function that runs in place can change: the shared names of all that run, and their iterators."""
        return {n: v for n, v in self.vars.items() if MARK in n or n.startswith(STATE)}

    # -- definition -------------------------------------------------------------------------------

    def closure(self, code: hir.FunctionDef) -> Value:
        """A nested function: its defaults, the values of names that it captures, and the keys of shared ones."""
        names: list[str] = []
        values: list[Value] = []
        shared: list[tuple[str, str]] = []
        for p in code.params:
            if p.default is not None:
                names.append(f"={p.name}")
                values.append(self.expr(p.default))
        for name in sorted(code.free):
            if name in self.keys:
                shared.append((name, self.keys[name]))
            elif name == code.name and name in self.code.locals:
                continue
            elif name in self.vars or name in self.captured or name in self.code.locals:
                names.append(name)
                values.append(self.lookup(name, code.loc))
            elif self.itself is not None and name == self.code.name:
                names.append(name)
                values.append(self.itself)
        self.interp.closure_scopes[code] = (self.python, self.typevars)
        return Agg(ty.Closure(code, tuple(names), tuple(shared)), tuple(values))

    # -- calls ------------------------------------------------------------------------------------

    def call_closure(self, target: Agg, args: list[Value], kwargs: dict[str, Value], loc: Loc) -> Value:
        assert isinstance(target.type, ty.Closure)
        code = target.type.code
        defaults = {n[1:]: v for n, v in zip(target.type.names, target.items, strict=True) if n[0] == "="}
        values = self.bind_arguments(code, code.name, args, kwargs, defaults, loc)
        if code.generator:
            return self._generator(target, values)
        try:
            if self._recursive(code):
                return self._call_recursive(target, values, loc)
            return self._inline_closure(target, values, loc)
        except CompileError as e:
            if "$" not in code.name:  # one of the compiler's own (front/memoised.py)
                e.called_from(f"{code.name}({', '.join(map(describe, values))})", loc)
            raise

    def _generator(self, target: Agg, values: list[Value]) -> Value:
        assert isinstance(target.type, ty.Closure)
        code = target.type.code
        python, typevars = self.interp.closure_scopes[code]
        captured = dict(zip(target.type.names, target.items, strict=True))
        declared = declare_parameters(code, python, nested=True)
        run = GeneratorCode(code, python, declared, captured, self.b.unchecked, typevars, target)
        return lazy("generator function", *values, code=run)

    def _recursive(self, code: hir.FunctionDef) -> bool:
        if code.name in code.free and self.interp.kernel is None:
            return True
        for walker in reversed(self.interp.frames):
            if walker.code is code:
                return self.interp.kernel is None
            if walker.instance is not None:
                break
        return False

    def _inline_closure(self, target: Agg, values: list[Value], loc: Loc) -> Value:
        assert isinstance(target.type, ty.Closure)
        code = target.type.code
        python, typevars = self.interp.closure_scopes[code]
        declared = declare_parameters(code, python, nested=True)
        captured = dict(zip(target.type.names, target.items, strict=True))
        return self.inline(code, python, declared, values, captured, self.b.unchecked, loc, typevars, itself=target)

    def inline(
        self,
        code: hir.FunctionDef,
        python: Any,
        declared: list[Any],
        values: list[Value],
        captured: dict[str, Value],
        unchecked: bool,
        loc: Loc,
        typevars: Bindings | None = None,
        itself: Value | None = None,
    ) -> Value:
        """Walk a function's body in place. A single return at its end needs no block around it."""
        from sapwood.lang.infer.walker import FunctionWalker

        inner = FunctionWalker(self.interp, self.b, code, python, declared, code.name, captured, typevars, itself)
        inner.called_at = (loc.line, loc.col)
        inner.call_place = loc
        inner.straight = _straight(code.body)
        saved = self.b.unchecked
        self.b.unchecked = unchecked
        self.interp.enter_inline(code.name, loc)
        around = self.shared()
        own = inner.enter(around)
        callee, self.callee = self.callee, inner
        try:
            inner.bind_parameters(values)
            if inner.straight:
                inner.collect_returns()
                if not inner.returns:
                    raise Dead
                result = inner.returns[0][1]
                self.vars.update(_given_back(inner.returns[0][3], around, own))
            else:
                result = self._inline_block(inner, around, own, loc)
            _check_escape(result, self.vars, own, code.name, loc)
            return result
        finally:
            self.callee = callee
            self.interp.frames.pop()
            self.interp.leave_inline()
            self.b.unchecked = saved
            self.b.loc = loc

    def _inline_block(
        self, inner: FunctionWalker, around: dict[str, Value], own: dict[str, str], loc: Loc
    ) -> Value:
        outer, suspended = self.vars, self.suspended

        def body(loop: Loop) -> bool:
            inner.returns = []
            inner.collect_returns()
            for region, value, _, names in inner.returns:
                loop.breaks.append((region, {"return": value, **_given_back(names, around, own)}))
            return True

        self.vars = dict(around)
        self.suspended = outer if suspended is None else suspended
        try:
            if self.run_loop((id(inner.code), "call"), ["return"], loc, body, once=True):
                raise Dead  # it never returns
            result = self.vars
        finally:
            self.vars, self.suspended = outer, suspended
        value = result.pop("return", Known(None))
        self.vars.update(result)
        if isinstance(value, Unbound) and value.error is not None:
            raise value.error
        return value

    # -- recursion --------------------------------------------------------------------------------

    def _call_recursive(self, target: Agg, values: list[Value], loc: Loc) -> Value:
        """A call of a nested function that calls itself: a function with the captured values as parameters."""
        assert isinstance(target.type, ty.Closure)
        code = target.type.code
        python, typevars = self.interp.closure_scopes[code]
        declared = declare_parameters(code, python, nested=True)
        bindings = dict(typevars)
        pairs = zip(code.params, declared, values, strict=True)
        fitted = [fit_parameter(self.b, p, d, v, bindings, code.name) for p, d, v in pairs]
        fitted = [_settled(self.b, v) for v in fitted]
        shared = {n: _settled(self.b, v) for n, v in self.vars.items() if is_shared(n) and not isinstance(v, Unbound)}
        arguments = [target, *fitted, *shared.values()]
        instance = self._closure_instance(target, fitted, shared, declared)
        spec = instance.result
        if spec is None:
            walker = next(w for w in reversed(self.interp.frames) if w.instance is instance)
            found = walker.declared_spec()
            spec = None if found is None else with_shared(found, shared, list(filter(is_written, shared)))
        if spec is None:
            spec = self.interp.expected_result(instance, self, RecursionNeedsReturnType(loc, function=code.name))
        operands = tuple(leaf for v in arguments for leaf in leaves_of(v))
        self.b.loc = loc
        results = self.b.emit(control.call, operands, tuple(spec.leaves()), {"function": instance.function})
        result = rebuild(spec, iter(results))
        assert isinstance(result, Agg)
        self.vars.update(zip(list(filter(is_written, shared)), result.items[1:], strict=True))
        return result.items[0]

    def _closure_instance(
        self, target: Agg, values: list[Value], shared: dict[str, Value], declared: list[Any]
    ) -> Instance:
        from sapwood.lang.infer.walker import FunctionWalker
        from sapwood.lang.loading.fingerprint import symbol_text

        assert isinstance(target.type, ty.Closure)
        code = target.type.code
        specs = tuple(spec_of(v) for v in (target, *values, *shared.values()))
        key = (code, specs, tuple(shared))
        known = self.interp.known(key)
        if known is not None:
            return known
        python, typevars = self.interp.closure_scopes[code]
        params = [Var(t) for s in specs for t in s.leaves()]
        leaves = iter(params)
        inside = [rebuild(s, leaves) for s in specs]
        closure = inside[0]
        assert isinstance(closure, Agg)
        body = Region()
        function = Function(self.interp.name(symbol_text(code.name)), tuple(params), (), body, "host", code.loc)
        instance = Instance(code, specs, function, key)
        builder = Builder(self.interp, body)
        builder.unchecked = self.b.unchecked
        captured = dict(zip(target.type.names, closure.items, strict=True))
        walker = FunctionWalker(
            self.interp, builder, code, python, declared, code.name, captured, typevars, itself=closure
        )
        start = dict(zip(shared, inside[1 + len(values) :], strict=True))
        with self.interp.walking(instance):
            walker.run_closure(instance, inside[1 : 1 + len(values)], start, list(filter(is_written, shared)))
        return instance


def _settled(b: Any, value: Value) -> Value:
    """Literals as values of their run-time types: a recursive call passes others."""
    spec = storable(spec_of(value))
    return rebuild(spec, iter(adapt(b, value, spec)))


def _given_back(names: dict[str, Value], around: dict[str, Value], own: dict[str, str]) -> dict[str, Value]:
    """Those of the names of a function that has ended which go on after it."""
    gone = set(own.values())
    return {n: v for n, v in names.items() if n in around or MARK in n and n not in gone}


def with_shared(result: Spec, shared: dict[str, Value], back: list[str]) -> Spec:
    """The result of a recursive nested function: its value, then the shared names that it gives back."""
    items = (result, *(spec_of(shared[n]) for n in back))
    return Spec("agg", ty.Tuple(len(items)), items)


def shared_results(
    back: list[str], start: dict[str, Value], value: Value, end: dict[str, Value], loc: Loc
) -> Value:
    """The value and the shared names at a return; these keep the types that they had at the call."""
    items: list[Value] = [value]
    for n in back:
        now, before = end[n], spec_of(start[n])
        if isinstance(now, Unbound):
            raise now.error or MaybeUnbound(loc, name=plain_name(n))
        try:
            after = join(before, spec_of(now))
        except Clash:
            after = None
        if after != before:
            name = plain_name(n)
            raise RecursiveSharedType(loc, name=name, before=describe(before), after=describe(now))
        items.append(now)
    return Agg(ty.Tuple(len(items)), tuple(items))


def _check_escape(result: Value, names: dict[str, Value], own: dict[str, str], name: str, loc: Loc) -> None:
    """A nested function cannot outlive the names that it shares."""
    gone = set(own.values())

    def visit(value: Value) -> None:
        if isinstance(value, Agg):
            if isinstance(value.type, ty.Closure):
                for n, key in value.type.shared:
                    if key in gone:
                        detail = f"'{value.type.code.name}' shares '{n}' with '{name}', which has returned"
                        raise ClosureEscapes(loc, detail=detail)
            for item in value.items:
                visit(item)

    if gone:
        visit(result)
        for n, v in names.items():
            if is_shared(n):
                visit(v)


def _straight(body: list[hir.Stmt]) -> bool:
    """Whether the only `return` is the last statement (or there is none)."""
    if body and isinstance(body[-1], hir.Return):
        body = body[:-1]
    return not any(isinstance(s, hir.Return | hir.Raise) for s in walk_statements(body))
