"""Matrices between shared memory and registers: `ldmatrix`, `stmatrix`, and fragments that are loaded by them."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import pytest

from sapwood import Const, Tensor, comptime, config, f16, f32, i8, i32, kernel, u16, unroll
from sapwood.gpu import (
    MisalignedError,
    OutOfBoundsError,
    barrier,
    lane_id,
    ldmatrix,
    load_a,
    load_b,
    m16n8k8_f16,
    m16n8k8_tf32,
    m16n8k16_f16,
    m16n8k32_i8,
    shared,
    stmatrix,
    transposed,
)

pytestmark = pytest.mark.sampled(2)  # each case takes seconds to compile

T = TypeVar("T")
WAYS = ("simt", "simt:coroutines", "simt:checked", "reference", "reference of sm_90")


def launch(way: str, k: Any, *args: Any) -> None:
    target = {"reference": "simt", "reference of sm_90": "nvptx:sm_90"}.get(way, way)
    with config.override(SAPWOOD_TARGET=target):
        (k.reference if way.startswith("reference") else k)[1, 32](*args)


@kernel
def reads(
    out: Tensor[T, 2], x: Tensor[T, 2], rows: Tensor[i32, 1], size: Const[int], n: Const[int], turned: Const[bool]
) -> None:
    """Lane l names row rows[l] of x."""
    tile = shared(x.dtype, (40, 16 // size))
    for i in range(lane_id(), 40, 32):
        for j in range(x.shape[1]):
            tile[i, j] = x[i, j]
    barrier()
    found = ldmatrix(tile.ptr + int(rows[lane_id()]) * x.shape[1], n, turned)
    for k in unroll(range(n * 4 // size)):
        out[lane_id(), k] = found[k]


@kernel
def writes(
    out: Tensor[T, 2], x: Tensor[T, 2], rows: Tensor[i32, 1], size: Const[int], n: Const[int], turned: Const[bool]
) -> None:
    tile = shared(x.dtype, (40, 16 // size))
    for i in range(lane_id(), 40, 32):
        for j in range(out.shape[1]):
            tile[i, j] = out[i, j]
    barrier()
    held = tuple(x[lane_id(), k] for k in comptime(tuple(range(n * 4 // size))))
    stmatrix(tile.ptr + int(rows[lane_id()]) * out.shape[1], held, turned)
    barrier()
    for i in range(lane_id(), 40, 32):
        for j in range(out.shape[1]):
            out[i, j] = tile[i, j]


def drawn(lane: int, m: int, i: int, per: int, turned: bool) -> tuple[int, int]:
    """(lane that names the row, column) as the PTX ISA says it in "ldmatrix": "mma.8x8 ... fragment layout"."""
    if turned:
        return 8 * m + lane % 4 * 2 + i, lane // 4
    return 8 * m + lane // 4, lane % 4 * per + i


CASES = [
    (np.uint16, 1, False), (np.uint16, 2, True), (np.uint16, 4, False), (np.uint16, 4, True), (np.int8, 2, False),
    (np.float32, 1, False), (np.float32, 4, False),
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_lanes_name_rows_and_get_words_of_them(way):
    rng = np.random.default_rng(1)
    for dtype, n, turned in CASES[:3] if way == "simt" else CASES:
        size = np.dtype(dtype).itemsize
        x = rng.integers(0, 100, (40, 16 // size)).astype(dtype)
        rows = rng.permutation(40)[:32].astype(np.int32)
        out = np.full((32, n * 4 // size), 7, dtype)
        launch(way, reads, out, x, rows, size, n, turned)
        for lane in range(32):
            for k in range(out.shape[1]):
                row, column = drawn(lane, k * size // 4, k % (4 // size), 4 // size, turned)
                assert out[lane, k] == x[rows[row], column], (dtype, n, turned, lane, k)


@pytest.mark.parametrize("way", WAYS)
def test_words_go_to_the_rows_that_lanes_name(way):
    rng = np.random.default_rng(2)
    for dtype, n, turned in CASES[:3] if way == "simt" else CASES:
        size = np.dtype(dtype).itemsize
        x = rng.integers(0, 100, (32, n * 4 // size)).astype(dtype)
        rows = rng.permutation(40)[:32].astype(np.int32)
        out = rng.integers(0, 100, (40, 16 // size)).astype(dtype)
        expected = out.copy()
        for lane in range(32):
            for k in range(x.shape[1]):
                row, column = drawn(lane, k * size // 4, k % (4 // size), 4 // size, turned)
                expected[rows[row], column] = x[lane, k]
        launch(way, writes, out, x, rows, size, n, turned)
        np.testing.assert_array_equal(out, expected)


# -- fragments ---------------------------------------------------------------------------------------


@kernel
def fragments(
    a: Tensor[T, 3], b: Tensor[T, 3], x: Tensor[T, 2], at: Tensor[i32, 2], unit: Const[Any], flip: Const[bool]
) -> None:
    """The fragments of both factors that begin at some places of a tile, which lies as it is or transposed."""
    tile = shared(x.dtype, (48, 64))
    for i in range(lane_id(), 48, 32):
        for j in range(64):
            tile[i, j] = x[i, j]
    barrier()
    view = transposed(tile) if flip else tile
    for n in range(at.shape[0]):
        row, column = int(at[n, 0]), int(at[n, 1])
        left, right = load_a(unit, view, row, column), load_b(unit, view, row, column)
        for k in unroll(range(unit.a.size)):
            a[n, lane_id(), k] = left[k]
        for k in unroll(range(unit.b.size)):
            b[n, lane_id(), k] = right[k]


PLACES = np.array([(0, 0), (16, 8), (8, 16), (1, 0), (0, 3), (40, 16), (-8, 16), (16, 56)], np.int32)


@pytest.mark.parametrize("unit", [m16n8k8_f16, m16n8k16_f16, m16n8k8_tf32, m16n8k32_i8], ids=str)
@pytest.mark.parametrize("flip", [False, True])
def test_fragments_of_shared_tiles(unit, flip):
    dtype = {f16: np.float16, f32: np.float32, i8: np.int8}[unit.factor]
    x = np.random.default_rng(3).integers(1, 100, (48, 64)).astype(dtype)
    wide = np.zeros((160, 160), dtype)
    wide[32 : 32 + 48, 32 : 32 + 64] = x
    wide = wide.T if flip else wide
    for way, places in (("simt", PLACES), ("reference of sm_90", PLACES[1:5])):
        shape = len(places), 32
        a, b = np.full((*shape, unit.a.size), -7, dtype), np.full((*shape, unit.b.size), -7, dtype)
        launch(way, fragments, a, b, x, places, unit, flip)
        for out, fragment in ((a, unit.a), (b, unit.b)):
            for n, (row, column) in enumerate(places + 32):
                for lane in range(32):
                    at = [fragment.place(lane, k) for k in range(fragment.size)]
                    assert out[n, lane].tolist() == [wide[row + i, column + j] for i, j in at]


@pytest.mark.parametrize(
    ("unit", "flip", "modes"),
    [
        (m16n8k16_f16, False, "x4.shared x2.trans"),
        (m16n8k16_f16, True, "x4.trans x2.shared"),
        (m16n8k8_f16, False, "x2.shared x1.trans"),
        (m16n8k32_i8, False, "x4.shared"),
        (m16n8k8_tf32, True, "x2.shared"),
    ],
    ids=str,
)
def test_what_loads_a_fragment(unit, flip, modes):
    dtype = {f16: np.float16, f32: np.float32, i8: np.int8}[unit.factor]
    a = np.zeros((8, 32, 16), dtype)
    ptx = fragments.inspect(a, a, a[0], PLACES, unit, flip, kind="ptx", target="nvptx:sm_80")
    found = {part.split(".b16")[0] for part in ptx.split("ldmatrix.sync.aligned.m8n8.")[1:]}
    assert {f.replace("trans.shared", "trans") for f in found} == set(modes.split())


# -- mistakes ----------------------------------------------------------------------------------------


@kernel
def at(out: Tensor[u16, 1], first: int, step: int) -> None:
    tile = shared(u16, 256)
    for k in range(lane_id(), 256, 32):
        tile[k] = 1
    barrier()
    out[lane_id()] = ldmatrix(tile.ptr + (first + lane_id() * step), 2)[3]


@kernel(unchecked=True)
def at_unchecked(out: Tensor[u16, 1], first: int, step: int) -> None:
    tile = shared(u16, 256)
    for k in range(lane_id(), 256, 32):
        tile[k] = 1
    barrier()
    out[lane_id()] = ldmatrix(tile.ptr + (first + lane_id() * step), 2)[3]


def test_rows_are_aligned_and_those_that_nobody_reads_may_be_anything():
    out = np.zeros(32, np.uint16)
    for way in ("simt", "simt:checked", "reference of sm_90"):
        with pytest.raises(ValueError, match="ldmatrix: the address of a row is not a multiple of 16"):
            launch(way, at, out, 4, 8)
        launch(way, at, out, 0, 16)  # lanes 16 to 31 name rows outside of the tile
        assert out.tolist() == [1] * 32
    with pytest.raises(MisalignedError, match="not a multiple of 16 bytes"):
        launch("simt:checked", at_unchecked, out, 4, 8)
    with pytest.raises(OutOfBoundsError, match="outside of tile"):
        launch("simt:checked", at_unchecked, out, 16, 16)
