"""`vectorize` and `tile`: a loop body written once, run for vectors and their rest, for tiles and their edges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sapwood.lang.api.annotations import Const
from sapwood.lang.api.loops import unroll as repeat
from sapwood.lang.function import fn


@fn(inline=True)
def vectorize(body: Callable[..., Any], n: int, width: Const[int], unroll: Const[int] = 1) -> None:
    """Call `body(i, W)` for i from 0 to n - 1 in steps of W: W is `width` as long as that many are left, then 1.

    W is known at compile time, so `x.load(i, width=W)` gives SIMD[dtype, W]. `width` is a power of two, often
    `simd_width(f32)`. With `unroll`, so many vectors are done in one iteration of the loop.
    """
    block = width * unroll
    whole = n - n % block
    for start in range(0, whole, block):
        for k in repeat(range(unroll)):
            body(start + k * width, width)
    rest = n - n % width
    for i in range(whole, rest, width):
        body(i, width)
    for i in range(rest, n):
        body(i, 1)


@fn(inline=True)
def tile(body: Callable[..., Any], rows: int, columns: int, height: Const[int], width: Const[int]) -> None:
    """Call `body(i, j, h, w)` for tiles of `height` x `width` that cover rows x columns, row after row of tiles.

    h and w are known at compile time for a whole tile, so loops over it have known bounds; at the lower and right edge
    they are what is left, at run time. Leave the annotations of h and w out, so that both fit.
    """
    for i in range(0, rows, height):
        for j in range(0, columns, width):
            if i + height <= rows and j + width <= columns:
                body(i, j, height, width)
            else:
                body(i, j, min(height, rows - i), min(width, columns - j))
