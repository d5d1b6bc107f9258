"""Python's functions in a body that CPython runs, where they meet the machine's numbers.

`min(x, 1.0)` of an f32 must stay an f32, and `math.exp` of a vector or in unchecked code means the language's own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from types import BuiltinFunctionType
from typing import Any

from sapwood.lang.ops import arith
from sapwood.lang.oracles.boxed import Boxed


def least(*values: Any, **options: Any) -> Any:
    return _extreme(min, arith.minimum, values, options)


def greatest(*values: Any, **options: Any) -> Any:
    return _extreme(max, arith.maximum, values, options)


def _extreme(python: Any, machine: Any, values: tuple[Any, ...], options: dict[str, Any]) -> Any:
    if "key" in options:
        return python(*values, **options)
    items = list(values[0]) if len(values) == 1 else values
    if not any(isinstance(v, Boxed) for v in items):
        return python(items, **options) if len(values) == 1 else python(*values, **options)
    return functools.reduce(machine, items)


BUILTINS = {"min": least, "max": greatest}


def is_math(x: Any) -> bool:
    """Whether x is a function of the module `math`."""
    return isinstance(x, BuiltinFunctionType) and getattr(x, "__module__", None) == "math"


def math_function(python: Any, unchecked: bool, run: Callable[[Any], Any]) -> Any:
    """A function of `math` as a body sees it; `run` makes a compiled function one that CPython runs."""
    from sapwood.lang.library import math as library

    def call(*args: Any) -> Any:
        if not unchecked and not any(isinstance(a, Boxed) for a in args):
            return python(*args)
        name = "log_base" if python is math.log and len(args) == 2 else python.__name__
        own = {"fabs": arith.absolute, "copysign": arith.copysign}.get(name) or getattr(library, name, None)
        if own is None:
            return python(*args)
        floats = (float(a) if isinstance(a, int) else a for a in args)
        return (run(own) if hasattr(type(own), "__sapwood_function__") else own)(*floats)

    return call
