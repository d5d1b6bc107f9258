"""What attributes, indexing and methods mean on tensors, pointers, vectors, stack arrays and structs."""

from __future__ import annotations

import operator
import types as pytypes
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, EnumMeta
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.api.dtypes import dtype_of
from sapwood.lang.errors import (
    BadOperand,
    ImmutableField,
    Loc,
    NoAttribute,
    NotIndexable,
    TooManyIndices,
)
from sapwood.lang.function import is_compiled
from sapwood.lang.infer import layout
from sapwood.lang.infer.classes import enums
from sapwood.lang.infer.classes.heap_structs import struct_of
from sapwood.lang.infer.classes.records import field_view, get_record_field, set_record_field
from sapwood.lang.infer.classes.structs import (
    Super,
    get_class_attribute,
    get_struct_attribute,
    get_super_attribute,
    lift,
    set_struct_attribute,
)
from sapwood.lang.infer.containers.dict_views import VIEW_METHODS, is_set_view
from sapwood.lang.infer.containers.tables import item_at
from sapwood.lang.infer.containers.tuples import TUPLE_METHODS
from sapwood.lang.infer.heap import require_some, rules_of
from sapwood.lang.infer.iteration.ranges import range_item, range_length
from sapwood.lang.infer.numbers.number_methods import FLOAT_METHODS, INT_METHODS, methods_of, number_attribute
from sapwood.lang.infer.tensors import load_elements, store_elements, tensor_view
from sapwood.lang.infer.text import characters
from sapwood.lang.infer.text.characters import is_character, plain
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import convert, simd
from sapwood.lang.ops.memory import offset
from sapwood.lang.ops.operators import binary, require_index, tuple_items
from sapwood.lang.types import elem_of
from sapwood.lang.values import Agg, Known, Value, describe

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker


class Method:
    """A method that the compiler supplies: `rule(walker, receiver, *args)`."""

    def __init__(self, name: str, rule: Callable[..., Value]) -> None:
        self.__name__ = name
        self.rule = rule


# -- tensors and pointers ----------------------------------------------------------------------------


def _tensor_load(w: Walker, x: Agg, *index: Value, width: Value = Known(None), mask: Value = Known(None)) -> Value:
    """x.load(i, j, width=8): elements from x[i, j] on along the last axis, as SIMD."""
    return load_elements(w, x, index, width, mask)


def _tensor_store(w: Walker, x: Agg, *args: Value, mask: Value = Known(None)) -> Value:
    """x.store(i, j, v): write the lanes of v from x[i, j] on along the last axis."""
    store_elements(w, x, args[:-1], args[-1], mask)
    return Known(None)


def _pointer_load(
    w: Walker, p: Var, index: Value = Known(0), width: Value = Known(None), mask: Value = Known(None),
    align: Value = Known(None), stream: Value = Known(False), volatile: Value = Known(False),
) -> Value:
    """p.load(i, width=8): SIMD of the elements from p[i] on."""
    assert isinstance(p.type, ty.Ptr)
    at = offset(w.b, p, index)
    attrs = _access(w, align, stream, volatile)
    if width == Known(None):
        return layout.read(w.b, at, p.type.elem, **attrs)
    if not isinstance(p.type.elem, ty.Scalar):
        raise BadOperand(w.b.loc, function="load", detail=f"{p.type} does not point to scalars", hint="cast it")
    vector = simd.vector_type(w.b, p.type.elem, w.b.known(width, "width", int))
    from sapwood.lang.ops.memory import load

    operands = (at,) if mask == Known(None) else (at, w.b.materialize(mask))
    return w.b.emit1(load, operands, vector, **attrs)


def _access(w: Walker, align: Value, stream: Value, volatile: Value) -> dict[str, Any]:
    """How memory is touched: `align` in bytes, `stream` past the caches (non-temporal), `volatile` exactly once."""
    from sapwood.lang.ops.memory import alignment

    attrs: dict[str, Any] = {}
    if align != Known(None):
        attrs["align"] = alignment(w.b, align, "load/store")
    for name, v in (("stream", stream), ("volatile", volatile)):
        if w.b.known(v, name, bool):
            attrs[name] = True
    return attrs


def _pointer_store(
    w: Walker, p: Var, index: Value, value: Value, mask: Value = Known(None), stream: Value = Known(False),
    align: Value = Known(None), volatile: Value = Known(False),
) -> Value:
    """p.store(i, v): write a number or the lanes of a vector from p[i] on."""
    assert isinstance(p.type, ty.Ptr)
    at = offset(w.b, p, index)
    if isinstance(value, Var) and isinstance(value.type, ty.Simd):
        from sapwood.lang.ops.memory import store

        elem = p.type.elem
        assert isinstance(elem, ty.Scalar)
        value = w.b.coerce(value, ty.Simd(elem, value.type.lanes))
        operands = (at, value) if mask == Known(None) else (at, value, w.b.materialize(mask))
        w.b.emit(store, operands, (), _access(w, align, stream, volatile))
    elif isinstance(p.type.elem, ty.Scalar):
        from sapwood.lang.ops.memory import store

        w.b.emit(store, (at, w.b.coerce(value, p.type.elem)), (), _access(w, align, stream, volatile))
    else:
        layout.write(w.b, at, p.type.elem, value)
    return Known(None)


def _pointer_cast(w: Walker, p: Var, target: Value) -> Value:
    """p.cast(u8): the same address with another element type."""
    from sapwood.lang.declared import concrete_type, declare

    assert isinstance(p.type, ty.Ptr)
    found = concrete_type(declare(w.b.known(target, "the type of cast"), "cast", w.b.loc))
    if found is None:
        raise BadOperand(w.b.loc, function="cast", detail="not a type of memory", hint="use a dtype")
    if found == p.type.elem:
        return p
    return w.b.emit1(convert.bitcast, (p,), replace(p.type, elem=found))


def _cast(w: Walker, x: Value, dtype: Value) -> Value:
    """x.cast(f32): convert to another dtype, lane by lane."""
    return w.b.apply(convert.cast, x, dtype)


def _via(op: Any) -> Callable[..., Value]:
    return lambda w, x, *args: w.b.apply(op, x, *args)


TENSOR_METHODS = {"load": _tensor_load, "store": _tensor_store}
POINTER_METHODS = {"load": _pointer_load, "store": _pointer_store, "cast": _pointer_cast}
def _to_bytes(w: Walker, x: Value, *args: Value, **kwargs: Value) -> Value:
    """int.to_bytes"""
    from sapwood.lang.infer.text.bytes_rules import int_to_bytes

    return int_to_bytes(w, x, *args, **kwargs)


NUMBER_METHODS = {
    "cast": _cast,
    "bitcast": _via(convert.bitcast),
    "reduce_add": _via(simd.reduce_add),
    "reduce_mul": _via(simd.reduce_mul),
    "reduce_min": _via(simd.reduce_min),
    "reduce_max": _via(simd.reduce_max),
    "shuffle": _via(simd.shuffle),
    "join": _via(simd.join),
    "to_bytes": _to_bytes,
}


# -- attributes --------------------------------------------------------------------------------------


def bound(methods: dict[str, Any], name: str, receiver: Value) -> Value | None:
    rule = methods.get(name)
    return None if rule is None else Agg(ty.BoundMethod(Method(name, rule)), (receiver,))  # type: ignore[arg-type]


def get_attribute(w: Walker, x: Value, name: str, loc: Loc) -> Value:
    found: Value | None = None
    x = require_some(w, x, AttributeError, f"'NoneType' object has no attribute '{name}'")
    if is_character(x):
        found = bound(characters.METHODS, name, x)
        if found is not None:
            return found
        x = w.b.materialize(x)
    match x:
        case Var(type=ty.Ref()):
            found = rules_of(x).attribute(w, x, name)
        case Agg(type=ty.Tensor()):
            found = _tensor_attribute(w, x, name) or bound(TENSOR_METHODS, name, x)
        case Agg(type=ty.Struct()):
            found = get_struct_attribute(w, x, name, loc)
        case Agg(type=ty.Record()):
            found = get_record_field(w.b, x, name)
            if found is None:  # a method of a mutable struct works on the record itself
                x = lift(w.b, x) if x.type.struct.frozen else x
                found = get_struct_attribute(w, x, name, loc)
        case Agg(type=Super()):
            found = get_super_attribute(w, x, name, loc)
        case Agg(type=ty.StackArray() as t):
            if name == "ptr":
                found = x.items[0]
            elif name == "size":
                found = Known(t.size)
            elif name == "dtype" and isinstance(t.elem, ty.Scalar):
                found = Known(dtype_of(t.elem))
            else:
                found = bound(POINTER_METHODS, name, x.items[0])
        case Agg(type=ty.Range()) if name in ("start", "stop", "step"):
            found = x.items[("start", "stop", "step").index(name)]
        case Var(type=ty.Ptr() as t):
            if name == "dtype" and isinstance(t.elem, ty.Scalar):
                found = Known(dtype_of(t.elem))
            else:
                found = bound(POINTER_METHODS, name, x)
        case Agg(type=ty.DictView()) if is_set_view(x):
            found = bound(VIEW_METHODS, name, x)
        case Agg(type=ty.Complex()):
            from sapwood.lang.infer.numbers import complex_numbers

            found = complex_numbers.attribute(x, name) or bound(complex_numbers.METHODS, name, x)
        case Var(type=ty.Scalar() | ty.Simd() as t):
            if name == "dtype":
                found = Known(dtype_of(elem_of(t)))
            elif name == "lanes":
                found = Known(ty.lanes_of(t) or 1)
            else:
                found = number_attribute(w, x, name) or bound(NUMBER_METHODS | methods_of(t), name, x)
        case Agg(type=ty.Enum()):
            found = enums.attribute(w, x, name)
        case Agg(type=ty.Tuple()) | Known(value=tuple()) if name in TUPLE_METHODS:
            found = bound(TUPLE_METHODS, name, x)
        case Known():
            found = _known_attribute(w, x, name, loc)
    if found is None:
        raise NoAttribute(loc, type=describe(x), name=name, hint=_attribute_hint(x, name))
    return found


def _attribute_hint(x: Value, name: str) -> str:
    import difflib

    names: list[str] = []
    match x:
        case Agg(type=ty.Tensor()):
            names = [*TENSOR_METHODS, "shape", "strides", "size", "ndim", "dtype", "ptr"]
        case Agg(type=ty.Struct(cls=cls) | ty.Record(struct=ty.Struct(cls=cls))) | Known(value=type() as cls) if (
            hasattr(cls, "__sapwood_struct__")
        ):
            names = [n for n, _ in cls.__sapwood_struct__.members() if n[:2] != "__"]
        case Agg(type=ty.Enum(cls=cls)):
            names = [n for n in (*dir(enums.members(cls)[0]), *vars(enums.members(cls)[0])) if n[0] != "_"]
        case Var(type=ty.Ptr()):
            names = [*POINTER_METHODS, "dtype"]
        case Var(type=ty.Ref(target=ty.HeapStruct(struct=t))):
            names = [n for n, _ in t.cls.__sapwood_struct__.members() if n[:2] != "__"]
        case Var(type=ty.Ref()):
            names = list(rules_of(x).methods)
        case Var():
            names = [*NUMBER_METHODS, *methods_of(x.type), "dtype", "lanes"]
        case Known(value=v):
            names = dir(v)
    close = difflib.get_close_matches(name, names, 1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"it has: {', '.join(names[:12])}" if names and not isinstance(x, Known) else "see the reference"


def _tensor_attribute(w: Walker, x: Agg, name: str) -> Value | None:
    t = x.type
    assert isinstance(t, ty.Tensor)
    shape, strides = x.items[1 : 1 + t.rank], x.items[1 + t.rank :]
    match name:
        case "shape":
            return Agg(ty.Tuple(t.rank), shape)
        case "strides":
            return Agg(ty.Tuple(t.rank), strides)
        case "size":
            total: Value = Known(1)
            for d in shape:
                total = binary(w.b, operator.mul, total, d)
            return total
        case "ndim":
            return Known(t.rank)
        case "dtype":
            return Known(t.elem.struct.cls if isinstance(t.elem, ty.Record) else dtype_of(t.elem))
        case "ptr":
            return x.items[0]
    return field_view(w.b, x, name) if isinstance(t.elem, ty.Record) else None


def _known_attribute(w: Walker, x: Known, name: str, loc: Loc) -> Value | None:
    v = x.value
    rule = getattr(type(v), "compiled_attribute", None)  # objects whose attributes are operations: thread_idx
    if rule is not None:
        return rule(v, w.b, name)
    if isinstance(v, type) and hasattr(v, "__sapwood_struct__"):
        return get_class_attribute(w, v, name, loc)
    if is_compiled(v) and v.options.kernel:
        from sapwood.lang.infer import launches

        return launches.attribute(v, name)
    if isinstance(v, Enum):
        found = enums.attribute(w, x, name)
        return Known(getattr(v, name, None)) if found is None and hasattr(v, name) else found
    if isinstance(v, int | float) and not isinstance(v, bool) and name == "dtype":
        return Known(float if isinstance(v, float) else int)
    if isinstance(v, int | float):
        leaf = w.b.materialize(x) if name in NUMBER_METHODS or name in (FLOAT_METHODS | INT_METHODS) else None
        if leaf is not None:
            return bound(NUMBER_METHODS | methods_of(leaf.type), name, leaf)
    if isinstance(v, complex) and name == "conjugate":
        from sapwood.lang.infer.numbers import complex_numbers

        return bound(complex_numbers.METHODS, name, complex_numbers.as_complex(w.b, x, name))
    if isinstance(v, str):
        from sapwood.lang.infer.text.strings import METHODS

        return bound(METHODS, name, x)
    if isinstance(v, bytes):
        from sapwood.lang.infer.text.bytes_rules import METHODS

        return bound(METHODS, name, x)
    found = getattr(v, name, None)
    if found is None:
        return None
    if isinstance(v, pytypes.ModuleType):
        w.interp.depend_on_constant(v.__name__, name, found)
        if isinstance(found, list | dict | set | frozenset):
            from sapwood.lang.infer.containers.constant_containers import constant_container

            return constant_container(w, found, name)
        return Known(found)
    if isinstance(found, list | dict | set):
        return None
    return Known(found)


def set_attribute(w: Walker, x: Value, name: str, value: Value) -> None:
    x = require_some(w, x, AttributeError, f"'NoneType' object has no attribute '{name}'")
    value = plain(w.b, value)
    if isinstance(x, Agg) and isinstance(x.type, ty.Record):
        if set_record_field(w.b, x, name, value):
            return
        raise NoAttribute(w.b.loc, type=describe(x), name=name, hint=_attribute_hint(x, name))
    if struct_of(x) is not None:
        set_struct_attribute(w, x, name, value)
        return
    if isinstance(x, Var) and isinstance(x.type, ty.Ref):
        if rules_of(x).set_attribute(w, x, name, value):
            return
        raise NoAttribute(w.b.loc, type=describe(x), name=name, hint=_attribute_hint(x, name))
    raise ImmutableField(w.b.loc, what=f"attribute '{name}' of {describe(x)}", hint="only structs have fields")


# -- indexing ----------------------------------------------------------------------------------------


def _index_items(index: Value) -> tuple[Value, ...]:
    is_slice = isinstance(index, Agg) and index.items[:1] == (Known(slice),)
    if isinstance(index, Agg) and isinstance(index.type, ty.Tuple) and not is_slice:
        return index.items
    if isinstance(index, Known) and isinstance(index.value, tuple):
        return tuple_items(index)
    return (index,)


def get_item(w: Walker, x: Value, index: Value) -> Value:
    x = require_some(w, x, TypeError, "'NoneType' object is not subscriptable")
    x, index = plain(w.b, x), plain(w.b, index)
    match x:
        case Var(type=ty.Ref()):
            return rules_of(x).get_item(w, x, index)
        case Agg(type=ty.Tensor() as t):
            items = _index_items(index)
            if len(items) > t.rank:
                raise TooManyIndices(w.b.loc, count=len(items), type=t, rank=t.rank)
            if len(items) == t.rank and not any(_is_slice(i) for i in items):
                return load_elements(w, x, items, Known(None), Known(None))
            return tensor_view(w, x, items)
        case Agg(type=ty.StackArray() as t):
            pointer = x.items[0]
            assert isinstance(pointer, Var)
            return layout.read(w.b, _stack_place(w, pointer, t, index), t.elem)
        case Var(type=ty.Ptr() as t):
            return layout.read(w.b, offset(w.b, x, index), t.elem)
        case Var(type=ty.Simd() as t):
            return w.b.emit1(simd.extract, (x, _lane(w, t, index)), t.elem)
        case Agg(type=ty.Tuple()) | Known(value=tuple()):
            return _tuple_item(w, x, index)
        case Agg(type=ty.Range()) | Known(value=range()):
            return range_item(w, x, index)
        case Known(value=str() | bytes() as text):
            if isinstance(index, Known) and isinstance(index.value, int) and -len(text) <= index.value < len(text):
                return Known(text[index.value])
            return get_item(w, w.b.materialize(x), index)
        case Known(value=EnumMeta() as cls):
            return enums.by_name(w, cls, index)
        case Known(value=f) if is_compiled(f):
            from sapwood.lang.infer.launches import configured

            return configured(w, f, index)
        case Known(value=v) if isinstance(v, type):
            args = w.b.known(index, f"the parameters of {v.__name__}")
            try:
                return Known(v[args])  # type: ignore[index]
            except TypeError as e:
                raise NotIndexable(w.b.loc, type=describe(x), detail=f": {e}", hint="") from None
    hint = "tensors, tuples, vectors and pointers can be"
    if x == Known(None):
        hint = "it is None: methods that change a list, such as sort and append, return None"
    if _is_iterator(x):
        hint = "take its items with next(), or make a list of it"
    raise NotIndexable(w.b.loc, type=describe(x), detail="", hint=hint)


def set_item(w: Walker, x: Value, index: Value, value: Value) -> None:
    x = require_some(w, x, TypeError, "'NoneType' object does not support item assignment")
    index, value = plain(w.b, index), plain(w.b, value)
    match x:
        case Var(type=ty.Ref()):
            rules_of(x).set_item(w, x, index, value)
            return
        case Agg(type=ty.Tensor() as t):
            items = _index_items(index)
            if len(items) > t.rank:
                raise TooManyIndices(w.b.loc, count=len(items), type=t, rank=t.rank)
            if len(items) < t.rank or any(map(_is_slice, items)):
                hint = "assign element by element, in a loop"
                raise BadOperand(w.b.loc, function="assignment", detail="a slice cannot be assigned to", hint=hint)
            store_elements(w, x, items, value, Known(None), scalar=True)
            return
        case Agg(type=ty.StackArray() as t):
            pointer = x.items[0]
            assert isinstance(pointer, Var)
            layout.write(w.b, _stack_place(w, pointer, t, index), t.elem, value)
            return
        case Var(type=ty.Ptr() as t):
            layout.write(w.b, offset(w.b, x, index), t.elem, value)
            return
        case Var(type=ty.Simd()):
            hint = "vectors are values; use v = v.insert(i, x) or select(iota(...) == i, x, v)"
            raise ImmutableField(w.b.loc, what="a lane of a SIMD vector", hint=hint)
        case Agg(type=ty.Tuple()) | Known(value=tuple()):
            raise ImmutableField(w.b.loc, what="an item of a tuple", hint="make a new tuple, or use a StackArray")
    raise NotIndexable(w.b.loc, type=describe(x), detail="", hint="tensors, stack arrays and pointers can be")


def _is_slice(v: Value) -> bool:
    return isinstance(v, Agg) and v.items[:1] == (Known(slice),) or v == Known(...)


def _stack_place(w: Walker, pointer: Var, t: ty.StackArray, index: Value) -> Var:
    from sapwood.lang.infer.tensors import check_index

    i = check_index(w, require_index(w.b, index, "an index"), Known(t.size), 0)
    elem = layout.at_offset(w.b, pointer, 0, t.elem)
    return offset(w.b, elem, i, layout.size_of(w.b, t.elem))


def _lane(w: Walker, t: ty.Simd, index: Value) -> Var:
    if isinstance(index, Known):
        lane = w.b.known(index, "a lane number", int)
        if not -t.lanes <= lane < t.lanes:
            raise BadOperand(w.b.loc, function="lane", detail=f"{t} has no lane {lane}", hint="count from 0")
        return w.b.index(lane % t.lanes)
    return w.b.materialize(require_index(w.b, index, "a lane number"))


def _tuple_item(w: Walker, x: Value, index: Value) -> Value:
    if isinstance(index, Var) and x != Known(()):
        return item_at(w, x, index)
    items = tuple_items(x)
    if _is_slice(index) and isinstance(index, Agg):
        parts = [w.b.known(v, "a slice of a tuple") for v in index.items[1:]]
        chosen = items[slice(*parts)]
        return Agg(ty.Tuple(len(chosen)), tuple(chosen))
    i = w.b.known(index, "the index of a tuple", int)
    if not -len(items) <= i < len(items):
        detail = f": it has {len(items)} items"
        raise NotIndexable(w.b.loc, type=describe(x), detail=f" with {i}{detail}", hint="count from 0")
    return items[i]


def length(w: Walker, x: Value) -> Value:
    x = require_some(w, x, TypeError, "object of type 'NoneType' has no len()")
    match x:
        case Var(type=ty.Ref()):
            return rules_of(x).length(w, x)
        case Agg(type=ty.DictView()):
            return length(w, x.items[0])
        case Agg(type=ty.Tensor()):
            return x.items[1]
        case Agg(type=ty.StackArray() as t):
            return Known(t.size)
        case Agg(type=ty.Tuple()):
            return Known(len(x.items))
        case Var(type=ty.Simd() as t):
            return Known(t.lanes)
        case Known(value=tuple() | str() | bytes() as v):
            return Known(len(v))
        case Known(value=EnumMeta() as cls):
            w.interp.depend_on_constant(cls.__module__, cls.__qualname__, cls)
            return Known(len(cls))
        case Agg(type=ty.Character()):
            return Known(1)
        case Agg(type=ty.Range()) | Known(value=range()):
            return range_length(w, x)
    hint = "make a list of it: len(list(x))" if _is_iterator(x) else "x.shape gives sizes"
    raise BadOperand(w.b.loc, function="len", detail=f"{describe(x)} has no length", hint=hint)


def _is_iterator(x: Value) -> bool:
    return isinstance(x, Agg) and isinstance(x.type, ty.Lazy | ty.Iterator)
