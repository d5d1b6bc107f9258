"""Legality: every operation must be selectable on the target before LLVM sees the program."""

from __future__ import annotations

from typing import Any

from sapwood.lang.errors import HostOnly, IllegalOnTarget, KernelOnly, NoLaunch, SharedTooLarge
from sapwood.lang.ir.ssa import Function, Program
from sapwood.lang.types import Ref, Str

_NO_HEAP = "threads have numbers, tensors, tuples and structs of them; a StackArray or shared memory holds many"
_NO_TEXT = "print and exceptions take numbers, constant texts, and f-strings of these"
MANY = 8  # operands and results of which only the different types are named
_INSTEAD = {
    "parallel_for": "the grid is the parallel loop: use block_idx and thread_idx instead of parallel()",
    "try": "a kernel can raise but not catch; test the condition before",
}


def check_legality(program: Program, target: Any) -> None:
    """Raise a TargetMistake (or NoLaunch) for the first thing in the program that the target cannot do."""
    for function in program.functions:
        if function.kind == "kernel" and not target.kernel:
            raise NoLaunch(function.loc, name=function.name, target=target.name, hint="simt runs kernels on a CPU")
        for op in function.body.walk():
            if op.op.space == "kernel" and function.kind != "kernel":
                raise KernelOnly(op.loc, op=op.name)
            if op.op.space == "host" and function.kind == "kernel":
                name = "parallel" if op.name == "parallel_for" else op.name
                raise HostOnly(op.loc, op=name, hint=_INSTEAD.get(op.name, "call it on the host, before or after"))
            if function.kind == "kernel":
                counted = next((v for v in (*op.results, *op.operands) if isinstance(v.type, Ref)), None)
                if counted is not None:  # counts belong to whoever holds the GIL, and a GPU has no heap
                    hint = _NO_TEXT if isinstance(counted.type.target, Str) else _NO_HEAP
                    raise HostOnly(op.loc, op=f"a value of type {counted.type}", hint=hint)
            rule = op.op.legality_rule
            reason = rule(target, op) if rule is not None else None
            reason = reason or target.illegal(op)
            if reason:
                kinds = [str(v.type) for v in (*op.operands, *op.results)]
                kinds = kinds if len(kinds) < MANY else list(dict.fromkeys(kinds))
                types = ", ".join(kinds) or "no operands"
                raise IllegalOnTarget(op.loc, op=op.name, types=types, target=target.name, hint=reason)
        if function.kind == "kernel":
            _check_shared(function, target)


def _check_shared(function: Function, target: Any) -> None:
    total, last = 0, function.loc
    for op in function.body.walk():
        if op.name == "shared_storage":
            total += op.attrs["bytes"]
            last = op.loc
    if total > target.shared_bytes:
        raise SharedTooLarge(
            last, name=function.name, bytes=total, limit=target.shared_bytes, target=target.name
        )
