"""Maps over rows: what elementwise operations become when no contraction is there to take them.

Floor: bytes read and written / memory bandwidth.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.comptime import simd_width
from sapwood.lang.api.dtypes import f32
from sapwood.lang.api.loops import parallel
from sapwood.lang.function import fn


@fn(unchecked=True, inline=True)
def map_rows(x: Any, store: Any, rows: int, width: int) -> None:
    """store(m, k, v) for each row operand's elements, by vectors and then one by one."""
    W = simd_width(f32)
    whole = width - width % W
    for m in parallel(rows):
        row = x.row(m)
        for k in range(0, whole, W):
            store(m, k, row.load(k, W))
        for k in range(whole, width):
            store(m, k, row.load(k, 1)[0])


@fn(unchecked=True, inline=True)
def map_heads(x: Any, store: Any, rows: int, width: int, head_dim: int) -> None:
    """store(m, p, a, b) for element d of the first half of each head and its partner in the second half.

    p counts pairs: head * head_dim / 2 + d. What the operand computes once a head, it computes once.
    """
    half = head_dim // 2
    for m in parallel(rows):
        row = x.row(m)
        for h in range(width // head_dim):
            head = row.part(h * head_dim)
            for d in range(half):
                k = h * head_dim + d
                store(m, h * half + d, head.load(k, 1)[0], head.load(k + half, 1)[0])


@fn(unchecked=True, inline=True)
def map_elements(x: Any, store: Any, rows: int, width: int) -> None:
    """store(m, k, v) for each element on its own: for stores that scatter."""
    for m in parallel(rows):
        row = x.row(m)
        for k in range(width):
            store(m, k, row.load(k, 1)[0])
