"""Kernel -> LLVM text for NVIDIA GPUs: intrinsics, shared memory, the kernel's calling convention.

Source: LLVM's "User Guide for NVPTX Back-end"; PTX ISA for what the instructions mean.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.ir.ssa import Function, Op
from sapwood.lang.lower.kernel import KernelEmitter
from sapwood.lang.types import Leaf, Scalar

_REGISTERS = {"thread_idx": "tid", "block_idx": "ctaid", "block_dim": "ntid", "grid_dim": "nctaid"}
_MODES = {"idx": ("idx", 31), "up": ("up", 0), "down": ("down", 31), "xor": ("bfly", 31)}  # and the clamp


class NvptxEmitter(KernelEmitter):
    """Emits one thread. A raise is a trap: the driver reports it, without the text."""

    def return_values(self, values: list[tuple[Leaf, str]]) -> None:
        self.line("ret void")
        self.dead = True

    def return_error(self) -> None:
        self.call("llvm.trap", "void", [])
        self.line("unreachable")
        self.dead = True

    def fill_error(self, record: str, words: list[str]) -> None:
        pass

    def text_constant(self, text: str) -> str:
        return "null"  # texts are for error records

    def _register(self, name: str) -> str:
        return self.value(f"zext i32 {self.call(f'llvm.nvvm.read.ptx.sreg.{name}', 'i32', [])} to i64")

    def place(self, name: str, axis: int) -> str:
        return self._register(f"{_REGISTERS[name]}.{'xyz'[axis]}")

    def lane_id(self) -> str:
        return self._register("laneid")

    def shared_storage(self, nbytes: int, align: int) -> str:
        assert self.function is not None
        name = f"@{self.module.fresh(f'{self.function.name}.shared')}"
        self.declare(f"{name} = internal addrspace(3) global [{nbytes} x i8] undef, align {align}")
        return name

    def barrier(self, line: int) -> None:
        # not the "aligned" form: that one needs every thread of a warp at the same barrier
        self.call("llvm.nvvm.barrier.cta.sync.all", "void", [("i32", "0")])

    def shuffle(self, op: Op, mode: str, ty: Scalar, x: str, n: str) -> str:
        word, clamp = _MODES[mode]
        t = self.type(ty)
        name = f"llvm.nvvm.shfl.sync.{word}.{'f32' if ty.is_float else 'i32'}"
        lane = self.value(f"trunc i64 {n} to i32")
        lane = self.value(f"and i32 {lane}, 31")
        return self.call(name, t, [("i32", "-1"), (t, x), ("i32", lane), ("i32", str(clamp))])


def lower_kernel(module: Any, function: Function) -> None:
    e = NvptxEmitter(module, function)
    params = e.parameters()
    e.body()
    e.finish(f"define ptx_kernel void @{function.name}({', '.join(params)})", module.target.function_attributes(function))
