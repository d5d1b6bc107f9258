"""Constant data: bytes that lie in the object code."""

from __future__ import annotations

import hashlib
from typing import Any

from sapwood.lang.ops.base import operation
from sapwood.lang.ops.pointer import Block, Pointer
from sapwood.lang.types import U8, Ptr


@operation(pure=True)
def constant_bytes(data: bytes) -> Any:
    """A pointer to bytes known at compile time, aligned to 16 and followed by a zero."""


@constant_bytes.typing
def _(b, data):
    return data_pointer(b, b.known(data, "constant data", bytes))


def data_pointer(b: Any, data: bytes) -> Any:
    return b.emit1(constant_bytes, (), Ptr(U8), data=data, digest=hashlib.blake2b(data, digest_size=8).hexdigest())


_evaluated: dict[bytes, Pointer] = {}


@constant_bytes.reference
def _(op):
    import ctypes

    data = op.attrs["data"]
    found = _evaluated.get(data)
    if found is None:
        block = Block.allocate(len(data) + 1)
        ctypes.memmove(block.address, data + b"\0", len(data) + 1)
        found = _evaluated[data] = Pointer(block, 0, U8)
    return found


@constant_bytes.lowering
def _(e, op):
    return e.module.data_constant(op.attrs["data"])


@operation(pure=True)
def unicode_table(name: str) -> Any:
    """A table of the Unicode database of this Python: `names`, see library/unicode_tables.py."""


@unicode_table.typing
def _(b, name):
    from sapwood.lang.library.unicode_tables import table

    return data_pointer(b, table(b.known(name, "the name of the table", str)))
