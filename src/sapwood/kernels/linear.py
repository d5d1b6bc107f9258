"""Linear layers: out[m, n] = sum_k x[m, k] * w[n, k], with weights as checkpoints store them, row-major
[out, in], f32 or bf16, used in place.

One output is one accumulator vector: lane l adds the products of the k that are l modulo the step, in
ascending order; at the end the lanes are added by halves. That order depends on K, the weight's dtype and the
target alone, so every row gets the same bits whatever the number of rows, the tiling or the threads.

- f32 weights: multiply-adds in f32.
- bf16 weights with avx512bf16: VDPBF16PS on x rounded to bf16, 2 products a lane and step.
- bf16 weights elsewhere: widened, multiply-adds in f32 (x stays f32).

Floor: max(bytes of w / memory bandwidth, 2 M N K / peak). One row reads every weight once; from about 30 rows
on the arithmetic decides.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.annotations import SIMD, Const
from sapwood.lang.api.comptime import simd_width, target_has
from sapwood.lang.api.dtypes import bf16, f32
from sapwood.lang.api.loops import parallel, unroll
from sapwood.lang.function import fn
from sapwood.lang.ops.arith import mul_add
from sapwood.lang.ops.simd import dot_bf16, iota
from sapwood.kernels.operands import dense_step, pack_row

ROWS = 6  # rows of x in a tile
COLUMNS = 4  # rows of w in a tile of several x rows
NARROW = 8  # rows of w in a tile of one x row: enough chains to hide latency
TASK_BYTES = 256 * 1024  # weights of one task: they stay in L2 while all rows of x pass by
CHUNK_BYTES = 384 * 1024  # rows of x that stay in L2 beside them


@fn(unchecked=True, inline=True)
def multiply(acc: Any, x: Any, w: Any) -> Any:
    """One step of one output."""
    if w.dtype == bf16:
        if target_has("avx512bf16"):
            return dot_bf16(acc, x, w)
        return mul_add(x, w.cast(f32), acc)
    return mul_add(x, w, acc)


@fn(unchecked=True, inline=True)
def tile(x: Any, stride: int, rows: Any, store: Any, m: int, p: int, k: int, MR: Const[int], NP: Const[int]) -> None:
    """MR rows of x against NP output columns (or pairs of columns), over all of K."""
    w_rows = ()
    for j in unroll(range(NP)):
        w_rows = w_rows + rows(p + j)
    R = len(w_rows)
    STEP = dense_step(w_rows[0].dtype)
    W = simd_width(f32)
    acc = ()
    for _ in unroll(range(MR * R)):
        acc = acc + (SIMD[f32, W](0.0),)
    whole = k - k % STEP
    for i in range(0, whole, STEP):
        wv = ()
        for j in unroll(range(R)):
            wv = wv + (w_rows[j].load(i, width=STEP),)
        new = ()
        for r in unroll(range(MR)):
            xv = (x + (m + r) * stride).load(i, width=STEP)
            for j in unroll(range(R)):
                new = new + (multiply(acc[r * R + j], xv, wv[j]),)
        acc = new
    if whole < k:
        mask = iota(int, STEP) < k - whole
        new = ()
        for r in unroll(range(MR)):
            xv = (x + (m + r) * stride).load(whole, width=STEP)
            for j in unroll(range(R)):
                wv1 = w_rows[j].load(whole, width=STEP, mask=mask)
                new = new + (multiply(acc[r * R + j], xv, wv1),)
        acc = new
    PAIR = R // NP
    for r in unroll(range(MR)):
        for j in unroll(range(NP)):
            at = r * R + j * PAIR
            if PAIR == 2:
                store(m + r, p + j, acc[at].reduce_add(), acc[at + 1].reduce_add())
            else:
                store(m + r, p + j, acc[at].reduce_add())


@fn(unchecked=True, inline=True)
def linear(
    x: Any, scratch: Any, rows: Any, store: Any, m: int, n: int, k: int, pair: Const[int]
) -> None:
    """Store x @ w.T for m rows of x and n columns (pairs of columns when pair is 2).

    x: an input operand of m rows and k columns. scratch: memory for them, in the dtype of the products, with
    rows of k rounded up to the step; used when the operand has no view. rows(p): a tuple of `pair` pointers to
    the rows of w that make output p. store(m, p, v) or store(m, p, v, w).
    """
    STEP = dense_step(rows(0)[0].dtype)
    padded = (k + STEP - 1) // STEP * STEP
    if m == 1:
        pack_row(x.row(0), scratch, k, padded)
    else:
        for r in parallel(m):
            pack_row(x.row(r), scratch + r * padded, k, padded)
    size = 2
    if rows(0)[0].dtype == f32:
        size = 4
    block = max(COLUMNS, TASK_BYTES // (k * size * pair) // NARROW * NARROW)
    chunk = max(ROWS, CHUNK_BYTES // (padded * size) // ROWS * ROWS)
    tasks = (n + block - 1) // block
    for t in parallel(tasks):
        first = t * block
        last = min(first + block, n)
        for m0 in range(0, m, chunk):
            linear_block(scratch, padded, rows, store, m0, min(m0 + chunk, m), first, last, k, pair)


@fn(unchecked=True, inline=True)
def linear_block(
    x: Any, stride: int, rows: Any, store: Any, m0: int, m1: int, p0: int, p1: int, k: int, pair: Const[int]
) -> None:
    """Rows m0..m1 against columns p0..p1."""
    WIDE = COLUMNS // pair
    THIN = NARROW // pair
    full = m0 + (m1 - m0) // ROWS * ROWS
    if m0 < full:
        p = p0
        while p + WIDE <= p1:
            for r in range(m0, full, ROWS):
                tile(x, stride, rows, store, r, p, k, ROWS, WIDE)
            p += WIDE
        while p < p1:
            for r in range(m0, full, ROWS):
                tile(x, stride, rows, store, r, p, k, ROWS, 1)
            p += 1
    if full < m1:
        p = p0
        while p + THIN <= p1:
            for r in range(full, m1):
                tile(x, stride, rows, store, r, p, k, 1, THIN)
            p += THIN
        while p < p1:
            for r in range(full, m1):
                tile(x, stride, rows, store, r, p, k, 1, 1)
            p += 1
