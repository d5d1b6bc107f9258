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
