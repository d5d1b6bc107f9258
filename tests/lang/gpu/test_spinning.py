"""Which loops over atomic operations let other threads run: those that may wait for them."""

from __future__ import annotations

import numpy as np
import pytest
from gpu_oracle import both

from sapwood import Ptr, Tensor, f32, fn, i32, i64, kernel
from sapwood.gpu import barrier, shared, thread_idx
from sapwood.systems import atomic_add, atomic_cas, atomic_exchange, atomic_load, atomic_store


@kernel
def compaction(out: Tensor[i32, 1], count: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    """Where the atomic gives a place, nobody waits for anybody."""
    for i in range(thread_idx.x, x.size, 32):
        if x[i] > 0:
            out[atomic_add(count.ptr, 1)] = x[i]


@kernel
def histogram(bins: Tensor[i32, 1], x: Tensor[i32, 1]) -> None:
    for i in range(thread_idx.x, x.size, 32):
        atomic_add(bins.ptr + x[i], 1)


@kernel
def most(out: Tensor[i64, 1], x: Tensor[i64, 1]) -> None:
    """The result is compared, but the loop ends without it."""
    best = i64(0)
    for i in range(thread_idx.x, x.size, 32):
        old = atomic_exchange(out.ptr + i, x[i])
        if old > best:
            best = old
    out[thread_idx.x] = best


@fn
def acquire(lock: Ptr[i32]) -> None:
    while atomic_cas(lock, 0, 1) != 0:
        pass


@kernel
def locks_in_a_helper(total: Tensor[i32, 1], lock: Tensor[i32, 1]) -> None:
    acquire(lock.ptr)
    total[0] += 1
    atomic_store(lock.ptr, 0)


@kernel
def ticket(out: Tensor[i32, 1], now: Tensor[i32, 2]) -> None:
    mine = atomic_add(now.ptr, 1)
    seen = i32(-1)
    while True:
        if seen == mine:
            break
        seen = atomic_load(now.ptr + 1)
    out[mine] = i32(thread_idx.x)
    atomic_add(now.ptr + 1, 1)


@kernel
def through_memory(out: Tensor[i32, 1], flag: Tensor[i32, 1]) -> None:
    box = shared(i32, 64)
    t = thread_idx.x
    box[t] = i32(0)
    while box[t] == 0:
        box[t] = atomic_load(flag.ptr)
        if t == 63:
            atomic_store(flag.ptr, 5)
    out[t] = box[t]


@kernel
def a_flag_decides_what_is_carried(out: Tensor[i32, 1], flag: Tensor[i32, 1]) -> None:
    t = thread_idx.x
    left = 3
    rounds = i32(0)
    while left > 0:
        if atomic_load(flag.ptr + left) != 0:
            left -= 1
        if t == 40:
            atomic_store(flag.ptr + left, 1)
        rounds += 1
    out[t] = min(rounds, i32(9))


@kernel
def add_floats(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    barrier()
    atomic_add(out.ptr, x[thread_idx.x])


X = np.ones(64, np.int32)
FLAGS = np.zeros(8, np.int32)
CASES = {
    "compaction": (compaction, (X, FLAGS, X), 0),
    "histogram": (histogram, (FLAGS, X), 0),
    "most": (most, (X.astype(np.int64), X.astype(np.int64)), 0),
    "add_floats": (add_floats, (X.astype(np.float32), X.astype(np.float32)), 0),
    "locks_in_a_helper": (locks_in_a_helper, (FLAGS, FLAGS), 1),
    "ticket": (ticket, (X, FLAGS.reshape(2, 4)), 1),
    "through_memory": (through_memory, (X, FLAGS), 1),
    "a_flag_decides_what_is_carried": (a_flag_decides_what_is_carried, (X, FLAGS), 1),
}


@pytest.mark.parametrize("name", CASES)
def test_who_gives_way(name):
    k, args, count = CASES[name]
    assert k.inspect(*args, kind="ssa").count("give_way") == count


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("most", "compaction")])
def test_all_of_them_end(name):
    k, args, _ = CASES[name]
    threads = 32 if name == "histogram" else 64
    got = both(k.__getitem__, (1, threads), *args)
    if name == "ticket":
        assert sorted(got[0].tolist()) == list(range(64))
    if name == "locks_in_a_helper":
        assert got[0][0] == 64
