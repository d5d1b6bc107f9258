"""`import cmath` inside compiled code. Importing this file enters its rules into BUILTINS."""

from __future__ import annotations

import cmath
from collections.abc import Callable
from typing import TYPE_CHECKING

from sapwood.lang import types as ty
from sapwood.lang.infer.builtins import BUILTINS, builtin
from sapwood.lang.infer.numbers.complex_numbers import as_complex
from sapwood.lang.ir.ssa import Var
from sapwood.lang.types import F64
from sapwood.lang.values import Known, Value

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker


def _call(walker: Walker, name: str, *args: Value) -> Value:
    from sapwood.lang.library import cmath as library

    return walker.call_compiled(getattr(library, name), list(args), {})


def _unary(name: str) -> Callable[..., Value]:
    return lambda walker, z: _call(walker, name, as_complex(walker.b, z, name))


for _name in (
    "exp", "log10", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh", "acosh",
    "atanh", "phase", "polar", "isnan", "isinf", "isfinite",
):  # fmt: skip
    BUILTINS[getattr(cmath, _name)] = _unary(_name)


@builtin(cmath.log)
def _log(walker: Walker, z: Value, base: Value = Known(None)) -> Value:
    x = as_complex(walker.b, z, "log")
    if base == Known(None):
        return _call(walker, "log", x)
    return _call(walker, "log_base", x, as_complex(walker.b, base, "log"))


def _float(walker: Walker, x: Value) -> Value:
    value = walker.b.materialize(x)
    return walker.b.convert(value, F64) if isinstance(value, Var) and isinstance(value.type, ty.Scalar) else value


@builtin(cmath.rect)
def _rect(walker: Walker, r: Value, phi: Value) -> Value:
    return _call(walker, "rect", _float(walker, r), _float(walker, phi))


@builtin(cmath.isclose)
def _isclose(
    walker: Walker, a: Value, b: Value, *, rel_tol: Value = Known(1e-9), abs_tol: Value = Known(0.0)
) -> Value:
    values = [as_complex(walker.b, v, "isclose") for v in (a, b)]
    return _call(walker, "isclose", *values, _float(walker, rel_tol), _float(walker, abs_tol))
