"""Boxes of tensors to and from shared memory: as NumPy cuts them, wherever they lie."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pytest
from gpu_oracle import BOTH, runs
from hypothesis import example, given
from hypothesis import strategies as st

from sapwood import CompileError, Const, Tensor, config, f32, i16, kernel, u64
from sapwood.gpu import (
    barrier,
    block_dim,
    bulk_commit_group,
    bulk_wait_group,
    fence_async,
    mbarrier,
    shared,
    tensor_copy,
    tensor_store,
    thread_idx,
)
from sapwood.lang.ops.gpu.matrix_warpgroup import exchanged

X, P = TypeVar("X"), TypeVar("P")  # a tensor of some rank, a place in it
BOXES = ((8,), (3, 8), (5, 16), (2, 3, 8))


@kernel
def through(
    out: X, raw: Tensor[i16, 1], x: X, box: Const[tuple[int, ...]], at: P, to: P, swizzle: Const[int]
) -> None:
    """A box of x at `at`: to `raw` as it lies, and to `out` at `to`."""
    tile, bar = shared(i16, box, align=1024), shared(u64, 1)
    if thread_idx.x == 0:
        mbarrier.init(bar.ptr, 1)
        fence_async()
        mbarrier.arrive_expect_tx(bar.ptr, 2 * len(raw))
        tensor_copy(tile, x, at, bar.ptr, swizzle)
    barrier()
    mbarrier.wait(bar.ptr, 0)
    for k in range(thread_idx.x, len(raw), block_dim.x):
        raw[k] = (tile.ptr + k)[0]
    if thread_idx.x == 0:
        tensor_store(out, to, tile, swizzle)
        bulk_commit_group()
        bulk_wait_group(0)


def padded(shape: tuple[int, ...]) -> np.ndarray:
    """Rows that begin at multiples of 16 bytes, in memory that does."""
    wide = -(-shape[-1] // 8) * 8
    raw = np.full(int(np.prod(shape[:-1])) * wide + 8, -77, np.int16)
    raw = raw[-raw.ctypes.data // 2 % 8 :][: int(np.prod(shape[:-1])) * wide]
    return raw.reshape(*shape[:-1], wide)[..., : shape[-1]]


def cut(x: np.ndarray, at: tuple[int, ...], box: tuple[int, ...]) -> tuple[np.ndarray, tuple[slice, ...]]:
    """The box with zeros outside, and where its inside is in it."""
    out = np.zeros(box, x.dtype)
    there = tuple(slice(max(a, 0), max(min(a + n, s), 0)) for a, n, s in zip(at, box, x.shape, strict=True))
    here = tuple(slice(t.start - a, t.start - a + max(t.stop - t.start, 0)) for t, a in zip(there, at, strict=True))
    if out[here].size:
        out[here] = x[there]
    return out, here


@given(st.data())
@example(None)
def test_boxes_anywhere(data):
    box = BOXES[1] if data is None else data.draw(st.sampled_from(BOXES))
    draw = (lambda s: s.example) if data is None else data.draw
    if data is None:
        shape, at, to, swizzle = (4, 9), (-1, 5), (3, -5), 0
    else:
        shape = tuple(draw(st.integers(1, 2 * n)) for n in box)
        at = tuple(draw(st.integers(-n - 1, s + 1)) for n, s in zip(box, shape, strict=True))
        to = tuple(draw(st.integers(-n - 1, s + 1)) for n, s in zip(box, shape, strict=True))
        swizzle = draw(st.sampled_from([s for s in (0, 32, 64, 128) if not s or 2 * box[-1] <= s]))
    x, out = padded(shape), padded(shape)
    x[...] = np.arange(x.size).reshape(shape) + 1
    out[...] = -1
    raw = np.full(int(np.prod(box)), -99, np.int16)
    through[1, 4](out, raw, x, box, at, to, swizzle)
    expected, _ = cut(x, at, box)
    for k, v in enumerate(expected.reshape(-1)):
        assert raw[exchanged(2 * k, swizzle) // 2] == v
    written = np.full(shape, -1, np.int16)
    for place, v in np.ndenumerate(expected):
        there = tuple(a + p for a, p in zip(to, place, strict=True))
        if all(0 <= i < n for i, n in zip(there, shape, strict=True)):
            written[there] = v
    np.testing.assert_array_equal(out, written)


@pytest.mark.parametrize("swizzle", [0, 64])
def test_the_operation_of_a_gpu_means_the_same(swizzle):
    """What the evaluator makes of the instruction itself."""
    x, out = padded((7, 20)), padded((7, 20))
    x[...] = np.arange(140).reshape(7, 20)
    results = []
    for target in ("simt", "nvptx:sm_90a"):
        out[...] = -1
        raw = np.full(80, -99, np.int16)
        with config.override(SAPWOOD_TARGET=target):
            through.reference[1, 4](out, raw, x, (5, 16), (4, -3), (-1, 9), swizzle)
        results.append((raw.tolist(), out.tolist()))
    assert results[0] == results[1]


@kernel
def plain(x: Tensor[f32, 2], n: int) -> None:
    tile, bar = shared(f32, (4, 8), align=128), shared(u64, 1)
    mbarrier.init(bar.ptr, 1)
    tensor_copy(tile, x, (0, n), bar.ptr)


@BOTH
def test_tensors_that_the_hardware_could_not_be_told_of(how):
    raw = np.zeros(100, np.float32)
    raw = raw[-raw.ctypes.data // 4 % 4 :]
    rows = raw[:48].reshape(4, 12)
    for x in (raw[1:49].reshape(4, 12), raw[:50].reshape(5, 10), rows[:, ::2], rows[:0]):
        with pytest.raises(ValueError, match="tensor_copy: the tensor is empty, or its address or a stride is not"):
            runs(plain, how)[1, 1](x, 0)


@kernel
def view(x: Tensor[f32, 2]) -> None:
    tile, bar = shared(f32, (4, 8), align=128), shared(u64, 1)
    tensor_copy(tile, x[1:], (0, 0), bar.ptr)


@kernel
def narrow(x: Tensor[f32, 2]) -> None:
    tile, bar = shared(f32, (4, 6), align=128), shared(u64, 1)
    tensor_copy(tile, x, (0, 0), bar.ptr)


@kernel
def wide_rows(x: Tensor[f32, 2]) -> None:
    tile, bar = shared(f32, (4, 16), align=256), shared(u64, 1)
    tensor_copy(tile, x, (0, 0), bar.ptr, 32)


@kernel
def one_axis(x: Tensor[f32, 2]) -> None:
    tile = shared(f32, 16, align=128)
    tensor_store(x, (0, 0), tile)


@kernel
def one_place(x: Tensor[f32, 2]) -> None:
    tile = shared(f32, (4, 16), align=128)
    tensor_store(x, 3, tile)


@kernel
def no_tile(x: Tensor[f32, 2]) -> None:
    tensor_store(x, (0, 0), x)


@pytest.mark.parametrize(
    ("k", "text"),
    [
        (view, "name an argument of the kernel itself, no view of it"),
        (narrow, "a box of 4 x 6 f32"),
        (wide_rows, "a swizzle of 32"),
        (one_axis, "are not of one type and rank"),
        (one_place, "a place of 1 coordinates"),
        (no_tile, r"tile = shared\(f32, \(16, 32\), align=128\)"),
    ],
)
def test_mistakes(k, text):
    with pytest.raises(CompileError, match=text) as e:
        k[1, 1](np.zeros((16, 16), np.float32))
    assert "^^^^" in str(e.value)


def test_older_devices_have_no_boxes():
    with pytest.raises(CompileError, match=r"(?s)X001.*need sm_90 or newer, not sm_80"):
        plain.inspect(np.zeros((4, 4), np.float32), 1, kind="ptx", target="nvptx:sm_80")


@kernel
def unaligned(x: Tensor[f32, 2]) -> None:
    odd = shared(f32, 4)
    tile, bar = shared(f32, (4, 8)), shared(u64, 1)
    odd[0] = 1.0
    tensor_copy(tile, x, (0, 0), bar.ptr)


def test_a_tile_that_is_not_aligned():
    with pytest.raises(ValueError, match="tensor_copy: an address is not a multiple of 128"):
        unaligned[1, 1](np.zeros((4, 8), np.float32))
