"""Causal attention over a paged KV cache, with grouped heads, online softmax (Dao et al., FlashAttention, 2022).

The cache of one layer: keys [blocks, kv_heads, head_dim, BLOCK], values [blocks, kv_heads, BLOCK, head_dim].
The 16 positions of a block are the lanes of the score vector, so keys need no shuffles.

A row's arithmetic depends on its position alone: blocks begin at multiples of BLOCK of the absolute position
and are merged in ascending order; within a block, scores add head_dim products in ascending order. Rows share
loads of keys and values, never sums.

Floor: bytes of the cached keys and values of each (sequence, kv head) / memory bandwidth for one row;
4 * head_dim * heads * sum of contexts / peak f32 for many.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.annotations import SIMD, Const, Ptr
from sapwood.lang.api.dtypes import f32, i32
from sapwood.lang.api.loops import parallel, unroll
from sapwood.lang.function import fn
from sapwood.lang.library.math import exp
from sapwood.lang.ops.arith import maximum, mul_add, select
from sapwood.lang.ops.simd import iota

BLOCK = 16  # positions of a cache block, and lanes of a score vector
MINUS = -1e30  # stands for minus infinity: differences with it stay finite
TILE = 4  # query rows that share loads


@fn(unchecked=True, inline=True)
def write_key(cache: Any, block: int, head: int, kv_heads: int, head_dim: int, slot: int, d: int, v: f32) -> None:
    """Store element d of the key of one position."""
    cache[((block * kv_heads + head) * head_dim + d) * BLOCK + slot] = v.cast(cache.dtype)


@fn(unchecked=True, inline=True)
def write_value(cache: Any, block: int, head: int, kv_heads: int, head_dim: int, slot: int, d: int, v: f32) -> None:
    """Store element d of the value of one position."""
    cache[((block * kv_heads + head) * BLOCK + slot) * head_dim + d] = v.cast(cache.dtype)


@fn(unchecked=True, inline=True)
def attend(
    q: Any, keys: Any, values: Any, table: Ptr[i32], positions: Any, out: Any, acc: Any,
    head: int, kv_heads: int, head_dim: int, scale: f32, N: Const[int],
) -> None:
    """N queries of one kv head over their common sequence.

    q: tuple of N pointers to head_dim elements; positions: tuple of N absolute positions, ascending; out: tuple
    of N pointers; acc: f32 scratch of N * head_dim.
    """
    D = head_dim
    running_max = ()
    running_sum = ()
    for _ in unroll(range(N)):
        running_max = running_max + (f32(MINUS),)
        running_sum = running_sum + (f32(0.0),)
    for i in range(N * D):
        acc[i] = f32(0.0)
    blocks = positions[N - 1] // BLOCK + 1
    for b in range(blocks):
        place = int(table[b]) * kv_heads + head
        kp = keys + place * D * BLOCK
        vp = values + place * BLOCK * D
        scores = ()
        for _ in unroll(range(N)):
            scores = scores + (SIMD[f32, BLOCK](0.0),)
        for d in range(D):
            kv = kp.load(d * BLOCK, width=BLOCK).cast(f32)
            new = ()
            for i in unroll(range(N)):
                new = new + (mul_add(kv, SIMD[f32, BLOCK](q[i][d].cast(f32)), scores[i]),)
            scores = new
        lanes = iota(int, BLOCK) + b * BLOCK
        weights = ()
        new_max = ()
        new_sum = ()
        for i in unroll(range(N)):
            s = select(lanes <= positions[i], scores[i] * scale, SIMD[f32, BLOCK](MINUS))
            top = maximum(running_max[i], s.reduce_max())
            p = select(lanes <= positions[i], exp(s - top), SIMD[f32, BLOCK](0.0))
            factor = exp(running_max[i] - top)
            if b * BLOCK <= positions[i]:
                rescale(acc + i * D, D, factor)
            weights = weights + (p,)
            new_max = new_max + (top,)
            new_sum = new_sum + (running_sum[i] * factor + p.reduce_add(),)
        running_max = new_max
        running_sum = new_sum
        last = min(positions[N - 1] - b * BLOCK + 1, BLOCK)
        add_values(acc, vp, weights, D, last, N)
    for i in unroll(range(N)):
        inverse = f32(1.0) / running_sum[i]
        for d in range(D):
            out[i][d] = (acc[i * D + d] * inverse).cast(out[i].dtype)


@fn(unchecked=True, inline=True)
def rescale(acc: Any, D: int, factor: f32) -> None:
    if factor != 1.0:
        for d in range(D):
            acc[d] = acc[d] * factor


@fn(unchecked=True, inline=True)
def add_values(acc: Any, vp: Any, weights: Any, D: int, count: int, N: Const[int]) -> None:
    """acc[i] += sum over the block's positions of weights[i][j] * values[j], j ascending."""
    W = 8
    whole = D - D % W
    for d in range(0, whole, W):
        sums = ()
        for i in unroll(range(N)):
            sums = sums + (acc.load(i * D + d, width=W),)
        for j in range(count):
            v = vp.load(j * D + d, width=W).cast(f32)
            new = ()
            for i in unroll(range(N)):
                new = new + (mul_add(v, SIMD[f32, W](weights[i][j]), sums[i]),)
            sums = new
        for i in unroll(range(N)):
            acc.store(i * D + d, sums[i])
    for d in range(whole, D):
        for i in unroll(range(N)):
            total = acc[i * D + d]
            for j in range(count):
                total = mul_add(vp[j * D + d].cast(f32), weights[i][j], total)
            acc[i * D + d] = total


@fn(unchecked=True, inline=True)
def paged_attention(
    q: Any, out: Any, keys: Any, values: Any, tables: Ptr[i32], sequence: Ptr[i32], position: Ptr[i32],
    scratch: Any, rows: int, table_width: int, heads: int, kv_heads: int, head_dim: int, scale: f32,
) -> None:
    """Attention of `rows` query rows, each of some sequence at some position.

    q, out: [rows, heads, head_dim]; tables: [sequences, table_width] block numbers; sequence, position: of each
    row; scratch: f32, TILE * heads / kv_heads... elements per (row, kv head), TILE * head_dim * heads each.
    Rows of one sequence stand together in ascending order of position.
    """
    group = heads // kv_heads
    for task in parallel(rows * kv_heads):
        row = task // kv_heads
        head = task % kv_heads
        table = tables + int(sequence[row]) * table_width
        at = int(position[row])
        mine = scratch + task * TILE * head_dim
        g = 0
        while g + TILE <= group:
            first = (row * heads + head * group + g) * head_dim
            qs = ()
            outs = ()
            ps = ()
            for i in unroll(range(TILE)):
                qs = qs + (q + (first + i * head_dim),)
                outs = outs + (out + (first + i * head_dim),)
                ps = ps + (at,)
            attend(qs, keys, values, table, ps, outs, mine, head, kv_heads, head_dim, scale, TILE)
            g += TILE
        while g < group:
            one = (row * heads + head * group + g) * head_dim
            attend((q + one,), keys, values, table, (at,), (out + one,), mine, head, kv_heads, head_dim, scale, 1)
            g += 1
