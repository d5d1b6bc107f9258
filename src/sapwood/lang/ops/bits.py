"""Counting and swapping bits of ints, scalars and vectors alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sapwood.lang.errors import BadOperand
from sapwood.lang.ops.base import Operation, operation
from sapwood.lang.ops.numeric import elementwise, normalise
from sapwood.lang.types import elem_of
from sapwood.lang.values import describe

T = TypeVar("T")


def _define(name: str, doc: str, rule: Callable[[int, int], int], intrinsic: str, flag: bool) -> Operation[..., Any]:
    """An entry of one int operand; `rule` gets its bits as an unsigned number, and their count."""

    def stub(x: T) -> T: ...

    stub.__name__, stub.__doc__ = name, doc
    op = operation(pure=True)(stub)

    @op.typing
    def _(b, x):
        v = b.materialize(x)
        if not elem_of(v.type).is_int:
            detail = f"needs an int, not {describe(v)}"
            raise BadOperand(b.loc, function=name, detail=detail, hint="bitcast a float first")
        return b.emit1(op, (v,), v.type)

    @op.reference
    def _(o, x):
        ty = o.result.type
        elem = elem_of(ty)
        return elementwise(lambda v: normalise(elem, rule(v & ((1 << elem.bits) - 1), elem.bits)), ty)(x)

    @op.lowering
    def _(e, o, x):
        ty = o.result.type
        t = e.type(ty)
        args = [(t, x), ("i1", "false")] if flag else [(t, x)]
        return e.call(f"llvm.{intrinsic}.{e.mangle(ty)}", t, args)

    return op


popcount = _define("popcount", "How many bits are one.", lambda x, n: x.bit_count(), "ctpop", False)
leading_zeros = _define(
    "leading_zeros",
    "Zero bits above the highest one; all of them for 0.",
    lambda x, n: n - x.bit_length(),
    "ctlz",
    True,
)
trailing_zeros = _define(
    "trailing_zeros",
    "Zero bits below the lowest one; all of them for 0.",
    lambda x, n: (x & -x).bit_length() - 1 if x else n,
    "cttz",
    True,
)


@operation(pure=True)
def byte_swap(x: T) -> T:
    """The bytes of an int in the other order."""
    ...


@byte_swap.typing
def _(b, x):
    v = b.materialize(x)
    if not elem_of(v.type).is_int:
        detail = f"needs an int, not {describe(v)}"
        raise BadOperand(b.loc, function="byte_swap", detail=detail, hint="bitcast a float first")
    return v if elem_of(v.type).bits == 8 else b.emit1(byte_swap, (v,), v.type)


@byte_swap.reference
def _(op, x):
    ty = op.result.type
    elem = elem_of(ty)

    def swapped(v: int) -> int:
        raw = (v & ((1 << elem.bits) - 1)).to_bytes(elem.itemsize, "little")
        return normalise(elem, int.from_bytes(raw, "big"))

    return elementwise(swapped, ty)(x)


@byte_swap.lowering
def _(e, op, x):
    t = e.type(op.result.type)
    return e.call(f"llvm.bswap.{e.mangle(op.result.type)}", t, [(t, x)])
