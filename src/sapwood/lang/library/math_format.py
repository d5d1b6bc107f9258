"""What the math functions need to know of f32 and f64: widths, limits, parts of constants, polynomials.

A constant in parts is (high, low) with high + low = c: high has so few bits that the products which the
functions form with it are exact.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeVar

from sapwood.lang import types
from sapwood.lang.api.dtypes import f32, f64, i32, i64, u32, u64
from sapwood.lang.errors import BadOperand
from sapwood.lang.library.math_polynomials import POLYNOMIALS_32, POLYNOMIALS_64, Polynomials
from sapwood.lang.ops.arith import div, same_type
from sapwood.lang.ops.base import operation
from sapwood.lang.types import F32, F64, Scalar, Simd, elem_of, like
from sapwood.lang.values import Known, Value, Var, describe

T = TypeVar("T")

INF = float("inf")
NAN = float("nan")

LN2 = Fraction("0.693147180559945309417232121458176568075500134360255254120680009")
LN10 = Fraction("2.302585092994045684017991454684364207601101488628772976033327901")
PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459")
ROOT_HALF = Fraction("0.707106781186547524400844362104849039284835937688474036588339869")


def nearest(c: Fraction, bits: int) -> float:
    """c rounded to so many significant bits."""
    exponent = abs(c.numerator).bit_length() - c.denominator.bit_length()
    if abs(c) < Fraction(2) ** exponent:
        exponent -= 1
    scale = Fraction(2) ** (bits - 1 - exponent)
    return float(round(c * scale) / scale)


def in_parts(c: Fraction, high_bits: int, low_bits: int) -> tuple[float, float]:
    high = nearest(c, high_bits)
    return high, nearest(c - Fraction(high), low_bits)


class Format:
    """The constants of one float format, and the ints of its width."""

    def __init__(self, dtype: Any, unsigned: Any, signed: Any, bits: int, exponent_bits: int, p: Polynomials) -> None:
        self.dtype, self.unsigned, self.signed = dtype, unsigned, signed
        self.polynomials = p
        self.exponent = i32  # for which conversions to floats exist everywhere
        self.bits = bits  # of the significand
        self.fraction_bits = bits - 1
        self.sign_shift = bits + exponent_bits - 1
        self.bias = (1 << (exponent_bits - 1)) - 1
        one = 1 << self.fraction_bits
        self.fraction_mask = one - 1
        self.root_half_bits = (self.bias - 2) * one + int(nearest(ROOT_HALF, bits) * 2 * one)
        self.smallest_normal = 2.0 ** (1 - self.bias)
        self.scale_up = 2.0**bits  # makes subnormals normal
        self.epsilon = 2.0**-bits
        # Adding it to x, |x| < 2**(bits - 3), rounds x to the nearest int n, ties to even, and leaves n in the
        # low bits of the sum. So n is found without a conversion, which would have to look for nan.
        self.shift = 1.5 * one
        # beyond these, results are 0, -1 or 1, or infinite; within, 2**n of the reduction can be formed
        smallest = self.bias + bits - 1
        self.exp_low, self.exp_high = -float(int((smallest + 2) * LN2) + 1), float(int((self.bias + 1) * LN2) + 1)
        self.exp2_low, self.exp2_high = -float(smallest + 2), float(self.bias + 2)
        self.expm1_low = -float(bits)
        self.tanh_high = float(bits) / 2
        self.erf_high = 4.0 if bits == 24 else 6.0
        self.erfc_high = 10.2 if bits == 24 else 27.3
        self.pi_quarter = in_parts(PI / 4, bits - 2, bits)  # its multiples by up to 4 are exact
        self.atan_high = 2.0 ** (bits + 10)  # beyond, atan is pi / 2
        self.area_high = 2.0 ** (bits // 2 + 2)  # beyond, x**2 + 1 and x**2 - 1 are as good as x**2
        self.scale_below = 2.0**-40 if bits == 24 else 2.0**-600  # smaller numbers are scaled before a quotient
        # logarithms: 2 / ln 2 and the like in half of the bits, n ln 2 with room for the bits of n
        self.high_mask = (1 << (bits + exponent_bits)) - (1 << (bits + 1) // 2)
        self.ln2 = in_parts(LN2, bits - exponent_bits - 1, bits)
        self.ln2_pair = in_parts(LN2, bits, bits)
        self.log2_e, self.log2_e_parts = nearest(1 / LN2, bits), in_parts(1 / LN2, bits // 2, bits)
        self.log10_e, self.log10_e_parts = nearest(1 / LN10, bits), in_parts(1 / LN10, bits // 2, bits)
        self.log10_2 = in_parts(LN2 / LN10, bits - exponent_bits - 1, bits)
        self.two_log2_e_pair = in_parts(2 / LN2, bits, bits)
        self.third_pair = in_parts(Fraction(1, 3), bits, bits)


FORMATS = {
    "f32": Format(f32, u32, i32, 24, 8, POLYNOMIALS_32),
    "f64": Format(f64, u64, i64, 53, 11, POLYNOMIALS_64),
}


@operation(pure=True)
def format_of(x: Any) -> Format:
    """The constants for the dtype of x, f32 or f64."""
    ...


@format_of.typing
def _(b, x):
    return Known(FORMATS[elem_of(b.materialize(x).type).name])


@operation(pure=True)
def widened(x: Any) -> Any:
    """A float in the format that the functions compute in: f16 and bf16 in f32."""
    ...


@widened.typing
def _(b, x):
    x = _float(b, x)
    return b.convert(x, like(x.type, F32)) if elem_of(x.type).narrow else x


def _float(b, x: Value) -> Var:
    """A float scalar or vector, or a mistake of whoever called the function that asks."""
    weak = isinstance(x, Known) and isinstance(x.value, float)
    if not weak and not (isinstance(x, Var) and isinstance(x.type, Scalar | Simd) and elem_of(x.type).is_float):
        name = b.interpreter.frames[-1].name if b.interpreter.frames else "a math function"
        hint = "convert an int first, for example float(x) or f32(x); load a tensor's elements first"
        detail = f"takes a float or a SIMD vector of floats, not {describe(x)}"
        raise BadOperand(b.loc, function=name, detail=detail, hint=hint)
    return b.materialize(x)


@operation(pure=True)
def in_format_of(x: T, y: Any) -> T:
    """y in the float type of x: what `widened` gave, back again."""
    ...


@in_format_of.typing
def _(b, x, y):
    return b.convert(b.materialize(y), b.materialize(x).type)


@operation(pure=True)
def in_f64(x: Any) -> Any:
    """A float in f64."""
    ...


@in_f64.typing
def _(b, x):
    x = _float(b, x)
    return b.convert(x, like(x.type, F64))


@operation(pure=True)
def quotient(x: T, y: T) -> T:
    """x / y by IEEE's rules, also where Python's / would raise: in bodies that CPython runs."""
    ...


@quotient.typing
def _(b, x, y):
    x, y = same_type(b, "quotient", x, y, floats_only=True)
    return b.emit1(div, (x, y), x.type)


@operation(pure=True)
def lanes_of(x: Any) -> int:
    """The number of lanes; 0 of a scalar."""
    ...


@lanes_of.typing
def _(b, x):
    return Known(types.lanes_of(b.materialize(x).type) or 0)
