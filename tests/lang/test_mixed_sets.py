"""Displays of ints that meet floats in operators of sets and dicts become displays of floats."""


from __future__ import annotations

import pytest

from sapwood import fn


@fn
def sum_of_union() -> float:
    return sum({1} | {2.5})


@fn
def union_of_constants() -> set[float]:
    return {1, 2} | {2.5}


@fn
def three_unions(x: float) -> set[float]:
    return {1} | {x} | {3}


@fn
def common_with_floats(x: float) -> set[float]:
    s = {1, 2, 3}
    return s & {x, 2.0}


@fn
def joined_in_place(x: float) -> set[float]:
    s = {1, 2, 3}
    s |= {x}
    return s


@fn
def union_method(x: float) -> set[float]:
    return {1, 2}.union({x}, {3})


@fn
def less_ints(x: float) -> set[float]:
    return {x} - {1, 2}


@fn
def either(x: float) -> set[float]:
    return {x} ^ {1, 2}


@fn
def is_below(x: float) -> bool:
    return {1} < {x, 1.0}


@fn
def compared(x: float) -> tuple[bool, bool]:
    return {1} == {x}, {1}.isdisjoint({x})


@fn
def added(x: float) -> set[float]:
    s = {1}
    s.add(x)
    return s


@fn
def of_comprehension(n: int, x: float) -> set[float]:
    return {i for i in range(n)} | {x}


@fn
def dicts_joined(x: float) -> dict[int, float]:
    return {1: 2} | {3: x}


@fn
def frozen_and_plain(x: float) -> bool:
    a = frozenset({1})
    return len(a | {x}) == 2


@fn
def dict_updated(x: float) -> dict[float, int]:
    d = {1: 2}
    d.update({x: 3})
    return d


OF_A_FLOAT = [
    three_unions, common_with_floats, joined_in_place, union_method, less_ints, either, is_below, compared, added,
    dicts_joined, frozen_and_plain, dict_updated,
]  # fmt: skip


@pytest.mark.parametrize("f", OF_A_FLOAT)
def test_ints_become_floats(f):
    for x in (2.5, 1.0):
        expected = f.__wrapped__(x)
        for run in (f, f.reference):
            found = run(x)
            assert found == expected
            assert not isinstance(found, set) or all(type(v) is float for v in found)


def test_without_an_argument():
    assert sum_of_union() == sum_of_union.reference() == 3.5
    assert sorted(union_of_constants()) == [1.0, 2.0, 2.5]
    assert of_comprehension(3, 2.5) == {0.0, 1.0, 2.0, 2.5}
