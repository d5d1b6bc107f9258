"""The math functions for f32 scalars and vectors. What each promises is said in `math.py`.

Every function is free of branches and table look-ups, so that a vector costs what a scalar does. Polynomials
come from scripts/fit_polynomials.py, which names the function, interval and error of each.
"""

from __future__ import annotations

from typing import TypeVar

from sapwood.lang.api.dtypes import f32, f64, i32, u32
from sapwood.lang.function import fn
from sapwood.lang.library.math_parts import (
    SHIFT32,
    fast_two_sum,
    polynomial,
    product_error,
    scale32,
    two_sum,
)
from sapwood.lang.library.math_trig import reduce32
from sapwood.lang.ops.arith import absolute, copysign, mul_add, select
from sapwood.lang.ops.convert import bitcast, cast

T = TypeVar("T")

INF = float("inf")
NAN = float("nan")

LOG2E = 1.4426950216293335
LN2_HIGH = 0.693359375  # 9 bits, so that its product with an exponent is exact
LN2_LOW = -0.00021219444170128554
SQRT_HALF_BITS = 0x3F3504F3

# (exp(r) - 1 - r) / r**2 and, with smaller error near zero, the same for expm1; |r| <= log(2) / 2
EXP = (0.4999999403953552, 0.16666515171527863, 0.04166803136467934, 0.00836939923465252, 0.0013846952933818102)
EXPM1 = (
    0.5, 0.1666666567325592, 0.04166646674275398, 0.008333642967045307, 0.00139350607059896, 0.0001966408162843436,
)
# (2**r - 1 - r log(2)) / r**2; |r| <= 1/2
LN2 = 0.6931471824645996
LN2_ERROR = -1.904654323148236e-09
EXP2 = (
    0.24022650718688965, 0.055504050105810165, 0.009618083946406841, 0.0013340369332581758,
    0.00015453464584425092, 1.3439754184219055e-05,
)
# (log(1 + f) - f + f**2 / 2) / f**3; sqrt(1/2) <= 1 + f < sqrt(2)
LOG = (
    0.3333333134651184, -0.2500082552433014, 0.20001272857189178, -0.16623224318027496, 0.14200459420681,
    -0.13160152733325958, 0.12771685421466827, -0.07648007571697235,
)
LOG2E_HIGH = 1.4423828125  # 12 bits
LOG2E_LOW = 0.00031222839606925845
# (sin(r) - r) / r**3 and (cos(r) - 1 + r**2 / 2) / r**4 in r**2; |r| <= pi / 4
SIN = (-0.16666655242443085, 0.008332189172506332, -0.00019518283079378307)
COS = (0.04166664555668831, -0.0013887309469282627, 2.443236007820815e-05)
# erf(x) / x - 1 in x**2; |x| <= 1
ERF = (
    0.12837916612625122, -0.3761262595653534, 0.11283578723669052, -0.026853347197175026, 0.005187162198126316,
    -0.0007997852517291903, 7.806897338014096e-05,
)
# log(1 - erf(x)); 1 <= x <= 4
ERF_TAIL = (
    -0.00034161339863203466, -1.1270887851715088, -0.6381455659866333, -0.1031060665845871,
    0.021837709471583366, -0.0029475626070052385, 0.00018636857566889375,
)


@fn(unchecked=True, inline=True)
def exp32(x: T) -> T:
    """n = nearest(x / log 2), r = x - n log 2 in two parts, exp(x) = 2**n exp(r)."""
    x = min(max(x, -104.0), 89.0)
    t = mul_add(x, LOG2E, SHIFT32)
    n = t - SHIFT32
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    s, e = fast_two_sum(r * 0.0 + 1.0, r)
    return scale32(s + mul_add(r * r, polynomial(r, EXP), e), t)


@fn(unchecked=True, inline=True)
def exp2_32(x: T) -> T:
    x = min(max(x, -151.0), 129.0)
    t = x + SHIFT32
    r = x - (t - SHIFT32)
    y = mul_add(r * r, polynomial(r, EXP2), r * LN2_ERROR)
    return scale32(1.0 + mul_add(r, LN2, y), t)


@fn(unchecked=True, inline=True)
def _half_expm1(x: T) -> tuple[T, T]:
    """(exp(x) - 1) / 2 as a double-word for -18 <= x <= 89: p (1 + r + ...) - 1/2 with p = 2**(n - 1)."""
    t = mul_add(x, LOG2E, SHIFT32)
    n = t - SHIFT32
    high = x - n * LN2_HIGH
    r = high - n * LN2_LOW
    left = (high - r) - n * LN2_LOW
    tail = mul_add(r * r, polynomial(r, EXPM1), left)
    p = bitcast((bitcast(t, u32) + 126) << 23, f32)
    c = p - 0.5
    y, e = two_sum(c, p * r)
    return fast_two_sum(y, e + (p * tail + ((p - c) - 0.5)))


@fn(unchecked=True, inline=True)
def expm1_32(x: T) -> T:
    y, e = _half_expm1(min(max(x, -18.0), 89.0))
    return select(absolute(x) < 2.9802322e-08, x, (y + e) * 2.0)  # 2**-25; keeps subnormals and -0.0


@fn(unchecked=True, inline=True)
def tanh32(x: T) -> T:
    """h / (h + 1) with h = (exp(2 |x|) - 1) / 2; the quotient is corrected by its remainder."""
    h, e = _half_expm1(min(absolute(x), 10.0) * 2.0)
    d, rest = two_sum(h, 1.0)
    over = 1.0 / d
    q = h * over
    remainder = (e - q * (rest + e)) - product_error(q, d, h)
    return copysign(q + remainder * over, x)


@fn(unchecked=True, inline=True)
def _exponent(x: T) -> tuple[T, T]:
    """(e, f): x = 2**e (1 + f) for positive finite x, sqrt(1/2) <= 1 + f < sqrt(2); both exact."""
    small = x < 1.1754943508222875e-38  # subnormal
    bits = bitcast(select(small, x * 8388608.0, x), i32) - SQRT_HALF_BITS
    e = cast(bits >> 23, f32)
    return select(small, e - 23.0, e), bitcast((bits & 0x7FFFFF) + SQRT_HALF_BITS, f32) - 1.0


@fn(unchecked=True, inline=True)
def _log_special(x: T, y: T) -> T:
    """y = log(x), right also for x that is not positive and finite."""
    y = select(x > 0.0, y, NAN)
    return select(x == INF, x, select(x == 0.0, -INF, y))


@fn(unchecked=True, inline=True)
def log32(x: T) -> T:
    e, f = _exponent(x)
    z = f * f
    y = mul_add(f * z, polynomial(f, LOG), e * LN2_LOW) - 0.5 * z
    return _log_special(x, (f + y) + e * LN2_HIGH)


@fn(unchecked=True, inline=True)
def log2_32(x: T) -> T:
    """log(1 + f) as a short leading part and a rest, so that the leading product with log2(e) is exact."""
    e, f = _exponent(x)
    z = f * f
    y = f * z * polynomial(f, LOG) - 0.5 * z
    high = bitcast(bitcast(f + y, u32) & 0xFFFFF000, f32)
    low = (f - high) + y
    s, rest = fast_two_sum(e, high * LOG2E_HIGH)
    return _log_special(x, s + (rest + (high * LOG2E_LOW + low * LOG2E)))


@fn(unchecked=True, inline=True)
def log1p32(x: T) -> T:
    """log of 1 + x = u + c, where c is the rounding error; both are scaled by the exponent of u."""
    u, c = two_sum(x, 1.0)
    bits = bitcast(u, i32) - SQRT_HALF_BITS
    k = bits >> 23
    e = cast(k, f32)
    f = (bitcast((bits & 0x7FFFFF) + SQRT_HALF_BITS, f32) - 1.0) + c * bitcast(max(127 - k, 0) << 23, f32)
    z = f * f
    y = mul_add(f * z, polynomial(f, LOG), e * LN2_LOW) - 0.5 * z
    y = _log_special(u, (f + y) + e * LN2_HIGH)
    return select(x == 0.0, x, y)


@fn(unchecked=True, inline=True)
def sincos32(x: T) -> tuple[T, T]:
    """sin and cos of r, |r| <= pi / 4, exchanged and signed by the quadrant."""
    quadrant, r, low = reduce32(x)
    z = r * r
    half = 0.5 * z
    w = 1.0 - half
    s = r + mul_add(r * z, polynomial(z, SIN), low * w)
    c = w + (((1.0 - w) - half) + mul_add(z * z, polynomial(z, COS), -(r * low)))
    odd = (quadrant & 1) != 0
    sine, cosine = select(odd, c, s), select(odd, s, c)
    sine = bitcast(bitcast(sine, u32) ^ ((quadrant & 2) << 30), f32)
    cosine = bitcast(bitcast(cosine, u32) ^ (((quadrant + 1) & 2) << 30), f32)
    return select(x == 0.0, x, sine), cosine


@fn(unchecked=True, inline=True)
def erf32(x: T) -> T:
    """x + x P(x**2) below 1, 1 - exp(Q(|x|)) above."""
    a = absolute(x)
    near = mul_add(x, polynomial(x * x, ERF), x)
    far = copysign(1.0 - exp32(polynomial(min(a, 4.0), ERF_TAIL)), x)
    return select(a < 1.0, near, far)


@fn(unchecked=True, inline=True)
def pow32(x: T, y: T) -> T:
    """2**(y log2 |x|) in f64, whose 53 bits leave the rounding to f32 as the only error that counts."""
    a, b = cast(absolute(x), f64), cast(y, f64)
    return power_special(x, y, cast(exp2_64(b * log2_64(a)), f32))
