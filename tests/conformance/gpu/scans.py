"""Running sums: in a warp, in a block, over many blocks; what is built on them."""

from __future__ import annotations

import numpy as np
from gpu_conformance import Results, cdiv, poison, program

from sapwood import Tensor, fn, i32, kernel, unroll
from sapwood.gpu import barrier, block, block_dim, block_idx, lane_id, shared, thread_idx, warp


@kernel
def warp_scan_kernel(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    total = warp.scan_add(x[i] if i < x.size else i32(0))
    if i < x.size:
        out[i] = total


@program(1, 32, 1000)
def scan_of_warps(run, rng, n) -> Results:
    x, out = rng.integers(-9, 10, n, np.int32), poison(n, dtype=np.int32)
    run(warp_scan_kernel, cdiv(n, 128), 128, out, x)
    p = np.pad(x, (0, -n % 32)).reshape(-1, 32)
    yield out, np.cumsum(p, 1).reshape(-1)[:n].astype(np.int32)


@kernel
def steps_kernel(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    """Hillis and Steele: two buffers, a barrier a step."""
    tile = shared(i32, (2, 256))
    t, n = thread_idx.x, block_dim.x
    tile[0, t] = x[t] if t < x.size else i32(0)
    barrier()
    here, step = 0, 1
    while step < n:
        other = 1 - here
        tile[other, t] = tile[here, t] + tile[here, t - step] if t >= step else tile[here, t]
        barrier()
        here, step = other, 2 * step
    if t < x.size:
        out[t] = tile[here, t]


@program(1, 7, 200, 256)
def scan_by_steps(run, rng, n) -> Results:
    x, out = rng.integers(-9, 10, n, np.int32), poison(n, dtype=np.int32)
    run(steps_kernel, 1, max(n, 1), out, x)
    yield out, np.cumsum(x).astype(np.int32)


@fn(inline=True)
def padded(i: int) -> int:
    return i + i // 32


@kernel
def sweeps_kernel(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    """Blelloch: up and down a tree of 256, exclusive, with padding against bank conflicts."""
    tile = shared(i32, 256 + 8)
    t, n = thread_idx.x, x.size
    tile[padded(t)] = x[t] if t < n else i32(0)
    tile[padded(t + 128)] = x[t + 128] if t + 128 < n else i32(0)
    step = 1
    while step < 256:
        barrier()
        i = (t + 1) * 2 * step - 1
        if i < 256:
            tile[padded(i)] += tile[padded(i - step)]
        step *= 2
    if t == 0:
        tile[padded(255)] = i32(0)
    while step > 1:
        step //= 2
        barrier()
        i = (t + 1) * 2 * step - 1
        if i < 256:
            left = tile[padded(i - step)]
            tile[padded(i - step)] = tile[padded(i)]
            tile[padded(i)] += left
    barrier()
    if t < n:
        out[t] = tile[padded(t)]
    if t + 128 < n:
        out[t + 128] = tile[padded(t + 128)]


@program(1, 100, 256)
def scan_by_sweeps(run, rng, n) -> Results:
    x, out = rng.integers(-9, 10, n, np.int32), poison(n, dtype=np.int32)
    run(sweeps_kernel, 1, 128, out, x)
    yield out, (np.cumsum(x) - x).astype(np.int32)


@kernel
def blocks_kernel(out: Tensor[i32, 1], ends: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    total = block.scan_add(x[i] if i < x.size else i32(0))
    if i < x.size:
        out[i] = total
    if thread_idx.x == block_dim.x - 1:
        ends[block_idx.x] = total


@kernel
def add_kernel(out: Tensor[i32, 1], ends: Tensor[i32, 1]) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    if block_idx.x > 0 and i < out.size:
        out[i] += ends[block_idx.x - 1]


@program(1, 255, 257, 20_000)
def scan_of_blocks(run, rng, n) -> Results:
    """Blocks, then their sums, then both: three launches."""
    x, out = rng.integers(-9, 10, n, np.int32), poison(n, dtype=np.int32)
    blocks = cdiv(n, 256)
    ends, sums, unused = (poison(k, dtype=np.int32) for k in (blocks, blocks, 1))
    run(blocks_kernel, blocks, 256, out, ends, x)
    run(blocks_kernel, 1, 256, sums, unused, ends)
    run(add_kernel, blocks, 256, out, sums)
    yield out, np.cumsum(x).astype(np.int32)


@kernel
def compact_kernel(out: Tensor[i32, 1], count: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    """What is positive, in order, by one block that goes through all pieces."""
    base, total = shared(i32, 1), i32(0)
    t = thread_idx.x
    if t == 0:
        base[0] = i32(0)
    for first in range(0, x.size, block_dim.x):
        i = first + t
        keep = i < x.size and x[i] > 0
        total = block.scan_add(i32(1) if keep else i32(0))
        before = base[0]
        if keep:
            out[int(before + total) - 1] = x[i]
        barrier()
        if t == block_dim.x - 1:
            base[0] = before + total
        barrier()
    if t == 0:
        count[0] = base[0]


@program(1, 100, 5000)
def compact(run, rng, n) -> Results:
    x, out, count = rng.integers(-9, 10, n, np.int32), poison(n, dtype=np.int32), poison(1, dtype=np.int32)
    run(compact_kernel, 1, 128, out, count, x)
    kept = x[x > 0]
    yield count, np.array([kept.size], np.int32)
    yield out[: kept.size], kept
    yield out[kept.size :], np.full(n - kept.size, -77, np.int32)


@kernel
def segments_kernel(out: Tensor[i32, 1], x: Tensor[i32, 1], head: Tensor[i32, 1]) -> None:
    """Running sums that begin anew where head is 1; one warp, pairs of (began, sum) by shuffles."""
    lane = lane_id()
    value, began = x[lane], head[lane]
    for k in unroll(range(5)):
        v, b = warp.shuffle_up(value, 1 << k), warp.shuffle_up(began, 1 << k)
        if lane >= 1 << k:
            if began == 0:
                value += v
            began |= b
    out[lane] = value


@program(32)
def scan_of_segments(run, rng, n) -> Results:
    x, head = rng.integers(1, 10, n, np.int32), rng.integers(0, 2, n, np.int32)
    out = poison(n, dtype=np.int32)
    run(segments_kernel, 1, 32, out, x, head)
    expected, total = np.empty(n, np.int32), 0
    for i in range(n):
        total = x[i] if head[i] else total + x[i]
        expected[i] = total
    yield out, expected
