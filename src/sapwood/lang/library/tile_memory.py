"""`ldmatrix` and `stmatrix` by a warp without them: lanes tell each other where rows are.

A row's address comes from another lane; it is used as an offset to the lane's own pointer, so that a checked launch
holds the access to the bounds of the array that the pointer was made of.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.annotations import Const
from sapwood.lang.api.comptime import comptime
from sapwood.lang.api.loops import unroll
from sapwood.lang.function import fn
from sapwood.lang.ops.gpu.place import lane_id
from sapwood.lang.ops.gpu.warp import warp
from sapwood.lang.ops.memory import address, assume_aligned


@fn(inline=True, unchecked=True)
def _row(p: Any, lane: int, per: Const[int]):
    """The pointer of another lane; words have `per` elements."""
    here = address(p)
    return assume_aligned(p + (warp.shuffle(here, lane) - here) * per // 4, 16)


@fn(inline=True, unchecked=True)
def _element(p: Any, m: Const[int], i: Const[int], per: Const[int], transposed: Const[bool]):
    """Where element i of this lane's word of matrix m lies."""
    lane = lane_id()
    if transposed:
        return _row(p, 8 * m + 2 * (lane % 4) + i, per) + lane // 4
    return _row(p, 8 * m + lane // 4, per) + (per * (lane % 4) + i)


@fn(inline=True, unchecked=True)
def load_rows(p: Any, count: Const[int], per: Const[int], transposed: Const[bool]):
    """What `ldmatrix` means."""
    return tuple(
        _element(p, comptime(k // per), comptime(k % per), per, transposed)[0]
        for k in comptime(tuple(range(count * per)))
    )


@fn(inline=True, unchecked=True)
def store_rows(p: Any, x: Any, count: Const[int], per: Const[int], transposed: Const[bool]) -> None:
    """What `stmatrix` means."""
    for k in unroll(range(count * per)):
        _element(p, comptime(k // per), comptime(k % per), per, transposed)[0] = x[k]
