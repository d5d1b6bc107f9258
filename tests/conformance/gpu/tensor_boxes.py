"""Boxes of tensors through shared memory, with tensor maps where the hardware has them."""

from __future__ import annotations

import numpy as np
from gpu_conformance import cdiv, normal, poison, program

from sapwood import Const, Tensor, f16, f32, i32, kernel, u64
from sapwood.gpu import (
    barrier,
    block_dim,
    block_idx,
    bulk_commit_group,
    bulk_wait_group,
    fence_async,
    mbarrier,
    shared,
    tensor_copy,
    tensor_store,
    thread_idx,
    wgmma_unit,
)
from sapwood.gpu.pipelined_matmul import pipelined_matmul_kernel, stage_bytes


def padded(rows: int, columns: int, dtype: type = np.float32) -> np.ndarray:
    """A poisoned array whose rows begin at multiples of 16 bytes, as the hardware wants them."""
    wide = -(-columns * np.dtype(dtype).itemsize // 16) * 16 // np.dtype(dtype).itemsize
    raw = np.full(rows * wide + 16, np.nan, dtype)
    first = -raw.ctypes.data % 16 // raw.itemsize
    return raw[first : first + rows * wide].reshape(rows, wide)[:, :columns]


@kernel
def transpose_boxes_kernel(out: Tensor[f32, 2], x: Tensor[f32, 2]) -> None:
    """A box of 32 by 32 comes in, its transpose goes out; what is outside of the arrays is zero, and stays there."""
    tile, turned = shared(f32, (32, 32), align=128), shared(f32, (32, 32), align=128)
    bar = shared(u64, 1)
    i, j = 32 * block_idx.y, 32 * block_idx.x
    if thread_idx.x == 0:
        mbarrier.init(bar.ptr, 1)
        fence_async()
        mbarrier.arrive_expect_tx(bar.ptr, 4096)
        tensor_copy(tile, x, (i, j), bar.ptr)
    barrier()
    mbarrier.wait(bar.ptr, 0)
    for k in range(thread_idx.x, 1024, block_dim.x):
        turned[k % 32, k // 32] = tile[k // 32, k % 32]
    fence_async()
    barrier()
    if thread_idx.x == 0:
        tensor_store(out, (j, i), turned)
        bulk_commit_group()
        bulk_wait_group(0)


@program(1, 31, 100, since=90)
def test_of_transposed_boxes(run, rng, n):
    x, out = padded(n, 2 * n + 3), padded(2 * n + 3, n)
    x[:] = normal(rng, *x.shape)
    run(transpose_boxes_kernel, (cdiv(2 * n + 3, 32), cdiv(n, 32)), 128, out, x)
    yield out, x.T.astype(np.float64)


@kernel
def window_sums_kernel(out: Tensor[f32, 2], x: Tensor[f32, 2]) -> None:
    """The sums of 3 by 3 elements: the box begins one row and four columns outside of the block's own part."""
    tile, bar = shared(f32, (18, 24), align=128), shared(u64, 1)
    i, j = 16 * block_idx.y, 16 * block_idx.x
    if thread_idx.x == 0 and thread_idx.y == 0:
        mbarrier.init(bar.ptr, 1)
        fence_async()
        mbarrier.arrive_expect_tx(bar.ptr, 18 * 24 * 4)
        tensor_copy(tile, x, (i - 1, j - 4), bar.ptr)
    barrier()
    mbarrier.wait(bar.ptr, 0)
    r, c = thread_idx.y, thread_idx.x
    if i + r < out.shape[0] and j + c < out.shape[1]:
        total = f32(0)
        for a in range(3):
            for b in range(3):
                total += tile[r + a, c + b + 3]
        out[i + r, j + c] = total


@program(1, 17, 50, since=90)
def test_of_windows_with_a_border_of_zeros(run, rng, n):
    x, out = padded(n, n + 9), poison(n, n + 9)
    x[:] = normal(rng, *x.shape)
    run(window_sums_kernel, (cdiv(n + 9, 16), cdiv(n, 16)), (16, 16), out, x)
    wide = np.pad(x.astype(np.float64), 1)
    yield out, sum(wide[a : a + n, b : b + n + 9] for a in range(3) for b in range(3))


@kernel
def swizzled_rows_kernel(raw: Tensor[f16, 1], back: Tensor[f16, 2], x: Tensor[f16, 2], swizzle: Const[int]) -> None:
    """A box as it lies in shared memory, and out again."""
    tile, bar = shared(f16, (16, swizzle // 2), align=1024), shared(u64, 1)
    if thread_idx.x == 0:
        mbarrier.init(bar.ptr, 1)
        fence_async()
        mbarrier.arrive_expect_tx(bar.ptr, 16 * swizzle)
        tensor_copy(tile, x, (0, 0), bar.ptr, swizzle)
    barrier()
    mbarrier.wait(bar.ptr, 0)
    for k in range(thread_idx.x, 8 * swizzle, block_dim.x):
        raw[k] = (tile.ptr + k)[0]
    fence_async()
    barrier()
    if thread_idx.x == 0:
        tensor_store(back, (0, 0), tile, swizzle)
        bulk_commit_group()
        bulk_wait_group(0)


@program(32, 64, 128, since=90)
def test_of_swizzled_boxes(run, rng, swizzle):
    x, back = padded(13, swizzle // 2, np.float16), padded(13, swizzle // 2, np.float16)
    x[:] = normal(rng, *x.shape)
    raw = poison(8 * swizzle, dtype=np.float16)
    run(swizzled_rows_kernel, 1, 64, raw, back, x, swizzle)
    box = np.zeros((16, swizzle // 2), np.float16)
    box[:13] = x
    expected = np.empty(8 * swizzle, np.float16)
    for byte in range(0, 16 * swizzle, 16):
        there = byte ^ (byte >> 7 & swizzle // 16 - 1) << 4
        expected[there // 2 : there // 2 + 8] = box.reshape(-1)[byte // 2 : byte // 2 + 8]
    yield raw, expected.astype(np.float64)
    yield back, x.astype(np.float64)


@kernel
def boxes_of_three_axes_kernel(out: Tensor[i32, 3], x: Tensor[i32, 3]) -> None:
    """Boxes of 2 by 3 by 8 are doubled on their way."""
    tile, bar = shared(i32, (2, 3, 8), align=128), shared(u64, 1)
    at = (2 * block_idx.z, 3 * block_idx.y, 8 * block_idx.x)
    t = thread_idx.x
    if t == 0:
        mbarrier.init(bar.ptr, 1)
        fence_async()
        mbarrier.arrive_expect_tx(bar.ptr, 192)
        tensor_copy(tile, x, at, bar.ptr)
    barrier()
    mbarrier.wait(bar.ptr, 0)
    if t < 48:
        tile[t // 24, t // 8 % 3, t % 8] *= 2
    fence_async()
    barrier()
    if t == 0:
        tensor_store(out, at, tile)
        bulk_commit_group()
        bulk_wait_group(0)


@program(1, 5, 9, since=90)
def test_of_boxes_of_three_axes(run, rng, n):
    x = rng.integers(-1000, 1000, (n, n + 1, 4 * n)).astype(np.int32)
    out = poison(*x.shape, dtype=np.int32)
    run(boxes_of_three_axes_kernel, (cdiv(4 * n, 8), cdiv(n + 1, 3), cdiv(n, 2)), 64, out, x)
    yield out, 2 * x


@program(1, 70, 200, since=90, only="sm_90a", rtol=1e-4)
def test_of_a_pipelined_matmul(run, rng, n):
    """Boxes through a ring of stages to two warpgroups."""
    unit, stages = wgmma_unit(32, f16), 3
    a, b, c = padded(n, 2 * n + 3, np.float16), padded(n + 5, 2 * n + 3, np.float16), poison(n, n + 5)
    a[:], b[:] = normal(rng, *a.shape), normal(rng, *b.shape)
    blocks = cdiv(n, 128) * cdiv(n + 5, 32)
    run(pipelined_matmul_kernel, blocks, 256, c, a, b, unit, stages, shared=stages * stage_bytes(unit))
    yield c, a.astype(np.float64) @ b.astype(np.float64).T
