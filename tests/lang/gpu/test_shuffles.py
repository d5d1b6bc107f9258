"""Shuffles of numbers of every type, in every way that kernels run."""

from __future__ import annotations

import numpy as np
import pytest

from sapwood import Array, bf16, config, f16, f32, f64, i8, i16, i32, i64, kernel, u8, u16, u32, u64
from sapwood.gpu import block_dim, block_idx, shared, thread_idx, warp

pytestmark = pytest.mark.sampled(8)  # each case takes seconds to compile

TYPES = (i8, i16, i32, i64, u8, u16, u32, u64, f16, bf16, f32, f64)
WAYS = ("simt", "simt:coroutines", "simt:checked", "reference")


@kernel
def moves(out, x, n: int) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    out[0, i] = warp.shuffle(x[i], n)
    out[1, i] = warp.shuffle_up(x[i], n)
    out[2, i] = warp.shuffle_down(x[i], n)
    out[3, i] = warp.shuffle_xor(x[i], n)
    out[4, i] = warp.broadcast(x[i], 3)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", TYPES, ids=lambda t: t.__name__)
@pytest.mark.parametrize(("block", "n"), [(7, 1), (45, 5), (64, 31)])
def test_every_bit_goes_where_it_should(dtype, way, block, n):
    size = Array.zeros(1, dtype).numpy(bits=True).itemsize
    x, out = Array.zeros(2 * block, dtype), Array.zeros((5, 2 * block), dtype)
    bits = np.random.default_rng(n).integers(0, 256, (2 * block, size), np.uint8).view(f"u{size}")[:, 0]
    if dtype in (f16, bf16, f32, f64):  # no NaN: the evaluator keeps numbers, and not all bits of what is none
        bits &= ~(1 << np.uint64(8 * size - 2)).astype(bits.dtype)
    x.numpy(bits=True).view(f"u{size}")[:] = bits
    if way == "reference":
        moves.reference[2, block](out, x, n)
    else:
        with config.override(SAPWOOD_TARGET=way):
            moves[2, block](out, x, n)
    t = np.arange(2 * block) % block
    lane, base = t % 32, np.arange(2 * block) - t % 32
    found = out.numpy(bits=True).view(f"u{size}")
    for row, source in enumerate((np.full_like(lane, n % 32), lane - n, lane + n, lane ^ n, np.full_like(lane, 3))):
        there = (source >= 0) & (source < 32) & (t - lane + source < block)
        np.testing.assert_array_equal(found[row], np.where(there, bits[np.where(there, base + source, 0)], bits))


@kernel
def sums(out, x) -> None:
    """The first warp adds what all have left: a shuffle where not all of the block come."""
    tile = shared(x.dtype, 64)
    tile[thread_idx.x] = x[thread_idx.x]
    total = x[thread_idx.x]
    if thread_idx.x < 32:
        total += x[thread_idx.x + 32]
        for k in range(5):
            total += warp.shuffle_down(total, 16 >> k)
    if thread_idx.x == 0:
        out[0] = total


@pytest.mark.parametrize("way", WAYS[:3])
@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint32], ids=str)
def test_sums_of_wide_numbers(dtype, way):
    x = (np.random.default_rng(0).random(64) * 1000).astype(dtype)
    out = np.zeros(1, dtype)
    with config.override(SAPWOOD_TARGET=way):
        sums[1, 64](out, x)
    np.testing.assert_allclose(out[0], x.sum(), rtol=1e-13)
