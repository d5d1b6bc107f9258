"""What the compiler makes of a function, as text: the steps of the pipeline for one kind of arguments."""

from __future__ import annotations

from typing import Any

from sapwood.lang.front import hir
from sapwood.lang.front.ast2hir import lower_function
from sapwood.lang.ir.printer import format_program

KINDS = ("hir", "ssa", "llvm", "asm")


def inspect_function(fn: Any, arguments: list[Any], kind: str) -> str:
    """The text of one step for classified arguments: 'hir', 'ssa', 'llvm' (before LLVM optimises) or 'asm'.

    The function is compiled anew and nothing is loaded, so the cache does not matter. Raises ValueError for
    another kind, CompileError when the body is not in the language.
    """
    from sapwood.lang.load import current_target
    from sapwood.lang.pipeline import compile_entry

    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if kind == "hir":
        return hir.dump(lower_function(fn.__wrapped__))
    target = current_target()
    compiled = compile_entry(fn, arguments, target, fn.__wrapped__.__name__.strip("<>"))
    if kind == "ssa":
        return format_program(compiled.program)
    if kind == "llvm":
        return compiled.text
    from sapwood.targets.codegen import emit_assembly

    return emit_assembly(compiled.text, target)
