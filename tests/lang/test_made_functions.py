"""functools.partial, operator.itemgetter, attrgetter and methodcaller, contextlib.suppress, chain.from_iterable."""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import chain
from operator import attrgetter, itemgetter, methodcaller

import pytest
from oracles import agree

from sapwood import fn, struct
from sapwood.lang.errors import BadOperand
from sapwood.lang.errors.exceptions import ExceptNeedsClass


@fn
def flattened(rows: list[list[int]]) -> list[int]:
    """The only call of itertools in its program, and that of a class method."""
    return list(chain.from_iterable(sorted(r) for r in rows))


def test_class_methods_find_their_module() -> None:
    import os
    import subprocess
    import sys

    assert agree(flattened, [[2, 1], [], [3]], plain=True) == [1, 2, 3]
    code = "import test_made_functions as t; print(t.flattened([[5, 4], [6]]))"
    env = os.environ | {"PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert out.stdout == "[4, 5, 6]\n", out.stderr


@struct
class Person:
    name: str
    age: int

    def older(self, years: int, more: int = 0) -> int:
        return self.age + years + more


@struct
class Seat:
    person: Person
    row: int


@fn
def by_item(rows: list[tuple[str, int, float]], texts: list[dict[str, int]], k: int) -> tuple:
    second = itemgetter(1)
    found = [second(r) for r in rows]
    at = operator.itemgetter(k)
    return (
        sorted(rows, key=second), sorted(rows, key=itemgetter(0, 1)), max(rows, key=itemgetter(-1)), found,
        sorted(texts, key=itemgetter("a")), list(map(at, [[1, 2], [3, 4]])), itemgetter(2, 0)("abc"),
    )  # fmt: skip


def test_itemgetter() -> None:
    agree(by_item, [("x", 3, 1.5), ("y", 1, 2.5), ("x", 1, 0.5)], [{"a": 2}, {"a": 1}], 1, plain=True)
    agree(by_item, [("x", 3, 1.5)], [{"b": 2}], 1, plain=True)
    agree(by_item, [("x", 3, 1.5)], [{"a": 2}], 7, plain=True)


@fn
def by_attribute(ages: list[int]) -> tuple[list[int], list[tuple[str, int]], str, list[int], list[str]]:
    people = [Person(chr(97 + i), a) for i, a in enumerate(ages)]
    seats = [Seat(p, p.age % 3) for p in people]
    people.sort(key=attrgetter("age"))
    return (
        [*map(attrgetter("age"), people)], list(map(operator.attrgetter("name", "age"), people)),
        max(seats, key=attrgetter("row", "person.age")).person.name,
        list(map(methodcaller("older", 5, more=2), people)), list(map(methodcaller("upper"), ["a", "b"])),
    )  # fmt: skip


def test_attrgetter_and_methodcaller() -> None:
    agree(by_attribute, [30, 25, 40], plain=True)
    agree(by_attribute, [], plain=True)


@fn
def applied(f: Callable[[int], int], n: int) -> int:
    return f(n)


@fn
def power(base: int, exponent: int, more: int = 0) -> int:
    return base**exponent + more


@fn
def partials(n: int) -> tuple[int, int, int, int, list[int], int, int, int]:
    square = partial(power, exponent=2)
    two = functools.partial(power, 2)
    scaled = partial(lambda x, y: x + y * n, 10)
    return (
        square(n), two(n), square(n, more=1), partial(two, 3)(more=n), list(map(two, range(4))),
        applied(scaled, 4), applied(partial(max, n), 4), partial(int, base=2)("101"),
    )  # fmt: skip


def test_partial() -> None:
    assert agree(partials, 5) == (25, 32, 26, 13, [1, 2, 4, 8], 30, 5, 5)


@fn
def not_known(name: str) -> int:
    return attrgetter(name)(Person("a", 1))


def test_names_must_be_known() -> None:
    with pytest.raises(BadOperand, match="attrgetter") as e:
        not_known("age")
    assert "write the name as a constant" in str(e.value)


@fn
def suppressed(texts: list[str], d: dict[str, int]) -> tuple[int, int, str]:
    total = 0
    for s in texts:
        with suppress(ValueError):
            total += int(s)
    where = "before"
    with contextlib.suppress(KeyError, ZeroDivisionError) as nothing:
        where = "in"
        total += 100 // d["k"]
        where = "after"
    with suppress():  # noqa: B022
        total += 1
    return total, int(nothing is None), where


@fn
def returns_from_within(xs: list[int], i: int) -> int:
    with suppress(IndexError):
        return xs[i]
    return -1


def test_suppress() -> None:
    for d in ({"k": 5}, {"k": 0}, {}):
        agree(suppressed, ["1", "x", "3"], d, plain=True)
    for i in (0, 5):
        agree(returns_from_within, [7], i, plain=True)


@fn
def lets_others_pass(xs: list[int]) -> int:
    with suppress(KeyError):
        return xs[3]
    return 0


@fn
def no_class(n: int) -> None:
    with suppress(n):
        print(n)


def test_suppress_is_of_its_classes_only() -> None:
    agree(lets_others_pass, [1], plain=True)
    with pytest.raises(ExceptNeedsClass):
        no_class(1)
