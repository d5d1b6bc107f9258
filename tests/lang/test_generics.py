"""Type variables, bounds, protocols, generic structs, Self."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
import pytest
from oracles import agree

from sapwood import CompileError, Tensor, f32, fn, i16, struct

T = TypeVar("T")
U = TypeVar("U")
Real = TypeVar("Real", int, float)


class Shape(Protocol):
    def area(self) -> float: ...

    def scaled(self, k: float) -> Self: ...


S = TypeVar("S", bound=Shape)


@struct(frozen=True)
class Square:
    side: float

    def area(self) -> float:
        return self.side * self.side

    def scaled(self, k: float) -> Square:
        return Square(self.side * k)


@struct(frozen=True)
class Rectangle:
    width: float
    height: float

    def area(self) -> float:
        return self.width * self.height

    def scaled(self, k: float) -> Rectangle:
        return Rectangle(self.width * k, self.height * k)


@struct(frozen=True)
class Line:
    length: float


@fn
def total_area(a: S, b: S) -> float:
    return a.scaled(2.0).area() + b.area()


@fn
def any_area(a: Shape, b: Shape) -> float:
    return a.area() + b.area()


@fn
def larger(a: Real, b: Real) -> Real:
    return a if a > b else b


@fn
def swap(pair: tuple[T, U]) -> tuple[U, T]:
    return pair[1], pair[0]


@fn
def twice(f: Callable[[T], T], x: T) -> T:
    return f(f(x))


@fn
def zero_like(x: T) -> T:
    return T(0) + x  # type: ignore[operator]


@fn
def sum_of(xs: Tensor[T, 1]) -> T:
    total = T(0)
    for x in xs:
        total = total + x
    return total


def test_bounds_and_constraints():
    agree(total_area, Square(1.0), Square(2.0), plain=True)
    agree(any_area, Square(2.0), Rectangle(1.0, 3.0), plain=True)
    assert (larger(1, 2), larger(1.5, 2), larger(1, 2.5)) == (2, 2.0, 2.5)
    agree(twice, lambda x: x * 3, 4, plain=True)
    assert zero_like(f32(1.5)) == 1.5 and zero_like(3) == 3
    assert sum_of(np.arange(4.0)) == 6.0 and sum_of(np.arange(4, dtype=np.int16)) == 6
    agree(swap, (1, 2.5), plain=True)
    agree(swap, (Square(1.0), (2, True)), plain=True)


def test_what_a_bound_refuses():
    with pytest.raises(CompileError, match="no method 'area'"):
        any_area(Square(1.0), Line(2.0))
    with pytest.raises(CompileError, match="no method 'area'"):
        total_area(Line(1.0), Line(2.0))
    with pytest.raises(CompileError, match="must be one of int, float"):
        larger(i16(1), i16(2))
    with pytest.raises(CompileError, match="type variable S is Square"):
        total_area(Square(1.0), Rectangle(1.0, 2.0))


@struct(frozen=True)
class Pair(Generic[T, U]):
    first: T
    second: U

    def flipped(self) -> Pair[U, T]:
        return Pair(self.second, self.first)

    def zero(self) -> T:
        return T(0)  # type: ignore[abstract]

    def with_first(self, first: T) -> Self:
        return Pair(first, self.second)  # type: ignore[return-value]


@struct
class Cell(Generic[T]):
    value: T
    writes: int = 0

    def put(self, value: T) -> None:
        self.value = value
        self.writes += 1


@struct(frozen=True)
class IntPair(Pair[int, int]):
    def total(self) -> int:
        return self.first + self.second


@fn
def pairs(x: int, y: float):
    p = Pair(x, y)
    q = p.flipped().flipped().with_first(x + 1)
    r = Pair[float, int](x * 1.0, 2)
    nested = Pair(p, Pair(1, True))
    return q.first, q.second, r.first, nested.first.second, nested.second.second, p == q


@fn
def cells(x: float) -> tuple[float, int, tuple[int, float]]:
    c = Cell(x)
    c.put(x + 1.0)
    d = Cell((1, x))
    d.put((2, x * 2.0))
    return c.value, c.writes + d.writes, d.value


@fn
def first_of(p: Pair[int, T]) -> T:
    return p.second


@fn
def zero_of(p: Pair[T, U]) -> T:
    return p.zero()


@fn
def derived(p: IntPair) -> int:
    return p.total() + p.flipped().first


def test_generic_structs():
    agree(pairs, 3, 1.5, plain=True)
    agree(cells, 1.5, plain=True)
    agree(derived, IntPair(2, 3), plain=True)
    assert first_of(Pair(1, 2.5)) == 2.5 and first_of(Pair(1, (2, 3))) == (2, 3)
    assert zero_of(Pair(1.5, 2)) == 0.0 and type(zero_of(Pair(3, 2.5))) is int
    with pytest.raises(CompileError):
        first_of(Pair(1.5, 2))
