"""Places in sorted sequences (bisect), and functools.reduce."""

from __future__ import annotations

from sapwood.lang.function import fn


@fn
def place_before(a, x, low: int, high: int, key) -> int:
    """Where x goes before all that equals it."""
    while low < high:
        middle = (low + high) // 2
        if (a[middle] if key is None else key(a[middle])) < x:
            low = middle + 1
        else:
            high = middle
    return low


@fn
def place_behind(a, x, low: int, high: int, key) -> int:
    """Where x goes behind all that equals it."""
    while low < high:
        middle = (low + high) // 2
        if x < (a[middle] if key is None else key(a[middle])):
            high = middle
        else:
            low = middle + 1
    return low


@fn(inline=True)
def reduce_from(function, items, start):
    total = start
    for x in items:
        total = function(total, x)
    return total


@fn(inline=True)
def reduce_items(function, items):
    rest = iter(items)
    try:
        total = next(rest)
    except StopIteration:
        raise TypeError("reduce() of empty iterable with no initial value") from None
    for x in rest:
        total = function(total, x)
    return total
