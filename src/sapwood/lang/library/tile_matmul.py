"""One body of a matrix product, for whatever multiplies matrices on the target.

A block of 128 threads makes 64 x 64 of the result. Both factors go through shared memory, 128 bytes of each row at a
time, with k along the rows; what is outside of them is 0.
"""

from __future__ import annotations

from typing import Any, TypeVar

from sapwood.lang.api.annotations import Const, StackArray, Tensor
from sapwood.lang.api.comptime import comptime
from sapwood.lang.api.dtypes import bf16, f16, f32, i8, i32, u8
from sapwood.lang.api.loops import unroll
from sapwood.lang.function import fn
from sapwood.lang.library.tile import _sum, load_a, load_b, store_c, zero_c
from sapwood.lang.library.tile_warpgroup import swizzled
from sapwood.lang.ops.gpu.copies import fence_async
from sapwood.lang.ops.gpu.matrix import MatrixUnit, mma
from sapwood.lang.ops.gpu.matrix_memory import transposed
from sapwood.lang.ops.gpu.matrix_warpgroup import (
    WarpgroupUnit,
    best_unit,
    wgmma,
    wgmma_commit_group,
    wgmma_fence,
    wgmma_operand,
    wgmma_wait_group,
)
from sapwood.lang.ops.gpu.place import block_dim, thread_idx
from sapwood.lang.ops.gpu.shared import shared
from sapwood.lang.ops.gpu.sync import barrier

S = TypeVar("S")
T = TypeVar("T")

TILE = 64  # rows and columns of the result that a block makes
THREADS = 128
ROW = 128  # bytes of a factor's rows that are in shared memory


@fn(inline=True, unchecked=True)
def matmul_tile(
    c: Tensor[S, 2], a: Tensor[T, 2], b: Tensor[T, 2], row: int, column: int, unit: Const[Any] = None
) -> None:
    """Write the 64 x 64 of c = a @ b that begin at c[row, column], by all 128 threads of a block along x.

    a, b: m x k and k x n of one dtype, of any strides; c m x n, of any dtype; what is outside of c is not written.
    Sums are f32 of f16, bf16 and f32, i32 of i8 and u8, else of the factors' type. The block takes up to 18 KiB of
    shared memory. Raises ValueError in a block of another size along x.

    `unit` is what multiplies: a `wgmma_unit(64, ...)` or a unit of `mma` of the factors' dtype and with these sums.
    None takes what the target has: `wgmma` on sm_90a, else the `mma` with the longest k, else a product and a sum for
    each k, as for f32 everywhere and on a CPU. All of them add in ascending k.
    """
    if block_dim.x != THREADS:
        raise ValueError("matmul_tile is for blocks of 128 threads")
    chosen = best_unit(a.dtype, _sums_of(a.dtype), TILE) if unit is None else unit
    _product(chosen, c, a, b, row, column)


@fn(inline=True)
def _sums_of(dtype: Const[Any]):
    if dtype is i8 or dtype is u8:
        return i32
    return f32 if dtype is f16 or dtype is bf16 else dtype


@fn(inline=True, unchecked=True)
def _product(unit: Const[Any], c: Tensor[S, 2], a: Tensor[T, 2], b: Tensor[T, 2], row: int, column: int) -> None:
    if comptime(isinstance(unit, WarpgroupUnit)):
        _by_warpgroup(unit, c, a, b, row, column)
    elif comptime(isinstance(unit, MatrixUnit)):
        _by_warps(unit, c, a, b, row, column)
    else:
        _by_threads(c, a, b, row, column)


@fn(inline=True, unchecked=True)
def _bring(tile: Tensor[T, 2], swizzle: Const[int], x: Tensor[T, 2], first: int, k: int) -> None:
    """Rows from `first` on of x, and its columns from k on."""
    dtype = tile.dtype
    size = comptime(dtype.scalar.itemsize)
    wide = comptime(ROW // size)
    for e in range(thread_idx.x, TILE * wide, THREADS):
        i, j = e // wide, e % wide
        inside = first + i < x.shape[0] and k + j < x.shape[1]
        value = x[first + i, k + j] if inside else x.dtype(0)
        tile.ptr[swizzled(e, size, swizzle) if swizzle != 0 else i * tile.strides[0] + j] = value


@fn(inline=True, unchecked=True)
def _by_warpgroup(
    unit: Const[WarpgroupUnit], c: Tensor[S, 2], a: Tensor[T, 2], b: Tensor[T, 2], row: int, column: int
) -> None:
    wide = comptime(ROW // unit.factor.scalar.itemsize)
    left, right = shared(unit.factor, (TILE, wide), 1024), shared(unit.factor, (TILE, wide), 1024)
    total = zero_c(unit)
    for first in range(0, a.shape[1], wide):
        _bring(left, ROW, a, row, first)
        _bring(right, ROW, transposed(b), column, first)
        fence_async()
        barrier()
        total = wgmma_fence(total)
        for k in unroll(range(0, wide, unit.k)):
            total = wgmma(unit, total, wgmma_operand(left.ptr + k, ROW), wgmma_operand(right.ptr + k, ROW))
        wgmma_commit_group()
        total = wgmma_wait_group(0, total)
        barrier()
    store_c(unit, total, c, row, column)


@fn(inline=True, unchecked=True)
def _by_warps(
    unit: Const[MatrixUnit], c: Tensor[S, 2], a: Tensor[T, 2], b: Tensor[T, 2], row: int, column: int
) -> None:
    """Each warp makes 16 rows. Rows are 16 bytes longer than what is in them: so eight begin in different banks."""
    wide = comptime(ROW // unit.factor.scalar.itemsize)
    pad = comptime(16 // unit.factor.scalar.itemsize)
    left, right = shared(unit.factor, (TILE, wide + pad)), shared(unit.factor, (TILE, wide + pad))
    bands, columns = comptime((tuple(range(0, 16, unit.m)), tuple(range(0, TILE, unit.n))))
    top = thread_idx.x // 32 * 16
    sums = tuple(tuple(zero_c(unit) for _ in columns) for _ in bands)
    for first in range(0, a.shape[1], wide):
        _bring(left, 0, a, row, first)
        _bring(right, 0, transposed(b), column, first)
        barrier()
        for k in range(0, wide, unit.k):
            sums = _step(unit, left, right, sums, top, k)
        barrier()
    for i in unroll(range(16 // unit.m)):
        for j in unroll(range(TILE // unit.n)):
            store_c(unit, sums[i][j], c, row + top + bands[i], column + columns[j])


@fn(inline=True, unchecked=True)
def _step(unit: Const[MatrixUnit], left: Tensor[T, 2], right: Tensor[T, 2], sums: Any, top: int, k: int):
    bands, columns = comptime((tuple(range(16 // unit.m)), tuple(range(TILE // unit.n))))
    xs = tuple(load_a(unit, left, top + i * unit.m, k) for i in bands)
    ys = tuple(load_b(unit, transposed(right), k, j * unit.n) for j in columns)
    return tuple(tuple(mma(unit, xs[i], ys[j], sums[i][j]) for j in columns) for i in bands)


@fn(inline=True, unchecked=True)
def _by_threads(c: Tensor[S, 2], a: Tensor[T, 2], b: Tensor[T, 2], row: int, column: int) -> None:
    """Each thread makes 8 x 4: every eighth row, and every sixteenth column."""
    total = _sums_of(a.dtype)
    dtype = a.dtype
    wide = comptime(64 // dtype.scalar.itemsize)
    left, right = shared(a.dtype, (TILE, wide + 1)), shared(a.dtype, (TILE, wide + 1))
    x, y = thread_idx.x % 16, thread_idx.x // 16
    sums = StackArray[total, 32](total(0))
    for first in range(0, a.shape[1], wide):
        for e in range(thread_idx.x, TILE * wide, THREADS):
            i, k = e // wide, first + e % wide
            left[i, k - first] = a[row + i, k] if row + i < a.shape[0] and k < a.shape[1] else a.dtype(0)
            right[i, k - first] = b[k, column + i] if column + i < b.shape[1] and k < a.shape[1] else a.dtype(0)
        barrier()
        for k in range(wide):
            for j in unroll(range(4)):
                v = total(right[x + 16 * j, k])
                for i in unroll(range(8)):
                    sums[8 * j + i] = _sum(total(left[y + 8 * i, k]), v, sums[8 * j + i])
        barrier()
    for j in unroll(range(4)):
        for i in unroll(range(8)):
            r, s = row + y + 8 * i, column + x + 16 * j
            if r < c.shape[0] and s < c.shape[1]:
                c[r, s] = c.dtype(sums[8 * j + i])
