"""Which barriers of a kernel all threads of a block reach together."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from sapwood import Tensor, i32, kernel
from sapwood.gpu import atomic_add, barrier, block_dim, block_idx, lane_id, shared, thread_idx, warp
from sapwood.lang.infer.interpreter import Interpreter
from sapwood.lang.loading.current_target import kernel_target
from sapwood.lang.pipeline import check, infer_entry

Ints = Tensor[i32, 1]


@kernel
def straight(x: Ints) -> None:  # uniform: nothing happened
    barrier()


@kernel
def by_block(x: Ints) -> None:
    if block_idx.x > 3:
        barrier()  # True
    if block_dim.x == x.size:
        barrier()  # True


@kernel
def by_thread(x: Ints) -> None:
    if thread_idx.x < 8:
        barrier()  # False
    else:
        barrier()  # False
    barrier()  # True


@kernel
def by_lane_and_shuffle(x: Ints) -> None:
    n = i32(block_idx.x)
    if warp.shuffle(n, 0) == n:
        barrier()  # False
    if lane_id() == 0:
        barrier()  # False
    if warp.any(n > 0):
        barrier()  # False


@kernel
def by_memory(x: Ints) -> None:
    tile = shared(i32, 4)
    if tile[0] > 0:
        barrier()  # False
    if atomic_add(x.ptr, 1) == 0:
        barrier()  # False
    barrier()  # True


@kernel
def early_return(x: Ints) -> None:
    barrier()  # True
    if thread_idx.x >= x.size:
        return
    barrier()  # False


@kernel
def early_return_of_blocks(x: Ints) -> None:
    if block_idx.x >= x.size:
        return
    barrier()  # True


@kernel
def uniform_loop(x: Ints) -> None:
    t = thread_idx.x
    for k in range(x.size):
        t += k
        barrier()  # True
        if t > 100:
            t -= 7
        barrier()  # True
    barrier()  # True


@kernel
def continued_loop(x: Ints) -> None:
    t = thread_idx.x
    for k in range(x.size):
        t += k
        barrier()  # False: the counter comes from two places, and nothing says that they agree
        if t > 100:
            continue
        barrier()  # False
    barrier()  # True


@kernel
def strided_loop(x: Ints) -> None:
    i = thread_idx.x
    while i < x.size:
        i += block_dim.x
        barrier()  # False
    barrier()  # True


@kernel
def leaves_two_loops(x: Ints) -> None:
    for a in range(4):
        for b in range(4):
            if thread_idx.x == a + b:
                break
            barrier()  # False
        barrier()  # True
    for _ in range(4):
        done = False
        for b in range(4):
            if thread_idx.x == b:
                done = True
        if done:
            break
        barrier()  # False
    barrier()  # True


@kernel
def carried_value(x: Ints) -> None:
    n = 0
    for _ in range(3):
        if n > 1:
            barrier()  # False
        n += thread_idx.x
    m = 0
    for _ in range(3):
        if m > 1:
            barrier()  # True
        m += block_idx.x


KERNELS = [
    straight, by_block, by_thread, by_lane_and_shuffle, by_memory, early_return, early_return_of_blocks, uniform_loop,
    continued_loop, strided_loop, leaves_two_loops, carried_value,
]  # fmt: skip


def barriers(k) -> list[bool]:
    """`uniform` of the barriers, in the order of the source."""
    target = kernel_target()
    interpreter = Interpreter(target)
    interpreter.kernel = k
    arguments = k.state.classify([np.zeros(4, np.int32)])
    program, _, _ = infer_entry(interpreter, k, arguments, k.__name__)
    check(program, target)
    found = {op.loc.line: op.attrs["uniform"] for op in program.walk() if op.name == "barrier"}
    return [found[line] for line in sorted(found)]


@pytest.mark.parametrize("k", KERNELS, ids=lambda k: k.__name__)
def test_uniform_barriers(k):
    lines = [line for line in inspect.getsource(k.__wrapped__).splitlines() if line.strip().startswith("barrier()")]
    expected = ["False" not in line for line in lines]
    assert barriers(k) == expected
