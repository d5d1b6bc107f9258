"""Kernels against the limits of the machine, both measured in the same run, and against PyTorch.

    python benchmarks/kernels.py [--rows 1,8,512] [--dtypes bf16,f32] [--sizes 2048x2048,...] [--no-torch]

Decode (one row) is compared with the read bandwidth of memory, many rows with the peak of f32 multiply-adds.
Every number is the best of several rounds, and the limits are measured in each round, since other programs on
the machine slow both.
"""

from __future__ import annotations

import argparse
import ctypes
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np

from sapwood import SIMD, Array, Tensor, f32, fn, i32, parallel, simd_width, unroll
from sapwood.kernels.attention import BLOCK, paged_attention
from sapwood.kernels.attention import scratch_elements as attention_scratch
from sapwood.kernels.linear import linear, scratch_elements
from sapwood.kernels.operands import Rows
from sapwood.lang.ops.arith import mul_add

T, R = TypeVar("T"), TypeVar("R")
COLD = 400 << 20  # bytes of weights that are cycled through, so that caches do not help
STREAMS = 8
CHAINS = 12


@fn(unchecked=True)
def read_memory(x: Tensor[f32, 1], out: Tensor[f32, 1]) -> None:
    """Sum all of x, 128 pieces of 8 streams each: as fast as memory can be read."""
    W = simd_width(f32)
    piece = x.shape[0] // 128
    stream = piece // STREAMS
    p, o = x.ptr, out.ptr
    for t in parallel(128):
        acc = ()
        for _ in unroll(range(STREAMS)):
            acc = acc + (SIMD[f32, W](0.0),)
        q = p + t * piece
        for i in range(0, stream - W + 1, W):
            new = ()
            for j in unroll(range(STREAMS)):
                new = new + (acc[j] + q.load(j * stream + i, width=W),)
            acc = new
        s = acc[0]
        for j in unroll(range(STREAMS - 1)):
            s = s + acc[j + 1]
        o[t] = s.reduce_add()


@fn(unchecked=True)
def multiply_add(n: int, out: Tensor[f32, 1]) -> None:
    """32 tasks of n steps of independent multiply-adds in registers: the peak of f32 arithmetic."""
    W = simd_width(f32)
    o = out.ptr
    for t in parallel(32):
        acc = ()
        for _ in unroll(range(CHAINS)):
            acc = acc + (SIMD[f32, W](o[0]),)
        x, y = SIMD[f32, W](o[1]), SIMD[f32, W](o[2])
        for _ in range(n):
            new = ()
            for j in unroll(range(CHAINS)):
                new = new + (mul_add(acc[j], x, y),)
            acc = new
        s = acc[0]
        for j in unroll(range(CHAINS - 1)):
            s = s + acc[j + 1]
        o[3 + t] = s.reduce_add()


@fn(unchecked=True)
def lanes() -> int:
    return simd_width(f32)


@fn(unchecked=True)
def plain_linear(x: Tensor[f32, 2], w: Tensor[T, 2], out: Tensor[f32, 2], scratch: Tensor[f32, 1]) -> None:
    m, k = x.shape
    n = w.shape[0]
    wp, op = w.ptr, out.ptr

    def rows(p):
        return (wp + p * k,)

    def store(r, c, v):
        op[r * n + c] = v

    linear(Rows(x.ptr, k), scratch.ptr, rows, store, m, n, k, 1)


@fn(unchecked=True)
def plain_attention(
    q: Tensor[f32, 3], keys: Tensor[T, R], values: Tensor[T, R], tables: Tensor[i32, 2], sequence: Tensor[i32, 1],
    position: Tensor[i32, 1], out: Tensor[f32, 3], scratch: Tensor[f32, 1], kv_heads: int,
) -> None:
    rows, heads, head_dim = q.shape
    paged_attention(
        q.ptr, out.ptr, keys.ptr, values.ptr, tables.ptr, sequence.ptr, position.ptr, scratch.ptr, rows,
        tables.shape[1], heads, kv_heads, head_dim, f32(0.125),
    )


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


class Limits:
    """The best bandwidth and arithmetic seen so far."""

    def __init__(self) -> None:
        self.memory = np.ones(64 << 20, np.float32)
        self.out = np.zeros(128, np.float32)
        self.bytes_per_s = self.flops_per_s = 0.0

    def measure(self) -> None:
        took = seconds(lambda: read_memory(self.memory, self.out))
        self.bytes_per_s = max(self.bytes_per_s, self.memory.nbytes / took)
        steps = 20000
        took = seconds(lambda: multiply_add(steps, self.out))
        self.flops_per_s = max(self.flops_per_s, 32 * steps * CHAINS * lanes() * 2 / took)


def weights(n: int, k: int, dtype: str, count: int) -> list[tuple[Any, np.ndarray]]:
    """`count` matrices, as the kernel takes them, with their f32 values."""
    made = []
    for i in range(count):
        w = np.random.default_rng(i).standard_normal((n, k), dtype=np.float32) * 0.05
        if dtype == "f32":
            made.append((w, w))
            continue
        bits = (w.view(np.uint32) >> 16).astype(np.uint16)
        array = Array.zeros((n, k), "bf16")
        ctypes.memmove(array.data_ptr, bits.ctypes.data, bits.nbytes)
        made.append((array, w))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1,8,512")
    parser.add_argument("--dtypes", default="bf16,f32")
    parser.add_argument("--sizes", default="2048x2048,8192x2048,2048x8192,32000x2048", help="outputs x inputs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--no-attention", dest="attention", action="store_false")
    options = parser.parse_args()
    torch: Any = None
    if not options.no_torch:
        import torch
    limits = Limits()
    print(f"{'dtype':5} {'rows':>5} {'size':>11} {'ms':>9} {'GB/s':>6} {'of read':>8} {'GFLOP/s':>8} {'of peak':>8} "
          f"{'torch ms / ms':>14}")  # fmt: skip
    for dtype in options.dtypes.split(","):
        for size in options.sizes.split(","):
            n, k = map(int, size.split("x"))
            nbytes = n * k * (4 if dtype == "f32" else 2)
            made = weights(n, k, dtype, max(1, COLD // nbytes))
            for m in map(int, options.rows.split(",")):
                few = made if m < 64 else made[:1]
                best, peer = measure(few, m, n, k, dtype, limits, torch, options.rounds)
                ratio = f"{peer / best:14.2f}" if torch else ""
                report(dtype, m, size, best, nbytes, 2 * m * n * k, limits, ratio)
    if options.attention:
        measure_attention(limits, options.rounds)
    print(f"limits: {limits.bytes_per_s / 1e9:.1f} GB/s read, {limits.flops_per_s / 1e9:.0f} GFLOP/s f32")


def report(
    dtype: str, rows: int, size: str, best: float, nbytes: int, flops: int, limits: Limits, ratio: str = ""
) -> None:
    speed, rate = nbytes / best, flops / best
    print(
        f"{dtype:5} {rows:5} {size:>11} {best * 1e3:9.2f} {speed / 1e9:6.1f} {speed / limits.bytes_per_s:8.0%} "
        f"{rate / 1e9:8.1f} {rate / limits.flops_per_s:8.0%} {ratio}",
        flush=True,
    )


def measure_attention(limits: Limits, rounds: int, heads: int = 32, kv_heads: int = 8, head_dim: int = 64) -> None:
    """A prompt of 512 at once, and one row after 4096."""
    width = 4096 // BLOCK
    for dtype in ("bf16", "f32"):
        shape = (width, kv_heads, head_dim, BLOCK)
        keys, values = (weights(width * kv_heads, head_dim * BLOCK, dtype, 2)[i][0] for i in (0, 1))
        if dtype == "f32":
            keys, values = keys.reshape(shape), values.reshape(shape)
        tables = np.arange(width, dtype=np.int32)[None]
        for rows, last in ((512, 512), (1, 4096)):
            q = np.random.default_rng(2).standard_normal((rows, heads, head_dim), dtype=np.float32)
            position = np.arange(last - rows, last, dtype=np.int32)
            sequence = np.zeros(rows, np.int32)
            out = np.empty_like(q)
            scratch = np.empty(attention_scratch(rows, kv_heads, head_dim), np.float32)
            arguments = (q, keys, values, tables, sequence, position, out, scratch, kv_heads)
            best = float("inf")
            for _ in range(rounds):
                limits.measure()
                best = min(best, seconds(partial(plain_attention, *arguments)))
            context = int(position.sum()) + rows
            nbytes = last * kv_heads * head_dim * 2 * (4 if dtype == "f32" else 2)
            report(dtype, rows, f"attend {last}", best, nbytes, 4 * heads * head_dim * context, limits)


def measure(
    made: list[Any], m: int, n: int, k: int, dtype: str, limits: Limits, torch: Any, rounds: int
) -> tuple[float, float]:
    """(best seconds of ours, of PyTorch) for one product."""
    x = np.random.default_rng(1).standard_normal((m, k), dtype=np.float32)
    out = np.empty((m, n), np.float32)
    scratch = np.empty(scratch_elements(m, k), np.float32)
    best = peer = float("inf")
    theirs: list[Any] = []
    if torch:
        kind = torch.float32 if dtype == "f32" else torch.bfloat16
        theirs = [torch.from_numpy(w).to(kind) for _, w in made[:4]]
        tx = torch.from_numpy(x).to(kind)
    for _ in range(rounds):
        limits.measure()
        best = min(best, seconds(lambda: [plain_linear(x, w, out, scratch) for w, _ in made]) / len(made))
        if torch:
            with torch.no_grad():
                peer = min(peer, seconds(lambda: [tx @ w.T for w in theirs]) / len(theirs))
    return best, peer


if __name__ == "__main__":
    main()
