"""Exponential functions: exp, exp2, expm1, tanh. Free of branches, so that a vector costs what a scalar does."""

from __future__ import annotations

from typing import TypeVar

from sapwood.lang.function import fn
from sapwood.lang.library.math_format import format_of
from sapwood.lang.library.math_parts import fast_two_sum, polynomial, product_error, scale, two_sum
from sapwood.lang.ops.arith import absolute, copysign, mul_add, select
from sapwood.lang.ops.convert import bitcast

T = TypeVar("T")


@fn(unchecked=True, inline=True)
def exponential(x: T) -> T:
    """n = nearest(x / ln 2), r = x - n ln 2 in two parts, exp(x) = 2**n exp(r)."""
    p = format_of(x)
    x = min(max(x, p.exp_low), p.exp_high)
    t = mul_add(x, p.log2_e, p.shift)
    n = t - p.shift
    r = mul_add(n, -p.ln2[1], mul_add(n, -p.ln2[0], x))
    s = 1.0 + r
    return scale(s + mul_add(r * r, polynomial(r, p.polynomials.exp), r - (s - 1.0)), t)


@fn(unchecked=True, inline=True)
def exponential2(x: T) -> T:
    p = format_of(x)
    x = min(max(x, p.exp2_low), p.exp2_high)
    t = x + p.shift
    r = x - (t - p.shift)
    y = mul_add(r * r, polynomial(r, p.polynomials.exp2), r * p.ln2_pair[1])
    return scale(1.0 + mul_add(r, p.ln2_pair[0], y), t)


@fn(unchecked=True, inline=True)
def half_expm1(x: T) -> tuple[T, T]:
    """(exp(x) - 1) / 2 as a double-word for expm1_low <= x <= exp_high: q (1 + r + ...) - 1/2 with q = 2**(n - 1)."""
    p = format_of(x)
    t = mul_add(x, p.log2_e, p.shift)
    n = t - p.shift
    high = mul_add(n, -p.ln2[0], x)
    r = mul_add(n, -p.ln2[1], high)
    left = mul_add(n, -p.ln2[1], high - r)
    tail = mul_add(r * r, polynomial(r, p.polynomials.expm1), left)
    q = bitcast((bitcast(t, p.unsigned) + (p.bias - 1)) << p.fraction_bits, p.dtype)
    c = q - 0.5
    y, e = two_sum(c, q * r)
    return fast_two_sum(y, e + mul_add(q, tail, (q - c) - 0.5))


@fn(unchecked=True, inline=True)
def exponential_minus_1(x: T) -> T:
    p = format_of(x)
    y, e = half_expm1(min(max(x, p.expm1_low), p.exp_high))
    return select(absolute(x) < p.epsilon, x, (y + e) * 2.0)  # keeps subnormals and -0.0


@fn(unchecked=True, inline=True)
def hyperbolic_tangent(x: T) -> T:
    """h / (h + 1) with h = (exp(2 |x|) - 1) / 2; the quotient is corrected by its remainder."""
    p = format_of(x)
    h, e = half_expm1(min(absolute(x), p.tanh_high) * 2.0)
    d, rest = two_sum(h, 1.0)
    over = 1.0 / d
    q = h * over
    remainder = (e - q * (rest + e)) - product_error(q, d, h)
    return copysign(mul_add(remainder, over, q), x)
