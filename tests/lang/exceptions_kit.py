"""What tests of exceptions share: classes, an event log, functions that raise, and how outcomes are compared."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np

from sapwood import Tensor, fn, i64


class Odd(ValueError):
    """An exception of our own."""


class VeryOdd(Odd):
    pass


class Coded(Exception):
    """One with a constructor of its own."""

    def __init__(self, code: int, text: str = "none", *, level: int = 0) -> None:
        super().__init__(f"{text} ({code})")
        self.code, self.level = code, level


class Picky(Exception):
    """One that cannot be made of some arguments."""

    def __init__(self, code: int) -> None:
        super().__init__(100 // code)


def log(n: int = 64) -> np.ndarray:
    return np.zeros(n, np.int64)


# An event log: the first word counts the events. Every program below writes what it does, and in which order.
Log = Tensor[i64, 1]


@fn
def note(events: Log, what: int) -> int:
    n = events[0] + 1
    events[0] = n
    events[n] = what
    return what


@fn
def fail(kind: int) -> int:
    """Raises an exception of the kind, or gives it back."""
    if kind == 1:
        raise ValueError("one", kind)
    if kind == 2:
        raise KeyError("two")
    if kind == 3:
        return 1 // (kind - 3)
    if kind == 4:
        raise VeryOdd(kind, 2.5, True, None)
    if kind == 5:
        raise StopIteration
    if kind == 6:
        raise Coded(kind, level=kind + 1)
    if kind == 7:
        raise Odd(("a", (kind, "b")), kind)
    return kind


KINDS = range(9)


# -- outcomes -------------------------------------------------------------------------------------------


def in_python(f: Any) -> FunctionType:
    """A function as if nothing in its file and in this one was compiled."""
    names = globals() | f.__wrapped__.__globals__
    for name, x in names.items():
        if hasattr(type(x), "__sapwood_function__"):
            names[name] = FunctionType(x.__wrapped__.__code__, names)
    return names[f.__name__]


def chain(e: BaseException | None) -> Any:
    """Everything about an exception that a user sees."""
    if e is None:
        return None
    same = e.__cause__ is not None and e.__cause__ is e.__context__
    return type(e), e.args, vars(e), e.__suppress_context__, same, chain(e.__cause__), chain(e.__context__)


def raised(run: Any, *args: Any) -> Any:
    try:
        run(*args)
    except Exception as e:
        return chain(e)
    return None


def without_notes(c: Any) -> Any:
    """Without the notes by which the evaluator says where it was."""
    if c is None:
        return None
    kind, args, own, *rest = c
    return kind, args, {k: v for k, v in own.items() if k != "__notes__"}, *rest[:2], *map(without_notes, rest[2:])
