"""Lists, written in the language. Words: 2 length, 3 capacity, 4 address of the elements.

`kind` is the list's heap type and `stored` the type of its elements in memory, both known at compile time.
Indices are in range: whoever calls these has looked. Editing is in list_edit.py, order in list_order.py.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i64
from sapwood.lang.function import fn, shared_code
from sapwood.lang.ops.heap import (
    allocate,
    elements,
    elements_at,
    free,
    new_object,
    reallocate,
    stored_size,
    take,
    words,
)
from sapwood.lang.ops.memory import address
from sapwood.lang.ops.raw import equal_values, holds_references

LENGTH, CAPACITY, DATA = 2, 3, 4
BYTES = 40  # of a list without its elements
TOO_MANY = 1 << 47  # bytes that no machine gives
DOUBLED = 1 << 16  # bytes of elements up to which a list that grows has twice the room


@fn(unchecked=True, inline=True)
def bytes_for(n: int, size: int) -> int:
    """n * size, or more than there can be when that would wrap."""
    return n * size if n <= TOO_MANY // max(size, 1) else TOO_MANY


@shared_code("elements", unit=True)
def list_new(kind, stored, capacity: int):
    """An empty list with room for `capacity` elements."""
    xs = new_object(kind, BYTES)
    w = words(xs)
    w[LENGTH] = 0
    w[CAPACITY] = 0
    w[DATA] = 0
    if capacity > 0:
        w[DATA] = address(allocate(bytes_for(capacity, stored_size(stored))))
        w[CAPACITY] = capacity
    return xs


@fn(unchecked=True)
def list_drop(w: Ptr[i64], stored):
    n = w[LENGTH]
    if w[CAPACITY] > 0:
        data = Ptr[i64](w[DATA])
        if holds_references(stored):
            p = elements_at(data, stored)
            for i in range(n):
                take(p, i)
        free(data, w[CAPACITY] * stored_size(stored))
    free(w, BYTES)


@fn(unchecked=True, unit=True)
def list_grow(w: Ptr[i64], size: int, capacity: int) -> None:
    """Room for more elements than there is room for now: `capacity` of `size` bytes at least, and some more."""
    old = w[CAPACITY]
    more = old if old * size < DOUBLED else old >> 1
    capacity = max(capacity, old + more, 4)
    nbytes = bytes_for(capacity, size)
    if old == 0:
        w[DATA] = address(allocate(nbytes))
    else:
        w[DATA] = address(reallocate(Ptr[i64](w[DATA]), nbytes))
    w[CAPACITY] = capacity


@fn(unchecked=True, inline=True)
def list_reserve(xs, stored, capacity: int) -> None:
    """Make room for `capacity` elements at least; the next ones come at no cost."""
    if capacity > words(xs)[CAPACITY]:
        list_grow(words(xs), stored_size(stored), capacity)


@fn(unchecked=True, inline=True)
def list_append(xs, stored, x: Any) -> None:
    w = words(xs)
    n = w[LENGTH]
    if n == w[CAPACITY]:
        list_grow(w, stored_size(stored), n + 1)
    elements(xs)[n] = x
    w[LENGTH] = n + 1


@fn(unchecked=True)
def list_find(xs, x, start: int, stop: int) -> int:
    """The first index from start to stop of an element that equals x; -1: there is none."""
    i = start
    while i < stop and i < words(xs)[LENGTH]:  # a comparison may change the list
        if equal_values(elements(xs)[i], x):
            return i
        i += 1
    return -1


@fn(unchecked=True)
def list_count(xs, x) -> int:
    total = 0
    i = 0
    while i < words(xs)[LENGTH]:
        if equal_values(elements(xs)[i], x):
            total += 1
        i += 1
    return total


@fn(unchecked=True)
def list_difference(xs, ys) -> int:
    """The first index at which two lists differ, which may be the length of the shorter one."""
    i = 0
    while i < words(xs)[LENGTH] and i < words(ys)[LENGTH]:
        if not equal_values(elements(xs)[i], elements(ys)[i]):
            return i
        i += 1
    return i


@fn(unchecked=True)
def list_equal(xs, ys) -> bool:
    n = words(xs)[LENGTH]
    return n == words(ys)[LENGTH] and list_difference(xs, ys) == n


@fn(unchecked=True)
def list_require(found, x) -> None:
    """What `index` says where it finds nothing."""
    if not found:
        raise ValueError(repr(x) + " is not in list")
