"""bytearray. Words: 2 length, 3 capacity, 4 address of the bytes, 5 how many memoryviews look at it."""

from __future__ import annotations

from sapwood.lang import types as ty
from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i64, u8
from sapwood.lang.function import fn
from sapwood.lang.library.bytes_object import bytes_from
from sapwood.lang.library.text_memory import move, move_down, move_up
from sapwood.lang.library.text_object import clip, text_size
from sapwood.lang.ops.heap import allocate, free, new_object, reallocate, words
from sapwood.lang.ops.memory import address
from sapwood.lang.ops.text_objects import text_data

BYTEARRAY = ty.ByteArray()
LENGTH, CAPACITY, DATA, EXPORTS = 2, 3, 4, 5


@fn(unchecked=True, unit=True)
def array_new(p: Ptr[u8], n: int) -> bytearray:
    """A new bytearray with a copy of n bytes."""
    x = new_object(BYTEARRAY, 48)
    w = words(x)
    w[EXPORTS] = 0
    w[LENGTH] = 0
    w[CAPACITY] = 0
    data = allocate(n)
    w[DATA] = address(data)
    w[CAPACITY] = max(n, 1)
    w[LENGTH] = n
    move(data, p, n)
    return x


@fn(unchecked=True)
def array_drop(w: Ptr[i64]) -> None:
    if w[CAPACITY] > 0:
        free(Ptr[u8](w[DATA]))
    free(w)


@fn(unchecked=True, inline=True)
def array_data(x) -> Ptr[u8]:
    return Ptr[u8](words(x)[DATA])


@fn(unchecked=True, inline=True)
def _may_resize(x) -> None:
    if words(x)[EXPORTS] > 0:
        raise BufferError("Existing exports of data: object cannot be re-sized")


@fn(unchecked=True, unit=True)
def array_reserve(x: bytearray, n: int) -> None:
    """Room for n bytes at least."""
    w = words(x)
    if n > w[CAPACITY]:
        room = max(n, w[CAPACITY] + (w[CAPACITY] >> 1), 16)
        w[DATA] = address(reallocate(Ptr[u8](w[DATA]), room))
        w[CAPACITY] = room


@fn(unchecked=True, inline=True)
def array_append(x, value: int) -> None:
    if value < 0 or value > 255:
        raise ValueError("byte must be in range(0, 256)")
    _may_resize(x)
    n = words(x)[LENGTH]
    if n == words(x)[CAPACITY]:
        array_reserve(x, n + 1)
    array_data(x)[n] = u8(value)
    words(x)[LENGTH] = n + 1


@fn(unchecked=True, unit=True)
def array_extend(x: bytearray, s: bytes) -> None:
    n, m = words(x)[LENGTH], text_size(s)
    if m > 0:
        _may_resize(x)
    array_reserve(x, n + m)
    move(array_data(x) + n, text_data(s), m)
    words(x)[LENGTH] = n + m


@fn(unchecked=True, inline=True)
def _place(x, index: int) -> int:
    n = words(x)[LENGTH]
    i = index + n if index < 0 else index
    if i < 0 or i >= n:
        raise IndexError("bytearray index out of range")
    return i


@fn(unchecked=True, inline=True)
def array_item(x, index: int) -> int:
    i = _place(x, index)
    return int(array_data(x)[i])


@fn(unchecked=True, inline=True)
def array_set(x, index: int, value: int) -> None:
    i = _place(x, index)
    if value < 0 or value > 255:
        raise ValueError("byte must be in range(0, 256)")
    array_data(x)[i] = u8(value)


@fn(unchecked=True, unit=True)
def array_replace(x: bytearray, start: int, stop: int, s: bytes) -> None:
    """x[start:stop] = s"""
    n, m = words(x)[LENGTH], text_size(s)
    first = clip(start, n)
    last = max(clip(stop, n), first)
    size = n - (last - first) + m
    if size != n:
        _may_resize(x)
    array_reserve(x, size)
    p = array_data(x)
    if m > last - first:
        move_up(p + (first + m), p + last, n - last)
    elif m < last - first:
        move_down(p + (first + m), p + last, n - last)
    move(p + first, text_data(s), m)
    words(x)[LENGTH] = size


@fn(unchecked=True, unit=True)
def array_replace_stepped(x: bytearray, start: int, step: int, count: int, s: bytes) -> None:
    """The bytes at start, start + step, ... are those of s."""
    m = text_size(s)
    if step == 1:
        array_replace(x, start, start + count, s)
        return
    if m != count:
        raise ValueError(f"attempt to assign bytes of size {m} to extended slice of size {count}")
    p, q = array_data(x), text_data(s)
    for i in range(count):
        p[start + i * step] = q[i]


@fn(unchecked=True, unit=True)
def array_pop(x: bytearray, index: int) -> int:
    n = words(x)[LENGTH]
    if n == 0:
        raise IndexError("pop from empty bytearray")
    i = index + n if index < 0 else index
    if i < 0 or i >= n:
        raise IndexError("pop index out of range")
    _may_resize(x)
    p = array_data(x)
    value = int(p[i])
    move_down(p + i, p + (i + 1), n - i - 1)
    words(x)[LENGTH] = n - 1
    return value


@fn(unchecked=True, unit=True)
def array_insert(x: bytearray, index: int, value: int) -> None:
    if value < 0 or value > 255:
        raise ValueError("byte must be in range(0, 256)")
    _may_resize(x)
    n = words(x)[LENGTH]
    i = clip(index, n)
    array_reserve(x, n + 1)
    p = array_data(x)
    move_up(p + (i + 1), p + i, n - i)
    p[i] = u8(value)
    words(x)[LENGTH] = n + 1


@fn(unchecked=True, unit=True)
def array_reverse(x: bytearray) -> None:
    p = array_data(x)
    i, j = 0, words(x)[LENGTH] - 1
    while i < j:
        p[i], p[j] = p[j], p[i]
        i += 1
        j -= 1


@fn(unchecked=True, unit=True)
def array_bytes(x: bytearray) -> bytes:
    """The contents as bytes."""
    return bytes_from(array_data(x), words(x)[LENGTH])
