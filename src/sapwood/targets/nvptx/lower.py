"""Kernel -> LLVM text for NVIDIA GPUs: intrinsics, shared memory, the kernel's calling convention.

Source: LLVM's "User Guide for NVPTX Back-end"; PTX ISA for what the instructions mean.
"""

from __future__ import annotations

from sapwood.targets.base import ThreadCode

_REGISTERS = {"thread_idx": "tid", "block_idx": "ctaid", "block_dim": "ntid", "grid_dim": "nctaid"}
_MODES = {"idx": ("idx", 31), "up": ("up", 0), "down": ("down", 31), "xor": ("bfly", 31)}  # and the clamp


class PtxThread(ThreadCode):
    """One thread of the hardware. A raise is a trap: the driver reports it, without the text."""

    def end(self, name: str, params: list[str]) -> None:
        attributes = self.e.target.function_attributes(self.e.function)
        self.e.finish(f"define ptx_kernel void @{name}({', '.join(params)})", attributes)

    def leave(self) -> None:
        self.e.line("ret void")

    def fail(self) -> None:
        self.e.call("llvm.trap", "void", [])
        self.e.line("unreachable")

    def _register(self, name: str) -> str:
        x = self.e.call(f"llvm.nvvm.read.ptx.sreg.{name}", "i32", [])
        return self.e.value(f"zext i32 {x} to i64")

    def place(self, name: str, axis: int) -> str:
        return self._register(f"{_REGISTERS[name]}.{'xyz'[axis]}")

    def lane_id(self) -> str:
        return self._register("laneid")

    def shared_storage(self, nbytes: int, align: int) -> str:
        name = f"@{self.e.module.fresh(f'{self.e.function.name}.shared')}"
        self.e.declare(f"{name} = internal addrspace(3) global [{nbytes} x i8] undef, align {align}")
        return name

    def dynamic_storage(self) -> str:
        name = f"@{self.e.function.name}_dynamic_shared"  # PTX has no dots in the names of what is external
        self.e.declare(f"{name} = external addrspace(3) global [0 x i8], align 128")
        return name

    def dynamic_bytes(self) -> str:
        return self._register("dynamic_smem_size")

    def barrier(self, line: int, uniform: bool) -> None:
        form = "aligned." if uniform else ""  # aligned: every thread of the warp must be at this very barrier
        self.e.call(f"llvm.nvvm.barrier.cta.sync.{form}all", "void", [("i32", "0")])

    def shuffle(self, mode: str, ty: str, x: str, n: str, line: int) -> str:
        word, clamp = _MODES[mode]
        lane = self.e.value(f"trunc i64 {n} to i32")
        lane = self.e.value(f"and i32 {lane}, 31")
        name = f"llvm.nvvm.shfl.sync.{word}.{'f32' if ty == 'float' else 'i32'}"
        return self.e.call(name, ty, [("i32", "-1"), (ty, x), ("i32", lane), ("i32", str(clamp))])
