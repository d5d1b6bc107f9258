"""Numbers of Python's own types: what CPython gives, to the last bit."""

from __future__ import annotations

import math
import random

import pytest

from sapwood import Tensor, fn

EDGES = [
    0, 1, -1, 3, -7, 10**9, 2**52 + 1, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**54 + 3, 2**62 + 1, 2**63 - 1,
    -(2**63), -(2**63) + 1, 2**63 - 513, 6004799503160661,
]  # fmt: skip


@fn
def quotient(a: int, b: int) -> float:
    return a / b


@fn
def third(a: int) -> tuple[float, float, float]:
    return a / 3, a / -5, a / 8


@fn
def fraction_of(b: int) -> float:
    return 9007199254740993 / b


@fn
def quotients(a: Tensor[int, 1], b: Tensor[int, 1], out: Tensor[float, 1]) -> None:
    for i in range(len(a)):
        out[i] = a[i] / b[i]


def same(x: float, y: float) -> bool:
    return x == y and math.copysign(1, x) == math.copysign(1, y)


def test_quotients_of_large_ints_are_rounded_once():
    for a in EDGES:
        for b in EDGES:
            if b:
                assert same(quotient(a, b), a / b), (a, b)


def test_quotients_of_any_ints():
    draw = random.Random(5)
    pairs = [(draw.getrandbits(draw.randint(1, 63)) * draw.choice((1, -1)), draw.getrandbits(draw.randint(2, 63)) | 1)
             for _ in range(3000)]  # fmt: skip
    # quotients next to the middle between two floats, where rounding twice goes wrong
    for _ in range(3000):
        b = draw.getrandbits(9) | 1
        a = b * (draw.getrandbits(53) | 1 << 53) + draw.randint(-1, 1)
        pairs.append((a, 2 * b))
    for a, b in pairs:
        assert same(quotient(a, b), a / b), (a, b)


def test_quotients_by_constants():
    for a in EDGES:
        assert third(a) == (a / 3, a / -5, a / 8)
        if a:
            assert fraction_of(a) == 9007199254740993 / a


def test_quotients_in_a_loop():
    np = pytest.importorskip("numpy")
    a, b = np.array(EDGES), np.array([e or 1 for e in reversed(EDGES)])
    out = np.zeros(len(a))
    quotients(a, b, out)
    assert out.tolist() == [x / y for x, y in zip(a.tolist(), b.tolist(), strict=True)]


def test_quotient_by_zero():
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        quotient(2**62 + 1, 0)
