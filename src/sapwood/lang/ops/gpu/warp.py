"""What the threads of a warp do with each other's registers."""

from __future__ import annotations

from typing import Any

from sapwood.lang.bits import from_bits, to_bits
from sapwood.lang.errors import BadOperand, KernelOnly
from sapwood.lang.ops.base import Operation, operation
from sapwood.lang.types import Scalar
from sapwood.lang.values import Known, Value, describe


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
        f"{doc} x is a number of any type; {argument} is an int, modulo the warp's size.\n\n"
        "All threads of the warp that have not returned must come to the same shuffle. A lane that does not\n"
        "exist or has returned gives the reader's own x."
    )
    op = operation(name=f"warp.{name}", space="kernel")(stub)

    @op.typing
    def _(b, x, n):
        from sapwood.lang.ops.operators import require_index

        value = b.materialize(x)
        if not isinstance(value.type, Scalar) or value.type.kind == "bool":
            hint = "numbers move from lane to lane: of a bool i32(x), of a vector each of its lanes"
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

    broadcast = _shuffle("broadcast", "idx", "lane", "The x of one lane, for all: they name the same one.")

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
