"""itertools and heapq.merge: what asks for items one by one, and what gathers them, against CPython."""

from __future__ import annotations

import heapq
import random
from heapq import merge
from itertools import chain, compress, count, cycle, islice, repeat, tee, zip_longest

import pytest
from oracles import agree

from sapwood import fn, struct
from sapwood.runtime.heap import live_objects


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = live_objects()
    yield
    assert live_objects() == before


@fn
def compressed(a: list[int], b: list[bool]) -> list[int]:
    return list(compress(a, b))


@fn
def compressed_products(a: list[int], b: list[int]) -> int:
    return sum(compress((x * x for x in a), map(lambda v: v % 2, b)))


@fn
def every_other(s: str) -> str:
    return "".join(compress(s, cycle([1, 0])))


@fn
def compressed_by_count(a: list[int]) -> int:
    it = compress(a, count())
    return next(it, -1) * 100 + sum(x for x, y in zip(it, count(1)))


@fn
def shifted_products(a: list[int]) -> int:
    p, q = tee(a)
    next(q, None)
    return sum(x * y for x, y in zip(p, q))


@fn
def three_of_a_generator(a: list[int]) -> int:
    p, q, r = tee((x * 2 for x in a), 3)
    return sum(p) + max(q, default=0) + min(r, default=1)


@fn
def two_of_count(n: int) -> int:
    p, q = tee(count(n))
    next(q)
    return next(p) + next(q) * 100 + next(q) * 10000


@fn
def chain_to_count(a: list[int]) -> int:
    t = 0
    for x in chain(a, count(10)):
        t += x
        if t > 100:
            break
    return t


@fn
def chain_to_cycle(a: list[int]) -> int:
    t = 0
    for x in chain(a, (1, 2), cycle(a) if a else cycle([1])):
        t += x
        if t > 100:
            break
    return t


@fn
def three_of_a_chain(a: list[int]) -> tuple[int, int, int]:
    it = chain(a, repeat(7))
    return next(it), next(it), next(it)


@fn
def zipped_with_a_chain(a: list[int]) -> list[tuple[int, int]]:
    return list(zip(a, chain([0], a, count(50))))


@fn
def slice_of_a_chain(a: list[int]) -> list[int]:
    return list(islice(chain(a, count()), 5))


@fn
def chain_of_an_iterator(a: list[int]) -> tuple[int, int]:
    it = iter(a)
    t = 0
    for x in chain([5], it):
        t += x
        if t > 6:
            break
    return t, sum(it)


@fn
def when_functions_run(a: list[int]) -> list[int]:
    log = []

    def f(x):
        log.append(x)
        return x * 2

    for y in chain(map(f, a), filter(lambda v: v > 1, a)):
        log.append(y)
    return log


@fn
def empty_parts(a: list[int]) -> int:
    return sum(islice(chain([], a, [], count(3)), 4))


@fn
def longest_count(a: list[int]) -> int:
    t = 0
    for x, y in zip_longest(a, count(), fillvalue=0):
        t += x * y
        if y > 10:
            break
    return t


@fn
def longest_cycle(a: list[int]) -> int:
    t = 0
    for x, y in zip_longest(a, cycle([1, 2])):
        t += y
        if x is None:
            break
        t += x
    return t


@fn
def longest_of_three(a: list[int], n: int) -> list[tuple[int, int, int]]:
    return list(zip_longest(map(lambda v: v + 1, a), range(n), (v for v in a if v > 1), fillvalue=-1))


@fn
def asked_one_by_one(a: list[int]) -> int:
    it = zip_longest(iter(a), iter(a[1:]), fillvalue=100)
    n = 0
    while True:
        x, y = next(it)
        n = n * 3 + x - y


@fn
def cycle_of_count(n: int) -> int:
    return sum(islice(cycle(count(n)), 4))


@struct
class Down:
    n: int
    asked: int

    def __iter__(self) -> Down:
        return self

    def __next__(self) -> int:
        self.asked += 1
        if self.n == 0:
            raise StopIteration
        self.n -= 1
        return self.n


@fn
def class_in_a_chain(n: int) -> tuple[int, int]:
    d = Down(n, 0)
    t = 0
    for x in chain(d, [7, 8], count(1)):
        t = t * 2 + x
        if x == 3:
            break
    return t, d.asked


@fn
def chain_in_a_loop(a: list[int]) -> int:
    t = 0
    for i in range(3):
        for x in chain(a, count(i)):
            if x > 4:
                break
            t += x
    return t


OF_A_LIST = [
    compressed_by_count, shifted_products, three_of_a_generator, chain_to_count, chain_to_cycle, three_of_a_chain,
    zipped_with_a_chain, slice_of_a_chain, chain_of_an_iterator, when_functions_run, empty_parts, longest_count,
    longest_cycle, asked_one_by_one, chain_in_a_loop,
]  # fmt: skip


@pytest.mark.parametrize("f", OF_A_LIST)
def test_of_a_list(f):
    for a in ([], [1], [1, 2, 3], [3, 0, 5, 2]):
        agree(f, a, plain=True)


def test_several_arguments():
    for a in ([], [1], [1, 2, 3], [3, 0, 5, 2]):
        agree(compressed, a, [True, False, True], plain=True)
        agree(compressed_products, a, [1, 2, 3], plain=True)
        for n in (0, 2, 6):
            agree(longest_of_three, a, n, plain=True)
    for n in (0, 1, 4):
        agree(class_in_a_chain, n, plain=True)
    agree(every_other, "abcdefé", plain=True)
    agree(two_of_count, 5, plain=True)
    agree(cycle_of_count, 2, plain=True)


# -- heapq.merge ---------------------------------------------------------------------------------------


@fn
def merged(a: list[int], b: list[int]) -> list[int]:
    return list(merge(a, b))


@fn
def merged_either_way(a: list[int], b: list[int], r: bool) -> list[int]:
    return [x for x in heapq.merge(a, b, [5], reverse=r)]


@fn
def merged_by_key(a: list[int], b: list[int]) -> list[int]:
    return list(merge(a, b, key=lambda x: -x))


@fn
def merged_pairs(a: list[int], b: list[int]) -> list[tuple[int, str]]:
    return list(merge(((x, "a") for x in a), ((x, "b") for x in b), key=lambda p: p[0], reverse=True))


@fn
def merged_rows(rows: list[list[int]]) -> list[int]:
    return list(merge(*rows))


@fn
def merged_texts(rows: list[list[str]], r: bool) -> str:
    return "".join(merge(*rows, key=len, reverse=r))


@fn
def merged_iterables(a: list[int], s: str) -> int:
    it = merge(a, range(3), (1.5, 2.5))
    return (
        int(next(it, 9.0)) + len(list(it)) + len(list(merge())) + len(list(merge([], []))) + len(list(merge(s, "bd")))
    )


def some_list(rng: random.Random, order: int) -> list[int]:
    xs = [rng.randint(0, 9) for _ in range(rng.randint(0, 6))]
    return sorted(xs, reverse=order == 2) if order else xs


def test_merge():
    rng = random.Random(3)
    for k in range(12):
        a, b = some_list(rng, k % 3), some_list(rng, k % 3)
        for f in (merged, merged_by_key, merged_pairs):
            agree(f, a, b, plain=True)
        agree(merged_iterables, a, "ac", plain=True)
        rows = [some_list(rng, 1) for _ in range(rng.randint(0, 9))]
        agree(merged_rows, rows, plain=True)
        for reverse in (False, True):
            agree(merged_either_way, a, b, reverse, plain=True)
            agree(merged_texts, [["x" * v + "|" for v in row] for row in rows], reverse, plain=True)
