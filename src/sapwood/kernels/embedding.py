"""Token embedding: rows of a table, widened to f32. Floor: rows * width * itemsize / bandwidth."""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import f32, i32
from sapwood.lang.api.loops import parallel
from sapwood.lang.function import fn


@fn(unchecked=True, inline=True)
def embedding(ids: Ptr[i32], table: Any, out: Ptr[f32], rows: int, width: int) -> None:
    """out[r] = table[ids[r]] for each row."""
    for r in parallel(rows):
        source = table + int(ids[r]) * width
        for k in range(width):
            out[r * width + k] = source[k].cast(f32)
