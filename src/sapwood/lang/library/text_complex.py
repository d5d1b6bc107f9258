"""Complex numbers as text."""

from __future__ import annotations

from sapwood.lang.function import fn
from sapwood.lang.ops.arith import copysign


@fn
def complex_text(re: float, im: float) -> str:
    """repr of a complex number: no real part where that is +0.0, whole parts without a point."""
    second = repr(im).removesuffix(".0")
    if re == 0.0 and copysign(1.0, re) > 0.0:
        return second + "j"
    first = repr(re).removesuffix(".0")
    if second.startswith("-"):
        return "(" + first + second + "j)"
    return "(" + first + "+" + second + "j)"
