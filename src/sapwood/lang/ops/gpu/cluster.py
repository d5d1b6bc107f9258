"""Clusters: blocks that run at the same time and can read and write each other's shared memory (sm_90 and newer).

A launch says how many blocks are a cluster, `k.launch(..., cluster=2)`; else each block is one. Source: PTX ISA,
"Cluster of Cooperative Thread Arrays", `barrier.cluster`, `mapa`.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.errors import BadOperand
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.convert import convert
from sapwood.lang.ops.gpu.place import Place, place
from sapwood.lang.types import BOOL, I64, U64, Ptr, Tensor
from sapwood.lang.values import Agg, Known, describe

cluster_idx = Place(place("cluster_idx", "Index of the block's cluster in the grid of clusters."))
cluster_dim = Place(place("cluster_dim", "Blocks of a cluster along each axis."))


@operation(pure=True, space="kernel")
def block_rank() -> int:
    """Number of the block in its cluster, x first, from 0. (PTX: `%cluster_ctarank`.)"""
    ...


@block_rank.typing
def _(b):
    return b.emit1(block_rank, (), I64)


@block_rank.reference
def _(ev, op):
    return ev.thread.block.rank


@block_rank.lowering
def _(e, op):
    return e.thread.block_rank()


@operation(space="kernel")
def cluster_arrive() -> None:
    """Come to the barrier of the cluster without waiting; `cluster_wait()` follows. (PTX: `barrier.cluster.arrive`.)"""


@cluster_arrive.typing
def _(b):
    b.emit(cluster_arrive)
    return Known(None)


@cluster_arrive.reference
def _(ev, op):
    ev.thread.cluster_arrive()
    return ()


@cluster_arrive.lowering
def _(e, op):
    e.thread.cluster_arrive()


@operation(space="kernel")
def cluster_wait() -> None:
    """Wait until every thread of the cluster that has not returned has come to its barrier. (PTX:
    `barrier.cluster.wait`.)"""


@cluster_wait.typing
def _(b):
    b.emit(cluster_wait)
    return Known(None)


@cluster_wait.reference
def _(ev, op):
    ev.thread.cluster_wait(op.loc.line)
    return ()


@cluster_wait.lowering
def _(e, op):
    e.thread.cluster_wait(op.loc.line)


@operation(space="kernel")
def cluster_sync() -> None:
    """Wait until every thread of the cluster that has not returned is here: `cluster_arrive()`, `cluster_wait()`.

    What threads wrote before it, in shared memory or elsewhere, all threads of the cluster see after it. No block may
    return while others still use its shared memory: let them meet once more at the end.
    """


@cluster_sync.typing
def _(b):
    b.emit(cluster_arrive)
    b.emit(cluster_wait)
    return Known(None)


@operation(pure=True, space="kernel", varies=True)
def map_pointer(p: Any, rank: Any) -> Any:
    """Where a place in this block's shared memory lies in that of another block of the cluster. (PTX: `mapa`.)"""


@map_pointer.reference
def _(ev, op, p, rank):
    return ev.thread.block.in_block(p, rank)


@map_pointer.lowering
def _(e, op, p, rank):
    return e.thread.map_shared(p, rank)


@operation(space="kernel")
def map_shared(x: Any, rank: int) -> Any:
    """The same tensor (or pointer) as `x`, which is in shared memory, in the block of the cluster with this rank.

    Wait with `cluster_sync()` before its first use, so that the other block has begun, and after the last. Raises
    IndexError for a rank that the cluster does not have.
    """


@map_shared.typing
def _(b, x, rank):
    from sapwood.lang.ops.operators import require_index

    pointer = x.items[0] if isinstance(x, Agg) and isinstance(x.type, Tensor) else x
    if not isinstance(pointer, Var) or not isinstance(pointer.type, Ptr) or pointer.type.space != "shared":
        hint = "pass what shared(...) or dynamic_shared(...) gave, or a pointer into it"
        raise BadOperand(b.loc, function="map_shared", detail=f"{describe(x)} is not in shared memory", hint=hint)
    number = b.materialize(require_index(b, rank, "the rank of map_shared"))
    if not b.unchecked:
        _check_rank(b, number)
    there = b.emit1(map_pointer, (pointer, number), Ptr(pointer.type.elem))
    return there if pointer is x else Agg(x.type, (there, *x.items[1:]))


def _check_rank(b: Any, rank: Var) -> None:
    """Raise IndexError unless 0 <= rank < the blocks of the cluster; a negative one is a large one without sign."""
    sizes = [b.emit1(cluster_dim.op, (), I64, axis=axis) for axis in range(3)]
    blocks = b.emit1(arith.mul, (b.emit1(arith.mul, tuple(sizes[:2]), I64), sizes[2]), I64)
    unsigned = tuple(b.emit1(convert, (x,), U64) for x in (rank, blocks))
    beyond = b.emit1(arith.compare, unsigned, BOOL, test="ge")
    b.raise_if(beyond, IndexError, "rank {0} is out of bounds for a cluster of {1} blocks", rank, blocks)
