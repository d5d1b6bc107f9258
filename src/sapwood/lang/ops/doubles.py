"""Doubles as decimal text and back, correctly rounded, by the two functions of CPython that `repr` and `float` use.

library/text_floats.py does common cases without them. They are called where the GIL is held.
"""

from __future__ import annotations

import ctypes
from typing import Any

from sapwood.lang.ops.base import operation
from sapwood.lang.ops.pointer import Block, Pointer
from sapwood.lang.types import F64, I64, U8, Ptr
from sapwood.lang.values import Known

ADD_DOT_0, ALTERNATE, NO_NEGATIVE_ZERO = 2, 4, 8  # flags of PyOS_double_to_string


@operation(space="host", varies=True)
def double_to_text(x: float, code: int, precision: int, flags: int) -> Any:
    """A new NUL-terminated text of x in the C format `code` (the number of a letter of "efgr"); see `free_text`."""


@double_to_text.typing
def _(b, x, code, precision, flags):
    operands = (b.coerce(x, F64), *(b.coerce(v, I64) for v in (code, precision, flags)))
    return b.emit1(double_to_text, operands, Ptr(U8))


@double_to_text.reference
def _(op, x, code, precision, flags):
    convert = ctypes.pythonapi.PyOS_double_to_string
    convert.restype = ctypes.c_void_p
    convert.argtypes = [ctypes.c_double, ctypes.c_char, ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
    found = convert(x, bytes([code]), precision, flags, None)
    text = ctypes.string_at(found)
    ctypes.pythonapi.PyMem_Free(ctypes.c_void_p(found))
    block = Block.allocate(len(text) + 1)
    ctypes.memmove(block.address, text + b"\0", len(text) + 1)
    return Pointer(block, 0, U8)


@double_to_text.lowering
def _(e, op, x, code, precision, flags):
    args = [("double", x)]
    args += [("i32", e.value(f"trunc i64 {v} to i32")) for v in (code, precision, flags)]
    return e.call("PyOS_double_to_string", "ptr", [*args, ("ptr", "null")])


@operation(space="host")
def free_text(p: Any) -> None:
    """Give back what `double_to_text` made."""


@free_text.typing
def _(b, p):
    b.emit(free_text, (p,))
    return Known(None)


@free_text.reference
def _(op, p):
    return None


@free_text.lowering
def _(e, op, p):
    e.call("PyMem_Free", "void", [("ptr", p)])


@operation(space="host")
def text_to_double(p: Any) -> float:
    """The nearest double to the number at the beginning of a NUL-terminated text, which must begin with one."""
    ...


@text_to_double.typing
def _(b, p):
    return b.emit1(text_to_double, (p,), F64)


@text_to_double.reference
def _(op, p):
    convert = ctypes.pythonapi.PyOS_string_to_double
    convert.restype = ctypes.c_double
    end = ctypes.c_void_p()
    return convert(ctypes.c_void_p(p.address), ctypes.byref(end), None)


@text_to_double.lowering
def _(e, op, p):
    end = e.alloca(8, 8)
    return e.call("PyOS_string_to_double", "double", [("ptr", p), ("ptr", end), ("ptr", "null")])
