"""Elements change places: transposes with and without bank conflicts, permutations, windows."""

from __future__ import annotations

import numpy as np
from gpu_conformance import Results, cdiv, normal, poison, program, wide

from sapwood import Const, Tensor, f32, i64, kernel
from sapwood.gpu import barrier, block_dim, block_idx, shared, thread_idx


@kernel
def transpose_kernel(out: Tensor[f32, 2], x: Tensor[f32, 2]) -> None:
    i = block_idx.y * block_dim.y + thread_idx.y
    j = block_idx.x * block_dim.x + thread_idx.x
    if i < x.shape[0] and j < x.shape[1]:
        out[j, i] = x[i, j]


@program(1, 31, 100)
def transpose(run, rng, n) -> Results:
    x, out = normal(rng, n, 2 * n + 1), poison(2 * n + 1, n)
    run(transpose_kernel, (cdiv(2 * n + 1, 32), cdiv(n, 8)), (32, 8), out, x)
    yield out, wide(x).T


@kernel
def tiled_transpose_kernel(out: Tensor[f32, 2], x: Tensor[f32, 2], pad: Const[int]) -> None:
    """32 by 32 by a block of 32 by 8; a pad of 1 puts a column of the tile into 32 banks, 0 into one."""
    tile = shared(f32, (32, 32 + pad))
    tx, ty = thread_idx.x, thread_idx.y
    h, w = x.shape
    j = block_idx.x * 32 + tx
    for k in range(0, 32, 8):
        i = block_idx.y * 32 + ty + k
        if i < h and j < w:
            tile[ty + k, tx] = x[i, j]
    barrier()
    i = block_idx.y * 32 + tx
    for k in range(0, 32, 8):
        j = block_idx.x * 32 + ty + k
        if i < h and j < w:
            out[j, i] = tile[tx, ty + k]


@program(1, 32, 33, 150)
def tiled_transpose(run, rng, n) -> Results:
    for pad in (0, 1):
        x, out = normal(rng, n, n + 9), poison(n + 9, n)
        run(tiled_transpose_kernel, (cdiv(n + 9, 32), cdiv(n, 32)), (32, 8), out, x, pad)
        yield out, wide(x).T


@kernel
def permute_kernel(out: Tensor[f32, 3], x: Tensor[f32, 3]) -> None:
    """(a, b, c) to (c, a, b), by one index over all elements."""
    a, b, c = x.shape
    i = block_idx.x * block_dim.x + thread_idx.x
    if i < a * b * c:
        k, rest = i % c, i // c
        out[k, rest // b, rest % b] = x[rest // b, rest % b, k]


@program(1, 5, 17)
def permute(run, rng, n) -> Results:
    x, out = normal(rng, n, n + 1, n + 2), poison(n + 2, n, n + 1)
    run(permute_kernel, cdiv(x.size, 128), 128, out, x)
    yield out, wide(x).transpose(2, 0, 1)


@kernel
def windows_kernel(out: Tensor[f32, 2], x: Tensor[f32, 3], size: Const[int]) -> None:
    """im2col: a row for each place of a window, a column for each element in it."""
    c, _, w = x.shape
    across = w - size + 1
    row = block_idx.x
    i, j = row // across, row % across
    for k in range(thread_idx.x, c * size * size, block_dim.x):
        out[row, k] = x[k // (size * size), i + k // size % size, j + k % size]


@program(3, 9)
def windows(run, rng, n) -> Results:
    x = normal(rng, 2, n, n + 1)
    rows = (n - 2) * (n - 1)
    out = poison(rows, 18)
    run(windows_kernel, rows, 32, out, x, 3)
    found = np.lib.stride_tricks.sliding_window_view(wide(x), (3, 3), axis=(1, 2))
    yield out, found.transpose(1, 2, 0, 3, 4).reshape(rows, 18)


@kernel
def scatter_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1], index: Tensor[i64, 1]) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    if i < x.size:
        out[index[i]] = x[i]


@program(1, 100, 7001)
def scatter(run, rng, n) -> Results:
    x, out, index = normal(rng, n), poison(n), rng.permutation(n)
    run(scatter_kernel, cdiv(n, 64), 64, out, x, index)
    expected = np.empty(n)
    expected[index] = x
    yield out, expected


@kernel
def reverse_kernel(x: Tensor[f32, 1]) -> None:
    """In place, by one block: every thread reads its pair before it writes it."""
    n = x.size
    for i in range(thread_idx.x, n // 2, block_dim.x):
        x[i], x[n - 1 - i] = x[n - 1 - i], x[i]


@program(1, 2, 99, 1000)
def reverse(run, rng, n) -> Results:
    x = normal(rng, n)
    expected = wide(x)[::-1].copy()
    run(reverse_kernel, 1, 64, x)
    yield x, expected
