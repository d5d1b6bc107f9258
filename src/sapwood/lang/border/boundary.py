"""The compiled side of the boundary between Python and compiled code: what an entry makes of the arguments that are
passed (arguments.py), and what it hands back of a result (results.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sapwood.lang import memory_layout
from sapwood.lang import types as ty
from sapwood.lang.border.arguments import (
    ComplexArg,
    ConstArg,
    HeapArg,
    NativeArg,
    ObjectArg,
    PointerArg,
    RecordArg,
    ScalarArg,
    StructArg,
    TensorArg,
    TupleArg,
)
from sapwood.lang.border.heap_description import CannotCross, describe_target, holds_structs
from sapwood.lang.border.results import ResultShape
from sapwood.lang.declared import struct_type
from sapwood.lang.infer import layout
from sapwood.lang.infer.border import box, unbox
from sapwood.lang.infer.classes.structs import make_struct
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith, memory
from sapwood.lang.ops.heap_struct import give_away
from sapwood.lang.ops.objects import OBJECT
from sapwood.lang.types import I64
from sapwood.lang.values import Agg, Known, Spec, Value, describe
from sapwood.runtime.dtypes import DTYPES
from sapwood.runtime.entry import ConstParam, ObjectParam, ScalarParam, TensorParam


@dataclass(frozen=True)
class AddressParam(ScalarParam):
    """The address of records."""

    writable: bool = False


# -- arguments -----------------------------------------------------------------------------------------


def argument_params(argument: Any, name: str) -> list[Any]:
    """The parameters of the entry that an argument takes."""
    match argument:
        case ScalarArg():
            return [ScalarParam(name, DTYPES[argument.carrier.name], argument.exact)]
        case ComplexArg():
            return [ScalarParam(name, DTYPES[argument.type.name], argument.exact)]
        case TensorArg():
            return [TensorParam(name, DTYPES[argument.elem.name], argument.rank, argument.layout, False)]
        case ConstArg():
            return [ConstParam(name, argument.known.value)] if argument.comparable else []
        case TupleArg():
            return [p for i, a in enumerate(argument.items) for p in argument_params(a, f"{name}[{i}]")]
        case StructArg():
            return [p for n, a in argument.fields for p in argument_params(a, f"{name}.{n}")]
        case ObjectArg():
            return [ObjectParam(name)]
        case PointerArg() | HeapArg() | NativeArg():
            return [ScalarParam(name, DTYPES["i64"])]
        case RecordArg():
            return [AddressParam(name, DTYPES["i64"]), *[ScalarParam(name, DTYPES["i64"])] * (2 * argument.rank)]
    raise TypeError(argument)


def argument_leaves(argument: Any) -> list[ty.Leaf]:
    """The types of the run-time values that come of those parameters."""
    match argument:
        case ScalarArg():
            return [argument.carrier]
        case ComplexArg():
            return [argument.type.elem, argument.type.elem]
        case TensorArg():
            return [ty.Ptr(argument.elem), *[I64] * (2 * argument.rank)]
        case ConstArg():
            return []
        case TupleArg():
            return [leaf for a in argument.items for leaf in argument_leaves(a)]
        case StructArg():
            return [leaf for _, a in argument.fields for leaf in argument_leaves(a)]
        case ObjectArg():
            return [OBJECT]
        case PointerArg() | HeapArg() | NativeArg():
            return [I64]
        case RecordArg():
            return [I64] * (1 + 2 * argument.rank)
    raise TypeError(argument)


def argument_value(argument: Any, w: Any, leaves: Iterator[Var]) -> Value:
    """The abstract value that the function gets, made of those leaves."""
    match argument:
        case ScalarArg():
            return w.b.convert(next(leaves), argument.scalar)
        case ComplexArg():
            return Agg(argument.type, (next(leaves), next(leaves)))
        case PointerArg():
            return w.b.emit1(memory.pointer_at, (next(leaves),), ty.Ptr(argument.elem))
        case TensorArg():
            return _tensor(argument, w.b, leaves)
        case ConstArg():
            return argument.known
        case TupleArg(items=items):
            return Agg(ty.Tuple(len(items)), tuple(argument_value(a, w, leaves) for a in items))
        case StructArg():
            return make_struct(w, argument.cls, [argument_value(a, w, leaves) for _, a in argument.fields])
        case ObjectArg():
            w.interp.exact = argument.exact
            return unbox(w, next(leaves), argument.spec)
        case HeapArg():
            return _heap_object(argument, w, leaves)
        case RecordArg():
            return _records(argument, w.b, leaves)
        case NativeArg():
            from sapwood.lang.ops.heap import shared_object_at

            pointer = w.b.emit1(memory.pointer_at, (next(leaves),), ty.Ptr(I64))
            return w.b.apply(shared_object_at, pointer, Known(argument.spec.data.target))
    raise TypeError(argument)


def _tensor(a: TensorArg, b: Any, leaves: Iterator[Var]) -> Value:
    pointer = next(leaves)
    shape = [next(leaves) for _ in range(a.rank)]
    given = [next(leaves) for _ in range(a.rank)]
    strides: list[Value] = list(given)
    if a.rank and a.layout != "strided":
        strides[-1] = Known(1)
    if a.layout == "contiguous":
        size: Value = Known(1)
        for axis in reversed(range(a.rank - 1)):
            dim = shape[axis + 1]
            size = dim if axis == a.rank - 2 else b.emit1(arith.mul, (dim, size), I64)
            strides[axis] = size
    return Agg(ty.Tensor(a.elem, a.rank, a.layout), (pointer, *shape, *strides))


def _records(a: RecordArg, b: Any, leaves: Iterator[Var]) -> Value:
    pointer = b.emit1(memory.pointer_at, (next(leaves),), ty.Ptr(a.record))
    items: list[Value] = [next(leaves) for _ in range(2 * a.rank)]
    if a.rank and a.layout != "strided":
        items[-1] = Known(1)
    return Agg(ty.Tensor(a.record, a.rank, a.layout), (pointer, *items))


def _heap_object(a: HeapArg, w: Any, leaves: Iterator[Var]) -> Value:
    from sapwood.lang.errors.generic import FieldStays, HostStruct
    from sapwood.lang.memory_layout import is_heap
    from sapwood.lang.ops.heap import object_at

    t = struct_type(a.cls)
    if not is_heap(t):
        raise HostStruct(w.b.loc, type=t)
    target = ty.HeapStruct(t)
    try:
        w.interp.heap_table(target)
    except CannotCross as e:
        (found,) = e.args
        raise FieldStays(w.b.loc, type=t, found=describe(found) if isinstance(found, Spec) else found) from None
    return w.b.apply(object_at, w.b.emit1(memory.pointer_at, (next(leaves),), ty.Ptr(I64)), Known(target))


# -- results -----------------------------------------------------------------------------------------


def result_shape(b: Any, value: Any) -> tuple[ResultShape, list[Var]]:
    """The shape of a result and its leaves; tensors and structs are opened up."""
    from sapwood.lang.infer.text.characters import is_character

    value = b.materialize(value) if is_character(value) else value
    match value:
        case Var(type=ty.Ref(target=target)) if holds_structs(target):
            return ResultShape("heap", describe_target(target)), [b.apply(give_away, value)]
        case Var(type=ty.Ref()) | Agg(type=ty.Optional() | ty.Enum()):
            return ResultShape("object"), [box(b.interpreter.frames[-1], value)]
        case Var(type=ty.Scalar() as t):
            if t.narrow:
                value = b.convert(value, ty.F32)
            return ResultShape("leaf", value.type.name), [value]
        case Known(value=bool() | int() | float() as v):
            leaf = b.materialize(Known(v))
            return ResultShape("leaf", leaf.type.name), [leaf]
        case Known(value=complex() as v):
            return ResultShape("complex", "c128"), [b.const(v.real, ty.F64), b.const(v.imag, ty.F64)]
        case Agg(type=ty.Complex() as t):
            return ResultShape("complex", t.name), list(value.items)  # type: ignore[arg-type]
        case Known(value=tuple() as v):
            return _many(b, "tuple", None, tuple(Known(i) for i in v))
        case Known(value=v):
            return ResultShape("const", v), []
        case Agg(type=ty.Tuple()):
            return _many(b, "tuple", None, value.items)
        case Agg(type=ty.Struct(cls=cls, frozen=True)):
            return _many(b, "struct", cls, value.items)
        case Agg(type=ty.Struct() as t):
            pointer = value.items[0]
            assert isinstance(pointer, Var)
            fields = [
                layout.read(b, layout.at_offset(b, pointer, at, f), f) for _, f, at in memory_layout.struct_layout(t)
            ]
            return _many(b, "struct", t.cls, tuple(fields))
        case Agg(type=ty.Tensor() as t):
            pointer = value.items[0]
            leaves = [b.emit1(memory.address, (pointer,), I64)]
            leaves += [b.materialize(v) for v in value.items[1:]]
            return ResultShape("tensor", (t.elem.name, t.rank)), leaves
    from sapwood.lang.errors import BadConversion

    hint = "return numbers, tuples, structs or tensors"
    raise BadConversion(b.loc, found=describe(value), expected="a Python object", hint=hint)


def field_shape(b: Any, argument: Any, value: Any) -> tuple[ResultShape, list[Var]]:
    """What is written back of an argument: the fields of a struct, also of one that went to the heap on its way."""
    if isinstance(argument, StructArg) and isinstance(value, Var):
        from sapwood.lang.infer.classes.heap_structs import read_field

        walker = b.interpreter.frames[-1] if b.interpreter.frames else None
        values = tuple(read_field(walker, value, n) for n, _ in argument.fields)
        return _many(b, "struct", argument.cls, values)  # type: ignore[arg-type]
    return result_shape(b, value)


def _many(b: Any, kind: str, data: Any, items: tuple[Value, ...]) -> tuple[ResultShape, list[Var]]:
    pairs = [result_shape(b, i) for i in items]
    return ResultShape(kind, data, tuple(s for s, _ in pairs)), [v for _, leaves in pairs for v in leaves]


