"""Text: constants. Words of a str: 2 bytes of UTF-8, 3 code points, 4 hash (0: not computed); then the bytes, NUL."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

from sapwood.lang.ops.base import operation
from sapwood.lang.ops.heap import IMMORTAL
from sapwood.lang.ops.pointer import Block, Pointer
from sapwood.lang.types import I64

TEXT_AT = 40  # where the bytes of a str begin


@operation(pure=True)
def text_constant() -> Any:
    """A str that is known at compile time (attribute `text`): an object that never ends."""


@lru_cache(maxsize=4096)
def constant_object(text: str) -> Any:
    raw = text.encode("utf-8", "surrogatepass")
    buffer = ctypes.create_string_buffer(TEXT_AT + len(raw) + 1)
    head = (IMMORTAL, 0, len(raw), len(text), 0)
    buffer[: TEXT_AT + len(raw)] = b"".join(w.to_bytes(8, "little") for w in head) + raw
    return buffer


@text_constant.reference
def _(op):
    buffer = constant_object(op.attrs["text"])
    return Pointer(Block(ctypes.addressof(buffer), len(buffer), buffer), 0, I64)


@text_constant.lowering
def _(e, op):
    text = op.attrs["text"]
    raw = text.encode("utf-8", "surrogatepass")
    body = "".join(f"\\{c:02X}" for c in raw)
    n = len(raw) + 1
    return e.module.data(
        f"{{i64, ptr, i64, i64, i64, [{n} x i8]}} "
        f'{{i64 {IMMORTAL}, ptr null, i64 {len(raw)}, i64 {len(text)}, i64 0, [{n} x i8] c"{body}\\00"}}'
    )
