"""Mistakes with heap objects and Python's objects."""

from __future__ import annotations

import random

from mistakes import call

from sapwood import fn, parallel


@call(3)
@fn(nogil=True)
def list_without_the_gil(n: int) -> int:
    xs = [n, n + 1]
    return xs[0]


@call(3)
@fn
def list_in_parallel(n: int) -> int:
    xs = [1]
    total = 0
    for _i in parallel(n, add=total):
        total += xs[0]
    return total


@call([1, 2])
@fn
def changes_a_copied_list(xs: list[int]) -> int:
    xs.append(3)
    return len(xs)


@call(1)
@fn
def calls_a_python_function(n: int) -> int:
    return random.randint(0, n)


@call([1, "a"])
@fn
def argument_of_two_types(xs):
    return len(xs)


@call([1, 2.5, "a"])
@fn
def wrong_item(xs: list[float]) -> float:
    return xs[0]
