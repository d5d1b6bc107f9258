"""Boxes of tensors as rows of bulk copies: what TMA does, for targets without it (lang/ops/gpu/tensor_copies.py)."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from sapwood.lang.api.annotations import Const, Ptr
from sapwood.lang.api.comptime import comptime
from sapwood.lang.api.loops import unroll
from sapwood.lang.function import fn
from sapwood.lang.library.tile_warpgroup import swizzled
from sapwood.lang.ops.gpu.copies import bulk_load, bulk_store_issue
from sapwood.lang.ops.memory import address

T = TypeVar("T")


@fn(inline=True, unchecked=True)
def is_copyable(x: Ptr[T], shape: Any, strides: Any, size: Const[int]) -> bool:
    """Whether the hardware could be told of a tensor."""
    bits, full = address(x), shape[-1] > 0
    for axis in unroll(range(len(strides) - 1)):
        bits = bits | (strides[axis] * size if shape[axis] > 1 else 0)
        full = full and shape[axis] > 0
    return full and bits & 15 == 0 and (strides[-1] == 1 or shape[-1] == 1)


@fn(inline=True, unchecked=True)
def row_of_box(r: int, at: Any, shape: Any, strides: Any, box: Const[Any]) -> tuple[int, int, int]:
    """Row r of a box: the element of the tensor where it begins, and which of its elements lie inside."""
    first, inside, rest = at[-1], True, r
    for axis in unroll(comptime(tuple(reversed(range(len(box) - 1))))):
        i = at[axis] + rest % box[axis]
        rest = rest // box[axis]
        inside = inside and i >= 0 and i < shape[axis]
        first = first + i * strides[axis]
    low = min(max(-at[-1], 0), box[-1])
    high = min(max(shape[-1] - at[-1], low), box[-1])
    return first, low if inside else box[-1], high if inside else box[-1]


@fn(inline=True, unchecked=True)
def load_box(
    target: Any, source: Any, at: Any, shape: Any, strides: Any, box: Const[Any], swizzle: Const[int],
    size: Const[int], bar: Any,
) -> None:  # fmt: skip
    step = comptime(16 // size if swizzle else box[-1])
    for r in range(comptime(math.prod(box[:-1]))):
        first, low, high = row_of_box(r, at, shape, strides, box)
        for c in range(0, box[-1], step):
            p = target + swizzled(r * box[-1] + c, size, swizzle)
            a = min(max(low - c, 0), step)
            b = min(max(high - c, a), step)
            if a > 0:
                bulk_load(p, source, a * size, 0, bar)
            if a < step:
                bulk_load(p + a, source + (first + c + a if b > a else 0), (step - a) * size, (b - a) * size, bar)


@fn(inline=True, unchecked=True)
def store_box(
    source: Any, target: Any, at: Any, shape: Any, strides: Any, box: Const[Any], swizzle: Const[int],
    size: Const[int],
) -> None:  # fmt: skip
    step = comptime(16 // size if swizzle else box[-1])
    for r in range(comptime(math.prod(box[:-1]))):
        first, low, high = row_of_box(r, at, shape, strides, box)
        for c in range(0, box[-1], step):
            a = min(max(low - c, 0), step)
            b = min(max(high - c, a), step)
            if b > a:
                p = source + swizzled(r * box[-1] + c, size, swizzle) + a
                bulk_store_issue(target + (first + c + a), p, (b - a) * size)
