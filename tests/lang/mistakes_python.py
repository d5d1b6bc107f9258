"""Mistakes of Python programmers who try the language on what they have; see mistakes.py."""

from __future__ import annotations

import enum
import functools
import heapq
import random
import re
from typing import Any

from mistakes import MISTAKES, call

from sapwood import fn, struct

TABLE = [1, 2, 3]
CONFIG = {"a": 1}


class Colour(enum.Enum):
    RED = 1


class Plain:
    def __init__(self, x: int) -> None:
        self.x = x


@call(1)
@fn
def text_plus_number(n: int) -> str:
    return "n = " + n


@call("abc")
@fn
def changes_a_text(s: str) -> str:
    s[0] = "x"
    return s


@call([[1, 2]])
@fn
def columns_by_zip(rows: list[list[int]]) -> list[list[int]]:
    return [list(column) for column in zip(*rows)]


@call(3)
@fn
def calls_the_library(n: int) -> float:
    return random.random() * n


@call([1])
@fn
def calls_an_accelerated_module(xs: list[int]) -> int:
    return heapq.heappop(xs)


@call("a")
@fn
def calls_python_of_the_library(s: str) -> bool:
    return re.match("a", s) is not None


@call(1)
@fn
def makes_a_plain_class(n: int) -> int:
    return Plain(n).x


@call(1)
@fn
def list_of_the_module(n: int) -> int:
    return TABLE[n]


@call("a")
@fn
def dict_of_the_module(key: str) -> int:
    return CONFIG[key]


@call(1)
@fn
def module_not_imported(n: int) -> float:
    return math.sqrt(n)  # noqa: F821


@call(1)
@fn
def union_of_types(n: int | str) -> int:
    return 1


@call(Colour.RED)
@fn
def enum_as_a_type(c: Colour) -> int:
    return 1


@call(1)
@fn
def none_plus_number(n: int) -> int:
    x = None
    return x + n


@call("a")
@fn
def text_times_float(s: str) -> str:
    return s * 2.5


@struct
class Constant:
    x = 3


@call(1)
@fn
def assigns_a_class_constant(n: int) -> int:
    s = Constant()
    s.x = n
    return s.x


@struct
class Undeclared:
    def __init__(self, n: int) -> None:
        self.x = n


@call(1)
@fn
def field_without_declaration(n: int) -> int:
    return Undeclared(n).x


@struct
class Forgetful:
    x: int

    def value(self) -> int:
        return x  # noqa: F821


@call(1)
@fn
def forgets_self(n: int) -> int:
    return Forgetful(n).value()


def _cached() -> Any:
    @functools.lru_cache
    def f(n: int) -> int:
        return n

    return fn(f)


MISTAKES["decorates_a_cached_function"] = _cached
