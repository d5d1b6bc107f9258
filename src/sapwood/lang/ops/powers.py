"""`x ** y`: by multiplications for a small whole power that is known when the function is compiled."""

from __future__ import annotations

import math
from typing import Any

from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith, control
from sapwood.lang.ops.promotion import to_type
from sapwood.lang.types import BOOL, F64, Scalar, Simd, elem_of, like
from sapwood.lang.values import Known, Value


def power(b: Any, x: Value, y: Value, ty: Scalar | Simd) -> Value:
    if isinstance(y, Known) and isinstance(y.value, int) and 0 <= y.value <= 64:
        p = to_type(b, x, ty)
        found = _small_power(b, p, y.value, ty)
        if y.value > 1 and ty == F64 and not b.unchecked:
            _check_overflow(b, p, found)
        return found
    p, q = to_type(b, x, ty), to_type(b, y, ty)
    if not elem_of(ty).is_float:
        if isinstance(y, Known) and y.value < 0:
            p, q = b.convert(p, like(ty, F64)), b.convert(q, like(ty, F64))
        else:
            from sapwood.lang.library.division import int_power

            if not b.unchecked and isinstance(ty, Scalar) and ty.signed:
                negative = b.emit1(arith.compare, (q, b.const(0, ty)), BOOL, test="lt")
                b.raise_if(negative, ValueError, "an int to a negative power is a float; write float(x) ** y")
            return b.interpreter.call_function(int_power, (p, q))
    from sapwood.lang.library import math as numeric
    from sapwood.lang.library import python_math

    as_python = not b.unchecked and p.type == F64
    return b.interpreter.call_function(python_math.power if as_python else numeric.pow, (p, q))


def _small_power(b: Any, x: Var, n: int, ty: Scalar | Simd) -> Value:
    if n == 0:
        return b.const(1, ty)
    result: Var | None = None
    while n:
        if n & 1:
            result = x if result is None else b.emit1(arith.mul, (result, x), ty)
        n >>= 1
        if n:
            x = b.emit1(arith.mul, (x, x), ty)
    assert result is not None
    return result


def _check_overflow(b: Any, x: Var, power: Var) -> None:
    """An infinite power of a finite float is an overflow in Python."""
    infinite = b.const(math.inf, F64)
    large = b.emit1(arith.compare, (b.emit1(arith.absolute, (power,), F64), infinite), BOOL, test="eq")
    given = b.emit1(arith.compare, (b.emit1(arith.absolute, (x,), F64), infinite), BOOL, test="lt")
    failed = b.emit1(arith.band, (large, given), BOOL)
    parts = [{"value": 34}, {"value": "Numerical result out of range"}]
    b.emit(control.raise_if, (failed,), (), {"exception": OverflowError, "parts": parts})
