"""Python's functions that take floats apart, step to neighbours, round to decimals and sum exactly. On f64."""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.annotations import StackArray
from sapwood.lang.api.dtypes import f64, i64
from sapwood.lang.function import fn
from sapwood.lang.library.division import float_remainder
from sapwood.lang.library.math_format import INF
from sapwood.lang.library.math_parts import product_error, two_product, two_sum
from sapwood.lang.ops.arith import absolute, copysign, floor, round_even, trunc
from sapwood.lang.ops.convert import bitcast

DOMAIN, RANGE = "math domain error", "math range error"


@fn(unchecked=True, inline=True)
def _is_finite(x: float) -> bool:
    return x - x == 0.0


@fn(unchecked=True, inline=True)
def _power_of_two(n: int) -> float:
    """2.0**n for a normal result."""
    return bitcast((n + 1023) << 52, f64)


@fn(unchecked=True)
def frexp(x: float) -> tuple[float, int]:
    """(m, e) with x == m * 2**e and 0.5 <= |m| < 1; (x, 0) for zeros, infinities and nan."""
    if x == 0.0 or x - x != 0.0:
        return x, 0
    e = 0
    if absolute(x) < 2.0**-1022:
        x, e = x * 2.0**54, -54
    bits = bitcast(x, i64)
    e += ((bits >> 52) & 2047) - 1022
    return bitcast((bits & -0x7FF0000000000001) | 0x3FE0000000000000, f64), e


@fn
def ldexp(x: float, n: int) -> float:
    """x * 2**n, rounded once."""
    if x == 0.0 or not _is_finite(x):
        return x
    m, e = frexp(x)
    n = min(max(n, -5000), 5000) + e
    if n > 1024:
        raise OverflowError(RANGE)
    if n < -1100:
        return copysign(0.0, x)
    if n < -1000:
        return m * 2.0**-1000 * _power_of_two(n + 1000)
    return m * 2.0 * _power_of_two(n - 1)


@fn
def as_integer_ratio(x: float) -> tuple[int, int]:
    """x as a quotient of ints without a common divisor; OverflowError if one of them is wider than 64 bits."""
    if x != x:
        raise ValueError("cannot convert NaN to integer ratio")
    if x == INF or x == -INF:
        raise OverflowError("cannot convert Infinity to integer ratio")
    m, e = frexp(x)
    steps = 0
    while m != floor(m):
        m, steps = m * 2.0, steps + 1
    e -= steps
    if e > 0 and absolute(m) * 2.0 ** min(e, 100) >= 2.0**63 or e < -62:
        raise OverflowError("the ratio does not fit into 64-bit ints")
    if e >= 0:
        return int(m) << e, 1
    return int(m), 1 << -e


@fn(unchecked=True)
def modf(x: float) -> tuple[float, float]:
    """(fraction, whole part), both with the sign of x."""
    if x == INF or x == -INF:
        return copysign(0.0, x), x
    whole = trunc(x)
    return copysign(x - whole, x), whole


@fn(unchecked=True)
def nextafter(x: float, y: float) -> float:
    """The float next to x on the way to y."""
    if x != x or y != y:
        return x + y
    if x == y:
        return y
    if x == 0.0:
        return copysign(5e-324, y)
    bits = bitcast(x, i64)
    return bitcast(bits + 1 if (x < y) == (x > 0.0) else bits - 1, f64)


@fn(unchecked=True)
def ulp(x: float) -> float:
    """The distance from |x| to the next larger float."""
    a = absolute(x)
    if a != a or a == INF:
        return a
    if a == 1.7976931348623157e308:
        return 1.99584030953472e292
    return nextafter(a, INF) - a


@fn
def remainder(x: float, y: float) -> float:
    """x - n * y, exactly, for the n nearest to x / y, ties to even."""
    if x != x or y != y:
        return x + y
    if x == INF or x == -INF or y == 0.0:
        raise ValueError(DOMAIN)
    if y == INF or y == -INF:
        return x
    a, b = absolute(x), absolute(y)
    r = float_remainder(a, b)
    other = b - r
    if r < other:
        m = r
    elif r > other:
        m = -other
    else:
        m = r - 2.0 * float_remainder(0.5 * (a - r), b)
    return copysign(1.0, x) * m


@fn
def isclose(a: float, b: float, rel_tol: float, abs_tol: float) -> bool:
    if rel_tol < 0.0 or abs_tol < 0.0:
        raise ValueError("tolerances must be non-negative")
    if a == b:
        return True
    if a == INF or a == -INF or b == INF or b == -INF:
        return False
    d = absolute(b - a)
    return d <= absolute(rel_tol * b) or d <= absolute(rel_tol * a) or d <= abs_tol


# -- decimals ------------------------------------------------------------------------------------------


@fn(unchecked=True)
def _power_of_ten(n: int) -> tuple[float, float]:
    """10**n as a double-word, for 0 <= n <= 308: exact up to 10**31."""
    p, pl = 1.0, 0.0
    base, low = 10.0, 0.0
    while n > 0:
        if n & 1 == 1:
            q, e = two_product(p, base)
            p, pl = two_sum(q, e + (pl * base + p * low))
        q, e = two_product(base, base)
        base, low = two_sum(q, e + 2.0 * base * low)
        n = n >> 1
    return p, pl


@fn(unchecked=True)
def _nearest_even(p: float, rest: float) -> float:
    """p + rest rounded to a whole number, ties to even; 0 <= p < 2**52, |rest| < 1."""
    q = round_even(p)
    d = p - q
    above, below = 0.5 - d, -0.5 - d
    if rest > above or rest == above and q * 0.5 != floor(q * 0.5):
        return q + 1.0
    if rest < below or rest == below and q * 0.5 != floor(q * 0.5):
        return q - 1.0
    return q


@fn(unchecked=True)
def _product(x: float, xl: float, y: float, yl: float) -> tuple[float, float]:
    p, e = two_product(x, y)
    return two_sum(p, e + (x * yl + xl * y))


@fn(unchecked=True)
def _quotient(x: float, y: float, yl: float) -> float:
    q = x / y
    return q - (product_error(q, y, x) + q * yl) / y


@fn(unchecked=True)
def _decimals(a: float, n: int) -> float:
    """round(a, n) for a > 0 and 0 <= n <= 323."""
    ten, low = _power_of_ten(min(n, 200))
    rest, rest_low = _power_of_ten(max(n - 200, 0))
    if a * ten * rest >= 4503599627370496.0:
        return a
    p, e = _product(a, 0.0, ten, low)
    if n > 200:
        p, e = _product(p, e, rest, rest_low)
    q = _nearest_even(p, e)
    if n > 200:
        return _quotient(q, rest, rest_low) / ten
    return _quotient(q, ten, low)


@fn(unchecked=True)
def _tens(a: float, n: int) -> float:
    """round(a, -n) for a > 0 and 0 < n <= 308."""
    ten, low = _power_of_ten(n)
    q = floor(a / ten)
    if q >= 4503599627370496.0:
        return a
    p, e = two_product(q, ten)
    rest = ((a - p) - e) - q * low  # of the multiple below, or nearly so
    if rest < 0.0:
        q, rest = q - 1.0, rest + ten
    elif rest >= ten:
        q, rest = q + 1.0, rest - ten
    half = ten - rest
    if rest > half or rest == half and q * 0.5 != floor(q * 0.5):
        q = q + 1.0
    return q * ten + q * low


@fn
def round_digits(x: float, n: int) -> float:
    """round(x, n): the float nearest to that decimal of n digits which is nearest to x, ties to even."""
    if not _is_finite(x) or x == 0.0 or n > 323:
        return x
    if n < -308:
        return copysign(0.0, x)
    y = _decimals(absolute(x), n) if n >= 0 else _tens(absolute(x), -n)
    if y == INF:
        raise OverflowError("rounded value too large to represent")
    return copysign(y, x)


# -- sums ----------------------------------------------------------------------------------------------

PARTIALS = 48  # non-overlapping doubles hold at most 2098 bits


@fn
def exact_sum(items: Any) -> float:
    """The sum of the floats of a tuple or tensor, rounded once (Shewchuk, Discrete Comput. Geom. 18, 1997)."""
    partials = StackArray[f64, PARTIALS](0.0)
    n = 0
    special, infinities = 0.0, 0.0
    for item in items:
        x = float(item)
        given = x
        kept = 0
        for j in range(n):
            s, e = two_sum(x, partials[j])
            if e != 0.0:
                partials[kept] = e
                kept += 1
            x = s
        n = kept
        if x != 0.0:
            if not _is_finite(x):
                if _is_finite(given):
                    raise OverflowError("intermediate overflow in fsum")
                if given == given:
                    infinities += given
                special += given
                n = 0
            else:
                partials[n] = x
                n += 1
    if special != 0.0:
        if infinities != infinities:
            raise ValueError("-inf + inf in fsum")
        return special
    if n == 0:
        return 0.0
    n -= 1
    high, low = partials[n], 0.0
    while n > 0 and low == 0.0:
        n -= 1
        high, low = two_sum(high, partials[n])
    if n > 0 and (low < 0.0 and partials[n - 1] < 0.0 or low > 0.0 and partials[n - 1] > 0.0):
        y = low * 2.0
        x = high + y
        if y == x - high:
            high = x
    return high
