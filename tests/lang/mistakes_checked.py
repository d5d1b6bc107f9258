"""Bugs of kernels that checked launches find while they run; see mistakes.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from mistakes import MISTAKES

from sapwood import Ptr, StackArray, Tensor, f32, kernel, u32
from sapwood.gpu import atomic_max, barrier, block_idx, checked, shared, thread_idx, warp
from sapwood.lang.ops.memory import assume_aligned


def run(k: Any, grid: Any, block: Any, *sizes: int) -> None:
    """The first launch with this schedule is a mistake."""

    def launch() -> None:
        with checked(seed=7):
            k[grid, block](*(np.zeros(n, np.float32) for n in sizes))

    MISTAKES[f"checked_{k.__name__}"] = launch


@kernel
def race_in_shared_memory(x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 64)
    tile[thread_idx.x] = x[thread_idx.x]
    x[thread_idx.x] = tile[63 - thread_idx.x]


@kernel
def race_between_blocks(x: Tensor[f32, 1]) -> None:
    x[thread_idx.x] = f32(block_idx.x)


@kernel
def scope_of_a_block(x: Tensor[f32, 1]) -> None:
    atomic_max(x.ptr, f32(block_idx.x), scope="block")


@kernel(unchecked=True)
def past_the_end(x: Tensor[f32, 1]) -> None:
    x[thread_idx.x] = f32(1)


@kernel(unchecked=True)
def pointer_past_the_end(x: Tensor[f32, 1]) -> None:
    (x.ptr + thread_idx.x)[2] = f32(1)


@kernel(unchecked=True)
def wild_pointer(x: Tensor[f32, 1]) -> None:
    Ptr[f32](4096)[0] = x[0]


@kernel(unchecked=True)
def past_a_stack_array(out: Tensor[f32, 1]) -> None:
    own = StackArray[f32, 4](0)
    own[thread_idx.x] = f32(1)
    out[thread_idx.x] = own[0]


@kernel
def unwritten(x: Tensor[f32, 1]) -> None:
    tile = shared(f32, (2, 8))
    x[thread_idx.x] = tile[1, thread_idx.x]


@kernel(unchecked=True)
def odd_vectors(x: Tensor[f32, 1]) -> None:
    p = assume_aligned(x.ptr + thread_idx.x, 16)
    p[0] = f32(1)


@kernel
def two_barriers(x: Tensor[f32, 1]) -> None:
    if thread_idx.x < 3:
        barrier()
    else:
        x[0] = f32(0)
        barrier()


@kernel
def warp_apart(x: Tensor[f32, 1]) -> None:
    v = x[thread_idx.x]
    if thread_idx.x < 3:
        return
    if thread_idx.x % 2 == 0:
        v = warp.shuffle_xor(v, 2)
    barrier()
    x[thread_idx.x] = v


@kernel
def own_lane_not_in_mask(x: Tensor[f32, 1]) -> None:
    x[thread_idx.x] = warp.shuffle(x[thread_idx.x], 0, mask=7)


@kernel
def masks_differ(x: Tensor[f32, 1]) -> None:
    mask = u32(3) if thread_idx.x == 0 else u32(15)
    x[thread_idx.x] = warp.shuffle(x[thread_idx.x], 0, mask=mask)


@kernel
def mask_of_absent(x: Tensor[f32, 1]) -> None:
    if thread_idx.x < 3:
        warp.sync(15)
    barrier()


run(race_in_shared_memory, 1, 64, 64)
run(race_between_blocks, (2, 3), 1, 1)
run(scope_of_a_block, 2, 1, 1)
run(past_the_end, 1, (4, 2, 2), 3)
run(pointer_past_the_end, 1, 1, 2)
run(wild_pointer, 1, 1, 1)
run(past_a_stack_array, 1, 5, 5)
run(unwritten, 1, 1, 1)
run(odd_vectors, 1, 2, 5)
run(two_barriers, 1, 4, 1)
run(warp_apart, 1, 12, 12)
run(own_lane_not_in_mask, 2, (2, 2), 4)
run(masks_differ, 1, 4, 4)
run(mask_of_absent, 1, 4, 4)
