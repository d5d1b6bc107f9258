"""Exceptions: `raise`, `try`, `with`.

While the body of a try is walked, the builder notes the names of the function at every operation that may raise
(`Guard`). When the body is done, the values that a name has at those places meet in the parameters of the handler, as
those of the two sides of an `if` do. A `finally` block is walked anew for each way out of its try: the end of the
body, each `break`, `continue` and `return`, and an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.declared import ANY
from sapwood.lang.errors import BadOperand, CompileError, Loc, MaybeUnbound, RaiseNeedsException
from sapwood.lang.errors.exceptions import (
    ExceptNeedsClass,
    LocalException,
    NoActiveException,
    NotContextManager,
)
from sapwood.lang.front import hir
from sapwood.lang.infer.adapt import adapt, fresh
from sapwood.lang.infer.border import box, get_attr
from sapwood.lang.infer.heap import Dead
from sapwood.lang.infer.loops import Context
from sapwood.lang.infer.python_objects import call_object
from sapwood.lang.infer.text.characters import is_character
from sapwood.lang.ir.ssa import Op, Region
from sapwood.lang.ops import control
from sapwood.lang.ops import exceptions as ops
from sapwood.lang.ops.objects import OBJECT, constant_object
from sapwood.lang.ops.operators import truth
from sapwood.lang.types import BOOL
from sapwood.lang.values import Agg, Known, Unbound, Value, Var, describe
from sapwood.runtime.errors import as_cause, exception_class, raise_object

if TYPE_CHECKING:
    from sapwood.lang.infer.builder import Builder

Walk = Callable[[], bool]  # emits something; True when control does not come out of it


@dataclass(eq=False)
class Guard:
    """The body of a try that is being walked: what its owner's names hold at each operation that may raise.

    Loops walk their bodies several times; operations of the walks that were given up are never looked at.
    """

    walker: Any
    names: dict[Op, dict[str, Value]] = field(default_factory=dict)

    def record(self, op: Op) -> None:
        self.names[op] = dict(self.walker.visible())


class ExceptionMixin:
    """The exception statements of a FunctionWalker."""

    if TYPE_CHECKING:
        b: Builder
        interp: Any
        name: str
        vars: dict[str, Value]
        where: dict[str, Loc]
        contexts: list[Context]

        def at(self, region: Region, loc: Loc | None = None, names: Any = None) -> Any: ...
        def block(self, statements: list[hir.Stmt]) -> bool: ...
        def expr(self, e: hir.Expr) -> Value: ...
        def assign(self, target: hir.Target, value: Value, loc: Loc) -> None: ...
        def arguments(self, args: Any) -> list[Value]: ...
        def keywords(self, kwargs: Any, loc: Loc) -> dict[str, Value]: ...
        def call(self, target: Value, args: list[Value], kwargs: dict[str, Value], loc: Loc) -> Value: ...
        def bind_arguments(
            self, code: Any, name: str, args: Any, kwargs: Any, defaults: Any, loc: Loc
        ) -> list[Value]: ...
        def inline(
            self, code: Any, python: Any, declared: Any, values: Any, captured: Any, unchecked: bool, loc: Loc
        ) -> Value: ...
        def method_of(self, value: Value, name: str) -> Value | None: ...
        def meet(self, before: Any, paths: Any, loc: Loc, places: Any = None) -> Any: ...
        def merge(
            self, before: Any, live: Any, loc: Loc, terminator: Any, attrs: Any, places: Any = None
        ) -> tuple[dict[str, Value], tuple[Var, ...]]: ...
        def split(self, test: Known | Var, ways: tuple[Walk, Walk], loc: Loc) -> bool: ...

    # -- the try operation ------------------------------------------------------------------------

    def protect(self, body: Walk, handler: Walk, after: Walk | None, loc: Loc) -> bool:
        """Emit a try: exceptions of `body` go to `handler`. `after` follows the body's end; its own do not."""
        before, where = self.vars, dict(self.where)
        guard, outer = Guard(self), self.b.guard
        region, catch = Region(), Region()
        live: list[tuple[Region, dict[str, Value]]] = []
        places: list[dict[str, Loc]] = []
        self.vars = dict(before)
        with self.at(region):
            self.b.guard = guard
            try:
                dead = _ends(body)
            finally:
                self.b.guard = outer
            if not (dead or after is not None and _ends(after)):
                live.append((region, self.vars))
                places.append(self.where)
        self.where = {**where, **self.where}
        self.vars, catch.params = self._at_handler(guard, region, before, loc)
        with self.at(catch, loc):
            if not _ends(handler):
                live.append((catch, self.vars))
                places.append(self.where)
        self.b.loc = loc
        self.vars, results = self.merge(before, live, loc, control.yield_, {}, places)
        self.b.append(Op(ops.try_, (), results, {"id": guard}, (region, catch), loc))
        return not live

    def _at_handler(
        self, guard: Guard, body: Region, before: dict[str, Value], loc: Loc
    ) -> tuple[dict[str, Value], tuple[Var, ...]]:
        """Names where the handler begins, and the parameters that they need; completes the error edges."""
        edges = [op for op in body.walk() if op in guard.names]
        if not edges:
            return dict(before), ()
        names, moved = self.meet(before, [guard.names[op] for op in edges], loc)
        names = {n: v for n, v in names.items() if n[0] != "@" or n in before}  # iterations of the body have ended
        params: list[Var] = []
        for n, spec in moved:
            names[n], leaves = fresh(spec, n.lstrip("$"))
            params += leaves
        conversions: dict[Op, list[Op]] = {}
        for op in edges:
            values, block = guard.names[op], Region()
            with self.at(block, op.loc, values):
                op.edge = tuple(leaf for n, spec in moved for leaf in adapt(self.b, values[n], spec))
            op.handler = guard
            if block.ops:
                conversions[op] = block.ops
        if conversions:
            _insert(body, conversions)
        return names, tuple(params)

    # -- ways out ---------------------------------------------------------------------------------

    def unwind(self, depth: int) -> bool:
        """Run what stands between here and the first `depth` contexts: `finally` blocks and ends of handlers. True if
        one of them leaves in a way of its own."""
        contexts, guard = self.contexts, self.b.guard
        dead = False
        try:
            while len(self.contexts) > depth and not dead:
                self.contexts, context = self.contexts[:-1], self.contexts[-1]
                if context.unwind is not None:
                    self.b.guard = context.guard
                    dead = context.unwind()
        finally:
            self.contexts, self.b.guard = contexts, guard
        return dead

    def _inside(self, context: Context, body: Walk) -> bool:
        self.contexts.append(context)
        try:
            return body()
        finally:
            self.contexts.pop()

    # -- try --------------------------------------------------------------------------------------

    def try_statement(self, s: hir.Try) -> bool:
        def body() -> bool:
            if not s.handlers:
                return self.block(s.body)
            other = (lambda: self.block(s.other)) if s.other else None
            return self.protect(lambda: self.block(s.body), lambda: self._handlers(s.handlers), other, s.loc)

        if not s.final:
            return body()

        def final() -> bool:
            return self.block(s.final)

        def handler() -> bool:
            record = self._catch()
            return self.while_handling(record, final, lambda: self._reraise(record), s.loc)

        context = Context("final", unwind=final, guard=self.b.guard)
        return self.protect(lambda: self._inside(context, body), handler, final, s.loc)

    def _handlers(self, handlers: list[hir.Handler]) -> bool:
        if not handlers:
            return self._reraise(None)
        first, rest = handlers[0], handlers[1:]
        classes = self._handled(first)
        self.b.loc = first.loc
        if BaseException in classes:
            return self._handler(first)
        if not classes:
            return self._handlers(rest)
        test = self.b.emit1(ops.error_matches, (), BOOL, classes=classes)
        return self.split(test, (lambda: self._handler(first), lambda: self._handlers(rest)), first.loc)

    def _handled(self, h: hir.Handler) -> tuple[type[BaseException], ...]:
        """The classes that a handler names."""
        if h.type is None:
            return (BaseException,)
        value = self.expr(h.type)
        found: Any = value.value if isinstance(value, Known) else None
        classes: tuple[Any, ...] = found if isinstance(found, tuple) else (found,)
        for c in classes:
            if not (isinstance(c, type) and issubclass(c, BaseException)):
                raise ExceptNeedsClass(h.type.loc, found=describe(value if classes == (found,) else Known(c)))
        return classes

    def _handler(self, h: hir.Handler) -> bool:
        record = self._catch()
        if h.name is not None:
            self.assign(h.name, Agg(ty.Caught(), (record,)), h.loc)
        return self.while_handling(record, lambda: self.block(h.body), None, h.loc, h.name)

    def _catch(self) -> Var:
        return self.b.emit1(ops.catch_error, (), ops.RECORD)

    def _reraise(self, record: Var | None, keep: bool = False) -> bool:
        operands = () if record is None else (record,)
        self.b.emit(ops.reraise, operands, (), {"keep": True} if keep else {})
        return True

    def while_handling(self, record: Var, body: Walk, end: Walk | None, loc: Loc, name: str | None = None) -> bool:
        """Walk `body` while the exception in `record` is being handled. It becomes the context of one that `body`
        raises; else `end` says what becomes of it. `name` is that of the exception, and ends with the handler."""

        def forget() -> None:
            if name is not None:
                self.vars[name] = Unbound(loc, MaybeUnbound(loc, (("the handler ended here", loc),), name=name))

        def swallow() -> bool:
            self.b.emit(ops.discard_error, (record,))
            forget()
            return False

        def replaced() -> bool:
            self.b.emit(ops.error_context, (record,))
            forget()
            return self._reraise(None)

        context = Context("handler", unwind=swallow, guard=self.b.guard, caught=record)

        def inside() -> bool:
            context.inner = self.b.guard
            return self._inside(context, body)

        caught = self.b.region.ops[-1]  # what the record came from: nothing stands between
        dead = self.protect(inside, replaced, end or swallow, loc)
        handled = self.b.region.ops[-1].regions[0]
        if caught.op is ops.catch_error and not any(map(_may_write, handled.walk())):
            caught.attrs["in_place"] = True
        return dead

    # -- with -------------------------------------------------------------------------------------

    def with_statement(self, s: hir.With) -> bool:
        if self._is_suppress(s.context):
            return self._suppress(s)
        manager = self.expr(s.context)
        loc = self.b.loc = s.context.loc
        enter, exit = self.method_of(manager, "__enter__"), self.method_of(manager, "__exit__")
        if enter is None or exit is None:
            missing = "__enter__" if enter is None else "__exit__"
            raise NotContextManager(loc, type=describe(manager), missing=missing)
        entered = self.call(enter, [], {}, loc)
        assert isinstance(exit, Agg)

        def final() -> bool:
            self._exit(exit, None, loc)
            return False

        def body() -> bool:
            if s.target is not None:
                self.assign(s.target, entered, s.loc)
            return self.block(s.body)

        def handler() -> bool:
            record = self._catch()
            swallow: list[Known | Var] = []

            def leave() -> bool:
                swallow.append(truth(self.b, self._exit(exit, record, loc)))
                return False

            def end() -> bool:
                test = swallow[-1]
                if isinstance(test, Known):
                    return self._discard(record) if test.value else self._reraise(record)
                return self.split(test, (lambda: self._discard(record), lambda: self._reraise(record)), loc)

            return self.while_handling(record, leave, end, loc)

        context = Context("final", unwind=final, guard=self.b.guard)
        return self.protect(lambda: self._inside(context, body), handler, final, s.loc)

    def _is_suppress(self, e: hir.Expr) -> bool:
        """Whether it is `suppress(...)`, whose arguments are classes, which no value of run time can tell."""
        if not isinstance(e, hir.Call):
            return False
        place = e.callee
        while isinstance(place, hir.Call) and isinstance(place.callee, hir.Literal) and place.callee.value is getattr:
            place = place.args[0]
        return isinstance(place, hir.Name) and self.expr(e.callee) == Known(suppress)

    def _suppress(self, s: hir.With) -> bool:
        assert isinstance(s.context, hir.Call)
        loc = s.context.loc
        if s.target is not None:
            self.assign(s.target, Known(None), s.loc)
        classes = hir.Call(loc, hir.Literal(loc, hir.make_tuple), s.context.args)
        return self.try_statement(hir.Try(s.loc, s.body, [hir.Handler(loc, classes, None, [])], [], []))

    def _exit(self, exit: Agg, record: Var | None, loc: Loc) -> Value:
        """Call `__exit__` in place, with the exception in `record`. Its parameters may be annotated with any type."""
        from sapwood.lang.infer.calls import defaults_of

        function: Any = exit.type.function  # type: ignore[attr-defined]
        code = self.interp.hir(function)
        parts = ("class", "exception", "traceback")
        given: list[Value] = [Known(None) if record is None else Agg(ty.Caught(p), (record,)) for p in parts]
        self.b.loc = loc
        name = function.__wrapped__.__name__
        values = self.bind_arguments(code, name, [exit.items[0], *given], {}, defaults_of(function), loc)
        unchecked = function.options.unchecked
        try:
            return self.inline(code, function.__wrapped__, [ANY] * len(values), values, {}, unchecked, loc)
        except CompileError as e:
            e.called_from(f"{name}({', '.join(map(describe, values))})", loc)
            raise

    def _discard(self, record: Var) -> bool:
        self.b.emit(ops.discard_error, (record,))
        return False

    # -- raise ------------------------------------------------------------------------------------

    def raise_statement(self, s: hir.Raise) -> None:
        if s.exception is None:
            self._raise_again(self._handling(s.loc), s.loc)
            return
        caught = self._caught(s.exception)
        if caught is not None and s.cause is None:
            self._raise_again(caught, s.loc)
            return
        made = self._new_exception(s.exception)
        if not isinstance(made, tuple):
            self._raise_object(made, s)
            return
        attrs, operands = made
        if s.cause is not None:
            attrs["cause"], cell = self._cause(s.cause)
            operands += cell
        self.b.loc = s.loc
        self.b.emit(control.raise_, operands, (), attrs)

    def _raise_object(self, error: Value, s: hir.Raise, cause: Value | None = None) -> None:
        """Raise a Python object."""
        if cause is None and s.cause is not None:
            cause = self.expr(s.cause)
        self.b.loc = s.loc
        call_object(self, constant_object(self.b, raise_object), [error] if cause is None else [error, cause], {})
        unreachable = {"exception": SystemError, "parts": [{"value": "raise did not raise"}]}
        self.b.emit(control.raise_, (), (), unreachable)

    def _handling(self, loc: Loc) -> Var:
        for context in reversed(self.contexts):
            if context.caught is not None:
                return context.caught
        raise NoActiveException(loc)

    def _raise_again(self, record: Var, loc: Loc) -> None:
        """Raise what a handler around this place has caught."""
        context = next((c for c in reversed(self.contexts) if c.caught is not None), None)
        self.b.loc = loc
        if context is None or context.caught is not record or self.b.guard is not context.inner:
            self._reraise(record, keep=True)
            return
        guard, self.b.guard = self.b.guard, context.guard  # straight out of its handler
        self._reraise(record)
        self.b.guard = guard

    def _caught(self, e: hir.Expr) -> Var | None:
        """The record of a caught exception that an expression names."""
        value = self.vars.get(e.name) if isinstance(e, hir.Name) else None
        if isinstance(value, Agg) and isinstance(value.type, ty.Caught):
            assert isinstance(value.items[0], Var)
            return value.items[0]
        return None

    def caught_object(self, value: Agg) -> Value:
        """A caught exception, its class or its traceback as a Python object."""
        assert isinstance(value.type, ty.Caught)
        error = self.b.emit1(ops.error_object, (value.items[0],), OBJECT)  # type: ignore[arg-type]
        attribute = {"class": "__class__", "traceback": "__traceback__"}.get(value.type.part)
        return error if attribute is None else get_attr(self, error, attribute)

    def is_caught(self, e: hir.Expr) -> bool:
        """Whether an expression is the name of a caught exception (which is not None)."""
        value = self.vars.get(e.name) if isinstance(e, hir.Name) else None
        return isinstance(value, Agg) and isinstance(value.type, ty.Caught)

    def _cause(self, e: hir.Expr) -> tuple[str, tuple[Var, ...]]:
        """What `from` names: the attribute `cause` and its operand."""
        caught = self._caught(e)
        if caught is not None:
            return "cell", self.b.emit(ops.share_error, (caught,), (ops.CELL,))
        if isinstance(e, hir.Literal) and e.value is None:
            return "none", ()
        made = self._new_exception(e)
        if not isinstance(made, tuple):
            cause = call_object(self, constant_object(self.b, as_cause), [made], {})
            return "cell", self.b.emit(ops.object_cell, (cause,), (ops.CELL,))
        attrs, operands = made
        return "cell", self.b.emit(ops.new_error, operands, (ops.CELL,), attrs)

    def new_exception(self, cls: type[BaseException], args: list[Value], kwargs: dict[str, Value]) -> Value:
        """An exception that is made and not raised: a Python object."""
        return call_object(self, constant_object(self.b, cls), args, kwargs)

    def _new_exception(self, e: hir.Expr) -> tuple[dict[str, Any], tuple[Var, ...]] | Value:
        """Attributes and operands of an operation that makes the exception of an expression `Class(...)`; of any
        other expression its value, an object."""
        args: list[Value] = []
        kwargs: dict[str, Value] = {}
        cls = self.expr(e.callee if isinstance(e, hir.Call) else e)
        exception = cls.value if isinstance(cls, Known) else None
        if not (isinstance(exception, type) and issubclass(exception, BaseException)):
            if isinstance(e, hir.Call):
                args, kwargs = self.arguments(e.args), self.keywords(e.kwargs, e.loc)
                self.b.loc = e.loc
                cls = self.call(cls, args, kwargs, e.loc)
            if isinstance(cls, Var) and cls.type == OBJECT:
                return cls
            if isinstance(cls, Known) and isinstance(cls.value, BaseException):
                return constant_object(self.b, cls.value)
            raise RaiseNeedsException(e.loc, found=describe(cls))
        if isinstance(e, hir.Call):
            args, kwargs = self.arguments(e.args), self.keywords(e.kwargs, e.loc)
        if exception_class(ops.class_name(exception)) is not exception:
            raise LocalException(e.loc, name=exception.__qualname__)
        self.b.loc = e.loc
        return self._attributes(exception, args, kwargs)

    def _attributes(
        self, exception: type[BaseException], args: list[Value], kwargs: dict[str, Value]
    ) -> tuple[dict[str, Any], tuple[Var, ...]]:
        operands: list[Var] = []
        attrs: dict[str, Any] = {"exception": exception, "parts": [self._part(a, operands) for a in args]}
        if kwargs:
            attrs["keywords"] = {k: self._part(v, operands) for k, v in kwargs.items()}
        if len(operands) > control.RAISE_LIMIT:
            detail = f"{len(operands)} run-time values in an exception; the limit is {control.RAISE_LIMIT}"
            raise BadOperand(self.b.loc, function="raise", detail=detail, hint="show fewer of them")
        return attrs, tuple(operands)

    def _part(self, value: Value, operands: list[Var]) -> Any:
        """An argument of an exception as make_exception reads it; run-time values go to the operands."""
        match value:
            case Known(value=tuple() as items):
                return {"tuple": [self._part(Known(i), operands) for i in items]}
            case Known(value=Enum()):
                pass
            case Known(value=str() | int() | float() | None as plain):
                return {"value": plain}
            case Agg(type=ty.Tuple(), items=items):
                return {"tuple": [self._part(i, operands) for i in items]}
            case Agg(type=ty.Line(), items=items):
                return {"text": [self._part(i, operands) for i in items]}
            case Agg(type=ty.Shown(spec=spec), items=(Var() as x,)):
                operands.append(x)
                return {"spec": spec}
        if is_character(value):
            value = self.b.materialize(value)
        plain = isinstance(value, Var) and (isinstance(value.type, ty.Scalar) or value.type == ty.Ref(ty.Str()))
        operands.append(value if plain else box(self, value))  # type: ignore[arg-type]
        return None


def _may_write(op: Op) -> bool:
    """Whether an operation may fill in the error record: all that raise, but what goes on with the same exception."""
    return op.op.raises and not (op.op is ops.reraise and op.operands and not op.attrs)


def _ends(walk: Walk) -> bool:
    try:
        return walk()
    except Dead:
        return True


def _insert(region: Region, before: dict[Op, list[Op]]) -> None:
    """Put operations before others, anywhere in a region."""
    if any(op in before for op in region.ops):
        region.ops = [o for op in region.ops for o in (*before.get(op, ()), op)]
    for op in region.ops:
        for inner in op.regions:
            _insert(inner, before)
