"""RMSNorm, SiLU gate, softmax, embedding, RoPE: against plain formulas in float64."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pytest
from kernel_data import array, normal, poisoned, rounded

import sapwood
from sapwood import Tensor, f32, fn, i32
from sapwood.kernels import rowwise
from sapwood.kernels.embedding import embedding
from sapwood.kernels.rope import fill_rope_tables, rotate

T = TypeVar("T")
SHAPES = [(1, 1), (3, 7), (5, 64), (2, 1031), (40, 20), (0, 8)]


@fn(unchecked=True)
def rms_norm(x: Tensor[f32, 2], weight: Tensor[T, 1], out: Tensor[f32, 2], eps: f32) -> None:
    rowwise.rms_norm(x.ptr, weight.ptr, out.ptr, x.shape[0], x.shape[1], eps)


@fn(unchecked=True)
def silu_gate(gate: Tensor[f32, 2], up: Tensor[f32, 2], out: Tensor[f32, 2]) -> None:
    rowwise.silu_gate(gate.ptr, up.ptr, out.ptr, gate.shape[0], gate.shape[1])


@fn(unchecked=True)
def softmax(x: Tensor[f32, 2], out: Tensor[f32, 2], temperature: f32) -> None:
    rowwise.softmax(x.ptr, out.ptr, x.shape[0], x.shape[1], temperature)


def every_way(call, *arguments):
    """The output (the second to last array of NaN is filled) compiled with 1 and 2 threads and evaluated: equal."""
    results = []
    for run, count in ((call, 1), (call, 2), (call.reference, 1)):
        old = sapwood.set_num_threads(count)
        out = poisoned(*arguments[0].shape)
        run(*(out if a is None else a for a in arguments))
        sapwood.set_num_threads(old)
        results.append(out)
    for r in results:
        assert (r.view(np.uint32) == results[0].view(np.uint32)).all()
    return results[0]


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_rms_norm(dtype, target):
    for rows, width in SHAPES:
        x, weight = normal(1, rows, width), rounded(normal(2, width), dtype)
        found = every_way(rms_norm, x, array(weight, dtype), None, 1e-5)
        wide = x.astype(np.float64)
        want = wide / np.sqrt((wide**2).mean(1, keepdims=True) + 1e-5) * weight
        assert np.abs(found - want).max(initial=0) <= 1e-6 * max(1, np.abs(want).max(initial=0))
        if rows > 1:
            assert (every_way(rms_norm, x[1:2], array(weight, dtype), None, 1e-5) == found[1:2]).all()


def test_silu_gate(target):
    for rows, width in SHAPES:
        gate, up = 6 * normal(3, rows, width), normal(4, rows, width)
        found = every_way(silu_gate, gate, up, None)
        wide = gate.astype(np.float64)
        want = wide / (1 + np.exp(-wide)) * up
        assert (np.abs(found - want) <= 1e-6 * np.abs(want) + 1e-30).all()
    ends = np.array([[-1e30, -200, -0.0, 0, 200, 1e30]], np.float32)
    assert every_way(silu_gate, ends, np.ones_like(ends), None).tolist() == [[0, 0, 0, 0, 200, ends[0, 5]]]


def test_softmax(target):
    for rows, width in SHAPES:
        for temperature in (1.0, 0.3, 50.0):
            x = 4 * normal(5, rows, width)
            found = every_way(softmax, x, None, temperature)
            wide = x.astype(np.float64) / np.float32(temperature)
            want = np.exp(wide - wide.max(1, keepdims=True, initial=-np.inf))
            want = want / want.sum(1, keepdims=True)
            slack = 2.0**-22 * (4 - np.log(want / want.max(1, keepdims=True, initial=0)))
            assert (np.abs(found - want) <= slack * want + 1e-30).all()
    x = np.array([[-np.inf, 1, 1, -np.inf]], np.float32)
    softmax(x, x, 1.0)  # in place
    assert x.tolist() == [[0, 0.5, 0.5, 0]]


@fn(unchecked=True)
def embed(ids: Tensor[i32, 1], table: Tensor[T, 2], out: Tensor[f32, 2]) -> None:
    embedding(ids.ptr, table.ptr, out.ptr, ids.shape[0], table.shape[1])


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_embedding(dtype, target):
    for rows, width in SHAPES:
        table = rounded(normal(6, 11, width), dtype)
        ids = np.random.default_rng(7).integers(0, 11, rows).astype(np.int32)
        out = poisoned(rows, width)
        embed(ids, array(table, dtype), out)
        assert (out == table[ids]).all()


@fn(unchecked=True)
def tables(
    cosines: Tensor[f32, 2], sines: Tensor[f32, 2], theta: float, kind: int, factor: float, low: float, high: float,
    original: float,
) -> None:
    positions, half = cosines.shape
    fill_rope_tables(cosines.ptr, sines.ptr, positions, 2 * half, theta, kind, factor, low, high, original)


def frequencies(head_dim, theta, kind, factor, low, high, original):
    """Llama's formulas, one frequency at a time."""
    for d in range(0, head_dim, 2):
        f = 1 / theta ** (d / head_dim)
        if kind == 1:
            f /= factor
        if kind == 2:
            wavelength = 2 * np.pi / f
            if wavelength > original / low:
                f /= factor
            elif wavelength >= original / high:
                smooth = (original / wavelength - low) / (high - low)
                f = (1 - smooth) * f / factor + smooth * f
        yield f


@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("head_dim, theta", [(64, 500000.0), (128, 10000.0), (6, 10000.0)])
def test_rope_tables(head_dim, theta, kind, target):
    rest = (kind, 8.0, 1.0, 4.0, 8192.0)
    c, s = poisoned(300, head_dim // 2), poisoned(300, head_dim // 2)
    tables(c, s, theta, *rest)
    f = np.array(list(frequencies(head_dim, theta, *rest)))
    angle = np.arange(300)[:, None] * f
    slack = 300 * f * 2.0**-23 + 1e-7  # angles are formed in f32
    assert (np.abs(c - np.cos(angle)) <= slack).all() and (np.abs(s - np.sin(angle)) <= slack).all()


@fn
def turned(a: f32, b: f32, c: f32, s: f32) -> tuple[f32, f32]:
    return rotate(a, b, c, s)


def test_rotate():
    for angle in (0.0, 0.5, 2.0):
        a, b = turned(3.0, -1.0, np.cos(angle), np.sin(angle))
        want = complex(3, -1) * complex(np.cos(angle), np.sin(angle))
        assert abs(complex(a, b) - want) < 1e-6
