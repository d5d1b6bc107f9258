"""Memory functions in the language: fill and copy."""

from __future__ import annotations

from typing import TypeVar

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.function import fn

T = TypeVar("T")


@fn(unchecked=True)
def fill(p: Ptr[T], n: int, x: T) -> None:
    """Write `x` into n elements from `p` on."""
    for i in range(n):
        p[i] = x


@fn(unchecked=True)
def copy(target: Ptr[T], source: Ptr[T], n: int) -> None:
    """Copy n elements between places that do not overlap."""
    for i in range(n):
        target[i] = source[i]
