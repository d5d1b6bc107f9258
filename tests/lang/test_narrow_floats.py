"""bf16 and f16 conversions, exhaustively where 16 bits allow it, at several feature levels."""

from __future__ import annotations

import numpy as np
import pytest

from sapwood import SIMD, Array, Tensor, bf16, f16, f32, f64, fn, u16, u32, u64
from sapwood.lang.loading.current_target import use_target
from sapwood.lang.ops.convert import bitcast
from sapwood.targets.x86 import level, make

LEVELS = ("sse2", "avx2", "amx")


@fn(unchecked=True)
def widen(x: Tensor[u16, 1], h: Tensor[u32, 1], b: Tensor[u32, 1], hv: Tensor[u32, 1], bv: Tensor[u32, 1]) -> None:
    for i in range(x.shape[0]):
        h[i] = bitcast(f32(bitcast(x[i], f16)), u32)
        b[i] = bitcast(f32(bitcast(x[i], bf16)), u32)
    for i in range(0, x.shape[0], 8):
        v = x.load(i, width=8)
        hv.store(i, bitcast(bitcast(v, f16).cast(f32), u32))
        bv.store(i, bitcast(bitcast(v, bf16).cast(f32), u32))


@fn(unchecked=True)
def round32(x: Tensor[f32, 1], h: Tensor[u16, 1], b: Tensor[u16, 1], hv: Tensor[u16, 1], bv: Tensor[u16, 1]) -> None:
    for i in range(x.shape[0]):
        h[i] = bitcast(f16(x[i]), u16)
        b[i] = bitcast(bf16(x[i]), u16)
    for i in range(0, x.shape[0], 8):
        v = x.load(i, width=8)
        hv.store(i, bitcast(v.cast(f16), u16))
        bv.store(i, bitcast(v.cast(bf16), u16))


@fn(unchecked=True)
def round64(x: Tensor[f64, 1], h: Tensor[u16, 1], b: Tensor[u16, 1]) -> None:
    for i in range(x.shape[0]):
        h[i] = bitcast(f16(x[i]), u16)
        b[i] = bitcast(bf16(x[i]), u16)


def canonical(bits: np.ndarray, exponent: int) -> np.ndarray:
    """Every nan as one."""
    mask = np.array(exponent, bits.dtype)
    nan = (bits & mask == mask) & (bits & ~mask & ~np.array(1 << (bits.itemsize * 8 - 1), bits.dtype) != 0)
    return np.where(nan, mask | 1, bits)


def bf16_of(x64: np.ndarray) -> np.ndarray:
    """Round f64 to bf16 in integer arithmetic, once: via f32 rounded to odd."""
    with np.errstate(all="ignore"):
        near = x64.astype(np.float32)
    bits = near.view(np.uint32).astype(np.int64)
    back = np.abs(near.astype(np.float64))
    a = np.abs(x64)
    bits = np.where(back > a, bits - 1, bits)
    bits = np.where((back != a) & np.isfinite(a), bits | 1, bits)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(x64), 0x7FC0, rounded).astype(np.uint16)


def samples() -> np.ndarray:
    """Values around every 16-bit value, ties among them, and random bits."""
    every = np.arange(65536, dtype=np.uint32)
    wide = [every << 16, (every << 16) + 0x8000, (every << 16) + 0x7FFF, (every << 16) + 0x8001]
    half = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32).view(np.uint32)
    wide += [half, half + 0x1000, half + 0x0FFF, half + 0x1001]
    wide.append(np.random.default_rng(0).integers(0, 2**32, 65536, np.uint32))
    return np.concatenate(wide).view(np.float32)


@pytest.mark.parametrize("name", LEVELS)
def test_widening_every_value(name):
    x = np.arange(65536, dtype=np.uint16)
    out = [np.zeros(65536, np.uint32) for _ in range(4)]
    with use_target(make(level(name))):
        widen(x, *out)
    with np.errstate(all="ignore"):
        half = x.view(np.float16).astype(np.float32).view(np.uint32)
    brain = x.astype(np.uint32) << 16
    for found, want in zip(out, (half, brain, half, brain), strict=True):
        assert (canonical(found, 0x7F800000) == canonical(want, 0x7F800000)).all()


@pytest.mark.parametrize("name", LEVELS)
def test_rounding_from_f32(name):
    x = samples()
    out = [np.zeros(len(x), np.uint16) for _ in range(4)]
    with use_target(make(level(name))):
        round32(x, *out)
    with np.errstate(all="ignore"):
        half = x.astype(np.float16).view(np.uint16)
        brain = bf16_of(x.astype(np.float64))
    for found, want, e in zip(out, (half, brain) * 2, (0x7C00, 0x7F80) * 2, strict=True):
        assert (canonical(found, e) == canonical(want, e)).all()


@pytest.mark.parametrize("name", LEVELS)
def test_rounding_from_f64_is_not_double_rounding(name):
    x = samples()[:131072].astype(np.float64)
    with np.errstate(all="ignore"):
        x = np.concatenate([x, np.nextafter(x, np.inf), np.nextafter(x, -np.inf), x * (1 + 2**-30)])
    h, b = np.zeros(len(x), np.uint16), np.zeros(len(x), np.uint16)
    with use_target(make(level(name))):
        round64(x, h, b)
    with np.errstate(all="ignore"):
        half, brain = x.astype(np.float16).view(np.uint16), bf16_of(x)
    assert (canonical(h, 0x7C00) == canonical(half, 0x7C00)).all()
    assert (canonical(b, 0x7F80) == canonical(brain, 0x7F80)).all()


@fn
def from_ints(n: int, m: u64) -> tuple[f16, bf16, f16, bf16, f32, f32]:
    return f16(n), bf16(n), f16(m), bf16(m), f32(n), f32(m)


def test_rounding_from_ints():
    rng = np.random.default_rng(1)
    values = [0, 1, 2049, 2051, 65519, 65520, 257, 384 * 2**40 + 1, 2**53 + 2**45 + 1, 2**63 - 1]
    values += [int(v) >> int(s) for v, s in zip(rng.integers(0, 2**63, 200), rng.integers(0, 60, 200), strict=True)]
    for name in LEVELS:
        with use_target(make(level(name))):
            for v in values:
                assert from_ints(-v, v) == from_ints.reference(-v, v), (name, v)


@fn
def through_vectors(x: Tensor[f32, 1], y: Tensor[bf16, 1]) -> None:
    y.store(0, SIMD[bf16, 4](x.load(0, width=4)))


def test_a_store_rounds_as_array_does():
    x = np.array([0.1, 1.00390625, 3.4e38, -1e-40], np.float32)
    y, z = Array.zeros(4, "bf16"), Array.zeros(4, "bf16")
    through_vectors(x, y)
    for i, v in enumerate(x):
        z[i] = float(v)
    assert y.tolist() == z.tolist()
