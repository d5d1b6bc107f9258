"""Lists as binary heaps, the smallest element first: heapq's functions, with its comparisons in its order.

`plain`: comparing elements neither raises nor runs code of the program, so an element may be on its way, out of the
list, while others are compared. `stored` is the type of the elements in memory.
"""

from __future__ import annotations

from sapwood.lang.function import fn
from sapwood.lang.library.list import LENGTH
from sapwood.lang.ops.heap import elements, take, words
from sapwood.lang.ops.raw import less_values


@fn(unchecked=True)
def sift_down(xs, start: int, at: int, plain) -> None:
    """Move the element `at` towards `start` until its parent is not larger."""
    if plain:
        p = elements(xs)
        x = take(p, at)
        while at > start:
            parent = (at - 1) >> 1
            if not less_values(x, p[parent]):
                break
            p[at] = take(p, parent)
            at = parent
        p[at] = x
        return
    n = words(xs)[LENGTH]
    while at > start:
        parent = (at - 1) >> 1
        less = less_values(xs[at], xs[parent])
        if words(xs)[LENGTH] != n:
            raise RuntimeError("list changed size during iteration")
        if not less:
            break
        xs[at], xs[parent] = xs[parent], xs[at]
        at = parent


@fn(unchecked=True)
def sift_up(xs, at: int, plain) -> None:
    """Let the element `at` change places with its smaller child down to a leaf, and move it up from there."""
    start = at
    n = words(xs)[LENGTH]
    child = 2 * at + 1
    if plain:
        p = elements(xs)
        x = take(p, at)
        while child < n:
            if child + 1 < n and not less_values(p[child], p[child + 1]):
                child += 1
            p[at] = take(p, child)
            at = child
            child = 2 * at + 1
        p[at] = x
    else:
        while child < n:
            if child + 1 < n and not less_values(xs[child], xs[child + 1]):
                child += 1
            if words(xs)[LENGTH] != n:
                raise RuntimeError("list changed size during iteration")
            xs[at], xs[child] = xs[child], xs[at]
            at = child
            child = 2 * at + 1
    sift_down(xs, start, at, plain)


@fn(unchecked=True)
def heapify(xs, plain) -> None:
    for i in range((words(xs)[LENGTH] >> 1) - 1, -1, -1):
        sift_up(xs, i, plain)


@fn(unchecked=True)
def heap_pop(xs, plain):
    """The smallest element, which leaves the list; there is one."""
    last = xs.pop()
    if words(xs)[LENGTH] == 0:
        return last
    first = xs[0]
    xs[0] = last
    sift_up(xs, 0, plain)
    return first


@fn(unchecked=True)
def heap_replace(xs, x, plain):
    """The smallest element, and x in its place; there is one."""
    first = xs[0]
    xs[0] = x
    sift_up(xs, 0, plain)
    return first


@fn(inline=True)
def ranked(lists, key):
    """The keys of all items."""
    return [[key(x) for x in xs] for xs in lists]


@fn
def merged(lists, ranks, reverse: bool):
    """heapq.merge: of the first items that are left always the smallest (with `reverse` the largest), of equal ones
    that of the first list. `ranks` are what is compared. `heap` holds numbers of lists."""
    places = [0] * len(lists)
    heap = [i for i, xs in enumerate(lists) if len(xs) > 0]

    def before(i: int, j: int) -> bool:
        x, y = ranks[i][places[i]], ranks[j][places[j]]
        if reverse:
            return y < x or (i < j and not x < y)
        return x < y or (i < j and not y < x)

    def sink(at: int) -> None:
        i = heap[at]
        child = 2 * at + 1
        while child < len(heap):
            if child + 1 < len(heap) and before(heap[child + 1], heap[child]):
                child += 1
            if not before(heap[child], i):
                break
            heap[at] = heap[child]
            at = child
            child = 2 * at + 1
        heap[at] = i

    for at in range(len(heap) // 2 - 1, -1, -1):
        sink(at)
    out = []
    while len(heap) > 0:
        i = heap[0]
        out.append(lists[i][places[i]])
        places[i] += 1
        if places[i] == len(lists[i]):
            last = heap.pop()
            if len(heap) == 0:
                break
            heap[0] = last
        sink(0)
    return out
