"""Calls: compiled functions, closures, methods, types, operations, and Python's built-in functions."""

from __future__ import annotations

import inspect
import operator
from collections import deque
from collections.abc import Hashable
from enum import EnumMeta
from functools import lru_cache
from importlib import import_module
from types import MethodDescriptorType
from typing import TYPE_CHECKING, Any, get_origin

from sapwood.lang import types as ty
from sapwood.lang.api.annotations import Parameterised
from sapwood.lang.api.dtypes import complex_type
from sapwood.lang.declared import ANY, Bindings, declare, declared_of, fill_in, spec_of_declared, struct_type
from sapwood.lang.errors import (
    BadOperand,
    CompileError,
    ForeignCall,
    KernelCall,
    Loc,
    NotCallable,
    RecursionNeedsReturnType,
    UnsupportedSyntax,
    WrongArgumentCount,
)
from sapwood.lang.errors.hints import call_hint
from sapwood.lang.external import External
from sapwood.lang.front import hir
from sapwood.lang.function import is_compiled
from sapwood.lang.infer import hashing, matching, reflection  # noqa: F401  (they enter their rules)
from sapwood.lang.infer.builder import Builder
from sapwood.lang.infer.builtins import BUILTINS
from sapwood.lang.infer.classes import enums
from sapwood.lang.infer.classes.structs import construct_struct, find_method
from sapwood.lang.infer.construct import construct_parameterised, convert_number
from sapwood.lang.infer.containers import collect, dicts, lists, sets  # noqa: F401
from sapwood.lang.infer.erasure import erased_arguments, is_apart, made_by
from sapwood.lang.infer.external_calls import call_external
from sapwood.lang.infer.fit import fit_parameter
from sapwood.lang.infer.generics import bind_type_variables, method_bindings
from sapwood.lang.infer.heap import Dead, rules_of
from sapwood.lang.infer.iteration import reductions, struct_iteration  # noqa: F401
from sapwood.lang.infer.iteration.adapters import lazy
from sapwood.lang.infer.iteration.generator_functions import GeneratorCode
from sapwood.lang.infer.numbers import cmath_module, math_module  # noqa: F401
from sapwood.lang.infer.numbers.complex_numbers import construct as construct_complex
from sapwood.lang.infer.operate import CHARACTERS_WELCOME, OPERATORS, UNARY
from sapwood.lang.infer.text import bytes_rules, formatting  # noqa: F401
from sapwood.lang.infer.text.characters import plain
from sapwood.lang.ir.ssa import Region, Var
from sapwood.lang.join import without_sites
from sapwood.lang.memory_layout import is_heap
from sapwood.lang.ops import control
from sapwood.lang.ops.base import Operation
from sapwood.lang.signatures import declared_parameters
from sapwood.lang.values import Agg, Known, Value, describe, is_closure, leaves_of, make_tuple, rebuild

if TYPE_CHECKING:
    from sapwood.lang.infer.interpreter import Interpreter


_LOADED_WHEN_NEEDED = {  # modules whose rules are loaded when a program first calls one of their functions
    "_bisect": "containers.algorithms", "_functools": "containers.algorithms", "_heapq": "containers.algorithms",
    "heapq": "containers.algorithms", "collections": "containers.collections_module",
    "functools": "made_functions", "operator": "made_functions", "itertools": "iteration.itertools_module",
}  # fmt: skip


def _rule_of(f: Any) -> Any:
    """The rule of a function or class of Python's; None: it has none."""
    try:
        rule = BUILTINS.get(f)
    except TypeError:  # unhashable
        return None
    if rule is None:  # a class method (chain.from_iterable) is of the module of its class
        where = getattr(f, "__module__", None) or getattr(getattr(f, "__self__", None), "__module__", None)
        module = _LOADED_WHEN_NEEDED.get(where) if isinstance(where, str) else None
    else:
        module = None
    if module is not None:
        import_module(f"sapwood.lang.infer.{module}")
        rule = BUILTINS.get(f)
    return rule


class CallMixin:
    """The call rules of a FunctionWalker."""

    if TYPE_CHECKING:
        b: Builder
        interp: Interpreter
        vars: dict[str, Value]
        suspended: dict[str, Value] | None
        callee: Any

        def new_exception(self, cls: Any, args: list[Value], kwargs: dict[str, Value]) -> Value: ...
        captured: dict[str, Value]
        typevars: Bindings
        python: Any
        code: hir.FunctionDef
        name: str
        returns: list[Any]

        def at(self, region: Region, loc: Loc | None = None, names: Any = None) -> Any: ...
        def lookup(self, name: str, loc: Loc) -> Value: ...
        def run_loop(self, key: Any, names: Any, loc: Loc, body: Any, once: bool = False) -> bool: ...
        def method_of(self, value: Value, name: str) -> Value | None: ...
        def apply_operator(self, callee: Any, args: list[Value], loc: Loc) -> Value: ...

    def call(self, target: Value, args: list[Value], kwargs: dict[str, Value], loc: Loc) -> Value:
        if not _takes_characters(target):
            args = [plain(self.b, a) for a in args]
            kwargs = {k: plain(self.b, a) for k, a in kwargs.items()}
        match target:
            case Agg(type=ty.Closure()):
                return self.call_closure(target, args, kwargs, loc)
            case Var(type=ty.FunctionPointer()):
                from sapwood.lang.infer.pointers import call_pointer

                return call_pointer(self, target, args, kwargs, loc)  # type: ignore[arg-type]
            case Agg(type=ty.BoundMethod(function=function), items=(receiver,)):
                if callable(getattr(function, "rule", None)):
                    return self._call_method(function, receiver, args, kwargs, loc)
                return self.call_compiled(function, [receiver, *args], kwargs)
            case Agg(type=ty.Struct()) | Var(type=ty.Ref(target=ty.HeapStruct())):
                method = find_method(target, "__call__")
                if method is not None:
                    return self.call(method, args, kwargs, loc)
            case Known(value=f):
                return self._call_known(f, args, kwargs, loc)
            case Var(type=ty.Ref()):
                result = rules_of(target).call(self, target, args, kwargs)
                if result is not None:
                    return result
        raise NotCallable(loc, type=describe(target))

    def _call_method(
        self, method: Any, receiver: Value, args: list[Value], kwargs: dict[str, Value], loc: Loc
    ) -> Value:
        """A method that the compiler supplies."""
        try:
            _signature(method.rule).bind(self, receiver, *args, **kwargs)
        except TypeError as e:
            name = method.__name__
            shown = [str(p.replace(annotation=p.empty)) for p in list(_signature(method.rule).parameters.values())[2:]]
            problem = f"was called wrongly: {e}"
            signature = f"{name}({', '.join(shown)})"
            raise WrongArgumentCount(loc, function=name, problem=problem, signature=signature) from None
        return method.rule(self, receiver, *args, **kwargs)

    def _call_known(self, f: Any, args: list[Value], kwargs: dict[str, Value], loc: Loc) -> Value:
        if is_compiled(f):
            return self.call_compiled(f, args, kwargs)
        if isinstance(f, Operation):
            return self._call_operation(f, args, kwargs, loc)
        if isinstance(f, Parameterised):
            return construct_parameterised(self, f, args, kwargs)
        if any(isinstance(a, Agg) and isinstance(a.type, ty.Enum) for a in args) and enums.wants_number(f):
            args = [enums.underlying(self.b, a) for a in args]
        rule = _rule_of(f)
        if rule is not None:
            try:
                _signature(rule).bind(self, *args, **kwargs)
            except TypeError as e:
                name = getattr(f, "__name__", str(f))
                text = str(e).replace("'walker'", "").strip()
                raise WrongArgumentCount(loc, function=name, problem=text, signature=f"{name}(...)") from None
            return rule(self, *args, **kwargs)
        if isinstance(f, External):
            return call_external(self, f, args, kwargs)
        if complex_type(f) is not None:
            return construct_complex(self, f, args, kwargs)
        if isinstance(f, EnumMeta) and len(args) == 1 and not kwargs and f.__members__:
            return enums.lookup(self, f, args[0])
        if isinstance(f, type):
            if issubclass(f, BaseException):
                return self.new_exception(f, args, kwargs)
            number = convert_number(self, f, args, loc)
            if number is not None:
                return number
            if hasattr(f, "__sapwood_struct__"):
                return construct_struct(self, f, args, kwargs, loc)
        origin = get_origin(f)
        if isinstance(origin, type) and hasattr(origin, "__sapwood_struct__"):  # Pair[int](1, 2)
            declared = declare(f, origin.__name__, loc)
            known = {k: declared_of(v) for k, v in self.typevars.items()}
            arguments = tuple(fill_in(d, known) for d in declared.args[1:])
            return construct_struct(self, origin, args, kwargs, loc, arguments)
        if isinstance(f, ty.Scalar | ty.Simd) and len(args) == 1:
            return self.b.convert(self.b.materialize(args[0]), f)
        if f in OPERATORS and not kwargs:
            count = 3 if f is operator.setitem else 1 if f in (*UNARY, operator.not_) else 2
            if len(args) != count:
                problem = f"takes {count} arguments, but {len(args)} were given"
                raise WrongArgumentCount(loc, function=f.__name__, problem=problem, signature=f"operator.{f.__name__}")
            return self.apply_operator(f, args, loc)
        if isinstance(f, MethodDescriptorType) and args:
            return self._call_descriptor(f, args, kwargs, loc)
        if isinstance(f, hir.Marker):
            raise UnsupportedSyntax(loc, what=f.what, hint=f.hint)
        if inspect.isfunction(f) or inspect.isbuiltin(f) or isinstance(f, type):
            raise _foreign(f, loc)
        if callable(f) and getattr(f, "__module__", None):  # NumPy's functions, functools.partial, ...
            raise _foreign(f, loc)
        raise NotCallable(loc, type=describe(Known(f)))

    def _call_descriptor(
        self, f: MethodDescriptorType, args: list[Value], kwargs: dict[str, Value], loc: Loc
    ) -> Value:
        """A method of a class of Python's, called with the object: `sorted(names, key=str.lower)`."""
        from sapwood.lang.infer.reflection import is_instance

        if not is_instance(args[0], f.__objclass__):
            name, wanted = f.__qualname__, f.__objclass__.__name__
            detail = f"its first argument is {describe(args[0])}, not {wanted}"
            raise BadOperand(loc, function=name, detail=detail, hint=f"it is a method of {wanted}: pass one")
        return self.call(self.apply_operator(getattr, [args[0], Known(f.__name__)], loc), args[1:], kwargs, loc)

    def _call_operation(
        self, op: Operation[..., Any], args: list[Value], kwargs: dict[str, Value], loc: Loc
    ) -> Value:
        if op.type_rule is None:
            raise NotCallable(loc, type=f"'{op.name}'")
        try:
            bound = op.signature.bind(*args, **kwargs)
        except TypeError as e:
            raise WrongArgumentCount(
                loc, function=op.name, problem=f"was called wrongly: {e}", signature=f"{op.name}{op.signature}"
            ) from None
        bound.apply_defaults()
        values = [_operand(v) for v in bound.arguments.values()]
        result = op.type_rule(self.b, *values)
        return Known(None) if result is None else result

    # -- compiled functions -----------------------------------------------------------------------

    def call_compiled(self, fn: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
        loc = self.b.loc
        if fn.options.kernel and fn is not self.interp.kernel:
            raise KernelCall(loc, name=fn.__wrapped__.__name__)
        if hasattr(fn, "state") and fn.state.overloads:
            from sapwood.lang.overloads import choose_in_code

            self.interp.depend_on(fn)
            fn = choose_in_code(self, fn, args, kwargs)
        code = self.interp.hir(fn)
        python = fn.__wrapped__
        defaults = defaults_of(fn)
        values = self.bind_arguments(code, python.__name__, args, kwargs, defaults, loc)
        declared = declared_parameters(fn)
        for i, p in enumerate(code.params):
            if values[i] is defaults.get(p.name):
                values[i] = self._default_container(p, declared[i], values[i])
        bindings: Bindings = {}
        if code.params and code.params[0].name in ("self", "cls"):
            method_bindings(values[0], bindings)
        plain = [(d, v) for p, d, v in zip(code.params, declared, values, strict=True) if not p.star]
        bind_type_variables(self.b, [d for d, _ in plain], [v for _, v in plain], bindings)
        with_notes = zip(code.params, declared, values, strict=True)
        fitted = tuple(fit_parameter(self.b, p, d, v, bindings, python.__name__) for p, d, v in with_notes)
        if code.generator:
            run = GeneratorCode(code, python, declared, {}, fn.options.unchecked, bindings)
            return lazy("generator function", *fitted, code=run)
        try:
            inline = fn.options.inline and not self._is_open(fn)
            inline = inline or self.interp.kernel is not None  # a kernel is one function
            if inline or any(map(_holds_closure, fitted)) or _returns_reference(fn, code) and not self._is_open(fn):
                return self.inline(code, python, declared, list(fitted), {}, fn.options.unchecked, loc)
            names = [p.name for p in code.params] if fn.options.erases else []
            if fn.options.unit or is_apart(names, fitted):
                return self._call_unit(fn, fitted, names)
            return self._call_instance(fn, fitted, loc, names)
        except CompileError as e:
            e.called_from(f"{python.__name__}({', '.join(describe(v) for v in fitted)})", loc)
            raise

    def _default_container(self, p: Any, declared: Any, value: Value) -> Value:
        """A default that is a list, dict or set, as the copy of it that compiled code has."""
        if not isinstance(value, Known) or not isinstance(value.value, list | dict | set | deque):
            return value
        from sapwood.lang.infer.containers.constant_containers import constant_container

        spec = spec_of_declared(declared)
        return constant_container(self, value.value, p.name, spec, f"the default of '{p.name}'")

    def _is_open(self, fn: Any) -> bool:
        """Whether a function is being walked already: a method that calls itself cannot be inlined into itself."""
        return any(w.python is fn.__wrapped__ and not w.is_entry for w in self.interp.frames)

    def _call_instance(self, fn: Any, fitted: tuple[Value, ...], loc: Loc, names: list[str]) -> Value:
        """A call of a function of this program; `names`: of its parameters, if it shares code among types."""
        instance = self.interp.instance(fn, erased_arguments(fn, names, fitted) if names else fitted)
        spec = instance.result
        if spec is None:  # a call in a cycle: only the annotation can tell
            walker = next(w for w in reversed(self.interp.frames) if w.instance is instance)
            spec = walker.declared_spec()
            if spec is None:
                error = RecursionNeedsReturnType(loc, function=fn.__wrapped__.__name__)
                spec = self.interp.expected_result(instance, self, error)
        operands = tuple(leaf for v in fitted for leaf in leaves_of(v))
        self.b.loc = loc
        spec = made_by(fn, fitted) or without_sites(spec)
        results = self.b.emit(control.call, operands, tuple(spec.leaves()), {"function": instance.function})
        if instance.endless:
            self.b.emit(control.raise_, (), (), {"exception": SystemError, "parts": [{"value": "unreachable"}]})
            raise Dead
        return rebuild(spec, iter(results))

    def _call_unit(self, fn: Any, fitted: tuple[Value, ...], names: list[str]) -> Value:
        """A call of a function that is a compilation unit of its own; `names` as in _call_instance."""
        unit = fn.unit(erased_arguments(fn, names, fitted) if names else fitted, self.interp)
        spec = made_by(fn, fitted) or unit.result
        operands = tuple(leaf for v in fitted for leaf in leaves_of(v))
        results = self.b.emit(control.call_unit, operands, tuple(spec.leaves()), {"unit": unit})
        self.interp.link(unit)
        return rebuild(spec, iter(results))

    def bind_arguments(
        self,
        code: hir.FunctionDef,
        name: str,
        args: list[Value],
        kwargs: dict[str, Value],
        defaults: dict[str, Value],
        loc: Loc,
    ) -> list[Value]:
        """Arguments in the order of parameters, as Python binds them."""
        given: dict[str, Value] = {}
        positional = [p for p in code.params if not p.keyword_only and not p.star]
        star = next((p for p in code.params if p.star), None)
        if star is not None:
            rest = args[len(positional) :]
            spread = len(rest) == 1 and isinstance(rest[0], Agg) and rest[0].items[:1] == (Known(hir.Starred),)
            given[star.name] = rest[0].items[1] if spread else make_tuple(rest)  # type: ignore[union-attr]
            args = args[: len(positional)]
        signature = f"{name}({', '.join(map(_parameter, code.params))})"

        def wrong(problem: str) -> WrongArgumentCount:
            notes = (("defined here", code.loc),)
            return WrongArgumentCount(loc, notes, function=name, problem=problem, signature=signature)

        if len(args) > len(positional):
            plural = "" if len(positional) == 1 else "s"
            raise wrong(f"takes {len(positional)} positional argument{plural}, but {len(args)} were given")
        given.update((p.name, a) for p, a in zip(positional, args, strict=False))
        for k, v in kwargs.items():
            if k in given and (star is None or k != star.name):
                raise wrong(f"got two values for '{k}'")
            if all(p.name != k or p.star for p in code.params):
                raise wrong(f"has no parameter '{k}'")
            if any(p.name == k and p.positional_only for p in code.params):
                raise wrong(f"takes '{k}' by position only")
            given[k] = v
        missing = [p.name for p in code.params if p.name not in given and p.name not in defaults]
        if missing:
            raise wrong(f"needs a value for '{missing[0]}'")
        return [given[p.name] if p.name in given else defaults[p.name] for p in code.params]

    def call_in_place(self, method: Agg, loc: Loc) -> Value:
        """Call a method of no arguments with its body in place: what it gives may be an iterator."""
        assert isinstance(method.type, ty.BoundMethod)
        function: Any = method.type.function
        code, python = self.interp.hir(function), function.__wrapped__
        values = self.bind_arguments(code, python.__name__, [method.items[0]], {}, defaults_of(function), loc)
        return self.inline(code, python, [ANY] * len(values), values, {}, function.options.unchecked, loc)


def _takes_characters(target: Value) -> bool:
    """Functions of the program, and what is entered in CHARACTERS_WELCOME; all else gets a str."""
    match target:
        case Agg(type=ty.Closure()):
            return True
        case Agg(type=ty.BoundMethod(function=function)):
            return not callable(getattr(function, "rule", None))
        case Known(value=f):
            return is_compiled(f) or isinstance(f, Hashable) and f in CHARACTERS_WELCOME
    return False


@lru_cache(maxsize=4096)
def _signature(f: Any) -> inspect.Signature:
    return inspect.signature(f)


def _foreign(f: Any, loc: Loc) -> ForeignCall:
    owner = getattr(f, "__self__", None)
    module = getattr(f, "__module__", None) or type(owner).__module__
    own = getattr(f, "__name__", None) or type(f).__name__
    module = module if module == "__main__" else module.removeprefix("_")  # _heapq, _io
    if isinstance(owner, type):  # a class method
        module, own = owner.__module__, f"{owner.__qualname__}.{own}"
    name = own if module in ("builtins", "__main__") or f is open else f"{module}.{own}"
    kind = "class" if isinstance(f, type) else "function"
    return ForeignCall(loc, name=name, kind=kind, hint=call_hint(f, module, name))


def _parameter(p: hir.Param) -> str:
    text = "" if p.annotation is None else f": {p.annotation.value}"  # type: ignore[attr-defined]
    return "*" * p.star + p.name + text + ("" if p.default is None else " = ...")


def defaults_of(fn: Any) -> dict[str, Value]:
    python = fn.__wrapped__
    if python.__defaults__ is None and python.__kwdefaults__ is None:
        return {}
    parameters = inspect.signature(python).parameters
    return {n: Known(p.default) for n, p in parameters.items() if p.default is not p.empty}


def _holds_closure(v: Value) -> bool:
    """Or an iterator, which lies in names of its function just as a closure does."""
    if isinstance(v, Agg):
        return is_closure(v) or isinstance(v.type, ty.Lazy | ty.Iterator) or any(map(_holds_closure, v.items))
    return False


def _returns_reference(fn: Any, code: hir.FunctionDef) -> bool:
    """Functions that make a mutable struct or a stack array are inlined, so that its storage is the caller's."""
    if code.returns is None:
        return False
    from sapwood.lang.signatures import evaluate_annotation

    loc = code.returns.loc
    text = code.returns.value  # type: ignore[attr-defined]
    d = declare(evaluate_annotation(text, fn.__wrapped__, loc, "return"), "return", loc)
    if d.kind == "struct":
        t = struct_type(d.args[0], d.args[1:])
        return not t.frozen and not is_heap(t)
    return d.kind == "stack"


def _operand(v: Any) -> Value:
    """An argument of an operation: a default is a constant, `*args` a tuple."""
    if isinstance(v, Known | Var | Agg):
        return v
    if isinstance(v, tuple):
        return Agg(ty.Tuple(len(v)), v)
    return Known(v)
