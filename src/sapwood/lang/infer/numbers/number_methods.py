"""Attributes and methods of ints, floats and bools, as Python's numbers have them."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith, bits
from sapwood.lang.types import BOOL, F64, I64, U64
from sapwood.lang.values import Agg, Known, Value

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker


def number_attribute(w: Walker, x: Var, name: str) -> Value | None:
    """`.real`, `.imag`, `.numerator`, `.denominator` of a scalar; None if it has no such attribute."""
    t = x.type
    if not isinstance(t, ty.Scalar):
        return None
    whole = w.b.convert(x, I64) if t == BOOL else x
    if name == "real" or name == "numerator" and not t.is_float:
        return whole
    if name == "imag":
        return w.b.const(0, whole.type)
    if name == "denominator" and not t.is_float:
        return w.b.index(1)
    return None


def _magnitude_bits(w: Walker, x: Var) -> Var:
    """|x| as the bits of a u64; that of the smallest int, too."""
    b = w.b
    wide = b.convert(x, U64 if x.type == U64 else I64)
    return wide if wide.type == U64 else b.convert(b.emit1(arith.absolute, (wide,), I64), U64)


def _bit_length(w: Walker, x: Var) -> Value:
    zeros = w.b.emit1(bits.leading_zeros, (_magnitude_bits(w, x),), U64)
    return w.b.emit1(arith.sub, (w.b.index(64), w.b.convert(zeros, I64)), I64)


def _bit_count(w: Walker, x: Var) -> Value:
    return w.b.convert(w.b.emit1(bits.popcount, (_magnitude_bits(w, x),), U64), I64)


def _conjugate(w: Walker, x: Var) -> Value:
    return w.b.convert(x, I64) if x.type == BOOL else x


def _int_is_integer(w: Walker, x: Var) -> Value:
    return Known(True)


def _int_ratio(w: Walker, x: Var) -> Value:
    return Agg(ty.Tuple(2), (_conjugate(w, x), w.b.index(1)))


def _float_is_integer(w: Walker, x: Var) -> Value:
    from sapwood.lang.ops.operators import binary

    b = w.b
    whole = binary(b, operator.eq, b.apply(arith.floor, x), x)
    finite = binary(b, operator.lt, b.apply(arith.absolute, x), Known(float("inf")))
    return b.emit1(arith.band, (whole, finite), BOOL)


def _float_ratio(w: Walker, x: Var) -> Value:
    from sapwood.lang.library import float_parts

    return w.call_compiled(float_parts.as_integer_ratio, [w.b.convert(x, F64)], {})


def _float_hex(w: Walker, x: Var) -> Value:
    """By Python itself: it is for people to read."""
    from sapwood.lang.infer.border import box, get_attr, unbox
    from sapwood.lang.infer.python_objects import call_object
    from sapwood.lang.values import Spec

    method = get_attr(w, box(w, w.b.convert(x, F64)), "hex")
    return unbox(w, call_object(w, method, [], {}), Spec("leaf", ty.Ref(ty.Str())))


INT_METHODS: dict[str, Any] = {
    "bit_length": _bit_length,
    "bit_count": _bit_count,
    "conjugate": _conjugate,
    "is_integer": _int_is_integer,
    "as_integer_ratio": _int_ratio,
}
FLOAT_METHODS: dict[str, Any] = {
    "is_integer": _float_is_integer,
    "as_integer_ratio": _float_ratio,
    "hex": _float_hex,
    "conjugate": _conjugate,
}


def methods_of(t: ty.Leaf) -> dict[str, Any]:
    """The methods of a scalar type; none of a vector."""
    if not isinstance(t, ty.Scalar):
        return {}
    return FLOAT_METHODS if t.is_float else INT_METHODS
