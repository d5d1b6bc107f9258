"""Python-side arithmetic of the machine types: what the reference rules compute with.

Reference values: bool -> bool, ints -> Python int in range, floats -> Python float already rounded to the
type, SIMD -> tuple of those.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from sapwood.lang.bits import wrap_int
from sapwood.lang.types import Leaf, Scalar, Simd, elem_of

# name -> (mantissa bits stored, exponent bits)
_FORMATS = {"f16": (10, 5), "bf16": (7, 8), "f32": (23, 8), "f64": (52, 11)}


def round_float(ty: Scalar, x: float | Fraction) -> float:
    """Round to nearest even in `ty`; exact input when a Fraction is given."""
    if isinstance(x, Fraction):
        return _round_fraction(ty, x)
    if ty.bits == 64 or x != x or x in (math.inf, -math.inf) or x == 0.0:
        return x
    if ty.name == "f32":
        try:
            return struct.unpack("f", struct.pack("f", x))[0]
        except OverflowError:
            return math.copysign(math.inf, x)
    if ty.name == "f16":
        try:
            return struct.unpack("e", struct.pack("e", x))[0]
        except OverflowError:
            return math.copysign(math.inf, x)
    return _round_fraction(ty, Fraction(x))


def _round_fraction(ty: Scalar, x: Fraction) -> float:
    if x == 0:
        return 0.0
    mantissa, exponent_bits = _FORMATS[ty.name]
    bias = (1 << exponent_bits - 1) - 1
    a = abs(x)
    e = a.numerator.bit_length() - a.denominator.bit_length()
    if Fraction(2) ** e > a:
        e -= 1
    e = max(e, 1 - bias)
    scale = Fraction(2) ** (mantissa - e)
    n = a * scale
    q = n.numerator // n.denominator
    r = n - q
    if r > Fraction(1, 2) or (r == Fraction(1, 2) and q & 1):
        q += 1
    value = Fraction(q) / scale
    limit = Fraction(2) ** (bias + 1)
    out = math.inf if value >= limit else float(value)
    return -out if x < 0 else out


def normalise(ty: Scalar, x: Any) -> Any:
    """Bring a freshly computed value into the type: wrap, round, or truth."""
    if ty.is_float:
        return round_float(ty, x if isinstance(x, Fraction) else float(x))
    if ty.kind == "bool":
        return bool(x)
    return wrap_int(ty, int(x))


def elementwise(f: Callable[..., Any], *types: Leaf) -> Callable[..., Any]:
    """Lift a scalar function over SIMD operands (scalars among them are broadcast)."""
    lanes = next((t.lanes for t in types if isinstance(t, Simd)), 0)
    if not lanes:
        return f

    def lifted(*values: Any) -> tuple[Any, ...]:
        columns = [v if isinstance(t, Simd) else (v,) * lanes for v, t in zip(values, types, strict=True)]
        return tuple(f(*row) for row in zip(*columns, strict=True))

    return lifted


def compute(ty: Leaf, f: Callable[..., Any]) -> Callable[..., Any]:
    """`f` on scalars, its result brought into the element type of `ty`."""
    elem = elem_of(ty)
    return lambda *xs: normalise(elem, f(*xs))
