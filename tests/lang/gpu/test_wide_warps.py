"""Warps of 64 threads: the same kernels on target simt:warp64, and in the evaluator for it."""

from __future__ import annotations

import numpy as np
import pytest

from sapwood import CompileError, Tensor, config, f32, i32, kernel, u64
from sapwood.gpu import Deadlock, barrier, block, lane_id, m16n8k8_tf32, mma, shared, thread_idx, warp, warp_id, zero_c

WAYS = ("simt:warp64", "reference")


def run(k, way, grid, shape, *args):
    with config.override(SAPWOOD_TARGET="simt:warp64"):
        (k.reference if way == "reference" else k)[grid, shape](*args)


@kernel
def everything(out, ballot, x) -> None:
    t = thread_idx.x
    out[0, t] = warp.size + 1000 * warp_id() + 100_000 * lane_id()
    out[1, t] = warp.shuffle_xor(x[t], 32)
    out[2, t] = warp.shuffle_down(x[t], 33)
    out[3, t] = warp.reduce_add(x[t])
    ballot[0, t] = warp.ballot(x[t] > 0)
    ballot[1, t] = warp.match_any(x[t])
    if t < 64:
        out[4, t] = warp.scan_add(x[t])
    if t // 64 == 1:
        out[4, t] = i32(warp.any(x[t] == 1)) + 2 * i32(warp.all(x[t] < 99))
    out[5, t] = block.scan_add(x[t])


def bits(lanes):
    return sum(1 << int(k) for k in np.flatnonzero(lanes))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", [64, 100, 128])
def test_warps_of_64(way, n):
    x = np.random.default_rng(n).integers(-3, 4, n)
    out, ballot = np.full((6, n), -77), np.zeros((2, n), np.uint64)
    run(everything, way, 1, n, out, ballot, x)
    t = np.arange(n)
    lane, first = t % 64, t - t % 64
    expected = np.full((6, n), -77)
    expected[0] = 64 + 1000 * (t // 64) + 100_000 * lane
    for row, source in ((1, lane ^ 32), (2, lane + 33)):
        there = (source < 64) & (first + source < n)
        expected[row] = np.where(there, x[np.where(there, first + source, 0)], x)
    groups = [x[i : i + 64] for i in range(0, n, 64)]
    expected[3] = np.concatenate([np.full(w.size, w.sum()) for w in groups])
    expected[4, :64] = np.cumsum(x[:64])
    if n > 64:
        expected[4, 64:] = int((x[64:] == 1).any()) + 2
    expected[5] = np.cumsum(x)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(ballot[0], [bits(w > 0) for w in groups for _ in w])
    np.testing.assert_array_equal(ballot[1], [bits(w == v) for w in groups for v in w])


@kernel
def votes(out, x) -> None:
    out[thread_idx.x] = warp.ballot(x[thread_idx.x] > 0)


def test_votes_of_64_are_work_item_loops():
    x, out = np.random.default_rng(0).integers(-3, 4, 150), np.zeros(150, np.uint64)
    run(votes, "simt:warp64", 1, 150, out, x)
    np.testing.assert_array_equal(out, [bits(w > 0) for w in (x[:64], x[64:128], x[128:]) for _ in w])
    with config.override(SAPWOOD_TARGET="simt:warp64"):
        assert votes.inspect(out, x, kind="simt").startswith("work-item")


@kernel
def halves(x: Tensor[i32, 1]) -> None:
    """Lanes of a half wait for each other; with a mask that is right for warps of 32, the others would hang."""
    tile = shared(i32, 64)
    lane = lane_id()
    tile[lane] = x[lane]
    if lane < 32:
        warp.sync(u64(0xFFFFFFFF))
        x[lane] = tile[31 - lane] + warp.shuffle(x[lane], 63 - lane, mask=0xFFFFFFFF)
    barrier()


@pytest.mark.parametrize("way", WAYS)
def test_masks_of_64(way):
    x = np.arange(64, dtype=np.int32)
    run(halves, way, 1, 64, x)
    np.testing.assert_array_equal(x, np.append(31 - np.arange(32) + np.arange(32), np.arange(32, 64)))


@kernel
def other_half(x: Tensor[i32, 1]) -> None:
    if lane_id() < 33:
        warp.sync(0x3FFFFFFFF)
    barrier()


@pytest.mark.parametrize("way", WAYS)
def test_a_lane_beyond_32_that_does_not_come(way):
    with pytest.raises(Deadlock, match=r"thread 0 waits at the warp operation of line .*, but thread 33 of its warp"):
        run(other_half, way, 1, 64, np.zeros(1, np.int32))


@kernel
def product(x: Tensor[f32, 1]) -> None:
    x[0] = mma(m16n8k8_tf32, (x[0],) * 4, (x[0],) * 2, zero_c(m16n8k8_tf32))[0]


def test_matrix_units_have_warps_of_32():
    with pytest.raises(CompileError, match="mma: a warp of 64 threads"):
        run(product, "simt:warp64", 1, 64, np.zeros(1, np.float32))
