"""Python `ast` -> HIR: purely syntactic. Every construct outside the language gets its diagnostic here.

Functions are here; `statements.py`, `expressions.py`, `comprehensions.py` and `patterns.py` are their parts.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sapwood.lang.errors import Loc, StarArguments, UnsupportedSyntax
from sapwood.lang.front import hir
from sapwood.lang.front.comprehensions import ComprehensionMixin
from sapwood.lang.front.expressions import ExpressionMixin
from sapwood.lang.front.names import assigned, names_read, walk_statements
from sapwood.lang.front.patterns import PatternMixin
from sapwood.lang.front.scopes import inner_writes, nonlocal_names, note_loops, shared_names
from sapwood.lang.front.source import FunctionNode, find_function
from sapwood.lang.front.statements import StatementMixin


@lru_cache(maxsize=4096)
def lower_function(fn: Callable[..., Any]) -> hir.FunctionDef:
    """HIR of a Python function object."""
    source, node = find_function(fn)
    scope = getattr(fn, "__globals__", {})
    return Lowering(source, fn.__qualname__.replace("<locals>.", ""), scope).function(node, fn.__name__)


class Lowering(StatementMixin, ExpressionMixin, ComprehensionMixin, PatternMixin):
    """The lowering of one function and of those inside it."""

    def function(self, node: FunctionNode, name: str) -> hir.FunctionDef:
        a = node.args
        if a.kwarg:
            raise StarArguments(self.loc(a.kwarg), what="**kwargs", where="function", hint="name each parameter")
        plain = [*a.posonlyargs, *a.args]
        defaults: list[ast.expr | None] = [None] * (len(plain) - len(a.defaults)) + list(a.defaults)
        params = [self.param(p, d) for p, d in zip(plain, defaults, strict=True)]
        for p in params[: len(a.posonlyargs)]:
            p.positional_only = True
        if a.vararg:
            params.append(self.param(a.vararg, None))
            params[-1].star = True
        for p, d in zip(a.kwonlyargs, a.kw_defaults, strict=True):
            params.append(self.param(p, d))
            params[-1].keyword_only = True
        if isinstance(node, ast.Lambda):
            body: list[hir.Stmt] = [hir.Return(self.loc(node.body), self.expr(node.body))]
            returns, loc = None, self.loc(node)
        else:
            statements = node.body
            if ast.get_docstring(node, clean=False) is not None:
                statements = statements[1:]
            body = self.block(statements)
            returns = self.annotation(node.returns)
            head = self.loc(node)
            width = len("def ") + len(name)
            loc = Loc(head.file, head.line, head.col, head.line, head.col + width, head.function)
        yields = any(isinstance(s, hir.Yield) for s in walk_statements(body))
        for s in walk_statements(body) if yields else ():
            if isinstance(s, hir.Return) and s.value is not None:
                raise UnsupportedSyntax(s.loc, what="return of a value in a generator", hint="yield it")
        outer = nonlocal_names(body)
        own = (assigned(body) | {p.name for p in params}) - outer
        read = names_read(body)
        shared, written, hidden = shared_names(body, own)
        note_loops(body)
        if hidden - self.renamed:
            self.renamed |= hidden
            return self.function(node, name)
        return hir.FunctionDef(
            name, params, body, loc, frozenset(own), frozenset((read | outer) - own), returns,
            writes=frozenset((outer | inner_writes(body)) - own), shared=frozenset(shared), written=frozenset(written),
            generator=yields,
        )  # fmt: skip

    def param(self, p: ast.arg, default: ast.expr | None) -> hir.Param:
        value = None if default is None else self.expr(default)
        return hir.Param(p.arg, self.loc(p), self.annotation(p.annotation), value)
