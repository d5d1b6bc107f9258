"""Ints, floats and bools: compiled code means what CPython and the evaluator say."""

from __future__ import annotations

import math

import pytest
from oracles import Raised, agree

from sapwood import CompileError, f32, fn, i8, i16, i32, i64, u8, u16, u32, u64

INTS = (0, 1, -1, 2, -2, 3, -3, 7, -7, 10, -13, 100, 2**31, -(2**31), 2**62, -(2**63), 2**63 - 1)
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.5, 7.25, -7.0, 1e300, -1e-300, math.inf, -math.inf, math.nan)


@fn
def add(a: int, b: int) -> int:
    return a + b


@fn
def sub(a: int, b: int) -> int:
    return a - b


@fn
def mul(a: int, b: int) -> int:
    return a * b


@fn
def floordiv(a: int, b: int) -> int:
    return a // b


@fn
def mod(a: int, b: int) -> int:
    return a % b


@fn
def div_mod(a: int, b: int) -> tuple[int, int]:
    return divmod(a, b)


@fn
def bits(a: int, b: int) -> tuple[int, int, int, int, int, int]:
    return a & b, a | b, a ^ b, ~a, -a, +a


@fn
def order(a: int, b: int) -> tuple[bool, bool, bool, bool, bool, bool, int, int]:
    return a < b, a <= b, a == b, a != b, a > b, a >= b, min(a, b), max(a, b)


def wrap(x: int) -> int:
    return (x + 2**63) % 2**64 - 2**63


@pytest.mark.parametrize("f", [floordiv, mod, order, bits, div_mod])
def test_int_operators(f):
    for a in INTS:
        for b in INTS:
            if f is bits and a == -(2**63):
                continue
            if f in (floordiv, div_mod) and (a, b) == (-(2**63), -1):
                continue
            agree(f, a, b, plain=True)


@pytest.mark.parametrize(("f", "op"), [(add, int.__add__), (sub, int.__sub__), (mul, int.__mul__)])
def test_int_arithmetic_wraps(f, op):
    for a in INTS:
        for b in INTS:
            assert f(a, b) == f.reference(a, b) == wrap(op(a, b))


def test_smallest_int_divided_by_minus_one_wraps():
    assert floordiv(-(2**63), -1) == floordiv.reference(-(2**63), -1) == -(2**63)
    assert mod(-(2**63), -1) == mod.reference(-(2**63), -1) == 0


@fn
def shifts(a: int, n: int) -> tuple[int, int]:
    return a << n, a >> n


def test_shifts():
    for a in (0, 1, -1, 5, -5, 2**40):
        for n in (0, 1, 5, 22):
            agree(shifts, a, n, plain=True)
        for n in (63, 64, 100):
            assert shifts(a, n) == shifts.reference(a, n) == (wrap(a << n), a >> n)
    with pytest.raises(ValueError, match="negative shift count"):
        shifts(1, -1)


@fn
def power(a: int, n: int) -> int:
    return a**n


@fn
def constant_powers(a: int, x: float) -> tuple[int, int, int, float, float]:
    return a**0, a**1, a**5, x**2, x**3


def test_powers():
    for a in (-3, -1, 0, 1, 2, 7):
        for n in (0, 1, 2, 3, 10, 20):
            agree(power, a, n, plain=True)
        agree(constant_powers, a, 1.5, plain=True)


NOT_FINITE = math.inf, -math.inf, math.nan


@fn
def square(x: float) -> float:
    return x**2


@fn
def odd_power(x: float) -> float:
    x **= 5
    return x


@fn
def overflow_caught(x: float) -> tuple[float, str]:
    try:
        return x**3, ""
    except OverflowError as e:
        return -1.0, str(e)


@pytest.mark.parametrize("f", [square, odd_power, overflow_caught])
def test_small_powers_overflow(f):
    for x in (1e200, -1e200, 1.34078079299425960e154, 1.34078079299425971e154, *NOT_FINITE, 2.0, 1e-300):
        agree(f, x, plain=True)


def test_the_arguments_of_an_overflow():
    for raising in (lambda: square(1e200), lambda: square.reference(-1e200)):
        with pytest.raises(OverflowError) as caught:
            raising()
        assert caught.value.args == (34, "Numerical result out of range")


@fn
def f_arith(a: float, b: float) -> tuple[float, float, float, float]:
    return a + b, a - b, a * b, -a


@fn
def f_div(a: float, b: float) -> float:
    return a / b


@fn
def f_floordiv(a: float, b: float) -> float:
    return a // b


@fn
def f_mod(a: float, b: float) -> float:
    return a % b


@fn
def f_order(a: float, b: float) -> tuple[bool, bool, bool, bool, bool, bool, float, float, float]:
    return a < b, a <= b, a == b, a != b, a > b, a >= b, min(a, b), max(a, b), abs(a)


@pytest.mark.parametrize("f", [f_arith, f_div, f_floordiv, f_mod, f_order])
def test_float_operators(f):
    for a in FLOATS:
        for b in FLOATS:
            agree(f, a, b, plain=True)


@fn
def mixed(a: int, b: float) -> tuple[float, float, float, float, bool, float]:
    return a + b, a * b, b - a, a / 4, a < b, a / 3


@fn
def conversions(a: int, b: float) -> tuple[float, bool, bool, int, int]:
    return float(a), bool(a), bool(b), int(b), round(b)


@fn
def truncate(x: float) -> int:
    return int(x)


def test_mixed_and_conversions():
    for a in (0, 1, -7, 12345678):
        for b in (0.0, 0.5, 1.5, 2.5, -2.5, -0.4, 1e10):
            agree(mixed, a, b, plain=True)
            agree(conversions, a, b, plain=True)
    for bad in (math.inf, -math.inf, math.nan):
        assert isinstance(agree(truncate, bad, plain=True), Raised)
    with pytest.raises(OverflowError):
        truncate(1e30)


@fn
def roundings(x: float) -> tuple[int, int, int, int]:
    return math.floor(x), math.ceil(x), math.trunc(x), round(x)


def test_roundings():
    for x in (0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 2.4999, -7.9, 1e15 + 0.5):
        agree(roundings, x, plain=True)


@fn
def bool_logic(a: bool, b: bool, n: int) -> tuple[bool, bool, bool, int, int, bool]:
    return a and b, a or b, not a, a + b, n and 5, (a ^ b) | (a & b)


def test_bools():
    for a in (False, True):
        for b in (False, True):
            for n in (0, 3):
                agree(bool_logic, a, b, n, plain=True)


@fn
def bools_and_constants(x: float, a: int) -> tuple[bool, bool, bool, bool, int, int]:
    less = x < 1.0
    return less ^ (0 <= 7), True & less, less | False, max(less, False), a ^ True, less + True


def test_bools_and_constants_give_bools():
    for x in (0.5, 1.5):
        agree(bools_and_constants, x, 6, plain=True)


@fn
def chained(a: int, b: int, c: int) -> tuple[bool, bool, int]:
    return a < b < c, a == b != c, (1 if a > b else 2 if b > c else 3)


def test_chained_comparison_and_conditional():
    for a in range(3):
        for b in range(3):
            for c in range(3):
                agree(chained, a, b, c, plain=True)


@fn
def narrow(a: i8, b: i8) -> tuple[i8, i8, i8, i16, u8]:
    return a + b, a * b, -a, i16(a) * i16(b), u8(a)


@fn
def unsigned(a: u32, b: u32) -> tuple[u32, u32, u64, bool, u32]:
    return a - b, a * b, u64(a) * u64(b), a < b, ~a


@fn
def unsigned_division(a: u64, b: u64) -> tuple[u64, u64]:
    return a // b, a % b


@fn
def literals(a: i8, x: f32, b: u16) -> tuple[i8, f32, u16, f32, f32]:
    return a + 1, x * 0.1, b // 3, x + 1, a * x


def test_machine_ints_wrap():
    for a in (-128, -1, 0, 5, 127):
        for b in (-128, -3, 0, 100, 127):
            agree(narrow, a, b)
    for a in (0, 1, 7, 2**31, 2**32 - 1):
        for b in (0, 1, 9, 2**32 - 1):
            agree(unsigned, a, b)
    for a in (0, 1, 2**64 - 1, 2**63):
        for b in (1, 3, 2**64 - 1, 0):
            agree(unsigned_division, a, b)
    agree(literals, 5, 1.25, 65535)


@fn
def f32_math(a: f32, b: f32) -> tuple[f32, f32, f32, f32, f32, f32]:
    return a + b, a - b, a * b, a / b, a // b, a % b


def test_f32_rounds_each_operation():
    for a in (0.1, 1e38, -3.7, 16777217.0, 0.0, math.inf):
        for b in (0.3, 7.0, -1.1, 1e-40):
            agree(f32_math, a, b)


@fn
def widths(x: i64) -> tuple[i8, i16, i32, u8, u16, u32, u64, f32]:
    return i8(x), i16(x), i32(x), u8(x), u16(x), u32(x), u64(x), f32(x)


@fn
def saturate(x: float) -> tuple[i8, u8, i32, u32, i64, u64]:
    return i8(x), u8(x), i32(x), u32(x), i64(x), u64(x)


def test_conversions_between_machine_types():
    for x in (0, 1, -1, 127, 128, -129, 65536, 2**24 + 1, 2**53 + 1, 2**63 - 1, -(2**63)):
        agree(widths, x)
    for x in (0.0, -0.5, 1.9, -1.9, 300.0, -300.0, 1e10, 1e20, -1e20, math.inf, -math.inf, math.nan):
        agree(saturate, x)


@fn
def constant_errors(n: int) -> float:
    if n == 1:
        return 1 // 0
    if n == 2:
        return 1.0 % 0
    if n == 3:
        return 1 << -2
    if n == 4:
        return 1 / 0
    return n * 1.0


def test_constant_expressions_that_raise_do_so_when_they_run():
    for n in range(6):
        agree(constant_errors, n, plain=True)


@fn
def long_shift() -> int:
    return 1 << 1_000_000_000_000


@fn
def long_power() -> int:
    return 3 ** 10_000_000_000


def test_constants_too_long_to_compute():
    for f in (long_shift, long_power):
        with pytest.raises(CompileError, match="4096 bits"):
            f()
