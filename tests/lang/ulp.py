"""Errors in units in the last place, against a reference of more digits."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import numpy as np

WIDE = np.longdouble if np.finfo(np.longdouble).nmant >= 63 else None  # x87's 64 bits


def errors(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """|found - true| / ulp(true) in the format of `found`; 0 where both are nan or the same infinity, inf where
    only one is. Beyond the largest number, infinity is right from half an ulp on."""
    info = np.finfo(found.dtype)
    with np.errstate(all="ignore"):
        exponent = np.frexp(true)[1] - 1
        ulp = np.ldexp(true.dtype.type(1), np.maximum(exponent, info.minexp) - info.nmant)
        off = np.abs(found.astype(true.dtype) - true) / ulp
        limit = true.dtype.type(info.max) * (1 + true.dtype.type(2) ** -(info.nmant + 2))
    same = (found == true) | (np.isnan(found) & np.isnan(true))
    same |= np.isinf(found) & (np.abs(true) >= limit) & (np.signbit(found) == np.signbit(true))
    return np.where(same, 0.0, np.where(np.isnan(off), np.inf, off)).astype(np.float64)


def by_mpmath(f: Callable[..., mp.mpf], *columns: np.ndarray) -> np.ndarray:
    """f in 100 bits on each row, as WIDE."""
    assert WIDE is not None
    out = np.empty(len(columns[0]), WIDE)
    with mp.workprec(100):
        for i, row in enumerate(zip(*columns, strict=True)):
            y = f(*(mp.mpf(float(v)) for v in row))
            if mp.isfinite(y) and y != 0:
                fraction, exponent = mp.frexp(y)
                high = float(fraction)
                out[i] = np.ldexp(WIDE(high) + WIDE(float(fraction - high)), exponent)
            else:
                out[i] = WIDE(float(y))
    return out
