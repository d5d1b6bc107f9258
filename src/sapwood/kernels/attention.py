"""Causal attention over a paged KV cache, with grouped heads, online softmax (Dao et al., FlashAttention, 2022).

The cache of one layer: keys [blocks, kv_heads, head_dim, BLOCK], values [blocks, kv_heads, BLOCK, head_dim].
The 16 positions of a block are the lanes of the score vector, so keys need no shuffles.

A row's arithmetic depends on its position alone: blocks begin at multiples of BLOCK of the absolute position
and are merged in ascending order; within a block, scores add head_dim products in ascending order, and values are
added position by position. Queries that stand in one tile share loads of keys and values, never sums.

Floor: bytes of the cached keys and values of each (sequence, kv head) / memory bandwidth for one row;
4 * head_dim * heads * sum of contexts / peak f32 for many.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.annotations import SIMD, Const, Ptr, StackArray
from sapwood.lang.api.comptime import simd_width, target_has
from sapwood.lang.api.dtypes import f32, i32
from sapwood.lang.api.loops import parallel, unroll
from sapwood.lang.function import fn
from sapwood.lang.library.math import exp
from sapwood.lang.ops.arith import maximum, mul_add, select
from sapwood.lang.ops.convert import cast
from sapwood.lang.ops.memory import prefetch
from sapwood.lang.ops.simd import iota

BLOCK = 16  # positions of a cache block, and lanes of a score vector
MINUS = -1e30  # stands for minus infinity: differences with it stay finite
TILE = 8  # most queries that share loads
TASK_ROWS = 16  # most rows of one task


def scratch_elements(rows: Any, kv_heads: int, head_dim: int) -> Any:
    """f32 elements of scratch that `paged_attention` needs for at most `rows` rows."""
    return rows * (kv_heads * TILE * head_dim)


@fn(unchecked=True, inline=True)
def tile_queries() -> Any:
    """Queries of a tile: their score vectors fill the registers."""
    if target_has("avx512f"):
        return TILE
    return TILE // 2


@fn(unchecked=True, inline=True)
def write_key(cache: Any, block: int, head: int, kv_heads: int, head_dim: int, slot: int, d: int, v: f32) -> None:
    """Store element d of the key of one position."""
    cache[((block * kv_heads + head) * head_dim + d) * BLOCK + slot] = cast(v, cache.dtype)


@fn(unchecked=True, inline=True)
def write_value(cache: Any, block: int, head: int, kv_heads: int, head_dim: int, slot: int, d: int, v: f32) -> None:
    """Store element d of the value of one position."""
    cache[((block * kv_heads + head) * BLOCK + slot) * head_dim + d] = cast(v, cache.dtype)


@fn(unchecked=True, inline=True)
def paged_attention(
    q: Any, out: Any, keys: Any, values: Any, tables: Ptr[i32], sequence: Ptr[i32], position: Ptr[i32],
    scratch: Any, rows: int, table_width: int, heads: int, kv_heads: int, head_dim: int, scale: f32,
) -> None:
    """Attention of `rows` query rows, each of some sequence at some position.

    q, out: [rows, heads, head_dim]; tables: [sequences, table_width] block numbers; sequence, position: of each
    row; scratch: scratch_elements(rows, kv_heads, head_dim) f32. Rows of one sequence stand together in ascending
    order of position, and their keys and values are in the cache already.
    """
    group = heads // kv_heads
    some = min(max(tile_queries(), rows // TASK_ROWS), TASK_ROWS)
    parts = (rows + some - 1) // some
    for task in parallel(parts * kv_heads):
        head = task // parts
        last = min(task % parts * some + some, rows)
        mine = scratch + task * TILE * head_dim
        row = task % parts * some
        while row < last:
            end = row + 1
            while end < last and sequence[end] == sequence[row]:
                end += 1
            table = tables + int(sequence[row]) * table_width
            attend_run(
                q, out, keys, values, table, position, mine, row, end - row, group, head, heads, kv_heads, head_dim,
                scale,
            )
            row = end


@fn(unchecked=True, inline=True)
def attend_run(
    q: Any, out: Any, keys: Any, values: Any, table: Ptr[i32], position: Ptr[i32], acc: Any, row: int, count: int,
    group: int, head: int, heads: int, kv_heads: int, head_dim: int, scale: f32,
) -> None:
    """`count` rows of one sequence and the query heads of one kv head, in tiles."""
    N = tile_queries()
    i = 0
    while i + N <= count * group:
        places, ps = (), ()
        for j in unroll(range(N)):
            r = row + (i + j) // group
            places = places + ((r * heads + head * group + (i + j) % group) * head_dim,)
            ps = ps + (int(position[r]),)
        attend(q, keys, values, table, places, ps, out, acc, head, kv_heads, head_dim, scale, N)
        i += N
    while i < count * group:
        at = row + i // group
        place = (at * heads + head * group + i % group) * head_dim
        attend(q, keys, values, table, (place,), (int(position[at]),), out, acc, head, kv_heads, head_dim, scale, 1)
        i += 1


@fn(unchecked=True, inline=True)
def attend(
    q: Any, keys: Any, values: Any, table: Ptr[i32], places: Any, positions: Any, out: Any, acc: Any,
    head: int, kv_heads: int, D: int, scale: f32, N: Const[int],
) -> None:
    """N queries of one kv head over their common sequence.

    places: N offsets into q and out; positions: N absolute positions, ascending; acc: f32 scratch of N * D.
    """
    weights = StackArray[f32, TILE * BLOCK]()
    running_max, running_sum = (), ()
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
        following = (int(table[min(b + 1, blocks - 1)]) * kv_heads + head) * BLOCK * D
        scores = score_block(q, places, kp, keys + following, values + following, D, N)
        lanes = iota(i32, BLOCK) + i32(b * BLOCK)
        new_max, new_sum, factors = (), (), ()
        for i in unroll(range(N)):
            seen = lanes <= i32(positions[i])
            s = select(seen, scores[i] * scale, SIMD[f32, BLOCK](MINUS))
            top = maximum(running_max[i], s.reduce_max())
            p = select(seen, exp(s - top), SIMD[f32, BLOCK](0.0))
            factor = exp(running_max[i] - top)
            weights.ptr.store(i * BLOCK, p)
            new_max = new_max + (top,)
            new_sum = new_sum + (running_sum[i] * factor + p.reduce_add(),)
            factors = factors + (factor,)
        running_max, running_sum = new_max, new_sum
        first, last = positions[0] - b * BLOCK + 1, positions[N - 1] - b * BLOCK + 1
        if first == last or first >= BLOCK:
            add_values(acc, vp, weights.ptr, factors, D, min(last, BLOCK), N)
        else:
            for i in unroll(range(N)):  # a query never meets values beyond its position, not even times zero
                own = max(min(positions[i] - b * BLOCK + 1, BLOCK), 0)
                add_values(acc + i * D, vp, weights.ptr + i * BLOCK, (factors[i],), D, own, 1)
    for i in unroll(range(N)):
        inverse = f32(1.0) / running_sum[i]
        for d in range(D):
            out[places[i] + d] = (acc[i * D + d] * inverse).cast(out.dtype)


@fn(unchecked=True, inline=True)
def score_block(q: Any, places: Any, kp: Any, next_keys: Any, next_values: Any, D: int, N: Const[int]) -> Any:
    """Products of N queries with the 16 keys of a block. Asks for the next block, which may be anywhere."""
    scores = ()
    for _ in unroll(range(N)):
        scores = scores + (SIMD[f32, BLOCK](0.0),)
    for d in range(D):
        prefetch(next_keys + d * BLOCK)
        prefetch(next_values + d * BLOCK)
        kv = kp.load(d * BLOCK, width=BLOCK).cast(f32)
        new = ()
        for i in unroll(range(N)):
            new = new + (mul_add(kv, SIMD[f32, BLOCK](q[places[i] + d].cast(f32)), scores[i]),)
        scores = new
    return scores


@fn(unchecked=True, inline=True)
def add_values(acc: Any, vp: Any, weights: Any, factors: Any, D: int, count: int, N: Const[int]) -> None:
    """acc[i] = acc[i] * factors[i] + sum over the block's first positions of weights[i][j] * values[j]."""
    W = 2 * simd_width(f32)
    whole = D - D % W
    for d in range(0, whole, W):
        add_slice(acc, vp, weights, factors, D, d, count, N, W)
    for d in range(whole, D):
        add_slice(acc, vp, weights, factors, D, d, count, N, 1)


@fn(unchecked=True, inline=True)
def add_slice(
    acc: Any, vp: Any, weights: Any, factors: Any, D: int, d: int, count: int, N: Const[int], W: Const[int]
) -> None:
    """add_values for W elements of the head."""
    sums = ()
    for i in unroll(range(N)):
        sums = sums + (acc.load(i * D + d, width=W) * SIMD[f32, W](factors[i]),)
    for j in range(count):
        v = vp.load(j * D + d, width=W).cast(f32)
        new = ()
        for i in unroll(range(N)):
            new = new + (mul_add(v, SIMD[f32, W](weights[i * BLOCK + j]), sums[i]),)
        sums = new
    for i in unroll(range(N)):
        acc.store(i * D + d, sums[i])
