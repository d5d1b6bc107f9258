"""Products of a warpgroup by threads that read both factors from shared memory, and the places of elements there."""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.annotations import Const, StackArray
from sapwood.lang.api.comptime import comptime
from sapwood.lang.api.dtypes import f32, i8, i32, u8, u32
from sapwood.lang.api.loops import unroll
from sapwood.lang.function import fn
from sapwood.lang.library.tile import _factor, _sum, _word, fragment_place, thread_of
from sapwood.lang.ops.gpu.matrix_warpgroup import WarpgroupUnit
from sapwood.lang.ops.gpu.place import lane_id
from sapwood.lang.ops.gpu.warp import warp
from sapwood.lang.ops.memory import address


@fn(inline=True, unchecked=True)
def swizzled(i: int, itemsize: Const[int], swizzle: Const[int]) -> int:
    """Where element i of a tile lies, counted in elements of `itemsize` bytes, if its chunks of 16 bytes are exchanged.

    In rows of `swizzle` bytes (32, 64 or 128; 0: nothing is exchanged), so that eight rows begin in different banks:
    bits 4 to 6 of a byte's offset are combined with bits 7 to 9, as many as the swizzle has. The tile begins at a
    multiple of 8 * swizzle bytes. (PTX ISA, "Shared Memory Matrix Layout".)
    """
    if swizzle == 0:
        return i
    at = i * itemsize
    return (at ^ (at >> 7 & comptime(swizzle // 16 - 1)) << 4) // itemsize


@fn(inline=True, unchecked=True)
def _at(operand: Any, size: Const[int], major: Const[str], mn: int, k: int):
    """The pointer to an element of a factor: its row in A or column in B, and its place along k."""
    p, swizzle, leading, stride = operand
    wide = 16 if swizzle == 0 else swizzle
    at = 0
    if major == "k":
        at = mn % 8 * wide + mn // 8 * stride
        at += k * size if swizzle != 0 else k * size // 16 * leading + k * size % 16
    else:
        chunk = mn * size // 16
        at = mn * size % 16 + k % 8 * wide
        if swizzle == 0:
            at += chunk * stride + k // 8 * leading
        else:
            at += chunk % (swizzle // 16) * 16 + chunk // (swizzle // 16) * leading + k // 8 * stride
    here = address(p)
    there = here + at
    if swizzle != 0:
        there = there ^ (there >> 7 & swizzle // 16 - 1) << 4
    return p + (there - here) // size


@fn(inline=True, unchecked=True)
def _read(unit: Const[WarpgroupUnit], operand: Any, major: Const[str], mn: int, k: int):
    """A factor as the type that is summed."""
    x = _at(operand, comptime(unit.factor.scalar.itemsize), major, mn, k)[0]
    if unit.factor is f32:
        return (x.bitcast(u32) & 0xFFFFE000).bitcast(f32)
    return i32(x) if unit.factor is i8 or unit.factor is u8 else f32(x)


@fn(inline=True, unchecked=True)
def _from_registers(unit: Const[WarpgroupUnit], a: Any, left: Any) -> None:
    """Two rows of A, which four lanes have."""
    p = comptime(unit.a.elements[0][0])
    group = lane_id() // 4 * 4
    for step in unroll(range(2)):
        for other in range(4):
            upper = warp.shuffle(_bits(unit, a, 2 * step * p), group + other)
            lower = warp.shuffle(_bits(unit, a, (2 * step + 1) * p), group + other)
            for k in unroll(range(p)):
                at = 2 * (step * 4 * p + other * p + k)
                left[at], left[at + 1] = _factor(unit, upper, k), _factor(unit, lower, k)


@fn(inline=True, unchecked=True)
def _bits(unit: Const[WarpgroupUnit], a: Any, first: Const[int]) -> u32:
    return a[first].bitcast(u32) & 0xFFFFE000 if unit.factor is f32 else _word(unit, a, first)


@fn(inline=True, unchecked=True)
def multiply_by_warpgroup(
    unit: Const[WarpgroupUnit], c: Any, a: Any, b: Any, held: Const[bool], a_major: Const[str], b_major: Const[str]
):
    """What `wgmma` means. `held`: whether A is in registers."""
    wide = comptime(i32 if unit.sum is i32 else f32)
    t = thread_of(unit.c)
    row = fragment_place(unit.c, t, 0)[0]
    left = StackArray[wide, 2 * unit.k](wide(0))  # of the row, and of that eight below
    sums = StackArray[wide, unit.c.size](wide(0))
    if held:
        _from_registers(unit, a, left)
    else:
        for k in range(unit.k):
            left[2 * k], left[2 * k + 1] = _read(unit, a, a_major, row, k), _read(unit, a, a_major, row + 8, k)
    for k in unroll(range(unit.c.size)):
        sums[k] = wide(c[k])
    for i in range(unit.n // 4):  # the thread's columns
        first = i // 2 * 4 + i % 2
        column = i // 2 * 8 + t % 4 * 2 + i % 2
        upper, lower = sums[first], sums[first + 2]
        for k in range(unit.k):
            y = _read(unit, b, b_major, column, k)
            upper, lower = _sum(left[2 * k], y, upper), _sum(left[2 * k + 1], y, lower)
        sums[first], sums[first + 2] = upper, lower
    return tuple(unit.sum(sums[k]) for k in comptime(tuple(range(unit.c.size))))
