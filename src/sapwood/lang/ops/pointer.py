"""Pointers of the reference evaluator: real memory, with bounds where they are known."""

from __future__ import annotations

import ctypes
from typing import Any

from sapwood.lang.bits import from_bits, to_bits
from sapwood.lang.immutable import immutable
from sapwood.lang.types import I64, Leaf, Ptr, Ref, Scalar, Simd, Type, elem_of, sizeof


class MemoryFault(IndexError):
    """The evaluator was asked to touch memory outside the object that a pointer belongs to."""


@immutable
class Block:
    """A piece of memory: where it starts, how long it is (None when unknown), and what keeps it alive."""

    address: int
    size: int | None
    owner: Any = None

    @staticmethod
    def allocate(size: int, align: int = 64) -> Block:
        buffer = ctypes.create_string_buffer(max(size, 1) + align)
        base = -(-ctypes.addressof(buffer) // align) * align
        ctypes.memset(base, 0xCD, size)  # uninitialised memory is visibly so
        return Block(base, size, buffer)


@immutable
class Pointer:
    """An address inside a block, with the element type that it counts in."""

    block: Block
    offset: int
    elem: Type

    @property
    def address(self) -> int:
        return self.block.address + self.offset

    def add(self, n: int, stride: int) -> Pointer:
        return Pointer(self.block, self.offset + n * stride, self.elem)

    def cast(self, elem: Type) -> Pointer:
        return Pointer(self.block, self.offset, elem)

    def check(self, size: int, what: str) -> None:
        """Raise MemoryFault unless `size` bytes are here."""
        limit = self.block.size
        if limit is not None and not 0 <= self.offset <= limit - size:
            raise MemoryFault(f"{what} of {size} bytes at offset {self.offset} of a block of {limit} bytes")

    def load(self, ty: Leaf) -> Any:
        size = sizeof(ty)
        self.check(size, "load")
        raw = ctypes.string_at(self.address, size)
        if isinstance(ty, Ptr | Ref):
            elem = ty.elem if isinstance(ty, Ptr) else I64
            return Pointer(Block(int.from_bytes(raw, "little"), None), 0, elem)
        assert isinstance(ty, Scalar | Simd)
        elem = elem_of(ty)
        n = elem.itemsize
        out = tuple(from_bits(elem, int.from_bytes(raw[i : i + n], "little")) for i in range(0, size, n))
        return out if isinstance(ty, Simd) else out[0]

    def store(self, ty: Leaf, value: Any) -> None:
        size = sizeof(ty)
        self.check(size, "store")
        if isinstance(ty, Ptr | Ref):
            raw = value.address.to_bytes(8, "little")
        else:
            elem = elem_of(ty)
            values = value if isinstance(ty, Simd) else (value,)
            raw = b"".join(to_bits(elem, v).to_bytes(elem.itemsize, "little") for v in values)
        ctypes.memmove(self.address, raw, size)
