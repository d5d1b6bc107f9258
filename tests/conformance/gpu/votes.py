"""Warps that vote, find their equals, and wait for themselves."""

from __future__ import annotations

import numpy as np
from gpu_conformance import Results, cdiv, normal, poison, program, wide

from sapwood import Tensor, f32, fn, i32, kernel, u8, u32
from sapwood.gpu import atomic_add, block_dim, block_idx, lane_id, shared, thread_idx, warp, warp_id
from sapwood.lang.ops.bits import popcount, trailing_zeros

BINS = 16


@fn(inline=True)
def lanes_below(mask: u32) -> int:
    """How many of the lanes of a mask are below this one."""
    return int(popcount(mask & (u32(1) << u32(lane_id())) - u32(1)))


@kernel
def compact_kernel(out: Tensor[i32, 1], ends: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    """What is positive, in order within each warp's 32 places; `ends` says how many."""
    i = block_idx.x * block_dim.x + thread_idx.x
    v = x[i] if i < x.size else i32(0)
    mask = warp.ballot(v > 0)
    if v > 0:
        out[i - lane_id() + lanes_below(mask)] = v
    if lane_id() == 0 and i < x.size:
        ends[i // 32] = i32(popcount(mask))


@program(1, 45, 4000)
def compact_by_ballots(run, rng, n) -> Results:
    x, out, ends = rng.integers(-9, 10, n, np.int32), poison(n, dtype=np.int32), poison(cdiv(n, 32), dtype=np.int32)
    run(compact_kernel, cdiv(n, 96), 96, out, ends, x)
    groups = [x[i : i + 32] for i in range(0, n, 32)]
    yield ends, np.array([(g > 0).sum() for g in groups], np.int32)
    full = [np.append(g[g > 0], np.full((g <= 0).sum(), -77, np.int32)) for g in groups]
    yield out, np.concatenate(full)


@kernel
def aggregate_kernel(out: Tensor[i32, 1], count: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    """One atomic addition for all lanes of a warp that keep something (CUDA: warp-aggregated atomics)."""
    i = block_idx.x * block_dim.x + thread_idx.x
    keep = i < x.size and x[i] > 0
    mask = warp.ballot(keep)
    if keep:
        leader, first = int(trailing_zeros(mask)), i32(0)
        if lane_id() == leader:
            first = atomic_add(count.ptr, i32(popcount(mask)))
        out[int(warp.shuffle(first, leader, mask=mask)) + lanes_below(mask)] = x[i]


@program(1, 100, 3000)
def filter_by_aggregated_atomics(run, rng, n) -> Results:
    x, out, count = rng.integers(-9, 10, n, np.int32), poison(n, dtype=np.int32), np.zeros(1, np.int32)
    run(aggregate_kernel, cdiv(n, 64), 64, out, count, x)
    kept = np.sort(x[x > 0])
    yield count, np.array([kept.size], np.int32)
    yield np.sort(out[: kept.size]), kept
    yield out[kept.size :], np.full(n - kept.size, -77, np.int32)


@kernel
def equals_kernel(out: Tensor[i32, 1], x: Tensor[u8, 1]) -> None:
    """A histogram: the lowest of the lanes that have one bin adds for all of them."""
    i = block_idx.x * block_dim.x + thread_idx.x
    bin_ = i32(x[i]) % BINS if i < x.size else i32(-1)
    same = warp.match_any(bin_)
    if bin_ >= 0 and lanes_below(same) == 0:
        atomic_add(out.ptr + int(bin_), i32(popcount(same)))


@program(1, 99, 5000)
def histogram_by_equals(run, rng, n) -> Results:
    x, out = rng.integers(0, 256, n, np.uint8), np.zeros(BINS, np.int32)
    run(equals_kernel, cdiv(n, 128), 128, out, x)
    yield out, np.bincount(x % BINS, minlength=BINS).astype(np.int32)


@kernel
def transpose_kernel(out: Tensor[f32, 2], x: Tensor[f32, 2]) -> None:
    """A warp turns its own tile of 32 by 32 around; no barrier, as no other warp sees it."""
    tiles = shared(f32, (2, 32, 33))
    w, lane = warp_id(), lane_id()
    row, column = block_idx.y * 32, (block_idx.x * 2 + w) * 32
    for i in range(32):
        inside = row + i < x.shape[0] and column + lane < x.shape[1]
        tiles[w, i, lane] = x[row + i, column + lane] if inside else f32(0)
    warp.sync()
    for i in range(32):
        if column + i < out.shape[0] and row + lane < out.shape[1]:
            out[column + i, row + lane] = tiles[w, lane, i]


@program(1, 33, 100)
def transpose_by_warps(run, rng, n) -> Results:
    x, out = normal(rng, n, 2 * n + 1), poison(2 * n + 1, n)
    run(transpose_kernel, (cdiv(2 * n + 1, 64), cdiv(n, 32)), 64, out, x)
    yield out, wide(x).T


@kernel
def newton_kernel(out: Tensor[f32, 1], rounds: Tensor[i32, 1], x: Tensor[f32, 1]) -> None:
    """Square roots by Newton's method, until all lanes of a warp are content."""
    i = block_idx.x * block_dim.x + thread_idx.x
    v = x[i] if i < x.size else f32(1)
    root, count = (v + f32(1)) * f32(0.5), i32(0)
    while not warp.all(abs(root * root - v) <= f32(1e-5) * v):
        root = (root + v / root) * f32(0.5)
        count += 1
    if i < x.size:
        out[i] = root
        rounds[i] = count


@program(1, 77, 2000)
def roots_until_all_are_content(run, rng, n) -> Results:
    x, out, rounds = (rng.random(n) * 1000 + 0.1).astype(np.float32), poison(n), poison(n, dtype=np.int32)
    run(newton_kernel, cdiv(n, 64), 64, out, rounds, x)
    yield out, np.sqrt(wide(x))
    yield rounds, np.repeat(rounds[::32], 32)[:n]


@kernel
def split_kernel(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    """Both halves of a warp reverse their numbers, each on its own and as often as it likes."""
    i = block_idx.x * block_dim.x + thread_idx.x
    lane = lane_id()
    v = x[i]
    if lane < 16:
        v = warp.shuffle_xor(v, 15, mask=0xFFFF)
    else:
        for _ in range(3):
            v = warp.shuffle(v, 47 - lane, mask=0xFFFF0000) + 1
        if warp.all(v > 0, mask=0xFFFF0000):
            v = -v
    out[i] = v


@program(64)
def halves_of_warps(run, rng, n) -> Results:
    x, out = rng.integers(-2, 9, n, np.int32), poison(n, dtype=np.int32)
    run(split_kernel, 1, n, out, x)
    h = x.reshape(-1, 2, 16)[:, :, ::-1].copy()
    h[:, 1] += 3
    h[:, 1] *= np.where((h[:, 1] > 0).all(1, keepdims=True), -1, 1)
    yield out, h.reshape(-1)
