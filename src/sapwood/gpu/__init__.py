"""What kernels use beyond ordinary functions: `from sapwood.gpu import thread_idx, block_dim, barrier, ...`."""

from sapwood.lang.function import kernel
from sapwood.lang.launch import Deadlock
from sapwood.lang.library.named_barrier import named_barrier
from sapwood.lang.ops.atomics import atomic_add
from sapwood.lang.ops.gpu import (
    barrier,
    barrier_all,
    barrier_any,
    barrier_count,
    block_dim,
    block_idx,
    block_rank,
    cluster_arrive,
    cluster_dim,
    cluster_idx,
    cluster_sync,
    cluster_wait,
    dynamic_shared,
    grid_dim,
    grid_sync,
    lane_id,
    map_shared,
    shared,
    thread_idx,
    warp,
)

__all__ = [
    "Deadlock",
    "atomic_add",
    "barrier",
    "barrier_all",
    "barrier_any",
    "barrier_count",
    "block_dim",
    "block_idx",
    "block_rank",
    "cluster_arrive",
    "cluster_dim",
    "cluster_idx",
    "cluster_sync",
    "cluster_wait",
    "dynamic_shared",
    "grid_dim",
    "grid_sync",
    "kernel",
    "lane_id",
    "map_shared",
    "named_barrier",
    "shared",
    "thread_idx",
    "warp",
]
