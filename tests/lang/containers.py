"""What tests of containers share: CPython, compiled code and the evaluator must agree, and nothing may leak."""

from __future__ import annotations

from functools import cache
from types import FunctionType
from typing import Any

from sapwood.lang.errors import CompileError
from sapwood.runtime.heap import live_objects


def outcome(f: Any, args: tuple[Any, ...]) -> Any:
    """The result, or the exception's type and text."""
    try:
        result = f(*args)
    except CompileError:
        raise
    except Exception as e:
        return type(e), str(e)
    return type(result), result


@cache
def in_python(f: Any) -> Any:
    """The function as CPython runs it, with the compiled functions that it calls."""
    plain = f.__wrapped__
    scope = dict(plain.__globals__)
    copy = FunctionType(plain.__code__, scope, plain.__name__, plain.__defaults__, plain.__closure__)
    for name in plain.__code__.co_names:
        if hasattr(scope.get(name), "__wrapped__"):
            scope[name] = copy if scope[name] is f else in_python(scope[name])
    return copy


def agree(f: Any, *args: Any, reference: bool = True) -> None:
    """CPython, compiled code and the evaluator give the same, or raise the same; allocations are given back."""
    before = live_objects()
    expected = outcome(in_python(f), args)
    for name, run in (("compiled", f), ("evaluator", f.reference))[: 2 if reference else 1]:
        found = outcome(run, args)
        assert found == expected, f"{f.__name__}{args}: CPython {expected}, {name} {found}"
        assert live_objects() == before, f"{f.__name__}{args}: {name} left {live_objects() - before} allocations"
