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
