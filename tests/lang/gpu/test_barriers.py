"""Barriers beyond `barrier()`: those that count, named ones, those of clusters and of the grid."""

from __future__ import annotations

import numpy as np
import pytest
from gpu_oracle import BOTH, both, line_of, runs

from sapwood import Tensor, config, f32, i32, kernel
from sapwood.gpu import (
    Deadlock,
    barrier,
    barrier_all,
    barrier_any,
    barrier_count,
    block_dim,
    block_idx,
    block_rank,
    cluster_arrive,
    cluster_dim,
    cluster_idx,
    cluster_sync,
    cluster_wait,
    dynamic_shared,
    grid_dim,
    grid_sync,
    map_shared,
    named_barrier,
    shared,
    thread_idx,
)
from sapwood.systems import atomic_add


@kernel
def votes(out: Tensor[i32, 2], x: Tensor[i32, 1], least: int) -> None:
    t = thread_idx.x
    if x[t] < 0:
        return
    for r in range(3):
        out[t, 0] = i32(barrier_count(x[t] >= least + r))
        out[t, 1] = i32(barrier_all(x[t] >= least))
        out[t, 2] = i32(barrier_any(x[t] >= least + 40))
        if t % 2 == 0:
            barrier()
        else:
            out[t, 3] = i32(barrier_count(True))


@pytest.mark.parametrize("n", [1, 33, 70])
def test_barriers_that_count(n):
    x = (np.arange(n) * 37 % 50 - 5).astype(np.int32)
    out, _, _ = both(votes.__getitem__, (1, n), np.full((n, 4), -1, np.int32), x, 0)
    here = x[x >= 0]
    for t in range(n):
        if x[t] < 0:
            assert (out[t] == -1).all()
        else:
            assert out[t, :3].tolist() == [(here >= 2).sum(), 1, (here >= 40).any()]
            assert out[t, 3] == (-1 if t % 2 == 0 else (x[1::2] >= 0).sum())


# -- named barriers ----------------------------------------------------------------------------------


@kernel
def producers_and_consumers(out: Tensor[f32, 1], x: Tensor[f32, 1], rounds: int) -> None:
    """The first warp loads, the second computes; two buffers, two barriers for each: full and empty."""
    tile = shared(f32, (2, 32))
    t = thread_idx.x % 32
    if thread_idx.x < 32:
        for r in range(rounds):
            named_barrier(3 + r % 2, 64).sync()
            tile[r % 2, t] = x[r * 32 + t]
            named_barrier(1 + r % 2, 64).arrive()
    else:
        for r in range(2):
            named_barrier(3 + r, 64).arrive()
        total = f32(0)
        for r in range(rounds):
            named_barrier(1 + r % 2, 64).sync()
            total += tile[r % 2, 31 - t]
            named_barrier(3 + r % 2, 64).arrive()
        out[t] = total


@pytest.mark.parametrize("rounds", [0, 1, 2, 7])
def test_a_pipeline_of_two_warps(rounds):
    x = np.random.default_rng(rounds).integers(-9, 9, 32 * rounds).astype(np.float32)
    out, *_ = both(producers_and_consumers.__getitem__, (1, 64), np.full(32, np.nan, np.float32), x, rounds)
    assert out.tolist() == x.reshape(rounds, 32)[:, ::-1].sum(axis=0).tolist()


@kernel
def halves(out: Tensor[i32, 1]) -> None:
    """Each half of a block meets at a barrier of its own, in loops of different lengths."""
    box = shared(i32, 128)
    t = thread_idx.x
    half = t // 64
    mine = named_barrier(half + 1, 64)
    box[t] = i32(t)
    for _ in range(1 + 2 * half):
        mine.sync()
        x = box[half * 64 + (t + 1) % 64]
        mine.sync()
        box[t] = x
    out[t] = box[t]


def test_halves_of_a_block():
    (out,) = both(halves.__getitem__, (2, 128), np.full(128, -1, np.int32))
    first = (np.arange(64) + 1) % 64
    assert out.tolist() == [*first, *(64 + (np.arange(64) + 3) % 64)]


@kernel
def wrong_barrier(number: int, count: int) -> None:
    named_barrier(number, count).sync()


@BOTH
def test_named_barriers_that_cannot_be(how):
    for number in (0, 16, -1):
        with pytest.raises(ValueError, match="named barriers are 1 to 15"):
            runs(wrong_barrier, how)[1, 32](number, 32)
    for count in (0, 31, 33):
        with pytest.raises(ValueError, match="counts whole warps"):
            runs(wrong_barrier, how)[1, 32](15, count)
    runs(wrong_barrier, how)[2, 96](15, 32)


@kernel
def one_warp_is_missing(out: Tensor[i32, 1]) -> None:
    if thread_idx.x < 64:
        named_barrier(1, 96).sync()
    else:
        barrier()


@BOTH
def test_a_deadlock_names_two_threads_and_lines(how):
    k = one_warp_is_missing
    text = rf"deadlock: thread 0 of block 0 waits at line {line_of(k, 'sync')}, thread 64 of block 0 at line "
    with pytest.raises(Deadlock, match=rf"{text}{line_of(k, 'barrier()')}, and none is left"):
        runs(k, how)[3, 96](np.zeros(1, np.int32))
    with pytest.raises(Deadlock, match=r"thread 0 of block 0 waits at line \d+, as do all threads that are left"):
        runs(wrong_barrier, how)[1, 32](1, 64)


# -- clusters ----------------------------------------------------------------------------------------


@kernel
def cluster_places(out: Tensor[i32, 2]) -> None:
    b = block_idx.x + grid_dim.x * (block_idx.y + grid_dim.y * block_idx.z)
    out[b, 0], out[b, 1], out[b, 2] = i32(cluster_idx.x), i32(cluster_idx.y), i32(cluster_idx.z)
    out[b, 3], out[b, 4], out[b, 5] = i32(cluster_dim.x), i32(cluster_dim.y), i32(cluster_dim.z)
    out[b, 6] = i32(block_rank())


@pytest.mark.parametrize("cluster", [1, 2, (2, 3), (1, 3, 2), (4, 1, 2)])
def test_places_in_clusters(cluster):
    grid = (4, 3, 2)
    options = {"grid": grid, "block": 1, "cluster": cluster}
    (out,) = both(cluster_places.launch, options, np.full((24, 7), -1, np.int32))
    dim = (*(cluster if isinstance(cluster, tuple) else (cluster,)), 1, 1)[:3]
    for b in range(24):
        at = (b % 4, b // 4 % 3, b // 12)
        x, y, z = (a % d for a, d in zip(at, dim, strict=True))
        rank = x + dim[0] * (y + dim[1] * z)
        assert out[b].tolist() == [*(a // d for a, d in zip(at, dim, strict=True)), *dim, rank]


@kernel
def sum_of_cluster(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    """Each block adds into every block of its cluster, through their shared memory."""
    sums = shared(i32, 3)
    mine = dynamic_shared(i32)
    t, n = thread_idx.x, block_dim.x
    if t < 3:
        sums[t] = 0
    mine[t] = x[block_idx.x * n + t]
    cluster_sync()
    for r in range(cluster_dim.x):
        atomic_add(map_shared(sums, r).ptr + 1, mine[t])
    left = map_shared(mine, (block_rank() + 1) % cluster_dim.x)[t]
    cluster_sync()
    out[block_idx.x * n + t] = sums[1] * 1000 + left


@pytest.mark.parametrize(("cluster", "n"), [(1, 5), (2, 32), (4, 33), (8, 7)])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_blocks_of_a_cluster_read_and_write_each_others_memory(cluster, n, threads):
    x = np.random.default_rng(n).integers(0, 9, 16 * n).astype(np.int32)
    options = {"grid": 16, "block": n, "cluster": cluster, "shared": 4 * n}
    with config.override(SAPWOOD_NUM_THREADS=threads):
        out, _ = both(sum_of_cluster.launch, options, np.full(16 * n, -1, np.int32), x)
    rows = x.reshape(-1, cluster, n)
    want = rows.sum(axis=(1, 2))[:, None, None] * 1000 + np.roll(rows, -1, axis=1)
    assert out.tolist() == want.ravel().tolist()


@kernel
def split_barrier(out: Tensor[i32, 1]) -> None:
    """Work between arriving and waiting; some threads return before."""
    box = shared(i32, 1)
    t = thread_idx.x
    if t == 0:
        box[0] = i32(block_idx.x)
    if t > 40:
        return
    total = i32(0)
    for r in range(5):
        cluster_arrive()
        total += 1
        cluster_wait()
        total += map_shared(box, 1 - block_rank())[0]
    cluster_sync()
    out[block_idx.x * block_dim.x + t] = total


def test_arriving_and_waiting_apart():
    options = {"grid": 4, "block": 50, "cluster": 2}
    (out,) = both(split_barrier.launch, options, np.full(200, -1, np.int32))
    rows = out.reshape(4, 50)
    assert (rows[:, 41:] == -1).all()
    for b in range(4):
        assert (rows[b, :41] == 5 + 5 * (b ^ 1)).all()


@kernel
def beyond_the_cluster(rank: int) -> None:
    map_shared(shared(i32, 1), rank)[0] = 1


@BOTH
def test_ranks_are_checked(how):
    for rank in (-1, 2):
        with pytest.raises(IndexError, match=f"rank {rank} is out of bounds for a cluster of 2 blocks"):
            runs(beyond_the_cluster, how).launch(grid=2, block=1, cluster=2)(rank)
    runs(beyond_the_cluster, how).launch(grid=2, block=1, cluster=2)(1)


@kernel
def waits_before_it_came() -> None:
    if block_rank() == 0:
        cluster_sync()
    else:
        cluster_wait()


@BOTH
def test_a_deadlock_between_blocks(how):
    k = waits_before_it_came
    lines = line_of(k, "cluster_sync"), line_of(k, "cluster_wait")
    text = f"thread 0 of block 0 waits at line {lines[0]}, thread 0 of block 1 at line {lines[1]}"
    with pytest.raises(Deadlock, match=text):
        runs(k, how).launch(grid=2, block=4, cluster=2)()


# -- the grid ----------------------------------------------------------------------------------------


@kernel
def relax(x: Tensor[f32, 2], rounds: int) -> None:
    """Jacobi's steps over two rows, all blocks in step."""
    i, n = block_idx.x * block_dim.x + thread_idx.x, x.shape[1]
    for r in range(rounds):
        now, then = r % 2, 1 - r % 2
        if 0 < i < n - 1:
            x[then, i] = (x[now, i - 1] + x[now, i + 1]) / 2
        grid_sync()


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_grid_in_step(threads):
    x = np.zeros((2, 70), np.float32)
    x[:, -1] = 64
    with config.override(SAPWOOD_NUM_THREADS=threads):
        out, _ = both(relax.launch, {"grid": 7, "block": 10, "cooperative": True}, x, 9)
    want = x[0].copy()
    for _ in range(9):
        want[1:-1] = (want[:-2] + want[2:]) / 2
    assert out[1].tolist() == want.tolist()


@BOTH
def test_a_grid_that_does_not_run_together(how):
    with pytest.raises(RuntimeError, match="needs a launch with cooperative=True"):
        runs(relax, how)[7, 10](np.zeros((2, 70), np.float32), 3)


@kernel
def half_a_grid() -> None:
    if block_idx.x % 2 == 0:
        grid_sync()
    else:
        barrier()
        cluster_wait()


@BOTH
def test_a_grid_of_which_a_part_waits_elsewhere(how):
    with pytest.raises(Deadlock, match=r"thread 0 of block 0 waits at line \d+, thread 0 of block 1 at line"):
        runs(half_a_grid, how).launch(grid=4, block=3, cooperative=True)()
