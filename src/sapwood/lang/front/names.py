"""Which names statements assign, read and share with nested functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sapwood.lang.front import hir


def target_names(target: hir.Target) -> set[str]:
    if isinstance(target, str):
        return {target}
    if isinstance(target, hir.StarTarget):
        return {target.target}
    return set().union(*map(target_names, target)) if target else set()


def children(node: Any) -> list[Any]:
    """The parts of a statement or expression, in the order of evaluation; not the bodies of nested functions."""
    match node:
        case hir.Call():
            return [node.callee, *node.args, *(v for _, v in node.kwargs)]
        case hir.IfExp():
            return [node.test, node.then, node.other]
        case hir.Bind():
            return [node.value, node.body]
        case hir.Starred() | hir.NamedExpr() | hir.Assign() | hir.Evaluate() | hir.Yield():
            return [node.value]
        case hir.Comprehension():
            clauses: list[Any] = []
            for c in node.clauses:
                clauses += [c.iterable, *c.prologue, *c.conditions]
            return [*clauses, *node.elements]
        case hir.Lambda() | hir.Define():
            return [p.default for p in node.function.params if p.default is not None]
        case hir.If():
            return [node.test, *node.then, *node.other]
        case hir.While():
            return [node.test, *node.body, *node.other]
        case hir.For():
            return [node.iterable, *node.body, *node.other]
        case hir.Return():
            return [] if node.value is None else [node.value]
        case hir.Raise():
            return [e for e in (node.exception, node.cause) if e is not None]
        case hir.Block():
            return node.body
        case hir.With():
            return [node.context, *node.body]
        case hir.Try():
            handlers: list[Any] = []
            for h in node.handlers:
                handlers += [*([] if h.type is None else [h.type]), *h.body]
            return [*node.body, *handlers, *node.other, *node.final]
    return []


def assigned(nodes: Iterable[Any]) -> set[str]:
    """Names that the statements (or expressions) assign or delete, not those of nested functions."""
    out: set[str] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        match node:
            case hir.Name() | hir.Literal():
                continue
            case hir.Assign():
                out |= target_names(node.target)
            case hir.Define() | hir.NamedExpr() | hir.Delete():
                out.add(node.name)
            case hir.For() | hir.While():  # `assigned` covers the body
                out.update(node.assigned)
                stack.append(node.iterable if isinstance(node, hir.For) else node.test)
                stack += node.other
                continue
            case hir.Comprehension():
                out.update(node.assigned)
                continue
            case hir.With() if node.target is not None:
                out |= target_names(node.target)
            case hir.Try():
                out.update(h.name for h in node.handlers if h.name is not None)
            case hir.Block():
                out.update(node.names)
        stack += children(node)
    return out


def names_read(nodes: Iterable[Any]) -> set[str]:
    """Names that are read in this scope, and those that nested functions read or assign in it."""
    out: set[str] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        match node:
            case hir.Name():
                out.add(node.name)
            case hir.Delete():
                out.add(node.name)
            case hir.Python():
                out |= node.names
            case hir.Lambda() | hir.Define():
                out |= node.function.free
            case hir.Comprehension():
                first, *_ = children(node)
                out |= names_read([first])
                out |= names_read(children(node)[1:]) - node.names
                continue
        stack += children(node)
    return {n for n in out if not n.startswith("$")}


def walk_statements(body: Iterable[hir.Stmt], into_loops: bool = True) -> Iterator[hir.Stmt]:
    """The statements and those inside them. Without `into_loops`, not the bodies of loops: what `break` and
    `continue` belong to."""
    for s in body:
        yield s
        inner = children(s)
        if not into_loops and isinstance(s, hir.For | hir.While):
            inner = s.other
        yield from walk_statements([i for i in inner if isinstance(i, hir.Stmt)], into_loops)
