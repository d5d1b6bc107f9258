"""Paged attention: values against float64, the bits of rows, memory that is not a row's own."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pytest
from kernel_data import array, normal, poisoned, rounded, values

import sapwood
from sapwood import Tensor, f32, fn, i32
from sapwood.kernels.attention import BLOCK, paged_attention, scratch_elements, write_key, write_value

T = TypeVar("T")


@fn(unchecked=True)
def attend(
    q: Tensor[f32, 3], keys: Tensor[T, 4], cached: Tensor[T, 4], tables: Tensor[i32, 2], sequence: Tensor[i32, 1],
    position: Tensor[i32, 1], out: Tensor[f32, 3], scratch: Tensor[f32, 1], kv_heads: int, scale: f32,
) -> None:
    rows, heads, head_dim = q.shape
    paged_attention(
        q.ptr, out.ptr, keys.ptr, cached.ptr, tables.ptr, sequence.ptr, position.ptr, scratch.ptr, rows,
        tables.shape[1], heads, kv_heads, head_dim, scale,
    )


@fn(unchecked=True)
def fill(
    keys: Tensor[T, 4], cached: Tensor[T, 4], k: Tensor[f32, 3], v: Tensor[f32, 3], table: Tensor[i32, 1], first: int
) -> None:
    """Put keys and values [positions, kv_heads, head_dim] of one sequence into its blocks."""
    count, kv_heads, head_dim = k.shape
    kp, vp = keys.ptr, cached.ptr
    for p in range(count):
        block = int(table[(first + p) // BLOCK])
        for h in range(kv_heads):
            for d in range(head_dim):
                write_key(kp, block, h, kv_heads, head_dim, (first + p) % BLOCK, d, k[p, h, d])
                write_value(vp, block, h, kv_heads, head_dim, (first + p) % BLOCK, d, v[p, h, d])


class Cache:
    """Sequences in a paged cache whose unused memory is nan."""

    def __init__(self, lengths: list[int], heads: int, kv_heads: int, head_dim: int, dtype: str) -> None:
        self.heads, self.kv_heads, self.head_dim, self.dtype = heads, kv_heads, head_dim, dtype
        width = max(-(-n // BLOCK) for n in lengths)
        blocks = np.random.default_rng(9).permutation(len(lengths) * width + 3)
        self.tables = blocks[: len(lengths) * width].reshape(len(lengths), width).astype(np.int32)
        shape = (len(blocks), kv_heads, head_dim, BLOCK)
        self.keys = array(np.full(shape, np.nan, np.float32), dtype)
        self.cached = array(np.full((len(blocks), kv_heads, BLOCK, head_dim), np.nan, np.float32), dtype)
        self.q = [normal(10 + s, n, heads, head_dim) for s, n in enumerate(lengths)]
        self.k = [rounded(normal(20 + s, n, kv_heads, head_dim), dtype) for s, n in enumerate(lengths)]
        self.v = [rounded(normal(30 + s, n, kv_heads, head_dim), dtype) for s, n in enumerate(lengths)]
        self.written = [0] * len(lengths)

    def write(self, s: int, upto: int) -> None:
        first = self.written[s]
        if upto > first:
            fill(self.keys, self.cached, self.k[s][first:upto], self.v[s][first:upto], self.tables[s], first)
            self.written[s] = upto

    def run(self, rows: list[tuple[int, int]], call=attend) -> np.ndarray:
        """Outputs of (sequence, position) rows; writes their keys and values first."""
        for s, p in rows:
            self.write(s, p + 1)
        q = np.stack([self.q[s][p] for s, p in rows])
        out = poisoned(*q.shape)
        sequence, position = (np.array(x, np.int32) for x in zip(*rows, strict=True))
        scratch = poisoned(scratch_elements(len(rows), self.kv_heads, self.head_dim))
        scale = self.head_dim**-0.5
        call(q, self.keys, self.cached, self.tables, sequence, position, out, scratch, self.kv_heads, scale)
        return out

    def expected(self, s: int, p: int) -> np.ndarray:
        group = self.heads // self.kv_heads
        out = np.empty((self.heads, self.head_dim))
        for h in range(self.heads):
            k, v = (x[s][: p + 1, h // group].astype(np.float64) for x in (self.k, self.v))
            scores = k @ self.q[s][p, h].astype(np.float64) * self.head_dim**-0.5
            weights = np.exp(scores - scores.max())
            out[h] = weights @ v / weights.sum()
        return out


SHAPES = [(4, 1, 24), (8, 2, 64), (3, 3, 80), (8, 1, 128), (6, 2, 5)]  # heads, kv heads, head size


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("heads, kv_heads, head_dim", SHAPES)
def test_values(heads, kv_heads, head_dim, dtype):
    lengths = [1, 37, 16, 60]
    cache = Cache(lengths, heads, kv_heads, head_dim, dtype)
    rows = [(s, p) for s, n in enumerate(lengths) for p in range(n)]
    found = cache.run(rows)
    for (s, p), out in zip(rows, found, strict=True):
        assert np.abs(out - cache.expected(s, p)).max() < 3e-6


def chunked(cache: Cache, length: int, size: int) -> np.ndarray:
    parts = [list(range(i, min(i + size, length))) for i in range(0, length, size)]
    return np.concatenate([cache.run([(0, p) for p in part]) for part in parts])


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("heads, kv_heads, head_dim", SHAPES[:3])
def test_chunks_and_batches_have_the_same_bits(heads, kv_heads, head_dim, dtype, target):
    results = []
    for count in (1, 2):
        old = sapwood.set_num_threads(count)
        shape = (heads, kv_heads, head_dim, dtype)
        results += [chunked(Cache([50, 35, 3], *shape), 50, size) for size in (50, 16, 7, 2, 1)]
        cache = Cache([50, 35, 3], heads, kv_heads, head_dim, dtype)
        mixed = cache.run([(0, p) for p in range(50)] + [(1, p) for p in range(35)] + [(2, 0)])
        results.append(mixed[:50])
        alone = cache.run([(1, p) for p in range(35)])
        assert (alone.view(np.uint32) == mixed[50:85].view(np.uint32)).all()
        sapwood.set_num_threads(old)
    for r in results:
        assert not np.isnan(r).any()
        assert (r.view(np.uint32) == results[0].view(np.uint32)).all()


@pytest.mark.parametrize("count", [1, 2, 7, 16, 33, 512])
def test_any_number_of_rows(count, target):
    """Every row of M has the bits that it has alone."""
    cache = Cache([512], 2, 1, 16, "f32")
    found = cache.run([(0, p) for p in range(count)])
    for p in {0, count // 2, count - 1}:
        assert (cache.run([(0, p)]).view(np.uint32) == found[p].view(np.uint32)).all()


def test_what_comes_later_does_not_matter():
    """Infinite values after a position, or in another sequence, never reach it."""
    cache = Cache([40, 20], 4, 2, 24, "f32")
    want = cache.run([(0, p) for p in range(21)])
    cache.v[0][21:] = np.inf
    cache.k[0][21:] = np.nan
    cache.v[1][:] = np.nan
    cache.written = [0, 0]
    found = cache.run([(1, p) for p in range(20)] + [(0, p) for p in range(40)])[20:41]
    assert (found.view(np.uint32) == want.view(np.uint32)).all()


def test_nothing_is_touched_outside():
    """The evaluator knows where every array ends."""
    cache = Cache([19], 2, 1, 5, "f32")
    rows = [(0, p) for p in range(15, 19)]
    want = cache.run([(0, p) for p in range(19)])[15:]
    found = cache.run(rows, attend.reference)
    assert (found.view(np.uint32) == want.view(np.uint32)).all()
    assert values(cache.keys).shape == (5, 1, 5, BLOCK)
