"""StopIteration inside a generator expression becomes RuntimeError (PEP 479)."""

from __future__ import annotations

import pytest
from oracles import agree

from sapwood import fn
from sapwood.lang.infer.interpreter import Interpreter
from sapwood.lang.pipeline import infer_entry
from sapwood.targets.base import host_target


@fn
def at_most_two(i: int) -> int:
    if i > 2:
        raise StopIteration
    return i


@fn
def summed(n: int) -> int:
    return sum(at_most_two(i) for i in range(n))


@fn
def taken(xs: list[int], n: int) -> list[int]:
    it = iter(xs)
    return list(next(it) for _ in range(n))


@fn
def in_condition(xs: list[int], n: int) -> int:
    it = iter(xs)
    try:
        return sum(i for i in range(n) if next(it) > 0)
    except RuntimeError:
        return -1


@fn
def in_a_list(n: int) -> list[int]:
    try:
        return [at_most_two(i) for i in range(n)]
    except StopIteration:
        return [-1]


@fn
def in_an_inner_for(n: int) -> int:
    return sum(a * b for a in range(n) for b in range(at_most_two(a)))


@fn
def asked_one_by_one(n: int) -> int:
    g = (at_most_two(i) for i in range(n))
    t = 0
    while True:
        t += next(g)


@fn
def recursive(n: int) -> int:
    if n < 0:
        raise StopIteration
    if n < 2:
        return 1
    return sum(recursive(n - k) for k in range(1, 4))


@fn
def nested_function(n: int) -> int:
    def f(i: int) -> int:
        if i > 3:
            raise StopIteration
        return i

    return max((f(i) for i in range(n)), default=7)


@fn
def of_a_tuple(xs: list[int]) -> tuple[int, ...]:
    it = iter(xs)
    return tuple(next(it) for _ in range(3))


@fn
def outside_of_the_generator(n: int) -> int:
    return sum((n - 1 for x in range(n)), 5) + len([y for y in (at_most_two(n) for _ in range(2))])


@fn
def in_the_loop_around(n: int) -> int:
    t = 0
    for x in (at_most_two(i) for i in range(n) if i != 1):
        try:
            t += at_most_two(x + 1)
        except StopIteration:
            t += 100
    return t


OF_A_NUMBER = [
    summed, in_a_list, in_an_inner_for, asked_one_by_one, recursive, nested_function, outside_of_the_generator,
    in_the_loop_around,
]  # fmt: skip


@pytest.mark.parametrize("f", OF_A_NUMBER)
def test_stop_becomes_an_error(f):
    for n in (0, 2, 3, 4, 5):
        agree(f, n, plain=True)


def test_next_in_a_generator():
    for n in (0, 3, 4):
        agree(taken, [1, 2, 3], n, plain=True)
        agree(in_condition, [1, 2, 3], n, plain=True)
    agree(of_a_tuple, [1, 2], plain=True)
    agree(of_a_tuple, [1, 2, 3], plain=True)


def test_the_cause():
    for run in (summed, summed.reference, summed.python):
        with pytest.raises(RuntimeError, match="generator raised StopIteration") as caught:
            run(5)
        assert isinstance(caught.value.__cause__, StopIteration)


@fn
def doubled(xs: list[int]) -> int:
    return sum(x * 2 for x in xs)


def test_no_try_where_nothing_stops():
    program = infer_entry(Interpreter(host_target()), doubled, doubled.state.classify([[1]]), "entry")[0]
    assert all(op.name != "try" for op in program.walk())
