"""Declared types: what annotations say, and how an argument is fitted to one.

An annotation may hold type variables (`T`, `N`), which are bound by the first argument that mentions them.
"""

from __future__ import annotations

import types as pytypes
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeGuard, TypeVar

from sapwood.lang import types as ty
from sapwood.lang.api.annotations import SIMD, Const, Parameterised, Ptr, StackArray, Tensor
from sapwood.lang.api.dtypes import Number, complex_type, scalar_type
from sapwood.lang.errors import BadAnnotation, BadConversion, Loc, TypeVarConflict, WrongArgumentType
from sapwood.lang.hints import annotation_hint
from sapwood.lang.infer.characters import is_character
from sapwood.lang.infer.join import Clash, adapt, complex_spec, join, storable, teach
from sapwood.lang.values import Agg, Known, Spec, Value, Var, describe, make_tuple, rebuild, spec_of


@dataclass(frozen=True, slots=True)
class Declared:
    """One annotation. `kind` selects the rule in `fit`; `args` are dtypes, numbers, TypeVars or Declared."""

    kind: str
    args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return _show(self)


ANY = Declared("any")
NONE = Declared("none")


def _name(x: Any) -> str:
    if isinstance(x, Declared):
        return str(x)
    return getattr(x, "__name__", None) or str(x)


def _show(d: Declared) -> str:
    match d.kind:
        case "scalar":
            return {"i64": "int", "f64": "float"}.get(str(d.args[0]), str(d.args[0]))
        case "none":
            return "None"
        case "any":
            return "anything"
        case "typevar":
            return getattr(d.args[0], "__name__", None) or "Self"
        case "struct" | "protocol":
            return _name(d.args[0]) + (f"[{', '.join(map(_name, d.args[1:]))}]" if d.args[1:] else "")
        case "number" | "complex":
            return str(d.args[0])
        case "spec":
            return describe(d.args[0])
        case "function":
            return f"Callable[[{', '.join(map(_name, d.args[0]))}], {_name(d.args[1])}]" if d.args else "a function"
        case "const":
            return f"Const[{_name(d.args[0])}]"
        case "heap":
            return str(d.args[0])
        case "optional":
            return f"{d.args[0]} | None"
    if d.kind == "native":
        inner = d.args[0]
        return f"{inner.kind.capitalize()}[{', '.join(map(str, inner.args))}]"
    if d.kind in ("list", "dict", "set", "frozenset"):
        return f"{d.kind}[{', '.join(map(str, d.args))}]"
    names = {"simd": "SIMD", "tensor": "Tensor", "ptr": "Ptr", "stack": "StackArray", "tuple": "tuple"}
    return f"{names[d.kind]}[{', '.join(_name(a) for a in d.args)}]"


def declare(annotation: Any, name: str, loc: Loc | None) -> Declared:
    """An evaluated annotation as a Declared; raises BadAnnotation naming the parameter."""
    found = _declare(annotation, name, loc)
    if found is None:
        text = str(annotation) if typing.get_origin(annotation) else getattr(annotation, "__name__", None)
        raise BadAnnotation(loc, name=name, found=text or repr(annotation), hint=annotation_hint(annotation))
    return found


def _item(x: Any) -> Any:
    """A dtype argument of a generic: a scalar type, a TypeVar, or None."""
    if isinstance(x, TypeVar):
        return x
    if isinstance(x, type) and hasattr(x, "__sapwood_struct__"):
        return struct_type(x)
    return scalar_type(x) or complex_type(x)


def _declare(a: Any, name: str, loc: Loc | None) -> Declared | None:
    scalar = scalar_type(a)
    if scalar is not None:
        return Declared("scalar", (scalar,))
    number = complex_type(a)
    if number is not None:
        return Declared("complex", (number,))
    if a is None or a is type(None):
        return NONE
    if a is str:
        return Declared("heap", (ty.Str(),))
    if a is bytes or a is bytearray:
        return Declared("heap", (ty.Bytes() if a is bytes else ty.ByteArray(),))
    if a is object:
        return Declared("heap", (ty.Object(),))
    if a is memoryview:
        return Declared("heap", (ty.MemoryView(ty.U8),))  # of other items, too: see fit and boundary.classify
    if isinstance(a, TypeVar) or a is typing.Self:
        return Declared("typevar", (a,))
    if a is Any:
        return ANY
    if type(a).__name__ == "TypeAliasType":  # `type Pair = tuple[int, int]`, Python 3.12
        return _declare(a.__value__, name, loc)
    if typing.get_origin(a) in (typing.ClassVar, typing.Final, typing.Annotated):
        return _declare(typing.get_args(a)[0], name, loc)
    if isinstance(a, Parameterised):
        return _declare_generic(a, name, loc)
    origin = typing.get_origin(a)
    if origin in (list, dict, set, frozenset):
        return Declared(origin.__name__, tuple(declare(i, name, loc) for i in typing.get_args(a)))
    if origin in (typing.Union, pytypes.UnionType):
        return _declare_optional(a, name, loc)
    if origin is tuple:
        return Declared("tuple", tuple(declare(i, name, loc) for i in typing.get_args(a)))
    if a is Callable or origin is Callable or origin is pytypes.FunctionType:
        return _declare_callable(a, name, loc)
    if typing.get_origin(a) is not None and isinstance(typing.get_origin(a), type) and issubclass(
        typing.get_origin(a), Callable  # type: ignore[arg-type]
    ):
        return Declared("function")
    if isinstance(a, type) and hasattr(a, "__sapwood_struct__"):
        return Declared("struct", (a,))
    if isinstance(origin, type) and hasattr(origin, "__sapwood_struct__"):
        return Declared("struct", (origin, *(declare_argument(i, name, loc) for i in typing.get_args(a))))
    if type(origin).__name__ == "TypeAliasType":
        return _declare(origin.__value__[typing.get_args(a)], name, loc)
    if isinstance(origin or a, type) and getattr(origin or a, "_is_protocol", False):
        return Declared("protocol", (origin or a,))
    if a in (tuple, Const, Tensor, SIMD, Ptr):
        return ANY if a in (tuple, Const) else None
    return None


def _declare_callable(a: Any, name: str, loc: Loc | None) -> Declared:
    """`Callable[[int, float], float]`; with `...` or without parameters anything that can be called."""
    args = typing.get_args(a)
    if len(args) != 2 or not isinstance(args[0], list):
        return Declared("function")
    return Declared("function", (tuple(declare(p, name, loc) for p in args[0]), declare(args[1], name, loc)))


def _check_signature(declared: Declared, value: Value) -> None:
    """A function whose own parameters show that it cannot be called as declared does not fit."""
    if not declared.args:
        return
    wanted, result = declared.args
    if isinstance(value, Agg) and isinstance(value.type, ty.Closure):
        params = value.type.code.params
        least = sum(p.default is None and not p.star and not p.keyword_only for p in params)
        most = len(wanted) if any(p.star for p in params) else sum(not p.keyword_only for p in params)
        if not least <= len(wanted) <= most:
            raise Misfit(f"it takes {least if least == most else f'{least} to {most}'} arguments, not {len(wanted)}")
    elif isinstance(value, Known) and getattr(type(value.value), "__sapwood_function__", False):
        from sapwood.lang.infer.pointers import signature_of

        own = signature_of(value.value)
        if own is not None and len(own.params) != len(wanted):
            raise Misfit(f"it is a {own}")
        pairs = () if own is None else zip((*own.params, own.result), (*wanted, result), strict=True)
        if any(p.kind == q.kind == "scalar" and p != q and ty.BOOL in (*p.args, *q.args) for p, q in pairs):
            raise Misfit(f"it is a {own}")
    elif isinstance(value, Var) and isinstance(value.type, ty.FunctionPointer):
        if len(value.type.params) != len(wanted):
            raise Misfit(f"it is a {value.type}")


def _declare_optional(a: Any, name: str, loc: Loc | None) -> Declared | None:
    kinds = [i for i in typing.get_args(a) if i is not type(None)]
    if len(kinds) != 1 or len(typing.get_args(a)) != 2:
        return None
    return Declared("optional", (declare(kinds[0], name, loc),))


def declare_argument(a: Any, name: str, loc: Loc | None) -> Declared:
    """An argument of a generic struct: a type, or a number."""
    return Declared("number", (a,)) if isinstance(a, int) else declare(a, name, loc)


def _declare_generic(a: Parameterised, name: str, loc: Loc | None) -> Declared | None:
    first = a.args[0]
    if getattr(a.origin, "__sapwood_native__", False):
        kind = {"List": list, "Dict": dict, "Set": set}[a.origin.__name__]
        return Declared("native", (declare(kind[a.args], name, loc),))
    if a.origin is Const:
        return Declared("const", (first,))
    if a.origin is SIMD or a.origin is Tensor:
        elem = _item(first)
        if elem is None or not isinstance(a.args[1], int | TypeVar):
            return None
        return Declared("simd" if a.origin is SIMD else "tensor", (elem, a.args[1]))
    inner = declare(first, name, loc)
    if a.origin is Ptr:
        return Declared("ptr", (inner,))
    if a.origin is StackArray:
        return Declared("stack", (inner, a.args[1]))
    return None


Bindings = dict[TypeVar, Value]


class Misfit(Exception):
    """An argument does not fit its annotation; `hint` says how to mend it."""

    def __init__(self, hint: str = "") -> None:
        self.hint = hint


_TEXT = Declared("heap", (ty.Str(),))


def fit(b: Any, declared: Declared, value: Value, bindings: Bindings) -> Value:
    """The value, converted where conversion is implicit; raises Misfit. An object is asked when it is there."""
    if _is_object(value) and declared.kind not in ("any", "typevar"):
        spec = spec_of_declared(declared, bindings)
        if spec is not None:
            from sapwood.lang.infer.border import unbox

            return unbox(b.interpreter.frames[-1], value, spec)
    if is_character(value) and declared.kind != "any":
        if declared == _TEXT:
            return value
        value = b.materialize(value)
    match declared.kind:
        case "any":
            return value
        case "scalar":
            return _coerce(b, value, declared.args[0])
        case "none":
            if value == Known(None):
                return value
        case "typevar":
            return _fit_typevar(b, declared.args[0], value, bindings)
        case "protocol":
            from sapwood.lang.infer.generics import check_protocol

            check_protocol(value, declared.args[0], b.loc)
            return b.materialize(value) if isinstance(value, Known) and isinstance(value.value, int | float) else value
        case "const":
            return _fit_const(value, declared.args[0])
        case "function":
            _check_signature(declared, value)
            if isinstance(value, Var) and isinstance(value.type, ty.FunctionPointer):
                return value
            if isinstance(value, Agg) and isinstance(value.type, ty.Closure | ty.BoundMethod):
                return value
            if isinstance(value, Known):
                v = value.value  # a wrapped lambda exists in compiled code only and is not callable here
                if callable(v) or getattr(type(v), "__sapwood_function__", False):
                    return value
        case "simd":
            return _fit_simd(b, declared, value, bindings)
        case "tensor":
            if isinstance(value, Agg) and isinstance(value.type, ty.Tensor):
                _bind(bindings, declared.args[0], getattr(value.type.elem, "struct", value.type.elem))
                _bind(bindings, declared.args[1], value.type.rank)
                return value
        case "ptr":
            if isinstance(value, Var) and isinstance(value.type, ty.Ptr):
                _fit_type(declared.args[0], value.type.elem, bindings)
                return value
        case "stack":
            if isinstance(value, Agg) and isinstance(value.type, ty.StackArray):
                _fit_type(declared.args[0], value.type.elem, bindings)
                _bind(bindings, declared.args[1], value.type.size)
                return value
        case "struct":
            return _fit_struct(b, declared, value, bindings)
        case "tuple":
            from sapwood.lang.ops.operators import tuple_items

            if isinstance(value, Known) and isinstance(value.value, tuple) or (
                isinstance(value, Agg) and isinstance(value.type, ty.Tuple)
            ):
                items = tuple_items(value)
                if len(items) == len(declared.args):
                    parts = (fit(b, d, v, bindings) for d, v in zip(declared.args, items, strict=True))
                    return Agg(ty.Tuple(len(items)), tuple(parts))
        case "heap" if isinstance(declared.args[0], ty.MemoryView) and _is_view(value):
            return value
        case "heap" | "list" | "dict" | "set" | "frozenset" | "native" | "optional" | "spec" | "complex":
            return _fit_spec(b, declared, value, bindings)
    raise Misfit


def _is_object(value: Value) -> TypeGuard[Var]:
    return isinstance(value, Var) and isinstance(value.type, ty.Ref) and isinstance(value.type.target, ty.Object)


def _is_view(value: Value) -> bool:
    return isinstance(value, Var) and isinstance(value.type, ty.Ref) and isinstance(value.type.target, ty.MemoryView)


def _fit_spec(b: Any, declared: Declared, value: Value, bindings: Bindings) -> Value:
    """A heap object or an optional value: what it is declared as, known down to the last element."""
    spec = spec_of_declared(declared, bindings)
    if spec is None:
        return value
    if spec == Spec("leaf", ty.Ref(ty.Object())):
        from sapwood.lang.infer.border import box

        return box(b.interpreter.frames[-1], value)
    try:
        if join(spec, storable(spec_of(value))) == spec:
            return rebuild(spec, iter(adapt(b, value, spec)))
    except Clash:
        pass
    teach(spec_of(value), spec)
    if isinstance(value, Known) and isinstance(value.value, list | dict | set):
        raise Misfit("a default that can change is no constant: write None, and make a new one in the function")
    raise Misfit


def spec_of_declared(d: Declared, bindings: Bindings | None = None) -> Spec | None:
    """The spec of values that are declared so; None if the annotation leaves something open."""
    match d.kind:
        case "scalar":
            return Spec("leaf", d.args[0])
        case "none":
            return Spec("known", Known(None))
        case "complex":
            return complex_spec(d.args[0].elem)
        case "heap":
            return Spec("leaf", ty.Ref(d.args[0]))
        case "native":
            return spec_of_declared(d.args[0], bindings)
        case "list" | "dict" | "set" | "frozenset":
            parts = [spec_of_declared(i, bindings) for i in d.args]
            if any(p is None for p in parts):
                return None
            made = {"list": ty.List, "dict": ty.Dict, "set": ty.Set, "frozenset": partial(ty.Set, frozen=True)}
            return Spec("leaf", ty.Ref(made[d.kind](*parts)))  # type: ignore[operator]
        case "optional":
            inner = spec_of_declared(d.args[0], bindings)
            return None if inner is None else join(Spec("known", Known(None)), inner)
        case "tuple":
            items = [spec_of_declared(i, bindings) for i in d.args]
            if all(i is not None for i in items):
                return Spec("agg", ty.Tuple(len(items)), tuple(items))  # type: ignore[arg-type]
        case "spec":
            return d.args[0]
        case "struct":
            return _spec_of_struct(d, bindings)
        case "typevar" if isinstance((bindings or {}).get(d.args[0]), Known):
            from sapwood.lang.infer.generics import declared_of

            return spec_of_declared(declared_of(bindings[d.args[0]]))  # type: ignore[index]
        case "typevar" | "simd" | "ptr":
            found = concrete_type(d, bindings)
            return Spec("leaf", found) if isinstance(found, ty.Leaf) else None
    return None


def _spec_of_struct(d: Declared, bindings: Bindings | None) -> Spec | None:
    from sapwood.lang.infer import layout

    t = concrete_type(d, bindings)
    if isinstance(t, ty.Ref):
        return Spec("leaf", t)
    assert isinstance(t, ty.Struct)
    if t.cls.__sapwood_struct__.parameters and not t.args:  # type: ignore[attr-defined]
        return None
    if not t.frozen:
        return Spec("agg", t, (Spec("leaf", ty.Ptr(t, "local")),))
    items = [spec_of_declared(f) for _, f in layout.fields_of(t)]
    return None if any(i is None for i in items) else Spec("agg", t, tuple(items))  # type: ignore[arg-type]


def _coerce(b: Any, value: Value, leaf: ty.Scalar | ty.Simd) -> Var:
    try:
        return b.coerce(value, leaf)
    except BadConversion as e:
        raise Misfit(str(e.fields.get("hint", ""))) from None


def _fit_typevar(b: Any, var: Any, value: Value, bindings: Bindings) -> Value:
    from sapwood.lang.infer.generics import fit_typevar

    if var is typing.Self:
        cls = bindings.get(var)
        from sapwood.lang.infer.heap_structs import struct_of

        t = struct_of(value)
        if isinstance(cls, Known) and t is not None:
            if not issubclass(t.cls, cls.value):
                raise Misfit(f"Self is {cls.value.__name__} here")
        return value
    try:
        return fit_typevar(b, var, value, bindings)
    except BadConversion as e:
        raise Misfit(str(e.fields.get("hint", ""))) from None


def _fit_struct(b: Any, declared: Declared, value: Value, bindings: Bindings) -> Value:
    from sapwood.lang.infer.generics import arguments_for
    from sapwood.lang.infer.heap_structs import not_none, struct_of
    from sapwood.lang.infer.structs import lift

    value = lift(b, value)
    cls, wanted = declared.args[0], declared.args[1:]
    value = not_none(b, value, f"None where {cls.__name__} is declared")
    t = struct_of(value)
    if t is None or not issubclass(t.cls, cls):
        raise Misfit
    for want, have in zip(wanted, arguments_for(t, cls), strict=False):
        if want.kind == "typevar":
            _bind_argument(bindings, want.args[0], have)
        elif want.kind != "any" and have.kind != "any" and want != have:
            raise Misfit(f"it is a {t}")
    if isinstance(value, Agg) and t.frozen and any(isinstance(v, Known) for v in value.items):
        return _settle_fields(b, value)
    return value


def _bind_argument(bindings: Bindings, var: Any, have: Declared) -> None:
    from sapwood.lang.infer.generics import binding_of

    found = binding_of(have)
    if found is not None and bindings.setdefault(var, found) != found:
        raise Misfit(f"{var.__name__} is already {_name(getattr(bindings[var], 'value', bindings[var]))}")


def _settle_fields(b: Any, value: Agg) -> Value:
    """A constant struct as an argument: its fields get their declared types, but for Const ones."""
    from sapwood.lang.infer import layout

    assert isinstance(value.type, ty.Struct)
    own: Bindings = {}
    fields = zip(layout.fields_of(value.type), value.items, strict=True)
    return Agg(value.type, tuple(fit(b, d, v, own) for (_, d), v in fields))


def _fit_const(value: Value, kind: Any) -> Value:
    def known(v: Value) -> Any:
        if isinstance(v, Known):
            return v.value
        if isinstance(v, Agg) and isinstance(v.type, ty.Tuple):
            return tuple(known(i) for i in v.items)
        raise Misfit("the argument must be known at compile time")

    x = known(value)
    if kind is float and isinstance(x, int) and not isinstance(x, bool):
        x = float(x)
    kind = typing.get_origin(kind) or kind
    if isinstance(kind, type) and kind not in (object, Any) and not isinstance(x, kind):
        if kind is not type(None) and not (scalar_type(x) is not None and kind in (type, Number)):
            raise Misfit(f"a constant of type {kind.__name__} is expected")
    return Known(x)


def _fit_simd(b: Any, declared: Declared, value: Value, bindings: Bindings) -> Value:
    elem, lanes = declared.args
    if isinstance(value, Var) and isinstance(value.type, ty.Simd):
        if isinstance(elem, ty.Scalar) and value.type.elem != elem:
            value = _coerce(b, value, ty.Simd(elem, value.type.lanes))
        assert isinstance(value.type, ty.Simd)
        _bind(bindings, elem, value.type.elem)
        _bind(bindings, lanes, value.type.lanes)
        return value
    if isinstance(elem, ty.Scalar) and isinstance(lanes, int):
        scalar = value if isinstance(value, Known) else None
        if scalar is not None or isinstance(value, Var) and isinstance(value.type, ty.Scalar):
            return b.convert(_coerce(b, value, elem), ty.Simd(elem, lanes))
    raise Misfit


def _bind(bindings: Bindings, parameter: Any, actual: Any) -> None:
    if isinstance(parameter, TypeVar):
        bound = bindings.setdefault(parameter, Known(actual))
        if bound != Known(actual):
            raise Misfit(f"{parameter.__name__} is already {_name(getattr(bound, 'value', bound))}")
    elif parameter != actual:
        raise Misfit


def _fit_type(declared: Declared, actual: ty.Type, bindings: Bindings) -> None:
    match declared.kind:
        case "any":
            return
        case "typevar":
            _bind(bindings, declared.args[0], actual)
            return
        case "scalar" | "complex":
            if declared.args[0] == actual:
                return
        case "simd":
            if isinstance(actual, ty.Simd):
                _bind(bindings, declared.args[0], actual.elem)
                _bind(bindings, declared.args[1], actual.lanes)
                return
        case "ptr":
            if isinstance(actual, ty.Ptr):
                _fit_type(declared.args[0], actual.elem, bindings)
                return
        case "struct":
            if isinstance(actual, ty.Struct) and issubclass(actual.cls, declared.args[0]):
                from sapwood.lang.infer.generics import arguments_for

                for want, have in zip(declared.args[1:], arguments_for(actual, declared.args[0]), strict=False):
                    if want.kind == "typevar":
                        _bind_argument(bindings, want.args[0], have)
                    elif want != have:
                        raise Misfit
                return
    raise Misfit


def fit_argument(
    b: Any, declared: Declared, value: Value, bindings: Bindings, name: str, function: str, place: Loc | None
) -> Value:
    """`fit`, its failure as a diagnostic about argument `name` of `function`."""
    if name in ("self", "cls"):
        from sapwood.lang.infer.generics import method_bindings

        method_bindings(value, bindings)
    try:
        return fit(b, declared, value, bindings)
    except Misfit as m:
        notes = (("declared here", place),) if place is not None else ()
        hint = m.hint or f"pass {declared}, or change the annotation"
        raise WrongArgumentType(
            b.loc, notes, name=name, function=function, found=describe(value), expected=declared, hint=hint
        ) from None
    except TypeVarConflict as e:
        e.fields["param"] = name
        raise


def struct_type(cls: type, arguments: tuple[Any, ...] = ()) -> ty.Struct:
    """The type of a struct class with type arguments (Declared); without any, a generic class is open."""
    return ty.Struct(cls, cls.__sapwood_struct__.frozen, tuple(arguments))  # type: ignore[attr-defined]


def fit_parameter(b: Any, p: Any, declared: Declared, value: Value, bindings: Bindings, function: str) -> Value:
    """`fit_argument` of the value of a parameter (front.hir.Param); the annotation of `*args` is of each item."""
    if not p.star:
        return fit_argument(b, declared, value, bindings, p.name, function, p.loc)
    items = value.items if isinstance(value, Agg) else tuple(map(Known, value.value))  # type: ignore[union-attr]
    named = ((f"*{p.name}[{i}]", v) for i, v in enumerate(items))
    return make_tuple([fit_argument(b, declared, v, bindings, n, function, p.loc) for n, v in named])


def concrete_type(declared: Declared, bindings: Bindings | None = None) -> ty.Type | None:
    """The internal type of a declared scalar, vector, pointer, struct or stack array; None for the rest."""

    def item(x: Any) -> Any:
        if isinstance(x, TypeVar):
            known = (bindings or {}).get(x)
            return known.value if isinstance(known, Known) else None
        return x

    match declared.kind:
        case "scalar" | "complex":
            return declared.args[0]
        case "typevar":
            found = item(declared.args[0])
            return found if isinstance(found, ty.Type) else scalar_type(found)
        case "simd":
            elem, lanes = item(declared.args[0]), item(declared.args[1])
            elem = elem if isinstance(elem, ty.Scalar) else scalar_type(elem)
            return ty.Simd(elem, lanes) if elem is not None and isinstance(lanes, int) else None
        case "ptr":
            inner = concrete_type(declared.args[0], bindings)
            return None if inner is None else ty.Ptr(inner)
        case "struct":
            from sapwood.lang.infer.generics import declared_of, fill_in

            known = {k: declared_of(v) for k, v in (bindings or {}).items()}
            t = struct_type(declared.args[0], tuple(fill_in(a, known) for a in declared.args[1:]))
            from sapwood.lang.infer.heap_structs import is_heap, reference_type

            return reference_type(t) if is_heap(t) else t
        case "stack":
            inner = concrete_type(declared.args[0], bindings)
            size = item(declared.args[1])
            return None if inner is None else ty.StackArray(inner, size)
        case "tuple":
            return ty.Tuple(len(declared.args))
    return None


