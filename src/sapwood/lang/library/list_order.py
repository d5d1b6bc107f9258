"""Lists: sorting. A stable merge sort: runs of 24 by insertion, then merges back and forth between two memories.

`less(context, a, b)` is a compiled function known at compile time. See list.py for `stored`.
"""

from __future__ import annotations

from sapwood.lang.function import fn
from sapwood.lang.library.list import LENGTH, bytes_for, list_new
from sapwood.lang.library.list_edit import list_reverse
from sapwood.lang.ops.heap import allocate, elements, elements_at, free, stored_size, take, words
from sapwood.lang.ops.raw import less_values, move_memory

RUN = 24  # elements that insertion sorts


@fn(unchecked=True, inline=True)
def less_plain(context, a, b) -> bool:
    return less_values(a, b)


@fn(unchecked=True, inline=True)
def less_keyed(context, a, b) -> bool:
    """Of (key, place) pairs."""
    return less_values(a[0], b[0])


@fn(unchecked=True, inline=True)
def less_placed(context, a, b) -> bool:
    """Of places in a list of keys."""
    p = elements(context)
    return less_values(p[a], p[b])


@fn(unchecked=True)
def insertion(p, start: int, stop: int, context, less) -> None:
    """Sort the elements from start to stop."""
    for i in range(start + 1, stop):
        if less(context, p[i], p[i - 1]):
            x = take(p, i)
            p[i] = take(p, i - 1)
            j = i - 1
            while j > start and less(context, x, p[j - 1]):
                p[j] = take(p, j - 1)
                j -= 1
            p[j] = x


@fn(unchecked=True)
def merge(p, q, start: int, middle: int, stop: int, size: int, context, less) -> None:
    """Two sorted runs of p that are neighbours, as one in q."""
    i, j, k = start, middle, start
    if middle == stop or not less(context, p[middle], p[middle - 1]):  # they are in order
        move_memory(q + start, p + start, (stop - start) * size)
        return
    while i < middle and j < stop:
        second = less(context, p[j], p[i])
        q[k] = take(p, j if second else i)
        j += int(second)
        i += int(not second)
        k += 1
    move_memory(q + k, p + i, (middle - i) * size)
    move_memory(q + (k + middle - i), p + j, (stop - j) * size)


@fn(unchecked=True)
def sort_memory(p, q, n: int, size: int, context, less) -> bool:
    """Sort n elements at p with the help of as much memory at q; True when they end up there."""
    run = RUN
    for start in range(0, n, run):
        insertion(p, start, min(start + run, n), context, less)
    there = False
    while run < n:
        source, target = (q if there else p), (p if there else q)
        for start in range(0, n, 2 * run):
            middle, stop = min(start + run, n), min(start + 2 * run, n)
            merge(source, target, start, middle, stop, size, context, less)
        there = not there
        run *= 2
    return there


@fn(unchecked=True)
def ordered_run(p, n: int, context, less) -> int:
    """1: the elements are in order; -1: each is less than the one before; 0: neither."""
    i = 1
    while i < n and not less(context, p[i], p[i - 1]):
        i += 1
    if i >= n:
        return 1
    if i > 1:
        return 0
    while i < n and less(context, p[i], p[i - 1]):
        i += 1
    return -1 if i >= n else 0


@fn(unchecked=True, unit=True)
def list_sort(xs, stored, context, less) -> None:
    """Sort in place, where `less` can neither raise nor reach the list."""
    w = words(xs)
    n = w[LENGTH]
    if n < 2:
        return
    p = elements(xs)
    order = ordered_run(p, n, context, less)
    if order == 1:
        return
    if order == -1:
        list_reverse(xs)
        return
    if n <= RUN:
        insertion(p, 0, n, context, less)
        return
    size = stored_size(stored)
    memory = allocate(bytes_for(n, size))
    q = elements_at(memory, stored)
    if sort_memory(p, q, n, size, context, less):
        move_memory(p, q, n * size)
    free(memory)


@fn(unchecked=True)
def list_places(kind, stored, n: int):
    """The list 0, 1, ... n - 1."""
    ys = list_new(kind, stored, n)
    p = elements(ys)
    for i in range(n):
        p[i] = i
    words(ys)[LENGTH] = n
    return ys


@fn(unchecked=True, unit=True)
def list_sorted_places(kind, stored, keys, reverse: bool, less):
    """Where the elements are in their order, by a list of their keys; `less` may raise."""
    n = words(keys)[LENGTH]
    order = list_places(kind, stored, n)
    if reverse:
        list_reverse(order)
    spare = list_new(kind, stored, n)
    if n > 1 and sort_memory(elements(order), elements(spare), n, 8, keys, less):
        move_memory(elements(order), elements(spare), n * 8)
    if reverse:
        list_reverse(order)
    return order


@fn(unchecked=True, inline=True)
def place_of(ys, i: int) -> int:
    return elements(ys)[i]


@fn(unchecked=True, inline=True)
def place_of_pair(ys, i: int) -> int:
    return elements(ys)[i][1]


@fn(unchecked=True)
def list_permute(xs, stored, ys, place) -> None:
    """Bring the elements into the order that `place(ys, i)` tells."""
    w = words(xs)
    n = w[LENGTH]
    if n < 2:
        return
    size = stored_size(stored)
    memory = allocate(bytes_for(n, size))
    p, q = elements(xs), elements_at(memory, stored)
    for i in range(n):
        q[i] = take(p, place(ys, i))
    move_memory(p, q, n * size)
    free(memory)


