"""linear: values against float64, the bits of rows, bounds, fused operands."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pytest
from kernel_data import array, normal, poisoned, rounded

import sapwood
from sapwood import Tensor, f32, fn
from sapwood.kernels.linear import linear, scratch_elements
from sapwood.kernels.operands import NormRows, Rows

T = TypeVar("T")
ROWS = (1, 2, 7, 16, 33, 512)


@fn(unchecked=True)
def plain(x: Tensor[f32, 2], w: Tensor[T, 2], out: Tensor[f32, 2], scratch: Tensor[f32, 1]) -> None:
    m, k = x.shape
    n = w.shape[0]
    wp, op = w.ptr, out.ptr

    def rows(p):
        return (wp + p * k,)

    def store(r, c, v):
        op[r * n + c] += v  # twice for one output would show

    linear(Rows(x.ptr, k), scratch.ptr, rows, store, m, n, k, 1)


@fn(unchecked=True)
def gated(
    x: Tensor[f32, 2], norm: Tensor[f32, 1], gate: Tensor[T, 2], up: Tensor[T, 2], out: Tensor[f32, 2],
    scratch: Tensor[f32, 1],
) -> None:
    """Pairs of columns, a norm fused in front, arithmetic behind."""
    m, k = x.shape
    n = gate.shape[0]
    gp, up_, op = gate.ptr, up.ptr, out.ptr

    def rows(p):
        return gp + p * k, up_ + p * k

    def store(r, c, v, w):
        op[r * n + c] = v * 2.0 + w

    linear(NormRows(x.ptr, k, norm.ptr, k, f32(1e-5)), scratch.ptr, rows, store, m, n, k, 2)


def run_plain(x, w):
    out = np.zeros((x.shape[0], w.shape[0]), np.float32)
    plain(x, w, out, poisoned(scratch_elements(*x.shape)))
    return out


def tolerance(x: np.ndarray, w: np.ndarray, dtype: str, target) -> np.ndarray:
    """Rounding of f32 sums, and of x to bf16 where the products take bf16."""
    size = np.abs(x).astype(np.float64) @ np.abs(w.T).astype(np.float64)
    narrow = dtype == "bf16" and (target.has("avx512bf16") or target.has("amx-bf16"))
    return size * (2.0**-8 if narrow else 2.0**-20) + 1e-30


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_values(dtype, target):
    for m in (1, 2, 3, 4, 7, 25, 100):
        for n, k in ((1, 1), (3, 2), (5, 17), (31, 64), (66, 515), (4, 1200)):
            x, w = normal(m, m, k), rounded(normal(n * k, n, k), dtype)
            found = run_plain(x, array(w, dtype))
            error = np.abs(found - x.astype(np.float64) @ w.T.astype(np.float64))
            assert (error <= tolerance(x, w, dtype, target)).all(), (m, n, k)


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_pairs_and_fused_operands(dtype, target):
    for m in (1, 3, 5, 30):
        for n, k in ((1, 3), (7, 40), (37, 530)):
            x, norm = normal(m, m, k), normal(1, k)
            gate, up = (rounded(normal(s, n, k), dtype) for s in (2, 3))
            out = poisoned(m, n)
            gated(x, norm, array(gate, dtype), array(up, dtype), out, poisoned(scratch_elements(m, k)))
            wide = x.astype(np.float64)
            h = wide / np.sqrt((wide**2).mean(1, keepdims=True) + 1e-5) * norm
            want = 2 * (h @ gate.T.astype(np.float64)) + h @ up.T.astype(np.float64)
            limit = 3 * tolerance(h, gate, dtype, target) + 3 * tolerance(h, up, dtype, target)
            assert (np.abs(out - want) <= limit).all(), (m, n, k)


def test_nothing_to_do():
    for m, n, k in ((0, 5, 8), (3, 0, 8), (1, 0, 8)):
        run_plain(np.zeros((m, k), np.float32), np.zeros((n, k), np.float32))
    assert (run_plain(np.zeros((2, 0), np.float32), np.zeros((3, 0), np.float32)) == 0).all()


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_rows_have_the_same_bits(dtype, target):
    """Whatever rows stand beside it, on any number of threads, a row gets the same bits."""
    for n, k in ((70, 1100), (9, 70)):
        x, w = normal(4, max(ROWS), k), array(rounded(normal(5, n, k), dtype), dtype)
        results = []
        for count in (1, 2):
            old = sapwood.set_num_threads(count)
            results += [run_plain(x[:m], w) for m in ROWS]
            results.append(np.concatenate([run_plain(x[i : i + 1], w) for i in range(40)]))
            results.append(np.concatenate([run_plain(x[i : i + 5], w) for i in range(0, 40, 5)]))
            sapwood.set_num_threads(old)
        for r in results:
            assert (r.view(np.uint32) == results[5][: len(r)].view(np.uint32)).all()


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_nothing_is_touched_outside(dtype):
    """The evaluator knows where every array ends."""
    for m, n, k in ((1, 3, 5), (2, 2, 17), (4, 5, 19), (26, 2, 3)):
        x, w = normal(6, m, k), rounded(normal(7, n, k), dtype)
        out = np.zeros((m, n), np.float32)
        plain.reference(x, array(w, dtype), out, poisoned(scratch_elements(m, k)))
        assert (out.view(np.uint32) == run_plain(x, array(w, dtype)).view(np.uint32)).all()
