"""Constants, conversions between scalar types, bit casts, and the narrow floats.

f16 and bf16 travel as their 16 bits. Widening and rounding them is our own integer code on every target,
because LLVM would call library helpers for them that a process does not have.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from sapwood.lang.bits import from_bits, int_range, to_bits
from sapwood.lang.errors import BadConversion, BadOperand, NotConstant
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.numeric import elementwise, normalise, round_float
from sapwood.lang.types import (
    BF16,
    F16,
    F32,
    F64,
    I32,
    I64,
    Ptr,
    Scalar,
    Simd,
    elem_of,
    like,
)
from sapwood.lang.values import Known, Value, Var, describe

# -- constants --------------------------------------------------------------------------------------


@operation(pure=True)
def constant() -> Any:
    """A scalar constant (attribute `value`)."""


@constant.reference
def _(op):
    return op.attrs["value"]


@constant.lowering
def _(e, op):
    return e.literal(op.result.type, op.attrs["value"])


@operation(pure=True)
def splat(x: Any) -> Any:
    """A vector with one value in every lane."""


@splat.reference
def _(op, x):
    return (x,) * op.result.type.lanes


@splat.lowering
def _(e, op, x):
    ty = op.result.type
    if e.is_literal(x):
        return f"splat ({e.type(ty.elem)} {x})"
    vec = e.type(ty)
    first = e.value(f"insertelement {vec} poison, {e.type(ty.elem)} {x}, i64 0")
    return e.value(f"shufflevector {vec} {first}, {vec} poison, <{ty.lanes} x i32> zeroinitializer")


# -- numeric conversion -----------------------------------------------------------------------------


@operation(pure=True)
def convert(x: Any) -> Any:
    """Convert between numeric types: ints wrap, float to int truncates and saturates (nan gives 0), floats
    round to nearest even, anything to bool is `x != 0`."""


def convert_value(src: Scalar, dst: Scalar, x: Any) -> Any:
    if dst.kind == "bool":
        return x != 0
    if dst.is_float:
        if src.is_float:
            return round_float(dst, x)
        return round_float(dst, _int_to_float(dst, int(x)))
    if src.is_float:
        if x != x:
            return 0
        low, high = int_range(dst)
        return low if x <= low else high if x >= high else math.trunc(x)
    return normalise(dst, int(x))


def _int_to_float(dst: Scalar, x: int) -> Any:
    from fractions import Fraction

    return Fraction(x) if x else 0.0


@convert.reference
def _(op, x):
    source, target = op.operands[0].type, op.result.type
    return elementwise(lambda v: convert_value(elem_of(source), elem_of(target), v), source)(x)


@convert.lowering
def _(e, op, x):
    return lower_convert(e, x, op.operands[0].type, op.result.type)


def lower_convert(e, x: str, source: Scalar | Simd, target: Scalar | Simd) -> str:
    """LLVM text of one conversion; also used by other rules that need f32 of a narrow float."""
    src, dst = elem_of(source), elem_of(target)
    if src == dst:
        return x
    from_, to = e.type(source), e.type(target)
    if src.narrow:
        wide = _widen(e, x, source, src)
        return wide if dst == F32 else lower_convert(e, wide, like(source, F32), target)
    if dst.narrow:
        if src.name == "f64":
            x, source = _f64_to_f32_odd(e, x, source), like(source, F32)
        elif src != F32:
            # exact for every int that f32 holds; wider ints go through f64 and round to odd
            mid = F32 if src.bits <= 16 else F64
            y = lower_convert(e, _odd_int(e, x, source) if src.bits == 64 else x, source, like(source, mid))
            return lower_convert(e, y, like(source, mid), target)
        return _narrow(e, x, source, dst)
    if dst.kind == "bool":
        zero = e.literal(source, 0)
        if src.is_float:
            return e.value(f"fcmp une {from_} {x}, {zero}")
        return e.value(f"icmp ne {from_} {x}, {zero}")
    if src.is_float and dst.is_float:
        return e.value(f"{'fptrunc' if src.bits > dst.bits else 'fpext'} {from_} {x} to {to}")
    if src.is_float:
        sign = "si" if dst.signed else "ui"
        name = f"llvm.fpto{sign}.sat.{e.mangle(target)}.{e.mangle(source)}"
        return e.call(name, to, [(from_, x)])
    if dst.is_float:
        return e.value(f"{'sitofp' if src.signed else 'uitofp'} {from_} {x} to {to}")
    if src.bits == dst.bits:
        return x
    if src.bits > dst.bits:
        return e.value(f"trunc {from_} {x} to {to}")
    return e.value(f"{'sext' if src.signed else 'zext'} {from_} {x} to {to}")


def _widen(e, x: str, source: Scalar | Simd, src: Scalar) -> str:
    """16 bits -> f32."""
    i16, i32, f32 = e.type(source), e.type(like(source, I32)), e.type(like(source, F32))
    if src == F16 and e.target.has("f16c"):
        half = i16.replace("i16", "half")
        h = e.value(f"bitcast {i16} {x} to {half}")
        return e.value(f"fpext {half} {h} to {f32}")
    wide = e.value(f"zext {i16} {x} to {i32}")

    def k(v: int) -> str:
        return e.literal(like(source, I32), v)

    if src == BF16:
        bits = e.value(f"shl {i32} {wide}, {k(16)}")
        return e.value(f"bitcast {i32} {bits} to {f32}")
    # f16: scale the shifted magnitude by 2^112; that also makes subnormals right. inf and nan are patched.
    mag = e.value(f"and {i32} {wide}, {k(0x7FFF)}")
    sign = e.value(f"shl {i32} {e.value(f'and {i32} {wide}, {k(0x8000)}')}, {k(16)}")
    shifted = e.value(f"shl {i32} {mag}, {k(13)}")
    f = e.value(f"bitcast {i32} {shifted} to {f32}")
    scaled = e.value(f"fmul {f32} {f}, {e.literal(like(source, F32), 2.0**112)}")
    bits = e.value(f"bitcast {f32} {scaled} to {i32}")
    special = e.value(f"icmp uge {i32} {mag}, {k(0x7C00)}")
    patched = e.value(f"or {i32} {shifted}, {k(0x7F800000)}")
    quiet = e.value(f"icmp ugt {i32} {mag}, {k(0x7C00)}")
    cond = e.type(like(source, Scalar("bool", "bool", 1)))
    patched = e.select(cond, quiet, i32, e.value(f"or {i32} {patched}, {k(0x400000)}"), patched)
    bits = e.select(cond, special, i32, patched, bits)
    return e.value(f"bitcast {i32} {e.value(f'or {i32} {bits}, {sign}')} to {f32}")


def _narrow(e, x: str, source: Scalar | Simd, dst: Scalar) -> str:
    """f32 -> 16 bits, to nearest even."""
    f32, i32, i16 = e.type(source), e.type(like(source, I32)), e.type(like(source, dst))
    cond = e.type(like(source, Scalar("bool", "bool", 1)))
    if dst == F16 and e.target.has("f16c"):
        half = i16.replace("i16", "half")
        h = e.value(f"fptrunc {f32} {x} to {half}")
        return e.value(f"bitcast {half} {h} to {i16}")

    def k(v: int) -> str:
        return e.literal(like(source, I32), v)

    bits = e.value(f"bitcast {f32} {x} to {i32}")
    nan = e.value(f"fcmp uno {f32} {x}, {x}")
    if dst == BF16:
        lsb = e.value(f"and {i32} {e.value(f'lshr {i32} {bits}, {k(16)}')}, {k(1)}")
        bias = e.value(f"add {i32} {lsb}, {k(0x7FFF)}")
        rounded = e.value(f"lshr {i32} {e.value(f'add {i32} {bits}, {bias}')}, {k(16)}")
        out = e.select(cond, nan, i32, k(0x7FC0), rounded)
        return e.value(f"trunc {i32} {out} to {i16}")
    # f16: three cases by magnitude, chosen by select: overflow, normal, subnormal (by a magic addition)
    sign = e.value(f"and {i32} {e.value(f'lshr {i32} {bits}, {k(16)}')}, {k(0x8000)}")
    mag = e.value(f"and {i32} {bits}, {k(0x7FFFFFFF)}")
    lsb = e.value(f"and {i32} {e.value(f'lshr {i32} {mag}, {k(13)}')}, {k(1)}")
    biased = e.value(f"add {i32} {mag}, {e.value(f'add {i32} {lsb}, {k(0xFFF - 0x38000000)}')}")
    normal = e.value(f"lshr {i32} {biased}, {k(13)}")
    magic = e.literal(like(source, F32), 0.5)
    f = e.value(f"bitcast {i32} {mag} to {f32}")
    summed = e.value(f"bitcast {f32} {e.value(f'fadd {f32} {f}, {magic}')} to {i32}")
    tiny = e.value(f"sub {i32} {summed}, {k(0x3F000000)}")
    small = e.value(f"icmp ult {i32} {mag}, {k(0x38800000)}")
    huge = e.value(f"icmp uge {i32} {mag}, {k(0x477FF000)}")
    out = e.select(cond, small, i32, tiny, normal)
    out = e.select(cond, huge, i32, k(0x7C00), out)
    out = e.select(cond, nan, i32, k(0x7E00), out)
    return e.value(f"trunc {i32} {e.value(f'or {i32} {out}, {sign}')} to {i16}")


def _f64_to_f32_odd(e, x: str, source: Scalar | Simd) -> str:
    """f64 -> f32 rounded to odd, so that rounding to 16 bits afterwards is not a double rounding."""
    f64, f32 = e.type(source), e.type(like(source, F32))
    i32, cond = e.type(like(source, I32)), e.type(like(source, Scalar("bool", "bool", 1)))

    def k(v: int) -> str:
        return e.literal(like(source, I32), v)

    near = e.value(f"fptrunc {f64} {x} to {f32}")
    back = e.value(f"fpext {f32} {near} to {f64}")
    mangled = e.mangle(source)
    a = e.call(f"llvm.fabs.{mangled}", f64, [(f64, back)])
    b = e.call(f"llvm.fabs.{mangled}", f64, [(f64, x)])
    over = e.value(f"fcmp ogt {f64} {a}, {b}")
    inexact = e.value(f"fcmp one {f64} {a}, {b}")
    bits = e.value(f"bitcast {f32} {near} to {i32}")
    cut = e.select(cond, over, i32, e.value(f"sub {i32} {bits}, {k(1)}"), bits)
    odd = e.select(cond, inexact, i32, e.value(f"or {i32} {cut}, {k(1)}"), bits)
    return e.value(f"bitcast {i32} {odd} to {f32}")


def _odd_int(e, x: str, source: Scalar | Simd) -> str:
    """A 64-bit int that f64 holds: one of 2^53 or more is rounded to odd at its 12th bit."""
    i64, cond = e.type(source), e.type(like(source, Scalar("bool", "bool", 1)))

    def k(v: int) -> str:
        return e.literal(like(source, I64), v)

    size = x
    if elem_of(source).signed:
        size = e.value(f"xor {i64} {x}, {e.value(f'ashr {i64} {x}, {k(63)}')}")
    big = e.value(f"icmp uge {i64} {size}, {k(1 << 53)}")
    rest = e.value(f"and {i64} {x}, {k(0xFFF)}")
    sticky = e.value(f"zext {cond} {e.value(f'icmp ne {i64} {rest}, {k(0)}')} to {i64}")
    cut = e.value(f"and {i64} {x}, {k(-0x1000)}")
    odd = e.value(f"or {i64} {cut}, {e.value(f'shl {i64} {sticky}, {k(12)}')}")
    return e.select(cond, big, i64, odd, x)


# -- public: cast and bitcast -----------------------------------------------------------------------


def dtype_argument(b, value: Value, function: str) -> Scalar:
    from sapwood.lang.api.dtypes import scalar_type

    if isinstance(value, Known):
        ty = scalar_type(value.value)
        if ty is not None:
            return ty
    raise NotConstant(b.loc, what=f"the dtype of {function}", found=describe(value))


@operation(pure=True)
def cast(x: Any, dtype: Any) -> Any:
    """Convert a scalar or vector to another dtype: ints wrap, float to int truncates and saturates (nan
    gives 0), floats round to nearest even. Lanes stay as they are."""


@cast.typing
def _(b, x, dtype):
    ty = dtype_argument(b, dtype, "cast")
    if isinstance(x, Known):
        return b.coerce(Known(convert_value(F64 if isinstance(x.value, float) else I64, ty, x.value)), ty)
    if not isinstance(x, Var) or not isinstance(x.type, Scalar | Simd):
        raise BadConversion(b.loc, found=describe(x), expected=ty, hint="cast takes a number or a vector")
    return b.convert(x, like(x.type, ty))


@operation(pure=True)
def bitcast(x: Any, dtype: Any) -> Any:
    """Reinterpret the bits of a scalar, of each lane of a vector, or of a pointer's target.

    The dtype must have the same width as the element of `x`; a vector may also be split or joined:
    SIMD[u16, 8] to u32 gives SIMD[u32, 4].
    """


@bitcast.typing
def _(b, x, dtype):
    ty = dtype_argument(b, dtype, "bitcast")
    if isinstance(x, Var) and isinstance(x.type, Ptr):
        return b.emit1(bitcast, (x,), replace(x.type, elem=ty))
    x = b.materialize(x)
    src = elem_of(x.type)
    if src.kind == "bool" or ty.kind == "bool":
        raise BadOperand(b.loc, function="bitcast", detail="bool has no bits to reinterpret", hint="use int(x)")
    if src.bits == ty.bits:
        return b.emit1(bitcast, (x,), like(x.type, ty))
    if isinstance(x.type, Simd) and (x.type.lanes * src.bits) % ty.bits == 0:
        return b.emit1(bitcast, (x,), Simd(ty, x.type.lanes * src.bits // ty.bits))
    raise BadOperand(
        b.loc,
        function="bitcast",
        detail=f"{src} has {src.bits} bits and {ty} has {ty.bits}",
        hint="use cast to convert the value",
    )


@bitcast.reference
def _(op, x):
    source, target = op.operands[0].type, op.result.type
    if isinstance(source, Ptr):
        return x.cast(target.elem)
    src, dst = elem_of(source), elem_of(target)
    values = x if isinstance(source, Simd) else (x,)
    whole = b"".join(to_bits(src, v).to_bytes(src.itemsize, "little") for v in values)
    n = dst.itemsize
    out = tuple(from_bits(dst, int.from_bytes(whole[i : i + n], "little")) for i in range(0, len(whole), n))
    return out if isinstance(target, Simd) else out[0]


@bitcast.lowering
def _(e, op, x):
    source, target = e.type(op.operands[0].type), e.type(op.result.type)
    return x if source == target else e.value(f"bitcast {source} {x} to {target}")
