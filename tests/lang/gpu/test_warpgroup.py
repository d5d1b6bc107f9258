"""Products of warpgroups: where their elements lie in registers and in shared memory, and what they give."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any, TypeVar

import numpy as np
import pytest

from sapwood import Array, Const, Tensor, bf16, config, f16, f32, i8, i32, kernel, u8, unroll
from sapwood.gpu import (
    barrier,
    fence_async,
    load_a,
    load_c,
    shared,
    store_c,
    thread_idx,
    wgmma,
    wgmma_commit_group,
    wgmma_fence,
    wgmma_operand,
    wgmma_unit,
    wgmma_wait_group,
)
from sapwood.lang.library.tile_warpgroup import swizzled as place_of

pytestmark = pytest.mark.sampled(1)  # each case takes seconds to compile

T = TypeVar("T")
S = TypeVar("S")
NUMPY = {f16: np.float16, f32: np.float32, i8: np.int8, u8: np.uint8, i32: np.int32}


def launch(way: str, k: Any, threads: int, *args: Any) -> None:
    target = {"reference": "simt", "reference of sm_90a": "nvptx:sm_90a"}.get(way, way)
    with config.override(SAPWOOD_TARGET=target):
        (k.reference if way.startswith("reference") else k)[1, threads](*args)


@kernel
def product(
    out: Tensor[S, 2], a: Tensor[T, 1], b: Tensor[T, 1], x: Tensor[T, 2], unit: Const[Any], how_a: Const[Any],
    how_b: Const[Any], steps: Const[int],
) -> None:  # fmt: skip
    """Two factors as they lie in memory, byte by byte; `how`: major, swizzle, leading, stride, elements from one step
    along k to the next. x is A where that is in registers."""
    left, right = shared(a.dtype, 512 * unit.k, 1024), shared(b.dtype, 512 * unit.k, 1024)
    for i in range(thread_idx.x, a.size, 128):
        left[i] = a[i]
    for i in range(thread_idx.x, b.size, 128):
        right[i] = b[i]
    fence_async()
    barrier()
    c = wgmma_fence(load_c(unit, out))
    for step in unroll(range(steps)):
        second = wgmma_operand(right.ptr + step * how_b[4], how_b[1], how_b[2], how_b[3])
        if how_a is None:
            c = wgmma(unit, c, load_a(unit, x, 0, step * unit.k), second, b_major=how_b[0])
        else:
            first = wgmma_operand(left.ptr + step * how_a[4], how_a[1], how_a[2], how_a[3])
            c = wgmma(unit, c, first, second, how_a[0], how_b[0])
    wgmma_commit_group()
    store_c(unit, wgmma_wait_group(0, c), out)


def lie(x: np.ndarray, major: str, swizzle: int, leading: int, stride: int) -> np.ndarray:
    """x, rows of A or columns of B by k, in memory: as CUTLASS draws its canonical layouts, in chunks of 16 bytes (T
    elements); then chunks are exchanged."""
    t = 16 // x.itemsize
    wide = max(swizzle // 16, 1)  # chunks of a row
    out = np.zeros(16384 // x.itemsize, x.dtype)
    for mn in range(x.shape[0]):
        for k in range(x.shape[1]):
            if major == "k":
                chunk = mn % 8 * wide + mn // 8 * (stride // 16)
                chunk += k // t * (1 if swizzle else leading // 16)
                within = k % t
            else:
                chunk = k % 8 * wide
                if swizzle:
                    chunk += mn // t % wide + mn // t // wide * (leading // 16) + k // 8 * (stride // 16)
                else:
                    chunk += mn // t * (stride // 16) + k // 8 * (leading // 16)
                within = mn % t
            chunk ^= chunk // 8 % wide if swizzle else 0
            out[chunk * t + within] = x[mn, k]
    return out


def operand(x: np.ndarray, major: str, swizzle: int, unit_k: int) -> tuple[np.ndarray, tuple[Any, ...]]:
    """A factor in memory, dense, and how it lies there."""
    rows, t = x.shape[0], 16 // x.itemsize
    if major == "k" and swizzle:
        how = (major, swizzle, 0, 8 * swizzle, unit_k)  # all of k in one row
        assert x.shape[1] * x.itemsize <= swizzle
    elif major == "k":
        how = (major, 0, 16 * rows, 128, 2 * rows * t)
    elif swizzle:
        groups = -(-rows * x.itemsize // swizzle)
        how = (major, swizzle, 8 * swizzle, groups * 8 * swizzle, 2 * groups * 8 * swizzle // x.itemsize)
    else:
        how = (major, 0, rows // t * 128, 128, 2 * (rows // t) * 128 // x.itemsize)
    return lie(x, *how[:4]), how


def numbers(rng: Any, dtype: Any, *shape: int) -> np.ndarray:
    if dtype in (i8, u8):
        return rng.integers(0, 256, shape).astype(np.uint8).view(NUMPY[dtype])
    x = rng.standard_normal(shape).astype(np.float32)
    return x.view(np.uint32) >> 16 if dtype is bf16 else x.astype(NUMPY[dtype])


def wide(dtype: Any, x: np.ndarray) -> np.ndarray:
    if dtype is bf16:
        return (x.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    if dtype is f32:
        return (x.view(np.uint32) & 0xFFFFE000).view(np.float32).astype(np.float64)
    return x.astype(np.float64)


def given(dtype: Any, x: np.ndarray) -> Any:
    if dtype is not bf16:
        return x
    out = Array.empty(x.shape, bf16)
    out.numpy(bits=True)[...] = x
    return out


def check(ways: tuple[str, ...], unit: Any, a: tuple[str, int] | None, b: tuple[str, int], steps: int = 1) -> None:
    rng = np.random.default_rng(unit.n)
    x, y = (numbers(rng, unit.factor, rows, steps * unit.k) for rows in (64, unit.n))
    x, y = (v.astype(np.uint16) if unit.factor is bf16 else v for v in (x, y))
    left, how_a = operand(x, *a, unit.k) if a else (x[0], None)
    right, how_b = operand(y, *b, unit.k)
    c = rng.integers(-9, 9, (64, unit.n)).astype(NUMPY[unit.sum])
    outs = []
    for way in ways:
        outs.append(c.copy())
        values = [given(unit.factor, v) for v in (left, right, x)]
        launch(way, product, 128, outs[-1], *values, unit, how_a, how_b, steps)
        assert outs[-1].tobytes() == outs[0].tobytes(), way
    expected = wide(unit.factor, x) @ wide(unit.factor, y).T + c
    tolerance = {f32: 1e-4, f16: 3e-2, i32: 0}[unit.sum]
    np.testing.assert_allclose(outs[0].astype(np.float64), expected, rtol=0, atol=tolerance)


BOTH = ("simt", "reference of sm_90a")


@pytest.mark.parametrize("swizzle", [0, 32, 64, 128])
@pytest.mark.parametrize("majors", [("k", "k"), ("mn", "k"), ("k", "mn")], ids="".join)
def test_factors_lie_as_descriptors_say(majors, swizzle):
    ways = ("simt", "simt:checked", *BOTH[1:]) if swizzle == 128 and majors[0] == "mn" else ("simt",)
    check(ways, wgmma_unit(24, f16), (majors[0], swizzle), (majors[1], swizzle), 1 if swizzle == 32 else 2)


@pytest.mark.parametrize(
    "unit",
    [wgmma_unit(16, bf16), wgmma_unit(8, f16, f16), wgmma_unit(8, f32), wgmma_unit(16, i8), wgmma_unit(24, u8)],
    ids=str,
)
def test_types(unit):
    check(BOTH[:1] if unit.k == 32 else BOTH, unit, ("k", 64), ("k", 64), 1)


@pytest.mark.parametrize("unit", [wgmma_unit(16, bf16), wgmma_unit(8, f32), wgmma_unit(8, u8)], ids=str)
def test_the_first_factor_may_be_in_registers(unit):
    check(("simt", "simt:coroutines") if unit.k == 32 else BOTH, unit, None, ("k", 32))


@pytest.mark.parametrize("unit", [wgmma_unit(24, f16), wgmma_unit(16, i8), wgmma_unit(8, f32)], ids=str)
def test_fragments_are_those_of_four_warps(unit):
    for fragment in (unit.a, unit.c):
        found = [fragment.place(t, i) for t in range(128) for i in range(fragment.size)]
        assert sorted(found) == [(r, c) for r in range(64) for c in range(fragment.columns)]
    for t in (0, 5, 37, 127):  # PTX ISA, "Register Fragments for wgmma.mma_async.m64nNk16" and its kin
        for i in range(unit.c.size):
            row = t // 32 * 16 + t % 32 // 4 + i % 4 // 2 * 8
            assert unit.c.place(t, i) == (row, i // 4 * 8 + t % 4 * 2 + i % 2)
        for i in range(unit.a.size):
            p = unit.k // 8
            row = t // 32 * 16 + t % 32 // 4 + i // p % 2 * 8
            assert unit.a.place(t, i) == (row, i // (2 * p) * 4 * p + t % 4 * p + i % p)


def test_exchanged_chunks():
    for swizzle in (32, 64, 128):
        chunks = [place_of(8 * i, 2, swizzle) // 8 for i in range(64)]
        assert chunks == [i ^ i // 8 % (swizzle // 16) for i in range(64)]
        assert place_of(8 * 9 + 3, 2, swizzle) % 8 == 3
    assert place_of(77, 2, 0) == 77


fast = kernel(unchecked=True)(product.__wrapped__)


@pytest.mark.skipif(shutil.which("ptxas") is None, reason="ptxas is not installed")
def test_ptxas_takes_products_of_all_kinds(tmp_path):
    how = ("k", 128, 0, 1024, 16)
    for n, factor, total in ((64, bf16, f32), (8, f16, f16), (24, u8, i32), (32, i8, i32), (16, f32, f32)):
        unit, t = wgmma_unit(n, factor, total), factor.__name__
        x, a = Array.zeros((16,), t), Array.zeros((4, 4), t)
        out = Array.zeros((4, 4), total.__name__)
        for k, how_a in ((fast, how), (product, None)):
            ptx = k.inspect(out, x, x, a, unit, how_a, how, 2, kind="ptx", target="nvptx:sm_90a")
            assert ptx.count(f"{unit.ptx} {{") == 2 and "wgmma.wait_group.sync.aligned 0;" in ptx
            path = tmp_path / "kernel.ptx"
            path.write_text(ptx)
            command = ["ptxas", "-arch=sm_90a", "-v", str(path), "-o", str(tmp_path / "x.cubin")]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert k is product or "C75" not in done.stderr, done.stderr  # nothing is injected or serialised


@kernel
def misaligned(x: Tensor[f16, 1], first: int) -> None:
    shared(f16, 8)[0] = f16(0)
    tile = shared(f16, 1024, 16)
    wgmma_operand(tile.ptr + first, 64)


def test_a_swizzled_array_is_aligned_to_eight_rows():
    x = np.zeros(8, np.float16)
    for way in ("simt", "simt:checked"):
        with pytest.raises(ValueError, match="its array is not aligned to 512 bytes"):
            launch(way, misaligned, 1, x, 24)
        for first in (-8, 0, 8):  # behind 16 bytes of another array
            launch(way, misaligned, 1, x, first)


def test_units_that_are_none():
    for n, factor, total in ((4, f16, None), (264, f16, None), (40, i8, None), (8, f32, f16), (8, i32, None)):
        with pytest.raises(ValueError, match="wgmma has no products"):
            wgmma_unit(n, factor, total)
