"""`import math` inside compiled code. Importing this file enters its rules into BUILTINS.

On floats in checked code the meaning is CPython's, with its exceptions (library/python_math.py); vectors,
narrower floats and unchecked code get library/math.py. Ints become floats.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.infer.builtins import BUILTINS, builtin
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith
from sapwood.lang.ops.operators import binary
from sapwood.lang.types import F64, elem_of, like
from sapwood.lang.values import Known, Value

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker


def _as_float(walker: Walker, x: Value) -> Var:
    """A number or vector as floats."""
    value = walker.b.materialize(x)
    if isinstance(value.type, ty.Scalar | ty.Simd) and not elem_of(value.type).is_float:
        return walker.b.convert(value, like(value.type, F64))
    return value


def _is_literal(x: Value) -> bool:
    return isinstance(x, Known) and isinstance(x.value, int | float)


def _call(walker: Walker, name: str, *args: Value) -> Value:
    from sapwood.lang.library import math as vector_math
    from sapwood.lang.library import python_math

    floats = [Known(float(x.value)) if _is_literal(x) else _as_float(walker, x) for x in args]
    values = arith.same_type(walker.b, name, *floats)
    as_python = not walker.b.unchecked and all(v.type == F64 for v in values)
    function = getattr(python_math if as_python else vector_math, name)
    if hasattr(function, "type_rule"):
        return walker.b.apply(function, *values)
    return walker.call_compiled(function, list(values), {})


def _unary(name: str) -> Callable[..., Value]:
    return lambda walker, x: _call(walker, name, x)


def _binary(name: str) -> Callable[..., Value]:
    return lambda walker, x, y: _call(walker, name, x, y)


for _name in ("sqrt", "exp", "exp2", "expm1", "log2", "log10", "log1p", "sin", "cos", "tan", "tanh", "erf"):
    BUILTINS[getattr(math, _name)] = _unary(_name)
for _name in ("degrees", "radians"):
    BUILTINS[getattr(math, _name)] = _unary(_name)
for _name in ("pow", "fmod", "hypot"):
    BUILTINS[getattr(math, _name)] = _binary(_name)


@builtin(math.log)
def _log(walker: Walker, x: Value, base: Value | None = None) -> Value:
    return _call(walker, "log", x) if base is None else _call(walker, "log_base", x, base)


def _rounding(op: Any, python: Callable[[Any], int]) -> Callable[..., Value]:
    def rule(walker: Walker, x: Value) -> Value:
        from sapwood.lang.infer.construct import convert_number

        if isinstance(x, Known):
            return Known(python(x.value))
        if isinstance(x, Var) and isinstance(x.type, ty.Scalar) and not x.type.is_float:
            return x
        result = convert_number(walker, int, [walker.b.apply(op, x)], walker.b.loc)
        assert result is not None
        return result

    return rule


BUILTINS[math.floor] = _rounding(arith.floor, math.floor)
BUILTINS[math.ceil] = _rounding(arith.ceil, math.ceil)
BUILTINS[math.trunc] = _rounding(arith.trunc, math.trunc)


@builtin(math.fabs)
def _fabs(walker: Walker, x: Value) -> Value:
    return walker.b.apply(arith.absolute, _as_float(walker, x))


@builtin(math.copysign)
def _copysign(walker: Walker, x: Value, y: Value) -> Value:
    return walker.b.apply(arith.copysign, _as_float(walker, x), _as_float(walker, y))


@builtin(math.isnan)
def _isnan(walker: Walker, x: Value) -> Value:
    x = _as_float(walker, x)
    return binary(walker.b, operator.ne, x, x)


@builtin(math.isinf)
def _isinf(walker: Walker, x: Value) -> Value:
    return binary(walker.b, operator.eq, walker.b.apply(arith.absolute, _as_float(walker, x)), Known(math.inf))


@builtin(math.isfinite)
def _isfinite(walker: Walker, x: Value) -> Value:
    return binary(walker.b, operator.lt, walker.b.apply(arith.absolute, _as_float(walker, x)), Known(math.inf))
