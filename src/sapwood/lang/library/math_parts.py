"""Building blocks of the math functions: polynomials, sums and products with their rounding errors, scaling.

All work on scalars and vectors of f32 and f64. A double-word number is a pair (high, low) that stands for the
exact sum high + low, with |low| at most half an ulp of high (Dekker, Numer. Math. 18, 1971).
"""

from __future__ import annotations

from typing import Any, TypeVar

from sapwood.lang.api.comptime import target_has
from sapwood.lang.api.dtypes import f32, f64, u32, u64
from sapwood.lang.api.loops import unroll
from sapwood.lang.function import fn
from sapwood.lang.ops.arith import fma, mul_add
from sapwood.lang.ops.convert import bitcast

T = TypeVar("T")

# Adding it to x, |x| < 2**21, rounds x to the nearest integer n, ties to even, and leaves n in the low bits of
# the sum. So n is found without a conversion, which would have to look for nan and overflow.
SHIFT32 = 12582912.0  # 1.5 * 2**23
SHIFT64 = 6755399441055744.0  # 1.5 * 2**52


@fn(unchecked=True, inline=True)
def polynomial(x: T, coefficients: Any) -> T:
    """c[0] + c[1] x + c[2] x**2 + ..., by Horner's rule. At least two coefficients, a compile-time tuple."""
    n = len(coefficients)
    y = mul_add(x, coefficients[n - 1], coefficients[n - 2])
    for k in unroll(range(n - 3, -1, -1)):
        y = mul_add(y, x, coefficients[k])
    return y


@fn(unchecked=True, inline=True)
def fast_two_sum(a: T, b: T) -> tuple[T, T]:
    """a + b as a double-word, where |a| >= |b| or a is zero."""
    s = a + b
    return s, b - (s - a)


@fn(unchecked=True, inline=True)
def two_sum(a: T, b: T) -> tuple[T, T]:
    """a + b as a double-word (Knuth)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


@fn(unchecked=True, inline=True)
def _halves(a: T) -> tuple[T, T]:
    """a as the sum of two numbers of half the digits (Veltkamp): their products are exact without fma."""
    if a.dtype == f32:
        t = a * 4097.0
    else:
        t = a * 134217729.0
    high = t - (t - a)
    return high, a - high


@fn(unchecked=True, inline=True)
def product_error(a: T, b: T, p: T) -> T:
    """a * b - p, exact where p is the rounded product and far from overflow and underflow."""
    if target_has("fma"):
        return fma(a, b, -p)
    ah, al = _halves(a)
    bh, bl = _halves(b)
    return ((ah * bh - p) + ah * bl + al * bh) + al * bl


@fn(unchecked=True, inline=True)
def two_product(a: T, b: T) -> tuple[T, T]:
    """a * b as a double-word, where it is far from overflow and underflow."""
    p = a * b
    return p, product_error(a, b, p)


@fn(unchecked=True, inline=True)
def scale32(y: T, shifted: T) -> T:
    """y * 2**n, rounded once, for n + SHIFT32 and -252 <= n <= 254. In two steps, as 2**n may overflow alone."""
    bits = bitcast(shifted, u32)
    half = bits >> 1
    return y * bitcast((half + 127) << 23, f32) * bitcast((bits - half + 127) << 23, f32)


@fn(unchecked=True, inline=True)
def scale64(y: T, shifted: T) -> T:
    """y * 2**n, rounded once, for n + SHIFT64 and -2044 <= n <= 2046. In two steps, as 2**n may overflow alone."""
    bits = bitcast(shifted, u64)
    half = bits >> 1
    return y * bitcast((half + 1023) << 52, f64) * bitcast((bits - half + 1023) << 52, f64)
