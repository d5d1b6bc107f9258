"""Mistakes with text and bytes; see mistakes.py."""

from __future__ import annotations

import numpy as np
from mistakes import call

from sapwood import Tensor, fn


@call("a")
@fn
def translates_by_a_text(s: str) -> str:
    return s.translate("table")


@call("a")
@fn
def translates_to_floats(s: str) -> str:
    return s.translate({97: 0.5})  # type: ignore[dict-item]


NAME = "x"


@call("y")
@fn
def identity_with_a_constant(s: str) -> bool:
    return s is NAME


@call(np.zeros(3))
@fn
def view_of_a_tensor(x: Tensor[float, 1]) -> float:
    m = memoryview(x)
    return m[0]


@call(b"abc")
@fn
def view_deleted(s: bytes) -> int:
    m = memoryview(bytearray(s))
    del m[0]
    return len(m)


@call(b"abc")
@fn
def view_item_is_text(s: bytes) -> int:
    m = memoryview(bytearray(s))
    m[0] = "a"
    return m[0]


@call(np.zeros((3, 3)))
@fn
def view_of_two_axes(m: memoryview) -> float:
    return m[0]


@call(3)
@fn
def bytes_of_an_int_in_a_template(n: int) -> bytes:
    return b"%s" % n
