"""Steps over K of a linear layer: how weights of a dtype meet the rows of x on a target.

- bf16 weights with amx-bf16 are multiplied in tiles: see kernels/linear_amx.py.
- f32 weights: a step is one vector of k, multiply-adds in f32.
- bf16 weights with avx512bf16: a step is two vectors of k, VDPBF16PS on x rounded to bf16.
- bf16 weights elsewhere: a step is two vectors of k, widened: the even k of the step, then the odd ones, so that
  widening is a shift and a mask. x stays f32 and is packed in that order.

Everything here is a function of dtype and target alone: it decides the bits of a row.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.annotations import SIMD, Const, StackArray
from sapwood.lang.api.comptime import simd_width, target_has
from sapwood.lang.api.dtypes import bf16, f32, u32
from sapwood.lang.api.loops import unroll
from sapwood.lang.function import fn
from sapwood.lang.ops.arith import mul_add
from sapwood.lang.ops.convert import bitcast
from sapwood.lang.ops.simd import dot_bf16, shuffle


@fn(unchecked=True, inline=True)
def uses_amx(dtype: Any) -> Any:
    """Whether weights of dtype go through AMX tiles (kernels/linear_amx.py)."""
    if dtype == bf16:
        return target_has("amx-bf16")
    return False


@fn(unchecked=True, inline=True)
def step(dtype: Any) -> Any:
    """Columns of one step over K."""
    if dtype == bf16:
        return 2 * simd_width(f32)
    return simd_width(f32)


@fn(unchecked=True, inline=True)
def packed(scratch: Any, dtype: Any) -> Any:
    """Memory as a pointer to what x and w are packed as."""
    if dtype == bf16:
        if target_has("avx512bf16"):
            return scratch.cast(bf16)
    return scratch.cast(f32)


@fn(unchecked=True, inline=True)
def load_weights(w: Any) -> Any:
    """The vectors that one step of weights is multiplied as."""
    if w.dtype == bf16:
        if target_has("avx512bf16"):
            return (w,)
        return evens(w), odds(w)
    return (w,)


@fn(unchecked=True, inline=True)
def load_tail(p: Any, count: int, STEP: Const[int]) -> Any:
    """The last `count` columns of a row, filled up to a step with zeros. Masked loads of bf16 would be branches for
    every lane before AVX-512."""
    buffer = StackArray[p.dtype, STEP]()
    buffer.ptr.store(0, SIMD[f32, STEP](0.0).cast(p.dtype))
    for i in range(count):
        buffer.ptr[i] = p[i]
    return buffer.ptr.load(0, width=STEP)


@fn(unchecked=True, inline=True)
def evens(w: Any) -> Any:
    """Lanes 0, 2, 4, ... of a bf16 vector, as f32."""
    return bitcast(bitcast(w, u32) << 16, f32)


@fn(unchecked=True, inline=True)
def odds(w: Any) -> Any:
    """Lanes 1, 3, 5, ... of a bf16 vector, as f32."""
    return bitcast(bitcast(w, u32) & 0xFFFF0000, f32)


@fn(unchecked=True, inline=True)
def step_product(acc: Any, x: Any, w: Any) -> Any:
    """acc plus the products of one vector of x and one of w."""
    if x.dtype == bf16:
        return dot_bf16(acc, x, w)
    return mul_add(x, w, acc)


@fn(unchecked=True, inline=True)
def multiply(acc: Any, x: Any, w: Any) -> Any:
    """One step of one output: x points to the packed step, w is what load_weights gave."""
    V = simd_width(x.dtype)
    out = step_product(acc, x.load(0, width=V), w[0])
    if len(w) == 2:
        out = step_product(out, x.load(V, width=V), w[1])
    return out


@fn(unchecked=True, inline=True)
def pack_row(row: Any, target: Any, k: int, padded: int, stride: int, dtype: Any) -> None:
    """Write a row operand as multiply reads it: steps `stride` elements apart, zeros from k up to padded."""
    STEP = step(dtype)
    whole = k - k % STEP
    out = target
    for i in range(0, whole, STEP):
        store_step(out, row.load(i, STEP), STEP)
        out = out + stride
    if whole < k:
        zero_row(out, STEP, stride, STEP)
        for i in range(whole, k):
            out[position(i - whole, STEP, target.dtype)] = row.load(i, 1)[0].cast(target.dtype)


@fn(unchecked=True, inline=True)
def position(i: int, STEP: Const[int], dtype: Any) -> int:
    """Where column i of a step stands."""
    W = simd_width(f32)
    if dtype == f32:
        if STEP == 2 * W:
            return i % 2 * W + i // 2
    return i


@fn(unchecked=True, inline=True)
def store_step(out: Any, v: Any, STEP: Const[int]) -> None:
    W = simd_width(f32)
    if out.dtype == f32:
        if STEP == 2 * W:
            out.store(0, shuffle(v, every_second(0, W)))
            out.store(W, shuffle(v, every_second(1, W)))
        else:
            out.store(0, v)
    else:
        out.store(0, v.cast(out.dtype))


@fn(unchecked=True, inline=True)
def every_second(first: Const[int], count: Const[int]) -> Any:
    out = ()
    for i in unroll(range(count)):
        out = out + (first + 2 * i,)
    return out


@fn(unchecked=True, inline=True)
def zero_row(target: Any, padded: int, stride: int, STEP: Const[int]) -> None:
    """Zeros in the place of a row."""
    V = simd_width(target.dtype)
    for i in range(padded // STEP):
        for h in range(0, STEP, V):
            target.store(i * stride + h, SIMD[f32, V](0.0).cast(target.dtype))
