"""What a warp computes together, by shuffles: reductions and scans over the lanes that are there."""

from __future__ import annotations

from typing import Any, TypeVar

from sapwood.lang.api.annotations import Const
from sapwood.lang.api.comptime import comptime
from sapwood.lang.function import fn
from sapwood.lang.ops.bits import trailing_zeros
from sapwood.lang.ops.gpu.place import lane_id
from sapwood.lang.ops.gpu.warp import warp

T = TypeVar("T")


@fn(inline=True)
def add(a: Any, b: Any) -> Any:
    return a + b


@fn(inline=True)
def smallest(a: Any, b: Any) -> Any:
    """NaN if one is."""
    return b if b < a or b != b else a


@fn(inline=True)
def largest(a: Any, b: Any) -> Any:
    return b if b > a or b != b else a


@fn(inline=True)
def both(a: Any, b: Any) -> Any:
    return a & b


@fn(inline=True)
def either(a: Any, b: Any) -> Any:
    return a | b


@fn(inline=True)
def differ(a: Any, b: Any) -> Any:
    return a ^ b


@fn(inline=True)
def reduce(x: T, op: Any, mask: Any, ordered: Const[bool]) -> T:
    """All lanes' x combined by `op`, for each of them. `ordered`: whether it matters which side is which."""
    size = warp.size
    here = warp.ballot(True, mask)
    total = x
    if here == comptime((1 << size) - 1):
        for k in range(comptime(size.bit_length() - 1)):
            step = 1 << k
            other = warp.shuffle_xor(total, step, mask)
            if ordered and lane_id() & step != 0:
                total = T(op(other, total))
            else:
                total = T(op(total, other))
        return total
    left = here & here - 1  # one after the other, from the first
    total = warp.shuffle(x, int(trailing_zeros(here)), mask)
    while left != 0:
        total = T(op(total, warp.shuffle(x, int(trailing_zeros(left)), mask)))
        left &= left - 1
    return total


@fn(inline=True)
def running(x: T, op: Any, mask: Any) -> T:
    """The x of the lanes up to this one combined by `op`, in their order: of the first lanes, or all."""
    total, size = x, warp.size
    for k in range(comptime(size.bit_length() - 1)):
        step = 1 << k
        before = warp.shuffle_up(total, step, mask)
        if lane_id() >= step:
            total = T(op(before, total))
    return total


@fn(inline=True)
def scan(x: T, op: Any, init: Any, exclusive: Const[bool], mask: Any) -> T:
    """The x of the lanes up to this one combined by `op`, in their order."""
    lane = lane_id()
    here = warp.ballot(True, mask)
    if here & here + 1 == 0:  # none before the last is absent
        total = running(x, op, mask)
        if exclusive:
            before = warp.shuffle_up(total, 1, mask)
            return T(init) if lane == 0 else T(op(T(init), before))
        return total if init is None else T(op(T(init), total))
    left, some = here, init is not None
    total = x if init is None else T(init)
    while left != 0:
        source = int(trailing_zeros(left))
        y = warp.shuffle(x, source, mask)
        if source < lane or (source == lane and not exclusive):
            total = T(op(total, y)) if some else y
            some = True
        left &= left - 1
    return total
