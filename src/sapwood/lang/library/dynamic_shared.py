"""How much of the shared memory that a launch adds lies behind an offset."""

from __future__ import annotations

from sapwood.lang.api.annotations import Const
from sapwood.lang.function import fn


@fn(inline=True)
def elements(total: int, offset: int, size: Const[int]) -> int:
    """Elements of `size` bytes from `offset` to the end of `total` bytes."""
    if offset < 0 or offset % size != 0:
        raise ValueError("the offset of dynamic_shared must be a multiple of the element's size, not", offset)
    return max(total - offset, 0) // size
