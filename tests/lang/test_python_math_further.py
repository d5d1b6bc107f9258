"""Further functions of `import math`, round(x, n) and pow(a, b, m) against CPython: values, exceptions, texts."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import numpy as np
import pytest
from oracles import Raised, outcome, same

from sapwood import CompileError, Tensor, fn

TOO_LARGE = Raised(OverflowError("the result does not fit into a 64-bit int"))
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -2.5, 20.0, 171.5, 5e-324, 2.2e-308, 1e308, 1.7976931348623157e308, 1e22]
SPECIAL += [math.inf, -math.inf, math.nan, 2.675, 1.005, 0.125, 1e15 + 0.5, -3.0, -3.5, 711.0]


# fmt: off
@fn
def asin(x: float) -> float: return math.asin(x)
@fn
def acos(x: float) -> float: return math.acos(x)
@fn
def atan(x: float) -> float: return math.atan(x)
@fn
def atan2(x: float, y: float) -> float: return math.atan2(x, y)
@fn
def sinh(x: float) -> float: return math.sinh(x)
@fn
def cosh(x: float) -> float: return math.cosh(x)
@fn
def asinh(x: float) -> float: return math.asinh(x)
@fn
def acosh(x: float) -> float: return math.acosh(x)
@fn
def atanh(x: float) -> float: return math.atanh(x)
@fn
def erfc(x: float) -> float: return math.erfc(x)
@fn
def cbrt(x: float) -> float: return math.cbrt(x)
@fn
def gamma(x: float) -> float: return math.gamma(x)
@fn
def lgamma(x: float) -> float: return math.lgamma(x)
@fn
def hypot3(x: float, y: float) -> float: return math.hypot(x, y, 1.5)
@fn
def distance(x: float, y: float) -> float: return math.dist((x, y, 0.25), (1.0, 2, 0.5))
@fn
def round_to(x: float, n: int) -> float: return round(x, n)
@fn
def round_int(x: int, n: int) -> int: return round(x, n)
@fn
def frexp(x: float) -> tuple[float, int]: return math.frexp(x)
@fn
def ldexp(x: float, n: int) -> float: return math.ldexp(x, n)
@fn
def modf(x: float) -> tuple[float, float]: return math.modf(x)
@fn
def nextafter(x: float, y: float) -> float: return math.nextafter(x, y)
@fn
def ulp(x: float) -> float: return math.ulp(x)
@fn
def remainder(x: float, y: float) -> float: return math.remainder(x, y)
@fn
def isclose(x: float, y: float) -> bool: return math.isclose(x, y) or math.isclose(x, y, rel_tol=0.1, abs_tol=1e-300)
@fn
def negative_tolerance(x: float, y: float) -> bool: return math.isclose(x, y, rel_tol=-0.1)
@fn
def fsum(x: Tensor[float, 1]) -> float: return math.fsum(x)
@fn
def prod(x: Tensor[float, 1]) -> float: return math.prod(x) + math.prod((1, 2, 3), start=2)
@fn
def comb(n: int, k: int) -> int: return math.comb(n, k)
@fn
def perm(n: int, k: int) -> int: return math.perm(n, k)
@fn
def factorial(n: int) -> int: return math.factorial(n)
@fn
def all_orders(n: int) -> int: return math.perm(n)
@fn
def isqrt(n: int) -> int: return math.isqrt(n)
@fn
def gcd(n: int, k: int) -> int: return math.gcd(n, k)
@fn
def lcm(n: int, k: int) -> int: return math.lcm(n, k)
@fn
def gcd3(n: int, k: int) -> int: return math.gcd(n, k, 12) + math.gcd() + math.lcm() + math.gcd(n)
@fn
def power_modulo(a: int, n: int, m: int) -> int: return pow(a, n, m)
# fmt: on

ULP = {gamma: 8, lgamma: 8, erfc: 5, hypot3: 2, distance: 2}
FLOATS = [asin, acos, atan, sinh, cosh, asinh, acosh, atanh, erfc, cbrt, gamma, lgamma, frexp, modf, ulp, atan2, hypot3]
FLOATS += [distance, nextafter, remainder, isclose, negative_tolerance]
EXACT = {frexp, modf, ulp, nextafter, remainder, isclose, negative_tolerance}


def some_float(rng: random.Random) -> float:
    """From every region, many of them with few digits, so that ties happen."""
    match rng.randrange(8):
        case 0:
            return rng.choice(SPECIAL)
        case 1:
            return rng.uniform(-10, 10)
        case 2:
            return round(rng.uniform(-100, 100), rng.randrange(6))
        case 3:
            return rng.randrange(-10000, 10000) / 8
        case 4:
            return math.ldexp(rng.random() - 0.5, rng.randrange(-1074, 1024))
        case 5:
            return rng.randrange(2000) / 2 ** rng.randrange(12)
    return rng.uniform(-200, 200)


def some_int(rng: random.Random) -> int:
    wide = rng.randrange(-(2**63), 2**63)
    return rng.choice([rng.randrange(-20, 20), wide, rng.randrange(-(10**6), 10**6), 2**63 - 1, -(2**63)])


def check(f: Any, *args: Any, reference: bool = False) -> None:
    found, plain = outcome(f, args)[0], outcome(f.__wrapped__, args)[0]
    if isinstance(plain, int) and not -(2**63) <= plain < 2**63:
        plain = TOO_LARGE
    close = f not in EXACT and isinstance(found, float) and isinstance(plain, float) and math.isfinite(plain) and plain
    if close:
        scale = max(abs(plain), 1.0) if f is lgamma else abs(plain)
        assert abs(found - plain) <= ULP.get(f, 3) * math.ulp(scale), (f.__name__, args, found, plain)
    else:
        assert same(found, plain), (f.__name__, args, found, plain)
    if reference:
        assert same(outcome(f.reference, args)[0], found), (f.__name__, args)


@pytest.mark.parametrize("f", FLOATS, ids=lambda f: f.__name__)
def test_floats(f):
    count = f.__wrapped__.__code__.co_argcount
    for i, args in enumerate(itertools.product(SPECIAL, repeat=count)):
        check(f, *args, reference=i % 37 == 0)
    rng = random.Random(1)
    for _ in range(300):
        check(f, *(some_float(rng) for _ in range(count)))


def test_rounding_and_scaling():
    rng = random.Random(2)
    for i in range(4000):
        x = some_float(rng)
        check(round_to, x, rng.randrange(-5, 20) if i % 4 else rng.randrange(-330, 340), reference=i % 400 == 0)
        check(ldexp, x, rng.randrange(-1100, 1100))
        check(round_int, some_int(rng), rng.randrange(-21, 3))


@pytest.mark.nightly
def test_rounding_of_many():
    rng = random.Random(3)
    for _ in range(300_000):
        x = some_float(rng)
        check(round_to, x, rng.randrange(-330, 340))
        check(ldexp, x, rng.randrange(-2200, 2200))
        check(round_to, x, rng.randrange(-5, 20))


def test_ints():
    rng = random.Random(4)
    for i in range(1500):
        n, m = some_int(rng), some_int(rng)
        modulus = rng.choice([n, m, rng.randrange(-5, 100)])
        if modulus != -(2**63):
            check(power_modulo, n, m, modulus, reference=i % 300 == 0)
        for f in (gcd, lcm):
            check(f, n, m)
        check(isqrt, n)
        check(gcd3, rng.randrange(-100, 100), rng.randrange(-100, 100))
        for f in (comb, perm):
            check(f, rng.randrange(-2, 70), rng.randrange(-2, 40))
        check(factorial, rng.randrange(-2, 25))
        check(all_orders, rng.randrange(-2, 25))
    for n in (0, 1, 3037000499**2 - 1, 3037000499**2, 2**62):
        check(isqrt, n, reference=True)


def test_sums():
    rng = random.Random(5)
    for i in range(800):
        x = np.array([some_float(rng) if rng.random() < 0.95 else 1e308 for _ in range(rng.randrange(12))])
        if i % 3:
            x = x[np.isfinite(x)]
        found = outcome(fsum, (x,))[0]
        assert same(found, outcome(math.fsum, (x.tolist(),))[0]), x
        if i % 100 == 0:
            assert same(found, outcome(fsum.reference, (x,))[0])
    x = np.array([1.5, 2.0, -4.0])
    assert prod(x) == prod.reference(x) == prod.__wrapped__(x.tolist()) == 0.0


@fn
def points_of_different_length(x: float) -> float:
    return math.dist((x, x), (1.0, 2.0, 3.0))


def test_points_of_different_length():
    with pytest.raises(CompileError, match="both points must be tuples of the same length"):
        points_of_different_length(1.0)
