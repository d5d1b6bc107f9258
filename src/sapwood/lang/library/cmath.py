"""CPython's `cmath` in compiled code: values at zeros and infinities as C99, annex G, exceptions as CPython.

Inverse functions follow Kahan ("Branch cuts for complex elementary functions", 1987).
"""

from __future__ import annotations

from sapwood.lang.function import fn
from sapwood.lang.library import math
from sapwood.lang.library.complex_math import quotient
from sapwood.lang.library.math_format import INF, NAN
from sapwood.lang.library.math_hyperbolic import half_exponential
from sapwood.lang.ops.arith import absolute, copysign

DOMAIN, RANGE = "math domain error", "math range error"
LN2, LN10 = 0.6931471805599453, 2.302585092994046
LARGE = 4.49423283715579e307  # a quarter of the largest float
PI_QUARTER, PI_HALF, PI = 0.7853981633974483, 1.5707963267948966, 3.141592653589793


@fn(unchecked=True, inline=True)
def _finite(x: float) -> bool:
    return x - x == 0.0


@fn(unchecked=True, inline=True)
def _infinite(x: float) -> bool:
    return absolute(x) == INF


@fn
def isfinite(z: complex) -> bool:
    return _finite(z.real) and _finite(z.imag)


@fn
def isnan(z: complex) -> bool:
    return z.real != z.real or z.imag != z.imag


@fn
def isinf(z: complex) -> bool:
    return _infinite(z.real) or _infinite(z.imag)


@fn
def phase(z: complex) -> float:
    return math.atan2(z.imag, z.real)


@fn
def _modulus(z: complex) -> float:
    r = math.hypot(z.real, z.imag)
    if r == INF and isfinite(z):
        raise OverflowError(RANGE)
    return r


@fn
def polar(z: complex) -> tuple[float, float]:
    return _modulus(z), phase(z)


@fn(unchecked=True)
def _turned(r: float, phi: float) -> complex:
    """r e**(i phi), where a zero angle keeps the imaginary part a zero."""
    if phi == 0.0:
        return complex(r, copysign(0.0, r) * phi if not _finite(r) else r * phi)
    return complex(r * math.cos(phi), r * math.sin(phi))


@fn
def rect(r: float, phi: float) -> complex:
    if _infinite(phi) and r != 0.0 and r == r:
        raise ValueError(DOMAIN)
    if not _finite(r) or not _finite(phi):
        if r == 0.0:
            return 0j
        if r != r:
            return complex(NAN, 0.0) if phi == 0.0 else complex(NAN, NAN)
        if phi != phi:
            return complex(INF if _infinite(r) else NAN, NAN)
        return _turned(r, phi)
    return _turned(r, phi)


@fn
def _checked(z: complex, w: complex) -> complex:
    """w = f(z), where an infinite result of a finite argument is an overflow."""
    if isinf(w) and isfinite(z):
        raise OverflowError(RANGE)
    return w


@fn
def exp(z: complex) -> complex:
    x, y = z.real, z.imag
    if _infinite(y) and x == x and x != -INF:
        raise ValueError(DOMAIN)
    if x == -INF:
        return _turned(0.0, y) if _finite(y) else 0j
    if x == INF:
        return _turned(INF, y) if _finite(y) else complex(INF, NAN)
    if x != x or y != y:
        return complex(NAN, y) if y == 0.0 else complex(NAN, NAN)
    if y == 0.0:
        return _checked(z, complex(math.exp(x), y))
    half = half_exponential(x)
    return _checked(z, complex(half * math.cos(y) * 2.0, half * math.sin(y) * 2.0))


@fn(unchecked=True)
def _log_modulus(x: float, y: float) -> float:
    """log(|x + i y|) for finite parts, not both zero."""
    a, b = max(absolute(x), absolute(y)), min(absolute(x), absolute(y))
    if a > LARGE:
        return math.log(math.hypot(a * 0.25, b * 0.25)) + 2.0 * LN2
    if a < 2.3e-308:
        return math.log(math.hypot(a * 2.0**53, b * 2.0**53)) - 53.0 * LN2
    h = math.hypot(a, b)
    if 0.71 <= h and h <= 1.73:
        return 0.5 * math.log1p((a - 1.0) * (a + 1.0) + b * b)
    return math.log(h)


@fn(unchecked=True)
def _log(z: complex) -> complex:
    x, y = z.real, z.imag
    if x == 0.0 and y == 0.0:
        return complex(-INF, math.atan2(y, x))
    if _infinite(x) or _infinite(y):
        return complex(INF, math.atan2(y, x))
    if x != x or y != y:
        return complex(NAN, NAN)
    return complex(_log_modulus(x, y), math.atan2(y, x))


@fn
def log(z: complex) -> complex:
    if z == 0.0:
        raise ValueError(DOMAIN)
    return _log(z)


@fn
def log_base(z: complex, base: complex) -> complex:
    p, q = _log(z), _log(base)
    if q == 0.0:
        raise ValueError(DOMAIN)
    re, im = quotient(p.real, p.imag, q.real, q.imag)
    return complex(re, im)


@fn
def log10(z: complex) -> complex:
    w = log(z)
    return complex(w.real / LN10, w.imag / LN10)


@fn(unchecked=True)
def sqrt(z: complex) -> complex:
    x, y = z.real, z.imag
    if x == 0.0 and y == 0.0:
        return complex(0.0, y)
    if _infinite(y):
        return complex(INF, y)
    if x == INF:
        return complex(INF, y if y != y else copysign(0.0, y))
    if x == -INF:
        return complex(y, INF) if y != y else complex(0.0, copysign(INF, y))
    if x != x or y != y:
        return complex(NAN, NAN)
    a, b = absolute(x), absolute(y)
    up, down = 1.0, 1.0
    if max(a, b) < 2.0**-1000:
        up, down = 2.0**200, 2.0**-100
    elif max(a, b) > 2.0**1000:
        up, down = 2.0**-200, 2.0**100
    a, b = a * up, b * up
    s = math.sqrt(0.5 * (a + math.hypot(a, b)))
    d = b / (2.0 * s)
    s, d = s * down, d * down
    return complex(s, copysign(d, y)) if x >= 0.0 else complex(d, copysign(s, y))


@fn
def sinh(z: complex) -> complex:
    x, y = z.real, z.imag
    if _infinite(y) and x == x:
        raise ValueError(DOMAIN)
    if not _finite(x) or y != y:
        if y == 0.0:
            return z
        if x == 0.0:
            return complex(0.0, NAN)
        if x != x or y != y:
            return complex(INF if _infinite(x) else NAN, NAN)
        return complex(copysign(INF, x) * math.cos(y), INF * math.sin(y))
    c, s = math.cos(y), math.sin(y)
    if absolute(x) > 700.0:
        half = half_exponential(absolute(x))
        return _checked(z, complex(c * copysign(half, x), s * half))
    return complex(c * math.sinh(x), s * math.cosh(x))


@fn
def cosh(z: complex) -> complex:
    x, y = z.real, z.imag
    if _infinite(y) and x == x:
        raise ValueError(DOMAIN)
    if not _finite(x) or y != y:
        if y == 0.0:
            return complex(absolute(x), copysign(1.0, x) * y if x == x else 0.0)
        if x == 0.0:
            return complex(NAN, 0.0)
        if x != x or y != y:
            return complex(INF if _infinite(x) else NAN, NAN)
        return complex(INF * math.cos(y), copysign(INF, x) * math.sin(y))
    c, s = math.cos(y), math.sin(y)
    if absolute(x) > 700.0:
        half = half_exponential(absolute(x))
        return _checked(z, complex(c * half, s * copysign(half, x)))
    return complex(c * math.cosh(x), s * math.sinh(x))


@fn
def tanh(z: complex) -> complex:
    x, y = z.real, z.imag
    if _infinite(y) and _finite(x):
        raise ValueError(DOMAIN)
    if not _finite(x) or y != y:
        if _infinite(x):
            side = copysign(0.0, 2.0 * math.sin(y) * math.cos(y)) if _finite(y) else 0.0
            return complex(copysign(1.0, x), y if y == 0.0 else side)
        if y == 0.0:
            return complex(NAN, y)
        return complex(NAN, NAN)
    if absolute(x) > 350.0:
        return complex(copysign(1.0, x), 4.0 * math.sin(y) * math.cos(y) * math.exp(-2.0 * absolute(x)))
    t, u = math.tanh(x), math.tan(y)
    c = 1.0 / math.cosh(x)
    product = t * u
    under = 1.0 + product * product
    return complex(t * (1.0 + u * u) / under, u / under * c * c)


@fn(inline=True)
def _times_i(z: complex) -> complex:
    return complex(-z.imag, z.real)


@fn(inline=True)
def _over_i(z: complex) -> complex:
    return complex(z.imag, -z.real)


@fn
def sin(z: complex) -> complex:
    return _over_i(sinh(_times_i(z)))


@fn
def cos(z: complex) -> complex:
    return cosh(_times_i(z))


@fn
def tan(z: complex) -> complex:
    return _over_i(tanh(_times_i(z)))


@fn
def asinh(z: complex) -> complex:
    x, y = z.real, z.imag
    if not isfinite(z):
        if _infinite(x) and _infinite(y):
            return complex(x, copysign(PI_QUARTER, y))
        if _infinite(x):
            return complex(x, y if y != y else copysign(0.0, y))
        if _infinite(y):
            return complex(copysign(INF, x) if x == x else INF, NAN if x != x else copysign(PI_HALF, y))
        return complex(NAN, y) if y == 0.0 else complex(NAN, NAN)
    if absolute(x) > LARGE or absolute(y) > LARGE:
        return complex(copysign(_log_modulus(x, y) + LN2, x), math.atan2(y, absolute(x)))
    p, q = sqrt(complex(1.0 + y, -x)), sqrt(complex(1.0 - y, x))
    return complex(
        math.asinh(p.real * q.imag - q.real * p.imag), math.atan2(y, p.real * q.real - p.imag * q.imag)
    )


@fn
def asin(z: complex) -> complex:
    return _over_i(asinh(_times_i(z)))


@fn
def acos(z: complex) -> complex:
    x, y = z.real, z.imag
    if not isfinite(z):
        if _infinite(x) and _infinite(y):
            return complex(PI_QUARTER if x > 0.0 else 3.0 * PI_QUARTER, -y)
        if _infinite(x):
            if y != y:
                return complex(NAN, INF)
            return complex(0.0 if x > 0.0 else PI, -copysign(INF, y))
        if _infinite(y):
            return complex(NAN if x != x else PI_HALF, -y)
        return complex(PI_HALF, NAN) if x == 0.0 else complex(NAN, NAN)
    if absolute(x) > LARGE or absolute(y) > LARGE:
        return complex(math.atan2(absolute(y), x), -copysign(_log_modulus(x, y) + LN2, y))
    p, q = sqrt(complex(1.0 - x, -y)), sqrt(complex(1.0 + x, y))
    return complex(2.0 * math.atan2(p.real, q.real), math.asinh(q.real * p.imag - q.imag * p.real))


@fn
def acosh(z: complex) -> complex:
    x, y = z.real, z.imag
    if not isfinite(z):
        w = acos(z)
        if w.real != w.real:
            return complex(absolute(w.imag), NAN)
        if w.imag != w.imag:
            return complex(NAN, NAN)
        return complex(absolute(w.imag), copysign(w.real, y))
    if absolute(x) > LARGE or absolute(y) > LARGE:
        return complex(_log_modulus(x, y) + LN2, math.atan2(y, x))
    p, q = sqrt(complex(x - 1.0, y)), sqrt(complex(x + 1.0, y))
    return complex(math.asinh(p.real * q.real + p.imag * q.imag), 2.0 * math.atan2(p.imag, q.real))


@fn
def atanh(z: complex) -> complex:
    x, y = z.real, z.imag
    if not isfinite(z):
        if _infinite(y):
            return complex(copysign(0.0, x) if x == x else 0.0, copysign(PI_HALF, y))
        if _infinite(x):
            return complex(copysign(0.0, x), y if y != y else copysign(PI_HALF, y))
        if y != y:
            return complex(x, NAN) if x == 0.0 else complex(NAN, NAN)
        return complex(NAN, NAN)
    a, b = absolute(x), absolute(y)
    if a == 1.0 and b == 0.0:
        raise ValueError(DOMAIN)
    if a > 1e150 or b > 1e150:
        h = math.hypot(a * 0.5, b * 0.5)
        return complex(copysign(a / 4.0 / h / h, x), copysign(PI_HALF, y))
    if a == 1.0 and b < 1e-150:
        re = -math.log(math.sqrt(b) / math.sqrt(math.hypot(b, 2.0)))
        return complex(copysign(re, x), math.atan2(2.0, -b) * copysign(0.5, y))
    re = math.log1p(4.0 * a / ((1.0 - a) * (1.0 - a) + b * b)) * 0.25
    return complex(copysign(re, x), math.atan2(2.0 * y, (1.0 - a) * (1.0 + a) - b * b) * 0.5)


@fn
def atan(z: complex) -> complex:
    return _over_i(atanh(_times_i(z)))


@fn
def isclose(a: complex, b: complex, rel_tol: float, abs_tol: float) -> bool:
    if rel_tol < 0.0 or abs_tol < 0.0:
        raise ValueError("tolerances must be non-negative")
    if a == b:
        return True
    if isinf(a) or isinf(b):
        return False
    d = math.hypot(a.real - b.real, a.imag - b.imag)
    p, q = math.hypot(a.real, a.imag), math.hypot(b.real, b.imag)
    return d <= rel_tol * q or d <= rel_tol * p or d <= abs_tol
