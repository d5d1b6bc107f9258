"""Lists, written in the language. Words: 2 length, 3 capacity, 4 address of the elements.

`kind` is the list's heap type and `stored` the type of its elements in memory, both known at compile time.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i64
from sapwood.lang.function import fn
from sapwood.lang.ops.heap import (
    allocate,
    elements,
    elements_at,
    free,
    free_object,
    new_object,
    reallocate,
    stored_size,
    take,
    words,
)
from sapwood.lang.ops.memory import address

LENGTH, CAPACITY, DATA = 2, 3, 4
TOO_MANY = 1 << 47  # bytes that no machine gives


@fn(unchecked=True, inline=True)
def bytes_for(n: int, size: int) -> int:
    """n * size, or more than there can be when that would wrap."""
    return n * size if n <= TOO_MANY // max(size, 1) else TOO_MANY


@fn(unchecked=True)
def list_new(kind, stored, capacity: int):
    """An empty list with room for `capacity` elements."""
    xs = new_object(kind, 40)
    w = words(xs)
    w[LENGTH] = 0
    w[CAPACITY] = 0
    if capacity > 0:
        w[DATA] = address(allocate(bytes_for(capacity, stored_size(stored))))
        w[CAPACITY] = capacity
    return xs


@fn(unchecked=True)
def list_drop(w: Ptr[i64], stored):
    n = w[LENGTH]
    if w[CAPACITY] > 0:
        data = Ptr[i64](w[DATA])
        p = elements_at(data, stored)
        for i in range(n):
            take(p, i)
        free(data)
    free_object(w)


@fn(unchecked=True)
def list_reserve(xs, stored, capacity: int) -> None:
    """Make room for `capacity` elements at least; the next ones come at no cost."""
    w = words(xs)
    old = w[CAPACITY]
    if capacity > old:
        capacity = max(capacity, old + (old >> 1), 4)
        size = bytes_for(capacity, stored_size(stored))
        if old == 0:
            w[DATA] = address(allocate(size))
        else:
            w[DATA] = address(reallocate(Ptr[i64](w[DATA]), size))
        w[CAPACITY] = capacity


@fn(unchecked=True, inline=True)
def list_append(xs, stored, x: Any) -> None:
    w = words(xs)
    n = w[LENGTH]
    if n == w[CAPACITY]:
        list_reserve(xs, stored, n + 1)
    elements(xs)[n] = x
    w[LENGTH] = n + 1
