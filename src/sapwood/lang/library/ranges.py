"""The length of a range, as loops with a step other than 1 need it."""

from __future__ import annotations

from sapwood.lang.api.dtypes import u64
from sapwood.lang.function import fn


@fn(unchecked=True, inline=True)
def range_length(start: int, stop: int, step: int) -> u64:
    """How many numbers range(start, stop, step) has, for any step but 0.

    The loop counts them down and never asks whether its index has passed `stop`: near the ends of i64 the
    index would wrap around before it does.
    """
    if step > 0:
        if start < stop:
            return (u64(stop) - u64(start) - u64(1)) // u64(step) + u64(1)
    elif start > stop:
        return (u64(start) - u64(stop) - u64(1)) // (u64(0) - u64(step)) + u64(1)
    return u64(0)


@fn(unchecked=True, inline=True)
def range_has(start: int, stop: int, step: int, x: int) -> bool:
    """x in range(start, stop, step)"""
    if step > 0:
        if x < start or x >= stop:
            return False
        return (u64(x) - u64(start)) % u64(step) == u64(0)
    if x > start or x <= stop:
        return False
    return (u64(start) - u64(x)) % (u64(0) - u64(step)) == u64(0)


@fn(unchecked=True, inline=True)
def range_has_float(start: int, stop: int, step: int, x: float) -> bool:
    """x in range(start, stop, step), where a float is equal to the int of its value."""
    if not (-9223372036854775808.0 <= x < 9223372036854775808.0):
        return False
    whole = int(x)
    return float(whole) == x and range_has(start, stop, step, whole)


@fn(unchecked=True, inline=True)
def ranges_equal(start: int, stop: int, step: int, start2: int, stop2: int, step2: int) -> bool:
    """Whether two ranges have the same numbers."""
    n = range_length(start, stop, step)
    if n != range_length(start2, stop2, step2):
        return False
    if n == u64(0):
        return True
    if start != start2:
        return False
    return n == u64(1) or step == step2
