"""Kernels on simt's fast mode over the same work as one plain loop in an @fn, both on one core.

    python benchmarks/simt_kernels.py [--json] [NAME...]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sapwood import Tensor, config, f32, fn, i32, kernel
from sapwood.gpu import atomic_add, barrier, block_dim, block_idx, grid_dim, lane_id, shared, thread_idx, warp
from sapwood.lang.library import math

Vector = Tensor[f32, 1]
Matrix = Tensor[f32, 2]
Ints = Tensor[i32, 1]
CASES: dict[str, Callable[[], tuple[Callable[[], object], Callable[[], object]]]] = {}


def case(f: Callable[[], Any]) -> Callable[[], Any]:
    """Enter a benchmark; it gives (launch, plain loop), after a test that they agree."""
    CASES[f.__name__] = f
    return f


def cdiv(n: int, d: int) -> int:
    return -(-n // d)


def floats(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@kernel
def saxpy_kernel(y: Vector, x: Vector, a: f32) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    if i < x.size:
        y[i] = a * x[i] + y[i]


@fn
def saxpy_loop(y: Vector, x: Vector, a: f32) -> None:
    for i in range(x.size):
        y[i] = a * x[i] + y[i]


@case
def saxpy() -> Any:
    n = 1_000_003
    x, y = floats(n), floats(n)
    return lambda: saxpy_kernel[cdiv(n, 256), 256](y, x, 0.5), lambda: saxpy_loop(y, x, 0.5)


@kernel
def stride_kernel(x: Vector, a: f32) -> None:
    for i in range(block_idx.x * block_dim.x + thread_idx.x, x.size, grid_dim.x * block_dim.x):
        x[i] = x[i] * a + f32(1)


@fn
def stride_loop(x: Vector, a: f32) -> None:
    for i in range(x.size):
        x[i] = x[i] * a + f32(1)


@case
def grid_stride() -> Any:
    x = floats(1_000_003)
    return lambda: stride_kernel[64, 256](x, 0.5), lambda: stride_loop(x, 0.5)


@kernel
def gelu_kernel(out: Vector, x: Vector) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    if i < x.size:
        v = x[i]
        out[i] = f32(0.5) * v * (f32(1) + math.tanh(f32(0.79788456) * (v + f32(0.044715) * v * v * v)))


@fn
def gelu_loop(out: Vector, x: Vector) -> None:
    for i in range(x.size):
        v = x[i]
        out[i] = f32(0.5) * v * (f32(1) + math.tanh(f32(0.79788456) * (v + f32(0.044715) * v * v * v)))


@case
def gelu() -> Any:
    n = 300_007
    x, out, expected = floats(n), floats(n), floats(n)
    gelu_kernel[cdiv(n, 128), 128](out, x)
    gelu_loop(expected, x)
    assert (out == expected).all()
    return lambda: gelu_kernel[cdiv(n, 128), 128](out, x), lambda: gelu_loop(out, x)


@kernel
def stencil_kernel(out: Matrix, x: Matrix) -> None:
    c = block_idx.x * block_dim.x + thread_idx.x
    r = block_idx.y * block_dim.y + thread_idx.y
    h, w = x.shape
    if r > 0 and r < h - 1 and c > 0 and c < w - 1:
        out[r, c] = f32(0.25) * (x[r - 1, c] + x[r + 1, c] + x[r, c - 1] + x[r, c + 1])


@fn
def stencil_loop(out: Matrix, x: Matrix) -> None:
    h, w = x.shape
    for r in range(1, h - 1):
        for c in range(1, w - 1):
            out[r, c] = f32(0.25) * (x[r - 1, c] + x[r + 1, c] + x[r, c - 1] + x[r, c + 1])


@case
def stencil() -> Any:
    x, out, expected = floats(1001, 1003), np.zeros((1001, 1003), np.float32), np.zeros((1001, 1003), np.float32)
    grid, block = (cdiv(1003, 64), cdiv(1001, 4)), (64, 4)
    stencil_kernel[grid, block](out, x)
    stencil_loop(expected, x)
    assert (out == expected).all()
    return lambda: stencil_kernel[grid, block](out, x), lambda: stencil_loop(out, x)


@kernel
def transpose_kernel(out: Matrix, x: Matrix) -> None:
    tile = shared(f32, (32, 33))
    tx, ty = thread_idx.x, thread_idx.y
    c, r = block_idx.x * 32 + tx, block_idx.y * 32 + ty
    for k in range(0, 32, 8):
        if r + k < x.shape[0] and c < x.shape[1]:
            tile[ty + k, tx] = x[r + k, c]
    barrier()
    c, r = block_idx.y * 32 + tx, block_idx.x * 32 + ty
    for k in range(0, 32, 8):
        if r + k < out.shape[0] and c < out.shape[1]:
            out[r + k, c] = tile[tx, ty + k]


@fn
def transpose_loop(out: Matrix, x: Matrix) -> None:
    h, w = x.shape
    for r in range(h):
        for c in range(w):
            out[c, r] = x[r, c]


@case
def transpose() -> Any:
    x, out = floats(1000, 1010), np.zeros((1010, 1000), np.float32)
    grid = (cdiv(1010, 32), cdiv(1000, 32))
    transpose_kernel[grid, (32, 8)](out, x)
    assert (out == x.T).all()
    return lambda: transpose_kernel[grid, (32, 8)](out, x), lambda: transpose_loop(out, x)


@kernel
def sum_kernel(out: Vector, x: Vector) -> None:
    partial = shared(f32, 32)
    t = thread_idx.x
    total = f32(0)
    for i in range(block_idx.x * block_dim.x + t, x.size, grid_dim.x * block_dim.x):
        total += x[i]
    for k in range(5):
        total += warp.shuffle_down(total, 16 >> k)
    if lane_id() == 0:
        partial[t // warp.size] = total
    barrier()
    if t < warp.size:
        total = partial[t] if t < block_dim.x // warp.size else f32(0)
        for k in range(5):
            total += warp.shuffle_down(total, 16 >> k)
        if t == 0:
            out[block_idx.x] = total


@fn
def sum_loop(out: Vector, x: Vector) -> None:
    total = f32(0)
    for i in range(x.size):
        total += x[i]
    out[0] = total


@case
def reduction() -> Any:
    x, out = floats(1_000_003), np.zeros(64, np.float32)
    return lambda: sum_kernel[64, 256](out, x), lambda: sum_loop(out, x)


@kernel
def matmul_kernel(out: Matrix, a: Matrix, b: Matrix) -> None:
    left, right = shared(f32, (16, 16)), shared(f32, (16, 16))
    tx, ty = thread_idx.x, thread_idx.y
    row, col = block_idx.y * 16 + ty, block_idx.x * 16 + tx
    total = f32(0)
    for first in range(0, a.shape[1], 16):
        left[ty, tx] = a[row, first + tx] if row < a.shape[0] and first + tx < a.shape[1] else f32(0)
        right[ty, tx] = b[first + ty, col] if first + ty < b.shape[0] and col < b.shape[1] else f32(0)
        barrier()
        for k in range(16):
            total += left[ty, k] * right[k, tx]
        barrier()
    if row < out.shape[0] and col < out.shape[1]:
        out[row, col] = total


@kernel
def naive_kernel(out: Matrix, a: Matrix, b: Matrix) -> None:
    col, row = block_idx.x * block_dim.x + thread_idx.x, block_idx.y * block_dim.y + thread_idx.y
    if row < out.shape[0] and col < out.shape[1]:
        total = f32(0)
        for k in range(a.shape[1]):
            total += a[row, k] * b[k, col]
        out[row, col] = total


@fn
def matmul_loop(out: Matrix, a: Matrix, b: Matrix) -> None:
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            total = f32(0)
            for k in range(a.shape[1]):
                total += a[r, k] * b[k, c]
            out[r, c] = total


def _matmul(k: Any, block: tuple[int, int]) -> Any:
    a, b, out, expected = floats(250, 270), floats(270, 260), floats(250, 260), floats(250, 260)
    grid = (cdiv(260, block[0]), cdiv(250, block[1]))
    k[grid, block](out, a, b)
    matmul_loop(expected, a, b)
    assert (out == expected).all()
    return lambda: k[grid, block](out, a, b), lambda: matmul_loop(out, a, b)


@case
def tiled_matmul() -> Any:
    return _matmul(matmul_kernel, (16, 16))


@case
def naive_matmul() -> Any:
    return _matmul(naive_kernel, (32, 8))


@kernel
def histogram_kernel(out: Ints, x: Ints) -> None:
    bins = shared(i32, 256)
    for i in range(thread_idx.x, 256, block_dim.x):
        bins[i] = i32(0)
    barrier()
    for i in range(block_idx.x * block_dim.x + thread_idx.x, x.size, grid_dim.x * block_dim.x):
        atomic_add(bins.ptr + x[i], 1)
    barrier()
    for i in range(thread_idx.x, 256, block_dim.x):
        atomic_add(out.ptr + i, bins[i])


@fn
def histogram_loop(out: Ints, x: Ints) -> None:
    for i in range(x.size):
        out[int(x[i])] += i32(1)


@case
def histogram() -> Any:
    x = np.random.default_rng(0).integers(0, 256, 500_009, dtype=np.int32)
    out = np.zeros(256, np.int32)
    histogram_kernel[32, 128](out, x)
    assert (out == np.bincount(x, minlength=256)).all()
    return lambda: histogram_kernel[32, 128](out, x), lambda: histogram_loop(out, x)


@kernel
def softmax_kernel(out: Matrix, x: Matrix) -> None:
    """A block a row."""
    box = shared(f32, 128)
    t, r, n = thread_idx.x, block_idx.x, x.shape[1]
    largest = f32(-3e38)
    for c in range(t, n, 128):
        largest = max(largest, x[r, c])
    box[t] = largest
    barrier()
    half = 64
    while half > 0:
        if t < half:
            box[t] = max(box[t], box[t + half])
        barrier()
        half //= 2
    largest = box[0]
    barrier()
    total = f32(0)
    for c in range(t, n, 128):
        e = math.exp(x[r, c] - largest)
        out[r, c] = e
        total += e
    box[t] = total
    barrier()
    half = 64
    while half > 0:
        if t < half:
            box[t] += box[t + half]
        barrier()
        half //= 2
    total = box[0]
    for c in range(t, n, 128):
        out[r, c] = out[r, c] / total


@fn
def softmax_loop(out: Matrix, x: Matrix) -> None:
    for r in range(x.shape[0]):
        largest, total = f32(-3e38), f32(0)
        for c in range(x.shape[1]):
            largest = max(largest, x[r, c])
        for c in range(x.shape[1]):
            e = math.exp(x[r, c] - largest)
            out[r, c] = e
            total += e
        for c in range(x.shape[1]):
            out[r, c] = out[r, c] / total


@case
def softmax() -> Any:
    x, out, expected = floats(300, 1111), floats(300, 1111), floats(300, 1111)
    softmax_kernel[300, 128](out, x)
    softmax_loop(expected, x)
    assert np.allclose(out, expected, rtol=1e-4)
    return lambda: softmax_kernel[300, 128](out, x), lambda: softmax_loop(out, x)


@kernel
def scan_kernel(out: Vector, x: Vector) -> None:
    """Sums of blocks of 256, step by step in shared memory."""
    box = shared(f32, (2, 256))
    t = thread_idx.x
    i = block_idx.x * 256 + t
    box[0, t] = x[i] if i < x.size else f32(0)
    barrier()
    side, step = 0, 1
    while step < 256:
        v = box[side, t]
        if t >= step:
            v += box[side, t - step]
        box[1 - side, t] = v
        side = 1 - side
        barrier()
        step *= 2
    if i < x.size:
        out[i] = box[side, t]


@fn
def scan_loop(out: Vector, x: Vector) -> None:
    for first in range(0, x.size, 256):
        total = f32(0)
        for i in range(first, min(first + 256, x.size)):
            total += x[i]
            out[i] = total


@case
def scan() -> Any:
    n = 500_003
    x, out, expected = floats(n), floats(n), floats(n)
    scan_kernel[cdiv(n, 256), 256](out, x)
    scan_loop(expected, x)
    assert np.allclose(out, expected, atol=1e-4)
    return lambda: scan_kernel[cdiv(n, 256), 256](out, x), lambda: scan_loop(out, x)


@kernel
def gemv_kernel(out: Vector, a: Matrix, x: Vector) -> None:
    """A warp a row."""
    row = block_idx.x * (block_dim.x // warp.size) + thread_idx.x // warp.size
    if row < a.shape[0]:
        total = f32(0)
        for c in range(lane_id(), a.shape[1], warp.size):
            total += a[row, c] * x[c]
        for k in range(5):
            total += warp.shuffle_down(total, 16 >> k)
        if lane_id() == 0:
            out[row] = total


@fn
def gemv_loop(out: Vector, a: Matrix, x: Vector) -> None:
    for r in range(a.shape[0]):
        total = f32(0)
        for c in range(a.shape[1]):
            total += a[r, c] * x[c]
        out[r] = total


@case
def gemv() -> Any:
    a, x, out, expected = floats(801, 1003), floats(1003), floats(801), floats(801)
    gemv_kernel[cdiv(801, 4), 128](out, a, x)
    gemv_loop(expected, a, x)
    assert np.allclose(out, expected, atol=1e-3)
    return lambda: gemv_kernel[cdiv(801, 4), 128](out, a, x), lambda: gemv_loop(out, a, x)


@kernel
def mandelbrot_kernel(out: Ints, w: int, limit: i32) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    if i < out.size:
        cx, cy = f32(i % w) * f32(3.0 / 256) - f32(2), f32(i // w) * f32(3.0 / 256) - f32(1.5)
        x, y, n = f32(0), f32(0), i32(0)
        while n < limit and x * x + y * y <= f32(4):
            x, y = x * x - y * y + cx, f32(2) * x * y + cy
            n += i32(1)
        out[i] = n


@fn
def mandelbrot_loop(out: Ints, w: int, limit: i32) -> None:
    for i in range(out.size):
        cx, cy = f32(i % w) * f32(3.0 / 256) - f32(2), f32(i // w) * f32(3.0 / 256) - f32(1.5)
        x, y, n = f32(0), f32(0), i32(0)
        while n < limit and x * x + y * y <= f32(4):
            x, y = x * x - y * y + cx, f32(2) * x * y + cy
            n += i32(1)
        out[i] = n


@case
def mandelbrot() -> Any:
    out, expected = np.zeros(256 * 256, np.int32), np.zeros(256 * 256, np.int32)
    mandelbrot_kernel[256, 256](out, 256, 60)
    mandelbrot_loop(expected, 256, 60)
    assert (out == expected).all()
    return lambda: mandelbrot_kernel[256, 256](out, 256, 60), lambda: mandelbrot_loop(out, 256, 60)


def best(runs: list[Callable[[], object]], repeats: int = 15) -> list[float]:
    """Seconds of the fastest of some rounds of each, taken in turns."""
    found = [float("inf")] * len(runs)
    for _ in range(repeats):
        for i, run in enumerate(runs):
            start = time.perf_counter()
            run()
            found[i] = min(found[i], time.perf_counter() - start)
    return found


def measure(names: list[str]) -> dict[str, tuple[float, float, float]]:
    """name -> (seconds on simt, on coroutines, of the loop)"""
    found = {}
    for name in names:
        with config.override(SAPWOOD_NUM_THREADS="1"):
            launch, loop = CASES[name]()
            fast, plain = best([launch, loop])
            with config.override(SAPWOOD_TARGET="simt:coroutines"):
                slow = best([launch], 3)[0]
        found[name] = (fast, slow, plain)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    found = measure(args.names or list(CASES))
    if args.json:
        print(json.dumps({name: {"fast": f, "coroutines": s, "loop": p} for name, (f, s, p) in found.items()}))
        return
    print(f"{'kernel':14} {'loop ms':>8} {'fast ms':>8} {'fast/loop':>9} {'coroutines/loop':>15}")
    for name, (fast, slow, plain) in found.items():
        print(f"{name:14} {plain * 1e3:8.2f} {fast * 1e3:8.2f} {fast / plain:9.2f} {slow / plain:15.1f}")
    mean = float(np.exp(np.mean([np.log(f / p) for f, _, p in found.values()])))
    print(f"geometric mean of fast/loop: {mean:.2f}")


if __name__ == "__main__":
    main()
