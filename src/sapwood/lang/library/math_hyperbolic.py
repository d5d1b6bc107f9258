"""Hyperbolic functions and their inverses: sinh, cosh, asinh, acosh, atanh. Free of branches."""

from __future__ import annotations

from typing import TypeVar

from sapwood.lang.function import fn
from sapwood.lang.library.math_exp import half_expm1
from sapwood.lang.library.math_format import INF, NAN, format_of
from sapwood.lang.library.math_log import logarithm, logarithm_1p
from sapwood.lang.library.math_parts import fast_two_sum, polynomial, product_error, scale, two_product, two_sum
from sapwood.lang.ops.arith import absolute, copysign, mul_add, select, sqrt

T = TypeVar("T")


@fn(unchecked=True, inline=True)
def half_exponential(x: T) -> T:
    """exp(x) / 2, which is finite a little further than exp(x)."""
    p = format_of(x)
    x = min(max(x, p.exp_low), p.exp_high + 2.0)
    t = mul_add(x, p.log2_e, p.shift)
    n = t - p.shift
    r = mul_add(n, -p.ln2[1], mul_add(n, -p.ln2[0], x))
    s = 1.0 + r
    return scale(s + mul_add(r * r, polynomial(r, p.polynomials.exp), r - (s - 1.0)), t - 1.0)


@fn(unchecked=True, inline=True)
def hyperbolic_sine(x: T) -> T:
    """h + h / (2 h + 1) with h = (exp(|x|) - 1) / 2."""
    p = format_of(x)
    a = absolute(x)
    h, e = half_expm1(min(a, p.tanh_high * 2.0))
    d, rest = two_sum(2.0 * h, 1.0)
    q = h / d
    ql = ((e - q * (rest + 2.0 * e)) - product_error(q, d, h)) / d
    s, f = fast_two_sum(h, q)
    y = select(a < p.tanh_high * 2.0, s + (f + (e + ql)), half_exponential(a))
    return copysign(select(a < p.epsilon, a, y), x)


@fn(unchecked=True, inline=True)
def hyperbolic_cosine(x: T) -> T:
    """q + 1 / (4 q) with q = exp(|x|) / 2."""
    p = format_of(x)
    a = absolute(x)
    h, e = half_expm1(min(a, p.tanh_high * 2.0))
    q, f = two_sum(h, 0.5)
    f = f + e
    other = 0.25 / q
    other_low = -(product_error(other, q, 0.25 + 0.0 * q) + other * f) / q
    s, rest = fast_two_sum(q, other)
    return select(a < p.tanh_high * 2.0, s + (rest + (f + other_low)), half_exponential(a))


@fn(unchecked=True, inline=True)
def _log_of_sum(high: T, low: T) -> T:
    """log(1 + high + low)."""
    u = high + low
    rest = (high - u) + low
    return logarithm_1p(u) + rest / (1.0 + u)


@fn(unchecked=True, inline=True)
def area_sine(x: T) -> T:
    """log(a + sqrt(a**2 + 1)) = log1p(a + a**2 / (1 + sqrt(a**2 + 1))) for a = |x|."""
    p = format_of(x)
    a = absolute(x)
    b = min(a, p.area_high)
    z, zl = two_product(b, b)
    w, wl = two_sum(z, 1.0)
    wl = wl + zl
    r = sqrt(w)
    rl = (wl - product_error(r, r, w)) / (r + r)
    d, dl = two_sum(r, 1.0)
    dl = dl + rl
    q = z / d
    ql = ((zl - q * dl) - product_error(q, d, z)) / d
    s, e = two_sum(b, q)
    y = select(a < p.area_high, _log_of_sum(s, e + ql), logarithm(a) + p.ln2_pair[0])
    return copysign(select(a < p.epsilon, a, y), x)


@fn(unchecked=True, inline=True)
def area_cosine(x: T) -> T:
    """log(x + sqrt(x**2 - 1)) = log1p(t + sqrt(2 t + t**2)) for t = x - 1."""
    p = format_of(x)
    b = min(x, p.area_high)
    t, e = two_sum(b, -1.0)
    z, zl = two_product(t, t)
    w, wl = two_sum(2.0 * t, z)
    wl = wl + (zl + 2.0 * e * (1.0 + t))
    r = sqrt(w)
    rl = select(r > 0.0, (wl - product_error(r, r, w)) / (r + r), 0.0)
    s, f = two_sum(t, r)
    y = select(x < p.area_high, _log_of_sum(s, f + (e + rl)), logarithm(x) + p.ln2_pair[0])
    return select(x >= 1.0, select(x == INF, INF, y), NAN)


@fn(unchecked=True, inline=True)
def area_tangent(x: T) -> T:
    """log1p(2 a / (1 - a)) / 2 for a = |x|."""
    p = format_of(x)
    a = absolute(x)
    d, dl = two_sum(-a, 1.0)
    q = 2.0 * a / d
    ql = -(product_error(q, d, 2.0 * a) + q * dl) / d
    y = 0.5 * select(a < 1.0, _log_of_sum(q, ql), select(a == 1.0, a * INF, a * NAN))
    return copysign(select(a < p.epsilon, a, y), x)
