"""Linear layers: out[m, n] = sum_k x[m, k] * w[n, k], with weights as checkpoints store them, row-major
[out, in], f32 or bf16, used in place.

One output is one accumulator vector. A step over K adds the products of a few neighbouring k to each lane
(kernels/products.py), steps ascend, and at the end the lanes are added by halves. That order depends on K, the
weight's dtype and the target alone, so every row gets the same bits whatever the number of rows, the tiling or
the threads. K is never split between threads.

One row streams the weights past it. Several rows stand in tiles of MR rows, packed so that a tile is one
stream of memory; the accumulators of MR rows and NR columns fill the registers. Beyond one tile of rows, the
weights of NR columns and BLOCK_K of K are copied (and widened) into a panel in L1, which all rows of a block
use; accumulators wait in L2 between the blocks of K.

Floor: max(bytes of w / memory bandwidth, 2 M N K / peak). One row reads every weight once; from about 30 rows
on the arithmetic decides. benchmarks/kernels.py compares with both.
"""

from __future__ import annotations

from typing import Any

from sapwood.kernels.linear_amx import linear_amx
from sapwood.kernels.products import (
    load_tail,
    load_weights,
    multiply,
    pack_row,
    packed,
    step,
    step_product,
    uses_amx,
    zero_row,
)
from sapwood.lang.api.annotations import SIMD, Const, Ptr, StackArray
from sapwood.lang.api.comptime import simd_width, target_has
from sapwood.lang.api.dtypes import bf16, f32
from sapwood.lang.api.loops import parallel, unroll
from sapwood.lang.function import fn
from sapwood.lang.ops.arith import select
from sapwood.lang.ops.memory import address, prefetch

NR = 4  # columns of a tile of several rows
NARROW = 4  # columns of a tile of one row: enough chains to hide latency, and few lines of one set of L1
FEW = 24  # rows up to which panels follow a weight row through memory
BLOCK_ROWS = 48  # rows that share a panel
BLOCK_COLUMNS = 64  # columns of a task of the blocked path
BLOCK_K = 512
AHEAD = 512  # bytes that prefetching runs ahead of the loads
TASK_BYTES = 256 * 1024  # weights of a task of the streaming path
ROW_PADDING = 16  # scratch holds rows rounded up to a multiple of at most so many ...
SKEW = 192  # elements between packed rows: tiles a power of two apart would push each other out of L2
LINE = 16  # f32 of a cache line; rows are packed from a line on
K_PADDING = 64  # ... of columns rounded up to a multiple of so many


def scratch_elements(rows: Any, k: int) -> Any:
    """f32 elements of scratch that `linear` needs for at most `rows` rows of k columns, on every target. `rows` is
    an int or a symbolic size, and so is the result."""
    return (rows + ROW_PADDING - 1) * (-(-k // K_PADDING) * K_PADDING + SKEW) + LINE


@fn(unchecked=True, inline=True)
def tile_rows() -> Any:
    """Rows of a tile: with NR columns, two operands and the accumulators they fill the registers."""
    if target_has("avx512f"):
        return 6
    return 3


@fn(unchecked=True, inline=True)
def linear(x: Any, scratch: Any, rows: Any, store: Any, m: int, n: int, k: int, pair: Const[int]) -> None:
    """Store x @ w.T for m rows of x and n columns (pairs of columns when pair is 2).

    x: an input operand of m rows and k columns. scratch: pointer to scratch_elements(m, k) f32. rows(p): a tuple
    of `pair` pointers to the rows of w that make output p. store(m, p, v) or store(m, p, v, w).
    """
    dtype = rows(0)[0].dtype
    start = scratch.cast(f32) + (-address(scratch) // 4) % LINE
    if uses_amx(dtype):
        linear_amx(x, start.cast(bf16), rows, store, m, n, k, pair)
    else:
        linear_vectors(x, packed(start, dtype), rows, store, m, n, k, pair)


@fn(unchecked=True, inline=True)
def linear_vectors(x: Any, xs: Any, rows: Any, store: Any, m: int, n: int, k: int, pair: Const[int]) -> None:
    """linear on vector registers; xs: memory for the packed rows."""
    dtype = rows(0)[0].dtype
    STEP = step(dtype)
    MR = tile_rows()
    padded = (k + STEP - 1) // STEP * STEP
    if m == 1:
        pack_row(x.row(0), xs, k, padded, STEP, dtype)
        stream(xs, rows, store, 1, n, k, pair, 1, NARROW)
    else:
        for r in parallel((m + MR - 1) // MR * MR):
            target = xs + r // MR * MR * (padded + SKEW) + r % MR * STEP
            if r < m:
                pack_row(x.row(r), target, k, padded, MR * STEP, dtype)
            else:
                zero_row(target, padded, MR * STEP, STEP)
        if m <= MR:
            stream(xs, rows, store, m, n, k, pair, MR, NR)
        else:
            block = BLOCK_COLUMNS // pair
            part = block
            if m <= FEW:
                part = NR // pair
            for t in parallel((n + block - 1) // block):
                last = min(t * block + block, n)
                for p in range(t * block, last, part):
                    blocked(xs, padded, rows, store, m, n, p, min(p + part, last), k, pair)


@fn(unchecked=True, inline=True)
def weight_rows(rows: Any, p: int, last: int, NP: Const[int]) -> Any:
    """Pointers to the weights of NP outputs from p on; what is beyond `last` repeats it."""
    out = ()
    for j in unroll(range(NP)):
        out = out + rows(min(p + j, last))
    return out


@fn(unchecked=True, inline=True)
def finish(
    sums: Any, store: Any, m: int, m1: int, p: int, p1: int, MR: Const[int], NP: Const[int], R: Const[int]
) -> None:
    """Hand the outputs of a tile out: sums [R, MR], where R is NP or, for pairs, twice that.

    Loops and not unrolled, so that a kernel holds its store closure once and not once for each output.
    """
    for r in range(min(m1 - m, MR)):
        for j in range(min(p1 - p, NP)):
            if R == 2 * NP:
                store(m + r, p + j, sums[2 * j * MR + r], sums[(2 * j + 1) * MR + r])
            else:
                store(m + r, p + j, sums[j * MR + r])


@fn(unchecked=True, inline=True)
def add_lanes(acc: Any, sums: Any) -> None:
    """The sum of each accumulator's lanes."""
    for i in unroll(range(len(acc))):
        sums[i] = acc[i].reduce_add()


# -- streaming: weights straight from memory -----------------------------------------------------------


@fn(unchecked=True, unit=True)
def tile(sums: Ptr[f32], xt: Any, ws: Any, following: Any, k: int, MR: Const[int]) -> None:
    """sums [len(ws), MR]: a packed tile of MR rows against the weight rows ws, over all of K.

    The processor's own prefetching stops at the ends of rows and pages, so the tile asks for lines itself:
    AHEAD bytes further in ws and then in the rows `following`.
    """
    R = len(ws)
    dtype = ws[0].dtype
    STEP = step(dtype)
    W = simd_width(f32)
    acc = ()
    for _ in unroll(range(MR * R)):
        acc = acc + (SIMD[f32, W](0.0),)
    whole = k - k % STEP
    ahead = AHEAD // item_size(dtype)
    near = max(whole - ahead, 0)
    for i in range(0, whole, STEP):
        for j in unroll(range(R)):
            prefetch(select(i < near, ws[j] + i + ahead, following[j] + i - near))
        new = ()
        for j in unroll(range(R)):
            new = new + advance(acc, xt + i * MR, ws[j].load(i, width=STEP), j, MR)
        acc = new
    if whole < k:
        new = ()
        for j in unroll(range(R)):
            new = new + advance(acc, xt + whole * MR, load_tail(ws[j] + whole, k - whole, STEP), j, MR)
        acc = new
    add_lanes(acc, sums)


@fn(unchecked=True, inline=True)
def advance(acc: Any, xt: Any, loaded: Any, j: Const[int], MR: Const[int]) -> Any:
    """One step over K of column j of a tile; xt points to the packed step of its rows."""
    w = load_weights(loaded)
    out = ()
    for r in unroll(range(MR)):
        out = out + (multiply(acc[j * MR + r], xt + r * len(w) * simd_width(xt.dtype), w),)
    return out


@fn(unchecked=True, inline=True)
def task_columns(k: int, itemsize: Const[int], pair: Const[int]) -> int:
    """Outputs of one task of the streaming path, a multiple of a tile's."""
    return max(NARROW // pair, TASK_BYTES // max(k * itemsize * pair, 1) // NARROW * NARROW)


@fn(unchecked=True, inline=True)
def item_size(dtype: Any) -> Any:
    if dtype == f32:
        return 4
    return 2


@fn(unchecked=True, inline=True)
def stream(
    x: Any, rows: Any, store: Any, m: int, n: int, k: int, pair: Const[int], MR: Const[int], R: Const[int]
) -> None:
    """At most MR rows of x, packed as one tile, against all columns, R weight rows at a time."""
    NP = R // pair
    block = task_columns(k, item_size(rows(0)[0].dtype), pair)
    for t in parallel((n + block - 1) // block):
        last = min(t * block + block, n)
        for p in range(t * block, last, NP):
            ws = weight_rows(rows, p, n - 1, NP)
            following = weight_rows(rows, p + NP, n - 1, NP)
            sums = StackArray[f32, MR * R]()
            tile(sums.ptr, x, ws, following, k, MR)
            finish(sums.ptr, store, 0, m, p, last, MR, NP, R)


# -- blocks: weights by way of panels ------------------------------------------------------------------


@fn(unchecked=True, inline=True)
def blocked(
    x: Any, padded: int, rows: Any, store: Any, m: int, n: int, p0: int, p1: int, k: int, pair: Const[int]
) -> None:
    """All rows of x against columns p0..p1 of n."""
    dtype = rows(0)[0].dtype
    STEP = step(dtype)
    W = simd_width(f32)
    MR = tile_rows()
    NP = NR // pair
    waiting = StackArray[f32, BLOCK_ROWS * BLOCK_COLUMNS * W]()
    panel_memory = StackArray[f32, NR * BLOCK_K]()
    panel = packed(panel_memory.ptr, dtype)
    sums = StackArray[f32, MR * NR]()
    for m0 in range(0, m, BLOCK_ROWS):
        m1 = min(m0 + BLOCK_ROWS, m)
        tiles = (m1 - m0 + MR - 1) // MR * ((p1 - p0 + NP - 1) // NP)
        for i in range(0, tiles * MR * NR * W, W):
            waiting.ptr.store(i, SIMD[f32, W](0.0))
        for k0 in range(0, padded, BLOCK_K):
            k1 = min(k0 + BLOCK_K, padded)
            place = waiting.ptr
            for p in range(p0, p1, NP):
                pack_panel(panel, weight_rows(rows, p, p1 - 1, NP), k0, k1, k)
                q, at = next_panel(p, p0, p1, NP, k0, k1, padded)
                later = weight_rows(rows, q, n - 1, NP)
                for r in range(m0, m1, MR):
                    xt = x + r * (padded + SKEW) + k0 * MR
                    half = (r - m0) // MR % 2 * (NR // 2)
                    soon = (select(half == 0, later[0], later[2]) + at, select(half == 0, later[1], later[3]) + at)
                    tile_of_panel(place, sums.ptr, xt, panel, soon, k1 - k0, STEP, MR, k1 == padded)
                    if k1 == padded:
                        finish(sums.ptr, store, r, m1, p, p1, MR, NP, NR)
                    place = place + MR * NR * W


@fn(unchecked=True, inline=True)
def next_panel(p: int, p0: int, p1: int, NP: Const[int], k0: int, k1: int, padded: int) -> Any:
    """The output and the column at which the panel after this one begins."""
    q, at = p + NP, k0
    if q >= p1:
        q, at = p0, k1
        if k1 >= padded:
            q, at = p1, 0
    return q, at


@fn(unchecked=True, unit=True)
def pack_panel(panel: Any, ws: Any, k0: int, k1: int, k: int) -> None:
    """Columns k0..k1 of NR weight rows, as they are multiplied, step by step; zeros from k on."""
    STEP = step(ws[0].dtype)
    W = simd_width(panel.dtype)
    PARTS = STEP // W
    whole = min(k1, k - k % STEP)
    for i in range(k0, whole, STEP):
        for j in unroll(range(NR)):
            wv = load_weights(ws[j].load(i, width=STEP))
            for h in unroll(range(PARTS)):
                panel.store((i - k0) * NR + j * STEP + h * W, wv[h])
    if whole < k1:
        for j in unroll(range(NR)):
            wv1 = load_weights(load_tail(ws[j] + whole, k - whole, STEP))
            for h in unroll(range(PARTS)):
                panel.store((whole - k0) * NR + j * STEP + h * W, wv1[h])


@fn(unchecked=True, unit=True)
def tile_of_panel(
    place: Ptr[f32], sums: Ptr[f32], x: Any, panel: Any, soon: Any, k: int, STEP: Const[int], MR: Const[int],
    last: bool,
) -> None:
    """Advance the accumulators of a tile, kept at `place`, by the k columns of a panel; after the last panel their
    lanes are added into sums [NR, MR]. Asks for the weights `soon`."""
    W = simd_width(f32)
    acc = ()
    for j in unroll(range(MR * NR)):
        acc = acc + (place.load(j * W, width=W),)
    for i in range(0, k, STEP):
        for j in unroll(range(len(soon))):
            prefetch(soon[j] + i)
        acc = panel_step(acc, x + i * MR, panel + i * NR, STEP, MR)
    if last:
        add_lanes(acc, sums)
    else:
        for j in unroll(range(MR * NR)):
            place.store(j * W, acc[j])


@fn(unchecked=True, inline=True)
def panel_step(acc: Any, x: Any, panel: Any, STEP: Const[int], MR: Const[int]) -> Any:
    """One step over K: the vectors of x stay in registers while those of w pass."""
    V = simd_width(panel.dtype)
    out = acc
    for h in unroll(range(0, STEP, V)):
        xs = ()
        for r in unroll(range(MR)):
            xs = xs + ((x + r * STEP + h).load(0, width=V),)
        new = ()
        for j in unroll(range(NR)):
            w = (panel + j * STEP + h).load(0, width=V)
            for r in unroll(range(MR)):
                new = new + (step_product(out[j * MR + r], xs[r], w),)
        out = new
    return out
