"""How flat results of compiled code become Python values, and what calls left in mutable structs is written back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sapwood.lang.border.arguments import StructArg, TupleArg
from sapwood.lang.border.heap_border import Reader
from sapwood.lang.immutable import immutable
from sapwood.runtime.array import Array
from sapwood.runtime.dtypes import DTYPES


@immutable
class ResultShape:
    """How flat results become a Python value; `simple` when the entry makes it by itself."""

    kind: str  # "leaf" | "const" | "tuple" | "struct" | "tensor"
    data: Any = None
    items: tuple[ResultShape, ...] = ()

    @property
    def simple(self) -> bool:
        if self.kind == "tuple":
            return all(i.simple for i in self.items)
        return self.kind in ("leaf", "complex", "object") or self.kind == "const" and self.data is None

    def entry_result(self) -> Any:
        if self.kind in ("leaf", "complex"):
            return DTYPES[self.data]
        if self.kind == "object":
            return "object"
        if self.kind == "tuple":
            return tuple(i.entry_result() for i in self.items)
        return None

    def build(self, flat: Iterator[Any], owners: tuple[Any, ...], reader: Reader) -> Any:
        match self.kind:
            case "heap":
                return reader.read(self.data, next(flat))
            case "native":
                from sapwood.lang.native import adopt

                return adopt(self.data, next(flat))
            case "leaf" | "object":
                return next(flat)
            case "complex":
                return complex(next(flat), next(flat))
            case "const":
                return self.data
            case "tuple":
                return tuple(i.build(flat, owners, reader) for i in self.items)
            case "struct":
                return instance(self.data, [i.build(flat, owners, reader) for i in self.items])
        dtype, rank = self.data
        address = next(flat)
        shape = tuple(next(flat) for _ in range(rank))
        strides = tuple(next(flat) for _ in range(rank))
        return Array.from_address(address, shape, dtype, strides, owner=owners)


def instance(cls: type, values: list[Any]) -> Any:
    """An object of a struct class with these fields; `__init__` and `__post_init__` have run in compiled code."""
    out = object.__new__(cls)
    for name, v in zip(cls.__sapwood_struct__.fields, values, strict=True):  # type: ignore[attr-defined]
        object.__setattr__(out, name, v)
    return out


def write_back(argument: Any, old: Any, new: Any) -> None:
    """Give the fields of mutable structs in an argument the values that a call left in them."""
    match argument:
        case TupleArg(items=items):
            for a, x, y in zip(items, old, new, strict=True):
                write_back(a, x, y)
        case StructArg():
            own = not argument.cls.__sapwood_struct__.frozen  # type: ignore[attr-defined]
            for name, a in argument.fields:
                if isinstance(a, StructArg | TupleArg) and a.mutable:
                    write_back(a, getattr(old, name), getattr(new, name))
                elif own:
                    object.__setattr__(old, name, getattr(new, name))


def restore(
    shape: ResultShape,
    arguments: list[Any],
    mutated: tuple[int, ...],
    flat: Iterator[Any],
    owners: tuple[Any, ...],
    values: list[Any],
    reader: Reader | None = None,
) -> Any:
    """The Python result of flat results; the fields of mutable structs among the arguments are written back.

    `reader` knows which objects on the heap came from which Python objects, and gives each back as itself.
    """
    reader = Reader() if reader is None else reader
    try:
        if not mutated:
            return shape.build(flat, owners, reader)
        first, *rest = shape.items
        out = first.build(flat, owners, reader)
        for i, fields in zip(mutated, rest, strict=True):
            new = fields.build(flat, owners, reader)
            write_back(arguments[i], values[i], new)
        return out
    finally:
        reader.close()
