"""Members of an Enum: which constant a value is, and `~` of flags."""

from __future__ import annotations

from sapwood.lang.function import fn


@fn(unchecked=True)
def find_constant(values, x) -> int:
    """The place of x in a tuple that is known at compile time; -1: it is not there."""
    for i, value in enumerate(values):
        if value == x:
            return i
    return -1


@fn(unchecked=True)
def inverted_flags(n: int, mask: int, keeps) -> int:
    """`~` of a flag: what else is in `mask`; a class that `keeps` unknown bits has as many more as n has."""
    if keeps and (n < 0 or n > mask):
        size = 1
        while size <= n:
            size <<= 1
        return size - 1 - n
    return mask & ~n
