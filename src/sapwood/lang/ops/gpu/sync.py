"""Threads of a block, and blocks of a grid, wait for each other."""

from __future__ import annotations

from typing import Any

from sapwood.lang.ops import arith
from sapwood.lang.ops.base import Operation, operation
from sapwood.lang.types import BOOL, I64
from sapwood.lang.values import Known


@operation(space="kernel")
def give_way() -> None:
    """Let other threads run before this one looks, in a loop, what they have done (passes/spinning.py)."""


@give_way.reference
def _(ev, op):
    ev.thread.give_way()
    return ()


@give_way.lowering
def _(e, op):
    e.thread.give_way()


@operation(space="kernel")
def barrier() -> None:
    """Wait until every thread of the block that has not returned waits at a barrier.

    What threads wrote before it, all threads of the block see after it. (PTX: `barrier.sync 0`.)
    """


@barrier.typing
def _(b):
    b.emit(barrier)
    return Known(None)


@barrier.reference
def _(ev, op):
    ev.thread.wait_barrier(op.loc.line)
    return ()


@barrier.lowering
def _(e, op):
    e.thread.barrier(op.loc.line, op.attrs["uniform"])


# -- barriers that count -----------------------------------------------------------------------------


@operation(space="kernel")
def barrier_vote(predicate: Any) -> Any:
    """A barrier that tells each thread of how many the predicate holds; attribute `mode`: count, all or any."""


@barrier_vote.reference
def _(ev, op, predicate):
    return ev.thread.vote_barrier(op.attrs["mode"], predicate, op.loc.line)


@barrier_vote.lowering
def _(e, op, predicate):
    return e.thread.barrier_vote(op.attrs["mode"], predicate, op.loc.line)


def _vote(name: str, mode: str, doc: str) -> Operation[..., Any]:
    def stub(predicate: bool) -> Any: ...

    stub.__name__ = stub.__qualname__ = name
    stub.__doc__ = f"{doc} It is a `barrier()`. (PTX: `barrier.red`; CUDA C++: `__syncthreads_count`, `_and`, `_or`.)"
    op = operation(space="kernel")(stub)

    @op.typing
    def _(b, predicate):
        from sapwood.lang.ops.operators import truth

        said = b.materialize(truth(b, predicate))
        return b.emit1(barrier_vote, (said,), I64 if mode == "count" else BOOL, mode=mode)

    return op


barrier_count = _vote("barrier_count", "count", "Wait for the threads of the block: of how many `predicate` is true.")
barrier_all = _vote("barrier_all", "all", "Wait for the threads of the block: whether `predicate` is true of all.")
barrier_any = _vote("barrier_any", "any", "Wait for the threads of the block: whether `predicate` is true of any.")


# -- named barriers ----------------------------------------------------------------------------------


@operation(space="kernel")
def named_barrier_arrive(number: Any, count: Any) -> None:
    """Count one arrival; the barrier opens with the one that makes it `count`. Two i64."""


@named_barrier_arrive.typing
def _(b, number, count):
    b.emit(named_barrier_arrive, (b.coerce(number, I64), b.coerce(count, I64)))
    return Known(None)


@named_barrier_arrive.reference
def _(ev, op, number, count):
    ev.thread.block.arrive(number, count)
    return ()


@named_barrier_arrive.lowering
def _(e, op, number, count):
    e.thread.named_arrive(number, count)


@operation(space="kernel")
def named_barrier_sync(number: Any, count: Any) -> None:
    """Arrive, and wait until the barrier opens."""


@named_barrier_sync.typing
def _(b, number, count):
    b.emit(named_barrier_sync, (b.coerce(number, I64), b.coerce(count, I64)))
    return Known(None)


@named_barrier_sync.reference
def _(ev, op, number, count):
    ev.thread.sync_named(number, count, op.loc.line)
    return ()


@named_barrier_sync.lowering
def _(e, op, number, count):
    e.thread.named_sync(number, count, op.loc.line)


# -- the grid ----------------------------------------------------------------------------------------


@operation(space="kernel", pure=True)
def is_cooperative() -> bool:
    """Whether all blocks of the grid run at the same time."""
    ...


@is_cooperative.reference
def _(ev, op):
    return ev.thread.block.is_cooperative


@is_cooperative.lowering
def _(e, op):
    return e.thread.is_cooperative()


@operation(space="kernel")
def grid_sync() -> None:
    """Wait until every thread of the grid that has not returned waits here, in a launch with `cooperative=True`.

    What threads wrote before it, all threads of the grid see after it. Raises RuntimeError in any other launch. On a
    GPU every thread of the grid must come to it. (CUDA C++: `grid_group::sync`.)
    """


@grid_sync.typing
def _(b):
    if not b.unchecked:
        alone = b.emit1(arith.compare, (b.emit1(is_cooperative, (), BOOL), b.const(False, BOOL)), BOOL, test="eq")
        b.raise_if(alone, RuntimeError, "grid_sync() needs a launch with cooperative=True")
    b.emit(grid_sync)
    return Known(None)


@grid_sync.reference
def _(ev, op):
    ev.thread.wait("grid", op.loc.line)
    return ()


@grid_sync.lowering
def _(e, op):
    e.thread.grid_sync(op.loc.line)
