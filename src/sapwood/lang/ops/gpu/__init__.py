"""Operations of kernels, one file a subject.

A kernel runs once for each thread of a grid of blocks. Threads of a block share memory and wait for each other
at barriers; 32 threads (`warp.size`) that follow each other in a block are a warp and can read each other's
registers. The model and its words are CUDA's (CUDA C++ Programming Guide, "Programming Model"; PTX ISA, `bar`
and `shfl.sync`). Threads of a block are numbered x first: x + dim.x * (y + dim.y * z).

The rules say what an operation means to one thread; `ev.thread` (lang/oracles/kernel_reference.py) and `e.thread`
(targets/base.py, ThreadCode) are that thread.
"""

from sapwood.lang.ops.gpu.place import block_dim, block_idx, grid_dim, lane_id, thread_idx
from sapwood.lang.ops.gpu.shared import dynamic_shared, shared
from sapwood.lang.ops.gpu.sync import barrier
from sapwood.lang.ops.gpu.warp import warp

__all__ = [
    "barrier",
    "block_dim",
    "block_idx",
    "dynamic_shared",
    "grid_dim",
    "lane_id",
    "shared",
    "thread_idx",
    "warp",
]
