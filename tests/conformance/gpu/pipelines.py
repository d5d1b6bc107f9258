"""Kernels whose threads wait for more than their block: pipelined copies, warps with roles, clusters, whole grids."""

from __future__ import annotations

import itertools

import numpy as np
from gpu_conformance import Results, cdiv, normal, poison, program, wide

from sapwood import Tensor, f32, i32, i64, kernel, u64
from sapwood.gpu import (
    async_copy,
    atomic_add,
    barrier,
    barrier_count,
    block_dim,
    block_idx,
    block_rank,
    bulk_commit_group,
    bulk_copy,
    bulk_store,
    bulk_wait_group,
    cluster_dim,
    cluster_sync,
    commit_group,
    dynamic_shared,
    fence_async,
    grid_dim,
    grid_sync,
    map_shared,
    mbarrier,
    named_barrier,
    shared,
    thread_idx,
    wait_group,
)
from sapwood.systems import atomic_load, atomic_store

# -- copies that run ahead ---------------------------------------------------------------------------


@kernel
def pipelined_matmul_kernel(c: Tensor[f32, 2], a: Tensor[f32, 2], b: Tensor[f32, 2]) -> None:
    """Tiles of 16 x 16, three of each matrix on their way; beyond the edges copies write zeros."""
    tiles_a, tiles_b = shared(f32, (4, 16, 16)), shared(f32, (4, 16, 16))
    row, col = thread_idx.y, thread_idx.x
    m, n, depth = c.shape[0], c.shape[1], a.shape[1]
    i, j = block_idx.y * 16 + row, block_idx.x * 16 + col
    steps = (depth + 15) // 16
    total = f32(0)
    for s in range(steps + 3):
        if s < steps:
            at = s % 4 * 256 + row * 16 + col
            k = s * 16 + col
            here = i < m and k < depth
            async_copy(tiles_a.ptr + at, a.ptr + (i * depth + k if here else 0), 1, 1 if here else 0)
            k = s * 16 + row
            here = k < depth and j < n
            async_copy(tiles_b.ptr + at, b.ptr + (k * n + j if here else 0), 1, 1 if here else 0)
        commit_group()
        if s >= 3:
            wait_group(3)
            barrier()
            stage = s % 4
            stage = (stage + 1) % 4
            for k in range(16):
                total += tiles_a[stage, row, k] * tiles_b[stage, k, col]
            barrier()
    if i < m and j < n:
        c[i, j] = total


@program(1, 16, 37, 70, since=80)
def pipelined_matmul(run, rng, n) -> Results:
    a, b, c = normal(rng, n, n + 5), normal(rng, n + 5, 2 * n + 1), poison(n, 2 * n + 1)
    run(pipelined_matmul_kernel, (cdiv(2 * n + 1, 16), cdiv(n, 16)), (16, 16), c, a, b)
    yield c, wide(a) @ wide(b)


@kernel
def bulk_scale_kernel(out: Tensor[f32, 2], x: Tensor[f32, 2], factor: f32) -> None:
    """Rows of 128 through a ring of four buffers, in and out in bulk; a block takes every grid_dim-th row."""
    ring = shared(f32, (4, 128))
    bars = shared(u64, 4)
    t, rows = thread_idx.x, x.shape[0]
    mine = (rows - block_idx.x + grid_dim.x - 1) // grid_dim.x
    if t == 0:
        for k in range(4):
            mbarrier.init(bars.ptr + k, 1)
        fence_async()
        for k in range(min(3, mine)):
            mbarrier.arrive_expect_tx(bars.ptr + k, 512)
            bulk_copy(ring.ptr + k * 128, x.ptr + (block_idx.x + k * grid_dim.x) * 128, 128, bars.ptr + k)
    barrier()
    for r in range(mine):
        stage = r % 4
        mbarrier.wait(bars.ptr + stage, r // 4 % 2)
        ring[stage, t] *= factor
        fence_async()
        barrier()
        if t == 0:
            bulk_store(out.ptr + (block_idx.x + r * grid_dim.x) * 128, ring.ptr + stage * 128, 128)
            bulk_commit_group()
            if r + 3 < mine:
                bulk_wait_group(1)  # the row before this one has left its buffer
                k = (r + 3) % 4
                mbarrier.arrive_expect_tx(bars.ptr + k, 512)
                bulk_copy(ring.ptr + k * 128, x.ptr + (block_idx.x + (r + 3) * grid_dim.x) * 128, 128, bars.ptr + k)
    if t == 0:
        bulk_wait_group(0)


def aligned(*shape: int) -> np.ndarray:
    """Memory at a multiple of 16 bytes, poisoned."""
    n = int(np.prod(shape))
    raw = poison(n + 4)
    first = -raw.ctypes.data // 4 % 4
    return raw[first : first + n].reshape(shape)


@program(1, 3, 10, 65, since=90)
def bulk_ring(run, rng, n) -> Results:
    x, out = aligned(n, 128), aligned(n, 128)
    x[:] = normal(rng, n, 128)
    run(bulk_scale_kernel, min(n, 4), 128, out, x, 1.5)
    yield out, 1.5 * wide(x)


# -- warps with roles --------------------------------------------------------------------------------


@kernel
def roles_kernel(out: Tensor[f32, 2], x: Tensor[f32, 2]) -> None:
    """Columns of running means: one warp loads rows, three add them up, each its third."""
    tile = shared(f32, (2, 96))
    t, rows, cols = thread_idx.x, x.shape[0], x.shape[1]
    if t < 32:
        for r in range(rows):
            if r >= 2:
                named_barrier(3 + r % 2, 128).sync()
            for k in range(3):
                c = block_idx.x * 96 + k * 32 + t
                tile[r % 2, k * 32 + t] = x[r, c] if c < cols else f32(0)
            named_barrier(1 + r % 2, 128).arrive()
    else:
        mine = t - 32
        c = block_idx.x * 96 + mine
        total = f32(0)
        for r in range(rows):
            named_barrier(1 + r % 2, 128).sync()
            total += tile[r % 2, mine]
            if r + 2 < rows:
                named_barrier(3 + r % 2, 128).arrive()
            if c < cols:
                out[r, c] = total / f32(r + 1)


@program(1, 2, 9, 100)
def running_means(run, rng, n) -> Results:
    x, out = normal(rng, n, 150), poison(n, 150)
    run(roles_kernel, 2, 128, out, x)
    yield out, np.cumsum(wide(x), 0) / np.arange(1, n + 1)[:, None]


@kernel
def count_kernel(out: Tensor[i32, 1], x: Tensor[f32, 1], steps: int) -> None:
    """Bisection by all threads of a block: how often one must halve until fewer than a tenth are above."""
    t = thread_idx.x
    level, found = f32(1), i32(0)
    mine = x[block_idx.x * block_dim.x + t]
    for _ in range(steps):
        if barrier_count(mine > level) * 10 >= block_dim.x:
            break
        level *= 0.5
        found += 1
    out[block_idx.x * block_dim.x + t] = found


@program(32, 100)
def thresholds(run, rng, n) -> Results:
    x, out = rng.random(3 * n).astype(np.float32) ** 4, poison(3 * n, dtype=np.int32)
    run(count_kernel, 3, n, out, x, 20)
    want = []
    for row in x.reshape(3, n):
        found, level = 0, np.float32(1)
        while found < 20 and (row > level).sum() * 10 < n:
            level *= np.float32(0.5)
            found += 1
        want += [found] * n
    yield out, np.array(want, np.int32)


# -- clusters ----------------------------------------------------------------------------------------


@kernel
def cluster_norm_kernel(out: Tensor[f32, 2], x: Tensor[f32, 2]) -> None:
    """Rows that a cluster shares: each block sums its part, all read all sums."""
    sums = shared(f32, 1)
    t, rank, blocks, cols = thread_idx.x, block_rank(), cluster_dim.x, x.shape[1]
    row = block_idx.x // blocks
    if t == 0:
        sums[0] = f32(0)
    barrier()
    part = f32(0)
    for c in range(rank * block_dim.x + t, cols, blocks * block_dim.x):
        part += x[row, c] * x[row, c]
    atomic_add(sums.ptr, part)
    cluster_sync()
    total = f32(0)
    for r in range(blocks):
        total += map_shared(sums, r)[0]
    for c in range(rank * block_dim.x + t, cols, blocks * block_dim.x):
        out[row, c] = x[row, c] / (total / f32(cols) + f32(1e-6))
    cluster_sync()


@program(1, 100, 1000, since=90)
def cluster_norm(run, rng, n) -> Results:
    x, out = normal(rng, 5, n), poison(5, n)
    run(cluster_norm_kernel, 20, 64, out, x, cluster=4)
    w = wide(x)
    yield out, w / ((w**2).mean(1, keepdims=True) + 1e-6)


@kernel
def cluster_histogram_kernel(bins: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    """More bins than one block holds: each block of a pair keeps half of them, and both add into both."""
    mine = dynamic_shared(i32)
    half, rank, n = bins.size // 2, block_rank(), block_dim.x
    for k in range(thread_idx.x, half, n):
        mine[k] = i32(0)
    cluster_sync()
    for i in range(block_idx.x * n + thread_idx.x, x.size, grid_dim.x * n):
        bin = int(x[i])
        atomic_add(map_shared(mine, bin // half).ptr + bin % half, 1)
    cluster_sync()
    for k in range(thread_idx.x, half, n):
        atomic_add(bins.ptr + (rank * half + k), mine[k])


@program(1, 999, 20_000, since=90)
def cluster_histogram(run, rng, n) -> Results:
    x, bins = rng.integers(0, 200, n, np.int32), np.zeros(200, np.int32)
    run(cluster_histogram_kernel, 4, 96, bins, x, cluster=2, shared=400)
    yield bins, np.bincount(x, minlength=200).astype(np.int32)


# -- grids -------------------------------------------------------------------------------------------


@kernel
def lookback_kernel(out: Tensor[i64, 1], x: Tensor[i64, 1], state: Tensor[i64, 2], tickets: Tensor[i32, 1]) -> None:
    """A scan in one pass (Merrill and Garland): blocks publish their sums, then sums of all up to them.

    state[b] is (0 nothing, 1 own sum, 2 whole sum; the own sum; the whole sum). Blocks are numbered as they begin.
    """
    tile, box = shared(i64, 128), shared(i64, 2)
    t, n = thread_idx.x, block_dim.x
    if t == 0:
        box[0] = i64(atomic_add(tickets.ptr, 1))
    barrier()
    b = box[0]
    i = b * n + t
    tile[t] = x[i] if i < x.size else i64(0)
    barrier()
    step = 1
    while step < n:
        more = tile[t - step] if t >= step else i64(0)
        barrier()
        tile[t] += more
        barrier()
        step *= 2
    if t == 0:
        own, before, at = tile[n - 1], i64(0), b - 1
        state[b, 1] = own
        atomic_store(state.ptr + 3 * b, 1, "release")
        while at >= 0:
            seen = atomic_load(state.ptr + 3 * at, "acquire")
            if seen == 2:
                before += state[at, 2]
                break
            if seen == 1:
                before += state[at, 1]
                at -= 1
        state[b, 2] = before + own
        atomic_store(state.ptr + 3 * b, 2, "release")
        box[1] = before
    barrier()
    if i < x.size:
        out[i] = tile[t] + box[1]


@program(1, 127, 5000)
def scan_in_one_pass(run, rng, n) -> Results:
    x, out = rng.integers(-99, 100, n), poison(n, dtype=np.int64)
    blocks = cdiv(n, 128)
    run(lookback_kernel, blocks, 128, out, x, np.zeros((blocks, 3), np.int64), np.zeros(1, np.int32))
    yield out, np.cumsum(x)


@kernel
def heat_in_step_kernel(x: Tensor[f32, 3], steps: int) -> None:
    """The heat equation in two dimensions, all blocks in step; the plane of step r is x[r % 2]."""
    rows, cols = x.shape[1], x.shape[2]
    first = block_idx.x * block_dim.x + thread_idx.x
    for r in range(steps):
        now, then = r % 2, 1 - r % 2
        for at in range(first, (rows - 2) * (cols - 2), grid_dim.x * block_dim.x):
            i, j = at // (cols - 2) + 1, at % (cols - 2) + 1
            around = x[now, i - 1, j] + x[now, i + 1, j] + x[now, i, j - 1] + x[now, i, j + 1]
            x[then, i, j] = x[now, i, j] + f32(0.2) * (around - 4 * x[now, i, j])
        grid_sync()


@program(1, 8)
def heat_in_step(run, rng, n) -> Results:
    plane = normal(rng, 5 + n, 40)
    x = np.stack([plane, plane])
    want = wide(plane)
    for _ in range(n):
        step = want.copy()
        around = want[:-2, 1:-1] + want[2:, 1:-1] + want[1:-1, :-2] + want[1:-1, 2:]
        step[1:-1, 1:-1] += np.float32(0.2) * (around - 4 * want[1:-1, 1:-1])
        want = step
    run(heat_in_step_kernel, 4, 64, x, n, cooperative=True)
    yield x[n % 2], want


@kernel
def persistent_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1], start: Tensor[i32, 1], next: Tensor[i32, 1]) -> None:
    """A few blocks take rows of unequal length from a counter, until there are none."""
    partial, row = shared(f32, 64), shared(i32, 1)
    t = thread_idx.x
    while True:
        if t == 0:
            row[0] = atomic_add(next.ptr, 1)
        barrier()
        r = row[0]
        if r >= out.size:
            break
        total = f32(0)
        for i in range(int(start[r]) + t, int(start[r + 1]), 64):
            total += x[i]
        partial[t] = total
        barrier()
        if t == 0:
            for k in range(1, 64):
                total += partial[k]
            out[r] = total
        barrier()


@program(1, 50, 300)
def persistent_row_sums(run, rng, n) -> Results:
    lengths = rng.integers(0, 200, n)
    start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    x, out = normal(rng, max(int(start[-1]), 1)), poison(n)
    run(persistent_kernel, 3, 64, out, x, start, np.zeros(1, np.int32))
    yield out, np.array([wide(x)[a:b].sum() for a, b in itertools.pairwise(start)])
