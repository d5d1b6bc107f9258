"""How an argument in compiled code is fitted to what its parameter is declared as (lang/declared.py)."""

from __future__ import annotations

import typing
from typing import Any, TypeGuard, TypeVar

from sapwood.lang import types as ty
from sapwood.lang.api.dtypes import Number, scalar_type
from sapwood.lang.declared import Bindings, Declared, argument_name, fields_of, spec_of_declared
from sapwood.lang.errors import BadConversion, Loc, TypeVarConflict, WrongArgumentType
from sapwood.lang.infer.adapt import adapt
from sapwood.lang.infer.text.characters import is_character
from sapwood.lang.join import Clash, join, storable, teach
from sapwood.lang.values import Agg, Known, Spec, Value, Var, describe, make_tuple, rebuild, spec_of


class Misfit(Exception):
    """An argument does not fit its annotation; `hint` says how to mend it."""

    def __init__(self, hint: str = "") -> None:
        self.hint = hint


_MADE_NEW = ("list", "dict", "set", "deque")
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
            from sapwood.lang.infer.callables import check_signature

            check_signature(declared, value)
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
        case "dict" if _is_special_dict(value):
            return _fit_special_dict(b, declared, value, bindings)
        case "heap" | "list" | "dict" | "set" | "frozenset" | "deque" | "native" | "optional" | "spec":
            return _fit_spec(b, declared, value, bindings)
        case "complex" | "enum" | "Counter" | "row":
            return _fit_spec(b, declared, value, bindings)
    raise Misfit


def _is_object(value: Value) -> TypeGuard[Var]:
    return isinstance(value, Var) and isinstance(value.type, ty.Ref) and isinstance(value.type.target, ty.Object)


def _is_view(value: Value) -> bool:
    return isinstance(value, Var) and isinstance(value.type, ty.Ref) and isinstance(value.type.target, ty.MemoryView)


def _is_special_dict(value: Value) -> TypeGuard[Var]:
    """A defaultdict or a Counter."""
    if not (isinstance(value, Var) and isinstance(value.type, ty.Ref) and not value.type.nullable):
        return False
    t = value.type.target
    return isinstance(t, ty.Counter) or isinstance(t, ty.Dict) and t.default is not None


def _fit_special_dict(b: Any, declared: Declared, value: Var, bindings: Bindings) -> Var:
    """One where a dict is declared: its class is derived from dict, and it stays what it is."""
    target = value.type.target  # type: ignore[union-attr]
    spec = spec_of_declared(declared, bindings)
    plain = Spec("leaf", ty.Ref(ty.Dict(target.key, target.value)))
    if spec is not None:
        try:
            if join(spec, plain) != spec:
                raise Misfit
        except Clash:
            teach(plain, spec)
            raise Misfit from None
    return value


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


def _coerce(b: Any, value: Value, leaf: ty.Scalar | ty.Simd) -> Var:
    try:
        return b.coerce(value, leaf)
    except BadConversion as e:
        raise Misfit(str(e.fields.get("hint", ""))) from None


def _fit_typevar(b: Any, var: Any, value: Value, bindings: Bindings) -> Value:
    from sapwood.lang.infer.generics import fit_typevar

    if var is typing.Self:
        cls = bindings.get(var)
        from sapwood.lang.infer.classes.heap_structs import struct_of

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
    from sapwood.lang.infer.classes.heap_structs import not_none, struct_of
    from sapwood.lang.infer.classes.structs import lift
    from sapwood.lang.infer.generics import arguments_for

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
        raise Misfit(f"{var.__name__} is already {argument_name(getattr(bindings[var], 'value', bindings[var]))}")


def _settle_fields(b: Any, value: Agg) -> Value:
    """A constant struct as an argument: its fields get their declared types, but for Const ones."""

    assert isinstance(value.type, ty.Struct)
    own: Bindings = {}
    fields = zip(fields_of(value.type), value.items, strict=True)
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
            raise Misfit(f"{parameter.__name__} is already {argument_name(getattr(bound, 'value', bound))}")
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
    b: Any, declared: Declared, value: Value, bindings: Bindings, name: str, function: str, place: Loc | None,
    field: bool = False,
) -> Value:  # fmt: skip
    """`fit`, its failure as a diagnostic about argument `name` of `function`; `field`: it is stored as is declared."""
    if name in ("self", "cls"):
        from sapwood.lang.infer.generics import method_bindings

        method_bindings(value, bindings)
    try:
        if field and declared.kind == "dict" and _is_special_dict(value):
            raise Misfit(f"dict({name}) makes a plain dict of it")
        return fit(b, declared, value, bindings)
    except Misfit as m:
        notes = (("declared here", place),) if place is not None else ()
        hint = m.hint or f"pass {declared}, or change the annotation"
        if field and value == Known(None):
            made = f", or give it field(default_factory={declared.kind})" if declared.kind in _MADE_NEW else ""
            hint = f"declare it as {declared} | None{made}"
        raise WrongArgumentType(
            b.loc, notes, name=name, function=function, found=describe(value), expected=declared, hint=hint
        ) from None
    except TypeVarConflict as e:
        e.fields["param"] = name
        raise


def fit_parameter(b: Any, p: Any, declared: Declared, value: Value, bindings: Bindings, function: str) -> Value:
    """`fit_argument` of the value of a parameter (front.hir.Param); the annotation of `*args` is of each item."""
    if not p.star:
        return fit_argument(b, declared, value, bindings, p.name, function, p.loc)
    if isinstance(value, Var):  # of a length that only run time knows
        row = declared if declared.kind == "any" else Declared("row", (declared,))
        return fit_argument(b, row, value, bindings, f"*{p.name}", function, p.loc)
    items = value.items if isinstance(value, Agg) else tuple(map(Known, value.value))
    named = ((f"*{p.name}[{i}]", v) for i, v in enumerate(items))
    return make_tuple([fit_argument(b, declared, v, bindings, n, function, p.loc) for n, v in named])


