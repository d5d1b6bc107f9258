"""Rotary position embedding (Su et al., RoFormer, 2021), in the half-rotation form of Hugging Face's Llama.

Pairs are (d, d + head_dim / 2). The kernels of pairs give both at once, so the rotation is an epilogue.
Tables of cosines and sines are filled once: floor rows * head_dim / 2 evaluations.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import f32
from sapwood.lang.api.loops import parallel
from sapwood.lang.function import fn
from sapwood.lang.library.math import cos, exp, log, sin
from sapwood.lang.ops.arith import select

TWO_PI = 6.283185307179586


@fn(unchecked=True, inline=True)
def inverse_frequency(d: int, head_dim: int, theta: float) -> float:
    """theta ** (-2 d / head_dim), in f64."""
    return exp(-2.0 * float(d) / float(head_dim) * log(theta))


@fn(unchecked=True, inline=True)
def llama3_frequency(f: float, factor: float, low: float, high: float, original: float) -> float:
    """Llama 3's scaling: long wavelengths are stretched by `factor`, with a smooth band between."""
    wavelength = TWO_PI / f
    smooth = (original / wavelength - low) / (high - low)
    between = (1.0 - smooth) * f / factor + smooth * f
    stretched = select(wavelength > original / low, f / factor, between)
    return select(wavelength < original / high, f, stretched)


@fn(unchecked=True)
def fill_rope_tables(
    cosines: Ptr[f32], sines: Ptr[f32], positions: int, head_dim: int, theta: float, kind: int, factor: float,
    low: float, high: float, original: float,
) -> None:
    """cos and sin of position * frequency: [positions, head_dim / 2] each.

    kind: 0 plain, 1 linear scaling by `factor`, 2 Llama 3. Angles are formed in f32, as Hugging Face does.
    """
    half = head_dim // 2
    for p in parallel(positions):
        for d in range(half):
            f = inverse_frequency(d, head_dim, theta)
            if kind == 1:
                f = f / factor
            if kind == 2:
                f = llama3_frequency(f, factor, low, high, original)
            angle = float(f32(p) * f32(f))
            cosines[p * half + d] = f32(cos(angle))
            sines[p * half + d] = f32(sin(angle))


@fn(unchecked=True, inline=True)
def rotate(a: f32, b: f32, c: f32, s: f32) -> Any:
    """The pair (a, b) turned by the angle with cosine c and sine s."""
    return a * c - b * s, b * c + a * s
