"""Blocks of a few words that are kept for the next who asks: counts stay right, and nothing is kept without limit."""

from __future__ import annotations

from containers import agree

from sapwood import fn, struct
from sapwood.lang.lower.small_blocks import MOST
from sapwood.runtime import heap


@struct
class Node:
    value: int
    left: Node | None
    right: Node | None


@fn
def chain(n: int) -> int:
    first: Node | None = None
    for i in range(n):
        first = Node(i, first, None)
    total = 0
    while first is not None:
        total += first.value
        first = first.left
    return total


@fn
def comb(n: int) -> int:
    """Each node hangs on both sides of the next: a drop function calls itself for both."""
    first = Node(0, None, None)
    for i in range(1, n):
        first = Node(i, first, Node(-i, first, None))
    return first.value


@fn
def lists(n: int) -> int:
    total = 0
    for i in range(n):
        xs = [i] * (i % 40)
        xs.append(i)
        ys = xs[1:]
        xs.extend(ys)
        xs.clear()
        xs.append(len(ys))
        total += xs[0] + len(ys)
    return total


@fn
def words(n: int) -> int:
    kept = [str(i) * (i % 7) for i in range(n)]
    return sum([len(w) for w in kept])


def kept() -> list[int]:
    return [heap._state[heap.LISTS + 2 * k + 1] for k in range(heap.CLASSES)]


def test_counts():
    for n in (0, 1, 5, 60, 200):
        for f in (chain, comb, lists, words):
            agree(f, n)
            agree(f, n, reference=False)


def test_a_limit_to_what_is_kept():
    assert chain(5 * MOST) == 5 * MOST * (5 * MOST - 1) // 2
    assert MOST == max(kept()) and min(kept()) >= 0
    assert comb(10_000) == 9_999


def test_blocks_have_room_for_their_class():
    for n in range(200):
        k, room = heap.class_of(n), heap.room_of(n)
        assert room >= n
        assert k is None or (room >= 16 * k + 8 and heap.class_of(room) == k)
        assert k is not None or n > 16 * heap.CLASSES - 8


@fn
def flags(n: int) -> int:
    total = 0
    for i in range(n):
        xs = [i % 2 == 0] * (i % 9)
        ys = [(True, i, 0.5)] * (i % 5)
        zs = [(1, "a", False)] * (i % 3)
        total += len(xs) + len(ys) + len(zs) + len(str(i))
    return total


def test_free_blocks_are_as_large_as_their_list_says():
    """Elements of every size come back to the list that they were taken from."""
    import ctypes

    libc = ctypes.CDLL(None)
    libc.malloc_usable_size.restype = ctypes.c_size_t
    for f in (flags, lists, words, comb):
        agree(f, 300, reference=False)
    for k, n in enumerate(kept()):
        at = heap._state[heap.LISTS + 2 * k]
        for _ in range(n):
            assert libc.malloc_usable_size(ctypes.c_void_p(at)) >= 16 * k + 8
            at = ctypes.c_int64.from_address(at).value
        assert at == 0
