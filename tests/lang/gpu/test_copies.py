"""Asynchronous copies, whose end is apart from their beginning, and mbarriers."""

from __future__ import annotations

import numpy as np
import pytest
from gpu_oracle import BOTH, both, line_of, runs

from sapwood import Tensor, f32, f64, i32, i64, kernel, u8, u64, unroll
from sapwood.gpu import (
    Deadlock,
    RaceError,
    UnfinishedCopyError,
    async_copy,
    barrier,
    block_dim,
    block_idx,
    block_rank,
    bulk_commit_group,
    bulk_copy,
    bulk_store,
    bulk_wait_group,
    checked,
    cluster_sync,
    commit_group,
    dynamic_shared,
    fence_async,
    map_shared,
    mbarrier,
    shared,
    thread_idx,
    wait_group,
    warp,
)

# -- copies of a thread ------------------------------------------------------------------------------


@kernel
def sum_of_rows(out: Tensor[f32, 1], x: Tensor[f32, 2]) -> None:
    """Three rows are on their way while one is added."""
    tile = shared(f32, (4, 64))
    t, rows = thread_idx.x, x.shape[0]
    for r in range(3):
        if r < rows:
            async_copy(tile.ptr + (r * 64 + t), x.ptr + (r * 64 + t), 1)
        commit_group()
    total = f32(0)
    for r in range(rows):
        if r + 3 < rows:
            async_copy(tile.ptr + ((r + 3) % 4 * 64 + t), x.ptr + ((r + 3) * 64 + t), 1)
        commit_group()
        wait_group(3)
        barrier()
        total += tile[r % 4, 63 - t]
        barrier()
    out[t] = total


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 9, 50])
def test_a_pipeline_of_copies(rows):
    x = np.random.default_rng(rows).integers(-9, 9, (rows, 64)).astype(np.float32)
    out, _ = both(sum_of_rows.__getitem__, (1, 64), np.full(64, np.nan, np.float32), x)
    assert out.tolist() == x[:, ::-1].sum(axis=0).tolist()


@kernel
def read_too_early(out: Tensor[i32, 2], x: Tensor[i32, 1]) -> None:
    tile = shared(i32, 32)
    t = thread_idx.x
    tile[t] = i32(-1)
    async_copy(tile.ptr + t, x.ptr + t, 1)
    out[0, t] = tile[t]
    commit_group()
    out[1, t] = tile[t]
    wait_group(1)
    out[2, t] = tile[t]
    wait_group(0)
    out[3, t] = tile[t]


def test_what_a_copy_writes_is_not_there_before_the_wait():
    x = np.arange(32, dtype=np.int32)
    out, _ = both(read_too_early.__getitem__, (1, 32), np.zeros((4, 32), np.int32), x)
    assert (out[:3] == -1).all() and out[3].tolist() == x.tolist()


@kernel
def copies_of_all_sizes(out: Tensor[u8, 2], x: Tensor[u8, 1], n: int) -> None:
    tile = shared(u8, (3, 512))
    t = thread_idx.x
    for k in unroll(range(3)):
        size = 4 << k
        async_copy(tile.ptr + (512 * k + size * t), x.ptr + size * t, size, n - size * t)
    commit_group()
    wait_group()
    barrier()
    for k in unroll(range(3)):
        for i in range(t, 32 * (4 << k), block_dim.x):
            out[k, i] = tile[k, i]


@pytest.mark.parametrize("n", [0, 1, 7, 100, 511, 512])
def test_what_lies_beyond_the_end_is_zero(n):
    x = np.random.default_rng(n).integers(1, 255, 512).astype(np.uint8)
    out, *_ = both(copies_of_all_sizes.__getitem__, (1, 32), np.full((3, 512), 255, np.uint8), x, n)
    want = np.where(np.arange(512) < n, x, 0)
    for k in range(3):
        assert out[k, : 32 * (4 << k)].tolist() == want[: 32 * (4 << k)].tolist()


@kernel
def many_copies(out: Tensor[f64, 1], x: Tensor[f64, 1]) -> None:
    tile = dynamic_shared(f64)
    for i in range(thread_idx.x, x.size, block_dim.x):
        async_copy(tile.ptr + i, x.ptr + i, 1)
        if i % 3 == 0:
            commit_group()
    commit_group()
    wait_group(0)
    barrier()
    for i in range(thread_idx.x, x.size, block_dim.x):
        out[i] = tile[x.size - 1 - i]


def test_more_copies_than_the_queue_holds():
    x = np.random.default_rng(1).standard_normal(999)
    out, _ = both(many_copies.launch, {"grid": 1, "block": 7, "shared": 8 * 999}, np.zeros(999), x)
    assert out.tolist() == x[::-1].tolist()


@kernel
def misaligned(x: Tensor[f32, 1], first: int) -> None:
    tile = shared(f32, 8)
    async_copy(tile.ptr, x.ptr + first, 4)


@BOTH
def test_addresses_of_copies_are_aligned(how):
    x = np.zeros(16, np.float32)
    x = x[(-x.ctypes.data // 4) % 4 :][:12]
    runs(misaligned, how)[1, 1](x, 4)
    for first in (1, 2, 3):
        with pytest.raises(ValueError, match="async_copy: an address is not a multiple of 16"):
            runs(misaligned, how)[1, 1](x, first)


# -- mbarriers ---------------------------------------------------------------------------------------


@kernel
def two_phases(out: Tensor[i32, 1], rounds: int) -> None:
    """All threads arrive and wait, twice a round; the last one's further arrivals count at once."""
    bars = shared(u64, 3)
    box = shared(i32, 64)
    t, n = thread_idx.x, block_dim.x
    bar = bars.ptr + 1
    if t == 0:
        mbarrier.init(bar, n + 2)
    barrier()
    mbarrier.wait(bar, 1)  # that of a phase before the first
    x = i32(t)
    for r in range(rounds):
        box[t] = x
        mbarrier.arrive(bar)
        if t == n - 1:
            mbarrier.arrive(bar, 2)
        mbarrier.wait(bar, 0)
        x = box[(t + 1) % n]
        mbarrier.arrive(bar)
        if t == r % n:
            mbarrier.arrive(bar)
            mbarrier.arrive(bar)
        while not mbarrier.test(bar, 1):
            pass
    out[t] = x


@pytest.mark.parametrize("n", [1, 31, 64])
def test_phases_of_an_mbarrier(n):
    out, _ = both(two_phases.__getitem__, (1, n), np.full(n, -1, np.int32), 5)
    assert out.tolist() == [(t + 5) % n for t in range(n)]


@kernel
def copies_that_arrive(out: Tensor[f32, 1], x: Tensor[f32, 2]) -> None:
    """The first half of a block copies, the second adds: two buffers, each with a full and an empty mbarrier."""
    tile = shared(f32, (2, 32))
    bars = shared(u64, 4)
    full, empty = bars.ptr, bars.ptr + 2
    t = thread_idx.x % 32
    if thread_idx.x == 0:
        for k in range(4):
            mbarrier.init(bars.ptr + k, 32)
    barrier()
    rows = x.shape[0]
    if thread_idx.x < 32:
        for r in range(rows):
            mbarrier.wait(empty + r % 2, (r // 2 + 1) % 2)
            async_copy(tile.ptr + (r % 2 * 32 + t), x.ptr + (r * 32 + t), 1)
            mbarrier.arrive_after_copies(full + r % 2)
    else:
        total = f32(0)
        for r in range(rows):
            mbarrier.wait(full + r % 2, r // 2 % 2)
            total += tile[r % 2, 31 - t]
            mbarrier.arrive(empty + r % 2)
        out[t] = total


@pytest.mark.parametrize("rows", [1, 2, 3, 11])
def test_arrivals_after_copies(rows):
    x = np.random.default_rng(rows).integers(-9, 9, (rows, 32)).astype(np.float32)
    out, _ = both(copies_that_arrive.__getitem__, (1, 64), np.full(32, np.nan, np.float32), x)
    assert out.tolist() == x[:, ::-1].sum(axis=0).tolist()


@kernel
def one_lane_waits(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    """Lane 0 of the first warp waits for the second, the others for lane 0 at a shuffle."""
    bar, box = shared(u64, 1), shared(i32, 1)
    t = thread_idx.x
    if t == 0:
        mbarrier.init(bar.ptr, 32)
    barrier()
    value = i32(0)
    if t >= 32:
        if t == 32:
            box[0] = x[0]
        mbarrier.arrive(bar.ptr)
    elif t == 0:
        mbarrier.wait(bar.ptr, 0)
        value = box[0]
    out[t] = warp.shuffle(value, 0)


def test_a_lane_waits_for_another_warp_while_its_own_waits_for_it():
    out, _ = both(one_lane_waits.__getitem__, (1, 64), np.full(64, -1, np.int32), np.array([7], np.int32))
    assert out.tolist() == [7] * 32 + [0] * 32


@kernel
def bulk_pipeline(out: Tensor[f32, 2], x: Tensor[f32, 2]) -> None:
    """Rows come and go in bulk: one thread copies, all double them."""
    tile = shared(f32, (2, 64))
    bars = shared(u64, 2)
    t, b = thread_idx.x, block_idx.x
    if t == 0:
        mbarrier.init(bars.ptr, 1)
        mbarrier.init(bars.ptr + 1, 1)
        fence_async()
    barrier()
    if t == 0:
        for k in range(2):
            mbarrier.expect_tx(bars.ptr + k, 128)
            mbarrier.arrive_expect_tx(bars.ptr + k, 128)
            bulk_copy(tile.ptr + 64 * k, x.ptr + ((2 * b + k) * 64), 64, bars.ptr + k)
    for k in range(2):
        mbarrier.wait(bars.ptr + k, 0)
        tile[k, t] *= 2
        fence_async()
        barrier()
        if t == 0:
            bulk_store(out.ptr + ((2 * b + k) * 64), tile.ptr + 64 * k, 64)
            bulk_commit_group()
    if t == 0:
        bulk_wait_group(0)


def test_bulk_copies():
    x = np.random.default_rng(4).standard_normal((6, 64)).astype(np.float32)
    out, _ = both(bulk_pipeline.__getitem__, (3, 64), np.full((6, 64), np.nan, np.float32), x)
    assert out.tolist() == (2 * x).tolist()


@kernel
def bulk_sizes(out: Tensor[f32, 1], x: Tensor[f32, 1], first: int, n: int) -> None:
    tile = shared(f32, 32)
    bar = shared(u64, 1)
    mbarrier.init(bar.ptr, 1)
    mbarrier.arrive_expect_tx(bar.ptr, 4 * n)
    bulk_copy(tile.ptr, x.ptr + first, n, bar.ptr)
    mbarrier.wait(bar.ptr, 0)
    for i in range(n):
        out[i] = tile[i]


@BOTH
def test_sizes_of_bulk_copies(how):
    x = np.arange(40, dtype=np.float32)
    x = x[(-x.ctypes.data // 4) % 4 :]
    out = np.full(32, np.nan, np.float32)
    runs(bulk_sizes, how)[1, 1](out, x, 4, 12)
    assert out[:12].tolist() == x[4:16].tolist()
    for first, n, text in [(2, 8, "an address is not"), (0, 7, "28 bytes are not"), (0, -4, "-16 bytes are not")]:
        with pytest.raises(ValueError, match=f"bulk_copy: {text} a multiple of 16"):
            runs(bulk_sizes, how)[1, 1](out, x, first, n)


@kernel
def across_the_cluster(out: Tensor[i64, 1]) -> None:
    """Each block writes into the next one, and arrives there."""
    box = shared(i64, 32)
    bar = shared(u64, 1)
    t = thread_idx.x
    if t == 0:
        mbarrier.init(bar.ptr, 32)
    cluster_sync()
    there = 1 - block_rank()
    map_shared(box, there)[t] = block_idx.x * 100 + t
    mbarrier.arrive(map_shared(bar, there).ptr)
    mbarrier.wait(bar.ptr, 0)
    out[block_idx.x * 32 + t] = box[31 - t]
    cluster_sync()


def test_arrivals_in_another_block():
    (out,) = both(across_the_cluster.launch, {"grid": 4, "block": 32, "cluster": 2}, np.zeros(128, np.int64))
    for b in range(4):
        assert out[32 * b :][:32].tolist() == [(b ^ 1) * 100 + 31 - t for t in range(32)]


@kernel
def bytes_are_missing(x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 32)
    bar = shared(u64, 1)
    if thread_idx.x == 0:
        mbarrier.init(bar.ptr, 1)
        mbarrier.arrive_expect_tx(bar.ptr, 128)
        bulk_copy(tile.ptr, x.ptr, 16, bar.ptr)
    barrier()
    mbarrier.wait(bar.ptr, 0)


@BOTH
def test_an_mbarrier_that_waits_for_ever(how):
    x = np.zeros(40, np.float32)
    x = x[(-x.ctypes.data // 4) % 4 :]
    line = line_of(bytes_are_missing, "mbarrier.wait")
    with pytest.raises(Deadlock, match=f"thread 0 of block 0 waits at line {line}, as do all threads that are left"):
        runs(bytes_are_missing, how)[2, 4](x)


@pytest.mark.parametrize("seed", [1, 2])
def test_checked_launches_of_correct_kernels(seed):
    x = np.random.default_rng(seed).integers(-9, 9, (5, 64)).astype(np.float32)
    out = np.full(64, np.nan, np.float32)
    with checked(seed=seed):
        sum_of_rows[1, 64](out, x)
        assert out.tolist() == x[:, ::-1].sum(axis=0).tolist()
        two_phases[1, 31](np.zeros(31, np.int32), 3)
        copies_that_arrive[1, 64](out, np.ascontiguousarray(x[:, :32]))
        across_the_cluster.launch(grid=4, block=32, cluster=2)(np.zeros(128, np.int64))
    assert out[:32].tolist() == x[:, 31::-1].sum(axis=0).tolist()


@kernel
def no_barrier_after_the_wait(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    tile = shared(i32, 32)
    t = thread_idx.x
    async_copy(tile.ptr + t, x.ptr + t, 1)
    commit_group()
    wait_group(0)
    out[t] = tile[31 - t]


def test_a_checked_launch_finds_what_other_threads_copy():
    with checked(seed=1), pytest.raises(RaceError, match="race on"):
        no_barrier_after_the_wait[1, 32](np.zeros(32, np.int32), np.arange(32, dtype=np.int32))
    with checked(seed=1), pytest.raises(UnfinishedCopyError):
        read_too_early[1, 32](np.zeros((4, 32), np.int32), np.arange(32, dtype=np.int32))


@kernel
def wait_for_one_too_few(out: Tensor[i32, 1], x: Tensor[i32, 2]) -> None:
    """The last group of two may be on its way when it is read."""
    tile = shared(i32, (2, 32))
    t = thread_idx.x
    tile[0, t], tile[1, t] = i32(0), i32(0)
    barrier()
    total = i32(0)
    for r in range(2):
        async_copy(tile.ptr + (32 * r + t), x.ptr + (32 * r + t), 1)
        commit_group()
    for r in range(2):
        wait_group(1)
        barrier()
        total += tile[r, 31 - t]
    out[t] = total
    wait_group(0)


@kernel
def arrives_too_early(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    """An arrival that does not wait for the copies before it."""
    tile, bar = shared(i32, 32), shared(u64, 1)
    t = thread_idx.x
    if t == 0:
        mbarrier.init(bar.ptr, 32)
    barrier()
    async_copy(tile.ptr + t, x.ptr + t, 1)
    mbarrier.arrive(bar.ptr)
    mbarrier.wait(bar.ptr, 0)
    out[t] = tile[31 - t]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_checked_launch_finds_copies_that_nobody_has_waited_for(seed):
    x = np.ones((2, 32), np.int32)
    with checked(seed=seed), pytest.raises(UnfinishedCopyError, match=r"reads tile\["):
        wait_for_one_too_few[1, 32](np.zeros(32, np.int32), x)
    with checked(seed=seed), pytest.raises(UnfinishedCopyError, match=r"reads tile\["):
        arrives_too_early[1, 32](np.zeros(32, np.int32), x[0])


@kernel
def writes(out: Tensor[f32, 1]) -> None:
    tile = shared(f32, 4)
    bulk_store(out.ptr, tile.ptr, 4)


def test_a_bulk_store_writes_its_argument():
    x = np.zeros(4, np.float32)
    x.setflags(write=False)
    with pytest.raises(ValueError, match="A002"):
        writes[1, 1](x)
