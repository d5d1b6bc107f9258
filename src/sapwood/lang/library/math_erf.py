"""The error function and what it lacks to one. Free of branches."""

from __future__ import annotations

from typing import TypeVar

from sapwood.lang.function import fn
from sapwood.lang.library.math_exp import exponential
from sapwood.lang.library.math_format import format_of
from sapwood.lang.library.math_parts import polynomial, product_error, two_product, two_sum
from sapwood.lang.ops.arith import absolute, copysign, mul_add, select

T = TypeVar("T")


@fn(unchecked=True, inline=True)
def error_function(x: T) -> T:
    """x + x P(x**2) below 1, 1 - exp(Q(|x| - 2)) above, where exp(Q) is 1 - erf."""
    p = format_of(x)
    a = absolute(x)
    near = mul_add(x, polynomial(x * x, p.polynomials.erf), x)
    far = 1.0 - exponential(polynomial(min(a, p.erf_high) - 2.0, p.polynomials.erf_tail))
    return select(a < 1.0, near, copysign(far, x))


@fn(unchecked=True, inline=True)
def complementary_error_function(x: T) -> T:
    """1 - erf(x): where that cancels, exp(-x**2) P((x - 3) / (x + 3)) / (1 + 2 x), with x**2
    and the quotient to twice the digits."""
    p = format_of(x)
    a = absolute(x)
    b = min(a, p.erfc_high)
    z, rest = two_product(b, b)
    e = exponential(-z)
    y = polynomial((b - 3.0) / (b + 3.0), p.polynomials.erfc)
    d, dl = two_sum(2.0 * b, 1.0)
    q = y / d
    ql = -(product_error(q, d, y) + q * dl) / d
    far, fl = two_product(e, q)
    far = far + (fl + e * (ql - q * rest))
    far = select(x < 0.0, 2.0 - far, far)
    return select(x != x, x, select(a < 0.46875, 1.0 - error_function(x), far))
