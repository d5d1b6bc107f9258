"""A matrix product that is to keep the tensor cores of sm_90a busy: c = a @ b.T.

Copies of boxes (TMA) fill a ring of stages in shared memory ahead of the products of two warpgroups. Source: the
structure is that of "CUTLASS: Efficient GEMM in CUDA"; instructions are those of PTX ISA, `wgmma` and
`cp.async.bulk.tensor`.
"""

from __future__ import annotations

from typing import Any, TypeVar

from sapwood.lang.api.annotations import Const, Tensor
from sapwood.lang.api.comptime import comptime
from sapwood.lang.api.dtypes import bf16, f16, f32, i8, u8, u64
from sapwood.lang.api.loops import unroll
from sapwood.lang.function import fn, kernel
from sapwood.lang.library.tile import store_c, zero_c
from sapwood.lang.ops.gpu import (
    barrier,
    block_idx,
    dynamic_shared,
    fence_async,
    lane_id,
    mbarrier,
    shared,
    tensor_copy,
    thread_idx,
    warp,
    wgmma,
    wgmma_commit_group,
    wgmma_fence,
    wgmma_operand,
    wgmma_wait_group,
)
from sapwood.lang.ops.gpu.matrix_warpgroup import WarpgroupUnit, wgmma_unit
from sapwood.runtime.dtypes import dtype

S = TypeVar("S")
T = TypeVar("T")

ROWS = 128  # of the result that a block makes: 64 for each warpgroup
THREADS = 256
WARPS = 8
ROW = 128  # bytes of a factor's row in a stage, and the swizzle
GROUP = 8  # rows of blocks that run side by side, so that both factors stay in the L2 cache


def stage_bytes(unit: WarpgroupUnit) -> int:
    """Shared memory of a stage: a box of each factor."""
    return (ROWS + unit.n) * ROW


@fn(inline=True, unchecked=True)
def block_place(rows: int, columns: int) -> tuple[int, int]:
    """Row and column of the block's part among the parts of the result: GROUP rows of them at a time."""
    first = block_idx.x // (GROUP * columns) * GROUP
    height = min(rows - first, GROUP)
    within = block_idx.x % (GROUP * columns)
    return first + within % height, within // height


@fn(inline=True, unchecked=True)
def bring(
    unit: Const[WarpgroupUnit], a: Tensor[T, 2], b: Tensor[T, 2], row: int, column: int, first: int, stage: int,
    bar: Any,
) -> None:  # fmt: skip
    """Begin to fill a stage with what k = `first` on needs."""
    size = comptime(unit.factor.scalar.itemsize)
    depth = comptime(ROW // size)
    at = stage * comptime(stage_bytes(unit))
    left = dynamic_shared(unit.factor, at, comptime((ROWS, depth)))
    right = dynamic_shared(unit.factor, at + ROWS * ROW, comptime((unit.n, depth)))
    mbarrier.arrive_expect_tx(bar, comptime(stage_bytes(unit)))
    tensor_copy(left, a, (row, first), bar, ROW)
    tensor_copy(right, b, (column, first), bar, ROW)


@kernel(unchecked=True)
def pipelined_matmul_kernel(
    c: Tensor[S, 2], a: Tensor[T, 2], b: Tensor[T, 2], unit: Const[WarpgroupUnit], stages: Const[int]
) -> None:
    """c = a @ b.T: `stages` stages of dynamic shared memory, blocks of 256 threads that make 128 x unit.n each."""
    full, empty = shared(u64, stages), shared(u64, stages)
    size = comptime(unit.factor.scalar.itemsize)
    depth = comptime(ROW // size)
    t = thread_idx.x
    i, j = block_place((c.shape[0] + ROWS - 1) // ROWS, (c.shape[1] + unit.n - 1) // unit.n)
    row, column = i * ROWS, j * unit.n
    steps = (a.shape[1] + depth - 1) // depth
    if t == 0:
        for k in range(stages):
            mbarrier.init(full.ptr + k, 1)
            mbarrier.init(empty.ptr + k, WARPS)
        fence_async()
    barrier()
    if t == 0:
        for k in range(min(stages - 1, steps)):
            bring(unit, a, b, row, column, k * depth, k, full.ptr + k)
    mine = t // 128 * 64  # rows of this warpgroup
    total = zero_c(unit)
    for k in range(steps):
        stage = k % stages
        at = stage * comptime(stage_bytes(unit))
        left = dynamic_shared(unit.factor, at, comptime((ROWS, depth)))
        right = dynamic_shared(unit.factor, at + ROWS * ROW, comptime((unit.n, depth)))
        mbarrier.wait(full.ptr + stage, k // stages % 2)
        total = wgmma_fence(total)
        for first in unroll(range(0, depth, unit.k)):
            x = wgmma_operand(left.ptr + (mine * depth + first), ROW)
            total = wgmma(unit, total, x, wgmma_operand(right.ptr + first, ROW))
        wgmma_commit_group()
        total = wgmma_wait_group(1, total)  # the products of the step before are complete: its stage is free
        warp.sync()
        if k > 0 and lane_id() == 0:
            mbarrier.arrive(empty.ptr + (k - 1) % stages)
        ahead = k + stages - 1
        if t == 0 and ahead < steps:
            slot = ahead % stages
            if ahead >= stages:
                mbarrier.wait(empty.ptr + slot, (ahead // stages - 1) % 2)
            bring(unit, a, b, row, column, ahead * depth, slot, full.ptr + slot)
    total = wgmma_wait_group(0, total)
    store_c(unit, total, c, row + mine, column)


FACTORS = {"f16": f16, "bf16": bf16, "f32": f32, "i8": i8, "u8": u8}


def pipelined_matmul(c: Any, a: Any, b: Any, columns: int = 256, stages: int = 4, stream: Any = None) -> None:
    """c = a @ b.T, in blocks of 128 x `columns`: c is m x n of any dtype, a m x k and b n x k of one dtype that `wgmma`
    multiplies (f16, bf16, f32 as tf32, i8, u8). Rows of a and b begin at multiples of 16 bytes.

    columns, stages: of the pipeline, at least 2 stages; one takes (128 + columns) * 128 bytes of shared memory. Sums
    are f32 or i32 and add in ascending k. Raises ValueError for shapes that do not fit and for other dtypes,
    LaunchMistake where the device has less memory, and on a GPU for rows that begin elsewhere.
    """
    (m, k), (n, other) = a.shape, b.shape
    if other != k or tuple(c.shape) != (m, n):
        raise ValueError(f"pipelined_matmul: {tuple(a.shape)} times {tuple(b.shape)} transposed is no {tuple(c.shape)}")
    name = dtype(a.dtype).name
    if name not in FACTORS:
        raise ValueError(f"pipelined_matmul: factors are {', '.join(FACTORS)}, not {name}")
    if stages < 2:  # a stage is filled ahead of the one that is used
        raise ValueError(f"pipelined_matmul: a pipeline has at least 2 stages, not {stages}")
    unit = wgmma_unit(columns, FACTORS[name])
    blocks = -(-m // ROWS) * -(-n // unit.n)
    if blocks:
        nbytes = stages * stage_bytes(unit)
        launch = pipelined_matmul_kernel.launch(grid=blocks, block=THREADS, shared=nbytes, stream=stream)
        launch(c, a, b, unit, stages)
