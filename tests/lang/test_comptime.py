"""What is known when a function is compiled: Const of every kind, comptime, static_assert, reflection."""

from __future__ import annotations

import dataclasses
import enum
import math
from typing import Any

import numpy as np
import pytest
from oracles import agree

from sapwood import CompileError, Const, comptime, f32, fields, fn, i16, is_struct, static_assert, struct, unroll


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@struct(frozen=True)
class Config:
    block: int
    scale: float = 1.0
    shape: tuple[int, int] = (1, 2)


@dataclasses.dataclass(frozen=True)
class Options:
    deep: bool
    names: tuple[str, ...]


DEFAULT = Config(3, 0.5)


@fn
def constants(
    n: Const[int], x: Const[float], name: Const[str], flag: Const[bool], dtype: Const[type], c: Const[Color],
    config: Const[Config], options: Const[Options], sizes: Const[tuple[int, ...]],
) -> tuple[int, float, int, int]:  # fmt: skip
    total = 0
    for i in unroll(range(config.block)):
        total += i * n
    for s in unroll(sizes):
        total += s
    if name == "add" and flag and c == Color.RED and options.deep:
        total += 100
    if dtype is f32:
        total += 1000
    return total, x * config.scale, config.shape[1], len(options.names)


@fn
def from_module(k: int) -> float:
    total = 0.0
    for _ in unroll(range(DEFAULT.block)):
        total += DEFAULT.scale * k
    return total


def test_constants_of_every_kind():
    args = (2, 1.5, "add", True, f32, Color.RED, Config(4), Options(True, ("a", "b")), (1, 2))
    assert constants(*args) == constants.reference(*args) == constants.__wrapped__(*args) == (1115, 1.5, 2, 2)
    other = (2, 2, "sub", False, i16, Color.BLUE, Config(2, 3.0), Options(False, ()), ())
    assert constants(*other) == (2, 6.0, 2, 0)
    agree(from_module, 4, plain=True)


def test_equal_is_not_the_same_constant():
    @fn
    def typed(c: Const[Any]) -> float:
        return 1.0 if isinstance(c.block, bool) else 2.0

    assert (typed(Config(1)), typed(Config(True))) == (2.0, 1.0)  # type: ignore[arg-type]


def primes(below: int) -> list[int]:
    return [n for n in range(2, below) if all(n % k for k in range(2, n))]


TABLE = {"first": [1, 2, 3]}


@fn
def computed(n: Const[int], i: int) -> tuple[int, int, float, int]:
    table = comptime(tuple(primes(n)))
    count = comptime(len([p for p in primes(n) if p % 4 == 1]))
    root = comptime(float(np.sqrt(np.float64(n))) + math.pi)
    return table[i], count, root, comptime(TABLE["first"][-1])


def test_comptime_runs_python():
    for i in (0, 3, 24, 25, -1):
        agree(computed, 100, i, plain=True)


@fn
def needs_run_time(n: int) -> int:
    return comptime(n + 1)


@fn
def gives_a_list(n: Const[int]) -> int:
    return comptime(primes(n))[0]


@fn
def fails(n: Const[int]) -> int:
    return comptime(1 // (n - n))


@fn
def asserts(n: Const[int]) -> int:
    static_assert(n % 2 == 0, "n must be even")
    return n // 2


@fn
def takes_config(c: Const[Config]) -> int:
    return c.block


def test_mistakes():
    with pytest.raises(CompileError, match="'n' when the function is compiled"):
        needs_run_time(3)
    with pytest.raises(CompileError, match="cannot be a constant"):
        gives_a_list(10)
    with pytest.raises(CompileError, match="ZeroDivisionError"):
        fails(1)
    assert asserts(4) == 2
    with pytest.raises(CompileError, match="n must be even"):
        asserts(3)
    with pytest.raises(TypeError, match="Config"):
        takes_config(3)


@struct(frozen=True)
class Sample:
    x: float
    n: int
    y: float


@fn
def sum_of_floats(s: Sample) -> float:
    total = 0.0
    for f in unroll(fields(Sample)):
        if f.type is float:
            total += getattr(s, f.name)
    return total


@fn
def describes(x):
    kind = 0
    if isinstance(x, int):
        kind = 1
    elif isinstance(x, (float, f32)):
        kind = 2
    elif is_struct(x) and hasattr(x, "n"):
        kind = 3
    elif isinstance(x, tuple):
        kind = 4
    return kind, type(x) is Sample, issubclass(type(x), int)


@fn
def replaced(s: Sample, n: int) -> tuple[Sample, float]:
    t = dataclasses.replace(s, n=n)
    x, _, y = dataclasses.astuple(t)
    return t, x + y


def test_reflection():
    s = Sample(1.5, 2, 3.0)
    agree(sum_of_floats, s, plain=True)
    for x in (1, 2.5, s, (1, 2), True):
        agree(describes, x, plain=True)
    agree(replaced, s, 7, plain=True)
