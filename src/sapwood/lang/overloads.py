"""Overloads: several bodies under one name; the types of the arguments choose.

A body is chosen whose parameters take the arguments with the fewest conversions. The bodies are compiled functions of
their own; the first one, which has the name, holds the others.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sapwood.lang.errors import CompileError, WrongArgumentCount
from sapwood.lang.errors.generic import AmbiguousOverload, NoOverload

if TYPE_CHECKING:
    from sapwood.lang.values import Value


def add_overload(first: Any, python: Callable[..., Any]) -> Any:
    """Enter another body; gives the function that has them all, so that a `def` of the same name keeps it."""
    from sapwood.lang.function import make_function

    state = first.state
    name = f"overload_{len(state.overloads) + 1}"
    made = make_function(python, state.options)
    made.__wrapped__.__qualname__ = f"{state.python.__qualname__}.{name}"  # where the cache finds it again
    made.state.native_of_calls = first
    state.overloads.append(made)
    setattr(first, name, made)
    return first


def bodies(fn: Any) -> Sequence[Any]:
    return (fn, *fn.state.overloads)


def choose(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, list[Any], list[Any]]:
    """The body for arguments from Python, with the bound values and their kinds. NoOverload, AmbiguousOverload."""
    found: list[tuple[int, Any, list[Any], list[Any]]] = []
    for body in bodies(fn):
        try:
            values = body.state.bind(args, kwargs)
            arguments = [_exactly(a) for a in body.state.classify(values, explain=False)]
        except (CompileError, TypeError, OverflowError):
            continue
        found.append((sum(map(_converted, arguments, values)), body, values, arguments))
    shown = ", ".join([*(type(a).__name__ for a in args), *(f"{k}: {type(v).__name__}" for k, v in kwargs.items())])
    best = _best(fn, [f[0] for f in found], shown, None)
    return found[best][1:]


def _exactly(argument: Any) -> Any:
    """A kind of argument whose entry takes no other type: the other bodies may want that."""
    return replace(argument, exact=True) if hasattr(argument, "exact") else argument


def _converted(argument: Any, value: Any) -> bool:
    """Whether a number becomes one of another kind."""
    scalar = getattr(argument, "scalar", None)
    return scalar is not None and scalar.is_float and not isinstance(value, float)


def choose_in_code(w: Any, fn: Any, args: list[Value], kwargs: dict[str, Value]) -> Any:
    """The body for arguments in compiled code."""
    from sapwood.lang.values import describe

    found: list[tuple[int, Any]] = []
    for body in bodies(fn):
        conversions = _try(w, body, args, kwargs)
        if conversions is not None:
            found.append((conversions, body))
    shown = ", ".join([*map(describe, args), *(f"{k}: {describe(v)}" for k, v in kwargs.items())])
    return found[_best(fn, [f[0] for f in found], shown, w.b.loc)][1]


def _try(w: Any, body: Any, args: list[Value], kwargs: dict[str, Value]) -> int | None:
    """How many arguments a body would convert; None if it does not take them. What it emits is thrown away."""
    from sapwood.lang.infer.calls import defaults_of
    from sapwood.lang.infer.fit import fit_parameter
    from sapwood.lang.ir.ssa import Region
    from sapwood.lang.join import storable
    from sapwood.lang.signatures import declared_parameters
    from sapwood.lang.values import Known, spec_of

    loc = w.b.loc
    code = w.interp.hir(body)
    with w.at(Region(), loc):
        try:
            values = w.bind_arguments(code, fn_name(body), args, kwargs, defaults_of(body), loc)
            declared = declared_parameters(body)
            bindings: dict[Any, Any] = {}
            fitted = [
                fit_parameter(w.b, p, d, v, bindings, fn_name(body))
                for p, d, v in zip(code.params, declared, values, strict=True)
            ]
        except (CompileError, WrongArgumentCount):
            return None
    changed = 0
    for v, f in zip(values, fitted, strict=True):
        weak = isinstance(v, Known) and isinstance(v.value, int | float | str)
        changed += (storable(spec_of(v)) if weak else spec_of(v)) != (storable(spec_of(f)) if weak else spec_of(f))
    return changed


def fn_name(fn: Any) -> str:
    return fn.__wrapped__.__name__


def _best(fn: Any, conversions: list[int], shown: str, loc: Any) -> int:
    name = fn.__name__
    overloads = "; ".join(f"{name}{inspect.signature(b.__wrapped__)}" for b in bodies(fn))
    if not conversions:
        raise NoOverload(loc, function=name, found=shown, overloads=overloads)
    least = min(conversions)
    if conversions.count(least) > 1:
        raise AmbiguousOverload(loc, function=name, found=shown, overloads=overloads)
    return conversions.index(least)
