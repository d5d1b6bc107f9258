"""Operations of kernels, one file a subject.

A kernel runs once for each thread of a grid of blocks. Threads of a block share memory and wait for each other
at barriers; 32 threads (`warp.size`) that follow each other in a block are a warp and can read each other's
registers. The model and its words are CUDA's (CUDA C++ Programming Guide, "Programming Model"; PTX ISA, `bar`
and `shfl.sync`). Threads of a block are numbered x first: x + dim.x * (y + dim.y * z).

The rules say what an operation means to one thread; `ev.thread` (lang/oracles/kernel_reference.py) and `e.thread`
(targets/base.py, ThreadCode) are that thread.
"""

from sapwood.lang.ops.gpu.cluster import (
    block_rank,
    cluster_arrive,
    cluster_dim,
    cluster_idx,
    cluster_sync,
    cluster_wait,
    map_shared,
)
from sapwood.lang.ops.gpu.copies import (
    async_copy,
    bulk_commit_group,
    bulk_copy,
    bulk_store,
    bulk_wait_group,
    commit_group,
    fence_async,
    wait_group,
)
from sapwood.lang.ops.gpu.matrix import (
    m8n8k16_i8,
    m8n8k16_u8,
    m16n8k4_tf32,
    m16n8k8_bf16,
    m16n8k8_f16,
    m16n8k8_f16_f16,
    m16n8k8_tf32,
    m16n8k16_bf16,
    m16n8k16_f16,
    m16n8k16_f16_f16,
    m16n8k16_i8,
    m16n8k16_u8,
    m16n8k32_i8,
    m16n8k32_u8,
    mma,
)
from sapwood.lang.ops.gpu.matrix_dot import dp2a, dp4a
from sapwood.lang.ops.gpu.matrix_memory import ldmatrix, stmatrix, transposed
from sapwood.lang.ops.gpu.matrix_warpgroup import (
    wgmma,
    wgmma_commit_group,
    wgmma_fence,
    wgmma_operand,
    wgmma_unit,
    wgmma_wait_group,
)
from sapwood.lang.ops.gpu.mbarrier import mbarrier
from sapwood.lang.ops.gpu.place import block_dim, block_idx, grid_dim, lane_id, thread_idx
from sapwood.lang.ops.gpu.shared import dynamic_shared, shared
from sapwood.lang.ops.gpu.sync import barrier, barrier_all, barrier_any, barrier_count, grid_sync
from sapwood.lang.ops.gpu.tensor_copies import tensor_copy, tensor_store
from sapwood.lang.ops.gpu.warp import warp, warp_id

__all__ = [
    "async_copy",
    "barrier",
    "barrier_all",
    "barrier_any",
    "barrier_count",
    "block_dim",
    "block_idx",
    "block_rank",
    "bulk_commit_group",
    "bulk_copy",
    "bulk_store",
    "bulk_wait_group",
    "cluster_arrive",
    "cluster_dim",
    "cluster_idx",
    "cluster_sync",
    "cluster_wait",
    "commit_group",
    "dp2a",
    "dp4a",
    "dynamic_shared",
    "fence_async",
    "grid_dim",
    "grid_sync",
    "lane_id",
    "ldmatrix",
    "m8n8k16_i8",
    "m8n8k16_u8",
    "m16n8k4_tf32",
    "m16n8k8_bf16",
    "m16n8k8_f16",
    "m16n8k8_f16_f16",
    "m16n8k8_tf32",
    "m16n8k16_bf16",
    "m16n8k16_f16",
    "m16n8k16_f16_f16",
    "m16n8k16_i8",
    "m16n8k16_u8",
    "m16n8k32_i8",
    "m16n8k32_u8",
    "map_shared",
    "mbarrier",
    "mma",
    "shared",
    "stmatrix",
    "tensor_copy",
    "tensor_store",
    "thread_idx",
    "transposed",
    "wait_group",
    "warp",
    "warp_id",
    "wgmma",
    "wgmma_commit_group",
    "wgmma_fence",
    "wgmma_operand",
    "wgmma_unit",
    "wgmma_wait_group",
]
