"""Many values become few: trees in shared memory, shuffles, atomics."""

from __future__ import annotations

import numpy as np
from gpu_conformance import Results, cdiv, normal, poison, program, wide

from sapwood import Tensor, f32, f64, i32, i64, kernel, u8, u64
from sapwood.gpu import atomic_add, barrier, block_dim, block_idx, grid_dim, lane_id, shared, thread_idx, warp
from sapwood.lang.ops.atomics import atomic_max, atomic_min

BINS = 64


@kernel
def tree_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    """A tree over 256 values in shared memory; one sum a block."""
    tile = shared(f32, 256)
    t = thread_idx.x
    total = f32(0)
    for i in range(block_idx.x * 256 + t, x.size, grid_dim.x * 256):
        total += x[i]
    tile[t] = total
    barrier()
    step = 128
    while step > 0:
        if t < step:
            tile[t] += tile[t + step]
        barrier()
        step //= 2
    if t == 0:
        out[block_idx.x] = tile[0]


@program(1, 255, 257, 70_001, rtol=1e-4)
def sum_by_tree(run, rng, n) -> Results:
    x, parts, out = normal(rng, n) + 1, poison(7), poison(1)
    run(tree_kernel, 7, 256, parts, x)
    run(tree_kernel, 1, 256, out, parts)
    yield out, wide(x).sum(keepdims=True)


@kernel
def shuffle_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    """Threads, warps by shuffles, the warps' sums by the first warp, the blocks' by an atomic addition."""
    partial = shared(f32, 32)
    total = f32(0)
    for i in range(block_idx.x * block_dim.x + thread_idx.x, x.size, grid_dim.x * block_dim.x):
        total += x[i]
    total = warp.reduce_add(total)
    w = thread_idx.x // 32
    if lane_id() == 0:
        partial[w] = total
    barrier()
    if w == 0:
        total = partial[lane_id()] if lane_id() < block_dim.x // 32 else f32(0)
        total = warp.reduce_add(total)
        if lane_id() == 0:
            atomic_add(out.ptr, total)


@program(1, 300, 50_021, rtol=1e-4)
def sum_by_shuffles(run, rng, n) -> Results:
    for block in (32, 128, 1024):
        x, out = normal(rng, n) + 1, np.zeros(1, np.float32)
        run(shuffle_kernel, 5, block, out, x)
        yield out, wide(x).sum(keepdims=True)


@kernel
def dot_kernel(out: Tensor[f32, 1], x: Tensor[f32, 2], y: Tensor[f32, 2]) -> None:
    """The dot product of two rows by one warp."""
    row = block_idx.x * (block_dim.x // 32) + thread_idx.x // 32
    if row < x.shape[0]:
        total = f32(0)
        for j in range(lane_id(), x.shape[1], 32):
            total += x[row, j] * y[row, j]
        total = warp.reduce_add(total)
        if lane_id() == 0:
            out[row] = total


@program(1, 31, 33, 500)
def dots_of_rows(run, rng, n) -> Results:
    x, y, out = normal(rng, 9, n), normal(rng, 9, n), poison(9)
    run(dot_kernel, cdiv(9, 4), 128, out, x, y)
    yield out, (wide(x) * wide(y)).sum(1)


@kernel
def arg_max_kernel(value: Tensor[f32, 1], index: Tensor[i64, 1], x: Tensor[f32, 2]) -> None:
    """The largest of a row and where it is, the first of equals."""
    best, where = shared(f32, 128), shared(i64, 128)
    t, row, n = thread_idx.x, block_idx.x, x.shape[1]
    v, at = f32(-3.0e38), n
    for j in range(t, n, 128):
        if x[row, j] > v:
            v, at = x[row, j], j
    best[t] = v
    where[t] = at
    barrier()
    for k in range(7):
        step = 64 >> k
        if t < step:
            a, b = best[t], best[t + step]
            if b > a or (b == a and where[t + step] < where[t]):
                best[t] = b
                where[t] = where[t + step]
        barrier()
    if t == 0:
        value[row] = best[0]
        index[row] = where[0]


@program(1, 127, 129, 3000)
def arg_max(run, rng, n) -> Results:
    x = np.round(normal(rng, 5, n), 1)
    value, index = poison(5), poison(5, dtype=np.int64)
    run(arg_max_kernel, 5, 128, value, index, x)
    yield value, wide(x).max(1)
    yield index, x.argmax(1)


@kernel
def extremes_kernel(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    low, high = shared(i32, 1), shared(i32, 1)
    t = thread_idx.x
    if t == 0:
        low[0] = i32(2147483647)
        high[0] = i32(-2147483648)
    barrier()
    i = block_idx.x * block_dim.x + t
    if i < x.size:
        atomic_min(low.ptr, x[i])
        atomic_max(high.ptr, x[i])
    barrier()
    if t == 0:
        atomic_min(out.ptr, low[0])
        atomic_max(out.ptr + 1, high[0])


@program(1, 1000, 30_000)
def extremes(run, rng, n) -> Results:
    x = rng.integers(-(2**31), 2**31, n, np.int32)
    out = np.array([2**31 - 1, -(2**31)], np.int32)
    run(extremes_kernel, cdiv(n, 200), 200, out, x)
    yield out, np.array([x.min(), x.max()], np.int32)


@kernel
def histogram_kernel(out: Tensor[i32, 1], x: Tensor[u8, 1]) -> None:
    """Counts of a block in shared memory, then one addition a bin."""
    bins = shared(i32, BINS)
    for b in range(thread_idx.x, BINS, block_dim.x):
        bins[b] = i32(0)
    barrier()
    for i in range(block_idx.x * block_dim.x + thread_idx.x, x.size, grid_dim.x * block_dim.x):
        atomic_add(bins.ptr + i64(x[i] >> 2), 1)
    barrier()
    for b in range(thread_idx.x, BINS, block_dim.x):
        atomic_add(out.ptr + b, bins[b])


@program(1, 1001, 100_000)
def histogram(run, rng, n) -> Results:
    for block in (45, 256):
        x = rng.integers(0, 256, n, np.uint8)
        out = np.zeros(BINS, np.int32)
        run(histogram_kernel, 6, block, out, x)
        yield out, np.bincount(x >> 2, minlength=BINS).astype(np.int32)


@kernel
def columns_kernel(out: Tensor[f32, 1], x: Tensor[f32, 2]) -> None:
    """Sums of columns: 32 by 8 threads, a column a lane."""
    tile = shared(f32, (8, 33))
    tx, ty = thread_idx.x, thread_idx.y
    j = block_idx.x * 32 + tx
    total = f32(0)
    if j < x.shape[1]:
        for i in range(ty, x.shape[0], 8):
            total += x[i, j]
    tile[ty, tx] = total
    barrier()
    if ty == 0 and j < x.shape[1]:
        for k in range(1, 8):
            total += tile[k, tx]
        out[j] = total


@program(1, 31, 70, 200, rtol=1e-4)
def sums_of_columns(run, rng, n) -> Results:
    x, out = normal(rng, 2 * n + 1, n), poison(n)
    run(columns_kernel, cdiv(n, 32), (32, 8), out, x)
    yield out, wide(x).sum(0)


@kernel
def pi_kernel(out: Tensor[i64, 1], each: int) -> None:
    """Points in the circle; a generator of its own for each thread (xorshift64*)."""
    state = u64(block_idx.x * block_dim.x + thread_idx.x + 1) * u64(0x9E3779B97F4A7C15)
    inside = 0
    for _ in range(each):
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        x = f64((state >> 11) & 0x1FFFFF) * 4.76837158203125e-07
        y = f64((state >> 33) & 0x1FFFFF) * 4.76837158203125e-07
        if x * x + y * y < 1.0:
            inside += 1
    atomic_add(out.ptr, inside)


@program(1, 100)
def monte_carlo_pi(run, rng, n) -> Results:
    out = np.zeros(1, np.int64)
    run(pi_kernel, 3, 64, out, n)
    state = np.arange(1, 193, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    inside = 0
    for _ in range(n):
        state ^= state >> np.uint64(12)
        state ^= state << np.uint64(25)
        state ^= state >> np.uint64(27)
        x = ((state >> np.uint64(11)) & np.uint64(0x1FFFFF)).astype(np.float64) / 2**21
        y = ((state >> np.uint64(33)) & np.uint64(0x1FFFFF)).astype(np.float64) / 2**21
        inside += int((x * x + y * y < 1).sum())
    yield out, np.array([inside])
