"""`f(*xs)` where only run time knows how many items there are, of functions with and without defaults."""

from __future__ import annotations

import pytest
from oracles import agree, outcome

from sapwood import fn, struct


@fn
def three(a: int, b: int = 5, c: int = 7) -> int:
    return a + 10 * b + 100 * c


@fn
def all_three(xs: list[int]) -> int:
    return three(*xs)


@fn
def behind_one(xs: list[int]) -> int:
    return three(1, *xs)


@fn
def with_the_last_named(xs: list[int]) -> int:
    return three(*xs, c=9)


@fn
def with_the_second_named(xs: list[int]) -> int:
    return three(*xs, b=9)


@fn
def nested(xs: list[int]) -> int:
    k = len(xs)

    def g(a, b=k, *, d=3):
        return a * 100 + b * 10 + d

    return g(*xs, d=4)


@fn
def floats_for_ints(xs: list[float]) -> float:
    def g(a=1, b=2.5):
        return a * 100 + b

    return g(*xs)


@struct
class Point:
    x: int

    def m(self, a: int, b: int = 2) -> int:
        return self.x * 100 + a * 10 + b


@fn
def of_a_method(xs: list[int]) -> int:
    return Point(3).m(*xs)


@fn
def second_or_first(a: int, b: int | None = None) -> int:
    return a if b is None else b


@fn
def optional(xs: list[int]) -> int:
    return second_or_first(*xs)


@fn
def texts(s: str) -> str:
    def g(a, sep="-", end="!"):
        return a + sep + end

    return g(*s.split())


@fn
def of_a_generator(xs: list[int]) -> int:
    return three(*(x * 2 for x in xs if x))


@fn
def of_nothing(n: int) -> int:
    return three(n, *[])


@fn
def difference(a: int, b: int) -> int:
    return a - b


@fn
def without_defaults(xs: list[int]) -> int:
    return difference(*xs)


@fn
def no_parameters(xs: list[int]) -> int:
    def g():
        return 5

    return g(*xs)


@pytest.mark.parametrize("f", [nested, of_a_method, no_parameters])
def test_numbers_of_items(f):
    for n in range(5):
        agree(f, list(range(1, n + 1)), plain=True)


@pytest.mark.parametrize(
    "f", [all_three, behind_one, with_the_last_named, with_the_second_named, optional, of_a_generator, without_defaults]
)
def test_compiled_functions(f):
    """Their own texts of errors, when Python calls them, are other ones."""
    for n in range(5):
        xs = list(range(1, n + 1))
        expected, _ = outcome(f.__wrapped__, (xs,))
        for run in (f, f.reference):
            found, _ = outcome(run, (xs,))
            assert found == expected or found.kind is expected.kind is TypeError


def test_other_types():
    for n in range(4):
        agree(floats_for_ints, [1.5, 2.25, 3.0][:n], plain=True)
        agree(texts, " ".join("abcd"[: n + 1]), plain=True)
    agree(texts, "", plain=True)
    assert of_nothing(3) == of_nothing.reference(3) == 753
