"""Where a thread is: its indices, the sizes of block and grid, its lane."""

from __future__ import annotations

from typing import Any, NoReturn

from sapwood.lang.errors import KernelOnly
from sapwood.lang.ops.base import Operation, operation
from sapwood.lang.types import I64
from sapwood.lang.values import Value

AXES = ("x", "y", "z")


def place(name: str, doc: str, varies: bool = False) -> Operation[..., Any]:
    """An internal entry that gives one coordinate; attribute `axis` is 0, 1 or 2. Its value is an i64."""

    def stub() -> Any: ...

    stub.__doc__, stub.__name__ = doc, name
    op = operation(pure=True, space="kernel", varies=varies)(stub)

    @op.reference
    def _(ev, o):
        return ev.thread.place(name, o.attrs["axis"])

    @op.lowering
    def _(e, o):
        return e.thread.place(name, o.attrs["axis"])

    return op


class Place:
    """Three coordinates: `.x`, `.y`, `.z`, each an int. What is not launched is 0 (an index) or 1 (a size)."""

    def __init__(self, op: Operation[..., Any]) -> None:
        self.op = op
        self.__doc__ = op.__doc__

    def compiled_attribute(self, b: Any, name: str) -> Value | None:
        return b.emit1(self.op, (), I64, axis=AXES.index(name)) if name in AXES else None

    def _outside(self) -> NoReturn:
        raise KernelOnly(None, op=self.op.name)

    x = property(_outside)
    y = property(_outside)
    z = property(_outside)

    def __repr__(self) -> str:
        return self.op.name


thread_idx = Place(place("thread_idx", "Index of the thread in its block.", varies=True))
block_idx = Place(place("block_idx", "Index of the block in the grid."))
block_dim = Place(place("block_dim", "Threads of a block along each axis."))
grid_dim = Place(place("grid_dim", "Blocks of the grid along each axis."))


@operation(pure=True, space="kernel", varies=True)
def lane_id() -> int:
    """Index of the thread in its warp, from 0 to `warp.size` - 1."""
    ...


@lane_id.typing
def _(b):
    return b.emit1(lane_id, (), I64)


@lane_id.reference
def _(ev, op):
    return ev.thread.lane


@lane_id.lowering
def _(e, op):
    return e.thread.lane_id()
