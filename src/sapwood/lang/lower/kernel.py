"""Kernel -> LLVM text: one function that is one thread. What differs between targets is their `ThreadCode`."""

from __future__ import annotations

from typing import Any

from sapwood.lang.ir.ssa import Function
from sapwood.lang.lower.emitter import Emitter, ModuleEmitter
from sapwood.lang.types import Leaf


class KernelEmitter(Emitter):
    """Emits the body of a kernel; lowering rules of kernel operations find the target's part in `thread`."""

    shares_exits = False  # a target leaves a thread in its own way

    def __init__(self, module: ModuleEmitter, function: Function) -> None:
        super().__init__(module, function)
        self.thread: Any = module.target.thread_code(self)

    def return_values(self, values: list[tuple[Leaf, str]]) -> None:
        self.thread.leave()
        self.dead = True

    def return_error(self) -> None:
        self.thread.fail()
        self.dead = True

    def fill_error(self, descriptor: str, words: list[str], cause: str | None = None, record: str = "%err") -> None:
        if self.thread.records_errors:
            super().fill_error(descriptor, words, None, record)


def lower_kernel(module: ModuleEmitter, function: Function) -> None:
    """Add a kernel, and what its target needs to launch it, to the module."""
    e = KernelEmitter(module, function)
    params = []
    for i, p in enumerate(function.params):
        e.names[p] = f"%p{i}"
        params.append(f"{e.type(p.type)} %p{i}")
    e.thread.begin()
    e.region(function.body)
    if not e.dead:
        e.return_values([])
    e.thread.end(function.name, params)
