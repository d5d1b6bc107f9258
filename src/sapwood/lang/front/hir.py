"""HIR: the program as calls with source locations, before any type is known.

Operators, attribute access, indexing and tuples are `Call`s of ordinary functions (`operator.add`, `getattr`,
`operator.getitem`, `make_tuple`), so that what they mean is decided in one place, by the operation tables.
Only what must not evaluate its parts eagerly has nodes of its own: branches, loops, exits and definitions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sapwood.lang.errors import Loc


def make_tuple(*items: Any) -> tuple[Any, ...]:
    return items


def make_list(*items: Any) -> list[Any]:
    return list(items)


def delete(*_: Any) -> None:  # pragma: no cover - a marker, never called
    raise AssertionError


# -- expressions ------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Expr:
    loc: Loc


@dataclass(eq=False, slots=True)
class Literal(Expr):
    value: Any


@dataclass(eq=False, slots=True)
class Name(Expr):
    name: str


@dataclass(eq=False, slots=True)
class Call(Expr):
    callee: Expr
    args: tuple[Expr, ...]
    kwargs: tuple[tuple[str, Expr], ...] = ()


@dataclass(eq=False, slots=True)
class IfExp(Expr):
    test: Expr
    then: Expr
    other: Expr


@dataclass(eq=False, slots=True)
class Bind(Expr):
    """Evaluates `value`, names it, and gives `body` (for chained comparisons and `and`/`or`)."""

    name: str
    value: Expr
    body: Expr


@dataclass(eq=False, slots=True)
class Python(Expr):
    """An expression that Python evaluates while the function is compiled: the argument of comptime()."""

    node: Any  # ast.expr
    names: frozenset[str]  # names in it


@dataclass(eq=False, slots=True)
class Lambda(Expr):
    function: FunctionDef


# -- statements -------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Stmt:
    loc: Loc


Target = str | tuple["Target", ...]


@dataclass(eq=False, slots=True)
class Assign(Stmt):
    target: Target
    value: Expr
    annotation: Expr | None = None


@dataclass(eq=False, slots=True)
class Evaluate(Stmt):
    value: Expr


@dataclass(eq=False, slots=True)
class If(Stmt):
    test: Expr
    then: list[Stmt]
    other: list[Stmt]


@dataclass(eq=False, slots=True)
class While(Stmt):
    test: Expr
    body: list[Stmt]
    other: list[Stmt]
    assigned: tuple[str, ...]


@dataclass(eq=False, slots=True)
class For(Stmt):
    target: Target
    iterable: Expr
    body: list[Stmt]
    other: list[Stmt]
    assigned: tuple[str, ...]


@dataclass(eq=False, slots=True)
class Return(Stmt):
    value: Expr | None


@dataclass(eq=False, slots=True)
class Break(Stmt):
    pass


@dataclass(eq=False, slots=True)
class Continue(Stmt):
    pass


@dataclass(eq=False, slots=True)
class Raise(Stmt):
    exception: Expr


@dataclass(eq=False, slots=True)
class Define(Stmt):
    name: str
    function: FunctionDef


@dataclass(eq=False, slots=True)
class Param:
    name: str
    loc: Loc
    annotation: Expr | None
    default: Expr | None
    keyword_only: bool = False


@dataclass(eq=False, slots=True)
class FunctionDef:
    """A function, nested function or lambda."""

    name: str
    params: list[Param]
    body: list[Stmt]
    loc: Loc
    locals: frozenset[str]
    free: frozenset[str]  # names that it reads and does not assign
    returns: Expr | None = None
    decorators: list[Expr] = field(default_factory=list)


def dump(node: Any, depth: int = 0) -> str:
    """HIR as indented text, for SAPWOOD_DEBUG=hir."""
    pad = "  " * depth
    match node:
        case FunctionDef():
            params = ", ".join(p.name for p in node.params)
            return f"{pad}def {node.name}({params}):\n" + "\n".join(dump(s, depth + 1) for s in node.body)
        case Literal():
            value = node.value
            return getattr(value, "__name__", None) or repr(value)
        case Name():
            return node.name
        case Call():
            args = [dump(a) for a in node.args] + [f"{k}={dump(v)}" for k, v in node.kwargs]
            return f"{dump(node.callee)}({', '.join(args)})"
        case IfExp():
            return f"if_else({dump(node.test)}, {dump(node.then)}, {dump(node.other)})"
        case Bind():
            return f"bind({node.name}={dump(node.value)}, {dump(node.body)})"
        case Python():
            import ast

            return f"comptime({ast.unparse(node.node)})"
        case Lambda():
            params = ", ".join(p.name for p in node.function.params)
            return f"lambda({params})"
        case Assign():
            return f"{pad}{_target(node.target)} = {dump(node.value)}"
        case Evaluate():
            return pad + dump(node.value)
        case If():
            return _blocks(pad, f"if {dump(node.test)}:", node.then, node.other, depth)
        case While():
            return _blocks(pad, f"while {dump(node.test)}:", node.body, node.other, depth)
        case For():
            head = f"for {_target(node.target)} in {dump(node.iterable)}:"
            return _blocks(pad, head, node.body, node.other, depth)
        case Return():
            return f"{pad}return {dump(node.value) if node.value else ''}".rstrip()
        case Raise():
            return f"{pad}raise {dump(node.exception)}"
        case Define():
            return dump(node.function, depth)
    return pad + type(node).__name__.lower()


def _target(target: Target) -> str:
    return target if isinstance(target, str) else f"({', '.join(map(_target, target))})"


def _blocks(pad: str, head: str, body: list[Stmt], other: list[Stmt], depth: int) -> str:
    lines = [pad + head, *(dump(s, depth + 1) for s in body)]
    if other:
        lines += [pad + "else:", *(dump(s, depth + 1) for s in other)]
    return "\n".join(lines)
