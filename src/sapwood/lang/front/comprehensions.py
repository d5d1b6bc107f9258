"""Comprehensions and generator expressions."""

from __future__ import annotations

import ast
import copy

from sapwood.lang.front import hir
from sapwood.lang.front.base import LoweringBase
from sapwood.lang.front.names import assigned, children, target_names

_KINDS = {ast.ListComp: "list", ast.SetComp: "set", ast.DictComp: "dict", ast.GeneratorExp: "generator"}

_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class ComprehensionMixin(LoweringBase):
    def comprehension(self, node: _Comprehension) -> hir.Expr:
        if self.renamed:
            node = _rename(node, self.renamed)
        clauses: list[hir.Clause] = []
        names: set[str] = set()
        for g in node.generators:
            if g.is_async:
                raise self.refuse(g.target, "async for", "compiled code runs to the end without awaiting")
            iterable = self.iterable(g.iter)
            target, prologue = self.target(g.target)
            names |= target_names(target) | assigned(prologue)
            tests = tuple(self.expr(part) for test in g.ifs for part in _conjuncts(test))
            clauses.append(hir.Clause(self.loc(g.target), target, prologue, iterable, tests))
        parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        elements = tuple(map(self.expr, parts))
        out = hir.Comprehension(
            self.loc(node), _KINDS[type(node)], elements, tuple(clauses), frozenset(names), ()  # type: ignore[arg-type]
        )
        out.assigned = tuple(sorted(assigned(children(out)) - names))
        return out


def _conjuncts(test: ast.expr) -> list[ast.expr]:
    """`if a and b` as two conditions, so that what `:=` in them assigns is there in the element."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return [part for value in test.values for part in _conjuncts(value)]
    return [test]


def _rename(node: _Comprehension, names: set[str]) -> _Comprehension:
    """The comprehension with other names for its own variables that are among `names`. Whatever is inside of it and
    has such a name is in its scope, or hides it; only the first iterable is outside."""
    own = {n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)} & names
    if not own:
        return node
    first, node = node.generators[0].iter, copy.deepcopy(node)
    for n in ast.walk(node):
        if isinstance(n, ast.Name) and n.id in own:
            n.id += "'"
        elif isinstance(n, ast.arg) and n.arg in own:
            n.arg += "'"
    node.generators[0].iter = first
    return node
