"""`collections.deque`, written in the language: a ring of elements.

Words: 2 length, 3 places (0 or a power of two), 4 address of the elements, 5 place of the first, 6 the most that it may
hold (-1: any number), 7 how often it has changed, by which iterators know. `kind` is the heap type, `stored` the type
of the elements in memory, both known at compile time. Indices are in range: whoever calls these has looked.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i64
from sapwood.lang.function import fn
from sapwood.lang.library.list import bytes_for, list_append, list_new
from sapwood.lang.ops.border import from_python, item_of_list, list_size
from sapwood.lang.ops.heap import allocate, elements_at, free, new_object, stored_size, take, words
from sapwood.lang.ops.memory import address
from sapwood.lang.ops.raw import equal_values, holds_references, keep, less_values, move_memory

LENGTH, PLACES, DATA, FIRST, MOST, CHANGES = 2, 3, 4, 5, 6, 7
BYTES = 64
LEAST = 8  # places


@fn(unchecked=True)
def deque_new(kind, most: int):
    d = new_object(kind, BYTES)
    w = words(d)
    for i in range(LENGTH, CHANGES + 1):
        w[i] = 0
    w[MOST] = most
    return d


@fn(unchecked=True, inline=True)
def ring(d, stored):
    return elements_at(Ptr[i64](words(d)[DATA]), stored)


@fn(unchecked=True, inline=True)
def place(d, i: int) -> int:
    """Where element i lies."""
    w = words(d)
    return (w[FIRST] + i) & (w[PLACES] - 1)


@fn(unchecked=True)
def deque_drop(w: Ptr[i64], stored):
    if w[PLACES] > 0:
        data = Ptr[i64](w[DATA])
        if holds_references(stored):
            p = elements_at(data, stored)
            for i in range(w[LENGTH]):
                take(p, (w[FIRST] + i) & (w[PLACES] - 1))
        free(data)
    free(w, BYTES)


@fn(unchecked=True)
def deque_clear(kind, d, stored) -> None:
    old = deque_new(kind, -1)
    v, w = words(old), words(d)
    for i in range(LENGTH, FIRST + 1):
        v[i] = w[i]
        w[i] = 0
    w[CHANGES] += 1
    keep(old)  # its elements end when the deque is empty


@fn(unchecked=True)
def deque_grow(d, stored) -> None:
    """Twice as many places, of which the elements take the first."""
    w = words(d)
    old = w[PLACES]
    size = stored_size(stored)
    new = max(2 * old, LEAST)
    memory = allocate(bytes_for(new, size))
    if old > 0:
        q = elements_at(Ptr[i64](address(memory)), stored)
        p = ring(d, stored)
        before = min(old - w[FIRST], w[LENGTH])
        move_memory(q, p + w[FIRST], before * size)
        move_memory(q + before, p, (w[LENGTH] - before) * size)
        free(Ptr[i64](w[DATA]))
    w[DATA] = address(memory)
    w[PLACES] = new
    w[FIRST] = 0


@fn(unchecked=True)
def deque_at(d, stored, i: int):
    return ring(d, stored)[place(d, i)]


@fn(unchecked=True)
def deque_put(d, stored, i: int, x: Any) -> None:
    """`d[i] = x`"""
    p = ring(d, stored)
    at = place(d, i)
    old = take(p, at)
    p[at] = x
    keep(old)  # ends when the deque is whole again


@fn(unchecked=True)
def deque_pop(d, stored):
    """The last element, which leaves; there is one."""
    w = words(d)
    x = take(ring(d, stored), place(d, w[LENGTH] - 1))
    w[LENGTH] -= 1
    w[CHANGES] += 1
    return x


@fn(unchecked=True)
def deque_pop_left(d, stored):
    """The first element, which leaves; there is one."""
    w = words(d)
    x = take(ring(d, stored), w[FIRST])
    w[FIRST] = place(d, 1)
    w[LENGTH] -= 1
    w[CHANGES] += 1
    return x


@fn(unchecked=True)
def deque_append(d, stored, x: Any) -> None:
    w = words(d)
    if w[MOST] == 0:
        w[CHANGES] += 1
        return
    if w[LENGTH] == w[MOST]:
        first = deque_pop_left(d, stored)
        ring(d, stored)[place(d, w[LENGTH])] = x
        w[LENGTH] += 1
        w[CHANGES] += 1
        keep(first)  # ends when the deque is whole again
        return
    if w[LENGTH] == w[PLACES]:
        deque_grow(d, stored)
    ring(d, stored)[place(d, w[LENGTH])] = x
    w[LENGTH] += 1
    w[CHANGES] += 1


@fn(unchecked=True)
def deque_append_left(d, stored, x: Any) -> None:
    w = words(d)
    if w[MOST] == 0:
        w[CHANGES] += 1
        return
    if w[LENGTH] == w[MOST]:
        last = deque_pop(d, stored)
        w[FIRST] = place(d, -1)
        ring(d, stored)[w[FIRST]] = x
        w[LENGTH] += 1
        w[CHANGES] += 1
        keep(last)
        return
    if w[LENGTH] == w[PLACES]:
        deque_grow(d, stored)
    w[FIRST] = place(d, -1)
    ring(d, stored)[w[FIRST]] = x
    w[LENGTH] += 1
    w[CHANGES] += 1


@fn(unchecked=True)
def deque_rotate(d, stored, n: int) -> None:
    """n elements from the right end to the left one, one after the other."""
    w = words(d)
    length = w[LENGTH]
    if length < 2:
        return
    n %= length
    p = ring(d, stored)
    w[CHANGES] += 1
    if n <= length >> 1:
        for _ in range(n):
            to = place(d, -1)
            x = take(p, place(d, length - 1))
            w[FIRST] = to
            p[to] = x
    else:
        for _ in range(length - n):
            x = take(p, w[FIRST])
            p[place(d, length)] = x
            w[FIRST] = place(d, 1)


@fn(unchecked=True)
def deque_insert(d, stored, i: int, x: Any) -> None:
    n = words(d)[LENGTH]
    if i < 0:
        i = max(i + n, 0)
    i = min(i, n)
    deque_rotate(d, stored, -i)
    deque_append_left(d, stored, x)
    deque_rotate(d, stored, i)


@fn(unchecked=True)
def deque_delete(d, stored, i: int) -> None:
    deque_rotate(d, stored, -i)
    x = deque_pop_left(d, stored)
    deque_rotate(d, stored, i)
    keep(x)


@fn(unchecked=True)
def deque_reverse(d, stored) -> None:
    p = ring(d, stored)
    i, j = 0, words(d)[LENGTH] - 1
    while i < j:
        x = take(p, place(d, i))
        p[place(d, i)] = take(p, place(d, j))
        p[place(d, j)] = x
        i += 1
        j -= 1


@fn(unchecked=True)
def deque_find(d, stored, x, start: int, stop: int) -> int:
    """The first index from start to stop of an element that equals x; -1: there is none."""
    w = words(d)
    changes = w[CHANGES]
    for i in range(start, stop):
        same = equal_values(deque_at(d, stored, i), x)
        if w[CHANGES] != changes:
            raise RuntimeError("deque mutated during iteration")
        if same:
            return i
    return -1


@fn(unchecked=True)
def deque_count(d, stored, x) -> int:
    w = words(d)
    changes = w[CHANGES]
    total = 0
    for i in range(w[LENGTH]):
        if equal_values(deque_at(d, stored, i), x):
            total += 1
        if w[CHANGES] != changes:
            raise RuntimeError("deque mutated during iteration")
    return total


@fn(unchecked=True)
def deque_copy(kind, d, stored, most: int):
    out = deque_new(kind, most)
    for i in range(words(d)[LENGTH]):
        deque_append(out, stored, deque_at(d, stored, i))
    return out


@fn(unchecked=True)
def deque_extend(d, stored, other, count: int) -> None:
    """Append the first `count` elements of a deque, which may be the same one."""
    if words(d)[MOST] < 0:
        for i in range(count):
            deque_append(d, stored, deque_at(other, stored, i))
    else:
        for x in deque_items(other, stored, count):
            deque_append(d, stored, x)


@fn(unchecked=True, inline=True)
def deque_items(d, stored, count: int):
    """The first elements as a list."""
    return [deque_at(d, stored, i) for i in range(count)]


@fn(unchecked=True)
def deque_list(list_kind, d, stored):
    """A list of the elements."""
    out = list_new(list_kind, stored, words(d)[LENGTH])
    for i in range(words(d)[LENGTH]):
        list_append(out, stored, deque_at(d, stored, i))
    return out


@fn(unchecked=True)
def deque_difference(d, other, stored) -> int:
    """The first index at which two deques differ, which may be the length of the shorter one."""
    i = 0
    while i < words(d)[LENGTH] and i < words(other)[LENGTH]:
        if not equal_values(deque_at(d, stored, i), deque_at(other, stored, i)):
            return i
        i += 1
    return i


@fn(unchecked=True)
def deque_less(d, other, stored, or_equal: bool) -> bool:
    """`d < other`, or `d <= other`."""
    i = deque_difference(d, other, stored)
    n, m = words(d)[LENGTH], words(other)[LENGTH]
    if i < n and i < m:
        return less_values(deque_at(d, stored, i), deque_at(other, stored, i))
    return n < m or or_equal and n == m


@fn(unchecked=True)
def deque_text(d, stored, show) -> str:
    out = "deque(["
    i = 0
    while i < words(d)[LENGTH]:
        if i > 0:
            out += ", "
        out += show(deque_at(d, stored, i))
        i += 1
    out += "]"
    if words(d)[MOST] >= 0:
        out += f", maxlen={words(d)[MOST]}"
    out += ")"
    return out


@fn(unchecked=True)
def deque_from_python(items, kind, stored, most: int, exact):
    """A new deque of a Python list."""
    d = deque_new(kind, most)
    for i in range(list_size(items)):
        deque_append(d, stored, from_python(item_of_list(items, i, stored), stored))
    return d
