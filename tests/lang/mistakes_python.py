"""Mistakes of Python programmers who try the language on what they have; see mistakes.py."""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime
import enum
import functools
import heapq
import random
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mistakes import MISTAKES, call

from sapwood import fn, struct

TABLE = [1, 2, 3]
MEMO = {}
ROWS = {"a": [1]}
MIXED = [1, "a"]


class Wide(enum.IntEnum):
    HUGE = 1 << 80


class Plain:
    def __init__(self, x: int) -> None:
        self.x = x


@dataclasses.dataclass
class Data:
    x: int


class Named(NamedTuple):
    a: int


@call(1)
@fn
def makes_a_dataclass(n: int) -> int:
    return Data(n).x


@call(1)
@fn
def makes_a_named_tuple(n: int) -> int:
    return Named(n).a


@call([[1]])
@fn
def copies_deeply(rows: list[list[int]]) -> int:
    return len(copy.deepcopy(rows))


@call(1)
@fn
def keeps_an_order(n: int) -> int:
    d = collections.OrderedDict()
    d[n] = 1
    return len(d)


@call(1)
@fn
def text_plus_number(n: int) -> str:
    return "n = " + n


@call("abc")
@fn
def changes_a_text(s: str) -> str:
    s[0] = "x"
    return s


@call(["a"])
@fn
def columns_of_two_types(names: list[str]) -> int:
    return len(list(zip(*[(name, len(name)) for name in names])))


@call([1])
@fn
def changes_a_tuple(xs: list[int]) -> int:
    t = tuple(xs)
    t[0] = 2  # type: ignore[index]
    return t[0]


@call([1, 2])
@fn
def spread_with_a_default(xs: list[int]) -> int:
    def f(a: int, b: str = "2") -> int:
        return a + len(b)

    return f(*xs)


@call(["a"])
@fn
def greatest_of_spread_texts(xs: list[str]) -> str:
    return max(*xs)


@call([1])
@fn
def tuple_plus_list(xs: list[int]) -> int:
    return len(tuple(xs) + xs)  # type: ignore[operator]


@call(3)
@fn
def calls_the_library(n: int) -> float:
    return random.random() * n


@call([1])
@fn
def heap_of_an_argument(xs: list[int]) -> int:
    return heapq.heappop(xs)


@call(1)
@fn
def heap_without_order(n: int) -> int:
    heap = [n * 1j]
    heapq.heappush(heap, 1j)  # type: ignore[misc]
    return len(heap)


@call(1)
@fn
def heap_in_a_tuple(n: int) -> int:
    return heapq.heappop((n, 2))  # type: ignore[arg-type]


@call(1)
@fn
def calls_an_accelerated_module(n: int) -> bytes:
    return zlib.compress(b"a" * n)


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
def changes_a_list_of_the_module(n: int) -> int:
    TABLE.append(n)
    return len(TABLE)


@call("a")
@fn
def dict_of_the_module_that_is_empty(key: str) -> int:
    return MEMO[key]


@call("a")
@fn
def changes_inside_a_dict_of_the_module(key: str) -> int:
    for row in ROWS.values():
        row.append(1)
    return len(ROWS[key])


@call(1)
@fn
def list_of_the_module_of_two_types(n: int) -> int:
    return len(MIXED)


@call(1)
@fn
def module_not_imported(n: int) -> float:
    return math.sqrt(n)  # noqa: F821


@call(1)
@fn
def union_of_types(n: int | str) -> int:
    return 1


@call(Wide.HUGE)
@fn
def enum_as_a_type(c: Wide) -> int:
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


@call(1)
@fn
def name_of_the_function_around(n: int) -> int:
    left = n

    def take() -> int:
        left -= 1  # noqa: F823
        return left

    return take()


@struct
class Forgetful:
    x: int

    def value(self) -> int:
        return x  # noqa: F821


@call(1)
@fn
def forgets_self(n: int) -> int:
    return Forgetful(n).value()


@struct
class Indexed:
    name: str
    places: dict[str, int]


@call(Indexed("a", {"b": 1}))
@fn
def takes_an_object_with_a_dict(x: Indexed) -> int:
    return len(x.places)


@struct
class Mark:
    x: int


@call([Mark(1)])
@fn
def takes_a_list_of_objects(xs: list[Mark]) -> int:
    return len(xs)


@call(1)
@fn
def object_of_a_struct(n: int) -> object:
    x: object = Indexed("a", {})
    return x


def _cached() -> Any:
    @functools.lru_cache
    def f(n: int) -> int:
        return n

    return fn(f)


MISTAKES["decorates_a_cached_function"] = _cached


@call(3)
@fn
def misspells_a_local(n: int) -> int:
    total = 0
    for i in range(n):
        totl += i  # type: ignore[name-defined]  # noqa: F821, F841
    return total


@struct
class Animal:
    name: str


@struct
class Dog(Animal):
    pass


@struct
class Cat(Animal):
    pass


@call(1)
@fn
def lists_of_several_classes(n: int) -> int:
    animals = [Dog("Rex"), Cat("Tom")]
    return len(animals)


@call(1)
@fn
def appends_another_class(n: int) -> int:
    animals = [Dog("Rex")]
    animals.append(Cat("Tom"))
    return len(animals)


@struct
class Kennel:
    first: Animal
    names: list[str] = None  # type: ignore[assignment]


@call(1)
@fn
def default_of_none(n: int) -> int:
    return len(Kennel(Animal("Rex")).names)


@call(1)
@fn
def a_table_of_functions(n: int) -> int:
    ops = {"+": lambda a, b: a + b, "-": lambda a, b: a - b}
    return ops["+"](n, 1)


@call(1)
@fn
def a_record_as_dict(n: int) -> int:
    person = {"name": "Ann", "age": n}
    return len(person)


@call([2, 1])
@fn
def result_of_sort(xs: list[int]) -> int:
    ys = list(xs).sort()
    return ys[0]


@call([2, 1])
@fn
def takes_a_sequence(xs: Sequence[int]) -> int:
    return xs[0]


@call({"a": 1})
@fn
def takes_a_mapping(d: Mapping[str, int]) -> int:
    return d["a"]


@call(1)
@fn
def asks_for_today(n: int) -> int:
    return datetime.date.today().year
