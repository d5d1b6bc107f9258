"""Neighbours: straight from memory, and through tiles with a halo in shared memory."""

from __future__ import annotations

import numpy as np
from gpu_conformance import Results, cdiv, normal, poison, program, wide

from sapwood import Tensor, f32, i32, kernel, u8
from sapwood.gpu import barrier, block_dim, block_idx, shared, thread_idx

R = 3
BLOCK = 64


@kernel
def three_point_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    n = x.size
    if i < n:
        left = x[i - 1] if i > 0 else f32(0)
        right = x[i + 1] if i + 1 < n else f32(0)
        out[i] = 0.25 * left + 0.5 * x[i] + 0.25 * right


@program(1, 2, 65, 10_001)
def three_point(run, rng, n) -> Results:
    x, out = normal(rng, n), poison(n)
    run(three_point_kernel, cdiv(n, 96), 96, out, x)
    p = np.pad(wide(x), 1)
    yield out, 0.25 * p[:-2] + 0.5 * p[1:-1] + 0.25 * p[2:]


@kernel
def tiled_stencil_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    """The tile and R elements on both sides of it in shared memory."""
    tile = shared(f32, BLOCK + 2 * R)
    t, n = thread_idx.x, x.size
    i = block_idx.x * BLOCK + t
    tile[t + R] = x[i] if i < n else f32(0)
    if t < R:
        left, right = i - R, i + BLOCK
        tile[t] = x[left] if left >= 0 else f32(0)
        tile[t + R + BLOCK] = x[right] if right < n else f32(0)
    barrier()
    if i < n:
        total = f32(0)
        for k in range(2 * R + 1):
            total += tile[t + k]
        out[i] = total


@program(1, 63, 64, 65, 5000)
def tiled_stencil(run, rng, n) -> Results:
    x, out = normal(rng, n), poison(n)
    run(tiled_stencil_kernel, cdiv(n, BLOCK), BLOCK, out, x)
    p = np.pad(wide(x), R)
    yield out, sum(p[k : k + n] for k in range(2 * R + 1))


@kernel
def heat_kernel(out: Tensor[f32, 2], x: Tensor[f32, 2], alpha: f32) -> None:
    """Five points; the border stays."""
    i = block_idx.y * block_dim.y + thread_idx.y
    j = block_idx.x * block_dim.x + thread_idx.x
    h, w = x.shape
    if i >= h or j >= w:
        return
    c = x[i, j]
    if 0 < i < h - 1 and 0 < j < w - 1:
        c += alpha * (x[i - 1, j] + x[i + 1, j] + x[i, j - 1] + x[i, j + 1] - 4.0 * c)
    out[i, j] = c


@program(1, 3, 33, 150)
def heat(run, rng, n) -> Results:
    """Several launches, one after the other, with the arrays exchanged."""
    a, b = normal(rng, n, n + 2), poison(n, n + 2)
    expected = wide(a)
    for _ in range(4):
        run(heat_kernel, (cdiv(n + 2, 16), cdiv(n, 8)), (16, 8), b, a, 0.1)
        a, b = b, a
        e = expected.copy()
        e[1:-1, 1:-1] += 0.1 * (
            expected[:-2, 1:-1] + expected[2:, 1:-1] + expected[1:-1, :-2] + expected[1:-1, 2:] - 4 * e[1:-1, 1:-1]
        )
        expected = e
    yield a, expected


@kernel
def convolution_kernel(out: Tensor[f32, 2], x: Tensor[f32, 2], weight: Tensor[f32, 2]) -> None:
    """5 by 5, zeros outside, a tile of 16 by 16 with its halo in shared memory, loaded by all threads together."""
    tile = shared(f32, (20, 20))
    tx, ty = thread_idx.x, thread_idx.y
    top, left = block_idx.y * 16 - 2, block_idx.x * 16 - 2
    h, w = x.shape
    for k in range(ty * 16 + tx, 400, 256):
        i, j = top + k // 20, left + k % 20
        tile[k // 20, k % 20] = x[i, j] if 0 <= i < h and 0 <= j < w else f32(0)
    barrier()
    i, j = top + 2 + ty, left + 2 + tx
    if i < h and j < w:
        total = f32(0)
        for a in range(5):
            for b in range(5):
                total += weight[a, b] * tile[ty + a, tx + b]
        out[i, j] = total


@program(1, 16, 41)
def convolution(run, rng, n) -> Results:
    x, weight, out = normal(rng, n, n + 7), normal(rng, 5, 5), poison(n, n + 7)
    run(convolution_kernel, (cdiv(n + 7, 16), cdiv(n, 16)), (16, 16), out, x, weight)
    p = np.pad(wide(x), 2)
    yield out, sum(wide(weight)[a, b] * p[a : a + n, b : b + n + 7] for a in range(5) for b in range(5))


@kernel
def channels_kernel(out: Tensor[f32, 3], x: Tensor[f32, 3], weight: Tensor[f32, 4], stride: int) -> None:
    """Convolution of several channels, valid only: a block of blocks.z is an output channel."""
    o = block_idx.z
    i = block_idx.y * block_dim.y + thread_idx.y
    j = block_idx.x * block_dim.x + thread_idx.x
    if i < out.shape[1] and j < out.shape[2]:
        total = f32(0)
        for c in range(x.shape[0]):
            for a in range(weight.shape[2]):
                for b in range(weight.shape[3]):
                    total += weight[o, c, a, b] * x[c, i * stride + a, j * stride + b]
        out[o, i, j] = total


@program(3, 12, 25)
def convolution_of_channels(run, rng, n) -> Results:
    x, weight = normal(rng, 3, n, n + 1), normal(rng, 4, 3, 3, 2)
    h, w = (n - 3) // 2 + 1, (n + 1 - 2) // 2 + 1
    out = poison(4, h, w)
    run(channels_kernel, (cdiv(w, 8), cdiv(h, 8), 4), (8, 8), out, x, weight, 2)
    windows = np.lib.stride_tricks.sliding_window_view(wide(x), (3, 2), axis=(1, 2))[:, ::2, ::2]
    yield out, np.einsum("cijab,ocab->oij", windows, wide(weight))


@kernel
def life_kernel(out: Tensor[u8, 2], x: Tensor[u8, 2]) -> None:
    """Conway's game of life on a torus."""
    i = block_idx.y * block_dim.y + thread_idx.y
    j = block_idx.x * block_dim.x + thread_idx.x
    h, w = x.shape
    if i < h and j < w:
        count = i32(0)
        for di in range(-1, 2):
            for dj in range(-1, 2):
                if di != 0 or dj != 0:
                    count += i32(x[(i + di) % h, (j + dj) % w])
        out[i, j] = u8(1) if count == 3 or (count == 2 and x[i, j] == 1) else u8(0)


@program(3, 20, 77)
def game_of_life(run, rng, n) -> Results:
    x = rng.integers(0, 2, (n, n + 2), np.uint8)
    out = np.full_like(x, 9)
    run(life_kernel, (cdiv(n + 2, 32), cdiv(n, 4)), (32, 4), out, x)
    count = sum(
        np.roll(x, (i, j), (0, 1)).astype(np.int32) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)
    )
    yield out, ((count == 3) | ((count == 2) & (x == 1))).astype(np.uint8)
