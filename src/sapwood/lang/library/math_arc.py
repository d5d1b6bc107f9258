"""Arc functions: atan, atan2, asin, acos. Free of branches.

An angle is taken from the quotient of two numbers, of which the larger angles are turned by an eighth or a quarter
of a turn: atan(n / d) = c + atan(t), |t| <= tan(pi / 8). Quotients and roots carry their rounding errors along.
"""

from __future__ import annotations

from typing import TypeVar

from sapwood.lang.function import fn
from sapwood.lang.library.math_format import INF, NAN, format_of
from sapwood.lang.library.math_parts import polynomial, product_error, two_sum
from sapwood.lang.ops.arith import absolute, copysign, mul_add, select, sqrt
from sapwood.lang.ops.convert import bitcast

T = TypeVar("T")

TAN_EIGHTH = 0.41421356237309503
TAN_THREE_EIGHTHS = 2.414213562373095


@fn(unchecked=True, inline=True)
def _turned(n: T, d: T, backwards: T) -> T:
    """atan(n / d) for n, d >= 0, not both zero; pi minus that where `backwards` is negative (or -0.0)."""
    p = format_of(n)
    steep, middle = n > d * TAN_THREE_EIGHTHS, n > d * TAN_EIGHTH
    s, e = two_sum(n, d)
    m, f = two_sum(n, -d)
    top = select(steep, -d, select(middle, m, n))
    low = select(steep | (middle == False), 0.0, f)  # noqa: E712  lane by lane
    bottom = select(steep, n, select(middle, s, d))
    rest = select(steep | (middle == False), 0.0, e)  # noqa: E712
    t = top / bottom
    tl = (low - t * rest - product_error(t, bottom, top)) / bottom
    tl = select(absolute(t) < p.smallest_normal * 2.0**30, 0.0, tl)  # its parts would underflow
    z = t * t
    y = mul_add(t * z, polynomial(z, p.polynomials.atan), tl / (1.0 + z))
    parts = p.pi_quarter
    none = absolute(n) * 0.0
    eighths = select(steep, none + 2.0, select(middle, none + 1.0, none))
    back = bitcast(bitcast(backwards, p.unsigned) >> p.sign_shift, p.unsigned) != 0
    eighths = select(back, 4.0 - eighths, eighths)
    t, y = select(back, -t, t), select(back, -y, y)
    a, b = two_sum(eighths * parts[0], t)
    return select(eighths == 0.0, t + y, a + (b + (y + eighths * parts[1])))


@fn(unchecked=True, inline=True)
def arc_tangent(x: T) -> T:
    p = format_of(x)
    a = min(absolute(x), p.atan_high)
    y = select(absolute(x) < p.epsilon, absolute(x), _turned(a, 1.0 + 0.0 * a, 1.0 + 0.0 * a))
    return select(x != x, x, copysign(y, x))


@fn(unchecked=True, inline=True)
def arc_tangent_of(y: T, x: T) -> T:
    """The angle of the point (x, y), from -pi to pi, by the signs of both, of zeros too."""
    p = format_of(x)
    n, d = absolute(y), absolute(x)
    both = (n == INF) & (d == INF)
    n = select(both, 1.0, select(d == INF, 0.0, select(n == INF, 1.0, n)))
    d = select(both | (absolute(x) == INF), 1.0, select(absolute(y) == INF, 0.0, d))
    top = max(n, d)
    up, down = 1.0 / p.scale_below, p.scale_below
    n = select(top < p.scale_below, n * up, select(top > up, n * down, n))
    d = select(top < p.scale_below, d * up, select(top > up, d * down, d))
    d = select((n == 0.0) & (d == 0.0), 1.0, d)
    r = copysign(_turned(n, d, x), y)
    return select((x != x) | (y != y), x + y, r)


@fn(unchecked=True, inline=True)
def _root_of_half(a: T) -> tuple[T, T]:
    """(s, rest): s + rest = sqrt((1 - a) / 2), for a between 1/2 and 1."""
    z = (1.0 - a) * 0.5
    s = sqrt(z)
    return s, select(s > 0.0, -product_error(s, s, z) / (s + s), 0.0)


@fn(unchecked=True, inline=True)
def arc_sine(x: T) -> T:
    """x + x**3 P(x**2) up to 1/2, pi / 2 - 2 asin(sqrt((1 - x) / 2)) above."""
    p = format_of(x)
    a = absolute(x)
    z = a * a
    near = mul_add(a * z, polynomial(z, p.polynomials.asin), a)
    s, rest = _root_of_half(select(a > 1.0, NAN, a))
    w = s * s
    y = mul_add(s * w, polynomial(w, p.polynomials.asin), rest)
    half = p.pi_quarter
    h, e = two_sum(-2.0 * s, 2.0 * half[0])
    far = h + (e - (2.0 * y - 2.0 * half[1]))
    y = select(a <= 0.5, near, far)
    return copysign(select(a < p.epsilon, a, y), x)


@fn(unchecked=True, inline=True)
def arc_cosine(x: T) -> T:
    p = format_of(x)
    a = absolute(x)
    z = a * a
    parts = p.pi_quarter
    h, e = two_sum(-x, 2.0 * parts[0])
    middle = h + (e - (x * z * polynomial(z, p.polynomials.asin) - 2.0 * parts[1]))
    s, rest = _root_of_half(select(a > 1.0, NAN, a))
    w = s * s
    y = mul_add(s * w, polynomial(w, p.polynomials.asin), rest)
    h, e = two_sum(-2.0 * s, 4.0 * parts[0])
    far = select(x > 0.0, 2.0 * (s + y), h + (e - (2.0 * y - 4.0 * parts[1])))
    return select(a <= 0.5, middle, far)
