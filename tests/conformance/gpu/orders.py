"""Atomic operations of every kind and type, and what their orders and scopes hand over."""

from __future__ import annotations

import numpy as np
from gpu_conformance import Results, cdiv, normal, poison, program, wide

from sapwood import Array, Ptr, Tensor, bf16, f16, f32, f64, i32, i64, kernel, u16, u32
from sapwood.gpu import (
    atomic_add,
    atomic_and,
    atomic_cas,
    atomic_dec,
    atomic_exchange,
    atomic_inc,
    atomic_load,
    atomic_max,
    atomic_min,
    atomic_or,
    atomic_store,
    atomic_sub,
    atomic_xor,
    barrier,
    block_dim,
    block_idx,
    fence,
    grid_dim,
    shared,
    thread_idx,
)


@kernel
def bounds_kernel(low: Tensor[f32, 1], high: Tensor[f64, 1], x: Tensor[f32, 2]) -> None:
    """The least and the most of each row, by float minima in shared and maxima in global memory."""
    least = shared(f32, 1)
    r, t = block_idx.x, thread_idx.x
    if t == 0:
        least[0] = f32(float("inf"))
    barrier()
    for c in range(t, x.shape[1], block_dim.x):
        atomic_min(least.ptr, x[r, c])
        atomic_max(high.ptr + r, f64(x[r, c]), "relaxed", "block")
    barrier()
    if t == 0:
        low[r] = least[0]


@program(1, 77, 1000)
def bounds_of_rows(run, rng, n) -> Results:
    x = normal(rng, 3, n) - 1
    low, high = poison(3), np.full(3, -np.inf)
    run(bounds_kernel, 3, 96, low, high, x)
    yield low, wide(x.min(1))
    yield high, wide(x.max(1))


@kernel
def sum_in_the_last_block_kernel(
    out: Tensor[f32, 1], part: Tensor[f32, 1], done: Tensor[u32, 1], x: Tensor[f32, 1]
) -> None:
    """A sum in one launch, as CUDA's sample threadFenceReduction has it: a fence, a relaxed counter that goes round."""
    tile, last = shared(f32, 64), shared(u32, 1)
    t, blocks = thread_idx.x, grid_dim.x
    total = f32(0)
    for i in range(block_idx.x * 64 + t, x.size, blocks * 64):
        total += x[i]
    tile[t] = total
    barrier()
    if t == 0:
        total = f32(0)
        for k in range(64):
            total += tile[k]
        part[block_idx.x] = total
        fence("acq_rel", "device")
        last[0] = atomic_inc(done.ptr, u32(blocks - 1), "relaxed")
        fence("acq_rel", "device")
    barrier()
    if t == 0 and last[0] == u32(blocks - 1):
        total = f32(0)
        for b in range(blocks):
            total += part[b]
        out[0] = total


@program(1, 500, 20_001, rtol=1e-5)
def sum_in_the_last_block(run, rng, n) -> Results:
    x, out, done = normal(rng, n) + 1, poison(1), np.zeros(1, np.uint32)
    for blocks in (1, 5):
        run(sum_in_the_last_block_kernel, blocks, 64, out, poison(blocks), done, x)
        yield out, wide(x).sum(keepdims=True)
        yield done, np.zeros(1, np.uint32)


@kernel
def halves_kernel(out: Tensor[f16, 1], brain: Tensor[bf16, 1], key: Tensor[i32, 1]) -> None:
    """Counts, small enough to be exact in 8 bits of a bf16."""
    i = block_idx.x * block_dim.x + thread_idx.x
    if i < key.size:
        atomic_add(out.ptr + key[i], f16(0.5))
        atomic_add(brain.ptr + key[i], bf16(1))


@program(1, 77, 900)
def histogram_of_halves(run, rng, n) -> Results:
    key = rng.integers(0, 16, n).astype(np.int32)
    out, brain = np.zeros(16, np.float16), Array.zeros(16, "bf16")
    run(halves_kernel, cdiv(n, 64), 64, out, brain, key)
    count = np.bincount(key, minlength=16)
    yield out, count / 2
    yield np.array([float(v) for v in brain]), count.astype(np.float64)


@kernel
def locks_kernel(total: Tensor[i32, 2], lock: Tensor[u16, 1], x: Tensor[i32, 2]) -> None:
    """Rows are added to one of a few totals, under a lock of 16 bits each, by one thread a block."""
    if thread_idx.x == 0:
        r = block_idx.x
        k = r % total.shape[0]
        while atomic_cas(lock.ptr + k, u16(0), u16(1), "acquire", "relaxed") != 0:
            pass
        for c in range(x.shape[1]):
            total[k, c] += x[r, c]
        atomic_store(lock.ptr + k, u16(0), "release")


@program(1, 3, 40)
def sums_under_locks(run, rng, n) -> Results:
    x, total = rng.integers(-99, 99, (n, 5)).astype(np.int32), np.zeros((3, 5), np.int32)
    run(locks_kernel, n, 32, total, np.zeros(4, np.uint16), x)
    yield total, np.stack([x[k::3].sum(0) for k in range(3)]).astype(np.int32)


@kernel
def compaction_kernel(out: Tensor[f32, 1], count: Tensor[i32, 1], x: Tensor[f32, 1]) -> None:
    """Those that are positive, in any order: a relaxed counter hands out places, and nothing else."""
    i = block_idx.x * block_dim.x + thread_idx.x
    if i < x.size and x[i] > f32(0):
        out[atomic_add(count.ptr, 1, "relaxed")] = x[i]


@program(1, 100, 5000)
def compaction_in_any_order(run, rng, n) -> Results:
    x, out, count = normal(rng, n), np.full(n, np.inf, np.float32), np.zeros(1, np.int32)
    run(compaction_kernel, cdiv(n, 128), 128, out, count, x)
    positive = np.sort(x[x > 0])
    yield count, np.array([positive.size], np.int32)
    yield np.sort(out)[: positive.size], wide(positive)


@kernel
def parity_kernel(bits: Tensor[u32, 1], left: Tensor[i64, 1], x: Tensor[u32, 1]) -> None:
    """Bits that all, some, an odd number of threads have; how many are left of a count that goes down."""
    i = block_idx.x * block_dim.x + thread_idx.x
    if i < x.size:
        atomic_and(bits.ptr, x[i])
        atomic_or(bits.ptr + 1, x[i])
        atomic_xor(bits.ptr + 2, x[i])
        atomic_dec(bits.ptr + 3, u32(9))
        atomic_sub(left.ptr, i64(x[i]), "relaxed", "system")


@program(1, 63, 1001)
def bits_of_all(run, rng, n) -> Results:
    x = rng.integers(0, 2**32, n, np.uint32) | np.uint32(5)
    bits, left = np.array([2**32 - 1, 0, 0, 0], np.uint32), np.full(1, 7, np.int64)
    run(parity_kernel, cdiv(n, 64), 64, bits, left, x)
    expected = [np.bitwise_and.reduce(x), np.bitwise_or.reduce(x), np.bitwise_xor.reduce(x), -n % 10]
    yield bits, np.array(expected, np.uint32)
    yield left, 7 - x.astype(np.int64).sum(keepdims=True)


@kernel
def linked_lists_kernel(head: Tensor[i32, 1], next: Tensor[i32, 1], key: Tensor[i32, 1]) -> None:
    """Each element goes in front of the list of its key: an exchange, and a link to what was there."""
    i = block_idx.x * block_dim.x + thread_idx.x
    if i < key.size:
        next[i] = atomic_exchange(head.ptr + key[i], i32(i), "relaxed")


@program(1, 90, 700)
def linked_lists(run, rng, n) -> Results:
    key = rng.integers(0, 7, n).astype(np.int32)
    head, link = np.full(7, -1, np.int32), poison(n, dtype=np.int32)
    run(linked_lists_kernel, cdiv(n, 96), 96, head, link, key)
    found = np.full(n, -1, np.int32)
    for k in range(7):
        at, steps = int(head[k]), 0
        while at >= 0 and steps <= n and found[at] < 0:
            found[at], at, steps = k, int(link[at]), steps + 1
    yield found, key


@kernel
def pipeline_of_blocks_kernel(x: Tensor[f32, 2], ready: Tensor[i32, 1]) -> None:
    """Block b makes row b of row b - 1, element by element as they come: one flag a row, released and acquired."""
    b, t, n = block_idx.x, thread_idx.x, x.shape[1]
    for first in range(0, n, 32):
        if b > 0:
            if t == 0:
                while atomic_load(ready.ptr + b - 1, "acquire", "device") < first + 32:
                    pass
            barrier()
        if first + t < n:
            before = x[b - 1, first + t] if b > 0 else f32(first + t)
            x[b, first + t] = before * f32(0.5) + f32(1)
        barrier()
        if t == 0:
            atomic_store(ready.ptr + b, i32(first + 32), "release", "device")


@program(1, 32, 130)
def pipeline_of_blocks(run, rng, n) -> Results:
    x, expected = poison(4, n), np.arange(n, dtype=np.float64)
    run(pipeline_of_blocks_kernel, 4, 32, x, np.zeros(4, np.int32))
    rows = []
    for _ in range(4):
        expected = expected * 0.5 + 1
        rows.append(expected)
    yield x, np.stack(rows)


@kernel
def largest_at_kernel(best: Tensor[i64, 1], x: Tensor[f32, 1]) -> None:
    """Where the largest is, the first of several: a float and an index in one number, by compare and exchange."""
    i = block_idx.x * block_dim.x + thread_idx.x
    if i >= x.size:
        return
    bits = i64(x[i].bitcast(i32))
    mine = ((bits ^ ((bits >> 63) & 0x7FFFFFFF)) << 32) | i64(0x7FFFFFFF - i)
    old = atomic_load(best.ptr, "relaxed")
    while old < mine:
        seen = atomic_cas(best.ptr, old, mine, "relaxed")
        if seen == old:
            break
        old = seen


@program(1, 200, 3000)
def largest_at(run, rng, n) -> Results:
    x = np.round(normal(rng, n) * 20).astype(np.float32)
    best = np.full(1, -(2**63), np.int64)
    run(largest_at_kernel, cdiv(n, 96), 96, best, x)
    yield 0x7FFFFFFF - (best & 0xFFFFFFFF), np.array([np.argmax(x)])


@kernel
def messages_kernel(out: Tensor[i32, 1], box: Tensor[i32, 1]) -> None:
    """Threads of a block hand a value on through a flag in shared memory, in the scope of the block."""
    flag, value = shared(i32, 64), shared(i32, 64)
    t = thread_idx.x
    atomic_store(flag.ptr + t, i32(0), "relaxed")
    barrier()
    if t == 0:
        value[0] = box[0]
    else:
        while atomic_load(flag.ptr + t - 1, "relaxed", "block") == 0:
            pass
        fence("acquire", "block")
        value[t] = value[t - 1] + i32(t)
    fence("release", "block")
    atomic_store(flag.ptr + t, i32(1), "relaxed", "block")
    p: Ptr[i32] = out.ptr + t
    p[0] = value[t]


@program(1)
def messages_in_a_block(run, rng, n) -> Results:
    out = poison(64, dtype=np.int32)
    run(messages_kernel, 1, 64, out, np.full(1, 5, np.int32))
    yield out, (5 + np.cumsum(np.arange(64))).astype(np.int32)
