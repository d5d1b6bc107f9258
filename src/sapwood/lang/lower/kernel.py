"""Kernel -> LLVM text: one function that is one thread. What differs between targets is their `ThreadCode`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sapwood.lang.ir.ssa import Function, Op, Region
from sapwood.lang.lower.emitter import Emitter, ModuleEmitter
from sapwood.lang.types import Leaf, sizeof


class KernelEmitter(Emitter):
    """Emits the body of a kernel; lowering rules of kernel operations find the target's part in `thread`."""

    shares_exits = False  # a target leaves a thread in its own way

    def __init__(self, module: ModuleEmitter, function: Function, code: Callable[[Any], Any]) -> None:
        super().__init__(module, function)
        self.thread: Any = code(self)

    def op(self, op: Op) -> None:
        if not self.thread.writes(op):
            super().op(op)

    def leave_loop(self, op: Op) -> None:
        if self.thread.outside(op.attrs["target"]):
            self.thread.leave_loop(op)
        else:
            super().leave_loop(op)

    def _way(self, region: Region, after: str) -> str | None:
        if region.ops and region.ops[0].name in ("break", "continue") and self.thread.outside(
            region.ops[0].attrs["target"]
        ):
            return None
        return super()._way(region, after)

    @staticmethod
    def memory_bytes(ty: Leaf) -> int:
        return sizeof(ty)

    def return_values(self, values: list[tuple[Leaf, str]]) -> None:
        self.thread.leave()
        self.dead = True

    def return_error(self) -> None:
        self.thread.fail()
        self.dead = True

    def fill_error(self, descriptor: str, words: list[str], cause: str | None = None, record: str = "%err") -> None:
        self.thread.record_error(descriptor, words)

    def write_record(self, descriptor: str, words: list[str]) -> None:
        super().fill_error(descriptor, words, None)


def lower_kernel(module: ModuleEmitter, function: Function) -> None:
    """Add a kernel, and what its target needs to launch it, to the module."""
    e = KernelEmitter(module, function, module.target.thread_code)
    if e.thread.alternative is not None:
        _write(KernelEmitter(module, function, e.thread.alternative), function)
    _write(e, function)


def _write(e: KernelEmitter, function: Function) -> None:
    params = []
    for i, p in enumerate(function.params):
        e.names[p] = f"%p{i}"
        params.append(f"{e.type(p.type)} %p{i}")
    e.thread.begin()
    e.thread.body(function.body)
    e.thread.end(function.name, params)
