"""Logarithms: log, log2, log10, log1p. Free of branches.

log(1 + f) = log((1 + s) / (1 - s)) with s = f / (2 + f), as f - f**2 / 2 + s (f**2 / 2 + z P(z)), z = s**2: the
leading terms are exact or nearly so, and the polynomial's share is small.
"""

from __future__ import annotations

from typing import Any, TypeVar

from sapwood.lang.function import fn
from sapwood.lang.library.math_format import INF, NAN, format_of
from sapwood.lang.library.math_parts import exponent_as_float, fast_two_sum, polynomial, split_exponent, two_sum
from sapwood.lang.ops.arith import mul_add, select
from sapwood.lang.ops.convert import bitcast

T = TypeVar("T")


@fn(unchecked=True, inline=True)
def _rest(f: T) -> tuple[T, T]:
    """(f**2 / 2, y) with log(1 + f) = f - (f**2 / 2 - y)."""
    s = f / (2.0 + f)
    z = s * s
    half = 0.5 * f * f
    return half, s * mul_add(z, polynomial(z, format_of(f).polynomials.log), half)


@fn(unchecked=True, inline=True)
def _assembled(e: T, f: T, low: Any) -> T:
    """e ln 2 + log(1 + f + low)"""
    ln2 = format_of(f).ln2
    half, y = _rest(f)
    return mul_add(e, ln2[0], f - (half - mul_add(e, ln2[1], y + low)))


@fn(unchecked=True, inline=True)
def _special(x: T, y: T) -> T:
    """y = log(x), right also for x that is not positive and finite."""
    y = select(x > 0.0, y, NAN)
    return select(x == INF, x, select(x == 0.0, -INF, y))


@fn(unchecked=True, inline=True)
def logarithm(x: T) -> T:
    e, f = split_exponent(x)
    return _special(x, _assembled(e, f, 0.0))


@fn(unchecked=True, inline=True)
def logarithm_1p(x: T) -> T:
    """log of 1 + x = u + c, where c is the rounding error; both are scaled by the exponent of u."""
    p = format_of(x)
    u, c = two_sum(x, 1.0)
    bits = bitcast(u, p.signed) - p.root_half_bits
    k = bits >> p.fraction_bits
    f = bitcast((bits & p.fraction_mask) + p.root_half_bits, p.dtype) - 1.0
    f, low = fast_two_sum(f, c * bitcast(max(p.bias - k, 0) << p.fraction_bits, p.dtype))
    y = _special(u, _assembled(exponent_as_float(bits, p), f, low))
    return select(x == 0.0, x, y)


@fn(unchecked=True, inline=True)
def _scaled(x: T, factor: Any, parts: Any, exponent_parts: Any) -> T:
    """log(x) times a factor given in parts: e times the factor of log(2), plus log(1 + f) in parts likewise."""
    p = format_of(x)
    e, f = split_exponent(x)
    half, y = _rest(f)
    high = bitcast(bitcast(f - half, p.unsigned) & p.high_mask, p.dtype)
    low = ((f - high) - half) + y
    s, rest = fast_two_sum(e * exponent_parts[0], high * parts[0])
    rest = mul_add(low, factor, mul_add(high, parts[1], rest))
    return _special(x, s + mul_add(e, exponent_parts[1], rest))


@fn(unchecked=True, inline=True)
def logarithm_2(x: T) -> T:
    p = format_of(x)
    return _scaled(x, p.log2_e, p.log2_e_parts, (1.0, 0.0))


@fn(unchecked=True, inline=True)
def logarithm_10(x: T) -> T:
    p = format_of(x)
    return _scaled(x, p.log10_e, p.log10_e_parts, p.log10_2)
