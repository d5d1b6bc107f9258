"""Operations of kernels: where a thread is, shared memory, barriers, warp shuffles.

A kernel runs once for each thread of a grid of blocks. Threads of a block share memory and wait for each other
at barriers; 32 threads (`warp.size`) that follow each other in a block are a warp and can read each other's
registers. The model and its words are CUDA's (CUDA C++ Programming Guide, "Programming Model"; PTX ISA, `bar`
and `shfl.sync`). Threads of a block are numbered x first: x + dim.x * (y + dim.y * z).

The rules here say what an operation means to one thread; `ev.thread` (lang/oracles/kernel_reference.py) and `e.thread`
(targets/base.py, ThreadCode) are that thread.
"""

from __future__ import annotations

from typing import Any, NoReturn

from sapwood.lang.bits import from_bits, to_bits
from sapwood.lang.errors import BadOperand, KernelOnly, NotConstant
from sapwood.lang.ops.base import Operation, operation
from sapwood.lang.types import F32, I32, I64, U32, Ptr, Tensor
from sapwood.lang.values import Agg, Known, Value, describe

AXES = ("x", "y", "z")


# -- where a thread is -------------------------------------------------------------------------------


def _place(name: str, doc: str, varies: bool = False) -> Operation[..., Any]:
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
        self._op = op
        self.__doc__ = op.__doc__

    def compiled_attribute(self, b: Any, name: str) -> Value | None:
        return b.emit1(self._op, (), I64, axis=AXES.index(name)) if name in AXES else None

    def _outside(self) -> NoReturn:
        raise KernelOnly(None, op=self._op.name)

    x = property(_outside)
    y = property(_outside)
    z = property(_outside)

    def __repr__(self) -> str:
        return self._op.name


thread_idx = Place(_place("thread_idx", "Index of the thread in its block.", varies=True))
block_idx = Place(_place("block_idx", "Index of the block in the grid."))
block_dim = Place(_place("block_dim", "Threads of a block along each axis."))
grid_dim = Place(_place("grid_dim", "Blocks of the grid along each axis."))


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


# -- shared memory and barriers ----------------------------------------------------------------------


@operation(space="kernel")
def shared_storage() -> Any:
    """Memory of the block: attributes `bytes` and `align`. One piece per place in the source, whatever runs it."""


@shared_storage.reference
def _(ev, op):
    return ev.thread.shared(op)


@shared_storage.lowering
def _(e, op):
    return e.thread.shared_storage(op.attrs["bytes"], op.attrs["align"])


@operation(space="kernel")
def shared(dtype: Any, shape: Any) -> Any:
    """A tensor in the memory that the threads of a block share, of compile-time shape (an int or a tuple).

    Its contents are undefined at first. All threads get the same memory; put a `barrier()` between a write by
    one thread and a read by another.
    """


@shared.typing
def _(b, dtype, shape):
    from sapwood.lang.ops.convert import dtype_argument

    elem = dtype_argument(b, dtype, "shared")
    sizes = b.known(shape, "the shape of shared memory", (int, tuple))
    sizes = sizes if isinstance(sizes, tuple) else (sizes,)
    count = 1
    for n in sizes:
        if not isinstance(n, int) or isinstance(n, bool):
            raise NotConstant(b.loc, what="the shape of shared memory", found=f"{n!r}")
        if n < 1:
            raise BadOperand(b.loc, function="shared", detail=f"a size of {n}", hint="sizes are at least 1")
        count *= n
    pointer = b.emit1(
        shared_storage, (), Ptr(elem, "shared"), bytes=count * elem.itemsize, align=max(16, elem.itemsize)
    )
    strides = [1]
    for n in reversed(sizes[1:]):
        strides.insert(0, strides[0] * n)
    items = (pointer, *map(Known, sizes), *map(Known, strides))
    return Agg(Tensor(elem, len(sizes), "contiguous"), items)


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


# -- warps -------------------------------------------------------------------------------------------


def source_lane(mode: str, lane: int, n: int, size: int) -> int:
    """The lane that a shuffle reads; `lane` itself where there is none. `n` counts modulo the warp's size."""
    n %= size
    found = {"idx": n, "up": lane - n, "down": lane + n, "xor": lane ^ n}[mode]
    return found if 0 <= found < size else lane


@operation(space="kernel", varies=True)
def warp_shuffle(x: Any, n: Any) -> Any:
    """The value of `x` in another lane; attribute `mode` says which one `n` names. (PTX: `shfl.sync`.)"""


@warp_shuffle.reference
def _(ev, op, x, n):
    elem = op.result.type
    source = source_lane(op.attrs["mode"], ev.thread.lane, n, ev.thread.warp_size)
    return from_bits(elem, ev.thread.exchange(to_bits(elem, x), source, op))


@warp_shuffle.lowering
def _(e, op, x, n):
    return e.thread.shuffle(op.attrs["mode"], e.type(op.result.type), x, n, op.loc.line)


def _shuffle(name: str, mode: str, argument: str, doc: str) -> Operation[..., Any]:
    def stub(x: Any, n: Any) -> Any: ...

    stub.__name__ = stub.__qualname__ = name
    stub.__doc__ = (
        f"{doc} x is an f32, i32 or u32; {argument} is an int, modulo the warp's size.\n\n"
        "All threads of the warp that have not returned must come to the same shuffle. A lane that does not\n"
        "exist or has returned gives the reader's own x."
    )
    op = operation(name=f"warp.{name}", space="kernel")(stub)

    @op.typing
    def _(b, x, n):
        from sapwood.lang.ops.operators import require_index

        value = b.materialize(x)
        if value.type not in (F32, I32, U32):
            hint = "convert it, for example f32(x); 64-bit values move as two halves"
            raise BadOperand(b.loc, function=f"warp.{name}", detail=f"cannot move {describe(x)}", hint=hint)
        lane = b.materialize(require_index(b, n, argument))
        return b.emit1(warp_shuffle, (value, lane), value.type, mode=mode)

    return op


class Warp:
    """The 32 threads that execute together: `warp.size` and what they can do with each other's registers."""

    shuffle = _shuffle("shuffle", "idx", "lane", "The x of the given lane.")
    shuffle_up = _shuffle("shuffle_up", "up", "delta", "The x of the lane `delta` below this one.")
    shuffle_down = _shuffle("shuffle_down", "down", "delta", "The x of the lane `delta` above this one.")
    shuffle_xor = _shuffle("shuffle_xor", "xor", "mask", "The x of the lane whose number differs by `mask`'s bits.")

    def compiled_attribute(self, b: Any, name: str) -> Value | None:
        if name == "size":
            if not b.target.kernel:
                raise KernelOnly(b.loc, op="warp.size")
            return Known(b.target.warp_size)
        found = vars(Warp).get(name)
        return Known(found) if isinstance(found, Operation) else None

    @property
    def size(self) -> int:
        raise KernelOnly(None, op="warp.size")

    def __repr__(self) -> str:
        return "warp"


warp = Warp()


__all__ = [
    "barrier",
    "block_dim",
    "block_idx",
    "grid_dim",
    "lane_id",
    "shared",
    "thread_idx",
    "warp",
]
