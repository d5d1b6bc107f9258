"""Questions about types and structs, answered while a function is compiled: one entry a function."""

from __future__ import annotations

import builtins
import dataclasses
import typing
from typing import TYPE_CHECKING, Any, TypeGuard

from sapwood.lang import structs
from sapwood.lang import types as ty
from sapwood.lang.api.dtypes import Number, dtype_of, scalar_type
from sapwood.lang.errors import BadOperand, NoAttribute
from sapwood.lang.infer.border import box, get_attr
from sapwood.lang.infer.builtins import builtin
from sapwood.lang.infer.classes.heap_structs import struct_of
from sapwood.lang.infer.classes.structs import field_tuple, lift, replace, super_of
from sapwood.lang.infer.generics import is_protocol, is_union, protocol_members, python_class, within
from sapwood.lang.infer.narrow import held, is_none, is_optional
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.objects import OBJECT, api
from sapwood.lang.ops.operators import logical_not
from sapwood.lang.types import BOOL
from sapwood.lang.values import Agg, Known, Value, describe

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker


def type_of(value: Value) -> Any:
    """The Python class or dtype of a value; None for what has no name."""
    match value:
        case Known(value=v):
            return type(v)
        case Var(type=ty.Scalar() as t):
            return {"i64": int, "f64": float}.get(t.name) or dtype_of(t)
        case Var(type=ty.Simd() as t):
            from sapwood.lang.api.annotations import SIMD

            return SIMD[dtype_of(t.elem), t.lanes]
        case Agg(type=ty.Tensor() as t):
            from sapwood.lang.api.annotations import Tensor

            return Tensor[dtype_of(t.elem), t.rank] if isinstance(t.elem, ty.Scalar) else None
    return python_class(value)


def is_instance(value: Value, kind: Any) -> bool:
    """isinstance(value, kind), by types alone."""
    if isinstance(kind, tuple):
        return any(is_instance(value, k) for k in kind)
    if is_union(kind):
        return any(is_instance(value, k) for k in typing.get_args(kind))
    if isinstance(value, Known):
        return isinstance(kind, type) and isinstance(value.value, kind)
    if isinstance(value, Var) and isinstance(value.type, ty.Scalar):
        if scalar_type(kind) is not None:
            return scalar_type(kind) == value.type or kind is int and value.type.kind == "bool"
        return kind is object or kind is Number
    if is_protocol(kind):
        cls = python_class(value)
        from sapwood.lang.infer.generics import has_member

        return cls is not None and all(has_member(cls, m) for m in protocol_members(kind))
    kind = typing.get_origin(kind) or kind
    return within(kind, value)


def is_object(x: Value) -> TypeGuard[Var]:
    return isinstance(x, Var) and x.type == OBJECT


@builtin(builtins.isinstance)
def _isinstance(w: Walker, x: Value, kind: Value) -> Value:
    if is_object(x):
        return api(w.b, "PyObject_IsInstance", (x, box(w, kind)), BOOL, "negative")
    known = w.b.known(kind, "the type")
    if not is_optional(x):
        return Known(is_instance(x, known))
    there, missing = is_instance(held(x), known), is_instance(Known(None), known)
    if there == missing:
        return Known(there)
    return is_none(w.b, x) if missing else logical_not(w.b, is_none(w.b, x))


@builtin(builtins.issubclass)
def _issubclass(w: Walker, x: Value, kind: Value) -> Value:
    if is_object(x):
        return api(w.b, "PyObject_IsSubclass", (x, box(w, kind)), BOOL, "negative")
    cls, wanted = w.b.known(x, "the class"), w.b.known(kind, "the type")
    try:
        return Known(issubclass(cls, wanted))
    except TypeError as e:
        raise BadOperand(w.b.loc, function="issubclass", detail=str(e), hint="pass classes") from None


@builtin(builtins.type)
def _type(w: Walker, x: Value) -> Value:
    if is_object(x):
        return get_attr(w, x, "__class__")
    found = type_of(x)
    if found is None:
        detail = f"the type of {describe(x)} has no name"
        raise BadOperand(w.b.loc, function="type", detail=detail, hint="use isinstance")
    return Known(found)


@builtin(builtins.callable)
def _callable(w: Walker, x: Value) -> Value:
    if isinstance(x, Known):
        return Known(callable(x.value) or hasattr(type(x.value), "__sapwood_function__"))
    if isinstance(x, Agg) and isinstance(x.type, ty.Closure | ty.BoundMethod):
        return Known(True)
    return Known(w.method_of(x, "__call__") is not None)


def _name(w: Walker, name: Value) -> str:
    return w.b.known(name, "the name of an attribute", str)


@builtin(builtins.getattr)
def _getattr(w: Walker, x: Value, name: Value, *default: Value) -> Value:
    from sapwood.lang.infer.objects import get_attribute

    if len(default) == 1:
        return get_attribute(w, x, _name(w, name), w.b.loc) if _has(w, x, _name(w, name)) else default[0]
    return get_attribute(w, x, _name(w, name), w.b.loc)


@builtin(builtins.setattr)
def _setattr(w: Walker, x: Value, name: Value, value: Value) -> Value:
    from sapwood.lang.infer.objects import set_attribute

    set_attribute(w, x, _name(w, name), value)
    return Known(None)


@builtin(builtins.hasattr)
def _hasattr(w: Walker, x: Value, name: Value) -> Value:
    return Known(_has(w, x, _name(w, name)))


def _has(w: Walker, x: Value, name: str) -> bool:
    from sapwood.lang.infer.objects import get_attribute
    from sapwood.lang.ir.ssa import Region

    x = lift(w.b, x)
    t = struct_of(x)
    if t is not None:
        return any(n == name for n, _ in t.cls.__sapwood_struct__.members())  # type: ignore[attr-defined]
    with w.at(Region()):  # what it would emit is not wanted
        try:
            get_attribute(w, x, name, w.b.loc)
        except NoAttribute:
            return False
    return True


# -- structs -------------------------------------------------------------------------------------------


def _struct_class(w: Walker, x: Value, function: str) -> Any:
    x = lift(w.b, x)
    t = struct_of(x)
    cls = t.cls if t is not None else x.value if isinstance(x, Known) else None
    if not (isinstance(cls, type) and hasattr(cls, "__sapwood_struct__")):
        detail = f"{describe(x)} is no @struct"
        raise BadOperand(w.b.loc, function=function, detail=detail, hint="pass a struct or its class")
    w.interp.depend_on_constant(cls.__module__, cls.__qualname__, cls)
    return cls


@builtin(structs.fields, dataclasses.fields)
def _fields(w: Walker, x: Value) -> Value:
    return Known(structs.fields(_struct_class(w, x, "fields")))


@builtin(structs.is_struct, dataclasses.is_dataclass)
def _is_struct(w: Walker, x: Value) -> Value:
    x = lift(w.b, x)
    if not isinstance(x, Known):
        return Known(struct_of(x) is not None)
    return Known(isinstance(x, Known) and structs.is_struct(x.value))


@builtin(dataclasses.replace)
def _replace(w: Walker, x: Value, **changes: Value) -> Value:
    return replace(w, x, **changes)


@builtin(dataclasses.astuple)
def _astuple(w: Walker, x: Value) -> Value:
    x = lift(w.b, x)
    _struct_class(w, x, "astuple")
    items = tuple(_opened(w, v) for v in field_tuple(w, x).items)
    return Agg(ty.Tuple(len(items)), items)


def _opened(w: Walker, v: Value) -> Value:
    """Structs inside become tuples, too, as dataclasses.astuple does it."""
    v = lift(w.b, v)
    if struct_of(v) is not None:
        return _astuple(w, v)
    if isinstance(v, Agg) and isinstance(v.type, ty.Tuple):
        return Agg(v.type, tuple(_opened(w, i) for i in v.items))
    return v


@builtin(builtins.super)
def _super(w: Walker, *args: Value) -> Value:
    return super_of(w, *args)
