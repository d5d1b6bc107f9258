"""Operators on values that may be None: they raise what Python raises of None, and go on with what is there."""

from __future__ import annotations

import operator
from functools import lru_cache
from typing import Any

from sapwood.lang.infer.generics import python_class
from sapwood.lang.infer.narrow import held, is_none, is_optional, some
from sapwood.lang.ops import arith
from sapwood.lang.ops.operators import SYMBOLS
from sapwood.lang.types import BOOL
from sapwood.lang.values import Known, Value, describe

_SAMPLES: dict[str, Any] = {
    cls.__name__: cls
    for cls in (int, float, bool, complex, str, bytes, bytearray, list, dict, set, frozenset, tuple, type(None))
}


def present_operands(w: Any, fn: Any, *operands: Value) -> tuple[Value, ...]:
    """The operands of `fn`, none of which is None; raises TypeError with Python's text where one is."""
    if not any(map(is_optional, operands)):
        return operands
    if fn in (operator.mod, operator.imod) and python_class(operands[0]) in (str, bytes):
        return operands  # formatting, which shows None
    kinds = [held(v) if is_optional(v) else v for v in operands]
    missing = [w.b.materialize(is_none(w.b, v)) if is_optional(v) else None for v in operands]
    if len(operands) == 2 and all(m is not None for m in missing):
        both = w.b.emit1(arith.band, tuple(missing), BOOL)
        w.b.raise_if(both, TypeError, _text(fn, Known(None), Known(None)))
    for i, test in enumerate(missing):
        if test is not None:
            w.b.raise_if(test, TypeError, _text(fn, *kinds[:i], Known(None), *kinds[i + 1 :]))
    return tuple(some(w.b, v) if is_optional(v) else v for v in operands)  # only now: nothing may retain a None


def _text(fn: Any, *operands: Value) -> str:
    names = [c.__name__ if (c := python_class(v)) else describe(v) for v in operands]
    return _python_text(fn, *names).replace("{", "{{").replace("}", "}}")


@lru_cache(maxsize=256)
def _python_text(fn: Any, *names: str) -> str:
    """What Python says of operands of these types."""
    if all(n in _SAMPLES for n in names):
        try:
            fn(*(_SAMPLES[n]() for n in names))
        except TypeError as e:
            return str(e)
    listed = " and ".join(f"'{n}'" for n in names)
    return f"unsupported operand type(s) for {SYMBOLS.get(fn, fn.__name__)}: {listed}"
