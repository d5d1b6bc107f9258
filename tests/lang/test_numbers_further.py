"""Attributes and methods of numbers, comparisons of ints with floats, every width against NumPy."""

from __future__ import annotations

import math
import random
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import Raised, agree, outcome, same

from sapwood import f32, f64, fn, i8, i16, i32, i64, u8, u16, u32, u64

T = TypeVar("T")
EDGES = [0, 1, -1, 7, 2**53, 2**53 + 1, 2**62 + 1, 2**63 - 1, -(2**63), -(2**63) + 1, 2**63 - 512, 2**63 - 1024]


@fn
def int_parts(x: int) -> tuple[int, int, int, int, int, int, int, tuple[int, int]]:
    parts = x.real, x.imag, x.numerator, x.denominator, x.bit_length(), x.bit_count(), x.conjugate()
    return *parts, x.as_integer_ratio()


@fn
def float_parts(x: float) -> tuple[float, float, bool, float]:
    return x.real, x.imag, x.is_integer(), x.conjugate()


@fn
def ratio(x: float) -> tuple[int, int]:
    return x.as_integer_ratio()


@fn
def of_literals() -> tuple[int, int, float, bool]:
    return (5).bit_length(), True.real, (2.5).real, (4.0).is_integer()


@fn
def unsigned_parts(x: u64, y: i8) -> tuple[int, int, int, int]:
    return x.bit_length(), x.bit_count(), y.bit_length(), y.bit_count()


def test_methods():
    for x in EDGES:
        agree(int_parts, x, plain=True)
    for x in (0.0, -0.0, 1.5, -3.0, 1e300, math.inf, math.nan, 2.0**-60, 0.1, 1e18, 2.0**62):
        agree(float_parts, x, plain=True)
        found, plain = outcome(ratio, (x,))[0], outcome(ratio.__wrapped__, (x,))[0]
        if isinstance(plain, tuple) and max(map(abs, plain)) >= 2**62:
            assert found == Raised(OverflowError("the ratio does not fit into 64-bit ints")) or found == plain
        else:
            assert same(found, plain), x
    agree(of_literals, plain=True)
    for x, y in ((0, 0), (2**64 - 1, -128), (2**63, 5)):
        want = (x.bit_length(), x.bit_count(), y.bit_length(), y.bit_count())
        assert unsigned_parts(x, y) == unsigned_parts.reference(x, y) == want


@fn
def order(a: int, x: float) -> tuple[bool, bool, bool, bool, bool, bool, bool, bool, bool]:
    return a < x, a <= x, a == x, a != x, a > x, a >= x, x < a, x >= a, x == a


@fn
def unsigned_order(a: u64, x: float) -> tuple[bool, bool, bool, bool, bool, bool]:
    return a < x, a <= x, a == x, a != x, a > x, a >= x


@fn
def with_literals(a: int, x: float) -> tuple[bool, bool, bool, bool, bool]:
    return a < 0.5, x < 9007199254740993, x == 9223372036854775807, a == 9007199254740992.0, x > 3


def test_ints_and_floats_compare_by_value():
    floats = [float(v) for v in EDGES] + [2.0**63, -(2.0**63), 2.0**64, 0.5, -0.5, -0.0, math.inf, -math.inf, math.nan]
    floats += [math.nextafter(2.0**63, 0), math.nextafter(-(2.0**63), -math.inf), 1e300, 9007199254740994.0]
    for i, a in enumerate(EDGES):
        for x in floats:
            assert order(a, x) == order.__wrapped__(a, x), (a, x)
            assert with_literals(a, x) == with_literals.__wrapped__(a, x), (a, x)
            b = a % 2**64
            assert unsigned_order(b, x) == unsigned_order.__wrapped__(b, x), (b, x)
        agree(order, a, floats[i], plain=True)
    for b in (2**64 - 1, 2**64 - 2048, 2**63):
        for x in floats:
            assert unsigned_order(b, x) == unsigned_order.__wrapped__(b, x), (b, x)


# -- every width against NumPy -------------------------------------------------------------------------


@fn
def machine(a: T, b: T) -> tuple[T, T, T, T, T, T, T, bool, bool]:
    return a + b, a - b, a * b, a & b, a | b, a ^ b, -a, a < b, a == b


@fn
def divided(a: T, b: T) -> tuple[T, T]:
    return a // b, a % b


@fn
def floats(a: T, b: T) -> tuple[T, T, T, bool, bool]:
    return a + b, a - b, a * b, a < b, a == b


INTS = {i8: np.int8, i16: np.int16, i32: np.int32, i64: np.int64}
INTS |= {u8: np.uint8, u16: np.uint16, u32: np.uint32, u64: np.uint64}


def plain(x: Any) -> Any:
    return x.item() if isinstance(x, np.generic) else x


@pytest.mark.parametrize("dtype", INTS, ids=lambda d: d.__name__)
def test_int_widths(dtype):
    numpy = INTS[dtype]
    info = np.iinfo(numpy)
    numbers = st.integers(int(info.min), int(info.max)) | st.sampled_from([0, 1, int(info.min), int(info.max)])

    @settings(derandomize=True)
    @given(numbers, numbers)
    def check(a: int, b: int) -> None:
        p, q = numpy(a), numpy(b)
        with np.errstate(all="ignore"):
            want = (p + q, p - q, p * q, p & q, p | q, p ^ q, -p, p < q, p == q)
            assert machine(dtype(a), dtype(b)) == tuple(map(plain, want))
            if b == 0:
                with pytest.raises(ZeroDivisionError):
                    divided(dtype(a), dtype(b))
            elif not (a == int(info.min) and b == -1):
                assert divided(dtype(a), dtype(b)) == (plain(p // q), plain(p % q))

    check()
    rng = random.Random(1)
    a, b = (dtype(rng.randrange(int(info.min), int(info.max))) for _ in "ab")
    assert machine(a, b) == machine.reference(a, b)


@pytest.mark.parametrize(("dtype", "numpy"), [(f32, np.float32), (f64, np.float64)], ids=["f32", "f64"])
def test_float_widths(dtype, numpy):
    width = 32 if numpy is np.float32 else 64

    @settings(derandomize=True)
    @given(st.floats(width=width), st.floats(width=width))
    def check(a: float, b: float) -> None:
        p, q = numpy(a), numpy(b)
        with np.errstate(all="ignore"):
            want = tuple(map(plain, (p + q, p - q, p * q, p < q, p == q)))
        assert same(floats(dtype(a), dtype(b)), want)

    check()


@fn
def shown(z: complex) -> tuple[str, str]:
    return str(z), f"{z}|{z!r}"


def test_complex_text():
    for z in (1 + 2j, -1.5j, 0j, complex(-0.0, 0.0), complex(1, -0.0), complex(1e20, math.inf), complex(0.1, -1e-7)):
        agree(shown, z, plain=True)
    z = complex(math.nan, -math.nan)
    assert shown(z) == shown.__wrapped__(z)


@fn
def by_powers_of_two(n: int, m: i8, k: u64) -> list[int]:
    return [n // 1, n % 1, n // 2, n % 2, n // 4096, n % 4096, n // 2**62, n % 2**62, int(m // 8), int(m % 8),
            int(k // 16), int(k % 16)]  # fmt: skip


def test_division_by_a_power_of_two() -> None:
    for n in (0, 1, -1, 7, -7, 4095, -4096, -4097, 2**63 - 1, -(2**63), 123456789012345):
        for m in (-128, -9, -8, -1, 0, 9, 127):
            expected = [n // 1, n % 1, n // 2, n % 2, n // 4096, n % 4096, n // 2**62, n % 2**62, m // 8, m % 8]
            assert by_powers_of_two(n, m, 2**63 + 17) == [*expected, (2**63 + 17) // 16, 1]
