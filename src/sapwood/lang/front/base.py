"""What all parts of the lowering share: places in the source, names of the compiler's own, refusals."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from sapwood.lang.errors import Loc, UnsupportedSyntax
from sapwood.lang.front import hir
from sapwood.lang.front.source import FunctionNode, SourceFile
from sapwood.lang.front.tables import REFUSED


class LoweringBase:
    def __init__(self, source: SourceFile, function: str, scope: dict[str, Any]) -> None:
        self.source = source
        self.scope = scope
        self.qualname = function
        self.temporaries = 0
        self.constants: dict[str, list[ast.expr]] = {}  # by the subject of a match: constants that earlier cases take
        self.renamed: set[str] = set()  # variables of comprehensions that nested functions know under the same name

    if TYPE_CHECKING:

        def function(self, node: FunctionNode, name: str) -> hir.FunctionDef: ...
        def expr(self, node: ast.expr) -> hir.Expr: ...
        def block(self, nodes: list[ast.stmt]) -> list[hir.Stmt]: ...
        def target(self, node: ast.expr) -> tuple[hir.Target, list[hir.Stmt]]: ...
        def index(self, node: ast.expr) -> hir.Expr: ...
        def comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> hir.Expr: ...
        def match(self, node: ast.Match) -> list[hir.Stmt]: ...
        def unless(self, test: ast.expr, label: str) -> list[hir.Stmt]: ...

    def loc(self, node: ast.AST) -> Loc:
        return self.source.loc(node, self.qualname)

    def refuse(self, node: ast.AST, what: str = "", hint: str = "") -> UnsupportedSyntax:
        known = REFUSED.get(type(node), (type(node).__name__.lower(), "see the language reference"))
        return UnsupportedSyntax(self.loc(node), what=what or known[0], hint=hint or known[1])

    def temporary(self) -> str:
        self.temporaries += 1
        return f"${self.temporaries}"

    def annotation(self, node: ast.expr | None) -> hir.Expr | None:
        """Annotations are evaluated by Python, not compiled: they stay as source text."""
        return None if node is None else hir.Literal(self.loc(node), ast.unparse(node))

    def iterable(self, node: ast.expr) -> hir.Expr:
        """What a loop runs over."""
        match node:
            case ast.Call(
                func=ast.Attribute(value=owner, attr="get"), args=[key, ast.Tuple(elts=[])], keywords=[]
            ) if not isinstance(key, ast.Starred):
                return self.call(node, hir.items_or_none, self.expr(owner), self.expr(key))
        return self.expr(node)

    def call(self, node: ast.AST, fn: object, *args: hir.Expr) -> hir.Call:
        loc = self.loc(node)
        return hir.Call(loc, hir.Literal(loc, fn), args)
