"""Kernels: what threads, blocks, shared memory, barriers and shuffles do, on simt and in the evaluator."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sapwood
from sapwood import CompileError, Const, Ptr, StackArray, Tensor, config, f32, fn, i32, kernel, parallel, struct, u32
from sapwood.gpu import (
    Deadlock,
    atomic_add,
    barrier,
    block_dim,
    block_idx,
    grid_dim,
    lane_id,
    shared,
    thread_idx,
    warp,
)
from sapwood.lang.loading.current_target import use_target
from sapwood.lang.ops.amx import tile_load, tile_store
from sapwood.lang.ops.memory import address, prefetch
from sapwood.targets import simt, x86


@fn
def add_up(x: Tensor[f32, 1], first: int, step: int) -> f32:
    total = f32(0)
    for i in range(first, x.size, step):
        total += x[i]
    return total


@kernel
def block_sum(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    """One sum a block: threads, then warps by shuffles, then the warps' sums through shared memory."""
    partial = shared(f32, 32)
    t = thread_idx.x
    total = add_up(x, block_idx.x * block_dim.x + t, grid_dim.x * block_dim.x)
    for k in range(5):
        total += warp.shuffle_down(total, 16 >> k)
    if lane_id() == 0:
        partial[t // warp.size] = total
    barrier()
    if t < warp.size:
        total = f32(0)
        if t < block_dim.x // warp.size:
            total = partial[t]
        for k in range(5):
            total += warp.shuffle_down(total, 16 >> k)
        if t == 0:
            out[block_idx.x] = total
    barrier()


@kernel
def block_sum_i32(out: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    """A tree in shared memory, for blocks of any size; then one atomic add a block."""
    tile = shared(i32, 1024)
    t, n = thread_idx.x, block_dim.x
    i = block_idx.x * n + t
    tile[t] = x[i] if i < x.size else i32(0)
    barrier()
    while n > 1:
        half = (n + 1) // 2
        if t < n // 2:
            tile[t] += tile[t + half]
        barrier()
        n = half
    if t == 0:
        atomic_add(out.ptr, tile[0])


def both(k, grid, block, *args):
    """The arguments after a launch on simt; the evaluator must leave the same bits."""
    native = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    reference = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    k[grid, block](*native)
    k.reference[grid, block](*reference)
    for a, b in zip(native, reference, strict=True):
        if isinstance(a, np.ndarray):
            assert a.tobytes() == b.tobytes(), f"simt {a}, evaluator {b}"
    return native


# -- the reduction -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 31, 32, 33, 127, 300])
@pytest.mark.parametrize(("grid", "block"), [(1, 32), (3, 64), (2, 128)])
def test_block_sum_f32(size, grid, block):
    x = np.random.default_rng(size).standard_normal(size).astype(np.float32)
    out, _ = both(block_sum, grid, block, np.zeros(grid, np.float32), x)
    bound = 1e-6 * np.abs(x).sum(dtype=np.float64) + 1e-12
    assert abs(out.sum(dtype=np.float64) - x.sum(dtype=np.float64)) <= bound


@pytest.mark.parametrize("block", [256, 512, 1024])
def test_block_sum_of_large_blocks(block):
    x = np.random.default_rng(block).standard_normal(100_003).astype(np.float32)
    out = np.zeros(7, np.float32)
    block_sum[7, block](out, x)
    assert abs(out.sum(dtype=np.float64) - x.sum(dtype=np.float64)) < 1e-6 * np.abs(x).sum(dtype=np.float64)


@pytest.mark.parametrize("size", [1, 2, 5, 31, 64, 65, 200])
@pytest.mark.parametrize("block", [1, 2, 7, 32, 45])
def test_block_sum_i32_of_any_block(size, block):
    x = np.random.default_rng(size).integers(-(2**31), 2**31, size, dtype=np.int32)
    out, _ = both(block_sum_i32, -(-size // block), block, np.zeros(1, np.int32), x)
    assert out[0] == x.sum(dtype=np.int32)


def test_many_blocks_on_many_threads():
    x = np.random.default_rng(0).integers(-1000, 1000, 50_001, dtype=np.int32)
    expected = x.sum(dtype=np.int32)
    for threads in ("1", "2"):
        with config.override(SAPWOOD_NUM_THREADS=threads):
            out = np.zeros(1, np.int32)
            block_sum_i32[-(-x.size // 96), 96](out, x)
            assert out[0] == expected


def test_launches_from_several_python_threads():
    x = np.arange(4000, dtype=np.int32)
    found = []

    def run():
        for _ in range(20):
            out = np.zeros(1, np.int32)
            block_sum_i32[40, 100](out, x)
            found.append(int(out[0]))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == [int(x.sum())] * 80


# -- where a thread is -------------------------------------------------------------------------------


@kernel
def places(out: Tensor[i32, 2]) -> None:
    t = thread_idx.x + block_dim.x * (thread_idx.y + block_dim.y * thread_idx.z)
    b = block_idx.x + grid_dim.x * (block_idx.y + grid_dim.y * block_idx.z)
    row = b * block_dim.x * block_dim.y * block_dim.z + t
    out[row, 0], out[row, 1], out[row, 2] = i32(thread_idx.x), i32(thread_idx.y), i32(thread_idx.z)
    out[row, 3], out[row, 4], out[row, 5] = i32(block_idx.x), i32(block_idx.y), i32(block_idx.z)
    out[row, 6] = i32(lane_id())


def test_places_in_three_axes():
    grid, block = (2, 3, 2), (5, 3, 4)
    (out,) = both(places, grid, block, np.full((12 * 60, 7), -1, np.int32))
    expected = []
    for b in range(12):
        for t in range(60):
            thread = (t % 5, t // 5 % 3, t // 15)
            expected.append([*thread, b % 2, b // 2 % 3, b // 6, t % 32])
    assert out.tolist() == expected


# -- shuffles ----------------------------------------------------------------------------------------


@kernel
def shuffles(out: Tensor[i32, 2], n: int) -> None:
    t = thread_idx.x
    x = i32(t)
    out[0, t] = warp.shuffle(x, n)
    out[1, t] = warp.shuffle_up(x, n)
    out[2, t] = warp.shuffle_down(x, n)
    out[3, t] = warp.shuffle_xor(x, n)


@pytest.mark.parametrize("n", [0, 1, 5, 16, 31, 32, 33, -1])
def test_which_lane_a_shuffle_reads(n):
    (out, _) = both(shuffles, 1, 70, np.full((4, 70), -1, np.int32), n)
    k = n % 32
    for t in range(70):
        base, lane = t // 32 * 32, t % 32
        for row, source in enumerate((k, lane - k, lane + k, lane ^ k)):
            there = base + source
            assert out[row, t] == (there if 0 <= source < 32 and there < 70 else t)


@kernel
def shuffle_types(a: Tensor[f32, 1], b: Tensor[u32, 1]) -> None:
    t = thread_idx.x
    a[t] = warp.shuffle_xor(a[t], 1)
    b[t] = warp.shuffle_xor(b[t], 2)


def test_shuffles_keep_every_bit():
    a = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.5, -7], np.float32)
    b = np.array([0, 1, 2**31, 2**32 - 1, 5, 6, 7, 8], np.uint32)
    found_a, found_b = both(shuffle_types, 1, 8, a, b)
    assert found_a.tobytes() == a[np.arange(8) ^ 1].tobytes()
    assert found_b.tobytes() == b[np.arange(8) ^ 2].tobytes()


@kernel
def leave_early(out: Tensor[i32, 1]) -> None:
    t = thread_idx.x
    if t % 3 == 1:
        return
    x = i32(t)
    barrier()
    out[t] = warp.shuffle_down(x, 1)


def test_threads_that_returned_do_not_hold_up_the_others():
    (out,) = both(leave_early, 1, 40, np.full(40, -1, np.int32))
    for t in range(40):
        if t % 3 == 1:
            assert out[t] == -1
        else:
            gone = (t + 1) % 3 == 1 or t % 32 == 31 or t + 1 >= 40
            assert out[t] == (t if gone else t + 1)


# -- waiting -----------------------------------------------------------------------------------------


@kernel
def one_lane_elsewhere(out: Tensor[i32, 1]) -> None:
    x = i32(thread_idx.x)
    if thread_idx.x == 5:
        barrier()
    else:
        x = warp.shuffle_xor(x, 1)
    out[thread_idx.x] = x


@pytest.mark.parametrize("run", [one_lane_elsewhere, one_lane_elsewhere.reference])
def test_a_deadlock_is_an_error_that_says_who_waits_where(run):
    first = one_lane_elsewhere.__wrapped__.__code__.co_firstlineno
    text = rf"block 0: thread 0 waits at .* line {first + 6}, but thread 5 of its warp waits at line {first + 4}"
    with pytest.raises(Deadlock, match=text):
        run[4, 64](np.zeros(64, np.int32))


@kernel
def barriers_on_two_paths(out: Tensor[i32, 1]) -> None:
    box = shared(i32, 64)
    t = thread_idx.x
    box[t] = i32(t)
    if t < 10:
        barrier()
    else:
        barrier()
    out[t] = box[63 - t]


def test_barriers_count_arrivals_wherever_they_are():
    (out,) = both(barriers_on_two_paths, 1, 64, np.zeros(64, np.int32))
    assert out.tolist() == list(range(63, -1, -1))


@kernel
def loops_of_barriers(out: Tensor[i32, 1], rounds: int) -> None:
    """Values that live across barriers, in a loop whose length differs between blocks."""
    ring = shared(i32, 48)
    t, n = thread_idx.x, block_dim.x
    a, b = i32(t), i32(1)
    for r in range(rounds + block_idx.x):
        ring[t] = a
        barrier()
        a, b = a + b * ring[(t + r + 1) % n], b + i32(r)
        barrier()
    out[block_idx.x * n + t] = a + b


def test_values_live_across_barriers():
    (out, _) = both(loops_of_barriers, 3, 48, np.zeros(144, np.int32), 5)
    for block in range(3):
        a, b = np.arange(48, dtype=np.int64), 1
        for r in range(5 + block):
            a, b = a + b * np.roll(a, -(r + 1)), b + r
        assert out[block * 48 :][:48].tolist() == (a + b).astype(np.int32).tolist()


# -- what else kernels have --------------------------------------------------------------------------


@struct(frozen=True)
class Line:
    slope: f32
    start: f32

    def at(self, x: f32) -> f32:
        return self.slope * x + self.start


@kernel
def apply_line(x: Tensor[f32, 1], line: Line, scale: float = 1.0) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    if i < x.size:
        x[i] = line.at(x[i]) * f32(scale)


def test_structs_defaults_keywords_and_strided_tensors():
    x = np.arange(20, dtype=np.float32)
    (a, _) = both(apply_line, 3, 8, x, Line(2.0, 1.0))
    assert a.tolist() == (2 * x + 1).tolist()
    apply_line[1, 32](x[::2], line=Line(0.0, 3.0), scale=2.0)
    assert x[::2].tolist() == [6.0] * 10 and x[1::2].tolist() == list(range(1, 20, 2))


@kernel
def transpose(out: Tensor[f32, 2], x: Tensor[f32, 2]) -> None:
    tile = shared(f32, (8, 8))
    r, c = thread_idx.y, thread_idx.x
    tile[r, c] = x[block_idx.y * 8 + r, block_idx.x * 8 + c]
    barrier()
    out[block_idx.x * 8 + r, block_idx.y * 8 + c] = tile[c, r]


def test_shared_memory_of_two_axes():
    x = np.random.default_rng(1).standard_normal((16, 24)).astype(np.float32)
    out, _ = both(transpose, (3, 2), (8, 8), np.zeros((24, 16), np.float32), x)
    assert (out == x.T).all()


@kernel
def float_histogram(out: Tensor[f32, 1], x: Tensor[i32, 1]) -> None:
    local = shared(f32, 4)
    t = thread_idx.x
    if t < 4:
        local[t] = f32(0)
    barrier()
    for i in range(block_idx.x * block_dim.x + t, x.size, grid_dim.x * block_dim.x):
        atomic_add(local.ptr + x[i], 1.0)
    barrier()
    if t < 4:
        atomic_add(out.ptr + t, local[t])


def test_atomic_add_of_floats_in_shared_and_global_memory():
    x = np.random.default_rng(3).integers(0, 4, 999, dtype=np.int32)
    out, _ = both(float_histogram, 4, 32, np.zeros(4, np.float32), x)
    assert out.tolist() == np.bincount(x, minlength=4).tolist()


@kernel
def fail_in(limit: int, x: Tensor[i32, 1]) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    if i >= limit:
        raise ValueError("no room for", i)
    x[i] = i32(1)


def test_the_exception_is_that_of_the_first_failing_block():
    for run in (fail_in, fail_in.reference):
        x = np.zeros(64, np.int32)
        with pytest.raises(ValueError) as e:
            run[8, 8](21, x)
        assert e.value.args == ("no room for", 21)
        assert x[:16].all() and not x[21:24].any()


@kernel
def one_past_the_end(x: Tensor[i32, 1]) -> None:
    tile = shared(i32, 40)
    i = block_idx.x * block_dim.x + thread_idx.x
    tile[thread_idx.x] = x[i]
    barrier()
    x[i] = tile[thread_idx.x]


@kernel(unchecked=True)
def unchecked_negative(x: Tensor[i32, 1]) -> None:
    p = thread_idx.x - 1
    x[p] = i32(7)  # before the view begins, which checked code would take for its end


@pytest.mark.parametrize("run", [one_past_the_end, one_past_the_end.reference])
def test_bounds_are_checked_unless_told_otherwise(run):
    with pytest.raises(IndexError, match="index 70 is out of bounds for axis 0 with size 70"):
        run[3, 32](np.zeros(70, np.int32))
    with pytest.raises(IndexError, match="index 40 is out of bounds for axis 0 with size 40"):
        run[1, 64](np.zeros(70, np.int32))


def test_unchecked_kernels():
    x = np.zeros(8, np.int32)
    unchecked_negative[1, 1](x[4:])
    assert x.tolist() == [0, 0, 0, 7, 0, 0, 0, 0]


@kernel
def big_frames(out: Tensor[i32, 1]) -> None:
    own = StackArray[i32, 8192](1)
    t = thread_idx.x
    own[t] = i32(t)
    barrier()
    total = i32(0)
    for k in range(8192):
        total += own[k]
    out[block_idx.x * block_dim.x + t] = total


def test_arrays_of_a_thread_are_its_own():
    out = np.zeros(2048, np.int32)
    big_frames[2, 1024](out)
    assert out.tolist() == [8191 + t for t in range(1024)] * 2


@kernel
def tabulate(out: Tensor[i32, 1], f: Callable[[int], int], scale: Const[int]) -> None:
    for i in range(thread_idx.x, out.size, block_dim.x):
        out[i] = i32(f(i) * scale)


def test_functions_and_constants_are_arguments():
    (out, *_) = both(tabulate, 1, 4, np.zeros(9, np.int32), lambda i: i * i + 1, 3)
    assert out.tolist() == [3 * (i * i + 1) for i in range(9)]


@kernel
def says(x: Tensor[f32, 1]) -> None:
    if thread_idx.x == 1:
        print("block", block_idx.x, "has", x[thread_idx.x])


def test_print(capsys):
    for run in (says, says.reference):
        run[2, 4](np.arange(4, dtype=np.float32))
        assert sorted(capsys.readouterr().out.splitlines()) == ["block 0 has 1.0", "block 1 has 1.0"]


PROGRAM = """
import sys
import numpy as np
from sapwood import Tensor, i32, kernel
from sapwood.gpu import barrier, shared, thread_idx

@kernel
def reverse(x: Tensor[i32, 1]) -> None:
    tile = shared(i32, 64)
    tile[thread_idx.x] = x[thread_idx.x]
    barrier()
    x[thread_idx.x] = tile[x.size - 1 - thread_idx.x]

x = np.arange(50, dtype=np.int32)
reverse[1, 50](x)
print(x.tolist() == list(range(49, -1, -1)), "sapwood.lang.pipeline" in sys.modules)
"""


def test_a_second_process_takes_kernels_from_the_cache(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    home = str(Path(sapwood.__file__).parents[1])
    env = {**os.environ, "SAPWOOD_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": home}
    command = [sys.executable, str(tmp_path / "program.py")]
    said = [subprocess.run(command, env=env, check=True, capture_output=True, text=True) for _ in range(2)]
    assert [s.stdout for s in said] == ["True True\n", "True False\n"]


def test_parent_and_child_of_a_fork_launch_at_the_same_time():
    x = np.arange(4000, dtype=np.int32)

    def launches() -> bool:
        good = True
        for _ in range(200):
            out = np.zeros(1, np.int32)
            block_sum_i32[40, 100](out, x)
            good = good and out[0] == x.sum()
        return good

    assert launches()
    child = os.fork()
    if child == 0:
        os._exit(0 if launches() else 1)
    assert launches()
    assert os.waitpid(child, 0)[1] == 0


@struct
class Cell:
    to: Ptr[i32]


@kernel
def through_addresses(out: Tensor[i32, 1]) -> None:
    tile = shared(i32, 32)
    t = thread_idx.x
    prefetch(tile.ptr)
    cell = Cell(Ptr[i32](address(tile.ptr + t)))
    cell.to[0] = i32(3 * t)
    barrier()
    out[t] = tile[31 - t]


def test_addresses_of_shared_memory_work_from_anywhere():
    out = np.zeros(32, np.int32)
    through_addresses[1, 32](out)
    assert out.tolist() == [3 * (31 - t) for t in range(32)]


# -- mistakes ----------------------------------------------------------------------------------------


def mistake(run) -> str:
    with pytest.raises(CompileError) as e:
        run()
    return str(e.value)


X = np.zeros(4, np.int32)


@pytest.mark.parametrize(
    ("configuration", "text"),
    [
        ((1, 2000), "error[L004]: leave_early[...]: the number of threads of a block is 2000, but the limit is 1024"),
        ((1, (32, 64)), "error[L004]: leave_early[...]: the number of threads of a block is 2048"),
        ((1, (1, 1, 65)), "error[L004]: leave_early[...]: block.z is 65, but the limit is 64"),
        (((1, 70000), 1), "error[L004]: leave_early[...]: grid.y is 70000, but the limit is 65535"),
        ((0, 32), "error[L003]: leave_early[...]: grid must be 1 to 3 positive ints, not 0"),
        ((1, -1), "error[L003]: leave_early[...]: block must be 1 to 3 positive ints, not -1"),
        ((1, 2.0), "error[L003]: leave_early[...]: block must be 1 to 3 positive ints, not 2.0"),
        ((1, True), "error[L003]: leave_early[...]: block must be 1 to 3 positive ints, not True"),
        ((1, ()), "error[L003]: leave_early[...]: block must be 1 to 3 positive ints, not ()"),
        ((1, (1, 1, 1, 1)), "error[L003]: leave_early[...]: block must be 1 to 3 positive ints"),
        (32, "error[L003]: leave_early[...]: [grid, block] must be 1 to 3 positive ints, not 32"),
    ],
)
def test_grids_that_cannot_be(configuration, text):
    for k in (leave_early, leave_early.reference):
        assert mistake(lambda k=k: k[configuration](X)).startswith(text)
    with pytest.raises(ValueError, match=r"error\[L00"):
        leave_early[configuration]


def test_numpy_ints_are_ints():
    out = np.full(40, -1, np.int32)
    leave_early[np.int64(1), (np.int32(40),)](out)
    assert out[0] == 0


def test_kernels_are_launched_and_functions_are_called():
    assert "error[L002]: the kernel 'leave_early' was called without a grid" in mistake(lambda: leave_early(X))
    assert "L002" in mistake(lambda: leave_early.reference(X))
    assert "error[L001]: 'add_up' is an @fn function and has no grid" in mistake(lambda: add_up[1, 1])


def test_wrong_arguments_are_those_of_fn():
    with pytest.raises(TypeError, match=r"error\[A001\]: leave_early\(\): argument 'out' must be Tensor\[i32, 1\]"):
        leave_early[1, 1](np.zeros(4, np.float32))
    with pytest.raises(TypeError, match="missing a required argument: 'out'"):
        leave_early[1, 1]()
    x = np.zeros(4, np.int32)
    x.flags.writeable = False
    for k in (leave_early, leave_early.reference):
        with pytest.raises(ValueError, match=r"A002.*leave_early\(\): argument 'out' is written"):
            k[1, 4](x)


@fn
def asks_where(x: int) -> int:
    return x + thread_idx.x


@fn
def waits() -> None:
    barrier()


@fn
def shuffles_on_the_host(x: f32) -> f32:
    return warp.shuffle_down(x, 1)


@fn
def warp_size_on_the_host() -> int:
    return warp.size


@fn
def shares_on_the_host() -> f32:
    return shared(f32, 4)[0]


@pytest.mark.parametrize(
    ("run", "op", "caret"),
    [
        (lambda: asks_where(1), "thread_idx", "thread_idx.x"),
        (lambda: waits(), "barrier", "barrier()"),
        (lambda: shuffles_on_the_host(1.0), "warp_shuffle", "warp.shuffle_down(x, 1)"),
        (lambda: warp_size_on_the_host(), "warp.size", "warp.size"),
        (lambda: shares_on_the_host(), "shared_storage", "shared(f32, 4)"),
        (lambda: asks_where.reference(1), "thread_idx", "thread_idx.x"),
    ],
)
def test_host_functions_have_no_threads(run, op, caret):
    text = mistake(run)
    assert text.startswith(f"error[X002]: {op} can only be used in a @kernel function")
    line, carets = text.splitlines()[2:4]
    at = carets.index("^")
    assert line[at : at + carets.count("^")] == caret
    assert "help: decorate the function with @kernel" in text


def test_places_outside_of_compiled_code():
    for ask in (lambda: thread_idx.x, lambda: grid_dim.z, lambda: warp.size):
        assert "X002" in mistake(ask)
    with pytest.raises(TypeError, match="compiled code"):
        barrier()


@kernel
def returns_something(x: Tensor[i32, 1]) -> i32:
    return x[0]


@kernel
def runs_parallel(x: Tensor[i32, 1]) -> None:
    for i in parallel(x.size):
        x[i] = i32(0)


@kernel
def calls_a_kernel(x: Tensor[i32, 1]) -> None:
    leave_early(x)


@kernel
def shares_too_much() -> None:
    a = shared(f32, (64, 128))
    b = shared(f32, (64, 128))
    a[0, 0] = b[0, 0]


@kernel
def shares_run_time(n: int) -> None:
    shared(f32, n)[0] = 1.0


@kernel
def shares_nothing() -> None:
    shared(f32, (4, 0))


@kernel
def moves_bools(x: Tensor[i32, 1]) -> None:
    x[0] = i32(warp.shuffle_down(x[0] > 1, 1))


@kernel
def keeps_shared(x: Tensor[i32, 1]) -> None:
    cell = Cell(x.ptr)
    cell.to = shared(i32, 4).ptr


@kernel
def chooses_memory(x: Tensor[i32, 1]) -> None:
    p = x.ptr
    if thread_idx.x == 0:
        p = shared(i32, 4).ptr
    p[0] = i32(1)


@kernel
def keeps_tiles(x: Tensor[f32, 1]) -> None:
    tile = tile_load(x.ptr, 16, 16, 64)
    barrier()
    tile_store(x.ptr, 16, tile)


def test_tile_registers_cannot_wait():
    amx = simt.on(x86.make(frozenset({"amx-tile", "amx-bf16", "avx2"})))
    with use_target(amx), pytest.raises(CompileError, match=r"X001.*tile_load(.|\n)*while a thread waits"):
        keeps_tiles[1, 1](np.zeros(256, np.float32))


@kernel
def no_such_axis(x: Tensor[i32, 1]) -> None:
    x[0] = i32(thread_idx.w)


@kernel
def makes_a_list(x: Tensor[i32, 1]) -> None:
    for v in [i + 1 for i in range(x.size)]:
        x[0] = i32(v)


@kernel
def makes_text(x: Tensor[i32, 1]) -> None:
    if str(x[0]) > "5":
        x[0] = 1


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (lambda: makes_a_list[1, 1](X), "error[X003]: a value of type list[int] cannot be used in a @kernel function"),
        (lambda: makes_text[1, 1](X), "error[X003]: a value of type str cannot be used in a @kernel function"),
        (lambda: returns_something[1, 1](X), "error[X005]: the kernel 'returns_something' returns i32"),
        (lambda: runs_parallel[1, 1](X), "error[X003]: parallel cannot be used in a @kernel function"),
        (lambda: calls_a_kernel[1, 1](X), "error[X004]: the kernel 'leave_early' is called without a grid"),
        (lambda: shares_too_much[1, 1](), "declares 65536 bytes of shared memory, but a block of target simt has"),
        (lambda: shares_run_time[1, 1](4), "error[C001]: the shape of shared memory must be known at compile time"),
        (lambda: shares_nothing[1, 1](), "error[T019]: shared: a size of 0"),
        (lambda: moves_bools[1, 1](X), "error[T019]: warp.shuffle_down: cannot move bool"),
        (lambda: keeps_shared[1, 1](X), "error[T019]: assignment: a Ptr[i32] cannot be a Ptr[i32, shared]"),
        (lambda: chooses_memory[1, 1](X), "error[T011]: 'p' is Ptr[i32, shared] after one branch and Ptr[i32]"),
        (lambda: no_such_axis[1, 1](X), "has no attribute 'w'"),
        (lambda: leave_early.python(X), "error[L005]: 'leave_early' cannot be launched on target python"),
    ],
)
def test_mistakes_in_kernels(run, text):
    assert text in mistake(run)
