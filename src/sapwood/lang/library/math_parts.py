"""Building blocks of the math functions: polynomials, sums and products with their rounding errors, scaling.

All work on scalars and vectors of f32 and f64. A double-word number is a pair (high, low) that stands for the
exact sum high + low, with |low| at most half an ulp of high (Dekker, Numer. Math. 18, 1971).
"""

from __future__ import annotations

from typing import Any, TypeVar

from sapwood.lang.api.comptime import target_has
from sapwood.lang.api.loops import unroll
from sapwood.lang.function import fn
from sapwood.lang.library.math_format import format_of, lanes_of
from sapwood.lang.ops.arith import fma, mul_add, select
from sapwood.lang.ops.convert import bitcast, cast
from sapwood.lang.ops.simd import any_lane

T = TypeVar("T")


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
    t = a * (2.0 ** ((format_of(a).bits + 1) // 2) + 1.0)
    high = t - (t - a)
    return high, a - high


@fn(unchecked=True, inline=True)
def product_error(a: T, b: T, p: T) -> T:
    """a * b - p, exact where p is the rounded product and far from overflow and underflow."""
    if target_has("fma"):
        e = fma(a, b, -p)
    else:
        ah, al = _halves(a)
        bh, bl = _halves(b)
        e = ((ah * bh - p) + ah * bl + al * bh) + al * bl
    return e


@fn(unchecked=True, inline=True)
def two_product(a: T, b: T) -> tuple[T, T]:
    """a * b as a double-word, where it is far from overflow and underflow."""
    p = a * b
    return p, product_error(a, b, p)


@fn(unchecked=True, inline=True)
def scale(y: T, shifted: T) -> T:
    """y * 2**n, rounded once, for shifted = n + format.shift and |n| up to twice the largest exponent.

    In two steps, as 2**n may overflow or vanish alone.
    """
    p = format_of(y)
    bits = bitcast(shifted, p.unsigned)
    half = bits >> 1
    first = bitcast((half + p.bias) << p.fraction_bits, p.dtype)
    return y * first * bitcast((bits - half + p.bias) << p.fraction_bits, p.dtype)


@fn(unchecked=True, inline=True)
def split_exponent(x: T) -> tuple[T, T]:
    """(e, f): x = 2**e (1 + f) for positive finite x, sqrt(1/2) <= 1 + f < sqrt(2); both exact."""
    p = format_of(x)
    small = x < p.smallest_normal
    bits = bitcast(select(small, x * p.scale_up, x), p.signed) - p.root_half_bits
    e = exponent_as_float(bits, p)
    return select(small, e - p.bits, e), bitcast((bits & p.fraction_mask) + p.root_half_bits, p.dtype) - 1.0


@fn(unchecked=True, inline=True)
def exponent_as_float(bits: T, p: Any) -> Any:
    """The signed number above the fraction bits, as a float. (AVX2 converts i32 lanes but not i64 lanes.)"""
    return cast(cast(bits >> p.fraction_bits, p.exponent), p.dtype)


@fn(unchecked=True, inline=True)
def any_of(condition: T) -> bool:
    """Whether a condition holds, in any lane if it is a vector."""
    if lanes_of(condition) > 0:
        found = any_lane(condition)
    else:
        found = condition
    return found
