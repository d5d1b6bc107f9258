"""Each thread computes what belongs to its place."""

from __future__ import annotations

import numpy as np
from gpu_conformance import Results, cdiv, normal, poison, program, wide

from sapwood import Tensor, bf16, f32, fn, i32, i64, kernel, u8, u32
from sapwood.gpu import block_dim, block_idx, grid_dim, thread_idx
from sapwood.lang.library import math


@fn(inline=True)
def place() -> int:
    return block_idx.x * block_dim.x + thread_idx.x


@kernel
def copy_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    i = place()
    if i < x.size:
        out[i] = x[i]


@program(1, 33, 127, 100_003)
def copy(run, rng, n) -> Results:
    x, out = normal(rng, n), poison(n)
    run(copy_kernel, cdiv(n, 128), 128, out, x)
    yield out, wide(x)


@kernel
def saxpy_kernel(y: Tensor[f32, 1], x: Tensor[f32, 1], a: f32) -> None:
    i = place()
    if i >= x.size:
        return
    y[i] = a * x[i] + y[i]


@program(1, 31, 1000, 65_537)
def saxpy(run, rng, n) -> Results:
    x, y = normal(rng, n), normal(rng, n)
    expected = 2.5 * wide(x) + wide(y)
    run(saxpy_kernel, cdiv(n, 256), 256, y, x, 2.5)
    yield y, expected


@kernel
def strided_kernel(out: Tensor[f32, 2], x: Tensor[f32, 2]) -> None:
    """Blocks of two axes over tensors with any strides."""
    i = block_idx.y * block_dim.y + thread_idx.y
    j = block_idx.x * block_dim.x + thread_idx.x
    rows, cols = out.shape
    if i < rows and j < cols:
        out[i, j] = x[i, j] * 2.0 - 1.0


@program(1, 7, 65)
def strided_views(run, rng, n) -> Results:
    x = normal(rng, 2 * n, 3 * n)[::2, ::-3]
    out = poison(n, n + 5)[:, 5:]
    run(strided_kernel, (cdiv(n, 16), cdiv(n, 8)), (16, 8), out, x)
    yield out, 2 * wide(x) - 1


@kernel
def grid_stride_kernel(x: Tensor[f32, 1]) -> None:
    """A grid of any size does all the work."""
    for i in range(place(), x.size, grid_dim.x * block_dim.x):
        x[i] = x[i] * 0.5 + 1.0


@program(1, 100, 40_001)
def grid_stride(run, rng, n) -> Results:
    for grid, block in ((1, 32), (3, 45), (64, 128)):
        x = normal(rng, n)
        expected = wide(x) * 0.5 + 1.0
        run(grid_stride_kernel, grid, block, x)
        yield x, expected


@kernel
def gelu_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    i = place()
    if i < x.size:
        v = x[i]
        out[i] = 0.5 * v * (1.0 + math.tanh(0.7978845608 * (v + 0.044715 * v * v * v)))


@program(1, 1000, 20_011)
def gelu(run, rng, n) -> Results:
    x, out = normal(rng, n) * 3, poison(n)
    run(gelu_kernel, cdiv(n, 192), 192, out, x)
    v = wide(x)
    yield out, 0.5 * v * (1 + np.tanh(0.7978845608 * (v + 0.044715 * v**3)))


@kernel
def select_kernel(out: Tensor[i32, 1], x: Tensor[i32, 1], low: i32, high: i32) -> None:
    i = place()
    if i < x.size:
        v = x[i]
        if v < low:
            out[i] = low
        elif v > high:
            out[i] = high
        else:
            out[i] = v


@program(1, 63, 5000)
def clamp(run, rng, n) -> Results:
    x, out = rng.integers(-100, 100, n, np.int32), poison(n, dtype=np.int32)
    run(select_kernel, cdiv(n, 64), 64, out, x, -20, 30)
    yield out, np.clip(x, -20, 30)


@kernel
def gray_kernel(out: Tensor[u8, 2], image: Tensor[u8, 3]) -> None:
    """Luma of ITU-R BT.601 in integers, as image libraries compute it."""
    y = block_idx.y * block_dim.y + thread_idx.y
    x = block_idx.x * block_dim.x + thread_idx.x
    if y < image.shape[0] and x < image.shape[1]:
        r, g, b = i32(image[y, x, 0]), i32(image[y, x, 1]), i32(image[y, x, 2])
        out[y, x] = u8((77 * r + 150 * g + 29 * b + 128) >> 8)


@program(1, 37, 200)
def gray_image(run, rng, n) -> Results:
    image = rng.integers(0, 256, (n, n + 3, 3), np.uint8)
    out = np.zeros((n, n + 3), np.uint8)
    run(gray_kernel, (cdiv(n + 3, 16), cdiv(n, 16)), (16, 16), out, image)
    r, g, b = (image[..., k].astype(np.int64) for k in range(3))
    yield out, ((77 * r + 150 * g + 29 * b + 128) >> 8).astype(np.uint8)


@kernel
def mandelbrot_kernel(out: Tensor[i32, 2], limit: int) -> None:
    """Loops of a length that differs from thread to thread."""
    y = block_idx.y * block_dim.y + thread_idx.y
    x = block_idx.x * block_dim.x + thread_idx.x
    h, w = out.shape
    if y >= h or x >= w:
        return
    cr, ci = -2.0 + 3.0 * f32(x) / f32(w), -1.5 + 3.0 * f32(y) / f32(h)
    zr, zi, n = f32(0), f32(0), 0
    while n < limit and zr * zr + zi * zi <= 4.0:
        zr, zi, n = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci, n + 1
    out[y, x] = i32(n)


@program(1, 13, 90)
def mandelbrot(run, rng, n) -> Results:
    out = poison(n, n + 1, dtype=np.int32)
    run(mandelbrot_kernel, (cdiv(n + 1, 8), cdiv(n, 8)), (8, 8), out, 50)
    cr = (np.float32(-2) + np.float32(3) * np.arange(n + 1, dtype=np.float32) / np.float32(n + 1))[None, :]
    ci = (np.float32(-1.5) + np.float32(3) * np.arange(n, dtype=np.float32) / np.float32(n))[:, None]
    zr, zi = np.zeros((n, n + 1), np.float32), np.zeros((n, n + 1), np.float32)
    count = np.zeros((n, n + 1), np.int32)
    for _ in range(50):
        on = zr * zr + zi * zi <= np.float32(4)
        count[on] += 1
        zr, zi = np.where(on, zr * zr - zi * zi + cr, zr), np.where(on, np.float32(2) * zr * zi + ci, zi)
    yield out, count


@kernel
def black_scholes_kernel(
    call: Tensor[f32, 1], put: Tensor[f32, 1], spot: Tensor[f32, 1], strike: Tensor[f32, 1], years: Tensor[f32, 1]
) -> None:
    i = place()
    if i < spot.size:
        rate, sigma = f32(0.02), f32(0.3)
        s, k, t = spot[i], strike[i], years[i]
        root = sigma * math.sqrt(t)
        d1 = (math.log(s / k) + (rate + 0.5 * sigma * sigma) * t) / root
        d2 = d1 - root
        n1, n2 = 0.5 * (1.0 + math.erf(d1 * 0.70710678)), 0.5 * (1.0 + math.erf(d2 * 0.70710678))
        discounted = k * math.exp(-rate * t)
        price = s * n1 - discounted * n2
        call[i] = price
        put[i] = price - s + discounted


@program(1, 777, 10_000)
def black_scholes(run, rng, n) -> Results:
    spot, strike = (rng.uniform(20, 80, n).astype(np.float32) for _ in range(2))
    years = rng.uniform(0.1, 3, n).astype(np.float32)
    call, put = poison(n), poison(n)
    run(black_scholes_kernel, cdiv(n, 128), 128, call, put, spot, strike, years)
    from math import erf

    s, k, t = wide(spot), wide(strike), wide(years)
    d1 = (np.log(s / k) + (0.02 + 0.045) * t) / (0.3 * np.sqrt(t))
    cdf = np.vectorize(lambda d: 0.5 * (1 + erf(d / 2**0.5)))
    expected = s * cdf(d1) - k * np.exp(-0.02 * t) * cdf(d1 - 0.3 * np.sqrt(t))
    yield call, expected
    yield put, expected - s + k * np.exp(-0.02 * t)


@kernel
def round_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    i = place()
    if i < x.size:
        out[i] = f32(bf16(x[i]))


@program(1, 500, 9001)
def round_to_bf16(run, rng, n) -> Results:
    x, out = normal(rng, n), poison(n)
    run(round_kernel, cdiv(n, 128), 128, out, x)
    bits = x.view(np.uint32)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    yield out.view(np.uint32), bits


@kernel
def hash_kernel(out: Tensor[u32, 1], seed: u32) -> None:
    """A counter hash (Murmur3's finaliser): what dropout draws from."""
    i = place()
    if i < out.size:
        h = u32(i) ^ seed
        h = (h ^ (h >> 16)) * u32(0x85EBCA6B)
        h = (h ^ (h >> 13)) * u32(0xC2B2AE35)
        out[i] = h ^ (h >> 16)


@program(1, 4097)
def counter_hash(run, rng, n) -> Results:
    out = np.zeros(n, np.uint32)
    run(hash_kernel, cdiv(n, 256), 256, out, 12345)
    h = np.arange(n, dtype=np.uint32) ^ np.uint32(12345)
    h = (h ^ (h >> 16)) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> 13)) * np.uint32(0xC2B2AE35)
    yield out, h ^ (h >> 16)


@kernel
def gather_kernel(out: Tensor[f32, 2], table: Tensor[f32, 2], index: Tensor[i64, 1]) -> None:
    """Rows of a table by index: an embedding. An index out of range gives a row of zeros."""
    row = block_idx.x
    i = index[row]
    for j in range(thread_idx.x, table.shape[1], block_dim.x):
        out[row, j] = table[i, j] if 0 <= i < table.shape[0] else f32(0)


@program(1, 50, 300)
def gather_rows(run, rng, n) -> Results:
    table, out = normal(rng, 40, 37), poison(n, 37)
    index = rng.integers(-2, 42, n)
    run(gather_kernel, n, 32, out, table, index)
    inside = (index >= 0) & (index < 40)
    yield out, np.where(inside[:, None], wide(table)[np.clip(index, 0, 39)], 0)
