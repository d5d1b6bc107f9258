"""The math functions: errors in ulp, special values, vectors lane by lane, every feature level."""

from __future__ import annotations

import math as libm
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import mpmath as mp
import numpy as np
import pytest
from oracles import agree
from ulp import WIDE, by_mpmath, errors

from sapwood import Array, Const, Tensor, bf16, f16, f32, f64, fn, i64, unroll
from sapwood.lang.library import math
from sapwood.lang.loading.current_target import use_target
from sapwood.lang.ops.simd import iota
from sapwood.targets.x86 import LEVELS, level, make

TARGETS = {t.key: (name, t) for name in LEVELS for t in [make(level(name))]}  # the different ones of this machine
ENDS = [*TARGETS.values()][:: max(len(TARGETS) - 1, 1)]  # those between them are for the nightly run
EACH_TARGET = pytest.mark.parametrize(
    "target",
    [
        pytest.param(t, id=n, marks=() if (n, t) in ENDS else pytest.mark.nightly)
        for n, t in TARGETS.values()
    ],
)
T = TypeVar("T")
INF, NAN = libm.inf, libm.nan


# -- what runs -----------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def fresh_maps(request, monkeypatch):
    """All functions on many values, in one process, are more than one function may be compiled for."""
    if request.node.get_closest_marker("nightly"):
        for name in ("map32", "map64"):
            monkeypatch.setitem(globals(), name, fn(unchecked=True)(globals()[name].__wrapped__))


@fn(unchecked=True)
def map32(f: Callable[..., Any], x: Tensor[f32, 1], y: Tensor[f32, 1]) -> None:
    """y = f(x) in vectors of 8; the length is a multiple of 8."""
    for i in range(0, x.shape[0], 8):
        y.store(i, f(x.load(i, width=8)))


@fn(unchecked=True)
def map64(f: Callable[..., Any], x: Tensor[f64, 1], y: Tensor[f64, 1]) -> None:
    for i in range(0, x.shape[0], 4):
        y.store(i, f(x.load(i, width=4)))


@fn(unchecked=True)
def zip32(f: Callable[..., Any], x: Tensor[f32, 1], y: Tensor[f32, 1], z: Tensor[f32, 1]) -> None:
    for i in range(0, x.shape[0], 8):
        z.store(i, f(x.load(i, width=8), y.load(i, width=8)))


@fn(unchecked=True)
def zip64(f: Callable[..., Any], x: Tensor[f64, 1], y: Tensor[f64, 1], z: Tensor[f64, 1]) -> None:
    for i in range(0, x.shape[0], 4):
        z.store(i, f(x.load(i, width=4), y.load(i, width=4)))


def run(f: Any, *columns: np.ndarray) -> np.ndarray:
    """f on arrays of any length, in vectors."""
    n, dtype = len(columns[0]), columns[0].dtype
    padded = [np.concatenate([c, np.full(-n % 8, 0.5, dtype)]) for c in columns]
    out = np.empty(len(padded[0]), dtype)
    wide = dtype == np.float64
    if len(columns) == 1:
        (map64 if wide else map32)(f, *padded, out)
    else:
        (zip64 if wide else zip32)(f, *padded, out)
    return out[:n]


# -- errors --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    name: str
    true: Callable[[np.ndarray], np.ndarray]  # in the precision of its argument
    narrow: tuple[float, float] = (-INF, INF)  # where something happens
    domain: tuple[float, float] = (-INF, INF)
    exact: Callable[..., mp.mpf] | None = None  # where NumPy has no wide function that can be trusted


CASES = [
    Case("exp", np.exp, (-750, 715)),
    Case("exp2", np.exp2, (-1080, 1030)),
    Case("expm1", np.expm1, (-45, 715)),
    Case("log", np.log, (0, 4), (0, INF)),
    Case("log2", np.log2, (0, 4), (0, INF)),
    Case("log10", np.log10, (0, 4), (0, INF)),
    Case("log1p", np.log1p, (-1, 4), (-1, INF)),
    Case("sin", np.sin, (-100, 100), exact=mp.sin),
    Case("cos", np.cos, (-100, 100), exact=mp.cos),
    Case("tan", np.tan, (-100, 100), exact=mp.tan),
    Case("tanh", np.tanh, (-20, 20)),
    Case("sigmoid", lambda x: 1 / (1 + np.exp(-x)), (-710, 40)),
    Case("sqrt", np.sqrt, (0, 4), (0, INF)),
    Case("rsqrt", lambda x: 1 / np.sqrt(x), (0, 4), (0, INF)),
    Case("erf", np.vectorize(libm.erf, otypes=[np.float64]), (-6.5, 6.5), exact=mp.erf),
]


def limits(name: str) -> tuple[float, float]:
    """The errors in ulp for f32 and f64 that the docstring states."""
    stated = re.search(r"Error: f32 ([\d.]+),\s+f64\s+([\d.]+)\s+ulp", getattr(math, name).__doc__)
    return (float(stated[1]), float(stated[2])) if stated else (0.5, 0.5)


EACH_CASE = pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])


def every32(step: int, offset: int = 0) -> np.ndarray:
    """Every so many bit patterns of f32."""
    return np.arange(offset, 2**32, step, dtype=np.uint64).astype(np.uint32).view(np.float32)


def sample64(case: Case, n: int, seed: int) -> np.ndarray:
    """Random bits, an even spread where the function changes, and its neighbourhood of 0 and 1."""
    rng = np.random.default_rng(seed)
    low, high = case.narrow
    bits = rng.integers(0, 2**64, n, np.uint64).view(np.float64)
    small = rng.normal(size=n // 2) * 2.0 ** rng.integers(-40, 0, n // 2)
    near_one = 1 + rng.normal(size=n // 2) * 0.05
    return np.concatenate([bits, rng.uniform(low, high, n), small, near_one, rng.normal(size=n) * 3])


def inside(case: Case, x: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return x[np.isfinite(x) & (x >= case.domain[0]) & (x <= case.domain[1])]


def worst32(case: Case, x: np.ndarray) -> float:
    x = inside(case, x)
    with np.errstate(all="ignore"):
        return float(errors(run(getattr(math, case.name), x), case.true(x.astype(np.float64))).max())


def worst64(case: Case, x: np.ndarray) -> float:
    x = inside(case, x)
    with np.errstate(all="ignore"):
        true = case.true(x.astype(WIDE)) if case.exact is None else by_mpmath(case.exact, x)
        return float(errors(run(getattr(math, case.name), x), true).max())


@EACH_TARGET
@EACH_CASE
def test_error_of_f32(case, target):
    with use_target(target):
        assert worst32(case, every32(80021 if case.name == "erf" else 16007)) <= limits(case.name)[0]


@pytest.mark.skipif(WIDE is None, reason="long double is f64 here")
@EACH_TARGET
@EACH_CASE
def test_error_of_f64(case, target):
    with use_target(target):
        assert worst64(case, sample64(case, 20000 if case.exact is None else 400, 0)) <= limits(case.name)[1]


@pytest.mark.nightly
@EACH_CASE
def test_error_of_f32_on_many(case):
    step = 16411 if case.name == "erf" else 211
    for part in range(16):
        assert worst32(case, every32(16 * step, part * step)) <= limits(case.name)[0]


@pytest.mark.nightly
@pytest.mark.skipif(WIDE is None, reason="long double is f64 here")
@EACH_CASE
def test_error_of_f64_on_many(case):
    for seed in range(16):
        assert worst64(case, sample64(case, 200000 if case.exact is None else 4000, seed)) <= limits(case.name)[1]


def powers(dtype: Any, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bases near and far from 1 with exponents that reach from underflow to overflow."""
    rng = np.random.default_rng(seed)
    with np.errstate(over="ignore"):
        x = np.exp(rng.normal(size=n) * np.repeat([1e-6, 0.01, 1, 20], n // 4)).astype(dtype)
    reach = 745 if dtype == np.float64 else 104
    y = (rng.uniform(-1, 1, n) * reach / (np.log(x.astype(np.float64)) + 1e-30)).astype(dtype)
    keep = np.isfinite(x) & np.isfinite(y)
    return x[keep], y[keep]


@pytest.mark.skipif(WIDE is None, reason="long double is f64 here")
@EACH_TARGET
def test_error_of_pow(target):
    for dtype, limit in zip((np.float32, np.float64), limits("pow"), strict=True):
        x, y = powers(dtype, 4000, 1)
        with use_target(target):
            assert errors(run(math.pow, x, y), by_mpmath(mp.power, x, y)).max() <= limit


@pytest.mark.nightly
@pytest.mark.skipif(WIDE is None, reason="long double is f64 here")
def test_error_of_pow_on_many():
    for seed in range(20):
        for dtype, limit in zip((np.float32, np.float64), limits("pow"), strict=True):
            x, y = powers(dtype, 40000, seed)
            assert errors(run(math.pow, x, y), by_mpmath(mp.power, x, y)).max() <= limit


@pytest.mark.skipif(WIDE is None, reason="long double is f64 here")
@EACH_TARGET
def test_error_of_hypot(target):
    rng = np.random.default_rng(2)
    for dtype, reach, limit in zip((np.float32, np.float64), (120, 1000), limits("hypot"), strict=True):
        x = (rng.normal(size=20000) * 2.0 ** rng.integers(-reach, reach, 20000)).astype(dtype)
        y = (x * 2.0 ** rng.normal(size=20000) * 3).astype(dtype)
        with use_target(target), np.errstate(all="ignore"):
            assert errors(run(math.hypot, x, y), np.hypot(x.astype(WIDE), y.astype(WIDE))).max() <= limit


def test_error_of_large_angles():
    """The doubles nearest to multiples of pi / 2 (Kahan), and powers of 2 up to the largest."""
    near = [6381956970095103.0 * 2.0**797, 5319372648326541.0 * 2.0**-37, 6411027962775774.0 * 2.0**-45, 1.25e22]
    x = np.array(near + [2.0**k for k in range(1, 1024, 7)] + [3.0 * 2.0**k for k in range(20, 1000, 9)])
    for name, exact in (("sin", mp.sin), ("cos", mp.cos), ("tan", mp.tan)):
        with mp.workprec(1300):
            true = by_mpmath(lambda v, f=exact: _exactly(f, v), x)
        assert errors(run(getattr(math, name), x), true).max() <= limits(name)[1]
        assert errors(run(getattr(math, name), -x), true if name == "cos" else -true).max() <= limits(name)[1]


def _exactly(f: Callable[..., mp.mpf], v: mp.mpf) -> mp.mpf:
    with mp.workprec(1300):
        return f(v)


@fn(unchecked=True)
def halves(f: Callable[..., Any], x: Tensor[f32, 1], b: Tensor[bf16, 1], h: Tensor[f16, 1]) -> None:
    for i in range(0, x.shape[0], 8):
        v = x.load(i, width=8)
        b.store(i, f(v.cast(bf16)))
        h.store(i, f(v.cast(f16)))


def test_narrow_floats_round_the_f32_result_once():
    x = np.linspace(-9, 9, 512, dtype=np.float32)
    for name in ("exp", "tanh", "sin", "erf", "sigmoid"):
        b, h = Array.zeros(512, "bf16"), Array.zeros(512, "f16")
        halves(getattr(math, name), x, b, h)
        for out, wide in ((b, Array.zeros(512, "bf16")), (h, Array.zeros(512, "f16"))):
            for i, v in enumerate(x):
                wide[i] = float(v)
            rounded = run(getattr(math, name), np.array(wide.tolist(), np.float32))
            for i, v in enumerate(rounded):
                wide[i] = float(v)
            assert out.tolist() == wide.tolist(), name


# -- special values ------------------------------------------------------------------------------------

TINY = 5e-324
# function: (argument, value)
SPECIAL = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (1e300, INF), (-1e300, 0.0), (TINY, 1.0), (NAN, NAN)],
    "exp2": [
        (0.0, 1.0), (10.0, 1024.0), (-3.0, 0.125), (INF, INF), (-INF, 0.0), (1e300, INF),
        (-1e300, 0.0), (NAN, NAN),
    ],
    "expm1": [
        (0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (-1e300, -1.0), (1e300, INF),
        (TINY, TINY), (-TINY, -TINY), (NAN, NAN),
    ],
    "log": [(0.0, -INF), (-0.0, -INF), (1.0, 0.0), (INF, INF), (-1.0, NAN), (-INF, NAN), (-TINY, NAN), (NAN, NAN)],
    "log2": [
        (0.0, -INF), (-0.0, -INF), (1.0, 0.0), (8.0, 3.0), (0.25, -2.0), (INF, INF), (-1.0, NAN),
        (-INF, NAN), (NAN, NAN),
    ],
    "log10": [
        (0.0, -INF), (-0.0, -INF), (1.0, 0.0), (1000.0, 3.0), (1e10, 10.0), (INF, INF), (-1.0, NAN),
        (-INF, NAN), (NAN, NAN),
    ],
    "log1p": [
        (0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (INF, INF), (-2.0, NAN), (-INF, NAN), (TINY, TINY),
        (-TINY, -TINY), (NAN, NAN),
    ],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (TINY, TINY), (-TINY, -TINY), (NAN, NAN)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN), (TINY, 1.0), (NAN, NAN)],
    "tan": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (TINY, TINY), (-TINY, -TINY), (NAN, NAN)],
    "tanh": [
        (0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (1e300, 1.0), (TINY, TINY), (-TINY, -TINY),
        (NAN, NAN),
    ],
    "sigmoid": [(0.0, 0.5), (-0.0, 0.5), (INF, 1.0), (-INF, 0.0), (1e300, 1.0), (-1e300, 0.0), (NAN, NAN)],
    "sqrt": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, NAN), (-1.0, NAN), (9.0, 3.0), (NAN, NAN)],
    "rsqrt": [(0.0, INF), (-0.0, -INF), (INF, 0.0), (-INF, NAN), (-1.0, NAN), (4.0, 0.5), (NAN, NAN)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (1e300, 1.0), (-1e300, -1.0), (NAN, NAN)],
}


@EACH_TARGET
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(name, target):
    assert set(SPECIAL) == {c.name for c in CASES}
    for dtype in (np.float32, np.float64):
        tiny, big = (2.0**-149, 1e38) if dtype == np.float32 else (TINY, 1e300)
        fit = {TINY: tiny, -TINY: -tiny, 1e300: big, -1e300: -big}
        x = np.array([fit.get(v, v) for v, _ in SPECIAL[name]], dtype)
        want = np.array([fit.get(v, v) for _, v in SPECIAL[name]], dtype)
        with use_target(target):
            found = run(getattr(math, name), x)
        same = (found == want) & (np.signbit(found) == np.signbit(want)) | np.isnan(found) & np.isnan(want)
        assert same.all(), [(a, b, c) for a, b, c, ok in zip(x, found, want, same, strict=True) if not ok]


def c99_pow(x: float, y: float) -> float | None:
    """pow where C99 F.9.4.4 fixes the value; None elsewhere."""
    odd = libm.isfinite(y) and y == libm.trunc(y) and libm.fmod(y, 2.0) != 0
    if x == 1 or y == 0:
        return 1.0
    if x != x or y != y:
        return NAN
    if libm.isinf(y):
        return 1.0 if x == -1 else INF if (abs(x) > 1) == (y > 0) else 0.0
    if x == 0 or libm.isinf(x):
        size = INF if (x == 0) == (y < 0) else 0.0
        return libm.copysign(size, x) if odd else size
    if x < 0 and y != libm.trunc(y):
        return NAN
    return None


@EACH_TARGET
def test_special_values_of_pow(target):
    values = [0.0, 1.0, 2.0, 3.0, 0.5, 1.5, INF, NAN, 1e-30, 1e30, 2.0**24 + 2, 2.0**53 + 2, 2.0**53 - 1, 1 + 2.0**-20]
    values += [-v for v in values]
    pairs = [(x, y, c99_pow(x, y)) for x in values for y in values]
    for dtype in (np.float32, np.float64):
        fixed = [p for p in pairs if p[2] is not None and all(v != v or float(dtype(v)) == v for v in p[:2])]
        x, y, want = (np.array(c, dtype) for c in zip(*fixed, strict=True))
        with use_target(target):
            found = run(math.pow, x, y)
        same = (found == want) & (np.signbit(found) == np.signbit(want)) | np.isnan(found) & np.isnan(want)
        assert same.all(), [(a, b, c, d) for a, b, c, d, ok in zip(x, y, found, want, same, strict=True) if not ok]


# -- vectors, lane by lane -------------------------------------------------------------------------------


@fn(unchecked=True, inline=True)
def each(x: Any) -> Any:
    """Every function at once."""
    return (
        math.exp(x), math.exp2(x), math.expm1(x), math.log(x), math.log2(x), math.log10(x), math.log1p(x),
        math.sin(x), math.cos(x), math.tan(x), math.tanh(x), math.sigmoid(x), math.sqrt(x), math.rsqrt(x),
        math.erf(x), math.pow(x, 1.7), math.hypot(x, 2.0), math.fmod(x, 0.7),
    )  # fmt: skip


@fn(unchecked=True)
def one_by_one(x: Tensor[T, 1], y: Tensor[T, 2]) -> None:
    for i in range(x.shape[0]):
        values = each(x[i])
        for k in unroll(range(18)):
            y[k, i] = values[k]


@fn(unchecked=True)
def masked(x: Tensor[T, 1], y: Tensor[T, 2], n: int, width: Const[int]) -> None:
    """y[k, :n] = f_k(x[:n]) in vectors of some width, the last one with a mask."""
    lanes = iota(i64, width)
    for i in range(0, n, width):
        mask = lanes < n - i
        values = each(x.load(i, width=width, mask=mask))
        for k in unroll(range(18)):
            y.store(k, i, values[k], mask=mask)


def awkward(dtype: Any) -> np.ndarray:
    """Ordinary numbers with large angles, subnormals and specials between them."""
    x = np.random.default_rng(3).normal(size=93) * 3
    x[::7] = 1e30
    x[3::11] = 2.0**-149
    x[5::13] = [INF, -INF, NAN, 0.0, -0.0, 1e38, -1e38][: len(x[5::13])]
    return x.astype(dtype)


def hold_lanes_to_scalars(width: int, dtype: Any) -> None:
    x = awkward(dtype)
    n = len(x)
    room = np.concatenate([x, np.full(32, NAN, dtype)])  # poison behind the end
    one, many = np.full((18, n), 7.0, dtype), np.full((18, n + 32), 7.0, dtype)
    one_by_one(x, one)
    masked(room, many, n, width)
    nan = np.isnan(one)
    assert (np.isnan(many[:, :n]) == nan).all()
    different = ~nan & (many[:, :n].view(np.uint8).reshape(18, n, -1) != one.view(np.uint8).reshape(18, n, -1)).any(2)
    assert not different.any(), np.argwhere(different)
    assert (many[:, n:] == 7.0).all()


@EACH_TARGET
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lanes_get_the_bits_of_scalars_and_tails_stay(dtype, target):
    with use_target(target):
        hold_lanes_to_scalars(8 if dtype == np.float32 else 4, dtype)


@pytest.mark.nightly
@EACH_TARGET
@pytest.mark.parametrize("width", [1, 2, 4, 8, 16])
def test_lanes_at_every_width(width, target):
    with use_target(target):
        hold_lanes_to_scalars(width, np.float32)
        hold_lanes_to_scalars(width, np.float64)


# -- the oracles -----------------------------------------------------------------------------------------


@fn(unchecked=True)
def scalar64(x: float) -> Any:
    return each(x)


@fn(unchecked=True)
def scalar32(x: f32) -> Any:
    return each(x)


@pytest.mark.parametrize("x", [0.3, 1.0, 2.5, 123.4, 1e25, 0.0, -0.0, -1.0, INF, NAN])
def test_compiled_python_and_evaluator_agree(x):
    agree(scalar64, x)
    agree(scalar32, float(np.float32(x)))


def test_evaluator_agrees_on_vectors():
    for dtype, mapped in ((np.float32, map32), (np.float64, map64)):
        x = awkward(dtype)[:16].copy()
        for name in SPECIAL:
            f = getattr(math, name)
            found, want = np.zeros(16, dtype), np.zeros(16, dtype)
            mapped(f, x, found)
            mapped.reference(f, x, want)
            assert np.array_equal(found, want, equal_nan=True), name
            assert (np.signbit(found) == np.signbit(want))[~np.isnan(found)].all(), name


@fn
def literals() -> tuple[float, float, f32, f32]:
    return math.exp(1.0), math.pow(2.0, 0.5), math.sqrt(f32(2.0)), math.pow(f32(2.0), 3.0)


def test_literals():
    assert agree(literals) == (libm.e, 2**0.5, float(np.sqrt(np.float32(2))), 8.0)
