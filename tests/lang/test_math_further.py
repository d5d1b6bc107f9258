"""Arcs, hyperbolic functions, erfc, cbrt, gamma: errors in ulp, special values, every feature level."""

from __future__ import annotations

import math as libm
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from ulp import WIDE, by_mpmath, errors

from sapwood import Tensor, f32, f64, fn
from sapwood.lang.library import math
from sapwood.lang.loading.current_target import use_target
from sapwood.targets.x86 import LEVELS, level, make

TARGETS = {t.key: (name, t) for name in LEVELS for t in [make(level(name))]}  # the different ones of this machine
*_, LAST = TARGETS.values()  # the host's own; the others are for the nightly run
EACH_TARGET = pytest.mark.parametrize(
    "target",
    [pytest.param(t, id=n, marks=() if (n, t) == LAST else pytest.mark.nightly) for n, t in TARGETS.values()],
)
INF, NAN, TINY = libm.inf, libm.nan, 5e-324


@dataclass(frozen=True)
class Case:
    """A function of one argument: where to try it, what is true, and (argument, value) where a value is exact."""

    low: float
    high: float
    exact: Callable[[mp.mpf], mp.mpf]
    special: tuple[tuple[float, float], ...]
    reach: tuple[float, float] = (-INF, INF)  # of random bits


ODD = ((0.0, 0.0), (-0.0, -0.0), (TINY, TINY), (-TINY, -TINY), (NAN, NAN))
CASES = {
    "asin": Case(-1, 1, mp.asin, (*ODD, (1.5, NAN), (-INF, NAN)), (-1, 1)),
    "acos": Case(-1, 1, mp.acos, ((1.0, 0.0), (1.5, NAN), (-INF, NAN), (NAN, NAN)), (-1, 1)),
    "atan": Case(-50, 50, mp.atan, ODD),
    "sinh": Case(-88, 88, mp.sinh, (*ODD, (INF, INF), (-INF, -INF), (1e300, INF), (-1e300, -INF)), (-700, 700)),
    "cosh": Case(-88, 88, mp.cosh, ((0.0, 1.0), (-0.0, 1.0), (TINY, 1.0), (INF, INF), (-INF, INF)), (-700, 700)),
    "asinh": Case(-50, 50, mp.asinh, (*ODD, (INF, INF), (-INF, -INF))),
    "acosh": Case(1, 50, mp.acosh, ((1.0, 0.0), (INF, INF), (0.5, NAN), (-INF, NAN), (NAN, NAN)), (1, INF)),
    "atanh": Case(-1, 1, mp.atanh, (*ODD, (1.0, INF), (-1.0, -INF), (2.0, NAN), (INF, NAN)), (-1, 1)),
    "erfc": Case(-6, 28, mp.erfc, ((0.0, 1.0), (-0.0, 1.0), (INF, 0.0), (-INF, 2.0), (NAN, NAN)), (-30, 30)),
    "cbrt": Case(-50, 50, lambda x: mp.sign(x) * mp.cbrt(abs(x)), (
        (0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (27.0, 3.0), (-8.0, -2.0), (NAN, NAN),
    )),
    "gamma": Case(0.01, 171.6, mp.gamma, (
        (0.0, INF), (-0.0, -INF), (INF, INF), (-INF, NAN), (-1.0, NAN), (1.0, 1.0), (5.0, 24.0), (NAN, NAN),
    ), (1e-37, 30)),
    "lgamma": Case(0.01, 100, mp.loggamma, (
        (0.0, INF), (-0.0, INF), (INF, INF), (-INF, INF), (-2.0, INF), (1.0, 0.0), (2.0, 0.0), (NAN, NAN),
    ), (1e-37, 1e30)),
}  # fmt: skip
EACH_CASE = pytest.mark.parametrize("name", CASES)


@pytest.fixture(autouse=True)
def fresh_maps(request, monkeypatch):
    """All functions on many values, in one process, are more than one function may be compiled for."""
    if request.node.get_closest_marker("nightly"):
        for name in ("map32", "map64"):
            monkeypatch.setitem(globals(), name, fn(unchecked=True)(globals()[name].__wrapped__))


@fn(unchecked=True)
def map32(f: Callable[..., Any], x: Tensor[f32, 1], y: Tensor[f32, 1]) -> None:
    for i in range(0, x.shape[0], 8):
        y.store(i, f(x.load(i, width=8)))


@fn(unchecked=True)
def map64(f: Callable[..., Any], x: Tensor[f64, 1], y: Tensor[f64, 1]) -> None:
    for i in range(0, x.shape[0], 4):
        y.store(i, f(x.load(i, width=4)))


@fn(unchecked=True)
def angles32(y: Tensor[f32, 1], x: Tensor[f32, 1], z: Tensor[f32, 1]) -> None:
    for i in range(0, x.shape[0], 8):
        z.store(i, math.atan2(y.load(i, width=8), x.load(i, width=8)))


@fn(unchecked=True)
def angles64(y: Tensor[f64, 1], x: Tensor[f64, 1], z: Tensor[f64, 1]) -> None:
    for i in range(0, x.shape[0], 4):
        z.store(i, math.atan2(y.load(i, width=4), x.load(i, width=4)))


def run(name: str, *columns: np.ndarray) -> np.ndarray:
    n, dtype = len(columns[0]), columns[0].dtype
    padded = [np.concatenate([c, np.full(-n % 8, 0.5, dtype)]) for c in columns]
    out = np.empty(len(padded[0]), dtype)
    wide = dtype == np.float64
    if name == "atan2":
        (angles64 if wide else angles32)(*padded, out)
    else:
        (map64 if wide else map32)(getattr(math, name), *padded, out)
    return out[:n]


def limits(name: str) -> tuple[float, float]:
    """The errors in ulp for f32 and f64 that the docstring states."""
    stated = re.search(r"f32\s+([\d.]+),\s+f64\s+([\d.]+)\s+ulp", getattr(math, name).__doc__)
    return float(stated[1]), float(stated[2])


def sample(case: Case, dtype: Any, n: int, seed: int) -> np.ndarray:
    """An even spread where the function changes, the neighbourhood of 0, 1 and 2, and random bits."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2**64, 8 * n, np.uint64).view(np.float64)
    small = rng.normal(size=n) * 2.0 ** rng.integers(-30, 0, n)
    near = 1 + rng.integers(0, 2, n) + rng.normal(size=n) * 2.0 ** rng.integers(-20, 0, n)
    x = np.concatenate([bits[np.isfinite(bits)], rng.uniform(case.low, case.high, n), small, near, rng.normal(size=n)])
    with np.errstate(all="ignore"):
        x = x.astype(dtype)
        x = x[np.isfinite(x) & (x >= dtype(case.reach[0])) & (x <= dtype(case.reach[1]))]
    rng.shuffle(x)
    return x[: 4 * n]


def worst(name: str, dtype: Any, n: int, seed: int) -> float:
    x = sample(CASES[name], dtype, n, seed)
    with np.errstate(all="ignore"):
        return float(errors(run(name, x), by_mpmath(CASES[name].exact, x)).max())


@pytest.mark.skipif(WIDE is None, reason="long double is f64 here")
@EACH_TARGET
@EACH_CASE
def test_errors_and_special_values(name, target):
    with use_target(target):
        for dtype, limit in zip((np.float32, np.float64), limits(name), strict=True):
            assert worst(name, dtype, 60, 0) <= limit
            tiny = {TINY: 2.0**-149, -TINY: -(2.0**-149), 1e300: 1e38, -1e300: -1e38} if dtype == np.float32 else {}
            x, want = (np.array([tiny.get(v, v) for v in c], dtype) for c in zip(*CASES[name].special, strict=True))
            found = run(name, x)
            same = (found == want) & (np.signbit(found) == np.signbit(want)) | np.isnan(found) & np.isnan(want)
            assert same.all(), [row for row in zip(x, found, want, same, strict=True) if not row[3]]


@pytest.mark.nightly
@pytest.mark.skipif(WIDE is None, reason="long double is f64 here")
@EACH_CASE
def test_errors_on_many(name):
    for seed in range(8):
        for dtype, limit in zip((np.float32, np.float64), limits(name), strict=True):
            assert worst(name, dtype, 4000, seed + 1) <= limit


@pytest.mark.skipif(WIDE is None, reason="long double is f64 here")
def test_where_terms_cancel():
    """lgamma right above its zero at 2; erfc where the errors of its factors add up."""
    for name, x in (("lgamma", [2.035854858201981, 2.000066155448652, 2.5]), ("erfc", [1.89731491497169, 0.82542389])):
        values = np.array(x)
        assert errors(run(name, values), by_mpmath(CASES[name].exact, values)).max() <= limits(name)[1]


@pytest.mark.skipif(WIDE is None, reason="long double is f64 here")
@EACH_TARGET
def test_atan2(target):
    rng = np.random.default_rng(3)
    far = 2.0 ** rng.integers(-30, 30, 200)
    values = [0.0, 1.0, 1e-30, 1e30, INF, NAN]
    values += [-v for v in values]
    pairs = [(a, b) for a in values for b in values]
    with use_target(target):
        for dtype, limit in zip((np.float32, np.float64), limits("atan2"), strict=True):
            y, x = (np.concatenate([rng.normal(size=200), rng.normal(size=200) * far]).astype(dtype) for _ in "yx")
            assert errors(run("atan2", y, x), by_mpmath(mp.atan2, y, x)).max() <= limit
            y, x = (np.array(c, dtype) for c in zip(*pairs, strict=True))
            for a, b, c in zip(y, x, run("atan2", y, x), strict=True):
                want = libm.atan2(a, b)
                if dtype == np.float32 and 0 < abs(want) < 1e-44:
                    continue
                assert np.isnan(c) if want != want else libm.isclose(c, want, rel_tol=1e-6), (a, b, c)
                assert np.isnan(c) or np.signbit(c) == np.signbit(want)


@pytest.mark.skipif(WIDE is None, reason="long double is f64 here")
def test_gamma_below_zero():
    x = np.random.default_rng(4).uniform(-175, 0, 500)
    assert errors(run("gamma", x), by_mpmath(mp.gamma, x)).max() <= limits("gamma")[1]
    with mp.workprec(100):
        larger = [max(abs(float(mp.log(mp.pi / abs(v * mp.sinpi(v))))), libm.lgamma(-v)) for v in map(mp.mpf, x)]
        true = [float(mp.re(mp.loggamma(mp.mpf(v)))) for v in x]
    for a, b, size in zip(run("lgamma", x), true, larger, strict=True):
        assert abs(a - b) <= limits("lgamma")[1] * libm.ulp(size)
