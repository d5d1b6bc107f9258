"""Activation functions, element by element, on scalars and vectors of floats."""

from __future__ import annotations

from typing import TypeVar

from sapwood.lang.api.operators import Operators
from sapwood.lang.function import fn
from sapwood.lang.library.math import exp
from sapwood.lang.ops.arith import maximum

T = TypeVar("T", bound=Operators)


@fn(unchecked=True, inline=True)
def silu(x: T) -> T:
    """x * sigmoid(x) (Elfwing et al., 2017)."""
    return x / (1.0 + exp(-x))


@fn(unchecked=True, inline=True)
def relu(x: T) -> T:
    """max(x, 0); nan stays nan."""
    return maximum(x, 0.0)
