"""The math functions of the language, on scalars and vectors of every float type.

They compute in f32 or f64 as their argument says, f16 and bf16 through f32 with one more rounding. Special
values are those of C99, annex F: nothing raises. A lane of a vector gets the bits that a scalar gets. What
`import math` means in checked code is in `python_math.py`.

Errors are bounds of what was measured, in units in the last place (ulp) of the true value, with and without
fma, against 64 and more bits: for f32 on 20 million bit patterns, for f64 on a million samples over the whole
range and where the functions bend, for pow on 120,000 pairs. tests/lang/test_math.py holds the functions to them
on fewer points, its nightly part on more. sqrt is correctly rounded.
"""

from __future__ import annotations

from typing import TypeVar

from sapwood.lang.function import fn
from sapwood.lang.library.division import each_lane, lane_remainders
from sapwood.lang.library.math_arc import arc_cosine, arc_sine, arc_tangent, arc_tangent_of
from sapwood.lang.library.math_erf import complementary_error_function, error_function
from sapwood.lang.library.math_exp import exponential, exponential2, exponential_minus_1, hyperbolic_tangent
from sapwood.lang.library.math_format import in_f64, in_format_of, quotient, widened
from sapwood.lang.library.math_gamma import gamma_function, log_gamma
from sapwood.lang.library.math_hyperbolic import (
    area_cosine,
    area_sine,
    area_tangent,
    hyperbolic_cosine,
    hyperbolic_sine,
)
from sapwood.lang.library.math_log import logarithm, logarithm_1p, logarithm_2, logarithm_10
from sapwood.lang.library.math_power import cube_root, hypotenuse, power
from sapwood.lang.library.math_trig import cosine, sine, tangent
from sapwood.lang.ops.arith import absolute, select
from sapwood.lang.ops.arith import sqrt as sqrt

T = TypeVar("T")

DEGREES_PER_RADIAN, RADIANS_PER_DEGREE = 57.29577951308232, 0.017453292519943295


@fn(unchecked=True, inline=True)
def exp(x: T) -> T:
    """e**x. Error: f32 0.80, f64 0.80 ulp."""
    return in_format_of(x, exponential(widened(x)))


@fn(unchecked=True, inline=True)
def exp2(x: T) -> T:
    """2**x; exact for whole x. Error: f32 1.02, f64 1.03 ulp."""
    return in_format_of(x, exponential2(widened(x)))


@fn(unchecked=True, inline=True)
def expm1(x: T) -> T:
    """e**x - 1, to full precision near zero. Error: f32 1.00, f64 1.10 ulp."""
    return in_format_of(x, exponential_minus_1(widened(x)))


@fn(unchecked=True, inline=True)
def log(x: T) -> T:
    """The natural logarithm; -inf at zero, nan below. Error: f32 0.85, f64 0.82 ulp."""
    return in_format_of(x, logarithm(widened(x)))


@fn(unchecked=True, inline=True)
def log2(x: T) -> T:
    """The logarithm to base 2; exact for powers of 2. -inf at zero, nan below. Error: f32 0.77, f64 0.80 ulp."""
    return in_format_of(x, logarithm_2(widened(x)))


@fn(unchecked=True, inline=True)
def log10(x: T) -> T:
    """The logarithm to base 10; -inf at zero, nan below. Error: f32 0.70, f64 0.71 ulp."""
    return in_format_of(x, logarithm_10(widened(x)))


@fn(unchecked=True, inline=True)
def log1p(x: T) -> T:
    """log(1 + x), to full precision near zero; -inf at -1, nan below. Error: f32 0.87, f64 0.88 ulp."""
    return in_format_of(x, logarithm_1p(widened(x)))


@fn(unchecked=True, inline=True)
def sin(x: T) -> T:
    """The sine of x in radians, for x of any size; nan for infinities. Error: f32 0.80, f64 0.80 ulp."""
    return in_format_of(x, sine(widened(x)))


@fn(unchecked=True, inline=True)
def cos(x: T) -> T:
    """The cosine of x in radians, for x of any size; nan for infinities. Error: f32 0.80, f64 0.80 ulp."""
    return in_format_of(x, cosine(widened(x)))


@fn(unchecked=True, inline=True)
def tan(x: T) -> T:
    """The tangent of x in radians, for x of any size; nan for infinities. Error: f32 1.05, f64 0.90 ulp."""
    return in_format_of(x, tangent(widened(x)))


@fn(unchecked=True, inline=True)
def tanh(x: T) -> T:
    """The hyperbolic tangent. Error: f32 0.80, f64 0.90 ulp."""
    return in_format_of(x, hyperbolic_tangent(widened(x)))


@fn(unchecked=True, inline=True)
def sigmoid(x: T) -> T:
    """The logistic function 1 / (1 + exp(-x)), without overflow on either side. Error: f32 2.40, f64 2.40 ulp."""
    v = widened(x)
    e = exponential(-absolute(v))
    return in_format_of(x, select(v < 0.0, e, 1.0) / (1.0 + e))


@fn(unchecked=True, inline=True)
def rsqrt(x: T) -> T:
    """1 / sqrt(x); inf at zero (with its sign), nan below. Error: f32 1.50, f64 1.50 ulp."""
    return in_format_of(x, quotient(1.0, sqrt(widened(x))))


@fn(unchecked=True, inline=True)
def erf(x: T) -> T:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t**2) from 0 to x. Error: f32 1.10, f64 1.35 ulp."""
    return in_format_of(x, error_function(widened(x)))


@fn(unchecked=True, inline=True)
def asin(x: T) -> T:
    """The angle between -pi/2 and pi/2 whose sine is x; nan beyond 1. Error: f32 0.70, f64 0.70 ulp."""
    return in_format_of(x, arc_sine(widened(x)))


@fn(unchecked=True, inline=True)
def acos(x: T) -> T:
    """The angle between 0 and pi whose cosine is x; nan beyond 1. Error: f32 0.70, f64 0.70 ulp."""
    return in_format_of(x, arc_cosine(widened(x)))


@fn(unchecked=True, inline=True)
def atan(x: T) -> T:
    """The angle between -pi/2 and pi/2 whose tangent is x. Error: f32 0.65, f64 0.65 ulp."""
    return in_format_of(x, arc_tangent(widened(x)))


@fn(unchecked=True, inline=True)
def atan2(y: T, x: T) -> T:
    """The angle of the point (x, y), between -pi and pi; the signs of zeros count. Error: f32 0.65, f64 0.65
    ulp."""
    return in_format_of(x, arc_tangent_of(widened(y), widened(x)))


@fn(unchecked=True, inline=True)
def sinh(x: T) -> T:
    """The hyperbolic sine. Error: f32 0.80, f64 0.90 ulp."""
    return in_format_of(x, hyperbolic_sine(widened(x)))


@fn(unchecked=True, inline=True)
def cosh(x: T) -> T:
    """The hyperbolic cosine. Error: f32 0.75, f64 0.80 ulp."""
    return in_format_of(x, hyperbolic_cosine(widened(x)))


@fn(unchecked=True, inline=True)
def asinh(x: T) -> T:
    """The inverse of sinh. Error: f32 1.30, f64 1.30 ulp."""
    return in_format_of(x, area_sine(widened(x)))


@fn(unchecked=True, inline=True)
def acosh(x: T) -> T:
    """The inverse of cosh for x >= 1; nan below. Error: f32 1.30, f64 1.30 ulp."""
    return in_format_of(x, area_cosine(widened(x)))


@fn(unchecked=True, inline=True)
def atanh(x: T) -> T:
    """The inverse of tanh; infinite at -1 and 1, nan beyond. Error: f32 1.30, f64 1.30 ulp."""
    return in_format_of(x, area_tangent(widened(x)))


@fn(unchecked=True, inline=True)
def erfc(x: T) -> T:
    """1 - erf(x), to full precision where that is small. Error: f32 2.80, f64 2.40 ulp."""
    return in_format_of(x, complementary_error_function(widened(x)))


@fn(unchecked=True, inline=True)
def cbrt(x: T) -> T:
    """The cube root, also of negative numbers. Error: f32 0.51, f64 0.51 ulp."""
    return in_format_of(x, cube_root(widened(x)))


@fn(unchecked=True, inline=True)
def gamma(x: T) -> T:
    """The gamma function; infinite at zero, nan at negative whole numbers. In f64, lane after lane. Error: f32 0.51,
    f64 6.00 ulp."""
    return in_format_of(x, each_lane(gamma_function, in_f64(x)))


@fn(unchecked=True, inline=True)
def lgamma(x: T) -> T:
    """log(|gamma(x)|); infinite at zero and negative whole numbers. In f64, lane after lane. Error for x > 0: f32
    0.51, f64 3.10 ulp; below, where it crosses zero, that much of the larger of its terms."""
    return in_format_of(x, each_lane(log_gamma, in_f64(x)))


@fn(unchecked=True, inline=True)
def pow(x: T, y: T) -> T:
    """x**y for real results: nan for negative x and y that is not whole. Both have one type. Error: f32 0.51, f64 0.80
    ulp."""
    return in_format_of(x, power(widened(x), widened(y)))


@fn(unchecked=True, inline=True)
def log_base(x: T, base: T) -> T:
    """The logarithm to any base, as log(x) / log(base)."""
    return quotient(log(x), log(base))


@fn(unchecked=True, inline=True)
def hypot(x: T, y: T) -> T:
    """sqrt(x**2 + y**2) without overflow on the way; inf if either is infinite, even when the other is nan. Error: f32
    0.51, f64 0.52 ulp."""
    return in_format_of(x, hypotenuse(widened(x), widened(y)))


@fn(unchecked=True, inline=True)
def fmod(x: T, y: T) -> T:
    """x - trunc(x / y) * y, exact, with the sign of x; nan for infinite x or zero y. Slow: a step for each bit of
    the quotient, lane after lane."""
    return in_format_of(x, lane_remainders(in_f64(x), in_f64(y)))


@fn(unchecked=True, inline=True)
def degrees(x: T) -> T:
    """Radians to degrees, by one product."""
    return x * DEGREES_PER_RADIAN


@fn(unchecked=True, inline=True)
def radians(x: T) -> T:
    """Degrees to radians, by one product."""
    return x * RADIANS_PER_DEGREE
