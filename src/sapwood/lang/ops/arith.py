"""Arithmetic, bit operations, comparison and selection on scalars and vectors.

These entries are the machine's operations: both operands have one type, nothing raises. What Python's
operators mean in terms of them (promotion, floor division, ZeroDivisionError) is in `operators.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeVar

from sapwood.lang.errors import BadOperand
from sapwood.lang.ops.base import Operation, operation
from sapwood.lang.ops.numeric import compute, elementwise
from sapwood.lang.types import BOOL, Scalar, Simd, elem_of, like
from sapwood.lang.values import Agg, Known, Value, Var, describe

T = TypeVar("T")


def same_type(b, function: str, *values: Value, floats_only: bool = False) -> tuple[Var, ...]:
    """Bring operands to one type: literals follow, scalars are broadcast to vectors."""
    from sapwood.lang.ops.promotion import common_type, to_type

    ty = common_type(b, function, values)
    if floats_only and not elem_of(ty).is_float:
        hint = "convert the integer first, for example float(x) or f32(x)"
        raise BadOperand(b.loc, function=function, detail=f"needs floats, not {ty}", hint=hint)
    return tuple(to_type(b, v, ty) for v in values)


def _define(
    name: str, doc: str, reference: Callable[..., Any], floats: str, signed: str, unsigned: str = ""
) -> Operation[..., Any]:
    """An internal two-operand entry whose lowering is one LLVM instruction."""

    def stub(x: Any, y: Any) -> Any: ...

    stub.__doc__, stub.__name__ = doc, name
    op = operation(pure=True)(stub)

    @op.reference
    def _(o, x, y):
        ty = o.result.type
        return elementwise(compute(ty, reference), ty, ty)(x, y)

    @op.lowering
    def _(e, o, x, y):
        ty = o.result.type
        elem = elem_of(ty)
        if elem.narrow:  # computed in f32, rounded once
            from sapwood.lang.ops.convert import lower_convert
            from sapwood.lang.types import F32

            wide = like(ty, F32)
            a, c = lower_convert(e, x, ty, wide), lower_convert(e, y, ty, wide)
            return lower_convert(e, e.value(f"{floats} {e.type(wide)} {a}, {c}"), wide, ty)
        word = floats if elem.is_float else signed if elem.signed else unsigned or signed
        return e.value(f"{word} {e.type(ty)} {x}, {y}")

    return op


def _fdiv(x: Any, y: Any) -> Any:
    if y == 0 or x != x or y != y or math.isinf(x) or math.isinf(y):
        if x != x or y != y or (x == 0 and y == 0) or (math.isinf(x) and math.isinf(y)):
            return math.nan
        if y == 0:
            return math.copysign(math.inf, x) * math.copysign(1.0, y)
        return x / y
    return x / y


def _fadd(x: Any, y: Any) -> Any:
    return x + y


def _fmul(x: Any, y: Any) -> Any:
    return x * y


add = _define("add", "x + y; ints wrap.", _fadd, "fadd", "add")
advance = _define("advance", "x + y, of a position that stays far below where ints wrap.", _fadd, "", "add nsw")
sub = _define("sub", "x - y; ints wrap.", lambda x, y: x - y, "fsub", "sub")
mul = _define("mul", "x * y; ints wrap.", _fmul, "fmul", "mul")
div = _define("div", "x / y on floats, IEEE.", _fdiv, "fdiv", "")
band = _define("and", "Bitwise and.", lambda x, y: x & y, "", "and")
bor = _define("or", "Bitwise or.", lambda x, y: x | y, "", "or")
bxor = _define("xor", "Bitwise exclusive or.", lambda x, y: x ^ y, "", "xor")


# -- integer division and shifts: total, never a trap ------------------------------------------------


@operation(pure=True)
def floordiv(x: Any, y: Any) -> Any:
    """x // y on ints, rounded down. Division by zero gives 0, the smallest value by -1 wraps to itself."""


@operation(pure=True)
def floormod(x: Any, y: Any) -> Any:
    """x % y on ints, with the sign of y. Modulo zero gives x."""


@floordiv.reference
def _(op, x, y):
    ty = op.result.type
    return elementwise(compute(ty, lambda a, c: a // c if c else 0), ty, ty)(x, y)


@floormod.reference
def _(op, x, y):
    ty = op.result.type
    return elementwise(compute(ty, lambda a, c: a % c if c else a), ty, ty)(x, y)


def _safe_divisor(e, ty, y: str) -> tuple[str, str, str]:
    """(divisor with 0 and -1 replaced by 1, mask of 0, mask of -1): LLVM's division traps on both."""
    t, c = e.type(ty), e.type(like(ty, BOOL))
    zero = e.value(f"icmp eq {t} {y}, {e.literal(ty, 0)}")
    if not elem_of(ty).signed:
        return e.select(c, zero, t, e.literal(ty, 1), y), zero, ""
    minus = e.value(f"icmp eq {t} {y}, {e.literal(ty, -1)}")
    bad = e.value(f"or {c} {zero}, {minus}")
    return e.select(c, bad, t, e.literal(ty, 1), y), zero, minus


@floordiv.lowering
def _(e, op, x, y):
    ty = op.result.type
    t, c = e.type(ty), e.type(like(ty, BOOL))
    if not elem_of(ty).signed:
        d, zero, _ = _safe_divisor(e, ty, y)
        return e.select(c, zero, t, e.literal(ty, 0), e.value(f"udiv {t} {x}, {d}"))
    constant = e.is_literal(y) and y not in ("0", "-1") and not isinstance(ty, Simd)
    d, zero, minus = (y, "", "") if constant else _safe_divisor(e, ty, y)
    q = e.value(f"sdiv {t} {x}, {d}")
    r = e.value(f"sub {t} {x}, {e.value(f'mul {t} {q}, {d}')}")
    inexact = e.value(f"icmp ne {t} {r}, {e.literal(ty, 0)}")
    signs = e.value(f"xor {t} {r}, {d}")
    differ = e.value(f"icmp slt {t} {signs}, {e.literal(ty, 0)}")
    adjust = e.value(f"and {c} {inexact}, {differ}")
    q = e.value(f"add {t} {q}, {e.value(f'sext {c} {adjust} to {t}')}")
    if constant:
        return q
    q = e.select(c, minus, t, e.value(f"sub {t} {e.literal(ty, 0)}, {x}"), q)
    return e.select(c, zero, t, e.literal(ty, 0), q)


@floormod.lowering
def _(e, op, x, y):
    ty = op.result.type
    t, c = e.type(ty), e.type(like(ty, BOOL))
    if not elem_of(ty).signed:
        d, zero, _ = _safe_divisor(e, ty, y)
        return e.select(c, zero, t, x, e.value(f"urem {t} {x}, {d}"))
    constant = e.is_literal(y) and y not in ("0", "-1") and not isinstance(ty, Simd)
    d, zero, minus = (y, "", "") if constant else _safe_divisor(e, ty, y)
    r = e.value(f"srem {t} {x}, {d}")
    inexact = e.value(f"icmp ne {t} {r}, {e.literal(ty, 0)}")
    differ = e.value(f"icmp slt {t} {e.value(f'xor {t} {r}, {d}')}, {e.literal(ty, 0)}")
    adjust = e.value(f"and {c} {inexact}, {differ}")
    fixed = e.select(c, adjust, t, e.value(f"add {t} {r}, {d}"), r)
    if constant:
        return fixed
    fixed = e.select(c, minus, t, e.literal(ty, 0), fixed)
    return e.select(c, zero, t, x, fixed)


@operation(pure=True)
def shl(x: Any, y: Any) -> Any:
    """x << y; counts outside 0..bits-1 give 0."""


@operation(pure=True)
def shr(x: Any, y: Any) -> Any:
    """x >> y, arithmetic for signed types; counts outside 0..bits-1 give the sign (or 0)."""


def _in_range(ty: Scalar | Simd, y: int) -> bool:
    return 0 <= y < elem_of(ty).bits


@shl.reference
def _(op, x, y):
    ty = op.result.type
    return elementwise(compute(ty, lambda a, c: a << c if _in_range(ty, c) else 0), ty, ty)(x, y)


@shr.reference
def _(op, x, y):
    ty = op.result.type
    return elementwise(compute(ty, lambda a, c: a >> (c if _in_range(ty, c) else 64)), ty, ty)(x, y)


@shl.lowering
def _(e, op, x, y):
    ty = op.result.type
    t, c, bits = e.type(ty), e.type(like(ty, BOOL)), elem_of(ty).bits
    if e.is_literal(y) and y.isdigit() and int(y) < bits:
        return e.value(f"shl {t} {x}, {y}")
    ok = e.value(f"icmp ult {t} {y}, {e.literal(ty, bits)}")
    n = e.select(c, ok, t, y, e.literal(ty, 0))
    return e.select(c, ok, t, e.value(f"shl {t} {x}, {n}"), e.literal(ty, 0))


@shr.lowering
def _(e, op, x, y):
    ty = op.result.type
    t, c, elem = e.type(ty), e.type(like(ty, BOOL)), elem_of(ty)
    word = "ashr" if elem.signed else "lshr"
    if e.is_literal(y) and y.isdigit() and int(y) < elem.bits:
        return e.value(f"{word} {t} {x}, {y}")
    ok = e.value(f"icmp ult {t} {y}, {e.literal(ty, elem.bits)}")
    if elem.signed:
        return e.value(f"ashr {t} {x}, {e.select(c, ok, t, y, e.literal(ty, elem.bits - 1))}")
    n = e.select(c, ok, t, y, e.literal(ty, 0))
    return e.select(c, ok, t, e.value(f"lshr {t} {x}, {n}"), e.literal(ty, 0))


# -- comparison and selection ------------------------------------------------------------------------


@operation(pure=True)
def compare(x: Any, y: Any) -> Any:
    """Comparison by attribute `test` (eq ne lt le gt ge); float comparisons with nan are false, except ne."""


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
}


@compare.reference
def _(op, x, y):
    ty = op.operands[0].type
    return elementwise(_TESTS[op.attrs["test"]], ty, ty)(x, y)


@compare.lowering
def _(e, op, x, y):
    ty, test = op.operands[0].type, op.attrs["test"]
    t = e.type(ty)
    if not isinstance(ty, Scalar | Simd):
        return e.value(f"icmp {test if test in ('eq', 'ne') else 'u' + test} {t} {x}, {y}")
    elem = elem_of(ty)
    if elem.narrow:
        from sapwood.lang.ops.convert import lower_convert
        from sapwood.lang.types import F32

        wide = like(ty, F32)
        x, y, t, elem = lower_convert(e, x, ty, wide), lower_convert(e, y, ty, wide), e.type(wide), F32
    if elem.is_float:
        return e.value(f"fcmp {'une' if test == 'ne' else 'o' + test} {t} {x}, {y}")
    if test not in ("eq", "ne"):
        test = ("s" if elem.signed else "u") + test
    return e.value(f"icmp {test} {t} {x}, {y}")


@operation(pure=True)
def select(condition: Any, x: T, y: T) -> T:
    """x where the condition holds, else y; lane by lane for a vector condition. Both are evaluated."""
    ...


@select.typing
def _(b, condition, x, y):
    if isinstance(condition, Known):
        return x if condition.value else y
    if isinstance(x, Agg) and isinstance(y, Agg) and x.type == y.type:
        items = [b.apply(select, condition, i, j) for i, j in zip(x.items, y.items, strict=True)]
        return Agg(x.type, tuple(items))
    if isinstance(x, Var) and isinstance(y, Var) and x.type == y.type and not isinstance(x.type, Scalar | Simd):
        return b.emit1(select, (condition, x, y), x.type)
    x, y = same_type(b, "select", x, y)
    cond = b.materialize(condition)
    if elem_of(cond.type) != BOOL:
        hint = "compare first: select(x > 0, a, b)"
        detail = f"the condition is {describe(cond)}, not bool"
        raise BadOperand(b.loc, function="select", detail=detail, hint=hint)
    if isinstance(cond.type, Simd):
        wide = Simd(elem_of(x.type), cond.type.lanes)
        x, y = b.convert(x, wide), b.convert(y, wide)
    return b.emit1(select, (cond, x, y), x.type)


@select.reference
def _(op, c, x, y):
    ct, ty = op.operands[0].type, op.result.type
    if not isinstance(ct, Simd):
        return x if c else y
    return elementwise(lambda a, p, q: p if a else q, ct, ty, ty)(c, x, y)


@select.lowering
def _(e, op, c, x, y):
    return e.select(e.type(op.operands[0].type), c, e.type(op.result.type), x, y)


# -- sign, minimum, fused multiply-add ---------------------------------------------------------------


@operation(pure=True)
def neg(x: Any) -> Any:
    """-x; the smallest int wraps to itself."""


@neg.reference
def _(op, x):
    ty = op.result.type
    return elementwise(compute(ty, lambda v: -v), ty)(x)


@neg.lowering
def _(e, op, x):
    ty = op.result.type
    t, elem = e.type(ty), elem_of(ty)
    if elem.narrow:
        return e.value(f"xor {t} {x}, {e.bits_literal(ty, 0x8000)}")
    return e.value(f"fneg {t} {x}") if elem.is_float else e.value(f"sub {t} {e.literal(ty, 0)}, {x}")


def _minimum(a: Any, b: Any) -> Any:
    return b if b < a else a


def _maximum(a: Any, b: Any) -> Any:
    return b if b > a else a


def _define_extreme(name: str, test: str, rule: Callable[[Any, Any], Any]) -> Operation[..., Any]:
    def stub(x: Any, y: Any) -> Any: ...

    stub.__name__ = f"{name}imum"
    stub.__doc__ = f"Python's {name}(x, y): y when y {test} x, else x. So a nan on the left stays."
    op = operation(pure=True)(stub)

    @op.typing
    def _(b, x, y):
        x, y = same_type(b, name, x, y)
        return b.emit1(op, (x, y), x.type)

    @op.reference
    def _(o, x, y):
        ty = o.result.type
        return elementwise(rule, ty, ty)(x, y)

    @op.lowering
    def _(e, o, x, y):
        ty = o.result.type
        t, c, elem = e.type(ty), e.type(like(ty, BOOL)), elem_of(ty)
        a, d, ct = x, y, t
        if elem.narrow:
            from sapwood.lang.ops.convert import lower_convert
            from sapwood.lang.types import F32

            wide = like(ty, F32)
            a, d, ct = lower_convert(e, x, ty, wide), lower_convert(e, y, ty, wide), e.type(wide)
        sign = "fcmp o" if elem.is_float else "icmp s" if elem.signed else "icmp u"
        take = e.value(f"{sign}{'lt' if test == '<' else 'gt'} {ct} {d}, {a}")
        return e.select(c, take, t, y, x)

    return op


minimum = _define_extreme("min", "<", _minimum)
maximum = _define_extreme("max", ">", _maximum)


@operation(pure=True)
def fma(a: T, b: T, c: T) -> T:
    """a * b + c, rounded once. A hardware instruction from AVX2 on and on GPUs; exact but slow elsewhere."""
    ...


@fma.typing
def _(b, x, y, z):
    x, y, z = same_type(b, "fma", x, y, z, floats_only=True)
    return b.emit1(fma, (x, y, z), x.type)


def _exact_fma(a: float, b: float, c: float) -> Any:
    if any(v != v or math.isinf(v) for v in (a, b, c)):
        return a * b + c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    return exact or a * b + c  # keeps the sign of zero


@fma.reference
def _(op, x, y, z):
    ty = op.result.type
    return elementwise(compute(ty, _exact_fma), ty, ty, ty)(x, y, z)


@fma.legality
def _(target, op):
    if elem_of(op.result.type).narrow:
        return "fma of a 16-bit float; cast to f32 first"
    return None if target.has("fma") else "fma: use mul_add, which is fma where the hardware has it"


@fma.lowering
def _(e, op, x, y, z):
    t = e.type(op.result.type)
    return e.call(f"llvm.fma.{e.mangle(op.result.type)}", t, [(t, x), (t, y), (t, z)])


@operation(pure=True)
def mul_add(a: T, b: T, c: T) -> T:
    """a * b + c: fma where the target has it, else a multiplication and an addition."""
    ...


@mul_add.typing
def _(b, x, y, z):
    x, y, z = same_type(b, "mul_add", x, y, z, floats_only=True)
    if b.target.has("fma") and not elem_of(x.type).narrow:
        return b.emit1(fma, (x, y, z), x.type)
    return b.emit1(add, (b.emit1(mul, (x, y), x.type), z), x.type)


# -- roots and rounding ------------------------------------------------------------------------------


def _unary_float(
    name: str, doc: str, rule: Callable[[float], Any], intrinsic: str, feature: str | None
) -> Operation[..., Any]:
    def stub(x: Any) -> Any: ...

    stub.__name__, stub.__doc__ = name, doc
    op = operation(pure=True)(stub)

    @op.typing
    def _(b, x):
        (x,) = same_type(b, name, x, floats_only=True)
        return b.emit1(op, (x,), x.type)

    @op.reference
    def _(o, x):
        ty = o.result.type
        return elementwise(compute(ty, rule), ty)(x)

    @op.lowering
    def _(e, o, x):
        from sapwood.lang.ops.convert import lower_convert
        from sapwood.lang.types import F32

        ty = o.result.type
        wide = like(ty, F32) if elem_of(ty).narrow else ty
        x = lower_convert(e, x, ty, wide)
        t = e.type(wide)
        if feature is not None and not e.target.has(feature):
            y = _round_without_hardware(e, name, wide, x)
        else:
            y = e.call(f"llvm.{intrinsic}.{e.mangle(wide)}", t, [(t, x)])
        return lower_convert(e, y, wide, ty)

    return op


def _round_without_hardware(e, name: str, ty: Scalar | Simd, x: str) -> str:
    """floor, ceil, trunc and round_even by adding and subtracting 2^mantissa: SSE2 has no rounding, and LLVM
    would call libm."""
    t, c, elem = e.type(ty), e.type(like(ty, BOOL)), elem_of(ty)
    m = e.mangle(ty)
    big = e.literal(ty, 2.0 ** (23 if elem.bits == 32 else 52))
    a = e.call(f"llvm.fabs.{m}", t, [(t, x)])
    r = e.value(f"fsub {t} {e.value(f'fadd {t} {a}, {big}')}, {big}")  # nearest even of |x|
    one = e.literal(ty, 1.0)
    if name == "trunc":
        over = e.value(f"fcmp ogt {t} {r}, {a}")
        r = e.select(c, over, t, e.value(f"fsub {t} {r}, {one}"), r)
    y = e.call(f"llvm.copysign.{m}", t, [(t, r), (t, x)])
    if name == "floor":
        over = e.value(f"fcmp ogt {t} {y}, {x}")
        y = e.select(c, over, t, e.value(f"fsub {t} {y}, {one}"), y)
    elif name == "ceil":
        under = e.value(f"fcmp olt {t} {y}, {x}")
        y = e.select(c, under, t, e.value(f"fadd {t} {y}, {one}"), y)
    y = e.call(f"llvm.copysign.{m}", t, [(t, y), (t, x)])
    small = e.value(f"fcmp olt {t} {a}, {big}")
    return e.select(c, small, t, y, x)


def _keep_special(f: Callable[[float], float]) -> Callable[[float], float]:
    def rule(x: float) -> float:
        if x != x or math.isinf(x):
            return x
        return math.copysign(f(x), x)

    return rule


sqrt = _unary_float(
    "sqrt",
    "The square root, correctly rounded; nan for negative numbers. 0.5 ulp.",
    lambda x: math.nan if x != x or x < 0 else math.sqrt(x),
    "sqrt",
    None,
)
floor = _unary_float("floor", "Round down to a float.", _keep_special(math.floor), "floor", "sse4.1")
ceil = _unary_float("ceil", "Round up to a float.", _keep_special(math.ceil), "ceil", "sse4.1")
trunc = _unary_float("trunc", "Round toward zero to a float.", _keep_special(math.trunc), "trunc", "sse4.1")
round_even = _unary_float(
    "round_even",
    "Round to the nearest whole number, ties to even, as a float.",
    _keep_special(round),
    "rint",
    "sse4.1",
)


@operation(pure=True)
def absolute(x: Any) -> Any:
    """|x|; the smallest int wraps to itself."""


@absolute.typing
def _(b, x):
    if isinstance(x, Known):
        return Known(abs(x.value))
    x = b.materialize(x)
    return x if elem_of(x.type).kind == "uint" else b.emit1(absolute, (x,), x.type)


@absolute.reference
def _(op, x):
    ty = op.result.type
    return elementwise(compute(ty, abs), ty)(x)


@absolute.lowering
def _(e, op, x):
    ty = op.result.type
    t, elem = e.type(ty), elem_of(ty)
    if elem.narrow:
        return e.value(f"and {t} {x}, {e.bits_literal(ty, 0x7FFF)}")
    if elem.is_float:
        return e.call(f"llvm.fabs.{e.mangle(ty)}", t, [(t, x)])
    return e.call(f"llvm.abs.{e.mangle(ty)}", t, [(t, x), ("i1", "false")])


@operation(pure=True)
def copysign(x: T, y: T) -> T:
    """The magnitude of x with the sign of y."""
    ...


@copysign.typing
def _(b, x, y):
    x, y = same_type(b, "copysign", x, y, floats_only=True)
    return b.emit1(copysign, (x, y), x.type)


@copysign.reference
def _(op, x, y):
    ty = op.result.type
    return elementwise(math.copysign, ty, ty)(x, y)


@copysign.lowering
def _(e, op, x, y):
    ty = op.result.type
    t = e.type(ty)
    if elem_of(ty).narrow:
        mag = e.value(f"and {t} {x}, {e.bits_literal(ty, 0x7FFF)}")
        return e.value(f"or {t} {mag}, {e.value(f'and {t} {y}, {e.bits_literal(ty, 0x8000)}')}")
    return e.call(f"llvm.copysign.{e.mangle(ty)}", t, [(t, x), (t, y)])
