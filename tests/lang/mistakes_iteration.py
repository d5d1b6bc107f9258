"""Mistakes with iterables, iterators and comprehensions; see mistakes.py."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from mistakes import call

from sapwood import Tensor, fn, parallel


@call(3)
@fn
def enumerates_a_number(n: int) -> int:
    total = 0
    for i, k in enumerate(n):
        total += i * k
    return total


@call(3)
@fn
def reverses_a_zip(n: int) -> int:
    total = 0
    for i, k in reversed(zip(range(n), range(n))):
        total += i * k
    return total


@call(3)
@fn
def next_of_a_range(n: int) -> int:
    return next(range(n))


@call(3)
@fn
def returns_a_generator(n: int):
    return (i * i for i in range(n))


@call(3)
@fn
def returns_an_iterator(n: int):
    it = iter(range(n))
    next(it)
    return it


@call(3)
@fn
def default_among_values(n: int) -> int:
    return max(1, n, default=0)


@call(3)
@fn
def list_of_two_types(n: int) -> int:
    return len([x for x in (n, (n, 2))])


@call(3)
@fn
def unpacks_numbers(n: int) -> int:
    total = 0
    for i, j in range(n):
        total += i * j
    return total


@call(3)
@fn
def unpacks_too_few(n: int) -> int:
    a, b, *rest, c = (n, n + 1)
    return a + b + c + len(rest)


@call(3)
@fn
def sums_texts(n: int) -> int:
    return sum(("a", "b"), "")


@call(3)
@fn
def runs_nested_loops_twice(n: int) -> int:
    products = (i * j for i in range(n) for j in range(i))
    return sum(products) + max(products)


@call(3)
@fn
def takes_from_nested_loops(n: int) -> int:
    pairs = (i * j for i in range(n) for j in range(i))
    return next(pairs)


@call(3)
@fn
def length_of_a_zip(n: int) -> int:
    return len(zip(range(n), range(3)))


@call(3)
@fn
def indexes_a_map(n: int) -> int:
    doubled = map(lambda i: 2 * i, range(n))
    return doubled[0]


@call(3)
@fn
def zips_a_mixed_tuple(n: int) -> int:
    total = 0
    for i, pair in zip(filter(None, range(n)), (1, (n, 2), 3)):
        total += i
    return total


@call(np.zeros(4))
@fn
def advances_in_parallel(x: Tensor[float, 1]) -> None:
    it = iter(range(10))
    for i in parallel(len(x)):
        x[i] = next(it)


@call(3)
@fn
def assigns_elsewhere(n: int) -> int:
    def total(numbers) -> int:
        t = 0
        for i in numbers:
            t += i
        return t

    last = 0
    return total((last := i) for i in range(n)) + last


@call(3)
@fn
def step_of_zero(n: int) -> int:
    total = 0
    for i in range(0, n, 0):
        total += i
    return total


@call(2)
@fn
def product_repeated_at_run_time(n: int) -> int:
    return len(list(itertools.product("ab", repeat=n)))


@call(2)
@fn
def pairs_that_never_end(n: int) -> int:
    for i, j in itertools.pairwise(itertools.count()):
        if i > n:
            return j
    return 0


@call([2])
@fn
def longest_of_two_types(xs: list[int]) -> int:
    return len(list(itertools.zip_longest(filter(None, xs), "abc", fillvalue="-")))


@call([2])
@fn
def tee_of_a_number_of_run_time(xs: list[int]) -> int:
    return len(itertools.tee(xs, len(xs)))


@call(2)
@fn
def chain_of_two_types(n: int) -> int:
    return len(list(itertools.chain([n], ["a"])))


@call(2)
@fn
def starmap_of_lists(n: int) -> int:
    return sum(itertools.starmap(lambda a, b: a * b, [[n, 2]]))


@fn
def counting(n: int) -> Iterator[int]:
    while n > 0:
        yield n
        n -= 1


@call(3)
@fn
def takes_from_a_generator(n: int) -> int:
    numbers = counting(n)
    return next(numbers) + next(numbers)


@call(3)
@fn
def zips_a_generator(n: int) -> int:
    return sum(a * b for a, b in zip(range(n), counting(n)))


@fn
def downwards(n: int) -> Iterator[int]:
    yield n
    if n > 0:
        yield from downwards(n - 1)


@call(3)
@fn
def runs_a_recursive_generator(n: int) -> int:
    return sum(downwards(n))


@fn
def cleaning(n: int) -> Iterator[int]:
    try:
        yield n
    finally:
        print("over")


@call(3)
@fn
def yields_in_try(n: int) -> int:
    return sum(cleaning(n))
