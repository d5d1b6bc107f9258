"""What may be a constant of compiled code."""

from __future__ import annotations

import enum
from typing import Any

from sapwood.lang.api.annotations import Parameterised
from sapwood.lang.oracles.boxed import Boxed
from sapwood.lang.types import Scalar, Simd

_PLAIN = (bool, int, float, complex, str, bytes, enum.Enum, type, range, slice, Parameterised)


def constant_problem(x: Any) -> str | None:
    """Why `x` cannot be a constant, as a hint; None if it can."""
    if x is None or isinstance(x, _PLAIN):
        return None
    if x is ... or x is NotImplemented or callable(x):
        return None
    if isinstance(x, tuple | frozenset):
        return next(filter(None, map(constant_problem, x)), None)
    info = getattr(type(x), "__sapwood_struct__", None)
    if info is not None:
        if not info.frozen:
            return f"write @struct(frozen=True) for {type(x).__name__}: a mutable struct could change"
        return next(filter(None, (constant_problem(getattr(x, n)) for n in info.fields)), None)
    if isinstance(x, Boxed | Scalar | Simd) or type(x).__module__.startswith("sapwood."):
        return None
    parameters = getattr(type(x), "__dataclass_params__", None)
    if parameters is not None:
        if not parameters.frozen:
            return f"write @dataclass(frozen=True) for {type(x).__name__}: a mutable object could change"
        names = type(x).__dataclass_fields__
        return next(filter(None, (constant_problem(getattr(x, n)) for n in names)), None)
    if isinstance(x, list | set | dict | bytearray):
        return "make a tuple of it: tuple(x)"
    if type(x).__module__.partition(".")[0] == "numpy":
        return "make a tuple of it: tuple(x.tolist())"
    return "constants are numbers, text, None, dtypes, functions, enum members, and tuples and frozen structs of them"
