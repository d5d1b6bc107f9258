"""Asynchronous copies that are used before they are complete, and mbarriers that promise too much."""

from __future__ import annotations

import numpy as np
from gpu_bugs_kit import bug

from sapwood import Tensor, f32, kernel, u64
from sapwood.gpu import (
    DeadlockError,
    OutOfBoundsError,
    RaceError,
    UnfinishedCopyError,
    async_copy,
    barrier,
    bulk_commit_group,
    bulk_copy,
    bulk_store,
    bulk_wait_group,
    commit_group,
    fence_async,
    mbarrier,
    shared,
    tensor_copy,
    tensor_store,
    thread_idx,
    wait_group,
)


def floats(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def aligned(*shape: int) -> np.ndarray:
    """Memory at a multiple of 16 bytes."""
    raw = np.ones(np.prod(shape) + 4, np.float32)
    return raw[-raw.ctypes.data // 4 % 4 :][: np.prod(shape)].reshape(shape)


@kernel
def no_wait_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 32)
    t = thread_idx.x
    async_copy(tile.ptr + t, x.ptr + t, 1)  # BUG no_wait_for_a_copy
    commit_group()
    out[t] = tile[t]  # BUG no_wait_for_a_copy
    wait_group(0)


@bug(UnfinishedCopyError, "tile[")
def no_wait_for_a_copy():
    no_wait_kernel[1, 32](floats(32), floats(32))


@kernel
def other_group_kernel(out: Tensor[f32, 1], x: Tensor[f32, 2]) -> None:
    tile = shared(f32, (2, 32))
    t = thread_idx.x
    for r in range(2):
        async_copy(tile.ptr + 32 * r + t, x.ptr + 32 * r + t, 1)  # BUG waits_for_one_group_too_few
        commit_group()
    wait_group(1)
    out[t] = tile[0, t]
    out[t] += tile[1, t]  # BUG waits_for_one_group_too_few
    wait_group(0)


@bug(UnfinishedCopyError, "tile[")
def waits_for_one_group_too_few():
    other_group_kernel[1, 32](floats(32), floats(2, 32))


@kernel
def no_barrier_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 64)
    t = thread_idx.x
    async_copy(tile.ptr + t, x.ptr + t, 1)  # BUG no_barrier_after_the_wait
    commit_group()
    wait_group(0)
    out[t] = tile[63 - t]  # BUG no_barrier_after_the_wait


@bug(RaceError, "tile[")
def no_barrier_after_the_wait():
    no_barrier_kernel[1, 64](floats(64), floats(64))


@kernel
def barrier_first_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 64)
    t = thread_idx.x
    async_copy(tile.ptr + t, x.ptr + t, 1)  # BUG the_barrier_before_the_wait
    commit_group()
    barrier()
    wait_group(0)
    out[t] = tile[63 - t]  # BUG the_barrier_before_the_wait


@bug(RaceError, "tile[")
def the_barrier_before_the_wait():
    barrier_first_kernel[1, 64](floats(64), floats(64))


@kernel
def overwritten_kernel(x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 32)
    t = thread_idx.x
    async_copy(tile.ptr + t, x.ptr + t, 1)  # BUG the_source_is_overwritten
    commit_group()
    x[t] = f32(0)  # BUG the_source_is_overwritten
    wait_group(0)


@bug(UnfinishedCopyError, "writes x[")
def the_source_is_overwritten():
    overwritten_kernel[1, 32](floats(32))


@kernel
def stages_kernel(out: Tensor[f32, 1], x: Tensor[f32, 2]) -> None:
    tile = shared(f32, (2, 32))
    t, rows = thread_idx.x, x.shape[0]
    async_copy(tile.ptr + t, x.ptr + t, 1)
    commit_group()
    total = f32(0)
    for r in range(rows):
        if r + 1 < rows:
            async_copy(tile.ptr + (r + 1) % 2 * 32 + t, x.ptr + (r + 1) * 32 + t, 1)  # BUG stage_is_refilled_too_early
        commit_group()
        wait_group(1)
        barrier()
        total += tile[r % 2, 31 - t]  # BUG stage_is_refilled_too_early
    out[t] = total


@bug(RaceError, "tile[")
def stage_is_refilled_too_early():
    stages_kernel[1, 32](floats(32), floats(5, 32))


@kernel(unchecked=True)
def edge_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 32)
    t = thread_idx.x
    async_copy(tile.ptr + t, x.ptr + t, 1)  # BUG copies_past_the_end
    commit_group()
    wait_group(0)
    out[t] = tile[t]


@bug(OutOfBoundsError, "is outside of x, which has 20")
def copies_past_the_end():
    edge_kernel[1, 32](floats(32), floats(20))


@kernel
def bulk_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 64)
    bar = shared(u64, 1)
    t = thread_idx.x
    if t == 0:
        mbarrier.init(bar.ptr, 1)
        fence_async()
    barrier()
    if t == 0:
        mbarrier.arrive_expect_tx(bar.ptr, 256)
        bulk_copy(tile.ptr, x.ptr, 64, bar.ptr)  # BUG bulk_copy_is_not_waited_for
    barrier()
    out[t] = tile[t]  # BUG bulk_copy_is_not_waited_for


@bug(UnfinishedCopyError, "tile[")
def bulk_copy_is_not_waited_for():
    x = np.zeros(80, np.float32)
    x = x[(-x.ctypes.data // 4) % 4 :][:64]
    bulk_kernel[1, 64](floats(64), x)


@kernel
def stored_kernel(out: Tensor[f32, 1]) -> None:
    tile = shared(f32, 64)
    t = thread_idx.x
    tile[t] = f32(t)
    fence_async()
    barrier()
    if t == 0:
        bulk_store(out.ptr, tile.ptr, 64)  # BUG bulk_store_is_not_waited_for
        bulk_commit_group()
    barrier()
    tile[t] = f32(0)  # BUG bulk_store_is_not_waited_for
    if t == 0:
        bulk_wait_group(0)


@bug(UnfinishedCopyError, "writes tile[")
def bulk_store_is_not_waited_for():
    out = np.zeros(80, np.float32)
    out = out[(-out.ctypes.data // 4) % 4 :][:64]
    stored_kernel[1, 64](out)


@kernel
def expects_kernel(x: Tensor[f32, 1]) -> None:
    bar = shared(u64, 1)
    if thread_idx.x == 0:
        mbarrier.init(bar.ptr, 2)
    barrier()
    if thread_idx.x == 0:
        mbarrier.arrive(bar.ptr)
    mbarrier.wait(bar.ptr, 0)  # BUG mbarrier_expects_one_more
    x[thread_idx.x] = f32(1)


@bug(DeadlockError, "threads 0 to 31 wait here")
def mbarrier_expects_one_more():
    expects_kernel[1, 32](floats(32))


@kernel
def box_without_wait_kernel(out: Tensor[f32, 2], x: Tensor[f32, 2]) -> None:
    tile, bar = shared(f32, (8, 8), align=128), shared(u64, 1)
    if thread_idx.x == 0:
        mbarrier.init(bar.ptr, 1)
        mbarrier.arrive_expect_tx(bar.ptr, 256)
        tensor_copy(tile, x, (0, 0), bar.ptr)  # BUG box_without_a_wait
    barrier()
    out[thread_idx.x, 0] = tile[thread_idx.x, 0]  # BUG box_without_a_wait
    mbarrier.wait(bar.ptr, 0)


@bug(UnfinishedCopyError, "tile[")
def box_without_a_wait():
    box_without_wait_kernel[1, 8](aligned(8, 8), aligned(8, 8))


@kernel
def box_overwritten_kernel(out: Tensor[f32, 2], x: Tensor[f32, 2]) -> None:
    tile = shared(f32, (8, 8), align=128)
    t = thread_idx.x
    tile[t, 0] = x[t, 0]
    barrier()
    if t == 0:
        tensor_store(out, (0, 0), tile)  # BUG box_overwritten_on_its_way
        bulk_commit_group()
    barrier()
    tile[t, 0] = 0.0  # BUG box_overwritten_on_its_way
    bulk_wait_group(0)


@bug(UnfinishedCopyError, "tile[")
def box_overwritten_on_its_way():
    box_overwritten_kernel[1, 8](aligned(8, 8), aligned(8, 8))
