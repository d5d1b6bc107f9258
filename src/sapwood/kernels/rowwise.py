"""Functions of whole rows as kernels of their own: RMSNorm, softmax, the SiLU gate.

In a compiled model the norm is an operand (kernels/operands.py) and the gate an epilogue of linear; these are
for rows that nothing else takes. Floor: bytes read and written / memory bandwidth.
"""

from __future__ import annotations

from typing import Any

from sapwood.kernels.activations import silu
from sapwood.kernels.elementwise import map_rows
from sapwood.kernels.operands import ComputedRows, NormRows
from sapwood.kernels.sampling import largest, sum_weights, weight
from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.comptime import simd_width
from sapwood.lang.api.dtypes import f32
from sapwood.lang.api.loops import parallel
from sapwood.lang.function import fn


@fn(unchecked=True, inline=True)
def rms_norm(x: Ptr[f32], weight: Any, out: Ptr[f32], rows: int, width: int, eps: f32) -> None:
    """out = x / sqrt(mean(x^2) + eps) * weight for each row of f32 [rows, width] (Zhang and Sennrich, 2019)."""

    def store(m: Any, k: Any, v: Any) -> None:
        out.store(m * width + k, v)

    map_rows(NormRows(x, width, weight, width, eps), store, rows, width)


@fn(unchecked=True, inline=True)
def silu_gate(gate: Ptr[f32], up: Ptr[f32], out: Ptr[f32], rows: int, width: int) -> None:
    """out = silu(gate) * up for f32 [rows, width] (SwiGLU; Shazeer, 2020)."""

    def compute(m: Any, k: Any, w: Any) -> Any:
        return silu(gate.load(m * width + k, width=w)) * up.load(m * width + k, width=w)

    def store(m: Any, k: Any, v: Any) -> None:
        out.store(m * width + k, v)

    map_rows(ComputedRows(compute), store, rows, width)


@fn(unchecked=True, inline=True)
def softmax(x: Ptr[f32], out: Ptr[f32], rows: int, width: int, temperature: f32) -> None:
    """out = softmax(x / temperature) for each row of f32 [rows, width]; out may be x. Sums are in f64."""
    W = simd_width(f32)
    for m in parallel(rows):
        row, target = x + m * width, out + m * width
        top = largest(row, width)
        scale = f32(1.0 / sum_weights(row, width, top, temperature))
        whole = width - width % W
        for k in range(0, whole, W):
            target.store(k, weight(row.load(k, width=W), top, temperature) * scale)
        for k in range(whole, width):
            target[k] = weight(row[k], top, temperature) * scale
