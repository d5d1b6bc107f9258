"""What the library needs to end structs on the heap: their fields in memory, and the queue of objects to end."""

from __future__ import annotations

import ctypes
from typing import Any

from sapwood.lang.ops import heap
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.pointer import Block, Pointer
from sapwood.lang.types import I64, Ptr, Stored
from sapwood.runtime import heap as runtime_heap


@operation(name="heap_state", pure=True)
def heap_state() -> Any:
    """The words of runtime/heap.py that compiled code shares, as Ptr[i64]."""


@heap_state.typing
def _(b):
    return b.emit1(heap_state, (), Ptr(I64))


@heap_state.reference
def _(op):
    return Pointer(Block(ctypes.addressof(runtime_heap._state), 64, runtime_heap._state), 0, I64)


@heap_state.lowering
def _(e, op):
    e.declare("@sapwood_heap_state = external global i64")
    return "@sapwood_heap_state"


@operation(name="fields_at")
def fields_at(w: Any, stored: Any) -> Any:
    """The fields of an object as one value in memory, from its words."""


@fields_at.typing
def _(b, w, stored):
    from sapwood.lang.infer import layout

    kind = b.known(stored, "the type of the fields", Stored)
    return layout.at_offset(b, w, heap.HEADER, kind)


@operation(name="compare_fields")
def compare_fields(x: Any, y: Any, test: Any) -> bool:
    """Compare two structs of one class field by field; `test` is a function of the module operator."""
    ...


@compare_fields.typing
def _(b, x, y, test):
    from sapwood.lang.infer.classes.struct_operators import compare_fields as compare

    return compare(b.interpreter.frames[-1], b.known(test, "the comparison"), x, y)


@operation(name="give_away", consumes=True)
def give_away(x: Any) -> int:
    """The address of an object (0 for None), with the count that the caller had: Python takes it over."""
    ...


@give_away.typing
def _(b, x):
    return b.emit1(give_away, (b.materialize(x),), I64)


@give_away.reference
def _(op, x):
    return x.address


@give_away.lowering
def _(e, op, p):
    return e.value(f"ptrtoint ptr {p} to i64")
