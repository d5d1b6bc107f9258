"""What Python's operators mean on numbers, vectors, pointers and tuples.

On Python's own types (`int` = i64, `float` = f64) the meaning is CPython's, including floor division and
ZeroDivisionError; int overflow wraps. Vectors and `unchecked` code follow the machine: IEEE division, no
exceptions. Structs bring their own methods (see infer/objects.py).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from enum import Enum as PythonEnum
from typing import Any

from sapwood.lang.errors import BadOperand, CompileError, LiteralOverflow, NoOperator, NotABool, NotAnIndex
from sapwood.lang.ir.ssa import Region, Var
from sapwood.lang.ops import arith, control
from sapwood.lang.ops.base import Operation
from sapwood.lang.ops.powers import power
from sapwood.lang.ops.promotion import common_type, to_type
from sapwood.lang.python_texts import python_text
from sapwood.lang.types import (
    BOOL,
    F64,
    I64,
    U64,
    Character,
    Complex,
    Enum,
    Object,
    Optional,
    Ptr,
    Range,
    Ref,
    Scalar,
    Simd,
    Struct,
    Tuple,
    elem_of,
    like,
)  # fmt: skip
from sapwood.lang.values import Agg, Known, Value, describe

SYMBOLS: dict[Any, str] = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.truediv: "/",
    operator.floordiv: "//",
    operator.mod: "%",
    operator.pow: "**",
    operator.lshift: "<<",
    operator.rshift: ">>",
    operator.and_: "&",
    operator.or_: "|",
    operator.xor: "^",
    operator.matmul: "@",
    operator.lt: "<",
    operator.le: "<=",
    operator.eq: "==",
    operator.ne: "!=",
    operator.gt: ">",
    operator.ge: ">=",
    operator.is_: "is",
    operator.is_not: "is not",
}
METHODS: dict[Any, tuple[str, str]] = {  # operator -> (method, reflected method) of structs
    operator.add: ("__add__", "__radd__"),
    operator.sub: ("__sub__", "__rsub__"),
    operator.mul: ("__mul__", "__rmul__"),
    operator.truediv: ("__truediv__", "__rtruediv__"),
    operator.floordiv: ("__floordiv__", "__rfloordiv__"),
    operator.mod: ("__mod__", "__rmod__"),
    operator.pow: ("__pow__", "__rpow__"),
    operator.lshift: ("__lshift__", "__rlshift__"),
    operator.rshift: ("__rshift__", "__rrshift__"),
    operator.and_: ("__and__", "__rand__"),
    operator.or_: ("__or__", "__ror__"),
    operator.xor: ("__xor__", "__rxor__"),
    operator.matmul: ("__matmul__", "__rmatmul__"),
    operator.lt: ("__lt__", "__gt__"),
    operator.le: ("__le__", "__ge__"),
    operator.eq: ("__eq__", "__eq__"),
    operator.ne: ("__ne__", "__ne__"),
    operator.gt: ("__gt__", "__lt__"),
    operator.ge: ("__ge__", "__le__"),
}
COMPARISONS = {
    operator.lt: "lt",
    operator.le: "le",
    operator.eq: "eq",
    operator.ne: "ne",
    operator.gt: "gt",
    operator.ge: "ge",
}
_DIRECT: dict[Any, Operation[..., Any]] = {
    operator.add: arith.add,
    operator.sub: arith.sub,
    operator.mul: arith.mul,
}
_BITS: dict[Any, Operation[..., Any]] = {
    operator.and_: arith.band,
    operator.or_: arith.bor,
    operator.xor: arith.bxor,
    operator.lshift: arith.shl,
    operator.rshift: arith.shr,
}


def fold(b: Any, fn: Callable[..., Any], *values: Known) -> Known:
    """An operator on compile-time values is Python's own."""
    if fn in (operator.lshift, operator.pow) and _is_huge(fn, *(v.value for v in values)):
        raise LiteralOverflow(b.loc, value="of more than 4096 bits", type=I64, low=-(2**63), high=2**63 - 1)
    try:
        result = fn(*(v.value for v in values))
    except CompileError:
        raise
    except ArithmeticError as e:  # 0 ** -1: where Python gets there, it raises
        from sapwood.lang.infer.containers.lists import raise_now

        raise_now(b.interpreter.frames[-1], type(e), *e.args)
    except Exception as e:
        left, right = describe(values[0]), describe(values[-1])
        hint = f"Python says: {type(e).__name__}: {e}"
        raise NoOperator(b.loc, left=left, op=SYMBOLS.get(fn, fn.__name__), right=right, hint=hint) from None
    if isinstance(result, int) and not isinstance(result, bool) and result.bit_length() > 4096:
        raise LiteralOverflow(b.loc, value="of more than 4096 bits", type=I64, low=-(2**63), high=2**63 - 1)
    return Known(result)


def _is_huge(fn: Any, x: Any, y: Any) -> bool:
    """Whether the power or shift of two ints is too long to be worth computing."""
    if not isinstance(x, int) or not isinstance(y, int) or y < 0:
        return False
    return (x.bit_length() or 1) * (y if fn is operator.pow and abs(x) > 1 else 1) + (
        y if fn is operator.lshift else 0
    ) > 8192


def _raises_at_run_time(fn: Any, x: Any, y: Any) -> bool:
    """Numbers on which an operator raises (1 // 0): compiled code raises when it gets there, as Python does."""
    if not isinstance(x, int | float | complex) or not isinstance(y, int | float | complex):
        return False
    if isinstance(x, complex) or isinstance(y, complex):
        return fn is operator.truediv and y == 0
    if fn in (operator.truediv, operator.floordiv, operator.mod):
        return y == 0
    return fn in (operator.lshift, operator.rshift) and isinstance(x, int) and isinstance(y, int) and y < 0


def _complex(v: Value) -> bool:
    if isinstance(v, Agg):
        return isinstance(v.type, Complex)
    return isinstance(v, Known) and isinstance(v.value, complex)


def magnitude(b: Any, x: Value) -> Value:
    """abs(x) of a number or vector."""
    if isinstance(x, Agg) and isinstance(x.type, Complex):
        from sapwood.lang.infer.numbers.complex_numbers import absolute

        return absolute(b, x)
    return b.apply(arith.absolute, x)


def binary(b: Any, fn: Any, x: Value, y: Value) -> Value:
    """A Python binary operator on anything but structs."""
    if isinstance(x, Known) and isinstance(y, Known):
        if not _raises_at_run_time(fn, x.value, y.value):
            return fold(b, fn, x, y)
        if not _complex(x) and not _complex(y):
            x, y = b.materialize(x), b.materialize(y)
    if any(isinstance(v, Agg) and isinstance(v.type, Enum) for v in (x, y)) or any(map(_is_known_member, (x, y))):
        from sapwood.lang.infer.classes import enums

        result = enums.binary(b, fn, x, y)
        if result is not None:
            return result
    if any(isinstance(v, Agg) and isinstance(v.type, Character) for v in (x, y)):
        from sapwood.lang.infer.text.characters import compare, plain

        result = compare(b, fn, x, y) if fn in COMPARISONS else None
        if result is not None:
            return result
        x, y = plain(b, x), plain(b, y)
    if fn in (operator.is_, operator.is_not):
        return _identity(b, fn, x, y)
    equality = fn in (operator.eq, operator.ne)
    if _may_be_none(x) or _may_be_none(y) or equality and Known(None) in (x, y):
        from sapwood.lang.infer.equality import unlike_equality
        from sapwood.lang.infer.missing import present_operands

        w = b.interpreter.frames[-1]
        found = unlike_equality(w, fn, x, y) if equality else None
        if found is not None:
            return found
        if not equality:
            x, y = present_operands(w, fn, x, y)
    if _complex(x) or _complex(y):
        from sapwood.lang.infer.numbers.complex_numbers import binary as complex_binary

        return complex_binary(b, fn, x, y)
    pointer = _pointer(b, fn, x, y)
    if pointer is not None:
        return pointer
    if fn is operator.mod and isinstance(x, Known) and isinstance(x.value, str | bytes):
        from sapwood.lang.infer.text.templates import percent, percent_bytes

        return (percent if isinstance(x.value, str) else percent_bytes)(b.interpreter.frames[-1], x, y)
    x, y = (b.materialize(v) if isinstance(v, Known) and isinstance(v.value, str | bytes) else v for v in (x, y))
    for side in (x, y):
        if isinstance(side, Var) and isinstance(side.type, Ref):
            from sapwood.lang.infer.heap import rules_of

            result = rules_of(side).binary(b.interpreter.frames[-1], fn, x, y)
            if result is not None:
                return result
    if _is_tuple(x) and _is_tuple(y):
        result = _tuples(b, fn, x, y)
        if result is not None:
            return result
    if fn in (operator.eq, operator.ne) and (_is_range(x) or _is_range(y)):
        from sapwood.lang.infer.iteration.ranges import range_equal

        return range_equal(b.interpreter.frames[-1], fn, x, y)
    if fn is operator.mul and (_is_tuple(x) or _is_tuple(y)):
        items, times = (x, y) if _is_tuple(x) else (y, x)
        repeated = tuple_items(items) * b.known(times, "how often a tuple is repeated", int)
        return Agg(Tuple(len(repeated)), repeated)
    symbol = SYMBOLS[fn]
    if fn in COMPARISONS:
        ty = common_type(b, symbol, (x, y))
        if ty == F64 and not b.unchecked and _is_wide_int(x) != _is_wide_int(y):
            return _exact_comparison(b, fn, x, y)
        return b.emit1(arith.compare, (to_type(b, x, ty), to_type(b, y, ty)), like(ty, BOOL), test=COMPARISONS[fn])
    ty = common_type(b, symbol, (x, y))
    elem = elem_of(ty)
    if fn in _BITS:
        if elem.is_float:
            raise NoOperator(b.loc, left=describe(x), op=symbol, right=describe(y), hint="bit operations need ints")
        if elem.kind == "bool" and fn in (operator.lshift, operator.rshift):
            ty = like(ty, I64)
        if fn is operator.lshift or fn is operator.rshift:
            return _shift(b, fn, x, y, ty)
        return b.emit1(_BITS[fn], (to_type(b, x, ty), to_type(b, y, ty)), ty)
    if elem.kind == "bool":  # Python's bool counts as an int
        ty = like(ty, I64)
        elem = I64
    if fn is operator.truediv:
        return _true_division(b, x, y, ty)
    if fn in (operator.floordiv, operator.mod):
        return _floor_division(b, fn, x, y, ty)
    if fn is operator.pow:
        return power(b, x, y, ty)
    if fn in _DIRECT:
        return b.emit1(_DIRECT[fn], (to_type(b, x, ty), to_type(b, y, ty)), ty)
    hint = "write the loop, or call a kernel" if fn is operator.matmul else ""
    raise NoOperator(b.loc, left=describe(x), op=symbol, right=describe(y), hint=hint)


def _is_wide_int(v: Value) -> bool:
    """An int that f64 may not hold."""
    if isinstance(v, Known):
        return isinstance(v.value, int) and not -(2**53) <= v.value <= 2**53
    return isinstance(v, Var) and isinstance(v.type, Scalar) and v.type.is_int and v.type.bits == 64


_TURNED = {operator.lt: operator.gt, operator.le: operator.ge, operator.gt: operator.lt, operator.ge: operator.le}


def _exact_comparison(b: Any, fn: Any, x: Value, y: Value) -> Value:
    """An int of 64 bits and a float: by their values, as Python does, and not by the int rounded to a float.

    Rounding keeps the order, so only where the rounded int equals the float is the int compared with the float's.
    """
    if not _is_wide_int(x):
        x, y, fn = y, x, _TURNED.get(fn, fn)
    q = to_type(b, y, F64)

    def compare(test: str, i: Var, j: Var) -> Var:
        return b.emit1(arith.compare, (i, j), BOOL, test=test)

    if isinstance(x, Known) and not -(2**63) <= x.value < 2**63:  # such an int has no leaf
        return compare(COMPARISONS[fn], b.const(x.value, F64), q)
    x = b.materialize(x)
    p, whole = b.convert(x, F64), b.convert(q, x.type)
    same, beyond = compare("eq", p, q), compare("eq", q, b.const(2.0 ** (63 if x.type == I64 else 64), F64))

    def either(i: Var, j: Var) -> Var:
        return b.emit1(arith.bor, (i, j), BOOL)

    def both(i: Var, j: Var) -> Var:
        return b.emit1(arith.band, (i, j), BOOL)

    equal = both(both(same, compare("eq", x, whole)), b.emit1(arith.bxor, (beyond, b.const(True, BOOL)), BOOL))
    if fn is operator.eq:
        return equal
    if fn is operator.ne:
        return logical_not(b, equal)
    if fn in (operator.lt, operator.le):
        strict = either(compare("lt", p, q), both(same, either(compare("lt", x, whole), beyond)))
    else:
        strict = either(compare("gt", p, q), both(same, compare("gt", x, whole)))
    return strict if fn in (operator.lt, operator.gt) else either(strict, equal)


def _is_known_member(v: Value) -> bool:
    return isinstance(v, Known) and isinstance(v.value, PythonEnum)


def _may_be_none(v: Value) -> bool:
    if isinstance(v, Var):
        return isinstance(v.type, Ref) and v.type.nullable
    return isinstance(v, Agg) and isinstance(v.type, Optional)


def _is_tuple(v: Value) -> bool:
    return isinstance(v, Agg) and isinstance(v.type, Tuple) or isinstance(v, Known) and isinstance(v.value, tuple)


def _is_range(v: Value) -> bool:
    return isinstance(v, Agg) and isinstance(v.type, Range)


def tuple_items(v: Value) -> tuple[Value, ...]:
    if isinstance(v, Agg):
        return v.items
    assert isinstance(v, Known)
    return tuple(Known(i) for i in v.value)


def _tuples(b: Any, fn: Any, x: Value, y: Value) -> Value | None:
    p, q = tuple_items(x), tuple_items(y)
    if fn is operator.add:
        return Agg(Tuple(len(p) + len(q)), p + q)
    if fn in COMPARISONS:
        from sapwood.lang.infer.classes.struct_operators import compare_tuples

        return compare_tuples(b.interpreter.frames[-1], fn, p, q)
    return None


def logical_and(b: Any, x: Value, y: Value) -> Value:
    if isinstance(x, Known):
        return y if x.value else x
    if isinstance(y, Known):
        return x if y.value else y
    return b.emit1(arith.band, (x, y), x.type)


def logical_or(b: Any, x: Value, y: Value) -> Value:
    if isinstance(x, Known):
        return x if x.value else y
    if isinstance(y, Known):
        return y if y.value else x
    return b.emit1(arith.bor, (x, y), x.type)


def logical_not(b: Any, x: Value) -> Value:
    x = truth(b, x)
    if isinstance(x, Known):
        return Known(not x.value)
    assert isinstance(x, Var)
    return b.emit1(arith.bxor, (x, b.const(True, BOOL)), BOOL)


def truth(b: Any, x: Value) -> Known | Var:
    """A value as a condition: Known, or a scalar bool."""
    match x:
        case Known(value=v):
            return Known(bool(v))
        case Var(type=Scalar() as ty):
            return x if ty == BOOL else b.convert(x, BOOL)
        case Agg(type=Tuple()):
            return Known(bool(x.items))
        case Agg(type=Character()):
            return Known(True)
        case Agg(type=Enum()):
            from sapwood.lang.infer.classes import enums

            return enums.truth(b, x)
        case Agg(type=Complex()):
            from sapwood.lang.infer.numbers.complex_numbers import truth as complex_truth

            return complex_truth(b, x)
        case Var(type=Ref()) | Agg(type=Optional()):
            return _truth_of_reference(b, x)
        case Agg(type=Range()):
            from sapwood.lang.infer.iteration.ranges import range_truth

            return range_truth(b.interpreter.frames[-1], x)
        case Agg(type=Struct()):
            from sapwood.lang.infer.classes.struct_operators import struct_truth

            found = struct_truth(b.interpreter.frames[-1], x)
            assert isinstance(found, Known | Var)
            return found
    hint = "compare it with something"
    if isinstance(x, Agg) and type(x.type).__name__ == "Tensor":
        hint = "compare one of its elements, or len(x) with 0"
    if isinstance(x, Var) and isinstance(x.type, Simd):
        hint = "reduce it first with any(v) or all(v), choose lanes with select(), combine with & and |"
    raise NotABool(b.loc, type=describe(x), hint=hint)


def _truth_of_reference(b: Any, x: Value) -> Known | Var:
    """Of a heap object, or of a value that may be None, which is false."""
    from sapwood.lang.infer.heap import rules_of
    from sapwood.lang.infer.narrow import is_none, is_optional, some

    if not is_optional(x):
        return rules_of(x).truth(b.interpreter.frames[-1], x)
    there = b.materialize(logical_not(b, is_none(b, x)))
    regions = Region(), Region()
    saved = b.region
    b.region = regions[0]
    b.emit(control.yield_, (b.materialize(truth(b, some(b, x))),))
    b.region = regions[1]
    b.emit(control.yield_, (b.const(False, BOOL),))
    b.region = saved
    return b.emit(control.if_, (there,), (BOOL,), regions=regions)[0]


def _is_bool(x: Value) -> bool:
    return isinstance(x.value, bool) if isinstance(x, Known) else isinstance(x, Var) and x.type == BOOL


def _identity(b: Any, fn: Any, x: Value, y: Value) -> Value:
    none = Known(None)
    if any(isinstance(v, Var) and v.type == Ref(Object()) for v in (x, y)):
        from sapwood.lang.ops.heap import same_object
        from sapwood.lang.ops.objects import as_object

        p, q = (v if isinstance(v, Var) and isinstance(v.type, Ref) else as_object(b, v) for v in (x, y))
        same = b.emit1(same_object, (p, q), BOOL)
        return same if fn is operator.is_ else logical_not(b, same)
    if none in (x, y):
        from sapwood.lang.infer.narrow import is_none, is_optional

        other = x if y == none else y
        if is_optional(other):
            missing = is_none(b, other)
            return missing if fn is operator.is_ else logical_not(b, missing)
        same = x == y
        return Known(same if fn is operator.is_ else not same)
    if _is_bool(x) or _is_bool(y):  # there are two bools, and nothing else is one of them
        same = binary(b, operator.eq, x, y) if _is_bool(x) and _is_bool(y) else Known(False)
        return same if fn is operator.is_ else logical_not(b, same)
    if isinstance(x, Var) and isinstance(y, Var) and isinstance(x.type, Ref) and isinstance(y.type, Ref):
        from sapwood.lang.ops.heap import same_object

        found = b.apply(same_object, x, y) if type(x.type.target) is type(y.type.target) else Known(False)
        return found if fn is operator.is_ else logical_not(b, found)
    hint = "values have no identity; use == or !="
    if any(isinstance(v, Known) and isinstance(v.value, str | bytes) for v in (x, y)):
        hint = "equal texts may be one object or several; use == or !="
    raise NoOperator(b.loc, left=describe(x), op=SYMBOLS[fn], right=describe(y), hint=hint)


def _pointer(b: Any, fn: Any, x: Value, y: Value) -> Value | None:
    from sapwood.lang.ops.memory import offset, pointer_difference

    if isinstance(x, Var) and isinstance(x.type, Ptr):
        if isinstance(y, Var) and isinstance(y.type, Ptr):
            if fn in COMPARISONS:
                return b.emit1(arith.compare, (x, y), BOOL, test=COMPARISONS[fn])
            if fn is operator.sub:
                return pointer_difference(b, x, y)
        elif fn is operator.add:
            return offset(b, x, y)
        elif fn is operator.sub:
            return offset(b, x, negate(b, y))
    return None


def _shift(b: Any, fn: Any, x: Value, y: Value, ty: Scalar | Simd) -> Value:
    if isinstance(x, Var) and elem_of(x.type).kind != "bool":  # the count does not widen the value
        ty = like(ty, elem_of(x.type))
    count = to_type(b, y, ty)
    if not b.unchecked and isinstance(ty, Scalar) and ty.signed and not isinstance(y, Known):
        negative = b.emit1(arith.compare, (count, b.const(0, ty)), BOOL, test="lt")
        b.raise_if(negative, ValueError, "negative shift count")
    if isinstance(y, Known) and y.value < 0:
        raise BadOperand(b.loc, function=SYMBOLS[fn], detail="negative shift count", hint="shift the other way")
    return b.emit1(_BITS[fn], (to_type(b, x, ty), count), ty)


def check_zero(b: Any, y: Var, ty: Scalar | Simd, text: str) -> None:
    if b.unchecked or isinstance(ty, Simd):
        return
    zero = b.emit1(arith.compare, (y, b.const(0, ty)), BOOL, test="eq")
    b.raise_if(zero, ZeroDivisionError, text)


def _true_division(b: Any, x: Value, y: Value, ty: Scalar | Simd) -> Value:
    ints = not elem_of(ty).is_float
    if ints:
        ty = like(ty, F64)
    p, q = to_type(b, x, ty), to_type(b, y, ty)
    if elem_of(ty) == F64 and not (isinstance(y, Known) and y.value):
        check_zero(b, q, ty, python_text(operator.truediv, 1 if ints else 1.0, 0))
    if ints and isinstance(ty, Scalar) and not b.unchecked and (_is_wide_int(x) or _is_wide_int(y)):
        return _wide_quotient(b, x, y, (p, q))
    return b.emit1(arith.div, (p, q), ty)


def _wide_quotient(b: Any, x: Value, y: Value, rounded: tuple[Var, Var]) -> Value:
    """The quotient of two ints, rounded once. Ints that f64 holds are divided as such."""
    power = isinstance(y, Known) and y.value & (y.value - 1) == 0 < y.value
    if power or any(not (isinstance(v, Known) or v.type == I64) for v in (x, y)):  # type: ignore[union-attr]
        return b.emit1(arith.div, rounded, F64)
    from sapwood.lang.library.division import int_quotient

    x, y = b.materialize(x), b.materialize(y)
    half = b.const(2**53, I64)
    wide = [b.emit1(arith.add, (v, half), I64) for v in (x, y)]  # below 2**54 as unsigned, if f64 holds it
    either = b.convert(b.emit1(arith.bor, tuple(wide), I64), U64)
    exact = b.emit1(arith.compare, (either, b.const(2**54, U64)), BOOL, test="lt")
    w = b.interpreter.frames[-1]
    return w.choose(
        exact, lambda: b.emit1(arith.div, rounded, F64), lambda: w.call_compiled(int_quotient, [x, y], {})
    )


def _floor_division(b: Any, fn: Any, x: Value, y: Value, ty: Scalar | Simd) -> Value:
    p, q = to_type(b, x, ty), to_type(b, y, ty)
    known = isinstance(y, Known) and bool(y.value)
    if not elem_of(ty).is_float:
        divisor = int(y.value) if isinstance(y, Known) else 0
        if divisor > 0 and divisor & (divisor - 1) == 0:  # rounding down, a power of two is a shift
            if fn is operator.mod:
                return b.emit1(arith.band, (p, b.const(divisor - 1, ty)), ty)
            return b.emit1(arith.shr, (p, b.const(divisor.bit_length() - 1, ty)), ty)
        if not known:
            check_zero(b, q, ty, python_text(fn, 1, 0))
        return b.emit1(arith.floordiv if fn is operator.floordiv else arith.floormod, (p, q), ty)
    if elem_of(ty) == F64 and not known:
        check_zero(b, q, ty, python_text(fn, 1.0, 0.0))
    from sapwood.lang.library.division import float_floordiv, float_mod

    return b.interpreter.call_function(float_floordiv if fn is operator.floordiv else float_mod, (p, q))


def negate(b: Any, x: Value) -> Value:
    return unary(b, operator.neg, x)


def unary(b: Any, fn: Any, x: Value) -> Value:
    if fn is operator.not_:
        return logical_not(b, x)
    if isinstance(x, Known):
        return fold(b, fn, x)
    if isinstance(x, Agg) and isinstance(x.type, Complex):
        from sapwood.lang.infer.numbers.complex_numbers import unary as complex_unary

        return complex_unary(b, fn, x)
    if isinstance(x, Agg) and isinstance(x.type, Enum):
        from sapwood.lang.infer.classes import enums

        return enums.unary(b, fn, x)
    if not isinstance(x, Var) or not isinstance(x.type, Scalar | Simd):
        symbol = {operator.neg: "-", operator.pos: "+", operator.invert: "~"}[fn]
        raise NoOperator(b.loc, left=symbol, op="on", right=describe(x), hint="the operand must be a number")
    elem = elem_of(x.type)
    if elem.kind == "bool":
        if fn is operator.invert and isinstance(x.type, Simd):
            return b.emit1(arith.bxor, (x, b.const(True, x.type)), x.type)
        x, elem = b.convert(x, like(x.type, I64)), I64
    if fn is operator.pos:
        return x
    if fn is operator.neg:
        return b.emit1(arith.neg, (x,), x.type)
    if elem.is_float:
        raise NoOperator(b.loc, left="~", op="on", right=describe(x), hint="bit operations need ints")
    return b.emit1(arith.bxor, (x, b.const(-1 if elem.signed else (1 << elem.bits) - 1, x.type)), x.type)


def require_index(b: Any, v: Value, what: str) -> Value:
    """An i64 or a Known int, for shapes, offsets and loop bounds."""
    if isinstance(v, Known):
        if isinstance(v.value, int):
            return Known(int(v.value))
        raise NotAnIndex(b.loc, what=what, found=describe(v))
    if isinstance(v, Agg) and isinstance(v.type, Enum):
        from sapwood.lang.infer.classes.enums import underlying

        v = underlying(b, v)
    if isinstance(v, Var) and isinstance(v.type, Scalar) and v.type.kind != "float":
        return b.convert(v, I64)
    raise NotAnIndex(b.loc, what=what, found=describe(v))
