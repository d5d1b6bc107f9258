"""Fragments of matrices: where their elements are, how they come from memory and go there; products by shuffles."""

from __future__ import annotations

from typing import Any, TypeVar

from sapwood.lang.api.annotations import Const, Tensor
from sapwood.lang.api.comptime import comptime
from sapwood.lang.api.dtypes import f32, i8, i32, u8, u16, u32
from sapwood.lang.api.loops import unroll
from sapwood.lang.function import fn
from sapwood.lang.ops.arith import mul_add
from sapwood.lang.ops.gpu.matrix import WARP, Fragment, MatrixUnit, Unit, lane_absent
from sapwood.lang.ops.gpu.matrix_memory import NO, TRANSPOSED, how_rows_lie, ldmatrix
from sapwood.lang.ops.gpu.place import block_dim, lane_id, thread_idx
from sapwood.lang.ops.gpu.warp import warp
from sapwood.lang.ops.memory import address

T = TypeVar("T")


@fn(inline=True)
def fragment_place(fragment: Const[Fragment], lane: int, k: int) -> tuple[int, int]:
    """(row, column) of element k of a lane's tuple, in a matrix of `fragment.rows` by `fragment.columns`."""
    row, column = 0, 0
    for count, down, right in unroll(fragment.lanes):
        row, column = row + lane % count * down, column + lane % count * right
        lane = lane // count
    for count, down, right in unroll(fragment.elements):
        row, column = row + k % count * down, column + k % count * right
        k = k // count
    return row, column


@fn(inline=True)
def thread_of(fragment: Const[Fragment]) -> int:
    """This thread's number among those that have the fragment: its lane, or its place in a warpgroup of 128."""
    if fragment.threads == WARP:
        return lane_id()
    return (thread_idx.x + block_dim.x * (thread_idx.y + block_dim.y * thread_idx.z)) % fragment.threads


@fn(inline=True)
def _element(fragment: Const[Fragment], k: Const[int], dtype: Const[Any], x: Tensor[T, 2], row: int, column: int):
    i, j = fragment_place(fragment, thread_of(fragment), k)
    i, j = row + i, column + j
    inside = i >= 0 and i < x.shape[0] and j >= 0 and j < x.shape[1]
    return x[i, j] if inside else dtype(0)


@fn(inline=True, unchecked=True)
def _load(fragment: Const[Fragment], dtype: Const[Any], x: Tensor[T, 2], row: int, column: int):
    how = how_rows_lie(fragment, dtype, x)
    if how == NO:
        return _each(fragment, dtype, x, row, column)
    p = x.ptr + (row * x.strides[0] + column * x.strides[1])
    above, left = row + fragment.rows <= x.shape[0], column + fragment.columns <= x.shape[1]
    if row >= 0 and above and column >= 0 and left and address(p) & 15 == 0:
        i, j = _row(fragment, how)
        count = comptime(fragment.size // fragment.elements[0][0])
        return ldmatrix(p + (i * x.strides[0] + j * x.strides[1]), count, how == TRANSPOSED)
    return _each(fragment, dtype, x, row, column)


@fn(inline=True, unchecked=True)
def _row(fragment: Const[Fragment], how: Const[int]) -> tuple[int, int]:
    """Where the row begins that this lane names to `ldmatrix`: row `lane % 8` of matrix `lane // 8`."""
    n, down, right = comptime((fragment.elements[0][0], *fragment.lanes[0][1:]))
    count = comptime(fragment.size // n)
    lane = lane_id()
    if how == TRANSPOSED:  # from the matrix's first element on, along the axis of a register's neighbours
        i, j = fragment_place(fragment, 0, lane // 8 % count * n)
        return i + lane % 8 * comptime(down // n), j + lane % 8 * comptime(right // n)
    return fragment_place(fragment, lane % 8 * 4, lane // 8 % count * n)


@fn(inline=True)
def _each(fragment: Const[Fragment], dtype: Const[Any], x: Tensor[T, 2], row: int, column: int):
    return tuple(_element(fragment, k, dtype, x, row, column) for k in comptime(tuple(range(fragment.size))))


@fn(inline=True)
def load_a(unit: Const[Unit], x: Tensor[T, 2], row: int = 0, column: int = 0):
    """This thread's fragment of the `unit.m` by `unit.k` matrix that begins at x[row, column].

    A tuple of `unit.a.size` elements; x is of dtype `unit.factor`, in shared or other memory. What is outside of x is
    0. A factor that lies transposed in memory is loaded from a transposed view.
    """
    return _load(unit.a, unit.factor, x, row, column)


@fn(inline=True)
def load_b(unit: Const[MatrixUnit], x: Tensor[T, 2], row: int = 0, column: int = 0):
    """This thread's fragment of the `unit.k` by `unit.n` matrix that begins at x[row, column]; see `load_a`."""
    return _load(unit.b, unit.factor, x, row, column)


@fn(inline=True)
def load_c(unit: Const[Unit], x: Tensor[T, 2], row: int = 0, column: int = 0):
    """This thread's fragment of the `unit.m` by `unit.n` matrix of `unit.sum` that begins at x[row, column]."""
    return _load(unit.c, unit.sum, x, row, column)


@fn(inline=True)
def zero_c(unit: Const[Unit]):
    """A fragment of sums that are 0."""
    return tuple(unit.sum(0) for _ in comptime(tuple(range(unit.c.size))))


@fn(inline=True)
def store_c(unit: Const[Unit], c: Any, x: Tensor[T, 2], row: int = 0, column: int = 0) -> None:
    """Write a fragment of sums to the matrix that begins at x[row, column]; what would be outside of x is left out.

    Elements are converted to x's dtype.
    """
    for k in unroll(range(unit.c.size)):
        i, j = fragment_place(unit.c, thread_of(unit.c), k)
        i, j = row + i, column + j
        if i >= 0 and i < x.shape[0] and j >= 0 and j < x.shape[1]:
            x[i, j] = x.dtype(c[k])


# -- warps that are whole -----------------------------------------------------------------------------


@fn(inline=True, unchecked=True)
def whole_warp() -> None:
    """Report a lane that is absent: the one before it gets its own number for that lane's."""
    following = (lane_id() + 1) % WARP
    lane_absent(warp.shuffle(lane_id(), following) != following, following)


# -- products without a matrix unit ------------------------------------------------------------------


@fn(inline=True)
def _word(unit: Const[Unit], x: Any, first: Const[int]) -> u32:
    """The 32 bits of a register: one, two or four factors, the first lowest."""
    if unit.factor is f32:
        return to_tf32(x[first])
    if unit.factor is i8 or unit.factor is u8:
        word = u32(0)
        for k in unroll(range(4)):
            word = word | u32(x[first + k].bitcast(u8)) << 8 * k
        return word
    return u32(x[first].bitcast(u16)) | u32(x[first + 1].bitcast(u16)) << 16


@fn(inline=True)
def to_tf32(x: f32) -> u32:
    """The bits of x as a tf32: rounded to eleven bits, ties away from 0."""
    bits = x.bitcast(u32)
    return bits if bits & 0x7F800000 == 0x7F800000 else bits + 0x1000 & 0xFFFFE000


@fn(inline=True)
def _factor(unit: Const[Unit], word: u32, k: Const[int]):
    """Factor k of a register, as the type that is summed."""
    if unit.factor is f32:
        return word.bitcast(f32)
    if unit.factor is i8 or unit.factor is u8:
        return i32(u8(word >> 8 * k & 255).bitcast(unit.factor))
    return f32(u16(word >> 16 * k & 65535).bitcast(unit.factor))


@fn(inline=True)
def _sum(x: T, y: T, z: T) -> T:
    return z + x * y if T is i32 else mul_add(x, y, z)


@fn(inline=True)
def multiply_by_shuffles(unit: Const[MatrixUnit], a: Any, b: Any, c: Any):
    """What `mma` means, by a warp without matrix units: each lane asks those that have its rows and columns.

    For products whose fragments are those of m16n8 or m8n8: a group of four lanes has two rows of A, or one, and a
    column of B; each lane has two elements of C in those rows.
    """
    p, halves = comptime((unit.a.elements[0][0], unit.m // 8))
    wide = comptime(i32 if unit.sum is i32 else f32)
    group = lane_id() // 4 * 4
    left = lane_id() % 4 * 8  # the group that has the first of this lane's two columns; the next has the other
    c0, c1 = wide(c[0]), wide(c[1])
    c2, c3 = wide(c[2 * halves - 2]), wide(c[2 * halves - 1])
    for step in unroll(range(unit.k // (4 * p))):
        for other in range(4):
            first = warp.shuffle(_word(unit, b, step * p), left + other)
            second = warp.shuffle(_word(unit, b, step * p), left + 4 + other)
            upper = warp.shuffle(_word(unit, a, halves * step * p), group + other)
            for k in unroll(range(p)):
                x, y, u = _factor(unit, first, k), _factor(unit, second, k), _factor(unit, upper, k)
                c0, c1 = _sum(u, x, c0), _sum(u, y, c1)
            if halves == 2:
                lower = warp.shuffle(_word(unit, a, (2 * step + 1) * p), group + other)
                for k in unroll(range(p)):
                    x, y, v = _factor(unit, first, k), _factor(unit, second, k), _factor(unit, lower, k)
                    c2, c3 = _sum(v, x, c2), _sum(v, y, c3)
    sums = (c0, c1, c2, c3) if halves == 2 else (c0, c1)
    return tuple(unit.sum(x) for x in sums)
