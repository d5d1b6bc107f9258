"""Kernel -> LLVM text for NVIDIA GPUs: intrinsics, shared memory, the kernel's calling convention.

Source: LLVM's "User Guide for NVPTX Back-end"; PTX ISA for what the instructions mean.
"""

from __future__ import annotations

from functools import cached_property

from sapwood.targets.base import int_of
from sapwood.targets.nvptx.atomics import AtomicCode
from sapwood.targets.nvptx.copies import CopyCode
from sapwood.targets.nvptx.errors import HIDDEN, raising
from sapwood.targets.nvptx.matrix import MatrixCode

_REGISTERS = {
    "thread_idx": "tid", "block_idx": "ctaid", "block_dim": "ntid", "grid_dim": "nctaid",
    "cluster_idx": "clusterid", "cluster_dim": "cluster.nctaid",
}  # fmt: skip
_VOTES = {"count": "popc", "all": "and", "any": "or"}
# operations that wait until a number of threads has come, or loops that do
COUNTING = frozenset(
    "named_barrier_sync mbarrier_wait mbarrier_test grid_sync cluster_wait give_way wgmma.mma".split()
)
MAP = 'ptr byval([128 x i8]) align 64 "nvvm.grid_constant"'  # CUtensorMap
_MODES = {"idx": ("idx", 31), "up": ("up", 0), "down": ("down", 31), "xor": ("bfly", 31)}  # and the clamp
ALL = "-1"  # the mask of all lanes: those that have returned do not count


class PtxThread(AtomicCode, CopyCode, MatrixCode):
    """One thread of the hardware.

    Behind the parameters of the source a kernel has two more: the error record of the device, and a number that says
    whose descriptors that record is about (errors.py). Then come its tensor maps.
    """

    def end(self, name: str, params: list[str]) -> None:
        attributes = self.e.target.function_attributes(self.e.function)
        maps = [f"{MAP} %map{i}" for i in range(len(self.e.function.attrs.get("tensor_maps", ())))]
        self.e.finish(f"define ptx_kernel void @{name}({', '.join([*params, *HIDDEN, *maps])})", attributes)

    def leave(self) -> None:
        self.e.line("ret void")

    def record_error(self, descriptor: str, words: list[str]) -> None:
        name = f"{self.e.function.name}.raise.{len(words)}"  # of the kernel's own, so that modules can be put together
        self.e.module.helper(name, lambda: raising(name, self.e.target, len(words)))
        number = descriptor.removeprefix("@.text")
        arguments = ["ptr %err", "i64 %descriptors", f"i64 {number}", *(f"i64 {w}" for w in words)]
        self.e.line(f"call void @{name}({', '.join(arguments)})")

    @cached_property
    def _others_count(self) -> bool:
        """Whether threads wait for a number of arrivals somewhere in the kernel."""
        return any(op.name in COUNTING for op in self.e.function.body.walk())

    def fail(self) -> None:
        """The thread ends, so that the device can be used on; where others wait for a number of arrivals, which now
        never comes, all end in a trap."""
        if self._others_count:
            self.e.call("llvm.trap", "void", [])
            self.e.line("unreachable")
        else:
            self.e.line("ret void")

    def print_formatted(self, form: str, words: list[str]) -> None:
        """The driver's `vprintf`: values in memory as in a C struct, where each of 8 bytes needs no padding. (CUDA C++
        Programming Guide, "Formatted Output".)"""
        buffer = self.e.alloca(8 * max(len(words), 1), 8)
        for i, word in enumerate(words):
            place = self.e.value(f"getelementptr i64, ptr {buffer}, i64 {i}")
            self.e.line(f"store i64 {word}, ptr {place}, align 8")
        self.e.call("vprintf", "i32", [("ptr", self.e.text_constant(form)), ("ptr", buffer)])

    def _register(self, name: str) -> str:
        x = self.e.call(f"llvm.nvvm.read.ptx.sreg.{name}", "i32", [])
        return self.e.value(f"zext i32 {x} to i64")

    def place(self, name: str, axis: int) -> str:
        return self._register(f"{_REGISTERS[name]}.{'xyz'[axis]}")

    def lane_id(self) -> str:
        return self._register("laneid")

    def warp_id(self) -> str:
        """By the thread's number: the register `%warpid` may change while a thread runs (PTX ISA)."""
        e = self.e
        at, size = ([self.place(what, axis) for axis in range(3)] for what in ("thread_idx", "block_dim"))
        row = e.value(f"add i64 {at[1]}, {e.value(f'mul i64 {at[2]}, {size[1]}')}")
        number = e.value(f"add i64 {at[0]}, {e.value(f'mul i64 {row}, {size[0]}')}")
        return e.value(f"lshr i64 {number}, 5")

    def shared_storage(self, nbytes: int, align: int) -> str:
        name = f"@{self.e.module.fresh(f'{self.e.function.name}.shared')}"
        self.e.declare(f"{name} = internal addrspace(3) global [{nbytes} x i8] undef, align {align}")
        return name

    def dynamic_storage(self) -> str:
        name = f"@{self.e.function.name}_dynamic_shared"  # PTX has no dots in the names of what is external
        self.e.declare(f"{name} = external addrspace(3) global [0 x i8], align 1024")
        return name

    def dynamic_bytes(self) -> str:
        return self._register("dynamic_smem_size")

    def barrier(self, line: int, uniform: bool) -> None:
        form = "aligned." if uniform else ""  # aligned: every thread of the warp must be at this very barrier
        self.e.call(f"llvm.nvvm.barrier.cta.sync.{form}all", "void", [("i32", "0")])

    def barrier_vote(self, mode: str, predicate: str, line: int) -> str:
        result = "i32" if mode == "count" else "i1"
        name = f"llvm.nvvm.barrier.cta.red.{_VOTES[mode]}.all"
        said = self.e.call(name, result, [("i32", "0"), ("i1", predicate)])
        return self.e.value(f"zext i32 {said} to i64") if mode == "count" else said

    def _named(self, how: str, number: str, count: str) -> None:
        words = [("i32", self._word(x)) for x in (number, count)]
        self.e.call(f"llvm.nvvm.barrier.cta.{how}.count", "void", words)

    def named_arrive(self, number: str, count: str) -> None:
        self._named("arrive", number, count)

    def named_sync(self, number: str, count: str, line: int) -> None:
        self._named("sync", number, count)

    def block_rank(self) -> str:
        return self._register("cluster.ctarank")

    def cluster_arrive(self) -> None:
        self.e.call("llvm.nvvm.barrier.cluster.arrive", "void", [])

    def cluster_wait(self, line: int) -> None:
        self.e.call("llvm.nvvm.barrier.cluster.wait", "void", [])

    def map_shared(self, p: str, rank: str) -> str:
        generic = self.e.value(f"addrspacecast ptr addrspace(3) {p} to ptr")
        return self.e.call("llvm.nvvm.mapa", "ptr", [("ptr", generic), ("i32", self._word(rank))])

    def _grid_workspace(self) -> str:
        """The address of what the driver gives a cooperative launch to wait with, or 0.

        As CUDA's cooperative_groups (details/helpers.h) finds it: a struct of {u32 size, u32 barrier}, whose address is
        in two environment registers.
        """
        low, high = (self._register(f"envreg{n}") for n in (1, 2))
        return self.e.value(f"or i64 {low}, {self.e.value(f'shl i64 {high}, 32')}")

    def _is_first(self, what: str) -> str:
        x, y, z = (self.place(what, axis) for axis in range(3))
        some = self.e.value(f"or i64 {x}, {self.e.value(f'or i64 {y}, {z}')}")
        return self.e.value(f"icmp eq i64 {some}, 0")

    def is_cooperative(self) -> str:
        return self.e.value(f"icmp ne i64 {self._grid_workspace()}, 0")

    def grid_sync(self, line: int) -> None:
        """One thread of each block counts it in; the first block's step makes the sum of all flip the sign."""
        e = self.e
        self.barrier(line, False)
        workspace = e.value(f"inttoptr i64 {self._grid_workspace()} to ptr")
        at = e.value(f"getelementptr i32, ptr {workspace}, i64 1")
        blocks = self.place("grid_dim", 0)
        for axis in (1, 2):
            blocks = e.value(f"mul i64 {blocks}, {self.place('grid_dim', axis)}")
        rest = self._word(e.value(f"sub i64 {1 + (1 << 31)}, {blocks}"))
        step = e.select("i1", self._is_first("block_idx"), "i32", rest, "1")
        count, look, done, go = (e.label(stem) for stem in ("count", "look", "all.here", "go"))
        e.line(f"br i1 {self._is_first('thread_idx')}, label %{count}, label %{go}")
        e.block(count)
        e.line('fence syncscope("device") seq_cst')  # LLVM gives an atomic addition no ordering of its own
        old = e.value(f'atomicrmw add ptr {at}, i32 {step} syncscope("device") monotonic')
        e.line(f"br label %{look}")
        e.block(look)
        now = e.value(f'load atomic i32, ptr {at} syncscope("device") acquire, align 4')
        closed = e.value(f"icmp sge i32 {e.value(f'xor i32 {now}, {old}')}, 0")  # the sign has not changed
        e.line(f"br i1 {closed}, label %{look}, label %{done}")
        e.block(done)
        e.line('fence syncscope("device") seq_cst')
        e.line(f"br label %{go}")
        e.block(go)
        self.barrier(line, False)

    def shuffle(self, mode: str, ty: str, x: str, n: str, mask: str | None, line: int) -> str:
        """64 bits go as two halves, which is what CUDA's `__shfl_sync` does."""
        e = self.e
        word, clamp = _MODES[mode]
        lane = e.value(f"and i32 {self._word(n)}, 31")

        def move(bits: str) -> str:
            arguments = [("i32", mask or ALL), ("i32", bits), ("i32", lane), ("i32", str(clamp))]
            return e.call(f"llvm.nvvm.shfl.sync.{word}.i32", "i32", arguments)

        if int_of(ty) != "i64":
            return self.from_bits(ty, move(self.to_bits(ty, x, 32)), 32)
        bits = self.to_bits(ty, x, 64)
        low = move(self._word(bits))
        high = move(self._word(e.value(f"lshr i64 {bits}, 32")))
        high = e.value(f"shl i64 {e.value(f'zext i32 {high} to i64')}, 32")
        return self.from_bits(ty, e.value(f"or i64 {high}, {e.value(f'zext i32 {low} to i64')}"), 64)

    def meet(self, what: str, ty: str, x: str, mask: str | None, line: int) -> str:
        e, lanes = self.e, ("i32", mask or ALL)
        if what == "sync":
            return e.call("llvm.nvvm.bar.warp.sync", "void", [lanes])
        if not what.startswith("match"):
            return e.call(f"llvm.nvvm.vote.{what}.sync", "i32" if what == "ballot" else "i1", [lanes, ("i1", x)])
        width = 64 if int_of(ty) == "i64" else 32
        word = (f"i{width}", self.to_bits(ty, x, width))
        if what == "match_any":
            return e.call(f"llvm.nvvm.match.any.sync.i{width}", "i32", [lanes, word])
        found = e.call(f"llvm.nvvm.match.all.sync.i{width}p", "{i32, i1}", [lanes, word])
        return e.value(f"extractvalue {{i32, i1}} {found}, 1")

    def redux(self, mode: str, signed: bool, x: str, mask: str | None) -> str:
        name = f"u{mode}" if mode in ("min", "max") and not signed else mode
        return self.e.call(f"llvm.nvvm.redux.sync.{name}", "i32", [("i32", x), ("i32", mask or ALL)])

    def active_mask(self) -> str:
        return self.e.call("llvm.nvvm.activemask", "i32", [])
