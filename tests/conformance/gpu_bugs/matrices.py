"""Bugs around matrix units."""

from __future__ import annotations

import numpy as np
from gpu_bugs_kit import bug

from sapwood import Tensor, f16, f32, kernel, u16, unroll
from sapwood.gpu import (
    AbsentLaneError,
    MisalignedError,
    OutOfBoundsError,
    RaceError,
    UninitialisedError,
    barrier,
    lane_id,
    ldmatrix,
    load_a,
    load_b,
    m16n8k8_f16,
    mma,
    shared,
    stmatrix,
    store_c,
    thread_idx,
    wgmma,
    wgmma_commit_group,
    wgmma_fence,
    wgmma_operand,
    wgmma_unit,
    wgmma_wait_group,
    zero_c,
)

UNIT = m16n8k8_f16
WIDE = wgmma_unit(8, f16)


def halves(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float16)


def sums(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


@kernel
def leave_kernel(c: Tensor[f32, 2], a: Tensor[f16, 2], b: Tensor[f16, 2]) -> None:
    if thread_idx.x >= 30:
        return
    x, y = load_a(UNIT, a), load_b(UNIT, b)
    total = mma(UNIT, x, y, zero_c(UNIT))  # BUG lanes_that_have_returned lanes_that_never_were
    store_c(UNIT, total, c)


@bug(AbsentLaneError, "without lane 30,")
def lanes_that_have_returned():
    leave_kernel[1, 32](sums(16, 8), halves(16, 8), halves(8, 8))


@bug(AbsentLaneError, "without lane 24,")
def lanes_that_never_were():
    leave_kernel[1, 24](sums(16, 8), halves(16, 8), halves(8, 8))


@kernel
def exchange_kernel(x: Tensor[u16, 2]) -> None:
    """Two warps transpose each other's matrix."""
    tile = shared(u16, (2, 8, 8))
    mine = thread_idx.x // 32
    r, k = lane_id() // 4, lane_id() % 4 * 2
    row = tile.ptr + lane_id() % 8 * 8
    stmatrix(row + mine * 64, (x[mine * 8 + r, k], x[mine * 8 + r, k + 1]))  # BUG matrix_of_another_warp
    found = ldmatrix(row + (1 - mine) * 64, 1, True)  # BUG matrix_of_another_warp
    x[mine * 8 + r, k], x[mine * 8 + r, k + 1] = found


@bug(RaceError)
def matrix_of_another_warp():
    exchange_kernel[1, 64](np.zeros((16, 8), np.uint16))


@kernel(unchecked=True)
def rows_kernel(out: Tensor[u16, 1], pitch: int) -> None:
    tile = shared(u16, 8 * 12)
    for k in range(lane_id(), 96, 32):
        tile[k] = u16(k)
    barrier()
    out[lane_id()] = ldmatrix(tile.ptr + lane_id() % 8 * pitch)[0]  # BUG rows_of_24_bytes rows_outside


@bug(MisalignedError, "not a multiple of 16 bytes")
def rows_of_24_bytes():
    rows_kernel[1, 32](np.zeros(32, np.uint16), 12)


@bug(OutOfBoundsError)
def rows_outside():
    rows_kernel[1, 32](np.zeros(32, np.uint16), 16)


@kernel
def half_filled_kernel(c: Tensor[f32, 2], a: Tensor[f16, 2], b: Tensor[f16, 2]) -> None:
    left, right = shared(f16, (16, 8)), shared(f16, (8, 8))
    t = thread_idx.x
    for k in range(8):
        if t < 15:
            left[t, k] = a[t, k]
        if t < 8:
            right[t, k] = b[t, k]
    barrier()
    x = load_a(UNIT, left)  # BUG a_row_that_nobody_wrote
    store_c(UNIT, mma(UNIT, x, load_b(UNIT, right), zero_c(UNIT)), c)


@bug(UninitialisedError, "left")
def a_row_that_nobody_wrote():
    half_filled_kernel[1, 32](sums(16, 8), halves(16, 8), halves(8, 8))


@kernel(unchecked=True)
def overwrite_kernel(c: Tensor[f32, 2], a: Tensor[f16, 2]) -> None:
    """The next tile is written while warps multiply the last one."""
    left, right = shared(f16, (64, 16), 256), shared(f16, (8, 16), 256)
    total = zero_c(WIDE)
    for step in unroll(range(2)):
        for e in range(thread_idx.x, 64 * 16, 128):
            left.ptr[e] = a[e // 16, e % 16]  # BUG a_tile_that_is_still_read
            if step == 0 and e < 8 * 16:
                right.ptr[e] = f16(1)
        barrier()
        first, second = wgmma_operand(left.ptr, 32), wgmma_operand(right.ptr, 32)
        total = wgmma(WIDE, wgmma_fence(total), first, second)  # BUG a_tile_that_is_still_read
        wgmma_commit_group()
        total = wgmma_wait_group(0, total)
    store_c(WIDE, total, c)


@bug(RaceError, "left")
def a_tile_that_is_still_read():
    overwrite_kernel[1, 128](sums(64, 8), halves(64, 16))
