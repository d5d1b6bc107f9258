"""Complex numbers and cmath: compiled code means what CPython and the evaluator say."""

from __future__ import annotations

import cmath
import math
import random
from typing import Any, TypeVar

import numpy as np
import pytest
from oracles import Raised, agree, outcome, same

from sapwood import Array, Tensor, c64, f32, fn, struct

T = TypeVar("T")
PARTS = (0.0, -0.0, 1.0, -2.5, 1e300, 5e-324, math.inf, -math.inf, math.nan)
EVERY = [complex(a, b) for a in PARTS for b in PARTS]
FINITE = [z for z in EVERY if cmath.isfinite(z)]


@fn
def arithmetic(a: complex, b: complex) -> tuple[complex, complex, complex, complex, complex, complex, bool, bool, bool]:
    return a + b, a - b, a * b, -a, +a, a.conjugate(), a == b, a != b, bool(a)


@fn
def with_real(a: complex, x: float, n: int) -> tuple[complex, complex, complex, complex, complex, bool, bool, bool]:
    return a + x, n - a, x * a, a * n, a + True, a == n, x != a, a == 1


@fn
def quotient(a: complex, b: complex) -> complex:
    return a / b


@fn
def by_real(a: complex, x: float) -> tuple[complex, complex]:
    return a / x, x / a


@fn
def parts(a: complex) -> tuple[float, float, float, float]:
    return a.real, a.imag, (a * 2j).real, abs(a)


@fn
def made(x: float, n: int, a: complex) -> tuple[complex, complex, complex, complex, complex, complex, complex]:
    return complex(x, n), complex(x), complex(), complex(a), complex(a, x), complex(x, a), complex(imag=x)  # noqa: UP018


@fn
def literals(x: float) -> tuple[complex, complex, complex]:
    z = 1 - 2j
    return z, z * 3 + x, 1j**2


def test_arithmetic():
    for i, a in enumerate(EVERY):
        for b in EVERY[i % 5 :: 5]:
            found = outcome(arithmetic, (a, b))[0]
            assert same_parts(found, arithmetic.__wrapped__(a, b)), (a, b)
        for x, n in ((2.5, 3), (-0.0, 0), (math.inf, -1)):
            assert same_parts(with_real(a, x, n), with_real.__wrapped__(a, x, n)), (a, x, n)
            assert same_parts(outcome(made, (x, n, a))[0], made.__wrapped__(x, n, a))
    for a, b in ((1 + 2j, 3 - 4j), (0j, 1j), (complex(-0.0, 0.0), 1e300j)):
        agree(arithmetic, a, b, plain=True)
        agree(with_real, a, 1.5, 7, plain=True)
        agree(made, 1.5, 7, a, plain=True)
    agree(literals, 0.5, plain=True)


def same_parts(a: Any, b: Any) -> bool:
    """Equal in every bit but those of nan."""
    if isinstance(a, tuple):
        return isinstance(b, tuple) and all(map(same_parts, a, b))
    if isinstance(a, complex) and isinstance(b, complex):
        return same((a.real, a.imag), (b.real, b.imag))
    return same(a, b)


def test_division():
    for a in EVERY:
        for b in EVERY[::7] + [0j, complex(0.0, -0.0), 2j, 3 - 4j]:
            assert same_parts(outcome(quotient, (a, b))[0], outcome(quotient.__wrapped__, (a, b))[0]), (a, b)
        for x in (2.0, 0.0, math.inf):
            assert same_parts(outcome(by_real, (a, x))[0], outcome(by_real.__wrapped__, (a, x))[0])
    assert agree(quotient, 1j, 0j, plain=True) == Raised(ZeroDivisionError("complex division by zero"))
    agree(quotient, 1 + 2j, 3 - 4j, plain=True)


def test_absolute_values():
    for a in EVERY:
        assert same_parts(outcome(parts, (a,))[0], outcome(parts.__wrapped__, (a,))[0]), a
    huge = complex(1.7e308, 1.7e308)
    assert agree(parts, huge, plain=True) == Raised(OverflowError("absolute value too large"))


@fn
def power(a: complex, b: complex) -> complex:
    return a**b


@fn
def whole_power(a: complex, n: int) -> tuple[complex, complex, complex]:
    return a**n, a**2, pow(a, -1)


def test_powers():
    rng = random.Random(1)
    some = [complex(rng.gauss(0, 3), rng.gauss(0, 3)) for _ in range(12)]
    for a in some + [0j, 1 + 0j, 1e200 + 0j, 5e-324j]:
        for b in some + [0j, 2, -1, 100, 101, 0.5, -2.5, 1j]:
            found, plain = outcome(power, (a, b))[0], outcome(power.__wrapped__, (a, b))[0]
            assert close(found, plain, 400), (a, b, found, plain)
        for n in (0, 1, 5, -3, 120):
            found, plain = outcome(whole_power, (a, n))[0], outcome(whole_power.__wrapped__, (a, n))[0]
            assert close(found, plain, 800), (a, n, found, plain)
    agree(power, 1 + 2j, 3, plain=True)
    agree(power, 0j, -1 + 0j, plain=True)
    assert isinstance(agree(power, 1e300 + 0j, 2 + 0j, plain=True), Raised)


def close(a: Any, b: Any, ulps: float) -> bool:
    """Within so many ulp of the larger part; nan, infinities and signs of zeros equal."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return all(close(x, y, ulps) for x, y in zip(a, b, strict=True))
    if isinstance(a, complex) and isinstance(b, complex):
        size = max(abs(b.real), abs(b.imag)) / 4 if cmath.isfinite(b) else 0.0
        return _close(a.real, b.real, ulps, size) and _close(a.imag, b.imag, ulps, size)
    if isinstance(a, float) and isinstance(b, float):
        return _close(a, b, ulps, 0.0)
    return type(a) is type(b) and a == b


def _close(a: float, b: float, ulps: float, size: float) -> bool:
    if a == b or a != a or b != b or math.isinf(a) or math.isinf(b):
        return same(a, b)
    return abs(a - b) <= ulps * math.ulp(max(abs(b), size))


@fn
def mandelbrot(re: float, im: float, limit: int) -> int:
    c = complex(re, im)
    z, n = 0j, 0
    while n < limit and abs(z) <= 2.0:
        z, n = z * z + c, n + 1
    return n


@fn
def widens(n: int) -> complex:
    z = 0
    for _ in range(n):
        z = z * z + (0.5 + 0.25j)
    return z


@fn
def joined(n: int) -> complex:
    z = 1j if n > 2 else n
    if n > 3:
        w = 2.5
    else:
        w = z * 2
    return w + z


def test_loops_and_joins():
    for re, im in ((0.3, 0.5), (-1.5, 0.1), (2.0, 2.0)):
        agree(mandelbrot, re, im, 100, plain=True)
    for n in range(1, 6):
        agree(widens, n, plain=True)
        assert joined(n) == joined.__wrapped__(n) == joined.reference(n)


@fn
def total(x: Tensor[complex, 1]) -> complex:
    t = 0
    for v in x:
        t += v
    return t


@fn
def scaled(x: Tensor[c64, 2], factor: c64) -> c64:
    last = c64(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] = x[i, j] * factor + 1
            last = x[i, j]
    return last


@fn
def narrow(a: c64, x: f32) -> tuple[c64, c64, float, c64, bool]:
    return a * x, a / (a + 2), abs(a), a**2 + 1j, a == c64(1, 2)


def test_arrays():
    x = np.array([1 + 2j, 3, -4j])
    assert agree(total, x) == 4 - 2j
    assert agree(total, x[::2]) == 1 - 2j
    assert total(Array.from_buffer(x)) == 4 - 2j
    x[0] = 7
    assert total(x) == 10 - 4j
    small = np.arange(6, dtype=np.complex64).reshape(2, 3) * (1 + 0.5j)
    agree(scaled, small, 2 - 1j)
    want = small * np.complex64(2 - 1j) + np.complex64(1)
    scaled(small, 2 - 1j)
    assert np.allclose(small, want)
    agree(narrow, 1 + 2j, 0.1)
    with pytest.raises(TypeError, match=r"convert it: x.astype\(np.complex128\)"):
        total(small[0])
    zeros = Array.zeros(2, "c128")
    zeros[1] = 2 - 1j
    assert zeros.tolist() == [0j, 2 - 1j] == np.asarray(zeros).tolist()
    assert total(zeros) == 2 - 1j


@struct(frozen=True)
class Signal:
    value: complex
    gain: float

    def amplified(self) -> complex:
        return self.value * self.gain


@struct
class Cell:
    z: complex
    n: int


@fn
def struct_field(s: Signal) -> tuple[complex, Signal]:
    return s.amplified(), Signal(s.value + 1, 2.0)


@fn
def mutated(n: int) -> complex:
    c = Cell(1j, 0)
    for i in range(n):
        c.z = c.z * 2 + i
        c.n += 1
    return c.z


@fn
def generic(a: T, b: T) -> T:
    return a * b + a


@fn
def use_generic(a: complex) -> tuple[complex, float]:
    return generic(a, 2j), generic(0.5, 2.0)


@fn
def in_list(n: int) -> complex:
    items = [1j, 2]
    for i in range(n):
        items.append(i * 1j)
    t = 0j
    for z in items:
        t = t * 0.5 + z
    return t


def test_in_aggregates():
    agree(struct_field, Signal(1 + 1j, 0.5), plain=True)
    agree(use_generic, 1 - 1j, plain=True)
    agree(generic, 1 - 1j, 2j)
    for n in (0, 3):
        agree(mutated, n, plain=True)
        agree(in_list, n, plain=True)


def test_arguments():
    assert total(np.zeros(0, complex)) == 0
    assert parts(np.complex64(3 + 4j))[3] == parts(3 + 4j)[3] == 5.0
    assert parts(3)[3] == parts(3.0)[3] == 3.0
    for wrong in ("1j", True, None, [1j]):
        with pytest.raises(TypeError, match="'a' must be complex"):
            parts(wrong)
    with pytest.raises(OverflowError):
        parts(10**400)


@fn
def summed(zs: list[complex]) -> complex:
    return sum(zs)


@fn
def squares(n: int) -> list[complex]:
    return [(i * 1j) ** 2 for i in range(n)]


@fn
def maybe(z: complex | None) -> complex | None:
    return None if z is None else z * 2


@fn
def through_object(x: object) -> object:
    return complex(x) + 1


@fn
def inverse(z: complex) -> complex:
    if z == 0:
        raise ValueError("zero", z)
    return 1 / z


def test_at_the_border_of_python():
    for f, x in ((summed, [1j, 2, 0.5]), (squares, 3), (maybe, None), (maybe, 1j)):
        assert same(f(x), f.__wrapped__(x)) and same(f(x), f.reference(x))
    assert through_object(2j) == 1 + 2j
    assert agree(inverse, 0j, plain=True) == Raised(ValueError("zero", 0j))
    with pytest.raises(TypeError, match="expected a complex"):
        summed(["1j"])


# -- cmath ---------------------------------------------------------------------------------------------


# fmt: off
@fn
def exp(z: complex) -> complex: return cmath.exp(z)
@fn
def log(z: complex) -> complex: return cmath.log(z)
@fn
def log10(z: complex) -> complex: return cmath.log10(z)
@fn
def log_base(z: complex) -> complex: return cmath.log(z, 2j)
@fn
def sqrt(z: complex) -> complex: return cmath.sqrt(z)
@fn
def sin(z: complex) -> complex: return cmath.sin(z)
@fn
def cos(z: complex) -> complex: return cmath.cos(z)
@fn
def tan(z: complex) -> complex: return cmath.tan(z)
@fn
def sinh(z: complex) -> complex: return cmath.sinh(z)
@fn
def cosh(z: complex) -> complex: return cmath.cosh(z)
@fn
def tanh(z: complex) -> complex: return cmath.tanh(z)
@fn
def asin(z: complex) -> complex: return cmath.asin(z)
@fn
def acos(z: complex) -> complex: return cmath.acos(z)
@fn
def atan(z: complex) -> complex: return cmath.atan(z)
@fn
def asinh(z: complex) -> complex: return cmath.asinh(z)
@fn
def acosh(z: complex) -> complex: return cmath.acosh(z)
@fn
def atanh(z: complex) -> complex: return cmath.atanh(z)
@fn
def polar(z: complex) -> tuple[float, float]: return cmath.polar(z)
@fn
def phase(z: complex) -> float: return cmath.phase(z)
@fn
def rect(z: complex) -> complex: return cmath.rect(z.real, z.imag)
@fn
def predicates(z: complex) -> tuple[bool, bool, bool, bool]:
    return cmath.isnan(z), cmath.isinf(z), cmath.isfinite(z), cmath.isclose(z, z * 1.0000000001)
# fmt: on

FUNCTIONS = [exp, log, log10, log_base, sqrt, sin, cos, tan, sinh, cosh, tanh, asin, acos, atan, asinh, acosh, atanh]
FUNCTIONS += [polar, phase, rect, predicates]


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_cmath(f):
    rng = random.Random(2)
    values = [0.0, -0.0, 1.0, -1.0, 0.5, -2.3, math.inf, -math.inf, math.nan, 710.0, 1e300, -1e300, 1e-300]
    points = [complex(a, b) for a in values for b in values]
    points += [complex(rng.gauss(0, 3), rng.gauss(0, 3)) for _ in range(100)]
    points += [complex(rng.gauss(0, 1) * 2.0 ** rng.randrange(-40, 40), rng.gauss(0, 3)) for _ in range(100)]
    for i, z in enumerate(points):
        found, plain = outcome(f, (z,))[0], outcome(f.__wrapped__, (z,))[0]
        if f is phase and isinstance(plain, Raised):
            continue  # CPython 3.11 reports an angle that underflows as an overflow
        assert close(found, plain, 8), (f.__name__, z, found, plain)
        if i % 50 == 0:
            assert same_parts(outcome(f.reference, (z,))[0], found), z


def test_a_complex_call_is_direct():
    """Numbers cross the border in the compiled entry and not in Python."""
    quotient(1j, 2j)
    assert all(s.direct for s in quotient.state.specialisations.values())


@fn
def looked_for(xs: list[complex], z: complex) -> tuple[bool, bool, int, bool, bool]:
    return 2.5 - 1j in xs, 2.0 in xs, xs.count(2.5 - 1j), z in [1j, 2j], z in (1j, 3j) or z in {1j, 5j}


def test_constants_are_looked_for():
    for xs, z in (([], 1j), ([2.5 - 1j, 2 + 0j, 2.5 - 1j], 2j), ([1j], 5 + 0j), ([0j], 5j)):
        assert looked_for(xs, z) == looked_for.__wrapped__(xs, z)
