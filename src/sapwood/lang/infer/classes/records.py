"""Elements of structured arrays: references to records in memory, whose fields may lie at any address."""

from __future__ import annotations

import operator
from typing import Any

from sapwood.lang import memory_layout
from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand
from sapwood.lang.infer import layout
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import memory
from sapwood.lang.ops.operators import binary
from sapwood.lang.records import natural_alignment
from sapwood.lang.values import Agg, Known, Value, describe


def record_at(b: Any, p: Var) -> Value:
    """The record at a pointer: a reference, as NumPy's are. A mutable struct that lies as C lays it out is itself."""
    assert isinstance(p.type, ty.Ptr) and isinstance(p.type.elem, ty.Record)
    r = p.type.elem
    if not r.struct.frozen and _as_in_c(r):
        return Agg(r.struct, (layout.at_offset(b, p, 0, r.struct),))
    return Agg(r, (p,))


def _as_in_c(r: ty.Record) -> bool:
    from sapwood.lang.memory_layout import is_heap

    if is_heap(r.struct):
        return False
    fields = memory_layout.struct_layout(r.struct)
    return memory_layout.size(r.struct) == r.size and all(
        (n, at) == (m, there) and (f == g or isinstance(g, ty.Record) and g.struct == f and _as_in_c(g))
        for (n, f, at), (m, g, there) in zip(fields, r.fields, strict=True)
    )


def get_record_field(b: Any, x: Agg, name: str) -> Value | None:
    found = _place(b, x, name)
    return None if found is None else _read(b, *found)


def set_record_field(b: Any, x: Agg, name: str, value: Value) -> bool:
    found = _place(b, x, name)
    if found is None:
        return False
    _write(b, *found, value)
    return True


def _place(b: Any, x: Agg, name: str) -> tuple[Var, ty.Type] | None:
    assert isinstance(x.type, ty.Record)
    for n, f, at in x.type.fields:
        if n == name:
            return layout.at_offset(b, x.items[0], at, f), f  # type: ignore[arg-type]
    return None


def _read(b: Any, p: Var, t: ty.Type) -> Value:
    match t:
        case ty.Scalar():
            return b.emit1(memory.load, (p,), t, align=1)
        case ty.Record():
            return record_at(b, p)
    return Agg(t, (p,))  # an array


def _write(b: Any, p: Var, t: ty.Type, value: Value) -> None:
    match t:
        case ty.Scalar():
            b.emit(memory.store, (p, b.coerce(value, t)), (), {"align": 1})
            return
        case ty.Record():
            write_record(b, p, value)
            return
    layout.write(b, p, t, value)


def write_record(b: Any, p: Var, value: Value) -> None:
    """`xs[i] = Particle(...)`: all fields."""
    from sapwood.lang.infer.classes.structs import get_field, is_struct_value, lift

    assert isinstance(p.type, ty.Ptr) and isinstance(p.type.elem, ty.Record)
    r = p.type.elem
    value = lift(b, value)
    if not is_struct_value(value) or describe(value) != str(r.struct):
        hint = f"the elements are {r.struct}"
        raise BadOperand(b.loc, function="assignment", detail=f"cannot store {describe(value)}", hint=hint)
    items = [get_field(b.interpreter.frames[-1], value, n) for n, _, _ in r.fields]
    for (_, f, at), item in zip(r.fields, items, strict=True):
        assert item is not None
        _write(b, layout.at_offset(b, p, at, f), f, item)


def load_record(b: Any, x: Agg) -> Value:
    """A record as a struct of its own: what later happens to the array does not change it."""
    from sapwood.lang.infer.classes.structs import lift, make_struct

    assert isinstance(x.type, ty.Record)
    values = []
    for name, _, _ in x.type.fields:
        v = get_record_field(b, x, name)
        assert v is not None
        values.append(lift(b, v))
    return make_struct(b.interpreter.frames[-1], x.type.struct.cls, values)


def field_view(b: Any, x: Agg, name: str) -> Value | None:
    """`xs.position`: a field of all records, as a strided tensor."""
    assert isinstance(x.type, ty.Tensor) and isinstance(x.type.elem, ty.Record)
    r, rank = x.type.elem, x.type.rank
    found = next(((f, at) for n, f, at in r.fields if n == name), None)
    if found is None:
        return None
    f, at = found
    if not isinstance(f, ty.Scalar | ty.Record):
        hint = f"read xs[i].{name} in a loop"
        raise BadOperand(b.loc, function=f".{name}", detail="a field of arrays has no view", hint=hint)
    size = layout.size_of(b, f)
    if r.size % size or not natural_alignment(r):
        hint = f"make the array with an aligned dtype: numpy_dtype({r.struct}), or read xs[i].{name} in a loop"
        detail = f"the field does not lie at multiples of its size in records of {r.size} bytes"
        raise BadOperand(b.loc, function=f".{name}", detail=detail, hint=hint)
    strides = (binary(b, operator.mul, s, Known(r.size // size)) for s in x.items[1 + rank :])
    pointer = layout.at_offset(b, x.items[0], at, f)  # type: ignore[arg-type]
    return Agg(ty.Tensor(f, rank, "strided"), (pointer, *x.items[1 : 1 + rank], *strides))
