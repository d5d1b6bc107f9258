"""Structs over NumPy's structured dtypes: which dtype a struct has, and how a dtype's fields lie."""

from __future__ import annotations

from typing import Any

from sapwood.lang import memory_layout
from sapwood.lang import types as ty
from sapwood.lang.declared import Declared, fields_of, struct_type
from sapwood.runtime.dtypes import DTYPES
from sapwood.runtime.dtypes import dtype as as_dtype


class NoRecord(Exception):
    """A dtype and a struct do not fit; the text says which field."""


def numpy_dtype(cls: type, align: bool = True) -> Any:
    """The NumPy dtype of a @struct class: `np.zeros(n, numpy_dtype(Particle))` is a `Tensor[Particle, 1]`.

    align: lay the fields out as C does; else without gaps. Raises TypeError for fields that NumPy has no type for.
    """
    import numpy as np

    if not hasattr(cls, "__sapwood_struct__"):
        raise TypeError(f"numpy_dtype takes a @struct class, not {cls!r}")
    return np.dtype([(n, *_numpy_field(n, d, align)) for n, d in fields_of(struct_type(cls))], align=align)


def _numpy_field(name: str, d: Declared, align: bool) -> tuple[Any, ...]:
    match d.kind:
        case "scalar" if DTYPES[d.args[0].name].numpy is not None:
            return (DTYPES[d.args[0].name].numpy,)
        case "struct":
            return (numpy_dtype(d.args[0], align),)
        case "stack" if isinstance(d.args[1], int):
            inner, *shape = _numpy_field(name, d.args[0], align)
            return (inner, (d.args[1], *(shape[0] if shape else ())))
    raise TypeError(f"NumPy has no dtype for the field '{name}', which is declared {d}")


def record_of(cls: type, dtype: Any) -> ty.Record:
    """How a struct lies in memory of a dtype; raises NoRecord naming the field that differs."""
    t = struct_type(cls)
    if dtype.names is None:
        raise NoRecord(f"its dtype is {dtype}, not a structured one")
    fields = []
    declared = dict(fields_of(t))
    for name in dtype.names:
        if name not in declared:
            raise NoRecord(f"it has a field '{name}', which {cls.__name__} lacks")
    for name, d in declared.items():
        if name not in dtype.names:
            raise NoRecord(f"it lacks the field '{name}'")
        found, at = dtype.fields[name][:2]
        fields.append((name, _field_type(name, d, found), at))
    return ty.Record(t, tuple(fields), dtype.itemsize)


def _field_type(name: str, d: Declared, dtype: Any) -> ty.Type:
    if d.kind == "stack" and dtype.subdtype is not None:
        base, shape = dtype.subdtype
        for n in reversed(shape[1:]):
            base = type(dtype)((base, (n,)))
        if shape[0] != d.args[1]:
            raise NoRecord(f"its field '{name}' has {shape[0]} elements, {d} is declared")
        return ty.StackArray(_field_type(name, d.args[0], base), shape[0])
    if d.kind == "struct" and dtype.names is not None:
        try:
            return record_of(d.args[0], dtype)
        except NoRecord as e:
            raise NoRecord(f"in its field '{name}', {e}") from None
    try:
        scalar = ty.SCALARS[as_dtype(dtype).name] if dtype.names is None and dtype.subdtype is None else None
    except TypeError:
        scalar = None
    if d.kind != "scalar" or scalar is None or scalar != d.args[0]:
        raise NoRecord(f"its field '{name}' is {dtype}, {d} is declared")
    if not dtype.isnative:
        raise NoRecord(f"its field '{name}' has the other byte order")
    return scalar


def natural_alignment(r: ty.Record) -> int:
    """The largest alignment of a number in a record, if every number lies at a multiple of its size; else 0."""
    largest = 1

    def visit(t: ty.Type, at: int) -> bool:
        nonlocal largest
        match t:
            case ty.Record():
                return all(visit(f, at + offset) for _, f, offset in t.fields)
            case ty.StackArray():
                return visit(t.elem, at) and (t.size < 2 or visit(t.elem, at + memory_layout.size(t.elem)))
        size = memory_layout.size(t)
        largest = max(largest, size)
        return at % size == 0

    return largest if visit(r, 0) and visit(r, r.size) else 0
