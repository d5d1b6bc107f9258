"""Threads of a block wait for each other."""

from __future__ import annotations

from sapwood.lang.ops.base import operation
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
