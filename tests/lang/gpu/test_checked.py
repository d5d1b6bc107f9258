"""Checked launches: what reports say, that schedules repeat, that nothing a kernel does ends the process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from sapwood import Ptr, StackArray, Tensor, config, f32, i32, kernel, u8
from sapwood.gpu import (
    Deadlock,
    KernelError,
    OutOfBoundsError,
    RaceError,
    barrier,
    block_dim,
    block_idx,
    checked,
    dynamic_shared,
    grid_dim,
    shared,
    thread_idx,
)
from sapwood.lang.ops.atomics import atomic_add, atomic_load, atomic_store


def floats(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.float32)


def report(run, seed: int = 1, error: type[KernelError] = KernelError) -> KernelError:
    with pytest.raises(error) as caught, checked(seed):
        run()
    return caught.value


@kernel
def reverse(x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 64)
    tile[thread_idx.x] = x[thread_idx.x]
    x[thread_idx.x] = tile[63 - thread_idx.x]


def test_a_report_has_fields():
    e = report(lambda: reverse[1, 64](floats(64)), 5, RaceError)
    line = reverse.__wrapped__.__code__.co_firstlineno
    assert e.kernel == "reverse" and e.seed == 5 and e.code == "K001"
    assert e.block == e.other_block == 0 and e.thread + e.other_thread == 63
    assert {e.loc.line, e.other_loc.line} == {line + 3, line + 4}
    again = pickle.loads(pickle.dumps(e))
    assert str(again) == str(e)


def test_the_seed_repeats_the_schedule_and_others_differ():
    def who(seed: int) -> tuple[int, str]:
        e = report(lambda: reverse[1, 64](floats(64)), seed)
        return e.thread, str(e)

    first = {seed: who(seed) for seed in range(6)}
    assert {seed: who(seed) for seed in range(6)} == first
    assert len({thread for thread, _ in first.values()}) > 1


def test_the_seed_of_the_environment_and_of_a_launch():
    with config.override(SAPWOOD_TARGET="simt:checked", SAPWOOD_SCHEDULE_SEED="11"):
        with pytest.raises(RaceError, match="SAPWOOD_SCHEDULE_SEED=11 repeats it"):
            reverse[1, 64](floats(64))
    seeds = set()
    for _ in range(3):
        with checked(), pytest.raises(RaceError) as caught:
            reverse[1, 64](floats(64))
        seeds.add(caught.value.seed)
    assert len(seeds) > 1
    with checked(), config.override(SAPWOOD_SCHEDULE_SEED="-1"):
        with pytest.raises(config.ConfigError, match="SAPWOOD_SCHEDULE_SEED"):
            reverse[1, 64](floats(64))


def test_nothing_is_checked_outside():
    x = floats(64)
    with checked(1), pytest.raises(RaceError):
        reverse[1, 64](x)
    reverse[1, 64](x)


def test_unknown_variants():
    with config.override(SAPWOOD_TARGET="simt:fastest"), pytest.raises(ValueError, match="fastest"):
        reverse[1, 64](floats(64))


# -- what is no bug ----------------------------------------------------------------------------------


@kernel
def sum_of_all(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 128)
    t = thread_idx.x
    total = f32(0)
    for i in range(block_idx.x * block_dim.x + t, x.size, grid_dim.x * block_dim.x):
        total += x[i]
    tile[t] = total
    barrier()
    n = block_dim.x // 2
    while n > 0:
        if t < n:
            tile[t] += tile[t + n]
        barrier()
        n //= 2
    if t == 0:
        atomic_add(out.ptr, tile[0])


def test_a_correct_kernel_gives_what_it_gives():
    x = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    for seed in range(5):
        out = np.zeros(1, np.float32)
        with checked(seed):
            sum_of_all[7, 128](out, x)
        assert abs(float(out[0]) - x.sum(dtype=np.float64)) < 1e-6 * np.abs(x).sum(dtype=np.float64)


@kernel
def flags(out: Tensor[i32, 1], flag: Tensor[i32, 1]) -> None:
    """A thread hands over to the next one of the block."""
    box = shared(i32, 32)
    t = thread_idx.x
    if t == 0:
        box[0] = i32(7)
    else:
        while atomic_load(flag.ptr + t - 1, "acquire") == 0:
            pass
        box[t] = box[t - 1] + i32(1)
    atomic_store(flag.ptr + t, i32(1), "release")
    out[t] = box[t]


@kernel
def relaxed_flags(out: Tensor[i32, 1], flag: Tensor[i32, 1]) -> None:
    box = shared(i32, 1)
    if thread_idx.x == 0:
        box[0] = i32(7)
        atomic_store(flag.ptr, i32(1), "relaxed")
    else:
        while atomic_load(flag.ptr, "relaxed") == 0:
            pass
        out[thread_idx.x] = box[0]


def test_release_and_acquire_order_what_they_should():
    for seed in range(4):
        out = np.zeros(20, np.int32)
        with checked(seed):
            flags[1, 20](out, np.zeros(20, np.int32))
        assert out.tolist() == list(range(7, 27))
        report(lambda: relaxed_flags[1, 4](np.zeros(4, np.int32), np.zeros(1, np.int32)), seed, RaceError)


@kernel
def bytes_apart(x: Tensor[u8, 1]) -> None:
    """Neighbouring bytes are not one thing."""
    t = thread_idx.x
    x[t] = u8(t)
    barrier()
    p = Ptr[u8](0) + (x.ptr - Ptr[u8](0)) + t
    p[0] = p[0] + u8(1)


def test_bytes_are_apart():
    x = np.zeros(77, np.uint8)
    with checked(3):
        bytes_apart[1, 77](x)
    assert x.tolist() == [t + 1 for t in range(77)]


@kernel
def vectors(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    i = 8 * thread_idx.x
    out.store(i, x.load(i, width=8) * f32(2))


@kernel
def overlapping_vectors(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    i = 7 * thread_idx.x
    out.store(i, x.load(i, width=8) * f32(2))


def test_vectors():
    out = np.zeros(64, np.float32)
    with checked(1):
        vectors[1, 8](out, floats(64))
    assert out.tolist() == (2 * floats(64)).tolist()
    assert "out[" in str(report(lambda: overlapping_vectors[1, 8](out, floats(64)), 1, RaceError))


@kernel
def dynamic(x: Tensor[f32, 1], over: int) -> None:
    tile = dynamic_shared(f32)
    p = tile.ptr + thread_idx.x + over
    p[0] = x[thread_idx.x]
    barrier()
    x[thread_idx.x] = tile[thread_idx.x + over]


def test_dynamic_shared_memory():
    with checked(1):
        dynamic.launch(grid=1, block=32, shared=128)(floats(32), 0)
    text = str(report(lambda: dynamic.launch(grid=1, block=32, shared=128)(floats(32), 1), 1, OutOfBoundsError))
    assert "the shared memory of the launch" in text


def test_strided_and_overlapping_arguments():
    x = floats(64)
    with checked(1):
        vectors[1, 4](x[:32], x[32:])
    assert x[:32].tolist() == list(range(64, 128, 2))


# -- nothing ends the process --------------------------------------------------------------------------


@kernel(unchecked=True)
def writes_anywhere(x: Tensor[f32, 1], n: int) -> None:
    (x.ptr + n)[0] = f32(1)


@kernel(unchecked=True)
def reads_address(x: Tensor[f32, 1], n: int) -> None:
    x[0] = Ptr[f32](n)[0]


@kernel(unchecked=True)
def overflows_stack(x: Tensor[f32, 1], n: int) -> None:
    own = StackArray[f32, 4](0)
    for k in range(n):
        own[k] = f32(k)
    x[0] = own[0]


@kernel(unchecked=True)
def divides(x: Tensor[i32, 1], n: i32) -> None:
    x[0] = i32(7) // n + i32(-(2**31)) // (n - i32(1)) + i32(7) % n


@pytest.mark.parametrize("n", [-1, 1, 2**20, -(2**40), 2**61, -(2**61)])
def test_wild_accesses_are_reports(n):
    for k in (writes_anywhere, reads_address):
        for seed in (1, 2):
            report(lambda k=k: k[2, 3](np.zeros(1, np.float32), n), seed, OutOfBoundsError)


def test_stack_arrays_and_divisions():
    report(lambda: overflows_stack[1, 40](np.zeros(1, np.float32), 10**6), 1, OutOfBoundsError)
    with checked(1):
        divides[1, 1](np.zeros(1, np.int32), 0)


def test_empty_arguments():
    report(lambda: writes_anywhere[1, 1](np.zeros(0, np.float32), 0), 1, OutOfBoundsError)


FOR_EVER = """
import os, signal, threading, time
import numpy as np
from sapwood import Tensor, f32, kernel
from sapwood.gpu import checked

@kernel
def for_ever(x: Tensor[f32, 1]) -> None:
    while x[0] == f32(0):
        pass

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
with checked(1):
    for_ever[1, 1](np.ones(1, np.float32))  # compiles it
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    try:
        for_ever[1, 1](np.zeros(1, np.float32))
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_an_endless_loop_can_be_interrupted(tmp_path):
    (tmp_path / "program.py").write_text(textwrap.dedent(FOR_EVER))
    command = [sys.executable, str(tmp_path / "program.py")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.stdout == "interrupted\n", done.stderr


def test_launches_from_several_threads():
    found = []

    def run() -> None:
        for _ in range(5):
            try:
                reverse[1, 64](floats(64))
            except RaceError as e:
                found.append(e.code)

    with checked(2):
        threads = [threading.Thread(target=run) for _ in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert found == ["K001"] * 15


def test_after_a_fork():
    def works() -> bool:
        with checked(1):
            out = np.zeros(1, np.float32)
            sum_of_all[4, 32](out, np.ones(100, np.float32))
        return out[0] == 100

    assert works()
    child = os.fork()
    if child == 0:
        os._exit(0 if works() else 1)
    assert works()
    assert os.waitpid(child, 0)[1] == 0


def test_the_kernels_own_exceptions_stay_what_they_are():
    @kernel
    def fails(x: Tensor[f32, 1]) -> None:
        if thread_idx.x == 2:
            raise ValueError("no", thread_idx.x)

    with checked(1), pytest.raises(ValueError) as caught:
        fails[1, 4](floats(4))
    assert caught.value.args == ("no", 2)


def test_kinds_of_errors():
    assert issubclass(OutOfBoundsError, IndexError) and issubclass(RaceError, KernelError)
    from sapwood.gpu import DeadlockError

    assert issubclass(DeadlockError, Deadlock)
