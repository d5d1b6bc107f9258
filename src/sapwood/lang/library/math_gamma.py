"""The gamma function and its logarithm, on f64.

Between 1 and 2 both are polynomials; further up gamma(x) = (x - 1) gamma(x - 1), and from some size on Stirling's
series. Below zero the reflection gamma(x) gamma(-x) = -pi / (x sin(pi x)).
"""

from __future__ import annotations

from sapwood.lang.function import fn
from sapwood.lang.library.math_exp import exponential
from sapwood.lang.library.math_format import INF, NAN
from sapwood.lang.library.math_log import logarithm
from sapwood.lang.library.math_parts import fast_two_sum, polynomial, two_product, two_sum
from sapwood.lang.library.math_polynomials import POLYNOMIALS_64
from sapwood.lang.library.math_power import power
from sapwood.lang.library.math_trig import cosine, sine
from sapwood.lang.ops.arith import absolute, copysign, floor, round_even

PI, ROOT_TWO_PI, HALF_LOG_TWO_PI = 3.141592653589793, 2.5066282746310002, 0.91893853320467278
# B(2 k) / (2 k (2 k - 1)), the coefficients of Stirling's series in 1 / x
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
LARGEST, SMALLEST = 171.62437695630272, -184.0


@fn(unchecked=True, inline=True)
def _series(x: float) -> float:
    over = 1.0 / x
    return over * polynomial(over * over, STIRLING)


@fn(unchecked=True)
def _stirling(x: float) -> tuple[float, float]:
    """Two finite numbers whose product is gamma(x), for x from 20 to 190."""
    half = power(x, (x - 0.5) * 0.5)
    return half * ROOT_TWO_PI * exponential(_series(x)), half * exponential(-x)


@fn(unchecked=True)
def sine_of_half_turns(x: float) -> float:
    """sin(pi x)"""
    a = absolute(x)
    r = a - 2.0 * round_even(a * 0.5)
    n = round_even(2.0 * r)
    f = (r - 0.5 * n) * PI
    y = sine(f)
    if n == 1.0:
        y = cosine(f)
    elif n == -1.0:
        y = -cosine(f)
    elif n != 0.0:
        y = -y
    return copysign(1.0, x) * y


@fn(unchecked=True)
def _near_one(x: float) -> float:
    """gamma(x) from -20 to 20 and not a pole, by steps of one; products are double-words."""
    p, pl = 1.0, 0.0
    rest = 0.0
    while x >= 2.0:
        x = x - 1.0
        p, e = two_product(p, x)
        p, pl = fast_two_sum(p, e + pl * x)
    up = x < 1.0
    while x < 1.0:
        q, e = two_product(p, x)
        p, pl = fast_two_sum(q, e + (pl * x + p * rest))
        x, e = two_sum(x, 1.0)
        rest = rest + e
    y = 1.0
    if x != 1.0:
        y = polynomial(x - 1.5 + rest, POLYNOMIALS_64.gamma)
    if up:
        y = y / p
        return y - y * pl / p
    return y * p + y * pl


@fn(unchecked=True)
def gamma_function(x: float) -> float:
    """gamma(x); an infinity at zero, nan at negative whole numbers and at -inf."""
    if x != x or x == INF:
        return x
    if x == 0.0:
        return copysign(INF, x)
    if x < 0.0 and floor(x) == x:
        return NAN
    if x > LARGEST:
        return INF
    a = absolute(x)
    if a < 1e-300:
        return 1.0 / x
    if a < 20.0:
        return _near_one(x)
    if x > 0.0:
        p, q = _stirling(x)
        return p * q
    if x < SMALLEST:
        odd = floor(x) * 0.5 != floor(floor(x) * 0.5)
        return -0.0 if odd else 0.0
    p, q = _stirling(a)
    return PI / sine_of_half_turns(a) / a / p / q * -1.0


@fn(unchecked=True)
def _log_gamma(x: float) -> float:
    """log(gamma(x)) for x > 0."""
    if x >= 12.0:
        if x > 1e300:
            return x * (logarithm(x) - 1.0)
        return (x - 0.5) * logarithm(x) - x + (HALF_LOG_TWO_PI + _series(x))
    p = 1.0
    while x > 2.5:
        x = x - 1.0
        p = p * x
    extra = logarithm(p)
    if x < 1.0:  # of x + 1, without the rounding of that sum
        return x * (x - 1.0) * polynomial(x - 0.5, POLYNOMIALS_64.lgamma) - logarithm(x)
    if x > 2.0:  # not log(x - 1) + lgamma(x - 1), which cancel near 2
        return (x - 1.0) * (x - 2.0) * polynomial(x - 2.25, POLYNOMIALS_64.lgamma_above) + extra
    return (x - 1.0) * (x - 2.0) * polynomial(x - 1.5, POLYNOMIALS_64.lgamma) + extra


@fn(unchecked=True)
def log_gamma(x: float) -> float:
    """log(|gamma(x)|); inf at poles and at both infinities."""
    if x != x:
        return x
    a = absolute(x)
    if a == INF or x <= 0.0 and floor(x) == x:
        return INF
    if a < 1e-20:
        return -logarithm(a)
    if x > 0.0:
        return _log_gamma(x)
    return logarithm(PI / absolute(a * sine_of_half_turns(a))) - _log_gamma(a)
