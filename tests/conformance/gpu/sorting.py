"""Sorts, selections, merges, searches."""

from __future__ import annotations

import numpy as np
from gpu_conformance import Results, cdiv, normal, poison, program, wide

from sapwood import Tensor, f32, i32, i64, kernel, u32
from sapwood.gpu import atomic_add, barrier, block_dim, block_idx, grid_dim, shared, thread_idx


@kernel
def bitonic_kernel(x: Tensor[f32, 1]) -> None:
    """512 in shared memory by 256 threads; beyond the end is infinity."""
    tile = shared(f32, 512)
    t, n = thread_idx.x, x.size
    for i in range(t, 512, 256):
        tile[i] = x[i] if i < n else f32(3.0e38)
    size = 2
    while size <= 512:
        step = size // 2
        while step > 0:
            barrier()
            i = 2 * t - (t & (step - 1))
            a, b = tile[i], tile[i + step]
            if (a > b) == ((i & size) == 0):
                tile[i] = b
                tile[i + step] = a
            step //= 2
        size *= 2
    barrier()
    for i in range(t, n, 256):
        x[i] = tile[i]


@program(1, 200, 512)
def bitonic(run, rng, n) -> Results:
    x = normal(rng, n)
    expected = np.sort(wide(x))
    run(bitonic_kernel, 1, 256, x)
    yield x, expected


@kernel
def bitonic_step_kernel(x: Tensor[i32, 1], size: int, step: int) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    j = i ^ step
    if i < j < x.size:
        a, b = x[i], x[j]
        if (a > b) == ((i & size) == 0):
            x[i] = b
            x[j] = a


@program(2, 1024, 4096)
def bitonic_in_many_launches(run, rng, n) -> Results:
    x = rng.integers(-1000, 1000, n, np.int32)
    expected = np.sort(x)
    size = 2
    while size <= n:
        step = size // 2
        while step:
            run(bitonic_step_kernel, cdiv(n, 256), 256, x, size, step)
            step //= 2
        size *= 2
    yield x, expected


@kernel
def odd_even_kernel(x: Tensor[i32, 1]) -> None:
    """Odd-even transposition in memory, by one block of any length."""
    t, n = thread_idx.x, x.size
    for turn in range(n):
        i = 2 * t + turn % 2
        if i + 1 < n:
            a, b = x[i], x[i + 1]
            if a > b:
                x[i] = b
                x[i + 1] = a
        barrier()


@program(1, 2, 99, 200)
def odd_even(run, rng, n) -> Results:
    x = rng.integers(-50, 50, n, np.int32)
    expected = np.sort(x)
    run(odd_even_kernel, 1, 100, x)
    yield x, expected


@kernel
def rank_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    """Every element counts what comes before it, tile by tile."""
    tile = shared(f32, 128)
    i, n = block_idx.x * 128 + thread_idx.x, x.size
    mine = x[i] if i < n else f32(0)
    rank = 0
    for first in range(0, n, 128):
        j = first + thread_idx.x
        tile[thread_idx.x] = x[j] if j < n else f32(0)
        barrier()
        for k in range(min(128, n - first)):
            if tile[k] < mine or (tile[k] == mine and first + k < i):
                rank += 1
        barrier()
    if i < n:
        out[rank] = mine


@program(1, 128, 300)
def sort_by_rank(run, rng, n) -> Results:
    x, out = np.round(normal(rng, n), 1), poison(n)
    run(rank_kernel, cdiv(n, 128), 128, out, x)
    yield out, np.sort(wide(x))


@kernel
def radix_kernel(out: Tensor[u32, 1], x: Tensor[u32, 1], shift: int) -> None:
    """One pass over four bits by one block, stable: digits are counted, summed, and put in their places."""
    counts = shared(i32, (16, 64))
    t, n = thread_idx.x, x.size
    each = (n + 63) // 64
    first, last = min(n, t * each), min(n, (t + 1) * each)
    for d in range(16):
        counts[d, t] = i32(0)
    for i in range(first, last):
        counts[int((x[i] >> u32(shift)) & 15), t] += 1
    barrier()
    if t == 0:
        total = i32(0)
        for d in range(16):
            for k in range(64):
                c = counts[d, k]
                counts[d, k] = total
                total += c
    barrier()
    for i in range(first, last):
        d = int((x[i] >> u32(shift)) & 15)
        out[int(counts[d, t])] = x[i]
        counts[d, t] += 1


@program(1, 100, 3001)
def radix(run, rng, n) -> Results:
    x, y = rng.integers(0, 2**32, n, np.uint32), np.zeros(n, np.uint32)
    expected = np.sort(x)
    for shift in range(0, 32, 4):
        run(radix_kernel, 1, 64, y, x, shift)
        x, y = y, x
    yield x, expected


@kernel
def top_k_kernel(value: Tensor[f32, 2], index: Tensor[i64, 2], x: Tensor[f32, 2]) -> None:
    """The k largest of each row, largest first: k times the largest of what comes after the last one."""
    best, where = shared(f32, 64), shared(i64, 64)
    t, row, n = thread_idx.x, block_idx.x, x.shape[1]
    last, at = f32(3.0e38), -1
    for k in range(value.shape[1]):
        v, j = f32(-3.0e38), n
        for i in range(t, n, 64):
            y = x[row, i]
            after = y < last or (y == last and i > at)
            if after and y > v:
                v, j = y, i
        best[t] = v
        where[t] = j
        barrier()
        if t == 0:
            for i in range(1, 64):
                if best[i] > v or (best[i] == v and where[i] < j):
                    v, j = best[i], where[i]
            best[0] = v
            where[0] = j
            value[row, k] = v
            index[row, k] = j
        barrier()
        last, at = best[0], where[0]
        barrier()


@program(8, 65, 1000)
def top_k(run, rng, n) -> Results:
    x = np.round(normal(rng, 4, n), 1)
    value, index = poison(4, 8), poison(4, 8, dtype=np.int64)
    run(top_k_kernel, 4, 64, value, index, x)
    order = np.argsort(-wide(x), axis=1, kind="stable")[:, :8]
    yield value, np.take_along_axis(wide(x), order, 1)
    yield index, order


@kernel
def merge_kernel(out: Tensor[i32, 1], a: Tensor[i32, 1], b: Tensor[i32, 1]) -> None:
    """Each thread finds by bisection where its diagonal cuts the two sorted lists (merge path)."""
    d = block_idx.x * block_dim.x + thread_idx.x
    m, n = a.size, b.size
    if d >= m + n:
        return
    low, high = max(0, d - n), min(d, m)
    while low < high:
        mid = (low + high) // 2
        if a[mid] <= b[d - 1 - mid]:
            low = mid + 1
        else:
            high = mid
    i, j = low, d - low
    if i < m and (j >= n or a[i] <= b[j]):
        out[d] = a[i]
    else:
        out[d] = b[j]


@program(1, 10, 1500)
def merge(run, rng, n) -> Results:
    a, b = np.sort(rng.integers(0, 99, n, np.int32)), np.sort(rng.integers(0, 99, 2 * n + 1, np.int32))
    out = poison(3 * n + 1, dtype=np.int32)
    run(merge_kernel, cdiv(3 * n + 1, 128), 128, out, a, b)
    yield out, np.sort(np.concatenate((a, b)))


@kernel
def search_kernel(out: Tensor[i64, 1], table: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    """Where each value would be put into a sorted table."""
    for i in range(block_idx.x * block_dim.x + thread_idx.x, x.size, grid_dim.x * block_dim.x):
        low, high = 0, table.size
        while low < high:
            mid = (low + high) // 2
            if table[mid] < x[i]:
                low = mid + 1
            else:
                high = mid
        out[i] = low


@program(1, 500)
def search(run, rng, n) -> Results:
    table, x, out = np.sort(normal(rng, n)), normal(rng, 3 * n), poison(3 * n, dtype=np.int64)
    run(search_kernel, 4, 96, out, table, x)
    yield out, np.searchsorted(table, x)


@kernel
def queue_kernel(out: Tensor[i32, 1], next: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    """Persistent blocks take pieces from a counter until there are none left."""
    piece = shared(i32, 1)
    t = thread_idx.x
    while True:
        if t == 0:
            piece[0] = atomic_add(next.ptr, 1)
        barrier()
        i = int(piece[0]) * 64 + t
        if int(piece[0]) * 64 >= x.size:
            break
        if i < x.size:
            out[i] = 3 * x[i] + 1
        barrier()


@program(1, 640, 5000)
def persistent_blocks(run, rng, n) -> Results:
    x, out, counter = rng.integers(-9, 9, n, np.int32), poison(n, dtype=np.int32), np.zeros(1, np.int32)
    run(queue_kernel, 3, 64, out, counter, x)
    yield out, 3 * x + 1
    yield counter, np.array([cdiv(n, 64) + 3], np.int32)
