"""What library/memory_view.py needs: items by their format, and the buffer protocol of Python objects."""

from __future__ import annotations

from typing import Any

from sapwood.lang.ops import arith, memory
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.convert import bitcast
from sapwood.lang.ops.objects import api, as_object, constant_object
from sapwood.lang.types import BOOL, F64, I64, U8, U64, Ptr, Scalar
from sapwood.lang.values import Known, Var

OBJECT_AT = 2  # the word of a PythonBuffer where its Py_buffer begins
FULL_READ_ONLY = 0x11C  # PyBUF_FULL_RO


def place_as(b: Any, p: Var, elem: Scalar) -> Var:
    """A pointer to bytes as a pointer to an item."""
    return b.emit1(bitcast, (p,), Ptr(elem))


def load_item(b: Any, p: Var, elem: Scalar) -> Var:
    """The number at a place, as Python's type has it."""
    found = b.emit1(memory.load, (place_as(b, p, elem),), elem)
    if elem in (BOOL, U64):
        return found
    return b.convert(found, F64 if elem.is_float else I64)


@operation(name="view_item")
def view_item(x: Any, i: int) -> Any:
    """Item i of a memoryview, which has so many."""


@view_item.typing
def _(b, x, i):
    from sapwood.lang.infer.containers.lists import word

    offset = b.emit1(arith.mul, (b.coerce(i, I64), word(b, x, 3)), I64)
    at = b.emit1(arith.add, (word(b, x, 4), offset), I64)
    return load_item(b, b.emit1(memory.pointer_at, (at,), Ptr(U8)), x.type.target.elem)


@operation()
def get_buffer(x: Any, p: Any) -> None:
    """Fill in the Py_buffer at p with the memory of a Python object; raises what the object does."""


@get_buffer.typing
def _(b, x, p):
    api(b, "PyObject_GetBuffer", (b.materialize(x), p), None, "negative", last=FULL_READ_ONLY)
    return Known(None)


@operation()
def release_buffer(p: Any) -> None:
    """Let go of the memory of a Python object."""


@release_buffer.typing
def _(b, p):
    api(b, "PyBuffer_Release", (p,), None, None)
    return Known(None)


@operation()
def memoryview_object(x: Any) -> Any:
    """Python's memoryview(x)."""


@memoryview_object.typing
def _(b, x):
    return api(b, "PyMemoryView_FromObject", (x,))


@operation()
def slice_object(base: Any, offset: int, base_step: int, n: int, stride: int, readonly: bool) -> Any:
    """The part of a Python memoryview that begins `offset` bytes after it and has n items, `stride` bytes from one to
    the next."""


@slice_object.typing
def _(b, base, offset, base_step, n, stride, readonly):
    from sapwood.lang.ops.objects import python_call

    function = constant_object(b, part_of_memoryview)
    numbers = [as_object(b, b.materialize(v)) for v in (offset, base_step, n, stride, readonly)]
    return b.emit(python_call, (function, base, *numbers), (base.type,), {"names": ()})[0]


def part_of_memoryview(view: memoryview, offset: int, base_step: int, n: int, stride: int, readonly: bool) -> Any:
    """What `slice_object` calls, in Python."""
    if n == 0:
        part = view[:0]
    else:
        start, step = (offset // base_step, stride // base_step) if base_step else (0, 1)
        end = start + n * step
        part = view[start : None if end < 0 else end : step or 1]
    return part.toreadonly() if readonly else part
