"""`@cache` and `@lru_cache` on nested functions: the function is one that looks into a dict beside it first.

    kept = {}
    def f(a, b):
        def computed(a, b): ...
        if (a, b) in kept:
            return kept[a, b]
        kept[a, b] = value = computed(a, b)
        return value
"""

from __future__ import annotations

import ast
import functools
from typing import Any

MEMOISING = (functools.cache, functools.lru_cache)


def memoising(e: ast.expr, scope: dict[str, Any]) -> bool:
    """Whether a decorator is one of them, by what its name is in the module."""
    if isinstance(e, ast.Call):
        return memoising(e.func, scope) and _value(e.func, scope) is functools.lru_cache
    return _value(e, scope) in MEMOISING


def _value(e: ast.expr, scope: dict[str, Any]) -> Any:
    match e:
        case ast.Name(id=name):
            found = scope.get(name)
            return found if callable(found) else None
        case ast.Attribute(value=ast.Name(id=module), attr=name) if scope.get(module) is functools:
            return getattr(functools, name, None)
    return None


def memoised(node: ast.FunctionDef) -> list[ast.stmt]:
    """The statements that a nested function with such a decorator stands for. Its parameters have no stars."""
    place = node.decorator_list[0]
    kept, computed, value = f"{node.name}$kept", f"{node.name}$computed", f"{node.name}$value"

    def load(name: str) -> ast.expr:
        return ast.Name(name, ast.Load())

    def store(name: str) -> ast.expr:
        return ast.Name(name, ast.Store())

    names = [p.arg for p in (*node.args.posonlyargs, *node.args.args)]
    keyword_only = [p.arg for p in node.args.kwonlyargs]
    items = [load(n) for n in (*names, *keyword_only)]
    key = items[0] if len(items) == 1 else ast.Tuple(items, ast.Load()) if items else ast.Constant(0)
    keywords = [ast.keyword(n, load(n)) for n in keyword_only]
    found = ast.Return(ast.Subscript(load(kept), key, ast.Load()))
    call = ast.Call(load(computed), [load(n) for n in names], keywords)
    a = node.args  # the defaults are those of the function outside
    plain = ast.arguments(a.posonlyargs, a.args, None, a.kwonlyargs, [None] * len(a.kwonlyargs), None, [])
    inner = ast.FunctionDef(computed, plain, node.body, [], node.returns)
    body: list[ast.stmt] = [
        inner,
        ast.If(ast.Compare(key, [ast.In()], [load(kept)]), [found], []),
        ast.Assign([store(value)], call),
        ast.Assign([ast.Subscript(load(kept), key, ast.Store())], load(value)),
        ast.Return(load(value)),
    ]
    outer = ast.FunctionDef(node.name, node.args, body, [], node.returns)
    for made in (inner, outer):
        ast.copy_location(made, node)
    made_here: list[ast.stmt] = [ast.Assign([store(kept)], ast.Dict([], [])), outer]
    for s in (made_here[0], *body[1:]):
        for part in ast.walk(s):
            if "lineno" in part._attributes:
                ast.copy_location(part, place)
    return made_here
