"""Mistakes with named barriers, votes, clusters and whole grids."""

from __future__ import annotations

import numpy as np
from gpu_bugs_kit import bug

from sapwood import Tensor, f32, i32, kernel
from sapwood.gpu import (
    DeadlockError,
    DivergentBarrierError,
    OutOfBoundsError,
    RaceError,
    barrier,
    barrier_any,
    block_dim,
    block_idx,
    block_rank,
    cluster_sync,
    grid_dim,
    grid_sync,
    map_shared,
    named_barrier,
    shared,
    thread_idx,
)


def floats(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.float32)


@kernel
def producers_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    box = shared(f32, 32)
    t = thread_idx.x
    if t < 32:
        named_barrier(1, 64).arrive()
        box[t] = x[t]  # BUG written_after_the_arrival
    else:
        named_barrier(1, 64).sync()
        out[t - 32] = box[t - 32]  # BUG written_after_the_arrival


@bug(RaceError, "box[")
def written_after_the_arrival():
    producers_kernel[1, 64](floats(32), floats(32))


@kernel
def other_barrier_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    box = shared(f32, 64)
    t = thread_idx.x
    box[t] = x[t]  # BUG two_barriers_of_half_a_block
    if t < 32:
        named_barrier(1, 32).sync()
    else:
        named_barrier(2, 32).sync()
    out[t] = box[(t + 32) % 64]  # BUG two_barriers_of_half_a_block


@bug(RaceError, "box[")
def two_barriers_of_half_a_block():
    other_barrier_kernel[1, 64](floats(64), floats(64))


@kernel
def miscounted_kernel(out: Tensor[f32, 1]) -> None:
    if thread_idx.x < 32:
        named_barrier(3, 64).sync()  # BUG named_barrier_counts_too_many
    out[thread_idx.x] = f32(1)
    barrier()  # BUG named_barrier_counts_too_many


@bug(DeadlockError, "threads 0 to 31 wait here")
def named_barrier_counts_too_many():
    miscounted_kernel[1, 64](floats(64))


@kernel
def vote_kernel(out: Tensor[i32, 1], x: Tensor[f32, 1]) -> None:
    t = thread_idx.x
    if x[t] > f32(10):
        out[t] = i32(barrier_any(x[t] > f32(20)))  # BUG vote_in_a_branch
    barrier()  # BUG vote_in_a_branch


@bug(DivergentBarrierError)
def vote_in_a_branch():
    vote_kernel[1, 40](np.zeros(40, np.int32), floats(40))


@kernel
def cluster_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    box = shared(f32, 8)
    t = thread_idx.x
    box[t] = x[block_idx.x * 8 + t]  # BUG no_cluster_sync
    there = map_shared(box, 1 - block_rank())
    out[block_idx.x * 8 + t] = there[7 - t]  # BUG no_cluster_sync


@bug(RaceError, "box")
def no_cluster_sync():
    cluster_kernel.launch(grid=2, block=8, cluster=2)(floats(16), floats(16))


@kernel
def cluster_end_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    box = shared(f32, 8)
    t = thread_idx.x
    box[t] = x[block_idx.x * 8 + t]
    cluster_sync()
    there = map_shared(box, 1 - block_rank())
    out[block_idx.x * 8 + t] = there[7 - t]  # BUG reused_while_the_other_block_reads
    barrier()
    box[t] = f32(0)  # BUG reused_while_the_other_block_reads


@bug(RaceError, "box")
def reused_while_the_other_block_reads():
    cluster_end_kernel.launch(grid=2, block=8, cluster=2)(floats(16), floats(16))


@kernel(unchecked=True)
def rank_kernel(out: Tensor[f32, 1]) -> None:
    box = shared(f32, 8)
    box[thread_idx.x] = f32(1)
    cluster_sync()
    there = map_shared(box, block_rank())
    p = there.ptr + 4
    out[block_idx.x * 8 + thread_idx.x] = p[thread_idx.x]  # BUG past_a_mapped_array
    cluster_sync()


@bug(OutOfBoundsError)
def past_a_mapped_array():
    rank_kernel.launch(grid=2, block=8, cluster=2)(floats(16))


@kernel
def grid_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    x[i] = x[i] + f32(1)  # BUG barrier_for_grid_sync
    barrier()
    out[i] = x[grid_dim.x * block_dim.x - 1 - i]  # BUG barrier_for_grid_sync


@bug(RaceError, "blocks run in any order")
def barrier_for_grid_sync():
    grid_kernel.launch(grid=4, block=8, cooperative=True)(floats(32), floats(32))


@kernel
def some_threads_kernel(x: Tensor[f32, 1]) -> None:
    if thread_idx.x < 2:
        grid_sync()  # BUG grid_sync_by_some_threads
    barrier()  # BUG grid_sync_by_some_threads
    x[4 * block_idx.x + thread_idx.x] = f32(1)


@bug(DeadlockError, "of block 2")
def grid_sync_by_some_threads():
    some_threads_kernel.launch(grid=3, block=4, cooperative=True)(floats(12))
