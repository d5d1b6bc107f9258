"""HIR as indented text, for SAPWOOD_DEBUG=hir and `sapwood inspect --hir`."""

from __future__ import annotations

import ast
from typing import Any

from sapwood.lang.front import hir


def dump(node: Any, depth: int = 0) -> str:
    """A function, statement or expression as text."""
    pad = "  " * depth
    match node:
        case hir.FunctionDef():
            return f"{pad}def {node.name}({_params(node)}):\n" + "\n".join(dump(s, depth + 1) for s in node.body)
        case hir.Expr():
            return _expression(node)
        case hir.Assign():
            return f"{pad}{_target(node.target)} = {dump(node.value)}"
        case hir.Evaluate():
            return pad + dump(node.value)
        case hir.If():
            return _blocks(pad, depth, (f"if {dump(node.test)}:", node.then), ("else:", node.other))
        case hir.While():
            return _blocks(pad, depth, (f"while {dump(node.test)}:", node.body), ("else:", node.other))
        case hir.For():
            head = f"for {_target(node.target)} in {dump(node.iterable)}:"
            return _blocks(pad, depth, (head, node.body), ("else:", node.other))
        case hir.Block():
            return _blocks(pad, depth, (f"block {node.label}:", node.body))
        case hir.With():
            name = "" if node.target is None else f" as {_target(node.target)}"
            return _blocks(pad, depth, (f"with {dump(node.context)}{name}:", node.body))
        case hir.Try():
            handlers = [(_handler(h), h.body) for h in node.handlers]
            rest = (("else:", node.other), ("finally:", node.final))
            return _blocks(pad, depth, ("try:", node.body), *handlers, *rest)
        case hir.Return():
            return f"{pad}return {dump(node.value) if node.value else ''}".rstrip()
        case hir.Raise():
            parts = ["raise", *([] if node.exception is None else [dump(node.exception)])]
            return pad + " ".join([*parts, *([] if node.cause is None else ["from", dump(node.cause)])])
        case hir.Define():
            return dump(node.function, depth)
        case hir.Nonlocal():
            return f"{pad}nonlocal {', '.join(node.names)}"
        case hir.Delete():
            return f"{pad}del {node.name}"
        case hir.Leave():
            return f"{pad}leave {node.label}"
    return pad + type(node).__name__.lower()


def _expression(node: hir.Expr) -> str:
    match node:
        case hir.Literal(value=value):
            return getattr(value, "__name__", None) or repr(value)
        case hir.Name():
            return node.name
        case hir.Call():
            args = [dump(a) for a in node.args]
            args += [f"**{dump(v)}" if k is None else f"{k}={dump(v)}" for k, v in node.kwargs]
            return f"{dump(node.callee)}({', '.join(args)})"
        case hir.Starred():
            return f"*{dump(node.value)}"
        case hir.IfExp():
            return f"if_else({dump(node.test)}, {dump(node.then)}, {dump(node.other)})"
        case hir.Bind():
            return f"bind({node.name}={dump(node.value)}, {dump(node.body)})"
        case hir.Python():
            return f"comptime({ast.unparse(node.node)})"
        case hir.NamedExpr():
            return f"({node.name} := {dump(node.value)})"
        case hir.Lambda():
            return f"lambda({_params(node.function)})"
        case hir.Comprehension():
            text = f"{node.kind}({': '.join(map(dump, node.elements))}"
            for c in node.clauses:
                text += f" for {_target(c.target)} in {dump(c.iterable)}"
                text += "".join(f" if {dump(test)}" for test in c.conditions)
            return text + ")"
    return type(node).__name__.lower()


def _params(function: hir.FunctionDef) -> str:
    return ", ".join("*" * p.star + p.name for p in function.params)


def _target(target: hir.Target) -> str:
    if isinstance(target, hir.StarTarget):
        return f"*{target.target}"
    return target if isinstance(target, str) else f"({', '.join(map(_target, target))})"


def _handler(h: hir.Handler) -> str:
    kind = "" if h.type is None else f" {dump(h.type)}"
    return f"except{kind}{'' if h.name is None else f' as {h.name}'}:"


def _blocks(pad: str, depth: int, *blocks: tuple[str, list[hir.Stmt]]) -> str:
    lines: list[str] = []
    for head, body in blocks:
        if body or not lines:
            lines += [pad + head, *(dump(s, depth + 1) for s in body)]
    return "\n".join(lines)
