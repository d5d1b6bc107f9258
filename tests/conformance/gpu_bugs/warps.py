"""Lanes of a warp that name the wrong lanes, or do not wait for each other."""

from __future__ import annotations

import numpy as np
from gpu_bugs_kit import bug

from sapwood import Tensor, f32, i32, kernel, u32
from sapwood.gpu import DivergentBarrierError, RaceError, WarpMaskError, barrier, lane_id, shared, thread_idx, warp


def floats(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.float32)


@kernel
def others_kernel(x: Tensor[f32, 1]) -> None:
    t = thread_idx.x
    if t >= 16:
        x[t] += warp.shuffle_down(x[t], 1, mask=0xFFFF)  # BUG mask_of_the_other_half


@bug(WarpMaskError, "the mask 0x0000ffff, which does not name lane 16")
def mask_of_the_other_half():
    others_kernel[1, 17](floats(17))


@kernel
def absent_kernel(x: Tensor[f32, 1]) -> None:
    t = thread_idx.x
    v = x[t]
    if t < 12:
        v = v if warp.all(v > f32(0), mask=0xFFFF) else f32(0)  # BUG mask_names_lanes_that_do_not_come
    barrier()  # BUG mask_names_lanes_that_do_not_come
    x[t] = v


@bug(WarpMaskError, "which waits elsewhere")
def mask_names_lanes_that_do_not_come():
    absent_kernel[2, 64](floats(64))


@kernel
def own_mask_kernel(x: Tensor[i32, 1]) -> None:
    lane = lane_id()
    mine = warp.ballot(x[lane] > 0)
    if lane == 3:
        mine |= u32(1)
    if x[lane] > 0 or lane == 0:
        if lane == 0:
            mine = u32(9)
        x[lane] = i32(warp.match_any(x[lane], mask=mine))  # BUG lanes_name_different_masks


@bug(WarpMaskError, "which waits with another one")
def lanes_name_different_masks():
    own_mask_kernel[1, 8](np.array([0, 0, 1, 1, 1, 0, 0, 0], np.int32))


@kernel
def two_syncs_kernel(x: Tensor[f32, 1]) -> None:
    if lane_id() % 2 == 0:
        warp.sync(0x55555555)
        warp.sync(0x00000003)  # BUG sync_with_a_lane_of_another_group
    else:
        warp.sync(0xAAAAAAAA)
        warp.sync(0xAAAAAAAA)
        barrier()  # BUG sync_with_a_lane_of_another_group
    x[0] = f32(0)


@bug(WarpMaskError)
def sync_with_a_lane_of_another_group():
    two_syncs_kernel[1, 2](floats(1))


@kernel
def neighbour_kernel(x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 64)
    t = thread_idx.x
    tile[t] = x[t]  # BUG warp_does_not_wait
    x[t] = tile[t ^ 1]  # BUG warp_does_not_wait


@bug(RaceError, "tile[")
def warp_does_not_wait():
    neighbour_kernel[1, 64](floats(64))


@kernel
def shuffled_kernel(x: Tensor[f32, 1]) -> None:
    """A shuffle is no wait: it orders nothing (CUDA C++ Programming Guide, "Warp Shuffle Functions")."""
    tile = shared(f32, 32)
    t = thread_idx.x
    tile[t] = x[t]  # BUG shuffle_taken_for_a_wait
    v = warp.shuffle_xor(x[t], 1)
    x[t] = v + tile[t ^ 1]  # BUG shuffle_taken_for_a_wait


@bug(RaceError, "tile[")
def shuffle_taken_for_a_wait():
    shuffled_kernel[1, 32](floats(32))


@kernel
def half_sync_kernel(x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 32)
    t = thread_idx.x
    tile[t] = x[t]  # BUG sync_of_each_half
    warp.sync(u32(0xFFFF) if t < 16 else u32(0xFFFF0000))
    x[t] = tile[31 - t]  # BUG sync_of_each_half


@bug(RaceError, "tile[")
def sync_of_each_half():
    half_sync_kernel[1, 32](floats(32))


@kernel
def other_warp_kernel(x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 64)
    t = thread_idx.x
    tile[t] = x[t]  # BUG warp_sync_where_a_barrier_is_needed
    warp.sync()
    x[t] = tile[63 - t]  # BUG warp_sync_where_a_barrier_is_needed


@bug(RaceError, "tile[")
def warp_sync_where_a_barrier_is_needed():
    other_warp_kernel[1, 64](floats(64))


@kernel
def early_kernel(x: Tensor[f32, 1]) -> None:
    """A vote decides for the warp, and the barrier is one of the block."""
    t = thread_idx.x
    if warp.any(x[t] > f32(40)):
        barrier()  # BUG barrier_behind_a_vote
        x[t] = f32(1)
    barrier()  # BUG barrier_behind_a_vote


@bug(DivergentBarrierError, "threads 0 to 31")
def barrier_behind_a_vote():
    early_kernel[1, 64](floats(64))
