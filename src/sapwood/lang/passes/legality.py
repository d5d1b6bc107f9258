"""Legality: every operation must be selectable on the target before LLVM sees the program."""

from __future__ import annotations

from typing import Any

from sapwood.lang.errors import IllegalOnTarget, KernelOnly
from sapwood.lang.ir.ssa import Program


def check_legality(program: Program, target: Any) -> None:
    """Raise IllegalOnTarget or KernelOnly for the first operation that the target cannot do."""
    for function in program.functions:
        for op in function.body.walk():
            if op.op.space == "kernel" and function.kind != "kernel":
                raise KernelOnly(op.loc, op=op.name)
            rule = op.op.legality_rule
            reason = rule(target, op) if rule is not None else None
            reason = reason or target.illegal(op)
            if reason:
                types = ", ".join(str(v.type) for v in (*op.operands, *op.results))
                raise IllegalOnTarget(op.loc, op=op.name, types=types, target=target.name, hint=reason)
