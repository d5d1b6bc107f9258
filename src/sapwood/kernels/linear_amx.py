"""Linear layers with bf16 weights on AMX tiles.

The checkpoint's row-major [out, in] weight is the left operand as it stands: a tile is 16 weight rows of 32
columns. x is rounded to bf16 and packed for the right operand: 16 rows of x side by side, their columns in twos
([k / 2][16][2]), zeros up to 32 columns. A tile of results is 16 outputs of up to 16 rows. An output adds the
products of 32 columns at a time, ascending, so a row gets the same bits in any company; a single row is a tile of
one column, for which only the weights cost time.

Up to STREAM_ROWS rows the weights come straight from memory. Beyond, or where the rows of w are not evenly spaced,
they are copied to a panel in L1 first: rows at distances of 4096 bytes would push each other out.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.annotations import SIMD, Const, StackArray
from sapwood.lang.api.dtypes import bf16, f32, u32
from sapwood.lang.api.loops import parallel, unroll
from sapwood.lang.function import fn
from sapwood.lang.ops.amx import tdpbf16ps, tile_load, tile_store, tile_zero
from sapwood.lang.ops.arith import select
from sapwood.lang.ops.convert import bitcast
from sapwood.lang.ops.memory import prefetch
from sapwood.lang.ops.simd import iota

TILE = 16  # rows of a tile
DEPTH = 32  # columns of bf16 in a tile
AREA = TILE * DEPTH
STREAM_ROWS = 32
CHUNK_TILES = 16  # tiles of rows whose results wait in L1 between the blocks of K
BLOCK_K = 512
AHEAD = 256  # columns that prefetching runs ahead
TASK_BYTES = 256 * 1024  # weights of a task of the streaming path


@fn(unchecked=True, inline=True)
def linear_amx(x: Any, xs: Any, rows: Any, store: Any, m: int, n: int, k: int, pair: Const[int]) -> None:
    """linear (kernels/linear.py) with bf16 weights; xs: bf16 memory for the packed rows."""
    padded = (k + DEPTH - 1) // DEPTH * DEPTH
    G = 2 * TILE // pair
    groups = (n + G - 1) // G
    if m == 1:
        pack_one(x.row(0), xs, k, padded)
        step = max(1, TASK_BYTES // max(4 * TILE * k, 1))
        for t in parallel((groups + step - 1) // step):
            for g in range(t * step, min(t * step + step, groups)):
                group(xs, padded, rows, store, 1, n, g * G, k, pair, 1)
    else:
        for r in parallel((m + TILE - 1) // TILE * TILE):
            target = xs.cast(u32) + r // TILE * (TILE * padded // 2) + r % TILE
            if r < m:
                pack_column(x.row(r), target, k, padded)
            else:
                for i in range(padded // 2):
                    target[i * TILE] = u32(0)
        for g in parallel(groups):
            group(xs, padded, rows, store, m, n, g * G, k, pair, TILE)


@fn(unchecked=True, inline=True)
def group(
    xs: Any, padded: int, rows: Any, store: Any, m: int, n: int, p: int, k: int, pair: Const[int], COLUMNS: Const[int]
) -> None:
    """All rows against the outputs of two weight tiles: p.. and, without pairs, those behind them."""
    far = p + (2 - pair) * TILE
    stride, even = spacing(rows, p, n, 0)
    stride2, even2 = spacing(rows, far, n, pair - 1)
    if m > STREAM_ROWS or not even or not even2:
        by_panel(xs, padded, rows, store, m, n, p, far, k, pair, COLUMNS)
    elif m <= TILE:
        stream(xs, padded, rows, store, m, p, far, stride, stride2, k, pair, 1, COLUMNS)
    elif COLUMNS == TILE:
        stream(xs, padded, rows, store, m, p, far, stride, stride2, k, pair, 2, COLUMNS)


@fn(unchecked=True, inline=True)
def spacing(rows: Any, p: int, n: int, which: Const[int]) -> Any:
    """The distance of 16 weight rows from p on, and whether they are there and all equally far apart."""
    if p + TILE > n:
        return 0, False
    base = rows(p)[which]
    stride = rows(p + 1)[which] - base
    even = True
    for j in range(2, TILE):
        even = even and rows(p + j)[which] - base == j * stride
    return stride, even


@fn(unchecked=True, inline=True)
def results(
    c: Any, store: Any, m: int, m1: int, p: int, n: int, far: int, pair: Const[int], COLUMNS: Const[int]
) -> None:
    """Hand out the outputs of two tiles of results, which stand one behind the other in memory."""
    for i in range(min(COLUMNS, m1 - m)):
        for j in range(TILE):
            v, w = c[j * COLUMNS + i], c[(TILE + j) * COLUMNS + i]
            if pair == 2:
                if p + j < n:
                    store(m + i, p + j, v, w)
            else:
                if p + j < n:
                    store(m + i, p + j, v)
                if far + j < n:
                    store(m + i, far + j, w)


@fn(unchecked=True, inline=True)
def stream(
    xs: Any, padded: int, rows: Any, store: Any, m: int, p: int, far: int, stride: int, stride2: int, k: int,
    pair: Const[int], NB: Const[int], COLUMNS: Const[int],
) -> None:
    """NB tiles of rows against two weight tiles in place."""
    first, second = rows(p)[0], rows(far)[pair - 1]
    memory = StackArray[f32, 2 * TILE * TILE]()
    rest = StackArray[bf16, 2 * AREA]()
    next_group = 2 * TILE // pair
    acc = ()
    for _ in unroll(range(2 * NB)):
        acc = acc + (tile_zero(TILE, 4 * COLUMNS),)
    whole = k // DEPTH * DEPTH
    for i in range(0, whole, DEPTH):
        ahead = i + AHEAD
        at = select(ahead < k, ahead, ahead - k + next_group * stride)
        at2 = select(ahead < k, ahead, ahead - k + next_group * stride2)
        for j in unroll(range(TILE)):
            prefetch(first + j * stride + at)
            prefetch(second + j * stride2 + at2)
        acc = products(acc, first + i, stride, second + i, stride2, xs, padded, i, NB, COLUMNS)
    if whole < k:
        copy_tile(rest.ptr, first + whole, stride, k - whole)
        copy_tile(rest.ptr + AREA, second + whole, stride2, k - whole)
        acc = products(acc, rest.ptr, DEPTH, rest.ptr + AREA, DEPTH, xs, padded, whole, NB, COLUMNS)
    for t in unroll(range(NB)):
        tile_store(memory.ptr, COLUMNS, acc[2 * t])
        tile_store(memory.ptr + TILE * COLUMNS, COLUMNS, acc[2 * t + 1])
        results(memory.ptr, store, t * TILE, m, p, far + TILE, far, pair, COLUMNS)


@fn(unchecked=True, inline=True)
def products(
    acc: Any, a: Any, stride: int, a2: Any, stride2: int, xs: Any, padded: int, i: int, NB: Const[int],
    COLUMNS: Const[int],
) -> Any:
    """The results of two weight tiles and NB tiles of rows after DEPTH more columns, from column i on."""
    left = tile_load(a, stride, TILE, 2 * DEPTH)
    left2 = tile_load(a2, stride2, TILE, 2 * DEPTH)
    out = ()
    for t in unroll(range(NB)):
        right = tile_load(xs + t * TILE * padded + i * COLUMNS, 2 * COLUMNS, DEPTH // 2, 4 * COLUMNS)
        out = out + (tdpbf16ps(acc[2 * t], left, right), tdpbf16ps(acc[2 * t + 1], left2, right))
    return out


@fn(unchecked=True, inline=True)
def copy_tile(target: Any, source: Any, stride: int, count: int) -> None:
    """16 rows of `count` columns, filled up with zeros."""
    mask = iota(int, DEPTH) < count
    for j in range(TILE):
        target.store(j * DEPTH, source.load(j * stride, width=DEPTH, mask=mask))


@fn(unchecked=True, inline=True)
def by_panel(
    xs: Any, padded: int, rows: Any, store: Any, m: int, n: int, p: int, far: int, k: int, pair: Const[int],
    COLUMNS: Const[int],
) -> None:
    """All rows against two weight tiles, block of K by block of K."""
    panel = StackArray[bf16, 2 * TILE * BLOCK_K]()
    waiting = StackArray[f32, 2 * CHUNK_TILES * TILE * TILE]()
    tiles = (m + TILE - 1) // TILE
    C = TILE * COLUMNS
    for t0 in range(0, tiles, CHUNK_TILES):
        t1 = min(t0 + CHUNK_TILES, tiles)
        for i in range(0, (t1 - t0) * 2 * C, TILE):
            waiting.ptr.store(i, SIMD[f32, TILE](0.0))
        for k0 in range(0, padded, BLOCK_K):
            k1 = min(k0 + BLOCK_K, padded)
            for j in range(TILE):
                copy_row(panel.ptr + j * DEPTH, rows(min(p + j, n - 1))[0], k0, k1, k)
                copy_row(panel.ptr + AREA + j * DEPTH, rows(min(far + j, n - 1))[pair - 1], k0, k1, k)
            t = t0
            while t + 2 <= t1:
                block(waiting.ptr + (t - t0) * 2 * C, panel.ptr, xs + t * TILE * padded, padded, k0, k1, 2, COLUMNS)
                t += 2
            if t < t1:
                block(waiting.ptr + (t - t0) * 2 * C, panel.ptr, xs + t * TILE * padded, padded, k0, k1, 1, COLUMNS)
        for t in range(t0, t1):
            results(waiting.ptr + (t - t0) * 2 * C, store, t * TILE, m, p, n, far, pair, COLUMNS)


@fn(unchecked=True, inline=True)
def block(c: Any, panel: Any, xs: Any, padded: int, k0: int, k1: int, NB: Const[int], COLUMNS: Const[int]) -> None:
    """Add the products of a panel to NB pairs of tiles of results in memory."""
    C = TILE * COLUMNS
    acc = ()
    for i in unroll(range(2 * NB)):
        acc = acc + (tile_load(c + i * C, COLUMNS, TILE, 4 * COLUMNS),)
    for i in range(k0, k1, DEPTH):
        a = panel + (i - k0) * (2 * TILE)
        acc = products(acc, a, DEPTH, a + AREA, DEPTH, xs, padded, i, NB, COLUMNS)
    for i in unroll(range(2 * NB)):
        tile_store(c + i * C, COLUMNS, acc[i])


@fn(unchecked=True, inline=True)
def copy_row(target: Any, source: Any, k0: int, k1: int, k: int) -> None:
    """Columns k0..k1 of a weight row to its place in the tiles of a panel, zeros from k on."""
    for i in range(k0, k1, DEPTH):
        if i + DEPTH <= k:
            target.store((i - k0) * (2 * TILE), source.load(i, width=DEPTH))
        else:
            mask = iota(int, DEPTH) < k - i
            target.store((i - k0) * (2 * TILE), source.load(i, width=DEPTH, mask=mask))


# -- packing of x ------------------------------------------------------------------------------------


@fn(unchecked=True, inline=True)
def pack_one(row: Any, xs: Any, k: int, padded: int) -> None:
    """A single row: one column of the right operand is the row itself."""
    whole = k // DEPTH * DEPTH
    for i in range(0, whole, DEPTH):
        xs.store(i, row.load(i, DEPTH).cast(bf16))
    for i in range(whole, k):
        xs[i] = row.load(i, 1)[0].cast(bf16)
    for i in range(k, padded):
        xs[i] = bf16(0.0)


@fn(unchecked=True, inline=True)
def pack_column(row: Any, target: Any, k: int, padded: int) -> None:
    """One of 16 rows: its columns, in twos, stand 16 words apart."""
    whole = k // DEPTH * DEPTH
    for i in range(0, whole, DEPTH):
        words = bitcast(row.load(i, DEPTH).cast(bf16), u32)
        for j in unroll(range(DEPTH // 2)):
            target[(i // 2 + j) * TILE] = words[j]
    for i in range(whole // 2, padded // 2):
        low, high = bf16(0.0), bf16(0.0)
        if 2 * i < k:
            low = row.load(2 * i, 1)[0].cast(bf16)
        if 2 * i + 1 < k:
            high = row.load(2 * i + 1, 1)[0].cast(bf16)
        target[i * TILE] = bitcast(SIMD[bf16, 2](low, high), u32)[0]
