"""Complex division, powers and absolute values, with CPython's results and exceptions."""

from __future__ import annotations

from typing import TypeVar

from sapwood.lang.function import fn
from sapwood.lang.library import math
from sapwood.lang.library.math_format import INF, NAN
from sapwood.lang.ops.arith import absolute as size
from sapwood.lang.ops.arith import floor

T = TypeVar("T")


@fn(unchecked=True, inline=True)
def quotient_unchecked(a: T, b: T, c: T, d: T) -> tuple[T, T]:
    """(a + bi) / (c + di) by the larger part of the divisor (Smith, CACM 5, 1962); nan where that is zero or nan."""
    re, im = a * 0.0 + NAN, a * 0.0 + NAN
    if size(c) >= size(d):
        if c != 0.0:
            ratio = d / c
            under = c + d * ratio
            re, im = (a + b * ratio) / under, (b - a * ratio) / under
    elif size(d) >= size(c):
        ratio = c / d
        under = c * ratio + d
        re, im = (a * ratio + b) / under, (b * ratio - a) / under
    return re, im


@fn(inline=True)
def quotient(a: T, b: T, c: T, d: T) -> tuple[T, T]:
    if c == 0.0 and d == 0.0:
        raise ZeroDivisionError("complex division by zero")
    return quotient_unchecked(a, b, c, d)


@fn
def absolute(x: float, y: float) -> float:
    r = math.hypot(x, y)
    if r == INF and x - x == 0.0 and y - y == 0.0:
        raise OverflowError("absolute value too large")
    return r


@fn
def _whole_power(x: complex, n: int) -> complex:
    """x**n for n >= 0 by squaring."""
    result = 1.0 + 0j
    left = n
    while left > 0:
        if left & 1 == 1:
            result = result * x
        left = left >> 1
        if left > 0:
            x = x * x
    return result


@fn(unchecked=True)
def _general_power(x: complex, y: complex) -> complex:
    """|x|**y at the angle that y turns to, for x and y that are not zero."""
    modulus = math.hypot(x.real, x.imag)
    length = math.pow(modulus, y.real)
    angle = math.atan2(x.imag, x.real)
    phase = angle * y.real
    if y.imag != 0.0:
        length = length * math.exp(-angle * y.imag)
        phase = phase + y.imag * math.log(modulus)
    return complex(length * math.cos(phase), length * math.sin(phase))


@fn
def power(x: complex, y: complex) -> complex:
    """x ** y. Whole exponents up to 100 by multiplication."""
    if y.imag == 0.0 and y.real == floor(y.real) and size(y.real) <= 100.0:
        result = _whole_power(x, int(size(y.real)))
        if y.real < 0.0:
            if result == 0.0:
                raise ZeroDivisionError("0.0 to a negative or complex power")
            result = 1.0 / result
    elif y == 0.0:
        return 1.0 + 0j
    elif x == 0.0:
        if y.imag != 0.0 or y.real < 0.0:
            raise ZeroDivisionError("0.0 to a negative or complex power")
        return 0j
    else:
        result = _general_power(x, y)
    if size(result.real) == INF or size(result.imag) == INF:
        raise OverflowError("complex exponentiation")
    return result
