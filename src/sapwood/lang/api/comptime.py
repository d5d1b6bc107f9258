"""Compile-time helpers: in plain Python they are ordinary functions."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def comptime(x: T) -> T:
    """The value, which must be known when the function is compiled."""
    return x


def static_assert(condition: Any, text: str = "") -> None:
    """Stop compilation with `text` when the condition is false."""
    assert condition, text


def simd_width(dtype: Any) -> int:
    """Lanes of the widest vector register of the target for a dtype (16 bytes in plain Python)."""
    from sapwood.lang.api.dtypes import scalar_type

    scalar = scalar_type(dtype)
    if scalar is None:
        raise TypeError(f"simd_width takes a dtype, not {dtype!r}")
    return 16 // scalar.itemsize


def target_has(feature: str) -> bool:
    """Whether the target has a feature (LLVM's name), at compile time. False in plain Python."""
    return False
