"""SIMD vectors: arithmetic, masks, shuffles, reductions, conversions, at every length."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import agree, same

from sapwood import SIMD, Array, Tensor, bf16, f16, f32, f64, fn, i8, i32, i64, u8, u16, u32
from sapwood.lang.ops.arith import (
    absolute,
    ceil,
    copysign,
    floor,
    fma,
    maximum,
    minimum,
    mul_add,
    round_even,
    select,
    sqrt,
    trunc,
)
from sapwood.lang.ops.convert import bitcast, cast
from sapwood.lang.ops.simd import all_lanes, any_lane, iota, join, shuffle


@fn
def arithmetic(x: Tensor[f32, 1], out: Tensor[f32, 1]) -> None:
    a = x.load(0, width=8)
    b = x.load(8, width=8)
    r = (a + b) * 2 - a / b + minimum(a, b) * maximum(a, b) - absolute(a)
    r = r + sqrt(absolute(b)) + floor(a) - ceil(b) + trunc(a * 3) + round_even(b) + copysign(a, b)
    out.store(0, r + mul_add(a, b, r))


def test_float_arithmetic():
    x = (np.random.default_rng(1).random(16, np.float32) - 0.5) * 9
    agree(arithmetic, x, np.zeros(8, np.float32))


@fn
def masks(x: Tensor[i32, 1], y: Tensor[i32, 1], out: Tensor[i32, 1]) -> tuple[bool, bool]:
    a, b = x.load(0, width=4), y.load(0, width=4)
    m = (a < b) & ~(a == 3) | (b > 100) ^ (a != a)
    out.store(0, select(m, a * 10, -b))
    return any_lane(m), all_lanes(m)


def test_masks():
    rng = np.random.default_rng(2)
    for _ in range(5):
        x, y = (rng.integers(-5, 8, 4, np.int32) for _ in range(2))
        agree(masks, x, y, np.zeros(4, np.int32))
    agree(masks, np.zeros(4, np.int32), np.ones(4, np.int32), np.zeros(4, np.int32))


@fn
def lanes(x: Tensor[f64, 1], i: int) -> tuple[float, float, float, float, float, float, float]:
    v = x.load(0, width=4)
    w = join(shuffle(v, (3, 2)), shuffle(v, (0, 0)))
    s = SIMD[f64, 4](1.0, 2.0, x[0], 4.0)
    return v[i], w[0], w[3], (v * s).reduce_add(), v.reduce_mul(), v.reduce_min(), v.reduce_max()


def test_lanes():
    x = np.array([1.5, -2.0, 8.0, 0.25])
    for i in range(4):
        agree(lanes, x, i)


@fn
def ints(x: Tensor[u8, 1], y: Tensor[i8, 1]) -> tuple[u32, i32, int, u8, int]:
    a, b = x.load(0, width=16), y.load(0, width=16)
    wide = a.cast(u32) * 7
    return (
        wide.reduce_add(),
        (b.cast(i32) // 3 + b.cast(i32) % 5 + (b.cast(i32) >> 2)).reduce_add(),
        (iota(i64, 16) << 3).reduce_max(),
        (a ^ (a >> 1)).reduce_max(),
        int(bitcast(a, u32).reduce_min()),
    )


def test_int_vectors():
    rng = np.random.default_rng(3)
    agree(ints, rng.integers(0, 255, 16, np.uint8), rng.integers(-128, 127, 16, np.int8))


@pytest.mark.parametrize("width", [1, 2, 4, 8, 16, 32, 64])
def test_every_length(width):
    @fn
    def scale(x: Tensor[f32, 1], y: Tensor[f32, 1]) -> f32:
        v = x.load(0, width=width)
        y.store(0, v * 1.5 + 1)
        return v.reduce_add() + v.reduce_max()

    x = np.random.default_rng(4).random(width, np.float32)
    agree(scale, x, np.zeros(width, np.float32))


@fn
def narrow(x: Tensor[bf16, 1], y: Tensor[f16, 1], out: Tensor[f32, 1]) -> None:
    a, b = x.load(0, width=8), y.load(0, width=8)
    s = a * a + a
    t = b * b - b
    out.store(0, s.cast(f32) + t.cast(f32))
    x.store(0, cast(b, bf16))
    y.store(0, select(b < 0.5, b, -b))


def test_narrow_vectors():
    rng = np.random.default_rng(5)
    values = [float(v) for v in rng.standard_normal(8)]
    results = []
    for run in (narrow, narrow.python, narrow.reference):
        x, y, out = Array.zeros(8, "bf16"), Array.zeros(8, "f16"), Array.zeros(8, "f32")
        for i, v in enumerate(values):
            x[i], y[i] = v, v
        run(x, y, out)
        results.append((x.tolist(), y.tolist(), out.tolist()))
    assert same(results[0], results[1]) and same(results[0], results[2])


@fn
def fused(a: f32, b: f32, c: f32, x: float) -> tuple[f32, float]:
    return fma(a, b, c), fma(x, x, -1.0)


def test_fma_rounds_once():
    for a, b, c in ((0.1, 0.2, -0.02), (1e20, 1e20, -1e38), (3.0, 1 / 3, -1.0)):
        agree(fused, a, b, c, 1.0000000001)


@fn
def bits(x: f32, n: u16) -> tuple[i32, f32, f16, bf16, u32]:
    return bitcast(x, i32), bitcast(bitcast(x, i32), f32), bitcast(n, f16), bitcast(n, bf16), x.bitcast(u32)


def test_bitcast():
    for x, n in ((1.5, 0x3C00), (-0.0, 0x8000), (float("inf"), 0x7C00)):
        agree(bits, x, n)
