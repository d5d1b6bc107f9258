"""defaultdicts whose factories read values of the function around them."""


from __future__ import annotations

from collections import defaultdict

import pytest
from oracles import agree

from sapwood import fn, struct
from sapwood.runtime.heap import live_objects


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = live_objects()
    yield
    assert live_objects() == before


@fn
def counted_from(n: int) -> int:
    d = defaultdict(lambda: n)
    d[3] += n
    return d[3] + d[4] + len(d)


@fn
def lists_of_a_length(n: int) -> dict[int, list[int]]:
    d = defaultdict(lambda: [0] * n)
    for i in range(n):
        d[i % 3][i] += i
    return dict(d)


@fn
def copied(s: str, xs: list[int]) -> dict[str, str]:
    d = defaultdict(lambda: s + str(len(xs)))
    d["a"] += "x"
    d["b"]
    other = d.copy()
    other["c"] += "y"
    return dict(other)


@fn
def made_in_a_loop(n: int) -> int:
    t = 0
    for i in range(n):
        d = defaultdict(lambda i=i: i * 2)
        t = t * 10 + d["k"]
        d.clear()
        t += d["z"]
    return t


@fn
def two_missing(d) -> int:
    return d[100] + d[7]


@fn
def passed_on(n: int) -> int:
    d = defaultdict(lambda: n + 1)
    return two_missing(d)


@fn
def nested(n: int) -> dict[int, dict[str, int]]:
    d = defaultdict(lambda: defaultdict(lambda: n))
    d[1]["a"] += 1
    d[2]["b"] += 2
    return {k: dict(v) for k, v in d.items()}


@fn
def function(n: int) -> int:
    def make() -> int:
        return n * 3

    d = defaultdict(make, {1: 5})
    return d[1] + d[2]


@fn
def default_of_a_lambda(n: int) -> int:
    d = defaultdict(lambda n=n: n)
    return d[1]


@fn
def counts_calls(n: int) -> int:
    calls = []

    def make() -> int:
        calls.append(n)
        return len(calls)

    d = defaultdict(make)
    d[1] + d[2] + d[1]
    return len(calls) * 100 + d[2]


@fn
def reads_a_tuple(x: float, flag: bool) -> dict[int, float]:
    pair = (x, "t") if flag else (2.0, "u")
    d = defaultdict(lambda: pair[0])
    d[0]
    d[1] += 1
    e = d | {5: 1.0}
    return dict(e)


@fn
def in_a_list(n: int) -> int:
    ds = [defaultdict(lambda: n) for _ in range(2)]
    ds[0][1] += 1
    return ds[0][1] * 10 + ds[1][1]


@fn
def as_text(n: int) -> str:
    d = defaultdict(lambda: n)
    d[1]
    return str(dict(d))


@struct
class Pt:
    x: int


@fn
def shares_an_object(n: int) -> int:
    base = Pt(n)
    d = defaultdict(lambda: base)
    d[1].x += 1
    return d[2].x


OF_A_NUMBER = [
    counted_from, lists_of_a_length, made_in_a_loop, nested, function, default_of_a_lambda, counts_calls, in_a_list,
    as_text, shares_an_object,
]  # fmt: skip


@pytest.mark.parametrize("f", OF_A_NUMBER)
def test_factories(f):
    for n in (0, 1, 3):
        agree(f, n, plain=True)


def test_what_they_read():
    agree(copied, "q", [1, 2], plain=True)
    agree(reads_a_tuple, 2.5, True, plain=True)
    agree(reads_a_tuple, 2.5, False, plain=True)
    assert passed_on(3) == passed_on.reference(3) == 8
