"""`@cache` and `@lru_cache` on nested functions."""

from __future__ import annotations

import copy
import functools
from functools import cache, lru_cache

import pytest
from oracles import agree

from sapwood import CompileError, fn
from sapwood.lang.loading.fingerprint import describe_constant


@fn
def knapsack(weights: list[int], values: list[int], capacity: int) -> int:
    @cache
    def best(i: int, left: int) -> int:
        if i == len(weights):
            return 0
        skip = best(i + 1, left)
        if weights[i] > left:
            return skip
        return max(skip, values[i] + best(i + 1, left - weights[i]))

    return best(0, capacity)


@fn
def fibonacci(n: int) -> int:
    @functools.lru_cache(maxsize=None)  # noqa: UP033
    def f(n):
        if n < 2:
            return n
        return f(n - 1) + f(n - 2)

    return f(n)


@fn
def splits(s: str, words: list[str]) -> list[str]:
    @cache
    def split(rest: str) -> list[str]:
        if not rest:
            return [""]
        return [(w + " " + t).strip() for w in words if rest.startswith(w) for t in split(rest[len(w) :])]

    return split(s)


@fn
def fewest(amount: int) -> int | None:
    @cache
    def coins(left: int) -> int | None:
        if left < 0:
            return None
        if left == 0:
            return 0
        best = None
        for c in (5, 6, 9):
            n = coins(left - c)
            if n is not None and (best is None or n + 1 < best):
                best = n + 1
        return best

    return coins(amount)


@fn
def is_even(n: int) -> bool:
    @cache
    def even(k: int) -> bool:
        return k == 0 or odd(k - 1)

    @cache
    def odd(k: int) -> bool:
        return k != 0 and even(k - 1)

    return even(n)


def test_recursive_functions() -> None:
    assert agree(knapsack, [1, 3, 4, 5], [1, 4, 5, 7], 7, plain=True) == 9
    assert agree(fibonacci, 80, plain=True) == 23416728348467685
    agree(splits, "catsanddog", ["cat", "cats", "and", "sand", "dog"], plain=True)
    for n in (23, 4, 0):
        agree(fewest, n, plain=True)
    agree(is_even, 10, plain=True)


@fn
def how_often(n: int) -> tuple[int, list[str], float, int]:
    count = 0
    seen = []

    @lru_cache
    def half(x, up=0, *, tag="t"):
        """Of x."""
        nonlocal count
        count += 1
        seen.append(tag + str(x))
        x += up
        return x / 2

    @lru_cache(maxsize=8)
    def once() -> int:
        nonlocal count
        count += 100
        return count

    total = 0.0
    for i in range(n):
        total += half(i % 3) + half(i % 3, 1, tag="u") + half(up=2, x=i % 2)
    return once() + once(), seen, total, count


@fn
def no_results_of_errors(n: int) -> int:
    count = 0

    @cache
    def checked(k: int) -> int:
        nonlocal count
        count += 1
        if k < 0:
            raise ValueError(k)
        return k

    for k in (n, -1, -1, n):
        try:
            checked(k)
        except ValueError:
            count += 10
    return count


def test_each_is_computed_once() -> None:
    agree(how_often, 7, plain=True)
    agree(no_results_of_errors, 3, plain=True)


@fn
def of_lists(n: int) -> int:
    @cache
    def size(xs: list[int]) -> int:
        return len(xs)

    return size([n])


@fn
def of_stars(n: int) -> int:
    @cache
    def f(*xs):
        return len(xs)

    return f(n)


@fn
def of_items(n: int) -> int:
    @cache
    def f(x):
        yield x

    return sum(f(n))


@fn
def of_mistakes(n: int) -> int:
    @cache
    def f(x):
        return x + "a"

    return f(n)


def test_what_cannot_be() -> None:
    with pytest.raises(CompileError, match=r"list\[int\] cannot be a key"):
        of_lists(1)
    with pytest.raises(CompileError, match=r"a cache of a function with \*args"):
        of_stars(1)
    with pytest.raises(CompileError, match="a cache of a generator function"):
        of_items(1)
    with pytest.raises(CompileError, match=r"int \+ str is not defined") as e:
        of_mistakes(1)
    assert "called from" in str(e.value) and "$" not in str(e.value)


@cache
@fn
def in_a_cache(n: int) -> int:
    return n if n < 2 else in_a_cache(n - 1) + in_a_cache(n - 2)


def test_caches_of_python() -> None:
    with pytest.raises(CompileError, match="nest the function in a compiled one, with @cache on it"):
        in_a_cache(3)


@fn
def copied(xs: list[int]) -> list[int]:
    return copy.deepcopy(xs)


def test_functions_that_lead_back_to_themselves_are_described() -> None:
    with pytest.raises(CompileError, match=r"'copy\.deepcopy' is an ordinary Python function"):
        copied([1])  # it reads a dict of functions that read the dict
    xs: list = [1]
    xs.append(xs)
    assert describe_constant(xs) != describe_constant([1, [1]])
