"""Floor division of floats and powers of ints, with CPython's results."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sapwood.lang.api.dtypes import f64, i64, u64
from sapwood.lang.function import fn
from sapwood.lang.library.math_format import NAN, lanes_of
from sapwood.lang.ops.arith import absolute, copysign, floor, select
from sapwood.lang.ops.convert import bitcast
from sapwood.lang.ops.simd import iota

T = TypeVar("T")
TOP = 1 << 63


@fn(unchecked=True, inline=True)
def _remainder(x: T, y: T) -> T:
    """x - trunc(x / y) * y, exactly (C's fmod): long division, a step for each bit of the quotient."""
    a, b = absolute(x), absolute(y)
    if a >= b and b > 0.0 and a - a == 0.0:
        step = b
        while step + step <= a:
            step = step + step
        while step >= b:  # halving goes back over the same values, so it is exact
            if a >= step:
                a = a - step
            step = step * 0.5
    return copysign(a, x)


@fn(unchecked=True)
def float_remainder(x: float, y: float) -> float:
    """C's fmod: x - trunc(x / y) * y, exactly; nan where x is not finite or y is zero."""
    if x - x != 0.0 or y != y or y == 0.0:
        return NAN
    return _remainder(x, y)


@fn(unchecked=True, inline=True)
def each_lane(f: Callable[[float], float], x: T) -> T:
    """f of an f64, lane after lane."""
    if lanes_of(x) > 0:
        y = x
        lanes = iota(i64, lanes_of(x))
        for i in range(lanes_of(x)):
            y = select(lanes == i, f(x[i]), y)
    else:
        y = f(x)
    return y


@fn(unchecked=True)
def lane_remainders(x: T, y: T) -> T:
    """float_remainder of f64, lane after lane."""
    if lanes_of(x) > 0:
        m = x
        lanes = iota(i64, lanes_of(x))
        for i in range(lanes_of(x)):
            m = select(lanes == i, float_remainder(x[i], y[i]), m)
    else:
        m = float_remainder(x, y)
    return m


@fn(unchecked=True)
def _mod64(x: float, y: float) -> float:
    m = float_remainder(x, y)
    if m != 0.0:
        if (y < 0.0) != (m < 0.0):
            m = m + y
    else:
        m = copysign(0.0, y)
    return m


@fn(unchecked=True)
def _floordiv64(x: float, y: float) -> float:
    m = float_remainder(x, y)
    d = (x - m) / y
    if m != 0.0 and (y < 0.0) != (m < 0.0):
        d = d - 1.0
    if d != 0.0:
        f = floor(d)
        return select(d - f > 0.5, f + 1.0, f)
    return copysign(0.0, x / y)


@fn(unchecked=True, inline=True)
def float_mod(x: T, y: T) -> T:
    """x % y with the sign of y, as CPython computes it for floats (vectors: x - floor(x / y) * y)."""
    if x.lanes > 1 or x.dtype != f64:
        return x - floor(x / y) * y
    return _mod64(x, y)


@fn(unchecked=True, inline=True)
def float_floordiv(x: T, y: T) -> T:
    """x // y, as CPython computes it for floats (vectors: floor(x / y))."""
    if x.lanes > 1 or x.dtype != f64:
        return floor(x / y)
    return _floordiv64(x, y)


@fn(unchecked=True, inline=True)
def int_power(x: T, n: T) -> T:
    """x ** n for n >= 0, wrapping."""
    result = x * 0 + 1
    base = x
    left = n
    while left > 0:
        if left & 1 == 1:
            result = result * base
        base = base * base
        left = left >> 1
    return result


@fn(unchecked=True)
def int_quotient(x: int, y: int) -> float:
    """x / y, rounded once: long division to 55 bits, of which the last says whether anything is left."""
    if x == 0:
        return copysign(0.0, f64(y))
    a, b = (u64(0) - u64(x) if x < 0 else u64(x)), (u64(0) - u64(y) if y < 0 else u64(y))
    exponent = 0
    while a < TOP:
        a = a << u64(1)
        exponent -= 1
    while b < TOP:
        b = b << u64(1)
        exponent += 1
    bits = u64(0)
    if a >= b:
        bits, a = u64(1), a - b
    else:
        exponent -= 1
        bits, a = u64(1), (a << u64(1)) - b
    for _ in range(54):
        beyond = a >= TOP
        a = a << u64(1)
        bits = bits << u64(1)
        if beyond or a >= b:
            a = a - b
            bits = bits | u64(1)
    if a != u64(0):
        bits = bits | u64(1)
    scale = bitcast(u64(1023 + exponent - 54) << u64(52), f64)
    found = f64(bits) * scale
    return -found if (x < 0) != (y < 0) else found
