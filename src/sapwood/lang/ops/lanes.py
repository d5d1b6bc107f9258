"""The lanes of a bool vector as the bits of an int."""

from __future__ import annotations

from typing import Any

from sapwood.lang.errors import BadOperand
from sapwood.lang.ops.base import operation
from sapwood.lang.types import BOOL, U64, Simd
from sapwood.lang.values import describe


@operation(pure=True)
def lane_mask(v: Any) -> Any:
    """The lanes of a bool vector (64 at most) as the bits of a u64, lane 0 lowest."""


@lane_mask.typing
def _(b, v):
    t = getattr(v, "type", None)
    if not isinstance(t, Simd) or t.elem != BOOL or t.lanes > 64:
        hint = "compare first, for example lane_mask(v == 0)"
        raise BadOperand(b.loc, function="lane_mask", detail=f"needs a bool vector, not {describe(v)}", hint=hint)
    return b.emit1(lane_mask, (v,), U64)


@lane_mask.reference
def _(op, v):
    return sum(1 << i for i, on in enumerate(v) if on)


@lane_mask.lowering
def _(e, op, v):
    lanes = op.operands[0].type.lanes
    bits = e.value(f"bitcast <{lanes} x i1> {v} to i{lanes}")
    return bits if lanes == 64 else e.value(f"zext i{lanes} {bits} to i64")
