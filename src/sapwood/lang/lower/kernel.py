"""What the lowering rules of kernel operations need from a target: one LLVM function that is one thread.

A target with kernels derives its emitter from this and makes it in `Target.lower_kernel`. Everything else of a
kernel's body is lowered as in host functions.
"""

from __future__ import annotations

from sapwood.lang.ir.ssa import Op
from sapwood.lang.lower.emitter import Emitter
from sapwood.lang.types import Scalar


class KernelEmitter(Emitter):
    """Emits the body of a kernel. A kernel has no results; what ends it is `return_values` and `return_error`."""

    def place(self, name: str, axis: int) -> str:
        """The i64 coordinate `thread_idx`, `block_idx`, `block_dim` or `grid_dim` along an axis (0 is x)."""
        raise NotImplementedError

    def lane_id(self) -> str:
        """The thread's index in its warp, an i64."""
        raise NotImplementedError

    def shared_storage(self, nbytes: int, align: int) -> str:
        """A `ptr addrspace(3)` to new memory of the block."""
        raise NotImplementedError

    def barrier(self, line: int) -> None:
        """Wait for the threads of the block; `line` is where in the source."""
        raise NotImplementedError

    def shuffle(self, op: Op, mode: str, ty: Scalar, x: str, n: str) -> str:
        """The value of `x` (a 32-bit scalar) in the lane that `n` (an i64) names; see ops/gpu.py."""
        raise NotImplementedError

    def parameters(self) -> list[str]:
        """The kernel's parameters as LLVM text; names them for the body."""
        assert self.function is not None
        out = []
        for i, p in enumerate(self.function.params):
            self.names[p] = f"%p{i}"
            out.append(f"{self.type(p.type)} %p{i}")
        return out

    def body(self) -> None:
        """Emit the whole body."""
        assert self.function is not None
        self.region(self.function.body)
        if not self.dead:
            self.return_values([])
