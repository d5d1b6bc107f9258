"""What simt costs: a switch between threads, a launch, and a kernel against the same loop as an @fn.

    python benchmarks/simt.py [--json]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from sapwood import Tensor, f32, fn, kernel, u64
from sapwood.gpu import (
    async_copy,
    barrier,
    block_dim,
    block_idx,
    commit_group,
    grid_dim,
    mbarrier,
    named_barrier,
    shared,
    thread_idx,
    wait_group,
    warp,
)

SWITCHES = 1_000_000


@kernel
def empty() -> None:
    return


@kernel
def barriers(out: Tensor[f32, 1], n: int) -> None:
    """n switches a thread, with two values that live across them."""
    a, b = f32(thread_idx.x), f32(1)
    for _ in range(n):
        a, b = a + b, a * f32(0.5)
        barrier()
    out[thread_idx.x] = a + b


@kernel
def shuffles(out: Tensor[f32, 1], n: int) -> None:
    x = f32(thread_idx.x)
    for _ in range(n):
        x += warp.shuffle_xor(x, 1) * f32(0.25)
    out[thread_idx.x] = x


@kernel
def named(out: Tensor[f32, 1], n: int) -> None:
    for _ in range(n):
        named_barrier(1, block_dim.x).sync()


@kernel
def phases(out: Tensor[f32, 1], n: int) -> None:
    bar = shared(u64, 1)
    if thread_idx.x == 0:
        mbarrier.init(bar.ptr, block_dim.x)
    barrier()
    for k in range(n):
        mbarrier.arrive(bar.ptr)
        mbarrier.wait(bar.ptr, k % 2)


@kernel
def copies(out: Tensor[f32, 1], n: int) -> None:
    tile = shared(f32, 1024)
    t = thread_idx.x
    for _ in range(n):
        async_copy(tile.ptr + t, out.ptr + t, 1)
        commit_group()
        wait_group(1)


@kernel(unchecked=True)
def scale_kernel(x: Tensor[f32, 1], a: f32) -> None:
    for i in range(block_idx.x * block_dim.x + thread_idx.x, x.size, grid_dim.x * block_dim.x):
        x[i] = x[i] * a + f32(1)


@fn(unchecked=True)
def scale_loop(x: Tensor[f32, 1], a: f32) -> None:
    for i in range(x.size):
        x[i] = x[i] * a + f32(1)


KERNELS = {
    "barrier": barriers,
    "shuffle": shuffles,
    "named barrier": named,
    "phase of an mbarrier": phases,
    "copy of 4 bytes": copies,
}


def best(run: Callable[[], object], repeats: int = 9) -> float:
    """Seconds of the fastest of some runs."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def measure() -> dict[str, float]:
    out = np.zeros(1024, np.float32)
    found: dict[str, float] = {}
    for block in (32, 256, 1024):
        for name, k in KERNELS.items():
            run = partial(k[1, block], out, SWITCHES // block)
            found[f"ns a {name} and thread, blocks of {block}"] = best(run) / SWITCHES * 1e9
    found["us a launch of one thread"] = best(lambda: [empty[1, 1]() for _ in range(100)]) / 100 * 1e6
    x = np.ones(1 << 20, np.float32)
    loop = best(lambda: scale_loop(x, 0.5))
    found["kernel over plain loop, 2^20 floats"] = best(lambda: scale_kernel[64, 128](x, 0.5)) / loop
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    found = measure()
    if parser.parse_args().json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{value:8.2f}  {name}")


if __name__ == "__main__":
    main()
