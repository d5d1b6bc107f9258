"""The operand contract of fusion.

An input operand of a kernel is a struct with

- `row(m)`: the state of row m, itself with `load(k, width)`: `width` elements from column k on, as SIMD[f32].
  It is pure and may run more than once; a row reduction (a norm) does its reduction in `row`.
  Kernels that go head by head ask the state for `part(k)`, the state of the head from column k on: a norm of each
  head does its reduction there.
- `view()`: a pointer to rows that the kernel may read directly (tile loads, asynchronous copies), or None when
  something is fused, which is known at compile time.

An output operand is a function `store(m, n, v)` (or `store(m, n, v, w)` for kernels of pairs), called exactly
once for each output, in any order, on any thread. The graph compiler generates both; users write their own.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.annotations import SIMD, Ptr
from sapwood.lang.api.comptime import simd_width
from sapwood.lang.api.dtypes import f32
from sapwood.lang.function import fn
from sapwood.lang.ops.arith import mul_add, sqrt
from sapwood.lang.ops.simd import iota
from sapwood.lang.structs import struct


@struct(frozen=True)
class Row:
    """One row of plain memory, f32 or bf16."""

    data: Any  # Ptr

    def load(self, k: Any, width: Any) -> Any:
        return self.data.load(k, width=width).cast(f32)

    def part(self, k: Any) -> Any:
        return self


@struct(frozen=True)
class Rows:
    """An operand with nothing fused: rows of f32 or bf16, `stride` elements apart."""

    data: Any  # Ptr
    stride: int

    def row(self, m: Any) -> Any:
        return Row(self.data + m * self.stride)

    def view(self) -> Any:
        return self.data


@struct(frozen=True)
class NormRow:
    """A row of RMSNorm: its elements times `scale` and the weight."""

    data: Any
    weight: Any
    scale: f32

    def load(self, k: Any, width: Any) -> Any:
        x = self.data.load(k, width=width).cast(f32)
        return x * self.scale * self.weight.load(k, width=width).cast(f32)

    def part(self, k: Any) -> Any:
        return self


@fn(unchecked=True)
def inverse_rms(x: Ptr[f32], n: int, eps: f32) -> f32:
    """1 / sqrt(mean(x^2) + eps) of a row. The sum runs over lanes in a fixed order."""
    W = simd_width(f32)
    acc = SIMD[f32, W](0.0)
    whole = n - n % W
    for k in range(0, whole, W):
        v = x.load(k, width=W)
        acc = mul_add(v, v, acc)
    if whole < n:
        v = x.load(whole, width=W, mask=iota(int, W) < n - whole)
        acc = mul_add(v, v, acc)
    return f32(1.0) / sqrt(acc.reduce_add() / f32(n) + eps)


@struct(frozen=True)
class NormRows:
    """RMSNorm (Zhang and Sennrich, 2019) of f32 rows as an operand: x / rms(x) * weight."""

    data: Any  # Ptr[f32]
    stride: int
    weight: Any  # Ptr
    size: int
    eps: f32

    def row(self, m: Any) -> Any:
        x = self.data + m * self.stride
        return NormRow(x, self.weight, inverse_rms(x, self.size, self.eps))

    def view(self) -> Any:
        return None


@struct(frozen=True)
class NormHead:
    """One normalized head, from column `start` of its row on: elements times `scale` and the weight."""

    data: Any
    weight: Any
    start: int
    scale: f32

    def load(self, k: Any, width: Any) -> Any:
        x = self.data.load(k, width=width).cast(f32)
        return x * self.scale * self.weight.load(k - self.start, width=width).cast(f32)


@struct(frozen=True)
class HeadNormRow:
    """A row whose heads are normalized each for itself. It has parts, and no elements of its own."""

    data: Any
    weight: Any
    head_dim: int
    eps: f32

    def part(self, k: Any) -> Any:
        return NormHead(self.data, self.weight, k, inverse_rms(self.data + k, self.head_dim, self.eps))


@struct(frozen=True)
class HeadNormRows:
    """RMSNorm of every head of f32 rows as an operand of kernels that go head by head; weight [head_dim]."""

    data: Any  # Ptr[f32]
    stride: int
    weight: Any  # Ptr
    head_dim: int
    eps: f32

    def row(self, m: Any) -> Any:
        return HeadNormRow(self.data + m * self.stride, self.weight, self.head_dim, self.eps)

    def view(self) -> Any:
        return None


@struct(frozen=True)
class PickedRows:
    """Rows of another operand, by number."""

    inner: Any
    numbers: Any  # Ptr[i32]

    def row(self, m: Any) -> Any:
        return self.inner.row(int(self.numbers[m]))

    def view(self) -> Any:
        return None


@struct(frozen=True)
class ComputedRow:
    compute: Any
    m: int

    def load(self, k: Any, width: Any) -> Any:
        return self.compute(self.m, k, width)

    def part(self, k: Any) -> Any:
        return self


@struct(frozen=True)
class ComputedRows:
    """An operand whose elements are an expression: compute(m, k, width) gives SIMD[f32, width]."""

    compute: Any

    def row(self, m: Any) -> Any:
        return ComputedRow(self.compute, m)

    def view(self) -> Any:
        return None
