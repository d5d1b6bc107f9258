"""What `k.launch(...)` says beyond grid and block: dynamic shared memory, cooperative launches, and loops that wait."""

from __future__ import annotations

import numpy as np
import pytest
from gpu_oracle import BOTH, both, runs

from sapwood import Tensor, config, f32, f64, i32, i64, kernel
from sapwood.gpu import barrier, block_dim, block_idx, dynamic_shared, grid_dim, shared, thread_idx
from sapwood.systems import address, atomic_add, atomic_cas, atomic_load, atomic_store

THREADS = pytest.mark.parametrize("threads", ["1", "2"])


@kernel
def reverse_blocks(x: Tensor[f32, 1], sizes: Tensor[i64, 1]) -> None:
    """Reverse the elements of each block, through memory whose size is that of the launch."""
    tile = dynamic_shared(f32)
    t, n = thread_idx.x, block_dim.x
    i = block_idx.x * n + t
    tile[t] = x[i]
    barrier()
    x[i] = tile[n - 1 - t]
    sizes[block_idx.x] = tile.size


@pytest.mark.parametrize("n", [1, 31, 33, 100])
def test_dynamic_shared_memory_has_the_size_of_the_launch(n):
    x = np.arange(3 * n, dtype=np.float32)
    a, sizes = both(reverse_blocks.launch, {"grid": 3, "block": n, "shared": 4 * n}, x, np.zeros(3, np.int64))
    assert a.tolist() == x.reshape(3, n)[:, ::-1].ravel().tolist()
    assert sizes.tolist() == [n] * 3


@kernel
def two_views(out: Tensor[f64, 1], n: int) -> None:
    ints = dynamic_shared(i32)
    floats = dynamic_shared(f64, 8 * n)
    fixed = shared(i32, 5)
    t = thread_idx.x
    fixed[t % 5] = i32(-1)
    ints[t] = i32(t)
    floats[t] = f64(t) / 2
    barrier()
    out[t] = f64(ints[n - 1 - t]) + floats[t] + f64(fixed[0]) + f64(floats.size)


def test_views_of_dynamic_shared_memory():
    n = 13
    out, _ = both(two_views.launch, {"grid": 1, "block": n, "shared": 16 * n + 7}, np.full(n, np.nan), n)
    t = np.arange(n)
    assert out.tolist() == ((n - 1 - t) + t / 2 - 1 + n).tolist()


@kernel
def view_at(out: Tensor[i64, 1], offset: int) -> None:
    out[0] = dynamic_shared(f64, offset).size


@pytest.mark.parametrize("run", [view_at, view_at.reference])
def test_offsets_of_dynamic_shared_memory(run):
    out = np.full(1, -1, np.int64)
    for offset, size in [(0, 4), (8, 3), (32, 0), (4000, 0)]:
        run.launch(grid=1, block=1, shared=37)(out, offset)
        assert out[0] == size
    for offset in (-8, 3):
        with pytest.raises(ValueError, match="offset of dynamic_shared"):
            run.launch(grid=1, block=1, shared=37)(out, offset)
    run[1, 1](out, 0)
    assert out[0] == 0


@kernel
def shaped(out: Tensor[i32, 2], offset: int) -> None:
    tile = dynamic_shared(i32, offset, (3, 5))
    t = thread_idx.x
    tile[t // 5, t % 5] = i32(t + address(tile.ptr) % 1024 - offset)
    barrier()
    out[t // 5, t % 5] = tile[2 - t // 5, 4 - t % 5]


@BOTH
def test_dynamic_shared_memory_of_a_shape(how):
    out = np.full((3, 5), -1, np.int32)
    for offset in (0, 64):
        out[:] = -1
        runs(shaped, how).launch(grid=1, block=15, shared=offset + 60)(out, offset)
        assert out.reshape(-1).tolist() == list(range(15))[::-1]
    with pytest.raises(ValueError, match="room for 14 elements from there, not for 15"):
        runs(shaped, how).launch(grid=1, block=15, shared=59)(out, 0)


def test_an_index_beyond_dynamic_shared_memory():
    for k in (reverse_blocks, reverse_blocks.reference):
        with pytest.raises(IndexError, match="index 31 is out of bounds for axis 0 with size 31"):
            k.launch(grid=1, block=32, shared=4 * 31 + 3)(np.zeros(32, np.float32), np.zeros(1, np.int64))


# -- loops that wait ---------------------------------------------------------------------------------


@kernel
def running_sum(out: Tensor[i64, 1], x: Tensor[i64, 1], sums: Tensor[i64, 1], ready: Tensor[i32, 1]) -> None:
    """A scan in one pass: each block waits for the sum of the blocks before it (decoupled look-back)."""
    tile = shared(i64, 64)
    before = shared(i64, 1)
    t, b = thread_idx.x, block_idx.x
    i = b * block_dim.x + t
    tile[t] = x[i] if i < x.size else i64(0)
    barrier()
    if t == 0:
        for k in range(1, block_dim.x):
            tile[k] += tile[k - 1]
        before[0] = 0
        if b > 0:
            while atomic_load(ready.ptr + (b - 1)) == 0:
                pass
            before[0] = sums[b - 1]
        sums[b] = before[0] + tile[block_dim.x - 1]
        atomic_store(ready.ptr + b, 1)
    barrier()
    if i < x.size:
        out[i] = before[0] + tile[t]


@THREADS
@pytest.mark.parametrize("size", [1, 50, 1000])
def test_blocks_wait_for_earlier_blocks(threads, size):
    x = np.random.default_rng(size).integers(-99, 99, size)
    blocks = -(-size // 48)
    with config.override(SAPWOOD_NUM_THREADS=threads):
        args = (np.zeros_like(x), x, np.zeros(blocks, np.int64), np.zeros(blocks, np.int32))
        out, *_ = both(running_sum.__getitem__, (blocks, 48), *args)
    assert out.tolist() == np.cumsum(x).tolist()


@kernel
def pass_a_token(out: Tensor[i32, 1], turn: Tensor[i32, 1]) -> None:
    """Threads of all warps in descending order: each waits for the one behind it."""
    t, n = thread_idx.x, block_dim.x
    while atomic_load(turn.ptr) != n - 1 - t:
        pass
    out[t] = i32(n - 1 - t)
    atomic_add(turn.ptr, 1)


def test_threads_wait_for_later_threads():
    out, turn = both(pass_a_token.__getitem__, (1, 70), np.full(70, -1, np.int32), np.zeros(1, np.int32))
    assert out.tolist() == list(range(69, -1, -1)) and turn[0] == 70


@kernel
def under_a_lock(total: Tensor[i64, 1], lock: Tensor[i32, 1]) -> None:
    for _ in range(3):
        while atomic_cas(lock.ptr, 0, 1) != 0:
            pass
        total[0] += thread_idx.x
        atomic_store(lock.ptr, 0)


@THREADS
def test_a_lock(threads):
    with config.override(SAPWOOD_NUM_THREADS=threads):
        total, _ = both(under_a_lock.__getitem__, (5, 40), np.zeros(1, np.int64), np.zeros(1, np.int32))
    assert total[0] == 5 * 3 * sum(range(40))


@kernel
def all_meet(arrived: Tensor[i32, 1], out: Tensor[i32, 1]) -> None:
    """A barrier of the grid made of an atomic: blocks wait for later ones."""
    barrier()
    if thread_idx.x == 0:
        atomic_add(arrived.ptr, 1)
        while atomic_load(arrived.ptr) < grid_dim.x:
            pass
    barrier()
    out[block_idx.x * block_dim.x + thread_idx.x] = arrived[0]


@THREADS
def test_blocks_of_a_cooperative_launch_wait_for_each_other(threads):
    with config.override(SAPWOOD_NUM_THREADS=threads):
        options = {"grid": 7, "block": 33, "cooperative": True}
        _, out = both(all_meet.launch, options, np.zeros(1, np.int32), np.zeros(7 * 33, np.int32))
    assert out.tolist() == [7] * (7 * 33)


@kernel
def wait_for_what_fails(flag: Tensor[i32, 1]) -> None:
    if block_idx.x == 0:
        raise ValueError("first")
    while atomic_load(flag.ptr) == 0:
        pass


@THREADS
def test_blocks_that_wait_for_one_that_failed_are_given_up(threads):
    with config.override(SAPWOOD_NUM_THREADS=threads), pytest.raises(ValueError, match="first"):
        wait_for_what_fails[9, 4](np.zeros(1, np.int32))


# -- mistakes ----------------------------------------------------------------------------------------


def test_options_are_those_of_the_subscript():
    x = np.arange(8, dtype=np.float32)
    reverse_blocks.launch(grid=(2,), block=np.int32(4), shared=np.int64(16), stream=None)(x, np.zeros(2, np.int64))
    assert x.tolist() == [3, 2, 1, 0, 7, 6, 5, 4]
    assert "launch of reverse_blocks" in repr(reverse_blocks.launch(grid=1, block=2))
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        reverse_blocks.launch(grid=1, block=2, blocks=3)


def test_static_and_dynamic_memory_together_are_limited():
    arguments = np.zeros(13), 13
    for k in (two_views, two_views.reference):
        k.launch(grid=1, block=13, shared=227 * 1024 - 20)(*arguments)
        with pytest.raises(ValueError, match=r"L011.*would have 232449 bytes of shared memory, 20 that it declares"):
            k.launch(grid=1, block=13, shared=227 * 1024 - 19)(*arguments)
