"""Atomic operations whose order or scope is too weak for what a kernel does with them."""

from __future__ import annotations

import numpy as np
from gpu_bugs_kit import bug

from sapwood import Tensor, f32, i32, kernel, u32
from sapwood.gpu import (
    RaceError,
    atomic_add,
    atomic_cas,
    atomic_exchange,
    atomic_inc,
    atomic_load,
    atomic_max,
    atomic_store,
    barrier,
    block_idx,
    block_rank,
    cluster_sync,
    fence,
    grid_dim,
    map_shared,
    shared,
    thread_idx,
)


def floats(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.float32)


def ints(n: int) -> np.ndarray:
    return np.zeros(n, np.int32)


@kernel
def flag_kernel(out: Tensor[f32, 1], flag: Tensor[i32, 1]) -> None:
    if block_idx.x == 0:
        out[0] = f32(7)  # BUG published_by_a_relaxed_store
        atomic_store(flag.ptr, i32(1), "relaxed")
    else:
        while atomic_load(flag.ptr, "acquire") == 0:
            pass
        out[1] = out[0]  # BUG published_by_a_relaxed_store


@bug(RaceError, "out[0]")
def published_by_a_relaxed_store():
    flag_kernel.launch(grid=2, block=1, cooperative=True)(floats(2), ints(1))


@kernel
def relaxed_look_kernel(out: Tensor[f32, 1], flag: Tensor[i32, 1]) -> None:
    if block_idx.x == 0:
        out[0] = f32(7)  # BUG looked_for_with_relaxed_loads
        atomic_store(flag.ptr, i32(1), "release")
    else:
        while atomic_load(flag.ptr, "relaxed") == 0:
            pass
        out[1] = out[0]  # BUG looked_for_with_relaxed_loads


@bug(RaceError, "out[0]")
def looked_for_with_relaxed_loads():
    relaxed_look_kernel[2, 1](floats(2), ints(1))


@kernel
def last_block_kernel(total: Tensor[f32, 1], part: Tensor[f32, 1], done: Tensor[u32, 1], x: Tensor[f32, 1]) -> None:
    """The last block adds up what all have left; a counter that is relaxed does not hand it over."""
    if thread_idx.x == 0:
        part[block_idx.x] = x[block_idx.x]  # BUG counted_relaxed
        if atomic_inc(done.ptr, u32(grid_dim.x - 1), "relaxed") == u32(grid_dim.x - 1):
            for b in range(grid_dim.x):
                total[0] += part[b]  # BUG counted_relaxed


@bug(RaceError, "part[")
def counted_relaxed():
    last_block_kernel[4, 32](floats(1), floats(4), np.zeros(1, np.uint32), floats(4))


@kernel
def narrow_fence_kernel(total: Tensor[f32, 1], part: Tensor[f32, 1], done: Tensor[u32, 1]) -> None:
    """The same with fences, of a block."""
    part[block_idx.x] = f32(1)  # BUG fence_of_a_block
    fence("acq_rel", "block")
    last = atomic_inc(done.ptr, u32(grid_dim.x - 1), "relaxed") == u32(grid_dim.x - 1)
    fence("acq_rel", "block")
    if last:
        for b in range(grid_dim.x):
            total[0] += part[b]  # BUG fence_of_a_block


@bug(RaceError, "part[")
def fence_of_a_block():
    narrow_fence_kernel[3, 1](floats(1), floats(3), np.zeros(1, np.uint32))


@kernel
def one_fence_kernel(out: Tensor[f32, 1], flag: Tensor[i32, 1]) -> None:
    """The writer has a fence, the reader none."""
    box = shared(f32, 1)
    if thread_idx.x == 0:
        box[0] = f32(7)  # BUG reader_without_a_fence
        fence("release")
        atomic_store(flag.ptr, i32(1), "relaxed")
    elif thread_idx.x == 32:
        while atomic_load(flag.ptr, "relaxed") == 0:
            pass
        out[0] = box[0]  # BUG reader_without_a_fence


@bug(RaceError, "box[0]")
def reader_without_a_fence():
    one_fence_kernel[1, 64](floats(1), ints(1))


@kernel
def fence_too_early_kernel(out: Tensor[f32, 1], flag: Tensor[i32, 1]) -> None:
    box = shared(f32, 1)
    if thread_idx.x == 0:
        fence("release")
        box[0] = f32(7)  # BUG written_behind_the_fence
        atomic_store(flag.ptr, i32(1), "relaxed")
    elif thread_idx.x == 32:
        while atomic_load(flag.ptr, "acquire") == 0:
            pass
        out[0] = box[0]  # BUG written_behind_the_fence


@bug(RaceError, "box[0]")
def written_behind_the_fence():
    fence_too_early_kernel[1, 64](floats(1), ints(1))


@kernel
def count_of_blocks_kernel(out: Tensor[i32, 1]) -> None:
    atomic_add(out.ptr, i32(1), scope="block")  # BUG counted_in_the_scope_of_a_block


@bug(RaceError, "say scope='device'")
def counted_in_the_scope_of_a_block():
    count_of_blocks_kernel[3, 16](ints(1))


@kernel
def flag_of_a_block_kernel(out: Tensor[f32, 1], flag: Tensor[i32, 1]) -> None:
    if block_idx.x == 0:
        out[0] = f32(7)
        atomic_store(flag.ptr, i32(1), "release", "block")  # BUG flag_of_a_block
    else:
        while atomic_load(flag.ptr, "acquire") == 0:  # BUG flag_of_a_block
            pass
        out[1] = out[0]


@bug(RaceError, "flag[0]")
def flag_of_a_block():
    flag_of_a_block_kernel[2, 1](floats(2), ints(1))


@kernel
def extremes_of_clusters_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    atomic_max(out.ptr, x[block_idx.x], "relaxed", "cluster")  # BUG clusters_meet_in_the_scope_of_one


@bug(RaceError, "out[0]")
def clusters_meet_in_the_scope_of_one():
    extremes_of_clusters_kernel.launch(grid=4, block=1, cluster=2)(floats(1), floats(4))


@kernel
def neighbour_kernel(out: Tensor[i32, 1]) -> None:
    box = shared(i32, 1)
    if thread_idx.x == 0:
        box[0] = i32(0)
    cluster_sync()
    atomic_add(box.ptr, i32(1), scope="block")  # BUG own_scope_on_shared_memory_of_a_cluster
    atomic_add(map_shared(box, 1 - block_rank()).ptr, i32(1))  # BUG own_scope_on_shared_memory_of_a_cluster
    cluster_sync()
    out[block_idx.x] = box[0]


@bug(RaceError, "box[0]")
def own_scope_on_shared_memory_of_a_cluster():
    neighbour_kernel.launch(grid=2, block=1, cluster=2)(ints(2))


@kernel
def relaxed_lock_kernel(lock: Tensor[i32, 1], count: Tensor[i32, 1]) -> None:
    if thread_idx.x % 32 == 0:
        while atomic_cas(lock.ptr, i32(0), i32(1), "relaxed") != 0:
            pass
        count[0] += i32(1)  # BUG relaxed_lock
        atomic_exchange(lock.ptr, i32(0), "relaxed")


@bug(RaceError, "count[0]")
def relaxed_lock():
    relaxed_lock_kernel[1, 96](ints(1), ints(1))


@kernel
def barrier_between_blocks_kernel(out: Tensor[i32, 1], come: Tensor[i32, 1]) -> None:
    """A barrier of the grid, made by hand: the last thing that blocks write before it is not released."""
    out[block_idx.x] = i32(block_idx.x)  # BUG grid_barrier_that_releases_nothing
    barrier()
    if thread_idx.x == 0:
        atomic_add(come.ptr, i32(1), "acquire")
        while atomic_load(come.ptr, "acquire") < i32(grid_dim.x):
            pass
    barrier()
    out[block_idx.x + grid_dim.x] = out[(block_idx.x + 1) % grid_dim.x]  # BUG grid_barrier_that_releases_nothing


@bug(RaceError, "out[")
def grid_barrier_that_releases_nothing():
    barrier_between_blocks_kernel.launch(grid=3, block=1, cooperative=True)(ints(6), ints(1))
