"""What this machine can do at best: bytes read in a second, and multiply-adds in a second.

The limits that a model is compared with: one token cannot take less time than reading the weights once, and a long
prompt not less than its multiplications.
"""

from __future__ import annotations

import time
from typing import Any

from sapwood.lang.api.annotations import SIMD, Const, Ptr
from sapwood.lang.api.comptime import simd_width, target_has
from sapwood.lang.api.dtypes import bf16, f32, i64
from sapwood.lang.api.loops import parallel, unroll
from sapwood.lang.function import fn
from sapwood.lang.ops.arith import mul_add
from sapwood.lang.ops.simd import dot_bf16
from sapwood.runtime.array import Array

PIECE = 32768  # words that one task reads: 256 KiB, in ascending order
STREAMS = 8  # loads in flight that do not wait for one another
CHAINS = 12  # independent accumulators: more than latency times units of any x86


@fn(unchecked=True)
def fill(words: Ptr[i64], pieces: int) -> None:
    """Write every word, so that each page has memory of its own."""
    for task in parallel(pieces):
        for i in range(PIECE):
            words[task * PIECE + i] = i + task


@fn(unchecked=True)
def read(words: Ptr[i64], pieces: int) -> int:
    """The wrapping sum of pieces * PIECE words. Floor: their bytes / memory bandwidth."""
    total = 0
    for task in parallel(pieces, add=total):
        W = simd_width(i64)
        start = words + task * PIECE
        sums = ()
        for _ in unroll(range(STREAMS)):
            sums = sums + (SIMD[i64, W](0),)
        for i in range(0, PIECE, STREAMS * W):
            new = ()
            for j in unroll(range(STREAMS)):
                new = new + (sums[j] + start.load(i + j * W, width=W),)
            sums = new
        for j in unroll(range(STREAMS)):
            total += int(sums[j].reduce_add())
    return total


@fn(unchecked=True)
def multiply(tasks: int, rounds: int, narrow: Const[bool]) -> float:
    """rounds * CHAINS vector multiply-adds in each task, in registers. narrow: bf16 products, summed in f32."""
    total = 0.0
    for _ in parallel(tasks, add=total):
        W = simd_width(f32)
        acc = ()
        for _ in unroll(range(CHAINS)):
            acc = acc + (SIMD[f32, W](1.0),)
        for _ in range(rounds):
            new = ()
            for j in unroll(range(CHAINS)):
                if narrow:
                    new = new + (dot_bf16(acc[j], SIMD[bf16, 2 * W](0.25), SIMD[bf16, 2 * W](0.5)),)
                else:
                    new = new + (mul_add(acc[j], SIMD[f32, W](0.999), SIMD[f32, W](0.5)),)
            acc = new
        for j in unroll(range(CHAINS)):
            total += float(acc[j].reduce_add())
    return total


@fn
def vector_lanes() -> int:
    """f32 lanes of the target's vectors."""
    return simd_width(f32)


@fn
def has_dot_bf16() -> bool:
    """Whether multiply's narrow form exists on the target."""
    return target_has("avx512bf16")


def measure_bandwidth(size: int, seconds: float = 0.5) -> float:
    """Bytes read in a second, by all threads, from `size` bytes that are read over and over; the best round.

    A size beyond the caches gives the memory's bandwidth, a smaller one the cache's.
    """
    pieces = max(size // (8 * PIECE), 1)
    words = Array.empty(pieces * PIECE, "i64")
    fill(words.data_ptr, pieces)
    return pieces * PIECE * 8 * _best_rate(lambda: read(words.data_ptr, pieces), seconds)


def measure_multiply(threads: int, narrow: bool = False, seconds: float = 0.5) -> float:
    """Floating-point operations in a second (a multiply-add is two), by all threads, in registers; the best round.

    narrow: of the bf16 dot product; ValueError where the machine has none.
    """
    if narrow and not has_dot_bf16():
        raise ValueError("this machine has no bf16 dot product")
    rounds = 100_000
    tasks = 4 * threads
    operations = tasks * rounds * CHAINS * vector_lanes() * (4 if narrow else 2)
    return operations * _best_rate(lambda: multiply(tasks, rounds, narrow), seconds)


def _best_rate(call: Any, seconds: float) -> float:
    call()  # compiles, starts the threads
    best, end = float("inf"), time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        call()
        now = time.perf_counter()
        best = min(best, now - start)
        if now > end:
            return 1.0 / best
