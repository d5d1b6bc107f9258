"""Elements of one dtype as another: weights of a checkpoint in the dtype that a model runs in.

Floor: bytes read and written / memory bandwidth.
"""

from __future__ import annotations

from typing import TypeVar

from sapwood.lang.api.annotations import Tensor
from sapwood.lang.api.loops import parallel
from sapwood.lang.function import fn

S = TypeVar("S")
T = TypeVar("T")

CHUNK = 1 << 16


@fn(unchecked=True)
def convert_elements(source: Tensor[S, 1], target: Tensor[T, 1]) -> None:
    """target[i] = source[i], rounded to the target's dtype. Both of equal length."""
    n = len(target)
    for c in parallel((n + CHUNK - 1) // CHUNK):
        for i in range(c * CHUNK, min(c * CHUNK + CHUNK, n)):
            target[i] = source[i].cast(target.dtype)
