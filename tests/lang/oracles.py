"""Runs a function every way that it can run and holds the outcomes against each other."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

from sapwood import Array


class Raised:
    """An exception as a result: its type and text."""

    def __init__(self, e: BaseException) -> None:
        self.kind, self.text = type(e), str(e)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Raised) and (self.kind, self.text) == (other.kind, other.text)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{self.kind.__name__}({self.text!r})"


def same(a: Any, b: Any) -> bool:
    """Equal in type and value; nan equals nan, and 0.0 does not equal -0.0."""
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return (a != a and b != b) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, Array) or isinstance(b, Array):
        return same(a.tolist(), b.tolist())
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if hasattr(type(a), "__sapwood_struct__"):
        return type(a) is type(b) and same(tuple(vars(a).values()), tuple(vars(b).values()))
    return type(a) is type(b) and a == b


def outcome(run: Any, args: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """(result or Raised, the arguments afterwards) on copies of the arguments."""
    own = tuple(copy.deepcopy(a) if not callable(a) and not isinstance(a, Array) else a for a in args)
    try:
        return run(*own), own
    except Exception as e:
        return Raised(e), own


def agree(fn: Any, *args: Any, plain: bool = False) -> Any:
    """The outcome of a call, after checking that compiled code, boxed CPython and the evaluator agree on it
    (and with `plain` the undecorated function, too)."""
    expected, after = outcome(fn, args)
    others = {"python": fn.python, "reference": fn.reference}
    if plain:
        others["plain"] = fn.__wrapped__
    for name, run in others.items():
        found, changed = outcome(run, args)
        assert same(expected, found), f"{fn.__name__}{args}: compiled {expected!r}, {name} {found!r}"
        for a, b in zip(after, changed, strict=True):
            assert callable(a) or same(a, b), f"{fn.__name__}{args}: {name} leaves {b!r}, compiled {a!r}"
    return expected
