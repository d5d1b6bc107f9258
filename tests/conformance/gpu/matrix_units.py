"""Products of matrices on matrix units: a warp a tile, a block of warps over tiles in shared memory."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from gpu_conformance import Results, cdiv, normal, poison, program, wide

from sapwood import Array, Const, Tensor, bf16, f32, i32, kernel, u32, unroll
from sapwood.gpu import (
    barrier,
    block_idx,
    dp4a,
    fence_async,
    lane_id,
    load_a,
    load_b,
    m8n8k16_u8,
    m16n8k8_f16,
    m16n8k8_f16_f16,
    m16n8k8_tf32,
    m16n8k16_bf16,
    m16n8k16_f16,
    m16n8k32_i8,
    matmul_tile,
    mma,
    shared,
    store_c,
    swizzled,
    thread_idx,
    warp,
    wgmma,
    wgmma_commit_group,
    wgmma_fence,
    wgmma_operand,
    wgmma_unit,
    wgmma_wait_group,
    zero_c,
)

T = TypeVar("T")
S = TypeVar("S")


@kernel
def direct(c: Tensor[S, 2], a: Tensor[T, 2], b: Tensor[T, 2], unit: Const[Any]) -> None:
    """A warp makes one m16n8 of c; its factors come straight from memory."""
    row, column = block_idx.y * unit.m, block_idx.x * unit.n
    total = zero_c(unit)
    for k in range(0, a.shape[1], unit.k):
        total = mma(unit, load_a(unit, a, row, k), load_b(unit, b, k, column), total)
    store_c(unit, total, c, row, column)


def halves(x: Any) -> Any:
    return x.astype(np.float16)


@program(1, 16, 37)
def of_f16_on_turing(run, rng, n) -> Results:
    a, b, c = halves(normal(rng, n, n + 3)), halves(normal(rng, n + 3, n + 1)), poison(n, n + 1)
    run(direct, (cdiv(n + 1, 8), cdiv(n, 16)), 32, c, a, b, m16n8k8_f16)
    yield c, wide(a) @ wide(b)


@program(1, 50, since=80)
def of_f16(run, rng, n) -> Results:
    a, b, c = halves(normal(rng, n, 2 * n)), halves(normal(rng, 2 * n, n + 1)), poison(n, n + 1)
    run(direct, (cdiv(n + 1, 8), cdiv(n, 16)), 32, c, a, b, m16n8k16_f16)
    yield c, wide(a) @ wide(b)


@program(1, 40, rtol=1e-3, since=80)
def of_f32_as_tf32(run, rng, n) -> Results:
    """Factors lose thirteen bits."""
    a, b, c = normal(rng, n, n + 3), normal(rng, n + 3, n + 1), poison(n, n + 1)
    run(direct, (cdiv(n + 1, 8), cdiv(n, 16)), 32, c, a, b, m16n8k8_tf32)
    yield c, wide(a) @ wide(b)


@program(1, 70, since=80)
def of_int8(run, rng, n) -> Results:
    """The second factor lies transposed, as weights do."""
    a = rng.integers(-128, 128, (n, n + 5), np.int8)
    b = rng.integers(-128, 128, (n + 1, n + 5), np.int8)
    c = poison(n, n + 1, dtype=np.int32)
    run(direct, (cdiv(n + 1, 8), cdiv(n, 16)), 32, c, a, b.T, m16n8k32_i8)
    yield c, a.astype(np.int32) @ b.T.astype(np.int32)


@kernel
def staged(c: Tensor[f32, 2], a: Tensor[bf16, 2], b: Tensor[bf16, 2]) -> None:
    """Four warps make 32 x 32 of c, two by two, two tiles each; factors go through shared memory."""
    unit = m16n8k16_bf16
    left, right = shared(bf16, (32, 16)), shared(bf16, (16, 32))
    top, first = block_idx.y * 32, block_idx.x * 32
    row, column = thread_idx.x // 32 % 2 * 16, thread_idx.x // 64 * 16
    c0, c1 = zero_c(unit), zero_c(unit)
    for k in range(0, a.shape[1], 16):
        for e in range(thread_idx.x, 512, 128):
            i, j = top + e // 16, k + e % 16
            left[e // 16, e % 16] = a[i, j] if i < a.shape[0] and j < a.shape[1] else bf16(0)
            i, j = k + e // 32, first + e % 32
            right[e // 32, e % 32] = b[i, j] if i < b.shape[0] and j < b.shape[1] else bf16(0)
        barrier()
        x = load_a(unit, left, row)
        c0 = mma(unit, x, load_b(unit, right, 0, column), c0)
        c1 = mma(unit, x, load_b(unit, right, 0, column + 8), c1)
        barrier()
    store_c(unit, c0, c, top + row, first + column)
    store_c(unit, c1, c, top + row, first + column + 8)


@program(1, 45, 96, since=80)
def of_bf16_through_shared_memory(run, rng, n) -> Results:
    a, b, c = Array.empty((n, n + 3), bf16), Array.empty((n + 3, n + 1), bf16), poison(n, n + 1)
    for x in (a, b):
        x.numpy(bits=True)[...] = normal(rng, *x.shape).view(np.uint32) >> 16
    run(staged, (cdiv(n + 1, 32), cdiv(n, 32)), 128, c, a, b)
    x, y = ((x.numpy(bits=True).astype(np.uint32) << 16).view(np.float32) for x in (a, b))
    yield c, wide(x) @ wide(y)


@program(1, 50, rtol=2e-3)
def of_f16_with_sums_of_f16(run, rng, n) -> Results:
    a, b = halves(normal(rng, n, n + 3) / n), halves(normal(rng, n + 3, n + 1))
    c = poison(n, n + 1, dtype=np.float16)
    run(direct, (cdiv(n + 1, 8), cdiv(n, 16)), 32, c, a, b, m16n8k8_f16_f16)
    yield c, wide(a) @ wide(b)


@program(1, 40)
def of_unsigned_bytes_on_turing(run, rng, n) -> Results:
    a, b = rng.integers(0, 256, (n, n + 5), np.uint8), rng.integers(0, 256, (n + 1, n + 5), np.uint8)
    c = poison(n, n + 1, dtype=np.int32)
    run(direct, (cdiv(n + 1, 8), cdiv(n, 8)), 32, c, a, b.T, m8n8k16_u8)
    yield c, a.astype(np.int32) @ b.T.astype(np.int32)


@kernel
def rows_by_dp4a(out: Tensor[i32, 1], w: Tensor[i32, 2], x: Tensor[u32, 1]) -> None:
    """A warp a row of signed weights, four to a word, with unsigned numbers."""
    row, total = block_idx.x, i32(0)
    for k in range(lane_id(), x.size, warp.size):
        total = dp4a(w[row, k], x[k], total)
    for k in range(5):
        total += warp.shuffle_xor(total, 16 >> k)
    if lane_id() == 0:
        out[row] = total


@program(1, 33, 300)
def quantised_rows(run, rng, n) -> Results:
    w, x = rng.integers(-128, 128, (n + 2, 4 * n), np.int8), rng.integers(0, 256, 4 * n, np.uint8)
    out = poison(n + 2, dtype=np.int32)
    run(rows_by_dp4a, n + 2, 32, out, w.view(np.int32), x.view(np.uint32))
    yield out, w.astype(np.int32) @ x.astype(np.int32)


WARPGROUP = wgmma_unit(64, bf16)


@kernel(unchecked=True)
def by_warpgroup(c: Tensor[f32, 2], a: Tensor[bf16, 2], b: Tensor[bf16, 2]) -> None:
    """A warpgroup makes 64 x 64 of c = a @ b.T; factors lie in swizzled rows of 128 bytes."""
    left, right = shared(bf16, (64, 64), 1024), shared(bf16, (64, 64), 1024)
    row, column = block_idx.y * 64, block_idx.x * 64
    total = zero_c(WARPGROUP)
    for first in range(0, a.shape[1], 64):
        for e in range(thread_idx.x, 64 * 64, 128):
            i, k, at = e // 64, first + e % 64, swizzled(e, 2, 128)
            left.ptr[at] = a[row + i, k] if row + i < a.shape[0] and k < a.shape[1] else bf16(0)
            right.ptr[at] = b[column + i, k] if column + i < b.shape[0] and k < a.shape[1] else bf16(0)
        fence_async()
        barrier()
        total = wgmma_fence(total)
        for k in unroll(range(0, 64, WARPGROUP.k)):
            total = wgmma(WARPGROUP, total, wgmma_operand(left.ptr + k, 128), wgmma_operand(right.ptr + k, 128))
        wgmma_commit_group()
        total = wgmma_wait_group(0, total)
        barrier()
    store_c(WARPGROUP, total, c, row, column)


@program(1, 70, only="sm_90a")
def of_bf16_by_warpgroups(run, rng, n) -> Results:
    a, b, c = Array.empty((n, n + 3), bf16), Array.empty((n + 1, n + 3), bf16), poison(n, n + 1)
    for x in (a, b):
        x.numpy(bits=True)[...] = normal(rng, *x.shape).view(np.uint32) >> 16
    run(by_warpgroup, (cdiv(n + 1, 64), cdiv(n, 64)), 128, c, a, b)
    x, y = ((x.numpy(bits=True).astype(np.uint32) << 16).view(np.float32) for x in (a, b))
    yield c, wide(x) @ wide(y).T


@kernel
def by_what_there_is(c: Tensor[S, 2], a: Tensor[T, 2], b: Tensor[T, 2]) -> None:
    matmul_tile(c, a, b, block_idx.y * 64, block_idx.x * 64)


@program(1, 75, 150)
def of_f16_by_what_there_is(run, rng, n) -> Results:
    a, b, c = halves(normal(rng, n, n + 3)), halves(normal(rng, n + 3, n + 1)), poison(n, n + 1)
    run(by_what_there_is, (cdiv(n + 1, 64), cdiv(n, 64)), 128, c, a, b)
    yield c, wide(a) @ wide(b)


@program(1, 75, 150)
def of_int8_by_what_there_is(run, rng, n) -> Results:
    a, b = (rng.integers(-128, 128, shape, np.int8) for shape in ((n, n + 5), (n + 1, n + 5)))
    c = poison(n, n + 1, dtype=np.int32)
    run(by_what_there_is, (cdiv(n + 1, 64), cdiv(n, 64)), 128, c, a, b.T)
    yield c, a.astype(np.int32) @ b.T.astype(np.int32)


@program(1, 75)
def of_f32_by_what_there_is(run, rng, n) -> Results:
    a, b, c = normal(rng, n, n + 3), normal(rng, n + 3, n + 1), poison(n, n + 1)
    run(by_what_there_is, (cdiv(n + 1, 64), cdiv(n, 64)), 128, c, a, b)
    yield c, wide(a) @ wide(b)
