"""CPython's `math` on floats, in checked code: the functions of `math.py` with the exceptions of CPython 3.11.

`math.exp(x)` in an @fn means `exp` here if x is a `float`. Vectors, f32 and `unchecked` code get `math.py`.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.loops import unroll
from sapwood.lang.function import fn
from sapwood.lang.library import math
from sapwood.lang.library.math_format import INF, NAN
from sapwood.lang.library.math_parts import fast_two_sum, product_error, two_product
from sapwood.lang.ops.arith import absolute, floor

DOMAIN, RANGE = "math domain error", "math range error"


@fn(inline=True)
def sqrt(x: float) -> float:
    if x < 0.0:
        raise ValueError(DOMAIN)
    return math.sqrt(x)


@fn(inline=True)
def _finite(x: float, y: float) -> float:
    """y = f(x), where an infinite result of a finite argument is an overflow."""
    if y == INF and x < INF:
        raise OverflowError(RANGE)
    return y


@fn
def exp(x: float) -> float:
    return _finite(x, math.exp(x))


@fn
def exp2(x: float) -> float:
    return _finite(x, math.exp2(x))


@fn
def expm1(x: float) -> float:
    return _finite(x, math.expm1(x))


@fn(inline=True)
def _positive(x: float) -> float:
    if x <= 0.0:
        raise ValueError(DOMAIN)
    return x


@fn
def log(x: float) -> float:
    return math.log(_positive(x))


@fn
def log2(x: float) -> float:
    return math.log2(_positive(x))


@fn
def log10(x: float) -> float:
    return math.log10(_positive(x))


@fn
def log1p(x: float) -> float:
    if x <= -1.0:
        raise ValueError(DOMAIN)
    return math.log1p(x)


@fn
def log_base(x: float, base: float) -> float:
    """math.log(x, base), which CPython computes as a quotient, too."""
    return log(x) / log(base)


@fn(inline=True)
def _angle(x: float) -> float:
    if x == INF or x == -INF:
        raise ValueError(DOMAIN)
    return x


@fn
def sin(x: float) -> float:
    return math.sin(_angle(x))


@fn
def cos(x: float) -> float:
    return math.cos(_angle(x))


@fn
def tan(x: float) -> float:
    return math.tan(_angle(x))


@fn
def tanh(x: float) -> float:
    return math.tanh(x)


@fn
def erf(x: float) -> float:
    return math.erf(x)


@fn(inline=True)
def _within_one(x: float) -> float:
    if x > 1.0 or x < -1.0:
        raise ValueError(DOMAIN)
    return x


@fn
def asin(x: float) -> float:
    return math.asin(_within_one(x))


@fn
def acos(x: float) -> float:
    return math.acos(_within_one(x))


@fn
def atan(x: float) -> float:
    return math.atan(x)


@fn
def atan2(y: float, x: float) -> float:
    return math.atan2(y, x)


@fn(inline=True)
def _no_overflow(x: float, y: float) -> float:
    """y = f(x), where an infinite result of a finite argument is an overflow, on either side."""
    if y - y != 0.0 and x - x == 0.0:
        raise OverflowError(RANGE)
    return y


@fn
def sinh(x: float) -> float:
    return _no_overflow(x, math.sinh(x))


@fn
def cosh(x: float) -> float:
    return _no_overflow(x, math.cosh(x))


@fn
def asinh(x: float) -> float:
    return math.asinh(x)


@fn
def acosh(x: float) -> float:
    if x < 1.0:
        raise ValueError(DOMAIN)
    return math.acosh(x)


@fn
def atanh(x: float) -> float:
    if x >= 1.0 or x <= -1.0:
        raise ValueError(DOMAIN)
    return math.atanh(x)


@fn
def erfc(x: float) -> float:
    return math.erfc(x)


@fn
def cbrt(x: float) -> float:
    return math.cbrt(x)


@fn(inline=True)
def _no_pole(x: float) -> float:
    if x <= 0.0 and floor(x) == x and x > -INF:
        raise ValueError(DOMAIN)
    return x


@fn
def gamma(x: float) -> float:
    if x == -INF:
        raise ValueError(DOMAIN)
    return _no_overflow(x, math.gamma(_no_pole(x)))


@fn
def lgamma(x: float) -> float:
    return _no_overflow(x, math.lgamma(_no_pole(x)))


@fn
def fmod(x: float, y: float) -> float:
    if (x == INF or x == -INF or y == 0.0) and x == x and y == y:
        raise ValueError(DOMAIN)
    return math.fmod(x, y)


@fn
def hypot(x: float, y: float) -> float:
    return math.hypot(x, y)


@fn
def norm(values: Any) -> float:
    """The root of the sum of the squares of a tuple of floats, summed to twice the digits."""
    top = 0.0
    undefined = False
    for v in unroll(values):
        a = absolute(v)
        undefined = undefined or a != a
        top = a if a > top else top
    if top == INF:
        return INF
    if undefined:
        return NAN
    if top == 0.0:
        return 0.0
    scale = 2.0**-600 if top > 2.0**400 else 2.0**600 if top < 2.0**-400 else 1.0
    s, rest = 0.0, 0.0
    for v in unroll(values):
        q, e = two_product(v * scale, v * scale)
        high = max(s, q)
        s, f = fast_two_sum(high, min(s, q))
        rest += e + f
    r = math.sqrt(s)
    r = r + (rest - product_error(r, r, s)) / (r + r)
    return r / scale


@fn
def degrees(x: float) -> float:
    return math.degrees(x)


@fn
def radians(x: float) -> float:
    return math.radians(x)


@fn
def pow(x: float, y: float) -> float:
    """math.pow(x, y)"""
    r = math.pow(x, y)
    if r - r != 0.0 and x - x == 0.0 and y - y == 0.0:
        if r != r or x == 0.0:
            raise ValueError(DOMAIN)
        raise OverflowError(RANGE)
    return r


@fn
def power(x: float, y: float) -> float:
    """x ** y. Where CPython gives a complex number, ValueError."""
    r = math.pow(x, y)
    if r - r != 0.0 and x - x == 0.0 and y - y == 0.0:
        if x == 0.0:
            raise ZeroDivisionError("0.0 cannot be raised to a negative power")
        if r != r:
            raise ValueError("a negative number to a fractional power is complex")
        raise OverflowError(34, "Numerical result out of range")
    return r


@fn
def product(items: Any, start: Any) -> Any:
    """math.prod"""
    result = start
    for v in items:
        result = result * v
    return result
