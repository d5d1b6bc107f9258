"""simt's fast mode, work-item loops split where threads wait, against coroutines and the evaluator."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gpu_programs import random_kernel

from sapwood import Tensor, config, f32, i32, kernel
from sapwood.gpu import atomic_add, barrier, block_dim, block_idx, grid_dim, lane_id, shared, thread_idx, warp

BLOCKS = (1, 7, 45, 300, 1024)


def agree(k, grid, block, *args):
    """The arguments after a launch on simt; coroutines must leave the same bits, and so must the evaluator."""
    copies = [[a.copy() if isinstance(a, np.ndarray) else a for a in args] for _ in range(3)]
    with config.override(SAPWOOD_TARGET="simt"):
        k[grid, block](*copies[0])
    with config.override(SAPWOOD_TARGET="simt:coroutines"):
        k[grid, block](*copies[1])
    if np.prod(grid) * np.prod(block) <= 400:
        k.reference[grid, block](*copies[2])
    else:
        copies[2] = copies[1]
    for a, b, c in zip(*copies, strict=True):
        if isinstance(a, np.ndarray):
            assert a.tobytes() == b.tobytes(), f"fast {a}, coroutines {b}"
            assert c.tobytes() == b.tobytes(), f"evaluator {c}, coroutines {b}"
    return copies[0]


@kernel
def early_return(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 1024)
    t = thread_idx.x
    i = block_idx.x * block_dim.x + t
    if i >= x.size:
        return
    tile[t] = x[i] * f32(2)
    barrier()
    out[i] = tile[t ^ 1] if t ^ 1 < block_dim.x and (i - t + (t ^ 1)) < x.size else tile[t]


@kernel
def odd_ones_return(out: Tensor[i32, 1]) -> None:
    """What is left of the threads is no range of them."""
    t = thread_idx.x
    x = i32(t * 3)
    if t % 3 == 1:
        return
    barrier()
    x += warp.shuffle_down(x, 1)
    for k in range(3):
        barrier()
        x = x * i32(k + 1) + warp.shuffle_xor(x, 2)
    out[block_idx.x * block_dim.x + t] = x


@kernel
def stencil(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    n = x.size
    if i < n:
        left = x[i - 1] if i > 0 else f32(0)
        right = x[i + 1] if i < n - 1 else f32(0)
        out[i] = left + x[i] + right


@kernel
def stride_both_ways(out: Tensor[i32, 1], first: int, step: int) -> None:
    t = thread_idx.x
    for i in range(first + t, out.size, block_dim.x):
        out[i] += i32(i)
    for i in range(out.size - 1 - t, -1, step):
        out[i] += i32(1)


@kernel
def loops_that_end_apart(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    t = block_idx.x * block_dim.x + thread_idx.x
    if t < x.size:
        n, total = x[t], i32(0)
        while n > 0:
            if n == 5:
                break
            total += x[t] * n
            n -= i32(1)
        out[t] = total * i32(10) + n


@kernel
def warps_apart(out: Tensor[i32, 1]) -> None:
    t = thread_idx.x
    x = i32(t)
    if t // 32 == 0:
        x += warp.shuffle_xor(x, 1)
    else:
        for _ in range(t // 32):
            x += warp.shuffle_up(x, 3)
    out[block_idx.x * block_dim.x + t] = x
    barrier()
    if lane_id() == 0:
        atomic_add(out.ptr + block_idx.x * block_dim.x, x)


@kernel
def places(out: Tensor[i32, 1]) -> None:
    x, y, z = thread_idx.x, thread_idx.y, thread_idx.z
    n = x + block_dim.x * (y + block_dim.y * z)
    tile = shared(i32, 1024)
    tile[n] = i32(n)
    barrier()
    if x < 3 and y > 0:
        tile[n] += i32(100)
    barrier()
    size = block_dim.x * block_dim.y * block_dim.z
    v = tile[size - 1 - n]
    out[block_idx.x * size + n] = v + warp.shuffle_down(v, 2)


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_of_any_size(block):
    n = 2 * block + block // 2
    x = np.random.default_rng(block).standard_normal(n).astype(np.float32)
    poison = np.full(n, np.nan, np.float32)
    agree(early_return, 3, block, poison, x)
    agree(stencil, 3, block, poison, x)
    agree(odd_ones_return, 2, block, np.full(2 * block, -1, np.int32))
    ints = np.random.default_rng(block).integers(-3, 12, n, dtype=np.int32)
    agree(loops_that_end_apart, 3, block, np.full(n, -1, np.int32), ints)
    agree(warps_apart, 2, block, np.zeros(2 * block, np.int32))


@pytest.mark.parametrize("step", [-1, -7, 3])
def test_strides(step):
    agree(stride_both_ways, 1, 45, np.zeros(500, np.int32), 3, step)


@pytest.mark.parametrize("block", [(8, 4, 2), (1, 1, 7), (5, 9), (32, 3, 3)])
def test_blocks_of_several_axes(block):
    size = int(np.prod(block))
    agree(places, 2, block, np.zeros(2 * size, np.int32))
    agree(warps_apart, 1, block, np.zeros(block[0] + size, np.int32))


@kernel
def fails_late(x: Tensor[i32, 1], limit: int) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    x[i] = i32(1)
    barrier()
    if i >= limit:
        raise ValueError("too far", block_idx.x)
    x[i + 1] = i32(2)


@pytest.mark.parametrize("way", ["simt", "simt:coroutines"])
def test_the_exception_of_the_first_failing_block(way):
    with config.override(SAPWOOD_TARGET=way):
        with pytest.raises(ValueError) as e:
            fails_late[8, 16](np.zeros(128, np.int32), 70)
        assert e.value.args == ("too far", 4)
        with pytest.raises(IndexError, match="index 60 is out of bounds for axis 0 with size 60"):
            fails_late[4, 16](np.zeros(60, np.int32), 100)


@kernel
def ranges_at_the_end_of_ints(out: Tensor[i32, 1]) -> None:
    t = thread_idx.x
    n = i32(0)
    for i in range(9223372036854775000 + t, 9223372036854775807, grid_dim.x * 512):
        n += i32(i % 7)
    out[t] = n


def test_counters_do_not_wrap_around():
    agree(ranges_at_the_end_of_ints, 1, 45, np.zeros(45, np.int32))


@pytest.mark.nightly
def test_all_kernels_as_coroutines():
    tests = Path(__file__).parents[1] / "test_kernels.py"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", "not mistakes", str(tests)]
    env = {**os.environ, "SAPWOOD_TARGET": "simt:coroutines"}
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("seed", range(100, 110))
def test_random_kernels(seed, tmp_path):
    k, text = random_kernel(seed, tmp_path)
    x = np.random.default_rng(seed).integers(-9, 99, 137, dtype=np.int32)
    for block in (1, 7, 45, 300, 1024):
        try:
            agree(k, 3, block, np.full((3 * block, 3), -7, np.int32), x, seed % 7)
        except AssertionError as e:
            raise AssertionError(f"blocks of {block}:\n{text}") from e


@kernel
def parted(x: Tensor[i32, 1]) -> None:
    if thread_idx.x < 3:
        barrier()
    x[thread_idx.x] = i32(1)
    barrier()


def test_inspect_says_how_threads_run_and_why():
    x, line = np.zeros(4, np.int32), parted.__wrapped__.__code__.co_firstlineno + 3
    reason = f"coroutines: line {line}: not all threads of the block come to this barrier together"
    assert parted.inspect(x, kind="simt") == reason
    assert parted.inspect(x, kind="simt", target="simt:coroutines") == "coroutines: target simt:coroutines"
    f = np.zeros(4, np.float32)
    assert stencil.inspect(f, f, kind="simt") == "work-item loops: one, as nothing waits"
    assert warps_apart.inspect(x, kind="simt").endswith("; coroutines in blocks of several axes")
