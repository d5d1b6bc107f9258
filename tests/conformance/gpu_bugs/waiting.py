"""Threads that wait where others do not come."""

from __future__ import annotations

import numpy as np
from gpu_bugs_kit import bug

from sapwood import Tensor, f32, i32, kernel
from sapwood.gpu import DeadlockError, DivergentBarrierError, atomic_add, barrier, block_idx, shared, thread_idx, warp
from sapwood.lang.ops.atomics import atomic_cas, atomic_load, atomic_store


def floats(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.float32)


@kernel
def half_kernel(x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 64)
    t = thread_idx.x
    tile[t] = x[t]
    if t < 32:
        barrier()  # BUG barrier_in_a_branch
        x[t] = tile[t + 32]
    barrier()  # BUG barrier_in_a_branch


@bug(DivergentBarrierError, "threads 0 to 31")
def barrier_in_a_branch():
    half_kernel[1, 64](floats(64))


@kernel
def both_sides_kernel(x: Tensor[f32, 1]) -> None:
    if x[thread_idx.x] > f32(9):
        barrier()  # BUG barriers_on_both_sides
    else:
        barrier()  # BUG barriers_on_both_sides


@bug(DivergentBarrierError, "block 0 wait at different barriers")
def barriers_on_both_sides():
    both_sides_kernel[1, 20](floats(20))


@kernel
def loop_kernel(x: Tensor[f32, 1]) -> None:
    for _ in range(thread_idx.x + 1):
        barrier()  # BUG different_rounds
    x[thread_idx.x] = f32(1)
    barrier()  # BUG different_rounds


@bug(DivergentBarrierError)
def different_rounds():
    loop_kernel[1, 32](floats(32))


@kernel
def shuffle_kernel(x: Tensor[f32, 1]) -> None:
    t = thread_idx.x
    v = x[t]
    if t < 16:
        v += warp.shuffle_down(v, 8)  # BUG shuffle_in_a_branch
    barrier()  # BUG shuffle_in_a_branch
    x[t] = v


@bug(DeadlockError, "threads 0 to 15")
def shuffle_in_a_branch():
    shuffle_kernel[1, 32](floats(32))


@kernel
def two_shuffles_kernel(x: Tensor[f32, 1]) -> None:
    t = thread_idx.x
    v = x[t]
    if t % 2 == 0:
        v += warp.shuffle_xor(v, 2)  # BUG different_shuffles
    else:
        v += warp.shuffle_xor(v, 4)  # BUG different_shuffles
    x[t] = v


@bug(DeadlockError, "deadlock in block")
def different_shuffles():
    two_shuffles_kernel[3, 32](floats(32))


@kernel
def lock_kernel(lock: Tensor[i32, 1]) -> None:
    while atomic_cas(lock.ptr, i32(0), i32(1)) != 0:  # BUG lock_is_not_given_back
        pass


@bug(DeadlockError, "only look for what")
def lock_is_not_given_back():
    lock_kernel[1, 4](np.zeros(1, np.int32))


@kernel
def grid_wait_kernel(count: Tensor[i32, 1], n: int) -> None:
    if thread_idx.x == 0:
        atomic_add(count.ptr, 1)
        while atomic_load(count.ptr) < i32(n):  # BUG blocks_wait_for_later_blocks
            pass


@bug(DeadlockError, "cooperative=True")
def blocks_wait_for_later_blocks():
    grid_wait_kernel[4, 1](np.zeros(1, np.int32), 4)


@kernel
def flag_kernel(flag: Tensor[i32, 1]) -> None:
    if thread_idx.x == 0:
        barrier()  # BUG flag_is_set_behind_a_barrier
        atomic_store(flag.ptr + block_idx.x, i32(1))
    else:
        while atomic_load(flag.ptr + block_idx.x) == 0:  # BUG flag_is_set_behind_a_barrier
            pass
        barrier()


@bug(DeadlockError)
def flag_is_set_behind_a_barrier():
    flag_kernel[1, 2](np.zeros(1, np.int32))
