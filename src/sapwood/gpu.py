"""What kernels use beyond ordinary functions: `from sapwood.gpu import thread_idx, block_dim, barrier, ...`."""

from sapwood.lang.function import kernel
from sapwood.lang.launch import Deadlock
from sapwood.lang.ops.atomics import atomic_add
from sapwood.lang.ops.gpu import (
    barrier,
    block_dim,
    block_idx,
    dynamic_shared,
    grid_dim,
    lane_id,
    shared,
    thread_idx,
    warp,
)

__all__ = [
    "Deadlock",
    "atomic_add",
    "barrier",
    "block_dim",
    "block_idx",
    "dynamic_shared",
    "grid_dim",
    "kernel",
    "lane_id",
    "shared",
    "thread_idx",
    "warp",
]
