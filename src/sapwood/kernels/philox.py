"""Philox 4x32-10 (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011): random numbers by counter."""

from __future__ import annotations

from typing import Any

from sapwood.lang.api.dtypes import u32, u64
from sapwood.lang.function import fn

MULTIPLY_0, MULTIPLY_1 = 0xD2511F53, 0xCD9E8D57
WEYL_0, WEYL_1 = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10


@fn(unchecked=True)
def philox(c0: u32, c1: u32, c2: u32, c3: u32, k0: u32, k1: u32) -> Any:
    """Four random words for a counter of four words and a key of two."""
    for _ in range(ROUNDS):
        p0 = u64(c0) * u64(MULTIPLY_0)
        p1 = u64(c2) * u64(MULTIPLY_1)
        c0, c1, c2, c3 = u32(p1 >> 32) ^ c1 ^ k0, u32(p1), u32(p0 >> 32) ^ c3 ^ k1, u32(p0)
        k0 = k0 + WEYL_0
        k1 = k1 + WEYL_1
    return c0, c1, c2, c3


@fn(unchecked=True)
def uniform(seed: u64, counter: u64) -> float:
    """A number in [0, 1) with 53 random bits: of the first two words for a 64-bit key and counter."""
    c0, c1, _, _ = philox(u32(counter), u32(counter >> 32), u32(0), u32(0), u32(seed), u32(seed >> 32))
    return float((u64(c0) | (u64(c1) << 32)) >> 11) * 1.1102230246251565e-16
