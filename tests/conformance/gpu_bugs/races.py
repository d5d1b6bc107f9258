"""Data races in shared memory, in global memory of one block, and between blocks."""

from __future__ import annotations

import numpy as np
from gpu_bugs_kit import bug

from sapwood import Tensor, f32, fn, i32, kernel
from sapwood.gpu import RaceError, atomic_add, barrier, block_dim, block_idx, shared, thread_idx


def floats(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def ints(n: int) -> np.ndarray:
    return np.zeros(n, np.int32)


@kernel
def reverse_kernel(x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 64)
    t = thread_idx.x
    tile[t] = x[t]  # BUG missing_barrier
    x[t] = tile[63 - t]  # BUG missing_barrier


@bug(RaceError, "tile[")
def missing_barrier():
    reverse_kernel[1, 64](floats(64))


@kernel
def tiles_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 32)
    t = thread_idx.x
    total = f32(0)
    for first in range(0, x.size, 32):
        tile[t] = x[first + t]  # BUG no_barrier_at_the_end_of_a_round
        barrier()
        for k in range(32):
            total += tile[k]  # BUG no_barrier_at_the_end_of_a_round
    out[t] = total


@bug(RaceError, "tile[")
def no_barrier_at_the_end_of_a_round():
    tiles_kernel[1, 32](floats(32), floats(96))


@kernel
def tree_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 128)
    t = thread_idx.x
    tile[t] = x[t]
    barrier()
    n = 64
    while n > 0:
        if t < n:
            tile[t] += tile[t + n]  # BUG reduction_without_barriers
        n //= 2
    if t == 0:
        out[0] = tile[0]


@bug(RaceError, "tile[")
def reduction_without_barriers():
    tree_kernel[1, 128](floats(1), floats(128))


@kernel
def scan_kernel(x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 64)
    t = thread_idx.x
    tile[t] = x[t]
    barrier()
    step = 1
    while step < 64:
        if t >= step:
            tile[t] += tile[t - step]  # BUG scan_in_place
        barrier()
        step *= 2
    x[t] = tile[t]


@bug(RaceError, "tile[")
def scan_in_place():
    scan_kernel[1, 64](floats(64))


@kernel
def neighbours_kernel(x: Tensor[f32, 1]) -> None:
    t = thread_idx.x
    if t + 1 < x.size:
        x[t] = x[t + 1] * f32(0.5)  # BUG stencil_in_place


@bug(RaceError, "x[")
def stencil_in_place():
    neighbours_kernel[1, 40](floats(40))


@kernel
def count_kernel(out: Tensor[i32, 1]) -> None:
    out[0] += i32(1)  # BUG count_without_atomics


@bug(RaceError, "out[0]")
def count_without_atomics():
    count_kernel[1, 32](ints(1))


@kernel
def same_value_kernel(flag: Tensor[i32, 1], x: Tensor[f32, 1]) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    if x[i] > f32(3):
        flag[0] = i32(1)  # BUG same_value_by_all


@bug(RaceError, "flag[0]")
def same_value_by_all():
    same_value_kernel[1, 32](ints(1), floats(32))


@kernel
def histogram_kernel(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    bins = shared(i32, 8)
    t = thread_idx.x
    if t < 8:
        bins[t] = i32(0)  # BUG zeroed_too_late
    atomic_add(bins.ptr + x[t], 1)  # BUG zeroed_too_late
    barrier()
    if t < 8:
        atomic_add(out.ptr + t, bins[t])


@bug(RaceError, "bins[")
def zeroed_too_late():
    histogram_kernel[1, 64](ints(8), np.arange(64, dtype=np.int32) % 8)


@kernel
def read_counter_kernel(out: Tensor[i32, 1], counter: Tensor[i32, 1]) -> None:
    atomic_add(counter.ptr, 1)  # BUG atomic_and_plain
    out[thread_idx.x] = counter[0]  # BUG atomic_and_plain


@bug(RaceError, "counter[0]")
def atomic_and_plain():
    read_counter_kernel[1, 33](ints(33), ints(1))


@kernel
def sum_of_blocks_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    if thread_idx.x == 0:
        out[0] = out[0] + x[i]  # BUG blocks_add_without_atomics


@bug(RaceError, "blocks run in any order")
def blocks_add_without_atomics():
    sum_of_blocks_kernel[4, 32](floats(1), floats(128))


@kernel
def halo_kernel(x: Tensor[f32, 1]) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    left = f32(0)
    if thread_idx.x == 0 and i > 0:
        left = x[i - 1]  # BUG halo_of_another_block
    barrier()
    x[i] = x[i] + left  # BUG halo_of_another_block


@bug(RaceError, "x[")
def halo_of_another_block():
    halo_kernel[3, 16](floats(48))


@kernel
def wrong_stride_kernel(x: Tensor[f32, 1]) -> None:
    i = block_idx.x * 32 + thread_idx.x  # blocks have 48 threads
    x[i] = x[i] * f32(2)  # BUG blocks_overlap


@bug(RaceError, "x[")
def blocks_overlap():
    wrong_stride_kernel[3, 48](floats(160))


@kernel
def transpose_kernel(x: Tensor[f32, 2]) -> None:
    r, c = thread_idx.y, thread_idx.x
    x[r, c] = x[c, r]  # BUG transpose_in_place


@bug(RaceError, "thread (")
def transpose_in_place():
    transpose_kernel[1, (8, 8)](floats(8, 8))


@fn
def push(tile: Tensor[f32, 1], t: int, v: f32) -> None:
    tile[t // 2] = v  # BUG in_a_helper


@kernel
def helper_kernel(x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 32)
    push(tile, thread_idx.x, x[thread_idx.x])
    barrier()
    x[thread_idx.x] = tile[thread_idx.x // 2]


@bug(RaceError, "in push")
def in_a_helper():
    helper_kernel[1, 64](floats(64))


@kernel
def aliases_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    t = thread_idx.x
    out[t] = x[t] + f32(1)  # BUG arguments_overlap


@bug(RaceError, "x[")
def arguments_overlap():
    x = floats(65)
    aliases_kernel[1, 64](x[:64], x[1:])


@kernel
def double_buffer_kernel(x: Tensor[f32, 1], rounds: int) -> None:
    tile = shared(f32, (2, 32))
    t = thread_idx.x
    tile[0, t] = x[t]
    barrier()
    for r in range(rounds):
        now = r % 2
        tile[now, t] = tile[now, (t + 1) % 32]  # BUG the_wrong_buffer
        barrier()
    x[t] = tile[rounds % 2, t]


@bug(RaceError, "tile[")
def the_wrong_buffer():
    double_buffer_kernel[1, 32](floats(32), 3)


@kernel
def one_barrier_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    total = shared(f32, 1)
    t = thread_idx.x
    for k in range(4):
        if t == k:
            total[0] = x[k]  # BUG broadcast_without_second_barrier
        barrier()
        out[t] += total[0]  # BUG broadcast_without_second_barrier


@bug(RaceError, "total[0]")
def broadcast_without_second_barrier():
    one_barrier_kernel[1, 64](floats(64), floats(4))
