"""Votes, matches, masks and waiting of warps, in every way that kernels run."""

from __future__ import annotations

import numpy as np
import pytest

from sapwood import Array, Tensor, bf16, config, f16, f32, f64, i8, i32, i64, kernel, u16, u32, u64
from sapwood.gpu import (
    Deadlock,
    atomic_add,
    barrier,
    block_dim,
    block_idx,
    checked,
    lane_id,
    shared,
    thread_idx,
    warp,
    warp_id,
)

WAYS = ("simt", "simt:coroutines", "simt:checked", "reference")


def run(k, way, grid, block, *args):
    if way == "reference":
        k.reference[grid, block](*args)
    else:
        with config.override(SAPWOOD_TARGET=way):
            k[grid, block](*args)


def warps_of(x: np.ndarray, block: int) -> list[np.ndarray]:
    """The values of each warp."""
    return [b[i : i + 32] for b in x.reshape(-1, block) for i in range(0, block, 32)]


def bits(lanes: np.ndarray) -> int:
    return sum(1 << int(k) for k in np.flatnonzero(lanes))


@kernel
def votes(any_, all_, ballot, x) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    any_[i] = i32(warp.any(x[i] > 0))
    all_[i] = i32(warp.all(x[i] > 0))
    ballot[i] = warp.ballot(x[i] > 0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("block", [1, 31, 32, 45, 96])
def test_votes(way, block):
    n = 4 * block
    rng = np.random.default_rng(block)
    x = (rng.random(n) < np.repeat(rng.choice([0, 0.5, 1], 4), block)).astype(np.int32)
    x[:block] = np.arange(block) % 32 != 5  # one no
    any_, all_, ballot = np.full(n, -77, np.int32), np.full(n, -77, np.int32), np.full(n, 77, np.uint32)
    run(votes, way, 4, block, any_, all_, ballot, x)
    expected = [np.full(w.size, f(w), np.int64) for f in (np.any, np.all, bits) for w in warps_of(x, block)]
    np.testing.assert_array_equal(np.concatenate([any_, all_, ballot]), np.concatenate(expected))


@kernel
def votes_of_some(out, x) -> None:
    """Of the threads that are left, of whole warps, and in loops."""
    t = thread_idx.x
    if t >= x.size:
        return
    out[0, t] = warp.ballot(x[t] > 0)
    if t < 32:
        out[1, t] = warp.ballot(x[t] > 1)
    rest, rounds = x[t], u32(0)
    while warp.any(rest > 0):
        rest -= 1
        rounds += 1
    out[2, t] = rounds
    if warp_id() == 1:
        out[3, t] = warp.ballot(t % 2 == 0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", [33, 64, 77])
def test_votes_of_those_who_are_there(way, n):
    x = np.random.default_rng(n).integers(0, 9, n, np.int32)
    out = np.full((4, n), 77, np.uint32)
    run(votes_of_some, way, 1, 96, out, x)
    expected = np.full((4, n), 77, np.uint32)
    for first in range(0, n, 32):
        w = slice(first, min(first + 32, n))
        expected[0, w], expected[2, w] = bits(x[w] > 0), x[w].max()
    expected[1, :32] = bits(x[:32] > 1)
    expected[3, 32:64] = bits(np.arange(32, min(n, 64)) % 2 == 0)
    np.testing.assert_array_equal(out, expected)


def test_a_loop_that_a_vote_ends_is_split():
    x, u = np.zeros(2, np.int32), np.zeros(2, np.uint32)
    assert votes_of_some.inspect(np.zeros((4, 2), np.uint32), x, kind="simt").startswith("work-item loops, split")
    assert votes.inspect(x, x, u, x, kind="simt").startswith("work-item loops")


@kernel
def planes(out, number) -> None:
    t = thread_idx.x + block_dim.x * (thread_idx.y + block_dim.y * thread_idx.z)
    out[t] = warp.ballot(thread_idx.x == 0)
    number[t] = warp_id()


@pytest.mark.parametrize("way", WAYS)
def test_warps_of_blocks_of_several_axes(way):
    out, number = np.zeros(70, np.uint32), np.full(70, -7)
    run(planes, way, 1, (5, 7, 2), out, number)
    t = np.arange(70)
    expected = np.concatenate([np.full(w.size, bits(w % 5 == 0)) for w in warps_of(t, 70)])
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(number, t // 32)


@kernel
def matches(same, equal, x) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    same[i] = warp.match_any(x[i])
    equal[i] = i32(warp.match_all(x[i]))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [i8, u16, i32, u64, i64, f16, bf16, f32, f64], ids=lambda t: t.__name__)
def test_lanes_with_the_same_number(way, dtype):
    block = 45
    x = np.random.default_rng(3).integers(0, 4, 3 * block).astype(np.float64)
    x[block : block + 32] = 2
    given = Array.zeros(3 * block, dtype)
    if dtype is bf16:
        given.numpy(bits=True).view(np.uint16)[:] = x.astype(np.float32).view(np.uint32) >> 16
    else:
        given.numpy()[:] = x
    same, equal = np.zeros(3 * block, np.uint32), np.full(3 * block, -1, np.int32)
    run(matches, way, 3, block, same, equal, given)
    groups = warps_of(x, block)
    np.testing.assert_array_equal(same, [bits(w == v) for w in groups for v in w])
    np.testing.assert_array_equal(equal, np.concatenate([np.full(w.size, (w == w[0]).all()) for w in groups]))


@pytest.mark.parametrize("way", WAYS)
def test_what_counts_for_a_match_is_bits(way):
    x = np.array([0.0, -0.0, np.nan, np.nan, 0.0], np.float32)
    same, equal = np.zeros(5, np.uint32), np.zeros(5, np.int32)
    run(matches, way, 1, 5, same, equal, x)
    np.testing.assert_array_equal(same, [17, 2, 12, 12, 17])


# -- masks -------------------------------------------------------------------------------------------


@kernel
def halves(out, x) -> None:
    """Each half of a warp goes its own way, in rounds of its own."""
    t, lane = thread_idx.x, lane_id()
    if lane < 16:
        for _ in range(3):
            out[0, t] = warp.shuffle_xor(x[t], 1, mask=0xFFFF)
        out[1, t] = i32(warp.ballot(x[t] > 0, mask=0xFFFF))
    else:
        out[0, t] = warp.shuffle_down(x[t], 1, mask=0xFFFF0000)
        out[1, t] = i32(warp.ballot(x[t] > 0, mask=0xFFFF0000) >> 16)
        out[2, t] = i32(warp.any(x[t] > 2, mask=0xFFFF0000)) + 2 * i32(warp.all(x[t] > 2, mask=0xFFFF0000))
    out[3, t] = i32(warp.match_any(x[t], mask=u32(0xFFFFFFFF)) >> 1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("block", [32, 27, 64])
def test_masks(way, block):
    x = np.random.default_rng(block).integers(-4, 4, block, np.int32)
    out = np.full((4, block), -77, np.int32)
    run(halves, way, 1, block, out, x)
    for first in range(0, block, 32):
        w = x[first : first + 32]
        got = out[:, first : first + 32]
        low, high = w[:16], w[16:]
        np.testing.assert_array_equal(got[0, :16], low[np.arange(16) ^ 1])
        np.testing.assert_array_equal(got[1, :16], bits(low > 0))
        np.testing.assert_array_equal(got[0, 16:], np.append(high[1:], high[-1:]))
        np.testing.assert_array_equal(got[1, 16:], bits(high > 0))
        np.testing.assert_array_equal(got[2, 16:], int((high > 2).any()) + 2 * int((high > 2).all()))
        np.testing.assert_array_equal(got[3], [bits(w == v) >> 1 for v in w])


@kernel
def groups_of_a_ballot(out, x) -> None:
    """Lanes with the same number add it up, by a mask that was made at run time."""
    t = thread_idx.x
    mine = warp.match_any(x[t])
    total, left = i32(0), mine
    while left != 0:
        lane = 0
        while left >> u32(lane) & 1 == 0:
            lane += 1
        total += warp.shuffle(x[t], lane, mask=mine)
        left &= left - 1
    out[t] = total


@pytest.mark.parametrize("way", WAYS)
def test_a_mask_of_each_lanes_own_group(way):
    x = np.random.default_rng(5).integers(1, 5, 45, np.int32)
    out = np.zeros(45, np.int32)
    run(groups_of_a_ballot, way, 1, 45, out, x)
    np.testing.assert_array_equal(out, [w[w == v].sum() for w in warps_of(x, 45) for v in w])


@kernel
def waits(out, x) -> None:
    """A warp that shares memory waits for itself; half of it does, too."""
    tile = shared(i32, 64)
    t, lane = thread_idx.x, lane_id()
    tile[t] = x[t]
    warp.sync()
    v = tile[t - lane + (lane + 5) % 32]
    warp.sync()
    tile[t] = v
    if lane < 16:
        warp.sync(0xFFFF)
        v += tile[t - lane + (lane + 3) % 16]
        warp.sync(0xFFFF)
    else:
        warp.sync(mask=0xFFFF0000)
    out[t] = v


@pytest.mark.parametrize("way", WAYS)
def test_waiting_for_a_warp_orders_memory(way):
    x = np.random.default_rng(5).integers(1, 99, 64, np.int32)
    out = np.zeros(64, np.int32)
    for _ in range(1 if way != "simt:checked" else 8):  # schedules
        run(waits, way, 1, 64, out, x)
        for w, got in zip(warps_of(x, 64), warps_of(out, 64), strict=True):
            v = np.roll(w, -5)
            np.testing.assert_array_equal(got[:16], v[:16] + np.roll(v[:16], -3))
            np.testing.assert_array_equal(got[16:], v[16:])


@kernel
def two_places(out, x) -> None:
    """A `sync` meets any other of its mask."""
    tile = shared(i32, 32)
    lane = lane_id()
    if lane % 2 == 0:
        tile[lane] = x[lane]
        warp.sync()
    else:
        warp.sync()
        out[lane] = tile[lane - 1]


@pytest.mark.parametrize("way", WAYS)
def test_waits_at_two_places_meet(way):
    out = np.zeros(32, np.int32)
    run(two_places, way, 1, 32, out, np.arange(32, dtype=np.int32))
    np.testing.assert_array_equal(out[1::2], np.arange(0, 32, 2))


@kernel
def through_two(out, x) -> None:
    """What a lane has learnt at a flag, the rest of its warp learns by `sync`."""
    tile, flag = shared(i32, 64), shared(i32, 1)
    t = thread_idx.x
    if t == 0:
        flag[0] = i32(0)
    barrier()
    tile[t] = x[t]
    warp.sync()
    if t < 32:
        if t == 0:
            atomic_add(flag.ptr, 1)
    else:
        if t == 32:
            while atomic_add(flag.ptr, 0) == 0:
                pass
        warp.sync()
        out[t - 32] = tile[t - 32]


@pytest.mark.parametrize("way", WAYS)
def test_what_one_lane_has_acquired_all_know(way):
    out = np.zeros(32, np.int32)
    run(through_two, way, 1, 64, out, np.arange(64, dtype=np.int32))
    np.testing.assert_array_equal(out, np.arange(32))


@kernel
def counts(out, total, x) -> None:
    """One addition for the lanes that happen to be together (CUDA: warp-aggregated atomics)."""
    t, lane = thread_idx.x, lane_id()
    if x[t] > 0:
        mask = warp.active_mask()
        leader, below = 0, i32(0)
        while mask >> u32(leader) & 1 == 0:
            leader += 1
        for k in range(32):
            if mask >> u32(k) & 1 != 0 and k < lane:
                below += 1
        first = i32(0)
        if lane == leader:
            count = i32(0)
            for k in range(32):
                count += i32(mask >> u32(k) & 1)
            first = atomic_add(total.ptr, count)
        out[t] = warp.shuffle(first, leader, mask=mask) + below


@pytest.mark.parametrize("way", WAYS)
def test_lanes_that_are_together(way):
    x = np.random.default_rng(1).integers(0, 2, 70, np.int32)
    out, total = np.full(70, -1, np.int32), np.zeros(1, np.int32)
    run(counts, way, 1, 70, out, total, x)
    assert sorted(out[x > 0]) == list(range(x.sum())) and (out[x == 0] == -1).all() and total[0] == x.sum()


# -- mistakes ----------------------------------------------------------------------------------------


@kernel
def not_named(x: Tensor[i32, 1]) -> None:
    if lane_id() < 5:
        x[lane_id()] = i32(warp.any(x[0] == 0, mask=0xF))


@kernel
def different(x: Tensor[i32, 1]) -> None:
    x[lane_id()] = warp.shuffle(x[lane_id()], 0, mask=u32(3) if lane_id() == 0 else u32(127))


@kernel
def never_comes(x: Tensor[i32, 1]) -> None:
    if lane_id() < 2:
        warp.sync(7)
    barrier()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("k", "text"),
    [
        (not_named, "thread 4 .*line {0}, whose mask does not name it"),
        (different, "threads 0 and 1 of a warp wait at the warp operation of line {0} with different masks"),
        (never_comes, "thread 0 waits at the warp operation of line {1}, but thread 2 .*line {2}"),
    ],
)
def test_wrong_masks(way, k, text):
    line = k.__wrapped__.__code__.co_firstlineno
    lines = (line + (3 if k is not_named else 2), line + 3, line + 4)
    if way == "simt:checked":
        with pytest.raises(Deadlock, match="K008"), checked(seed=1):
            k[1, 7](np.zeros(7, np.int32))
        return
    with pytest.raises(Deadlock, match=text.format(*lines)):
        run(k, way, 1, 7, np.zeros(7, np.int32))
