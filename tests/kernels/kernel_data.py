"""Operands for kernel tests: arrays of both dtypes with the values that they hold."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from sapwood import Array


def bf16_bits(x: np.ndarray) -> np.ndarray:
    """f32 values rounded to the nearest bf16, ties to even, as 16-bit words."""
    u = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    return ((u + 0x7FFF + (u >> 16 & 1)) >> 16).astype(np.uint16)


def rounded(x: np.ndarray, dtype: str) -> np.ndarray:
    """f32 values that `dtype` can hold."""
    if dtype == "f32":
        return np.ascontiguousarray(x, np.float32)
    return (bf16_bits(x).astype(np.uint32) << 16).view(np.float32)


def array(x: np.ndarray, dtype: str) -> Any:
    """The values as what a kernel takes."""
    if dtype == "f32":
        return np.ascontiguousarray(x, np.float32)
    out = Array.zeros(x.shape, "bf16")
    bits = bf16_bits(x)
    ctypes.memmove(out.data_ptr, bits.ctypes.data, bits.nbytes)
    return out


def values(a: Any) -> np.ndarray:
    """f32 values of an array made by `array`."""
    if isinstance(a, np.ndarray):
        return a
    bits = np.empty(a.shape, np.uint16)
    ctypes.memmove(bits.ctypes.data, a.data_ptr, bits.nbytes)
    return (bits.astype(np.uint32) << 16).view(np.float32)


def poisoned(*shape: int) -> np.ndarray:
    return np.full(shape, np.nan, np.float32)


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
