"""Names that functions share with those inside them.

Most captured names are assigned once, before the nested function is made: it may capture their value. A name that
is assigned later, or by the nested function itself, is *shared*: whoever reads it sees what it holds then.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.front import hir
from sapwood.lang.front.names import children, target_names, walk_statements


class _Assigned:
    """Names that get a value, after what stands before in the source."""

    def __init__(self, names: set[str]) -> None:
        self.names = names


def nonlocal_names(body: list[hir.Stmt]) -> set[str]:
    return {n for s in walk_statements(body) if isinstance(s, hir.Nonlocal) for n in s.names}


def inner_writes(nodes: list[Any]) -> set[str]:
    """Names that functions defined here assign, of the functions around them."""
    out: set[str] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if isinstance(node, hir.Lambda | hir.Define):
            out |= node.function.writes
        stack += children(node)
    return out


def shared_names(body: list[hir.Stmt], own: set[str]) -> tuple[set[str], set[str], set[str]]:
    """The own names that nested functions see as they are when these run, those of them that these assign, and those
    that comprehensions have for variables of their own, too."""
    captured: set[str] = set()
    shared: set[str] = set()
    hidden: set[str] = set()  # names that comprehensions use for themselves

    def assign(names: set[str]) -> None:
        shared.update(names & captured)

    stack: list[Any] = list(reversed(body))
    while stack:  # in the order of the source
        node = stack.pop()
        match node:
            case _Assigned():
                assign(node.names)
                continue
            case hir.Lambda():
                captured |= node.function.free
            case hir.Define():
                captured |= node.function.free - {node.name}
                assign({node.name})
                captured |= node.function.free  # another function of this name may follow
            case hir.NamedExpr() | hir.Delete():
                stack.append(_Assigned({node.name}))
            case hir.Assign() | hir.For() | hir.With() if node.target is not None:
                names = target_names(node.target)
                if isinstance(node, hir.Assign):
                    stack.append(_Assigned(names))
                else:
                    assign(names)
            case hir.Try():
                assign({h.name for h in node.handlers if h.name is not None})
            case hir.Comprehension():
                hidden |= node.names
        stack += reversed(children(node))
    written = inner_writes(body) & own
    shared = (shared & own) | written
    return shared, written, shared & hidden & captured


def note_loops(body: list[hir.Stmt], around: frozenset[str] = frozenset()) -> None:
    """Tell nested functions which names that they read are assigned by loops around them: again, once they are made."""
    stack: list[tuple[Any, frozenset[str]]] = [(node, around) for node in body]
    while stack:
        node, names = stack.pop()
        match node:
            case hir.For():
                names |= {*node.assigned, *target_names(node.target)}
            case hir.While():
                names |= {*node.assigned}
            case hir.Comprehension():
                names |= {*node.assigned, *node.names}
            case hir.Lambda() | hir.Define() if node.function.free & names:
                node.function.moving |= node.function.free & names
                note_loops(node.function.body, node.function.moving)
        stack += [(child, names) for child in children(node)]
