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
from sapwood.lang.errors import BadOperand
from sapwood.lang.infer.builtins import BUILTINS, builtin
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith
from sapwood.lang.ops.operators import binary, require_index, tuple_items
from sapwood.lang.types import F64, elem_of, like
from sapwood.lang.values import Agg, Known, Value, describe

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


for _name in (
    "sqrt", "exp", "exp2", "expm1", "log2", "log10", "log1p", "sin", "cos", "tan", "tanh", "erf", "asin", "acos",
    "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "erfc", "cbrt", "gamma", "lgamma",
):  # fmt: skip
    BUILTINS[getattr(math, _name)] = _unary(_name)
for _name in ("degrees", "radians"):
    BUILTINS[getattr(math, _name)] = _unary(_name)
for _name in ("pow", "fmod", "atan2"):
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


# -- several numbers -----------------------------------------------------------------------------------


def _numbers(walker: Walker, values: tuple[Value, ...]) -> Value:
    return Agg(ty.Tuple(len(values)), tuple(walker.b.convert(_as_float(walker, v), F64) for v in values))


@builtin(math.hypot)
def _hypot(walker: Walker, *args: Value) -> Value:
    from sapwood.lang.library import python_math

    if len(args) == 2:
        return _call(walker, "hypot", *args)
    return walker.call_compiled(python_math.norm, [_numbers(walker, args)], {})


@builtin(math.dist)
def _dist(walker: Walker, p: Value, q: Value) -> Value:
    from sapwood.lang.library import python_math

    tuples = all(isinstance(v, Agg) and isinstance(v.type, ty.Tuple) or isinstance(v, Known) for v in (p, q))
    if not tuples or len(tuple_items(p)) != len(tuple_items(q)):
        hint = "both points must be tuples of the same length"
        raise BadOperand(walker.b.loc, function="dist", detail=f"takes {describe(p)} and {describe(q)}", hint=hint)
    pairs = zip(tuple_items(p), tuple_items(q), strict=True)
    steps = tuple(binary(walker.b, operator.sub, _as_float(walker, i), _as_float(walker, j)) for i, j in pairs)
    return walker.call_compiled(python_math.norm, [_numbers(walker, steps)], {})


def _part(walker: Walker, name: str, *args: Value, ints: tuple[int, ...] = ()) -> Value:
    """A function of library/float_parts.py, which takes f64 but for the arguments at `ints`."""
    from sapwood.lang.library import float_parts

    b = walker.b
    values = [
        b.materialize(require_index(b, v, "an argument")) if i in ints else b.convert(_as_float(walker, v), F64)
        for i, v in enumerate(args)
    ]
    return walker.call_compiled(getattr(float_parts, name), values, {})


def _part_of_one(name: str) -> Callable[..., Value]:
    return lambda walker, x: _part(walker, name, x)


def _part_of_two(name: str, ints: tuple[int, ...] = ()) -> Callable[..., Value]:
    return lambda walker, x, y: _part(walker, name, x, y, ints=ints)


BUILTINS[math.frexp] = _part_of_one("frexp")
BUILTINS[math.modf] = _part_of_one("modf")
BUILTINS[math.ulp] = _part_of_one("ulp")
BUILTINS[math.ldexp] = _part_of_two("ldexp", ints=(1,))
BUILTINS[math.nextafter] = _part_of_two("nextafter")
BUILTINS[math.remainder] = _part_of_two("remainder")


@builtin(math.isclose)
def _isclose(
    walker: Walker, a: Value, b: Value, *, rel_tol: Value = Known(1e-9), abs_tol: Value = Known(0.0)
) -> Value:
    return _part(walker, "isclose", a, b, rel_tol, abs_tol)


@builtin(math.fsum)
def _fsum(walker: Walker, items: Value) -> Value:
    from sapwood.lang.library import float_parts

    return walker.call_compiled(float_parts.exact_sum, [items], {})


@builtin(math.prod)
def _prod(walker: Walker, items: Value, *, start: Value = Known(1)) -> Value:
    from sapwood.lang.library import python_math

    return walker.call_compiled(python_math.product, [items, start], {})


# -- ints ----------------------------------------------------------------------------------------------


def _ints(walker: Walker, values: tuple[Value, ...], function: str) -> list[Value]:
    b = walker.b
    return [b.materialize(require_index(b, v, f"an argument of {function}")) for v in values]


def _folded(name: str, empty: int) -> Callable[..., Value]:
    def rule(walker: Walker, *args: Value) -> Value:
        from sapwood.lang.library import integer_math

        first, *rest = _ints(walker, args if len(args) > 1 else (Known(empty), *args, Known(empty))[:2], name)
        result: Value = first
        for v in rest:
            result = walker.call_compiled(getattr(integer_math, name), [result, v], {})
        return result

    return rule


def _integer(walker: Walker, name: str, *args: Value) -> Value:
    from sapwood.lang.library import integer_math

    return walker.call_compiled(getattr(integer_math, name), _ints(walker, args, name), {})


BUILTINS[math.gcd] = _folded("gcd", 0)
BUILTINS[math.lcm] = _folded("lcm", 1)
BUILTINS[math.isqrt] = lambda walker, n: _integer(walker, "isqrt", n)
BUILTINS[math.factorial] = lambda walker, n: _integer(walker, "factorial", n)
BUILTINS[math.comb] = lambda walker, n, k: _integer(walker, "comb", n, k)


@builtin(math.perm)
def _perm(walker: Walker, n: Value, k: Value = Known(None)) -> Value:
    return _integer(walker, "factorial", n) if k == Known(None) else _integer(walker, "perm", n, k)
