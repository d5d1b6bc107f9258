"""Atomic operations of NVIDIA GPUs, as assembly.

LLVM's `atomicrmw` becomes a relaxed `atom`, whatever order and scope it says, and fences around that flush twice and
empty the first-level cache twice where `atom.acq_rel` does each once. Compare and exchange of 32 and 64 bits, loads,
stores and fences keep both, and so do the loops that LLVM makes of what has no instruction. What was measured is in
docs/design/atomics.md. Source: PTX ISA, "Parallel Synchronization and Communication Instructions": atom, red, fence.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from sapwood.targets.base import ThreadCode
from sapwood.targets.origins import pointer_origins

SCOPES = {"block": "cta", "cluster": "cluster", "device": "gpu", "system": "sys"}
LLVM_SCOPES = {"block": "block", "cluster": "cluster", "device": "device"}  # the system's has no name
_WITHOUT_RESULT = {"acquire": "relaxed", "acq_rel": "release"}  # nobody learns anything from it

_WORDS = ("i32", "u32", "i64", "u64")
_REAL = ("f32", "f64")
_HALVES = ("f16", "bf16")


def _kinds(word: str, types: tuple[str, ...], letter: str = "") -> dict[str, str]:
    """type -> what follows the scope; the letter for the type's own is empty."""
    own = {"i32": "s32", "i64": "s64"}
    return {t: f"{word}.{letter}{t[-2:]}" if letter else f"{word}.{own.get(t, t)}" for t in types}


# operation -> type -> the instruction, behind order, scope and state space
INSTRUCTIONS: dict[str, dict[str, str]] = {
    "atomic_add": {
        **_kinds("add", _WORDS, "u"), **_kinds("add", _REAL), **{t: f"add.noftz.{t}" for t in _HALVES},
    },
    "atomic_sub": _kinds("add", _WORDS, "u"),  # of what is negated
    "atomic_and": _kinds("and", _WORDS, "b"),
    "atomic_or": _kinds("or", _WORDS, "b"),
    "atomic_xor": _kinds("xor", _WORDS, "b"),
    "atomic_min": _kinds("min", _WORDS),
    "atomic_max": _kinds("max", _WORDS),
    "atomic_exchange": _kinds("exch", (*_WORDS, *_REAL), "b"),
    "atomic_inc": _kinds("inc", ("u32",)),
    "atomic_dec": _kinds("dec", ("u32",)),
    "atomic_cas": _kinds("cas", ("i16", "u16", *_HALVES), "b") | {"bf16": "cas.b16"},
}  # fmt: skip
SINCE = {("atomic_add", "bf16"): 90}

# what LLVM makes of compare and exchange, loads and stores
BY_LLVM: dict[str, tuple[str, ...]] = {
    "atomic_add": ("bf16",),
    "atomic_min": _REAL,
    "atomic_max": _REAL,
    "atomic_inc": ("u64",),
    "atomic_dec": ("u64",),
    "atomic_cas": (*_WORDS, *_REAL),
    "atomic_load": ("i16", "u16", *_HALVES, *_WORDS, *_REAL),
    "atomic_store": ("i16", "u16", *_HALVES, *_WORDS, *_REAL),
}


def illegal(op: Any, generation: int) -> str | None:
    """Why an atomic operation or a fence is not available, or None."""
    if op.attrs["scope"] == "cluster" and generation < 90:
        return f"the scope of a cluster needs sm_90 or newer, not sm_{generation}; say scope='device'"
    if op.name == "fence":
        return None
    name = op.operands[0].type.elem.name
    types = (*INSTRUCTIONS.get(op.name, {}), *BY_LLVM.get(op.name, ()))
    if name in types:
        return None
    return f"NVIDIA GPUs have it for {', '.join(dict.fromkeys(types))}, not for {name}"


def _syncscope(scope: str) -> str:
    return f'syncscope("{LLVM_SCOPES[scope]}") ' if scope in LLVM_SCOPES else ""


class AtomicCode(ThreadCode):
    """Writes the atomic operations that have an instruction."""

    def writes(self, op: Any) -> bool:
        if op.name not in INSTRUCTIONS:
            return super().writes(op)
        elem = op.operands[0].type.elem.name
        word = INSTRUCTIONS[op.name].get(elem)
        if word is None:
            return super().writes(op)
        operands = [self.e.name(v) for v in op.operands[1:]]
        if self.e.target.generation < SINCE.get((op.name, elem), 0):
            self.e.names[op.results[0]] = self._brain_add(op, operands[0])
            return True
        if op.name == "atomic_sub":
            operands[0] = self.e.value(f"sub {self.e.type(op.operands[1].type)} 0, {operands[0]}")
        self._instruction(op, word, operands)
        return True

    @cached_property
    def _used(self) -> set[Any]:
        return {v for op in self.e.function.body.walk() for v in op.operands}

    @cached_property
    def _origins(self) -> dict[Any, set[Any]]:
        return pointer_origins(self.e.function)

    def _instruction(self, op: Any, word: str, operands: list[str]) -> None:
        e = self.e
        scope, order = op.attrs["scope"], op.attrs["order"]
        if op.attrs.get("failure", "relaxed") != "relaxed":  # the instruction has one order for both
            order = {"relaxed": op.attrs["failure"], "release": "acq_rel"}.get(order, order)
        if "seq_cst" in (order, op.attrs.get("failure")):
            e.line(f"fence {_syncscope(scope)}seq_cst")
            order = "acquire"
        known = op.results[0] in self._used
        order = order if known else _WITHOUT_RESULT.get(order, order)
        space, pointer = self._place(op.operands[0])
        ty = e.type(op.results[0].type)
        letter = {"i16": "h", "i32": "r", "i64": "l", "float": "f", "double": "d"}[ty]
        form = f"{order}.{SCOPES[scope]}{space}.{word}"
        values = "".join(f", {ty} {x}" for x in operands)
        letters = ",".join(["l", *[letter] * len(operands)])
        if not known and not word.startswith(("exch", "cas")):
            text = f"red.{form} [$0], $1;"
            e.line(f'call void asm sideeffect "{text}", "{letters},~{{memory}}"({pointer}{values}) nounwind')
            e.names[op.results[0]] = "poison"
            return
        places = ", ".join(f"${2 + i}" for i in range(len(operands)))
        text = f"atom.{form} $0, [$1], {places};"
        code = f'asm sideeffect "{text}", "={letter},{letters},~{{memory}}"'
        e.names[op.results[0]] = e.value(f"call {ty} {code}({pointer}{values}) nounwind")

    def _place(self, pointer: Any) -> tuple[str, str]:
        """The state space, and the pointer as an operand: what a kernel is given is in global memory."""
        name = self.e.name(pointer)
        if pointer.type.space == "shared":
            return ".shared", f"ptr addrspace(3) {name}"
        origins = self._origins.get(pointer, ())
        if origins and all(isinstance(o, int) for o in origins):
            there = self.e.value(f"addrspacecast ptr {name} to ptr addrspace(1)")
            return ".global", f"ptr addrspace(1) {there}"
        return "", f"ptr {name}"

    def _brain_add(self, op: Any, x: str) -> str:
        """A bf16 addition before sm_90: LLVM's loop, with the sum in f32."""
        e = self.e
        order = {"relaxed": "monotonic"}.get(op.attrs["order"], op.attrs["order"])
        wide = e.value(f"bitcast i16 {x} to bfloat")
        place = f"{e.type(op.operands[0].type)} {e.name(op.operands[0])}"
        old = e.value(f"atomicrmw fadd {place}, bfloat {wide} {_syncscope(op.attrs['scope'])}{order}")
        return e.value(f"bitcast bfloat {old} to i16")


