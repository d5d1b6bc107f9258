"""bytes(iterable of ints)."""

from __future__ import annotations

from sapwood.lang.function import fn
from sapwood.lang.library.bytearray_object import array_append, array_bytes, array_new
from sapwood.lang.ops.constants import constant_bytes

NOTHING = b""


@fn(unchecked=True, inline=True)
def bytes_of(values) -> bytes:
    x = array_new(constant_bytes(NOTHING), 0)
    for v in values:
        if v < 0 or v > 255:
            raise ValueError("bytes must be in range(0, 256)")
        array_append(x, v)
    return array_bytes(x)


@fn
def bytes_of_each(xs):
    """A list of the bytes of each of them."""
    return [bytes(x) for x in xs]


@fn
def arrays_of_each(xs):
    """A list of a bytearray of each of them."""
    return [bytearray(x) for x in xs]
