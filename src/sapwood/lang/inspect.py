"""What the compiler makes of a function, as text: the steps of the pipeline for one kind of arguments."""

from __future__ import annotations

from typing import Any

from sapwood.lang.front.ast2hir import lower_function
from sapwood.lang.front.dump import dump
from sapwood.lang.ir.printer import format_program
from sapwood.lang.loading.fingerprint import symbol_name
from sapwood.lang.lower.emitter import lower_program

KINDS = ("hir", "ssa", "llvm", "asm", "ptx", "resources", "simt")


def inspect_function(fn: Any, arguments: list[Any], kind: str, target_name: str = "") -> str:
    """The text of one step for classified arguments: 'hir', 'ssa', 'llvm' (before LLVM optimises), 'asm' or 'ptx'.

    'resources' is a table of what a kernel takes on NVIDIA's architectures, made by ptxas; 'simt' says how the threads
    of a kernel run on the CPU, and why.

    The function is compiled anew and nothing is loaded, so the cache does not matter. Units that it links to follow.
    `target_name`: for another target than calls use. Raises ValueError for another kind or target, CompileError
    when the body is not in the language or not for the target.
    """
    from sapwood.lang.loading.current_target import current_target, kernel_target
    from sapwood.lang.pipeline import compile_entry
    from sapwood.targets.base import get_target

    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if kind == "hir":
        return dump(lower_function(fn.__wrapped__))
    if kind == "resources":
        return _resources(fn, arguments, target_name)
    if kind == "ptx" and not target_name.startswith("nvptx"):
        if target_name:
            raise ValueError(f"target {target_name} has no PTX; pass target='nvptx:sm_90a' or another nvptx target")
        target_name = "nvptx"
    if kind == "simt":
        if not fn.options.kernel:
            raise ValueError(f"{fn.__name__} is no @kernel")
        target_name = target_name or "simt"
    if target_name:
        target = get_target(target_name)
    else:
        target = kernel_target() if fn.options.kernel else current_target()
    compiled = compile_entry(fn, arguments, target, symbol_name(fn.__wrapped__))
    if kind == "simt":
        return target.how(compiled.program.entry)
    programs = [compiled.program, *_linked(compiled.links)]
    if kind == "ssa":
        return "\n\n".join(map(format_program, programs))
    texts = [compiled.text, *(lower_program(p, target) for p in programs[1:])]
    if kind == "llvm":
        return "\n".join(texts)
    from sapwood.targets.codegen import emit_assembly

    return "\n".join(emit_assembly(text, target) for text in texts)


def _resources(fn: Any, arguments: list[Any], target_name: str) -> str:
    """A row for each NVIDIA architecture, or for one; an architecture that the kernel is not for says why."""
    from sapwood.lang.errors import CompileError
    from sapwood.targets.nvptx.ptxas import assemble
    from sapwood.targets.nvptx.target import ARCHITECTURES

    if not fn.options.kernel:
        raise ValueError(f"{fn.__name__} is no @kernel: only kernels take registers and shared memory of a GPU")
    if target_name and not target_name.startswith("nvptx"):
        raise ValueError(f"target {target_name} has no table of resources; nvptx and its architectures have")
    chosen = target_name.partition(":")[2]
    rows = []
    for architecture in [chosen] if chosen else ARCHITECTURES:
        try:
            ptx = inspect_function(fn, arguments, "ptx", f"nvptx:{architecture}")
        except CompileError as e:
            if chosen:
                raise
            rows.append(f"{architecture:<9} {str(e).splitlines()[0]}")
            continue
        (found,) = assemble(ptx, architecture)[1].values()
        spilled = found.spill_store_bytes + found.spill_load_bytes
        numbers = f"{found.registers:>9} {found.shared_bytes:>6} {found.stack_bytes:>6} {spilled:>7}"
        rows.append(f"{architecture:<9} {numbers}")
    return "\n".join(["target    registers shared  stack spilled", *rows])


def _linked(links: dict[str, Any]) -> list[Any]:
    """The programs of linked units, each once, in the order of their first use."""
    found: dict[str, Any] = {}
    pending = list(links.values())
    while pending:
        unit = pending.pop(0)
        if unit.symbol not in found:
            found[unit.symbol] = unit.program
            pending += unit.links.values()
    return list(found.values())
