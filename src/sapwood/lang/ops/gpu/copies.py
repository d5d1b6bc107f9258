"""Copies between global and shared memory that run while the threads go on.

A copy is issued at one place and complete at another: until a thread has waited for it, what it writes is not there,
and what it reads must not change. The evaluator and simt copy as late as that allows. Source: PTX ISA, "Data Movement
and Conversion Instructions: Asynchronous copy".
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.errors import BadOperand
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith
from sapwood.lang.ops.base import Operation, operation
from sapwood.lang.types import BOOL, I64, Ptr, Scalar
from sapwood.lang.values import Known, Value, describe

SIZES = (4, 8, 16)  # bytes of one cp.async
BULK = 16  # bytes: the unit of a bulk copy


def pointer(b: Any, p: Value, function: str, what: str, shared: bool) -> tuple[Var, Scalar]:
    """A pointer operand to elements in shared or in other memory."""
    if isinstance(p, Var) and isinstance(p.type, Ptr) and isinstance(p.type.elem, Scalar):
        if (p.type.space == "shared") == shared:
            return p, p.type.elem
    where = "shared memory: tile.ptr + i" if shared else "global memory: x.ptr + i"
    hint = f"pass a pointer into {where}"
    raise BadOperand(b.loc, function=function, detail=f"its {what} cannot be {describe(p)}", hint=hint)


def _ends(b: Any, target: Value, source: Value, function: str, to_shared: bool) -> tuple[Var, Var, int]:
    """Both pointers of a copy, and the size of their elements."""
    p, elem = pointer(b, target, function, "target", to_shared)
    q, other = pointer(b, source, function, "source", not to_shared)
    if elem != other:
        hint = "both sides have one type; p.cast(...) changes that of a pointer"
        raise BadOperand(b.loc, function=function, detail=f"cannot copy {other} to {elem}", hint=hint)
    return p, q, elem.itemsize


def misaligned(b: Any, bits: int, *pointers: Var) -> Var:
    """Whether one of some addresses has one of these bits."""
    from sapwood.lang.ops.memory import address

    found, *more = (b.emit1(address, (p,), I64) for p in pointers)
    for other in more:
        found = b.emit1(arith.bor, (found, other), I64)
    return b.emit1(arith.compare, (b.emit1(arith.band, (found, b.index(bits)), I64), b.index(0)), BOOL, test="ne")


def aligned(b: Any, function: str, nbytes: int, *pointers: Var) -> None:
    """Raise ValueError for an address that is not a multiple of `nbytes`, unless unchecked."""
    if not b.unchecked:
        odd = misaligned(b, nbytes - 1, *pointers)
        b.raise_if(odd, ValueError, f"{function}: an address is not a multiple of {nbytes}")


def _bytes(b: Any, count: Value, size: int) -> Var:
    from sapwood.lang.ops.operators import require_index

    n = b.materialize(require_index(b, count, "the count of a copy"))
    return n if size == 1 else b.emit1(arith.mul, (n, b.index(size)), I64)


# -- copies of a thread ------------------------------------------------------------------------------


@operation(space="kernel")
def copy_issue(target: Any, source: Any, read: Any) -> None:
    """Issue a copy of attribute `bytes`; of these, `read` (an i64) come from the source, and the rest is zero."""


@copy_issue.reference
def _(ev, op, target, source, read):
    ev.thread.copies.issue(target, source, op.attrs["bytes"], read)
    return ()


@copy_issue.lowering
def _(e, op, target, source, read):
    e.thread.async_copy(target, source, op.attrs["bytes"], read)


@operation(space="kernel")
def async_copy(target: Any, source: Any, count: int, valid: Any = None) -> None:
    """Begin to copy `count` elements from global to shared memory: `async_copy(tile.ptr + i, x.ptr + j, 4)`.

    target and source are pointers to one type; `count` is known at compile time and makes 4, 8 or 16 bytes, to which
    both addresses are aligned (else ValueError). `valid` is how many elements are read, from 0 to count, and the rest
    becomes zero: at the edge of an array. The copy is there after `wait_group`, for other threads after a barrier
    behind it. (PTX: `cp.async`, sm_80 and newer.)
    """


@async_copy.typing
def _(b, target, source, count, valid):
    p, q, size = _ends(b, target, source, "async_copy", True)
    nbytes = size * b.known(count, "the count of async_copy", int)
    if nbytes not in SIZES:
        hint = "copy 4, 8 or 16 bytes; 16 are fastest"
        raise BadOperand(b.loc, function="async_copy", detail=f"cannot copy {nbytes} bytes", hint=hint)
    aligned(b, "async_copy", nbytes, p, q)
    read = b.index(nbytes) if valid == Known(None) else _bytes(b, valid, size)
    if valid != Known(None):
        read = b.apply(arith.maximum, b.apply(arith.minimum, read, Known(nbytes)), Known(0))
    b.emit(copy_issue, (p, q, read), (), {"bytes": nbytes})
    return Known(None)


def _plain(name: str, method: str, doc: str) -> Operation[..., Any]:
    """An operation without operands."""

    def stub() -> None: ...

    stub.__name__ = stub.__qualname__ = name
    stub.__doc__ = doc
    op = operation(space="kernel")(stub)

    @op.typing
    def _(b):
        b.emit(op)
        return Known(None)

    @op.reference
    def _(ev, o):
        getattr(ev.thread.copies, method)()
        return ()

    @op.lowering
    def _(e, o):
        getattr(e.thread, method)()

    return op


def _waits(name: str, method: str, doc: str) -> Operation[..., Any]:
    """An operation with a number that is known at compile time."""

    def stub(n: int = 0) -> None: ...

    stub.__name__ = stub.__qualname__ = name
    stub.__doc__ = doc
    op = operation(space="kernel")(stub)

    @op.typing
    def _(b, n):
        left = b.known(n, f"the number of groups of {name}", int)
        if left < 0:
            hint = f"{name}(1) lets the newest group go on"
            raise BadOperand(b.loc, function=name, detail=f"{left} groups", hint=hint)
        b.emit(op, (), (), {"left": left})
        return Known(None)

    @op.reference
    def _(ev, o):
        getattr(ev.thread.copies, method)(o.attrs["left"])
        return ()

    @op.lowering
    def _(e, o):
        getattr(e.thread, method)(o.attrs["left"])

    return op


commit_group = _plain(
    "commit_group", "commit", "Make the thread's copies since the last one a group. (PTX: `cp.async.commit_group`.)"
)
wait_group = _waits(
    "wait_group", "wait_copies",
    "Wait for all of the thread's groups of copies but the newest `n`. (PTX: `cp.async.wait_group`.)",
)  # fmt: skip


# -- bulk copies -------------------------------------------------------------------------------------


@operation(space="kernel")
def bulk_load(target: Any, source: Any, nbytes: Any, read: Any, bar: Any) -> None:
    """Issue a bulk copy to shared memory whose bytes an mbarrier counts: `read` of them come from the source (on a GPU
    all), and the rest is zero."""


def _emitting(op: Operation[..., Any]) -> None:
    """For the library: the operation as a function, of pointers and numbers."""

    @op.typing
    def _(b, *operands):
        b.emit(op, tuple(b.materialize(v) for v in operands))
        return Known(None)


_emitting(bulk_load)


@bulk_load.reference
def _(ev, op, target, source, nbytes, read, bar):
    ev.thread.copies.bulk_load(target, source, nbytes, read, bar)
    return ()


@bulk_load.lowering
def _(e, op, target, source, nbytes, read, bar):
    e.thread.bulk_load(target, source, nbytes, read, bar)


def _whole(b: Any, function: str, nbytes: Var) -> None:
    """Raise ValueError unless the size of a bulk copy is a multiple of 16 that is not negative."""
    if not b.unchecked:
        wrong = b.emit1(arith.band, (nbytes, b.index(BULK - 1 - (1 << 63))), I64)
        odd = b.emit1(arith.compare, (wrong, b.index(0)), BOOL, test="ne")
        b.raise_if(odd, ValueError, function + ": {0} bytes are not a multiple of 16", nbytes)


@operation(space="kernel")
def bulk_copy(target: Any, source: Any, count: int, bar: Any) -> None:
    """One thread begins to copy `count` elements from global to shared memory; an mbarrier tells when they are there.

    target, source: pointers to one type, aligned to 16 bytes; the size is a multiple of 16 bytes (else ValueError).
    `bar` points to the mbarrier, which must expect as many bytes: `mbarrier.arrive_expect_tx(bar, nbytes)` before.
    (PTX: `cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes`, sm_90 and newer.)
    """


@bulk_copy.typing
def _(b, target, source, count, bar):
    from sapwood.lang.ops.gpu.mbarrier import barrier_pointer

    p, q, size = _ends(b, target, source, "bulk_copy", True)
    nbytes = _bytes(b, count, size)
    aligned(b, "bulk_copy", BULK, p, q)
    _whole(b, "bulk_copy", nbytes)
    b.emit(bulk_load, (p, q, nbytes, nbytes, barrier_pointer(b, bar, "bulk_copy", remote=False)))
    return Known(None)


@operation(space="kernel")
def bulk_store_issue(target: Any, source: Any, nbytes: Any) -> None:
    """Issue a bulk copy from shared memory."""


_emitting(bulk_store_issue)


@bulk_store_issue.reference
def _(ev, op, target, source, nbytes):
    ev.thread.copies.bulk_store(target, source, nbytes)
    return ()


@bulk_store_issue.lowering
def _(e, op, target, source, nbytes):
    e.thread.bulk_store(target, source, nbytes)


@operation(space="kernel")
def bulk_store(target: Any, source: Any, count: int) -> None:
    """One thread begins to copy `count` elements from shared to global memory; `bulk_commit_group()` and
    `bulk_wait_group(n)` are its groups.

    Pointers and sizes are as those of `bulk_copy`. What threads have written into the source is seen after
    `fence_async()` by each and a barrier. (PTX: `cp.async.bulk.global.shared::cta.bulk_group`, sm_90 and newer.)
    """


@bulk_store.typing
def _(b, target, source, count):
    p, q, size = _ends(b, target, source, "bulk_store", False)
    nbytes = _bytes(b, count, size)
    aligned(b, "bulk_store", BULK, p, q)
    _whole(b, "bulk_store", nbytes)
    b.emit(bulk_store_issue, (p, q, nbytes))
    return Known(None)


bulk_commit_group = _plain(
    "bulk_commit_group", "bulk_commit",
    "Make the thread's bulk stores since the last one a group. (PTX: `cp.async.bulk.commit_group`.)",
)  # fmt: skip
bulk_wait_group = _waits(
    "bulk_wait_group", "bulk_wait",
    "Wait for all of the thread's groups of bulk stores but the newest `n`. (PTX: `cp.async.bulk.wait_group`.)",
)  # fmt: skip
fence_async = _plain(
    "fence_async", "fence_async",
    "What this thread has written in shared memory before, bulk copies issued after it see, and mbarriers that it has\n"
    "initialised. (PTX: `fence.proxy.async`, sm_90 and newer.)",
)  # fmt: skip
