"""Type variables: what binds them, their bounds and constraints, protocols, and generic structs.

A binding is `Known(x)`: x is a leaf type (T is a number or vector), an int (a rank or a number of lanes), or the
Spec of any other value.
"""

from __future__ import annotations

import typing
from collections import Counter, deque
from types import UnionType
from typing import Any, TypeVar

from sapwood.lang import types as ty
from sapwood.lang.api.dtypes import Number, scalar_type
from sapwood.lang.declared import Bindings, Declared, declare, spec_of_declared
from sapwood.lang.errors import Loc, TypeVarConflict
from sapwood.lang.errors.generic import BoundViolated, ProtocolMismatch
from sapwood.lang.infer.adapt import adapt
from sapwood.lang.infer.classes.heap_structs import struct_of
from sapwood.lang.ir.ssa import Var
from sapwood.lang.join import Clash, default_leaf, join, storable
from sapwood.lang.values import Agg, Known, Spec, Value, describe, rebuild, spec_of

# -- binding -----------------------------------------------------------------------------------------


def is_weak(value: Value) -> bool:
    """Whether a value is a literal number, whose type its surroundings decide."""
    return isinstance(value, Known) and isinstance(value.value, int | float)


def fit_typevar(b: Any, var: Any, value: Value, bindings: Bindings) -> Value:
    """The value as a parameter of type `var`, which it binds if nothing has."""
    bound = bindings.get(var)
    if bound is None:
        value = _first(b, var, value)
        bindings[var] = bound = _binding(value)
        check_limits(b, var, value, b.loc)
        return _settle(b, value, bound)
    if bound == Known(None):
        return value
    wanted = bound.value if isinstance(bound, Known) else None
    if isinstance(wanted, ty.Scalar | ty.Simd):
        if is_weak(value):
            return b.coerce(value, wanted)
        if isinstance(value, Var) and (value.type == wanted or (value.type, wanted) == (ty.I64, ty.F64)):
            return b.coerce(value, wanted)  # where Python wants a float, an int does
        second = value.type if isinstance(value, Var) else describe(value)
        raise TypeVarConflict(b.loc, name=var.__name__, first=wanted, second=second, param="{param}")
    if isinstance(wanted, Spec):
        try:
            if join(wanted, storable(spec_of(value))) == wanted:
                return rebuild(wanted, iter(adapt(b, value, wanted)))
        except Clash:
            pass
        raise TypeVarConflict(b.loc, name=var.__name__, first=describe(wanted), second=describe(value), param="{param}")
    return value


def _first(b: Any, var: Any, value: Value) -> Value:
    """A literal that binds a type variable takes its default type, or the constraint that admits it."""
    if not is_weak(value):
        return value
    for c in getattr(var, "__constraints__", ()):
        scalar = scalar_type(c)
        if scalar is not None and default_leaf(value.value) == scalar:  # type: ignore[union-attr]
            return b.materialize(value)
    for c in getattr(var, "__constraints__", ()):
        scalar = scalar_type(c)
        if scalar is not None and scalar.kind != "bool" and (scalar.is_float or isinstance(value.value, int)):  # type: ignore[union-attr]
            return b.coerce(value, scalar)
    return b.materialize(value)


def _binding(value: Value) -> Known:
    if isinstance(value, Var) and isinstance(value.type, ty.Scalar | ty.Simd):
        return Known(value.type)
    if isinstance(value, Agg) and isinstance(value.type, ty.Closure | ty.BoundMethod):
        return Known(None)  # functions of one type may differ
    if isinstance(value, Known) and callable(value.value) and not isinstance(value.value, type):
        return Known(None)
    return Known(storable(spec_of(value)))


def _settle(b: Any, value: Value, bound: Known) -> Value:
    if isinstance(bound.value, Spec) and spec_of(value) != bound.value:
        return rebuild(bound.value, iter(adapt(b, value, bound.value)))
    return value


def bind_type_variables(b: Any, declared: list[Declared], values: list[Value], bindings: Bindings) -> None:
    """Bind plain type variables by arguments of a definite type first, then by literals, floats before ints."""
    pairs = [(d.args[0], v) for d, v in zip(declared, values, strict=True) if d.kind == "typevar"]

    def rank(v: Value) -> int:
        if not is_weak(v):
            return 0 if isinstance(v, Var) and v.type == ty.F64 else 1
        return 2 if isinstance(v.value, float) else 3  # type: ignore[union-attr]

    for x, v in sorted(pairs, key=lambda p: rank(p[1])):
        if x not in bindings:
            fit_typevar(b, x, v, bindings)


# -- generic structs -----------------------------------------------------------------------------------


def binding_of(d: Declared) -> Known | None:
    """A declared type as a binding: the inverse of `declared_of`; None where it leaves a choice."""
    match d.kind:
        case "scalar":
            return Known(d.args[0])
        case "simd" if isinstance(d.args[0], ty.Scalar) and isinstance(d.args[1], int):
            return Known(ty.Simd(d.args[0], d.args[1]))
        case "number":
            return Known(d.args[0])
        case "spec":
            return Known(d.args[0])
        case "tuple" | "struct" | "complex":
            spec = spec_of_declared(d)
            return None if spec is None else Known(spec)
    return None


def arguments_for(t: ty.Struct, base: type) -> tuple[Declared, ...]:
    """The type arguments that a struct type gives to a generic base of its class (or to its class itself)."""
    from sapwood.lang.structs import base_arguments

    parameters = getattr(base, "__parameters__", ())
    own = dict(zip(getattr(t.cls, "__parameters__", ()), t.args, strict=False))
    if base is t.cls:
        return tuple(own.get(p, Declared("any")) for p in parameters)
    known = base_arguments(t.cls)
    out = []
    for p in parameters:
        found = known.get(p, p)
        if isinstance(found, TypeVar):
            out.append(own.get(found, Declared("any")))  # type: ignore[call-overload]
        else:
            out.append(declare(found, str(p), None))
    return tuple(out)


def method_bindings(value: Value, bindings: Bindings) -> None:
    """In a method of a generic struct, its type variables mean what the receiver's type says; Self is its class."""
    t = struct_of(value)
    if t is not None:
        for base in t.cls.__mro__:
            parameters = vars(base).get("__parameters__", ())
            if parameters and hasattr(base, "__sapwood_struct__"):
                for p, d in zip(parameters, arguments_for(t, base), strict=False):
                    found = binding_of(d)
                    if found is not None:
                        bindings.setdefault(p, found)
        bindings.setdefault(typing.Self, Known(t.cls))  # type: ignore[arg-type]
    elif isinstance(value, Known) and isinstance(value.value, type) and hasattr(value.value, "__sapwood_struct__"):
        bindings.setdefault(typing.Self, value)  # type: ignore[arg-type]


# -- bounds and protocols ------------------------------------------------------------------------------


def check_limits(b: Any, var: Any, value: Value, loc: Loc) -> None:
    """Constraints and the bound of a type variable; raises BoundViolated or ProtocolMismatch."""
    constraints = getattr(var, "__constraints__", ())
    if constraints:
        if not any(admits(declare(c, var.__name__, loc), value) for c in constraints):
            names = ", ".join(getattr(c, "__name__", str(c)) for c in constraints)
            raise BoundViolated(
                loc, name=var.__name__, found=describe(value), limit=f"must be one of {names}",
                hint="pass one of these types, or add this one to the TypeVar",
            )
        return
    bound = getattr(var, "__bound__", None)
    if bound is None:
        return
    if isinstance(bound, typing.ForwardRef):
        bound = _evaluate_bound(var, bound)
    if is_protocol(bound):
        check_protocol(value, bound, loc)
    elif not within(bound, value):
        name = getattr(bound, "__name__", str(bound))
        raise BoundViolated(
            loc, name=var.__name__, found=describe(value), limit=f"is bound to {name}",
            hint=f"pass a {name}, or change the bound of the TypeVar",
        )


def _evaluate_bound(var: Any, bound: typing.ForwardRef) -> Any:
    import sys

    scope = vars(sys.modules.get(var.__module__) or sys)
    return eval(bound.__forward_arg__, dict(scope))


def admits(d: Declared, value: Value) -> bool:
    """Whether a value is of a declared type as it is, without a conversion."""
    match d.kind:
        case "scalar":
            return isinstance(value, Var) and value.type == d.args[0]
        case "struct":
            t = struct_of(value)
            return t is not None and issubclass(t.cls, d.args[0])
        case "any":
            return True
    found = spec_of_declared(d)
    return found is not None and storable(spec_of(value)) == found


def within(bound: Any, value: Value) -> bool:
    """Whether a value's type is the bound or derived from it; int admits every int, float every number."""
    if bound is object or bound is typing.Any:
        return True
    if is_union(bound):
        return any(within(o, value) for o in typing.get_args(bound))
    elem = ty.elem_of(value.type) if isinstance(value, Var) and ty.is_numeric(value.type) else None
    if elem is not None and isinstance(bound, type):
        if bound is float:
            return elem.kind != "bool"
        if bound is int:
            return elem.is_int or elem.kind == "bool"
        if bound is Number:
            return True
        return scalar_type(bound) == elem
    t = struct_of(value)
    if t is not None:
        return isinstance(bound, type) and issubclass(t.cls, bound)
    python = python_class(value)
    return python is not None and isinstance(bound, type) and issubclass(python, bound)


def is_union(kind: Any) -> bool:
    """Whether a type is written `A | B` or `Union[A, B]`."""
    return typing.get_origin(kind) in (typing.Union, UnionType)


def python_class(value: Value) -> type | None:
    """The class that Python would find for a value, for questions about its methods."""
    match value:
        case Known(value=v):
            return type(v)
        case Var(type=ty.Scalar() as t):
            return bool if t.kind == "bool" else float if t.is_float else int
        case Agg(type=ty.Struct() as t) | Var(type=ty.Ref(target=ty.HeapStruct(struct=t))):
            return t.cls
        case Agg(type=ty.Tuple()):
            return tuple
        case Agg(type=ty.Complex()):
            return complex
        case Agg(type=ty.Range()):
            return range
        case Agg(type=ty.Enum(cls=cls)):
            return cls
        case Var(type=ty.Ref(target=ty.Set(frozen=True))):
            return frozenset
    if isinstance(value, Var):
        target = getattr(value.type, "target", None)
        import builtins

        if isinstance(target, ty.TupleOf):
            return tuple
        if isinstance(target, ty.Deque | ty.Counter):
            return deque if isinstance(target, ty.Deque) else Counter
        found = getattr(builtins, type(target).__name__.lower(), None)
        return found if isinstance(found, type) else None
    return None


def is_protocol(x: Any) -> bool:
    x = typing.get_origin(x) or x
    return isinstance(x, type) and getattr(x, "_is_protocol", False) and x is not typing.Protocol


def protocol_members(protocol: Any) -> dict[str, Any]:
    """What a protocol asks for: name -> the function that declares it, or None for an attribute."""
    out: dict[str, Any] = {}
    for base in reversed((typing.get_origin(protocol) or protocol).__mro__):
        if base is object or base is typing.Generic or base is typing.Protocol or not is_protocol(base):
            continue
        out.update(dict.fromkeys(vars(base).get("__annotations__", {})))
        skipped = ("__init__", "__subclasshook__", "__class_getitem__", "__hash__") if base is not protocol else (
            "__init__", "__subclasshook__", "__class_getitem__"
        )
        for name, value in vars(base).items():
            if callable(value) or isinstance(value, property | staticmethod | classmethod):
                private = name in skipped or name.startswith(("_abc", "__abstract", "_is_")) or name == "__annotate__"
                if not private and name != "__non_callable_proto_members__":
                    out[name] = value
    return out


def check_protocol(value: Value, protocol: Any, loc: Loc) -> None:
    """Raises ProtocolMismatch, which names the member that is missing and where the protocol declares it."""
    cls = python_class(value)
    name = getattr(typing.get_origin(protocol) or protocol, "__name__", str(protocol))
    for member, declaration in protocol_members(protocol).items():
        if cls is not None and has_member(cls, member):
            problem = _arity_problem(cls, member, declaration)
            if problem is None:
                continue
            hint = f"give '{member}' the parameters that {name} declares"
        else:
            kind = "attribute" if declaration is None or isinstance(declaration, property) else "method"
            problem = f"it has no {kind} '{member}'"
            hint = f"define '{member}' in {describe(value)}, or pass something that has it"
        place = _place(declaration)
        notes = () if place is None else ((f"{name} declares it here", place),)
        raise ProtocolMismatch(loc, notes, found=describe(value), protocol=name, problem=problem, hint=hint)


def has_member(cls: type, name: str) -> bool:
    info = getattr(cls, "__sapwood_struct__", None)
    if info is not None and name in info.fields:
        return True
    return getattr(cls, name, None) is not None


def _arity_problem(cls: type, name: str, declaration: Any) -> str | None:
    """Whether a method of a struct can be called as the protocol declares it."""
    import inspect

    found = cls.__dict__.get(name) or getattr(cls, name, None)
    found = getattr(found, "__wrapped__", found)
    if not inspect.isfunction(declaration) or not inspect.isfunction(found):
        return None
    parameters = inspect.signature(declaration).parameters.values()
    given = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY)]
    try:
        inspect.signature(found).bind(*given)
    except TypeError as e:
        return f"its method '{name}' cannot be called like that: {e}"
    return None


def _place(declaration: Any) -> Loc | None:
    from types import FunctionType

    from sapwood.lang.errors import CompileError
    from sapwood.lang.front.source import find_function

    f = declaration.fget if isinstance(declaration, property) else getattr(declaration, "__func__", declaration)
    if not isinstance(f, FunctionType):
        return None
    try:
        source, node = find_function(f)
    except CompileError:
        return None
    loc = source.loc(node, f.__qualname__)
    return Loc(loc.file, loc.line, loc.col, loc.line, loc.col + len("def ") + len(f.__name__), loc.function)
