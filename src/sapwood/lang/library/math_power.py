"""Powers, and the hypotenuse.

pow(x, y) = 2**(y log2 |x|), with C99's values where the formula has none (C99, F.9.4.4).

The logarithm is multiplied by up to 2**10, so it needs that much more digits than the result: f32 computes in
f64, f64 in double-words.
"""

from __future__ import annotations

from typing import TypeVar

from sapwood.lang.api.dtypes import f32, f64
from sapwood.lang.function import fn
from sapwood.lang.library.math_format import INF, NAN, format_of
from sapwood.lang.library.math_parts import (
    fast_two_sum,
    polynomial,
    product_error,
    scale,
    split_exponent,
    two_product,
)
from sapwood.lang.ops.arith import absolute, copysign, mul_add, select, sqrt, trunc
from sapwood.lang.ops.convert import cast

T = TypeVar("T")


@fn(unchecked=True, inline=True)
def _magnitude32(a: T, y: T) -> T:
    """a**y for positive finite a."""
    e, f = split_exponent(cast(a, f64))
    p = format_of(f)
    s = f / (2.0 + f)
    logarithm = mul_add(s, polynomial(s * s, p.polynomials.log2_short), e)
    v = min(max(cast(y, f64) * logarithm, -300.0), 300.0)
    t = v + p.shift
    r = v - (t - p.shift)
    return cast(scale(polynomial(r, p.polynomials.exp2_short), t), f32)


@fn(unchecked=True, inline=True)
def _log2_pair(a: T) -> tuple[T, T]:
    """log2(a) as a double-word, for positive finite a: e + 2 / ln 2 (s + s (z / 3 + z**2 P(z)))."""
    e, f = split_exponent(a)
    p = format_of(a)
    d = 2.0 + f
    over = 1.0 / d
    s = f * over
    s, sl = fast_two_sum(s, (-product_error(s, d, f) - s * (f - (d - 2.0))) * over)
    z, zl = two_product(s, s)
    zl = zl + 2.0 * s * sl
    w = z * polynomial(z, p.polynomials.log_pair)
    q = p.third_pair[0] + w
    ql = (w - (q - p.third_pair[0])) + p.third_pair[1]
    t, tl = two_product(z, q)
    tl = tl + (z * ql + zl * q)
    m, ml = two_product(s, t)
    h, hl = fast_two_sum(s, m)
    hl = hl + (ml + (s * tl + sl * t) + sl)
    c, cl = two_product(h, p.two_log2_e_pair[0])
    cl = cl + (h * p.two_log2_e_pair[1] + hl * p.two_log2_e_pair[0])
    u, ul = fast_two_sum(e, c)
    return fast_two_sum(u, ul + cl)


@fn(unchecked=True, inline=True)
def _magnitude64(a: T, y: T) -> T:
    """a**y for positive finite a and |y| <= 2**80."""
    p = format_of(a)
    h, hl = _log2_pair(a)
    v, vl = two_product(h, y)
    vl = select(absolute(v) < 1100.0, vl + hl * y, 0.0)
    v = min(max(v, -1100.0), 1100.0)
    t = v + p.shift
    r, rl = fast_two_sum(v - (t - p.shift), vl)
    ln2 = p.ln2_pair
    tail = mul_add(r * r, polynomial(r, p.polynomials.exp2), mul_add(r, ln2[1], rl * ln2[0]))
    u, ul = two_product(r, ln2[0])
    s = 1.0 + u
    return scale(s + ((u - (s - 1.0)) + (tail + ul)), t)


@fn(unchecked=True)
def power(x: T, y: T) -> T:
    a = absolute(x)
    n = min(max(y, -(2.0**80)), 2.0**80)  # its product with a logarithm is finite, and as good as infinite
    if format_of(x).dtype == f32:
        m = _magnitude32(a, n)
    else:
        m = _magnitude64(a, n)
    m = select((a == 0.0) | (a == INF), 0.0, m)
    m = select(((a == 0.0) & (y < 0.0)) | ((a == INF) & (y > 0.0)), INF, m)
    half = y * 0.5
    whole = trunc(y) == y
    odd = whole & (trunc(half) != half)
    m = select(odd, copysign(m, x), m)
    m = select((x < 0.0) & (x > -INF) & (whole == False), NAN, m)  # noqa: E712  lane by lane
    m = select((x != x) | (y != y), x + y, m)
    return select((x == 1.0) | (y == 0.0), 1.0, m)


@fn(unchecked=True)
def hypotenuse(x: T, y: T) -> T:
    """The root of x**2 + y**2; f32 in f64, f64 in double-words on scaled numbers."""
    if format_of(x).dtype == f32:
        p, q = cast(x, f64), cast(y, f64)
        r = cast(sqrt(p * p + q * q), f32)
    else:
        a, b = absolute(x), absolute(y)
        top = max(a, b)
        up, down = select(top > 2.0**500, 2.0**-600, 1.0), select(top < 2.0**-400, 2.0**600, 1.0)
        p, q = top * up * down, min(a, b) * up * down
        s, e = two_product(p, p)
        t, f = two_product(q, q)
        s, rest = fast_two_sum(s, t)
        h = sqrt(s)
        h = select(s == 0.0, 0.0, h + ((rest + (e + f)) - product_error(h, h, s)) / (h + h))
        r = h * (1.0 / up) * (1.0 / down)
    r = select((x != x) | (y != y), x + y, r)
    return select((absolute(x) == INF) | (absolute(y) == INF), INF, r)


@fn(unchecked=True)
def cube_root(x: T) -> T:
    """pow(|x|, 1/3) and a step of Newton's with the exact rest; f32 in f64."""
    if format_of(x).dtype == f32:
        a = absolute(cast(x, f64))
    else:
        a = absolute(x)
    b = select(a < 2.0**-900, a * 2.0**300, select(a > 2.0**900, a * 2.0**-300, a))
    r = power(b, b * 0.0 + 1.0 / 3.0)
    s, e = two_product(r, r)
    c, f = two_product(s, r)
    r = r - ((c - b) + (f + e * r)) / (3.0 * s)
    r = select(a < 2.0**-900, r * 2.0**-100, select(a > 2.0**900, r * 2.0**100, r))
    r = select((a == 0.0) | (a == INF) | (a != a), a, r)
    if format_of(x).dtype == f32:
        r = cast(r, f32)
    return copysign(r, x)
