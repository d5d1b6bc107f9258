"""mbarrier: barriers that are objects in shared memory, which count arrivals and bytes of copies.

An mbarrier is a u64 in shared memory. A phase of it is complete when as many arrivals have come as it was initialised
for, and as many bytes as were expected; then the next phase begins. A wait names the phase by its parity: 0 for the
first, 1 for the second, 0 again. Waiting for parity 1 at first does not wait. Source: PTX ISA, "Parallel
Synchronization and Communication Instructions: mbarrier".
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.errors import BadOperand
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.base import Operation, operation
from sapwood.lang.types import BOOL, I64, U64, Ptr
from sapwood.lang.values import Known, Value, describe


def barrier_pointer(b: Any, p: Value, function: str, remote: bool) -> Var:
    """A pointer to an mbarrier in the block's shared memory; `remote`: or in another block's of the cluster."""
    if isinstance(p, Var) and isinstance(p.type, Ptr) and p.type.elem == U64 and (remote or p.type.space == "shared"):
        return p
    hint = "an mbarrier is a u64 in shared memory: bars = shared(u64, n), then bars.ptr + i"
    raise BadOperand(b.loc, function=function, detail=f"{describe(p)} is not a place of an mbarrier", hint=hint)


def _define(name: str, number: str, doc: str, remote: bool = False) -> Operation[..., Any]:
    """An operation on an mbarrier with one number (an i64); what does it is the method of this name."""

    def stub(bar: Any, n: int) -> None: ...

    stub.__name__ = stub.__qualname__ = f"mbarrier_{name}"
    stub.__doc__ = doc
    inner = operation(space="kernel")(stub)

    @inner.reference
    def _(ev, op, p, n):
        getattr(ev.thread.copies, inner.name)(p, n)
        return ()

    @inner.lowering
    def _(e, op, p, n):
        getattr(e.thread, inner.name)(p, n, op.operands[0].type.space == "shared")

    def public(bar: Any, n: int = 1) -> None: ...

    public.__name__ = public.__qualname__ = name
    public.__doc__ = doc
    op = operation(name=f"mbarrier.{name}", space="kernel")(public)

    @op.typing
    def _(b, bar, n):
        from sapwood.lang.ops.operators import require_index

        count = b.materialize(require_index(b, n, number))
        b.emit(inner, (barrier_pointer(b, bar, op.name, remote), count), (), {"one": n == Known(1)})
        return Known(None)

    return op


_init = _define("init", "the count of mbarrier.init", "One thread makes `n` arrivals complete each phase.")
_arrive = _define(
    "arrive", "the count of mbarrier.arrive",
    "Count `n` arrivals; also in another block of the cluster, through `map_shared`. (More than one: sm_90.)",
    remote=True,
)  # fmt: skip
_expect_tx = _define("expect_tx", "the bytes of mbarrier.expect_tx", "The phase waits for `n` bytes more of copies.")
_arrive_expect_tx = _define(
    "arrive_expect_tx", "the bytes of mbarrier.arrive_expect_tx",
    "The phase waits for `n` bytes more of copies; then count one arrival.",
)  # fmt: skip


@operation(space="kernel")
def mbarrier_arrive_after_copies(bar: Any) -> None:
    """Count one arrival when the thread's copies up to here are there."""


@mbarrier_arrive_after_copies.reference
def _(ev, op, bar):
    ev.thread.copies.arrive_after(bar)
    return ()


@mbarrier_arrive_after_copies.lowering
def _(e, op, bar):
    e.thread.mbarrier_arrive_after_copies(bar)


@operation(name="mbarrier.arrive_after_copies", space="kernel")
def arrive_after_copies(bar: Any) -> None:
    """Count one arrival when the thread's `async_copy`s up to here are there. (PTX:
    `cp.async.mbarrier.arrive.noinc`.)"""


@arrive_after_copies.typing
def _(b, bar):
    b.emit(mbarrier_arrive_after_copies, (barrier_pointer(b, bar, "mbarrier.arrive_after_copies", False),))
    return Known(None)


@operation(space="kernel", varies=True)
def mbarrier_test(bar: Any, parity: Any) -> bool:
    """Whether the phase of a parity (an i64) is complete."""
    ...


@mbarrier_test.reference
def _(ev, op, bar, parity):
    return ev.thread.copies.test(bar, parity)


@mbarrier_test.lowering
def _(e, op, bar, parity):
    return e.thread.mbarrier_test(bar, parity)


@operation(name="mbarrier.test", space="kernel")
def test(bar: Any, parity: int) -> bool:
    """Whether the phase with this parity is complete. (PTX: `mbarrier.test_wait.parity`.)"""
    ...


@test.typing
def _(b, bar, parity):
    p = barrier_pointer(b, bar, "mbarrier.test", False)
    return b.emit1(mbarrier_test, (p, b.coerce(parity, I64)), BOOL)


@operation(space="kernel")
def mbarrier_wait(bar: Any, parity: Any) -> None:
    """Wait until the phase of a parity (an i64) is complete."""


@mbarrier_wait.reference
def _(ev, op, bar, parity):
    ev.thread.wait_mbarrier(bar, parity, op.loc.line)
    return ()


@mbarrier_wait.lowering
def _(e, op, bar, parity):
    e.thread.mbarrier_wait(bar, parity, op.loc.line)


@operation(name="mbarrier.wait", space="kernel")
def wait(bar: Any, parity: int) -> None:
    """Wait until the phase with this parity is complete; then what its copies wrote is seen, and what threads wrote
    before they arrived. (PTX: `mbarrier.try_wait.parity` in a loop, `test_wait` before sm_90.)"""


@wait.typing
def _(b, bar, parity):
    b.emit(mbarrier_wait, (barrier_pointer(b, bar, "mbarrier.wait", False), b.coerce(parity, I64)))
    return Known(None)


class MBarrier:
    """Barriers in shared memory, by pointers to u64: `mbarrier.init(bars.ptr + i, count)`. sm_80 and newer; what counts
    bytes, sm_90."""

    init = _init
    arrive = _arrive
    expect_tx = _expect_tx
    arrive_expect_tx = _arrive_expect_tx
    arrive_after_copies = arrive_after_copies
    test = test
    wait = wait

    def compiled_attribute(self, b: Any, name: str) -> Value | None:
        found = vars(MBarrier).get(name)
        return Known(found) if isinstance(found, Operation) else None

    def __repr__(self) -> str:
        return "mbarrier"


mbarrier = MBarrier()
