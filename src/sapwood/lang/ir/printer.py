"""Prints SSA as text, for SAPWOOD_DEBUG=ssa, `sapwood inspect --ssa` and tests."""

from __future__ import annotations

from typing import Any

from sapwood.lang.ir.ssa import Function, Op, Program, Region


def format_program(program: Program) -> str:
    return "\n\n".join(format_function(f) for f in program.functions)


def format_function(function: Function) -> str:
    params = ", ".join(f"{p!r}: {p.type}" for p in function.params)
    results = ", ".join(str(t) for t in function.results) or "none"
    flags = "".join(
        f" {word}" for word, on in (("raises", function.may_raise), ("recursive", function.recursive)) if on
    )
    lines = [f"{function.kind} @{function.name}({params}) -> {results}{flags} {{"]
    _region(function.body, lines, 1)
    lines.append("}")
    return "\n".join(lines)


def _attr(value: Any) -> str:
    if isinstance(value, dict):
        return "{...}"
    return getattr(value, "name", None) or repr(value)


def _op(op: Op, lines: list[str], depth: int) -> None:
    pad = "  " * depth
    results = ", ".join(f"{r!r}: {r.type}" for r in op.results)
    operands = ", ".join(map(repr, op.operands))
    attrs = ", ".join(f"{k}={_attr(v)}" for k, v in op.attrs.items() if v is not None)
    text = f"{results} = " if results else ""
    text += op.name + (f" {operands}" if operands else "") + (f" [{attrs}]" if attrs else "")
    if op.handler is not None:
        text += f" !{id(op.handler) & 0xFFFF:04x}({', '.join(map(repr, op.edge))})"
    if op.shared:
        text += f" retain({', '.join(map(repr, op.shared))})"
    if op.cleanup:
        text += f" release({', '.join(map(repr, op.cleanup))})"
    where = f"  ; {op.loc.line}" if op.loc.line else ""
    if not op.regions:
        lines.append(pad + text + where)
        return
    for i, region in enumerate(op.regions):
        params = ", ".join(f"{p!r}: {p.type}" for p in region.params)
        head = text if i == 0 else "} else"
        lines.append(f"{pad}{head}{f' ({params})' if params else ''} {{{where if i == 0 else ''}")
        _region(region, lines, depth + 1)
    lines.append(pad + "}")


def _region(region: Region, lines: list[str], depth: int) -> None:
    for op in region.ops:
        _op(op, lines, depth)
