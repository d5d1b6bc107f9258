"""Algorithms over whole arrays against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood import Array, CompileError, fn
from sapwood.gpu.algorithms import elementwise, histogram, reduce, scan, sort

SIZES = (0, 1, 2, 255, 256, 257, 1025, 70_001)


@fn
def smaller(a, b):
    return min(a, b)


def numbers(n, dtype=np.float32, seed=0):
    rng = np.random.default_rng([n, seed])
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal(n).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, n, dtype, endpoint=True)


@pytest.mark.parametrize("n", SIZES)
def test_elementwise(n):
    x, y, out = numbers(n), numbers(n, seed=1), np.full(n, np.nan, np.float32)
    elementwise(lambda a, b, c: a * b + c, out, x, y, 2.0)
    np.testing.assert_allclose(out, x * y + np.float32(2), rtol=1e-6)
    elementwise(lambda a: a + 1, out, out)
    np.testing.assert_allclose(out, x * y + np.float32(3), rtol=1e-6, atol=1e-6)


def test_elementwise_on_views_of_three_axes():
    x, out = numbers(7 * 5 * 12).reshape(7, 5, 12), np.full((12, 7, 5), -1, np.int64)
    elementwise(lambda a: int(a * 10), out, x.transpose(2, 0, 1))
    np.testing.assert_array_equal(out, (x.astype(np.float32) * 10).astype(np.int64).transpose(2, 0, 1))
    rows = np.zeros((6, 9), np.float32)
    elementwise(lambda: 1.0, rows[::2, 1::3])
    assert rows.sum() == 9 and rows[::2, 1::3].all()


def test_elementwise_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"input 1 has shape \(4,\), out has \(3,\)"):
        elementwise(lambda a, b: a + b, np.zeros(3), np.zeros(3), np.zeros(4))
    with pytest.raises(CompileError):
        elementwise(lambda a, b: a + b, np.zeros(3), np.zeros(3))


@pytest.mark.parametrize("n", SIZES)
def test_reduce(n):
    x, whole = numbers(n), numbers(n, np.int32)
    if n == 0:
        with pytest.raises(ValueError, match="empty"):
            reduce(smaller, x)
        assert reduce(smaller, x, 5.0) == 5.0
        return
    total = reduce(lambda a, b: a + b, x, dtype="f64")
    assert isinstance(total, float) and np.isclose(total, x.astype(np.float64).sum(), rtol=1e-12, atol=1e-12)
    assert reduce(smaller, x) == x.min() and reduce(smaller, x, -9.0) == -9.0
    assert reduce(lambda a, b: a ^ b, whole) == np.bitwise_xor.reduce(whole)
    assert reduce(lambda a, b: a + b, x) == reduce(lambda a, b: a + b, x)
    assert reduce(smaller, x.reshape(-1, 1).T) == x.min()


def test_reduce_in_a_dtype_that_numpy_has_not():
    assert reduce(lambda a, b: a + b, np.array([256, 1], np.float32), dtype="bf16") == 256  # 257 has nine bits


@pytest.mark.parametrize("n", SIZES)
def test_scan(n):
    x = numbers(n, np.int32)
    out = np.full(n, -77, np.int64)
    scan(lambda a, b: a + b, out, x)
    np.testing.assert_array_equal(out, np.cumsum(x.astype(np.int64)))
    scan(lambda a, b: a + b, out, x, 5, exclusive=True)
    np.testing.assert_array_equal(out, np.cumsum(x.astype(np.int64)) - x + 5)
    scan(lambda a, b: a + b, out, x, 5)
    np.testing.assert_array_equal(out, np.cumsum(x.astype(np.int64)) + 5)
    scan(lambda a, b: max(a, b), x, x)  # in place
    np.testing.assert_array_equal(x, np.maximum.accumulate(numbers(n, np.int32)))


@fn(inline=True)
def last(a, b):
    """Associative, and not commutative: the later one that is not 0."""
    return b if b != 0 else a


def test_scan_keeps_the_order():
    x = numbers(3000, np.int64) * (np.random.default_rng(1).random(3000) < 0.01)
    out = np.zeros_like(x)
    scan(last, out, x)
    at = np.maximum.accumulate(np.where(x != 0, np.arange(3000), 0))
    np.testing.assert_array_equal(out, x[at])


def test_scan_refuses():
    with pytest.raises(ValueError, match="needs init"):
        scan(smaller, np.zeros(3), np.zeros(3), exclusive=True)
    with pytest.raises(ValueError, match="same size"):
        scan(smaller, np.zeros(3), np.zeros(4))


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.uint64, np.float32, np.float64])
@pytest.mark.parametrize("n", [0, 1, 2, 1023, 1025, 5000])
def test_sort(n, dtype):
    x = numbers(n, dtype)
    x[::7] = x[:1].repeat(len(x[::7]))  # equal ones
    expected, order = np.sort(x), np.argsort(x, kind="stable")
    index = np.arange(n)
    sort(x, index)
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(index, order)


@given(st.lists(st.floats(width=32), max_size=40))
def test_sort_of_any_floats(values):
    x = np.array(values, np.float32)
    expected = np.sort(x)
    sort(x)
    np.testing.assert_array_equal(x, expected)


def test_sort_refuses():
    with pytest.raises(TypeError, match="32 or 64 bits, not int16"):
        sort(np.zeros(3, np.int16))
    with pytest.raises(ValueError, match="one axis"):
        sort(np.zeros((3, 3)))


@pytest.mark.parametrize("bins", [1, 10, 5000])
@pytest.mark.parametrize("n", [0, 1, 1000, 30_000])
def test_histogram(n, bins):
    x = numbers(n)
    x[: n // 10] = np.round(x[: n // 10], 1)
    out = np.zeros(bins, np.int64)
    histogram(out, x, -1.0, 1.5)
    np.testing.assert_array_equal(out, np.histogram(x.astype(np.float64), bins, (-1.0, 1.5))[0])
    whole = np.random.default_rng(n).integers(-3, bins + 3, n, np.int32)
    counts = np.ones(bins, np.int32)
    histogram(counts, whole)
    np.testing.assert_array_equal(counts, np.bincount(whole[(whole >= 0) & (whole < bins)], minlength=bins) + 1)


def test_histogram_refuses():
    with pytest.raises(ValueError, match="no range"):
        histogram(np.zeros(3, np.int32), np.zeros(3), 2.0, 1.0)
    with pytest.raises(ValueError, match="no range"):
        histogram(np.zeros(3, np.int32), np.zeros(3), 2.0)


def test_arrays_of_ours():
    x = Array.zeros(300, "f32")
    elementwise(lambda: 2.0, x)
    assert reduce(lambda a, b: a + b, x) == 600.0
