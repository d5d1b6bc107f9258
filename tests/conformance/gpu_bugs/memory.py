"""Accesses outside of what a kernel was given, of what nobody wrote, and at odd addresses."""

from __future__ import annotations

import numpy as np
from gpu_bugs_kit import bug

from sapwood import Ptr, StackArray, Tensor, f32, i32, kernel
from sapwood.gpu import (
    MisalignedError,
    OutOfBoundsError,
    UninitialisedError,
    barrier,
    block_dim,
    block_idx,
    shared,
    thread_idx,
)
from sapwood.lang.ops.memory import address, assume_aligned


def floats(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@kernel(unchecked=True)
def no_guard_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    i = block_idx.x * block_dim.x + thread_idx.x
    out[i] = x[i]  # BUG no_guard


@bug(OutOfBoundsError, "is out of bounds for axis 0 with size 100")
def no_guard():
    no_guard_kernel[4, 32](floats(128), floats(100))


@kernel(unchecked=True)
def off_by_one_kernel(x: Tensor[f32, 1]) -> None:
    i = thread_idx.x
    if i <= x.size:
        x[i] = f32(0)  # BUG off_by_one


@bug(OutOfBoundsError, "index 40 is out of bounds")
def off_by_one():
    off_by_one_kernel[1, 64](floats(40))


@kernel(unchecked=True)
def before_kernel(x: Tensor[f32, 1]) -> None:
    i = thread_idx.x - 1
    x[i] = f32(0)  # BUG before_the_beginning


@bug(OutOfBoundsError, "index -1 is out of bounds")
def before_the_beginning():
    x = floats(80)
    before_kernel[1, 32](x[40:])


@kernel(unchecked=True)
def rows_kernel(x: Tensor[f32, 2]) -> None:
    r, c = thread_idx.y, thread_idx.x
    x[r, c] = f32(1)  # BUG column_in_the_next_row


@bug(OutOfBoundsError, "axis 1 with size 7")
def column_in_the_next_row():
    rows_kernel[1, (8, 4)](floats(5, 7))


@kernel(unchecked=True)
def pointer_kernel(x: Tensor[f32, 1]) -> None:
    p = x.ptr + 4 * thread_idx.x
    p[3] = f32(1)  # BUG pointer_past_the_end


@bug(OutOfBoundsError, "element 127 is outside of x, which has 126, in thread 31 of block 0")
def pointer_past_the_end():
    pointer_kernel[1, 32](floats(126))


@kernel(unchecked=True)
def wild_kernel(x: Tensor[f32, 1]) -> None:
    p = Ptr[f32](8 * thread_idx.x)
    p[0] = x[0]  # BUG wild_pointer


@bug(OutOfBoundsError, "are outside of all memory that the kernel was given")
def wild_pointer():
    wild_kernel[1, 4](floats(4))


@kernel(unchecked=True)
def shared_overflow_kernel(x: Tensor[f32, 1]) -> None:
    first = shared(f32, 32)
    second = shared(f32, 32)
    t = thread_idx.x
    second[t] = f32(0)
    p = first.ptr + t
    p[1] = x[t]  # BUG from_one_shared_array_into_the_next
    barrier()
    x[t] = second[t]


@bug(OutOfBoundsError, "element 32 is outside of first, which has 32, in thread 31 of block 0")
def from_one_shared_array_into_the_next():
    shared_overflow_kernel[1, 32](floats(32))


@kernel(unchecked=True)
def stack_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    own = StackArray[f32, 8](0)
    n = thread_idx.x + 4
    for k in range(n):
        own[k] = x[k]  # BUG stack_array_overflow
    out[thread_idx.x] = own[0]


@bug(OutOfBoundsError)
def stack_array_overflow():
    stack_kernel[1, 16](floats(16), floats(64))


@kernel(unchecked=True)
def vector_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    i = 4 * thread_idx.x
    out.store(i, x.load(i, width=4))  # BUG vector_over_the_end


@bug(OutOfBoundsError, "is out of bounds for axis 0 with size 30")
def vector_over_the_end():
    vector_kernel[1, 8](floats(32), floats(30))


@kernel
def uninitialised_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 64)
    t = thread_idx.x
    if t < x.size:
        tile[t] = x[t]
    barrier()
    total = f32(0)
    for k in range(64):
        total += tile[k]  # BUG the_rest_is_not_zero
    out[t] = total


@bug(UninitialisedError, "reads tile[50]")
def the_rest_is_not_zero():
    uninitialised_kernel[1, 64](floats(64), floats(50))


@kernel
def halo_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1]) -> None:
    tile = shared(f32, 34)
    t = thread_idx.x
    tile[t + 1] = x[t]
    barrier()
    out[t] = tile[t] + tile[t + 2]  # BUG no_halo


@bug(UninitialisedError, "tile[")
def no_halo():
    halo_kernel[1, 32](floats(32), floats(32))


@kernel
def second_block_kernel(out: Tensor[i32, 1]) -> None:
    seen = shared(i32, 1)
    if block_idx.x + thread_idx.x == 0:
        seen[0] = i32(5)
    barrier()
    out[block_idx.x * block_dim.x + thread_idx.x] = seen[0]  # BUG shared_memory_of_another_block


@bug(UninitialisedError, "seen[0]")
def shared_memory_of_another_block():
    second_block_kernel[2, 8](np.zeros(16, np.int32))


@kernel(unchecked=True)
def aligned_kernel(x: Tensor[f32, 1]) -> None:
    p = assume_aligned(x.ptr + thread_idx.x, 16)  # BUG not_aligned
    p[0] = f32(1)


@bug(MisalignedError, "not a multiple of 16 bytes")
def not_aligned():
    aligned_kernel[1, 8](floats(8))


@kernel(unchecked=True)
def odd_kernel(x: Tensor[f32, 1]) -> None:
    p = Ptr[f32](address(x.ptr) + 2)
    p[thread_idx.x] = f32(1)  # BUG odd_address


@bug(MisalignedError, "not a multiple of 4 bytes, in x")
def odd_address():
    odd_kernel[1, 8](floats(16))
