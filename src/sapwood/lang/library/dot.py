"""Dot products of small integers in words, by plain arithmetic."""

from __future__ import annotations

from typing import TypeVar

from sapwood.lang.api.annotations import Const
from sapwood.lang.api.comptime import comptime
from sapwood.lang.api.dtypes import i8, i16, i32, u8, u16, u32
from sapwood.lang.api.loops import unroll
from sapwood.lang.function import fn

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


@fn(inline=True, unchecked=True)
def _part(x: A, k: Const[int], bits: Const[int]) -> i32:
    """Number k of so many bits in a word, as an i32: its low bits are those that a u32 would have."""
    word = x.bitcast(u32) >> bits * k
    if bits == 8:
        return i32(u8(word & 255)) if A is u32 else i32(u8(word & 255).bitcast(i8))
    return i32(u16(word & 65535)) if A is u32 else i32(u16(word & 65535).bitcast(i16))


@fn(inline=True, unchecked=True)
def sum_of_products(a: A, b: B, c: C, count: Const[int], first: Const[int]) -> C:
    """What `dp4a` (four of bytes) and `dp2a` (two) mean."""
    total = c.bitcast(i32)
    for k in unroll(range(count)):
        total += _part(a, k, comptime(32 // count)) * _part(b, comptime(first + k), 8)
    return total.bitcast(C)
