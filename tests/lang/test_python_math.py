"""`import math` in checked code against CPython: values within the stated ulp, exceptions with their texts."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from oracles import Raised, agree, outcome, same

from sapwood import CompileError, Tensor, f32, fn
from sapwood.lang.library import math as vector_math

VALUES = [0.0, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 24.0, 709.0, 710.0, 745.5, 1023.5, 1024.0, 5e-324, 1e-300, 1e-10, 1e22]
VALUES += [1e300, math.inf]
VALUES += [-v for v in VALUES] + [math.nan]


# fmt: off
@fn
def sqrt(x: float) -> float: return math.sqrt(x)
@fn
def exp(x: float) -> float: return math.exp(x)
@fn
def exp2(x: float) -> float: return math.exp2(x)
@fn
def expm1(x: float) -> float: return math.expm1(x)
@fn
def log(x: float) -> float: return math.log(x)
@fn
def log2(x: float) -> float: return math.log2(x)
@fn
def log10(x: float) -> float: return math.log10(x)
@fn
def log1p(x: float) -> float: return math.log1p(x)
@fn
def sin(x: float) -> float: return math.sin(x)
@fn
def cos(x: float) -> float: return math.cos(x)
@fn
def tan(x: float) -> float: return math.tan(x)
@fn
def tanh(x: float) -> float: return math.tanh(x)
@fn
def erf(x: float) -> float: return math.erf(x)
@fn
def degrees(x: float) -> float: return math.degrees(x)
@fn
def radians(x: float) -> float: return math.radians(x)
@fn
def fabs(x: float) -> float: return math.fabs(x)
@fn
def isnan(x: float) -> bool: return math.isnan(x)
@fn
def isinf(x: float) -> bool: return math.isinf(x)
@fn
def isfinite(x: float) -> bool: return math.isfinite(x)
@fn
def floor(x: float) -> int: return math.floor(x)
@fn
def ceil(x: float) -> int: return math.ceil(x)
@fn
def trunc(x: float) -> int: return math.trunc(x)
@fn
def power(x: float, y: float) -> float: return x ** y
@fn
def pow_(x: float, y: float) -> float: return math.pow(x, y)
@fn
def hypot(x: float, y: float) -> float: return math.hypot(x, y)
@fn
def fmod(x: float, y: float) -> float: return math.fmod(x, y)
@fn
def copysign(x: float, y: float) -> float: return math.copysign(x, y)
@fn
def log_base(x: float, y: float) -> float: return math.log(x, y)
# fmt: on

ONE = [sqrt, exp, exp2, expm1, log, log2, log10, log1p, sin, cos, tan, tanh, erf, degrees, radians, fabs, isnan, isinf]
ONE += [isfinite, floor, ceil, trunc]
TWO = [power, pow_, hypot, fmod, copysign, log_base]


def close(a: Any, b: Any) -> bool:
    """Equal, or both finite and nonzero and within the ulp of two functions that each may be one off."""
    if isinstance(a, float) and isinstance(b, float) and math.isfinite(a) and math.isfinite(b) and a and b:
        return abs(a - b) <= 2 * math.ulp(b)
    return same(a, b)


def documented(f: Any, args: tuple[float, ...], plain: Any) -> bool:
    """The differences that docs name: ints of 64 bits, and no complex result of a float power."""
    if f is power and isinstance(plain, complex | Raised) and args[0] < 0 and args[1] % 1 != 0:
        return True
    return isinstance(plain, int) and not -(2**63) <= plain < 2**63


@pytest.mark.parametrize("f", ONE + TWO, ids=lambda f: f.__name__)
def test_as_cpython(f):
    for i, args in enumerate(itertools.product(VALUES, repeat=f.__wrapped__.__code__.co_argcount)):
        found, plain = outcome(f, args)[0], outcome(f.__wrapped__, args)[0]
        if documented(f, args, plain):
            assert isinstance(found, Raised) and found.kind in (OverflowError, ValueError), (args, found)
        else:
            assert close(found, plain), (args, found, plain)
        if i % 19 == 0:
            by_evaluator = outcome(f.reference, args)[0]
            assert same(found, by_evaluator), (args, found, by_evaluator)


@fn
def of_ints(x: int) -> tuple[float, float, float, float, bool, float, int, float]:
    return math.sqrt(x), math.exp(x), math.log(x), math.fabs(x), math.isnan(x), math.pow(x, 2), math.floor(x), math.pi


@fn
def of_literals() -> tuple[float, float, bool, float, float]:
    return math.sqrt(2), math.exp(1.0), math.isinf(math.inf), math.copysign(1, -0.0), math.tau


def test_ints_and_literals():
    for x in (1, 2, 10, 100, 2**53 + 1, 0, -3, 1000):
        found, plain = outcome(of_ints, (x,))[0], outcome(of_ints.__wrapped__, (x,))[0]
        assert found == plain if isinstance(plain, Raised) else all(map(close, found, plain))
    assert all(map(close, of_literals(), of_literals.__wrapped__()))


@fn
def on_vectors(x: Tensor[f32, 1], y: Tensor[f32, 1]) -> None:
    v = x.load(0, width=8)
    y.store(0, math.log(v) + math.sqrt(v) + math.pow(v, 2.5) + math.fmod(v, 2.0) + math.degrees(v))


@fn
def on_f32(x: f32) -> f32:
    return math.exp(x) + math.log(x)


@fn(unchecked=True)
def on_f64_unchecked(x: float) -> tuple[float, float, float]:
    return math.exp(x), math.log(x), math.fmod(x, 0.0)


def test_vectors_f32_and_unchecked_code_follow_ieee():
    x = np.array([-1, 0, 1, 2, 3, 4, np.inf, np.nan], np.float32)
    y = np.zeros(8, np.float32)
    on_vectors(x, y)
    with np.errstate(all="ignore"):
        w = x.astype(np.float64)
        want = np.log(w) + np.sqrt(w) + w**2.5 + np.fmod(w, 2) + np.degrees(w)
    assert np.allclose(y, want, rtol=1e-6, equal_nan=True)
    agree(on_vectors, np.arange(1, 9, dtype=np.float32), np.zeros(8, np.float32))
    assert agree(on_f32, 1000.0) == math.inf and agree(on_f32, 0.0) == -math.inf
    assert same(agree(on_f64_unchecked, 1e9), (math.inf, math.log(1e9), math.nan))
    assert same(agree(on_f64_unchecked, -1e9), (0.0, math.nan, math.nan))


@fn
def of_an_int(x: int) -> float:
    return vector_math.exp(x)


@fn
def of_a_tensor(x: Tensor[f32, 1]) -> float:
    return vector_math.exp(x)


@fn
def of_a_text(x: float) -> float:
    return math.exp("a")  # type: ignore[arg-type]


def test_mistakes_name_the_function():
    with pytest.raises(CompileError, match=r"exp: takes a float or a SIMD vector of floats, not int"):
        of_an_int(1)
    with pytest.raises(CompileError, match=r"exp: takes a float or a SIMD vector of floats, not Tensor"):
        of_a_tensor(np.zeros(4, np.float32))
    with pytest.raises(CompileError, match=r"exp: takes numbers, not str"):
        of_a_text(1.0)


# -- what the oracles themselves got wrong before ---------------------------------------------------------


@fn
def clamped(x: f32) -> f32:
    return min(max(x, -10.0), 100.25) + 16777216.0


@fn
def by_module(x: f32) -> f32:
    return vector_math.pow(x, 2.5) + vector_math.exp(x)


def test_python_mode_keeps_the_type_of_a_clamped_number():
    """min and max gave the literal as a Python float, and the sum was one of f64."""
    agree(clamped, 1e9)
    agree(clamped, -1e9)


def test_python_mode_runs_functions_named_through_a_module():
    """`module.f` called the compiled f with boxed values, and a literal argument did not follow the others."""
    agree(by_module, 1.7)
