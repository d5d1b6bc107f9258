"""The error function. Free of branches."""

from __future__ import annotations

from typing import TypeVar

from sapwood.lang.function import fn
from sapwood.lang.library.math_exp import exponential
from sapwood.lang.library.math_format import format_of
from sapwood.lang.library.math_parts import polynomial
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
