"""Mistakes with complex numbers and other numbers; see mistakes.py."""

from __future__ import annotations

import numpy as np
from mistakes import call

from sapwood import Tensor, c64, fn


@call(1j, 2j)
@fn
def complex_order(a: complex, b: complex) -> bool:
    return a < b


@call(1j)
@fn
def complex_as_int(a: complex) -> int:
    return int(a)


@call(1j)
@fn
def complex_floor_division(a: complex) -> complex:
    return a // 2


@call(1j)
@fn
def complex_returned_as_float(a: complex) -> float:
    return a * 2


@call(np.zeros(8, np.complex64))
@fn
def complex_lanes(x: Tensor[c64, 1]) -> None:
    x.store(0, x.load(0, width=4))


@call(np.zeros(2, np.complex64), 1j)
@fn
def complex_into_c64(x: Tensor[c64, 1], z: complex) -> None:
    x[0] = z


@call(1j)
@fn
def complex_bits(a: complex) -> complex:
    return ~a
