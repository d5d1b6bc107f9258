"""LLVM text -> object code or assembly, through llvmlite.

LLVM kills the process on code that it cannot select, so only text that came through our legality tables gets
here. llvmlite is imported on first use: loading cached code does not optimise anything.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

from sapwood.targets.base import Target
from sapwood.targets.isolated import MARK, compile_isolated

_lock = threading.Lock()


class CodegenError(RuntimeError):
    """LLVM refused text that the compiler made: a bug of the compiler, never of the user."""


@lru_cache(maxsize=1)
def _llvm() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.set_option("", "-force-ordered-reductions=true")  # vectorise what leads to a sum of floats, and add in order
    llvm.set_option("", "-x86-cmov-converter=false")  # it made jumps that are mispredicted of min(a, b, c) in loops
    return llvm


def llvm_version() -> str:
    return ".".join(map(str, _llvm().llvm_version_info))


@lru_cache(maxsize=16)
def _machine(triple: str, cpu: str, features: str, opt: int) -> Any:
    llvm = _llvm()
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=opt, reloc="pic", codemodel="default"
    )


MANY_LINES = 2000
_reduces_strength = True


def _choose_passes(text: str, target: Target) -> None:
    """Leave loop strength reduction out of kernels that are hundreds of short loops: it takes a quarter of the time
    there, and makes nothing faster. (The option is the process's; LLVM reads it when it emits code.)"""
    global _reduces_strength
    wanted = target.gpu or not target.kernel or text.count("\n") < MANY_LINES
    if wanted != _reduces_strength:
        _llvm().set_option("", f"-disable-lsr={'false' if wanted else 'true'}")
        _reduces_strength = wanted


def optimise(text: str, target: Target) -> tuple[Any, Any]:
    """(module, machine) after LLVM's pipeline."""
    llvm = _llvm()
    _choose_passes(text, target)
    try:
        module = llvm.parse_assembly(text)
        module.verify()
    except RuntimeError as e:
        raise CodegenError(f"{e}\n{_numbered(text, str(e))}") from None
    machine = _machine(target.triple, target.cpu, target.feature_string, target.opt_level)
    options = llvm.create_pipeline_tuning_options(speed_level=target.opt_level)
    options.loop_vectorization = options.slp_vectorization = target.opt_level >= 2
    builder = llvm.create_pass_builder(machine, options)
    passes = builder.getModulePassManager()
    passes.run(module, builder)
    return module, machine


def _numbered(text: str, message: str) -> str:
    import re

    found = re.search(r":(\d+):\d+", message)
    if not found:
        return ""
    at = int(found.group(1))
    lines = text.splitlines()
    return "\n".join(f"{i + 1:5} {lines[i]}" for i in range(max(0, at - 4), min(len(lines), at + 3)))


def emit_object(text: str, target: Target) -> bytes:
    if text.startswith(MARK):
        return compile_isolated("object", text, target)
    with _lock:
        module, machine = optimise(text, target)
        return machine.emit_object(module)


def emit_assembly(text: str, target: Target) -> str:
    if text.startswith(MARK):
        return compile_isolated("assembly", text, target).decode()
    with _lock:
        module, machine = optimise(text, target)
        return machine.emit_assembly(module)


def optimised_text(text: str, target: Target) -> str:
    with _lock:
        return str(optimise(text, target)[0])
