"""Products of matrices and vectors, from one thread an element to tiles in registers; quantised weights."""

from __future__ import annotations

import numpy as np
from gpu_conformance import Results, cdiv, normal, poison, program, wide

from sapwood import Const, StackArray, Tensor, f32, i8, i32, kernel, u8, unroll
from sapwood.gpu import barrier, block_dim, block_idx, lane_id, shared, thread_idx, warp


@kernel
def naive_kernel(c: Tensor[f32, 2], a: Tensor[f32, 2], b: Tensor[f32, 2]) -> None:
    i = block_idx.y * block_dim.y + thread_idx.y
    j = block_idx.x * block_dim.x + thread_idx.x
    if i < c.shape[0] and j < c.shape[1]:
        total = f32(0)
        for k in range(a.shape[1]):
            total += a[i, k] * b[k, j]
        c[i, j] = total


@program(1, 17, 64)
def naive(run, rng, n) -> Results:
    a, b, c = normal(rng, n, n + 3), normal(rng, n + 3, 2 * n), poison(n, 2 * n)
    run(naive_kernel, (cdiv(2 * n, 16), cdiv(n, 16)), (16, 16), c, a, b)
    yield c, wide(a) @ wide(b)


@kernel
def tiled_kernel(c: Tensor[f32, 2], a: Tensor[f32, 2], b: Tensor[f32, 2], size: Const[int]) -> None:
    """Square tiles of both factors in shared memory."""
    ta, tb = shared(f32, (size, size)), shared(f32, (size, size))
    tx, ty = thread_idx.x, thread_idx.y
    i, j = block_idx.y * size + ty, block_idx.x * size + tx
    m, n, depth = c.shape[0], c.shape[1], a.shape[1]
    total = f32(0)
    for first in range(0, depth, size):
        ta[ty, tx] = a[i, first + tx] if i < m and first + tx < depth else f32(0)
        tb[ty, tx] = b[first + ty, j] if first + ty < depth and j < n else f32(0)
        barrier()
        for k in range(size):
            total += ta[ty, k] * tb[k, tx]
        barrier()
    if i < m and j < n:
        c[i, j] = total


@program(1, 16, 33, 100)
def tiled(run, rng, n) -> Results:
    for size in (8, 16):
        a, b, c = normal(rng, n, n + 3), normal(rng, n + 3, n + 1), poison(n, n + 1)
        run(tiled_kernel, (cdiv(n + 1, size), cdiv(n, size)), (size, size), c, a, b, size)
        yield c, wide(a) @ wide(b)


@kernel
def registers_kernel(c: Tensor[f32, 2], a: Tensor[f32, 2], b: Tensor[f32, 2]) -> None:
    """64 by 64 by a block of 16 by 16: four by four sums in the registers of a thread."""
    ta, tb = shared(f32, (16, 65)), shared(f32, (16, 65))
    sums = StackArray[f32, 16]()
    tx, ty = thread_idx.x, thread_idx.y
    t = ty * 16 + tx
    top, left = block_idx.y * 64, block_idx.x * 64
    m, n, depth = c.shape[0], c.shape[1], a.shape[1]
    for k in unroll(range(16)):
        sums[k] = f32(0)
    for first in range(0, depth, 16):
        for e in range(t, 1024, 256):
            i, k = e // 16, e % 16
            ta[k, i] = a[top + i, first + k] if top + i < m and first + k < depth else f32(0)
            i, k = e // 64, e % 64
            tb[i, k] = b[first + i, left + k] if first + i < depth and left + k < n else f32(0)
        barrier()
        for k in range(16):
            for r in unroll(range(4)):
                for s in unroll(range(4)):
                    sums[4 * r + s] += ta[k, ty + 16 * r] * tb[k, tx + 16 * s]
        barrier()
    for r in unroll(range(4)):
        for s in unroll(range(4)):
            i, j = top + ty + 16 * r, left + tx + 16 * s
            if i < m and j < n:
                c[i, j] = sums[4 * r + s]


@program(1, 64, 65, 130)
def tiles_in_registers(run, rng, n) -> Results:
    a, b, c = normal(rng, n, n + 3), normal(rng, n + 3, n + 1), poison(n, n + 1)
    run(registers_kernel, (cdiv(n + 1, 64), cdiv(n, 64)), (16, 16), c, a, b)
    yield c, wide(a) @ wide(b)


@kernel
def batched_kernel(c: Tensor[f32, 3], a: Tensor[f32, 3], b: Tensor[f32, 3]) -> None:
    """A product for each block_idx.z, with the second factor transposed."""
    z = block_idx.z
    i = block_idx.y * block_dim.y + thread_idx.y
    j = block_idx.x * block_dim.x + thread_idx.x
    if i < c.shape[1] and j < c.shape[2]:
        total = f32(0)
        for k in range(a.shape[2]):
            total += a[z, i, k] * b[z, j, k]
        c[z, i, j] = total


@program(1, 19)
def batched_transposed(run, rng, n) -> Results:
    a, b, c = normal(rng, 3, n, 21), normal(rng, 3, n + 2, 21), poison(3, n, n + 2)
    run(batched_kernel, (cdiv(n + 2, 8), cdiv(n, 8), 3), (8, 8), c, a, b)
    yield c, np.einsum("zik,zjk->zij", wide(a), wide(b))


@kernel
def int8_kernel(out: Tensor[f32, 1], weight: Tensor[i8, 2], scale: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    """y = scale * (W x), W in int8 with a scale a row, a warp a row."""
    row = block_idx.x * (block_dim.x // 32) + thread_idx.x // 32
    if row < out.size:
        total = f32(0)
        for k in range(lane_id(), x.size, 32):
            total += f32(weight[row, k]) * x[k]
        total = warp.reduce_add(total)
        if lane_id() == 0:
            out[row] = total * scale[row]


@program(1, 40, 257)
def gemv_of_int8(run, rng, n) -> Results:
    weight = rng.integers(-127, 128, (n, 2 * n + 1), np.int8)
    scale, x, out = np.abs(normal(rng, n)), normal(rng, 2 * n + 1), poison(n)
    run(int8_kernel, cdiv(n, 4), 128, out, weight, scale, x)
    yield out, wide(scale) * (wide(weight) @ wide(x))


@kernel
def int4_kernel(out: Tensor[f32, 1], packed: Tensor[u8, 2], scale: Tensor[f32, 2], x: Tensor[f32, 1]) -> None:
    """Two weights a byte, low half first, offset by 8; a scale for 32 of them; a block a row."""
    parts = shared(f32, 4)
    row, t = block_idx.x, thread_idx.x
    total = f32(0)
    for k in range(t, packed.shape[1], 128):
        byte = i32(packed[row, k])
        low, high = f32((byte & 15) - 8), f32((byte >> 4) - 8)
        total += scale[row, k // 16] * (low * x[2 * k] + high * x[2 * k + 1])
    total = warp.reduce_add(total)
    if lane_id() == 0:
        parts[t // 32] = total
    barrier()
    if t == 0:
        out[row] = parts[0] + parts[1] + parts[2] + parts[3]


@program(32, 96, 640)
def gemv_of_int4(run, rng, n) -> Results:
    rows = 21
    q = rng.integers(0, 16, (rows, n))
    packed = (q[:, ::2] | q[:, 1::2] << 4).astype(np.uint8)
    scale, x, out = np.abs(normal(rng, rows, n // 32)), normal(rng, n), poison(rows)
    run(int4_kernel, rows, 128, out, packed, scale, x)
    weight = (q - 8) * np.repeat(wide(scale), 32, axis=1)
    yield out, weight @ wide(x)


@kernel
def sparse_kernel(
    out: Tensor[f32, 1], start: Tensor[i32, 1], column: Tensor[i32, 1], value: Tensor[f32, 1], x: Tensor[f32, 1]
) -> None:
    """A sparse matrix by rows (CSR), a warp a row."""
    row = block_idx.x * (block_dim.x // 32) + thread_idx.x // 32
    if row >= out.size:
        return
    total = f32(0)
    for k in range(int(start[row]) + lane_id(), int(start[row + 1]), 32):
        total += value[k] * x[int(column[k])]
    total = warp.reduce_add(total)
    if lane_id() == 0:
        out[row] = total


@program(1, 50, 300)
def sparse_times_vector(run, rng, n) -> Results:
    dense = np.where(rng.random((n, n + 4)) < 0.2, normal(rng, n, n + 4), 0).astype(np.float32)
    rows, column = np.nonzero(dense)
    start = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=n)))).astype(np.int32)
    x, out = normal(rng, n + 4), poison(n)
    run(sparse_kernel, cdiv(n, 2), 64, out, start, column.astype(np.int32), dense[rows, column], x)
    yield out, wide(dense) @ wide(x)
