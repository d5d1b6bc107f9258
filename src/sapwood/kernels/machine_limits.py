"""What this machine can do at best: bytes read in a second, and multiply-adds in a second.

The limits that a model is compared with: one token cannot take less time than reading the weights once, and a long
prompt not less than its multiplications.
"""

from __future__ import annotations

import time
from typing import Any

from sapwood.lang.api.annotations import SIMD, Const, Ptr, StackArray
from sapwood.lang.api.comptime import simd_width, target_has
from sapwood.lang.api.dtypes import bf16, f32, i64
from sapwood.lang.api.loops import parallel, unroll
from sapwood.lang.function import fn
from sapwood.lang.ops.amx import tdpbf16ps, tile_load, tile_store, tile_zero
from sapwood.lang.ops.arith import mul_add
from sapwood.lang.ops.simd import dot_bf16
from sapwood.runtime.array import Array

PIECE = 32768  # words that one task reads: 256 KiB, in ascending order
STREAMS = 8  # loads in flight that do not wait for one another
TILES = 6  # accumulators beside the two factors, of eight tile registers
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


@fn(unchecked=True)
def multiply_tiles(tasks: int, rounds: int) -> float:
    """rounds * TILES products of AMX tiles (16 x 32 by 32 x 16, bf16 in f32) in each task, in tile registers."""
    total = 0.0
    for _ in parallel(tasks, add=total):
        ones = StackArray[bf16, 512]()
        sums = StackArray[f32, 256]()
        for i in range(512):
            ones[i] = bf16(1.0)
        left, right = tile_load(ones.ptr, 32, 16, 64), tile_load(ones.ptr, 32, 16, 64)
        acc = ()
        for _ in unroll(range(TILES)):
            acc = acc + (tile_zero(16, 64),)
        for _ in range(rounds):
            new = ()
            for j in unroll(range(TILES)):
                new = new + (tdpbf16ps(acc[j], left, right),)
            acc = new
        for j in unroll(range(TILES)):
            tile_store(sums.ptr, 16, acc[j])
            total += float(sums[0])
    return total


@fn
def vector_lanes() -> int:
    """f32 lanes of the target's vectors."""
    return simd_width(f32)


@fn
def best_bf16() -> int:
    """The best instruction for bf16 products on the target: 0 f32 multiply-adds, 1 VDPBF16PS, 2 AMX tiles."""
    if target_has("amx-bf16"):
        return 2
    if target_has("avx512bf16"):
        return 1
    return 0


def measure_bandwidth(size: int, seconds: float = 0.5) -> float:
    """Bytes read in a second, by all threads, from `size` bytes that are read over and over; the best round.

    A size beyond the caches gives the memory's bandwidth, a smaller one the cache's.
    """
    pieces = max(size // (8 * PIECE), 1)
    words = Array.empty(pieces * PIECE, "i64")
    fill(words.data_ptr, pieces)
    return pieces * PIECE * 8 * _best_rate(lambda: read(words.data_ptr, pieces), seconds)


INSTRUCTIONS = ("f32 multiply-add", "bf16 dot product", "AMX bf16 tile product")


def measure_multiply(threads: int, dtype: str = "f32", seconds: float = 0.5) -> tuple[float, str]:
    """Floating-point operations in a second (a multiply-add is two), by all threads, in registers; the best round.

    dtype: of the factors, "f32" or "bf16"; for the latter the machine's best instruction. Its name comes second.
    """
    kind = best_bf16() if dtype == "bf16" else 0
    rounds, tasks = 100_000, 4 * threads
    if kind == 2:
        operations, call = TILES * 2 * 16 * 16 * 32, lambda: multiply_tiles(tasks, rounds)
    else:
        operations = CHAINS * vector_lanes() * (4 if kind else 2)
        call = (lambda: multiply(tasks, rounds, True)) if kind else (lambda: multiply(tasks, rounds, False))
    return tasks * rounds * operations * _best_rate(call, seconds), INSTRUCTIONS[kind]


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
