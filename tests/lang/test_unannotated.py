"""Functions without annotations are compiled for the types of their arguments."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import agree

from sapwood import CompileError, fn, struct


@struct(frozen=True)
class Vec:
    x: float
    y: float

    def __add__(self, other):
        return Vec(self.x + other.x, self.y + other.y)

    def length(self):
        return (self.x * self.x + self.y * self.y) ** 0.5


@fn
def add(a, b):
    return a + b


@fn
def mixed(a, n: int, k=2):
    total = a
    for _ in range(n):
        total = add(total, a)
    return total, k


@fn
def average(xs):
    total = 0.0
    for x in xs:
        total += x
    return total / len(xs)


@fn
def apply(f, x):
    return f(f(x))


@fn
def fibonacci(n):
    if n < 2:
        return n
    return fibonacci(n - 1) + fibonacci(n - 2)


@fn
def is_even(n):
    return True if n == 0 else is_odd(n - 1)


@fn
def is_odd(n):
    return False if n == 0 else is_even(n - 1)


@fn
def length_of(v):
    return v.length()


def test_specialises_on_arguments():
    for a, b in ((1, 2), (1.5, 2), (True, 1), ((1, 2.0), (3,)), (Vec(1.0, 2.0), Vec(3.0, 4.0))):
        agree(add, a, b, plain=True)
    agree(mixed, 2, 3, plain=True)
    agree(mixed, 1.5, 3, plain=True)
    assert average(np.arange(4.0)) == average((0.0, 1.0, 2.0, 3.0)) == 1.5
    agree(apply, lambda x: x * 3, 2, plain=True)
    agree(length_of, Vec(3.0, 4.0), plain=True)


def test_results_of_recursion_are_inferred():
    agree(fibonacci, 12, plain=True)
    for n in (0, 1, 6, 7):
        agree(is_even, n, plain=True)


def test_mistakes_name_the_types():
    with pytest.raises(CompileError, match=r"int \+ tuple\[int, int\]"):
        add(1, (2, 3))
    with pytest.raises(CompileError, match="no attribute 'length'"):
        length_of(3)
