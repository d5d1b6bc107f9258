"""`comptime(...)`: an expression that Python evaluates while the function is compiled; what may be a constant."""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING, Any

from sapwood.lang.api.dtypes import dtype_of
from sapwood.lang.constants import constant_problem
from sapwood.lang.errors import CompileError, Loc
from sapwood.lang.errors.generic import ComptimeFailed, ComptimeName, NotAConstant
from sapwood.lang.oracles.boxed import Boxed
from sapwood.lang.types import BOOL, F64, I64, Scalar
from sapwood.lang.values import Agg, Known, Unbound, Value, describe

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker

_MISSING = object()


# -- what may be a constant ----------------------------------------------------------------------------


def require_constant(x: Any, what: str, loc: Loc) -> Any:
    problem = constant_problem(x)
    if problem is not None:
        raise NotAConstant(loc, what=what, found=_kind(x), hint=problem)
    return x


def _kind(x: Any) -> str:
    name = type(x).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def constant_value(b: Any, x: Any) -> Value:
    """A constant as an abstract value; NumPy's scalars and boxed numbers become numbers of their dtype."""
    from sapwood.lang.infer.classes.structs import lift

    if isinstance(x, Boxed):
        return Known(x.value) if x.type in (I64, F64, BOOL) else b.const(x.value, x.type)
    return lift(b, Known(x))


def _plain(x: Any) -> Any:
    """NumPy's scalars as Python's numbers, also inside tuples."""
    if isinstance(x, tuple):
        return type(x)(map(_plain, x)) if type(x) is tuple else x
    if type(x).__module__ == "numpy" and hasattr(x, "item") and getattr(x, "ndim", None) == 0:
        return x.item()
    return x


# -- evaluation ----------------------------------------------------------------------------------------


def evaluate(w: Walker, node: ast.expr, loc: Loc) -> Value:
    """Run the expression in Python, with the constants that the function sees."""
    scope = dict(w.python.__globals__) if w.python is not None else {}
    for name in _names(node):
        found = _constant_named(w, name, loc)
        if found is not _MISSING:
            scope[name] = found
    code = compile(ast.fix_missing_locations(ast.Expression(node)), loc.file, "eval")
    try:
        result = _plain(eval(code, scope))
    except CompileError:
        raise
    except Exception as e:
        raise ComptimeFailed(loc, error=f"{type(e).__name__}: {e}") from None
    return constant_value(w.b, require_constant(result, "the expression", loc))


def _names(node: ast.expr) -> list[str]:
    """Names that the expression reads from outside."""
    stores = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    stores |= {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    loads = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    return [n for n in dict.fromkeys(loads) if n not in stores]


def _constant_named(w: Walker, name: str, loc: Loc) -> Any:
    """The Python object behind a name; ComptimeName if only run time knows it."""
    local = name in w.vars or name in w.captured or name in w.code.locals
    if not local:
        python = w.python
        if python is None:
            return _MISSING
        if name not in python.__code__.co_freevars and name not in python.__globals__:
            return _MISSING if hasattr(builtins, name) else w.lookup(name, loc)  # raises UndefinedName
        if name in python.__globals__ and name not in python.__code__.co_freevars:
            value = python.__globals__[name]
            w.interp.depend_on_constant(python.__module__, name, value)
            if value in w.typevars if _hashable(value) else False:
                return to_python(w.lookup(name, loc))
            return value
    value = w.vars.get(name)
    if isinstance(value, Unbound):
        w.lookup(name, loc)
    found = to_python(w.lookup(name, loc))
    if found is _MISSING:
        raise ComptimeName(loc, name=name, found=f"a run-time value of type {describe(w.lookup(name, loc))}")
    return found


def _hashable(x: Any) -> bool:
    try:
        hash(x)
    except TypeError:
        return False
    return True


def to_python(value: Value) -> Any:
    """The Python object of a value that is known at compile time, or _MISSING."""
    from sapwood.lang import types as ty

    if isinstance(value, Known):
        v = value.value
        return dtype_of(v) if isinstance(v, Scalar) else v
    if isinstance(value, Agg) and isinstance(value.type, ty.Tuple | ty.Struct):
        items = [to_python(v) for v in value.items]
        if any(i is _MISSING for i in items):
            return _MISSING
        if isinstance(value.type, ty.Tuple):
            return tuple(items)
        if value.type.frozen:
            out = object.__new__(value.type.cls)
            for n, v in zip(value.type.cls.__sapwood_struct__.fields, items, strict=True):  # type: ignore[attr-defined]
                object.__setattr__(out, n, v)
            return out
    return _MISSING
