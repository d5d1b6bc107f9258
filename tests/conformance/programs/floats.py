"""Floats: IEEE values, Python's division, conversions and math."""

import math

from conformance import case, fn

INF, NAN = float("inf"), float("nan")


@case(1.5, 2.25)
@case(-0.0, 0.0)
@case(1e308, 1e308)
@case(INF, INF)
@fn
def arithmetic(x: float, y: float) -> tuple[float, float, float]:
    return x + y, x - y, x * y


@case(1.0, 3.0)
@case(-1.0, 0.5)
@case(0.0, -2.0)
@case(1.0, 0.0)
@case(INF, 2.0)
@fn
def division(x: float, y: float) -> float:
    return x / y


@case(7.5, 2.0)
@case(-7.5, 2.0)
@case(7.5, -2.0)
@case(-0.0, 1.0)
@case(1.0, 0.0)
@case(5.0, INF)
@case(-5.0, INF)
@fn
def floor_and_remainder(x: float, y: float) -> tuple[float, float]:
    return x // y, x % y


@case(7.5, 2.0)
@case(-7.5, 2.0)
@case(1.0, 0.0)
@fn
def divmod_float(x: float, y: float) -> tuple[float, float]:
    return divmod(x, y)


@case(2.0, 0.5)
@case(2.0, -1.0)
@case(0.0, -1.0)
@case(-8.0, 3.0)
@fn
def power(x: float, y: float) -> float:
    return x**y


@case(0.0, -0.0)
@case(1.0, 2.0)
@case(NAN, 1.0)
@fn
def comparisons(x: float, y: float) -> tuple[bool, bool, bool, bool]:
    return x < y, x <= y, x == y, x != y


@case(NAN)
@case(INF)
@case(-INF)
@case(1.0)
@fn
def classes(x: float) -> tuple[bool, bool, bool, bool]:
    return math.isnan(x), math.isinf(x), math.isfinite(x), x == x


@case(-0.0)
@case(-2.5)
@case(NAN)
@fn
def absolute(x: float) -> tuple[float, float]:
    return abs(x), -x


@case(1.0, 2.0)
@case(NAN, 1.0)
@case(1.0, NAN)
@case(0.0, -0.0)
@case(-0.0, 0.0)
@fn
def min_max(x: float, y: float) -> tuple[float, float]:
    return min(x, y), max(x, y)


@case(2.675, 2)
@case(1234.5678, -2)
@case(0.5, 0)
@case(1e300, 3)
@fn
def round_digits(x: float, n: int) -> float:
    return round(x, n)


@case(2.5)
@case(-2.5)
@case(1e10)
@case(NAN)
@fn
def floor_ceil_trunc(x: float) -> tuple[int, int, int]:
    return math.floor(x), math.ceil(x), math.trunc(x)


@case(2.0)
@case(0.0)
@case(-1.0)
@fn
def root(x: float) -> float:
    return math.sqrt(x)


@case(3.0, 4.0)
@case(-3.0, -0.0)
@fn
def copysign_hypot(x: float, y: float) -> tuple[float, float]:
    return math.copysign(x, y), math.fabs(x)


@case(5.5)
@case(-5.5)
@fn
def modf(x: float) -> tuple[float, float]:
    return math.fmod(x, 2.0), x - math.floor(x)


@case(3)
@case(2**53 + 1)
@case(-7)
@fn
def from_int(n: int) -> float:
    return float(n)


@case(3, 0.5)
@case(-2, 1.5)
@fn
def mixed(n: int, x: float) -> tuple[float, float, float, bool]:
    return n + x, n * x, n - x, n < x


@case(0.0)
@case(0.1)
@case(NAN)
@fn
def truth(x: float) -> bool:
    return bool(x)


@case(2.0)
@case(2.5)
@case(INF)
@fn
def is_integer(x: float) -> bool:
    return x.is_integer()


@case(10)
@case(100)
@fn
def harmonic(n: int) -> float:
    total = 0.0
    for i in range(1, n + 1):
        total += 1 / i
    return total


@case(2.0)
@case(10.0)
@fn
def newton(x: float) -> float:
    y = x
    while abs(y * y - x) > 1e-12 * x:
        y = (y + x / y) / 2
    return y


@case(0.1, 10)
@fn
def accumulate(x: float, n: int) -> tuple[float, bool]:
    total = 0
    for _ in range(n):
        total += x
    return total, total == 1.0


@case(0.25)
@case(-0.75)
@fn
def horner(x: float) -> float:
    value = 0.0
    for c in (1.0, -2.0, 3.5, 0.25):
        value = value * x + c
    return value


@case(1.0)
@fn
def constants(x: float) -> tuple[float, float, float, float]:
    return math.pi * x, math.e * x, math.inf * x, -math.inf


@case(180.0)
@fn
def radians(x: float) -> tuple[float, float]:
    return math.radians(x), math.degrees(math.pi)


@case(0.5)
@case(-1.5)
@fn
def augmented(x: float) -> float:
    y = 10.0
    y += x
    y -= 0.25
    y *= 2
    y /= 4
    y //= 0.5
    y %= 3
    y **= 2
    return y


@case(1e16)
@fn
def kahan(big: float) -> float:
    total = c = 0.0
    for i in range(100):
        y = (big if i == 0 else 1.0) - c
        t = total + y
        c = (t - total) - y
        total = t
    return total


@case(1.0, 2.0, 3.0)
@case(1.0, NAN, 3.0)
@fn
def chained(x: float, y: float, z: float) -> tuple[bool, bool]:
    return x < y < z, not x > y


@case(2.0)
@fn
def exact_logs(x: float) -> tuple[float, float]:
    return math.log2(x), math.log(1.0)


@case(-1.0)
@case(0.0)
@fn
def log_error(x: float) -> float:
    return math.log(x)
