"""What a target is, and the registry of them.

A target knows nothing of the language: it gets operations by name and types by their text, and answers
whether it can select them. An outside package adds one through the entry point group `sapwood.targets`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Target:
    """A machine to compile for, at one feature level."""

    name: str
    triple: str
    cpu: str
    features: frozenset[str]
    vector_bytes: int
    data_layout: str = ""
    kernel: bool = False  # whether it runs @kernel functions
    gpu: bool = False
    warp_size: int = 0  # threads of a kernel that execute together; 0 without kernels
    shared_bytes: int = 0  # shared memory that one block of a kernel may declare
    max_shared_bytes: int = 0  # ... and have together with what the launch adds
    launch: tuple[str, ...] = ()  # the numbers that a kernel's launcher takes before the arguments, by name
    checks: bool = False  # whether kernels are held to bounds even where they are unchecked
    sync_scopes: dict[str, str] = field(default_factory=dict, compare=False)  # scope of an atomic -> LLVM's name of it
    opt_level: int = 3  # how much LLVM optimises, 0 to 3
    options: dict[str, Any] = field(default_factory=dict, compare=False)

    def has(self, feature: str) -> bool:
        return feature in self.features

    @property
    def key(self) -> str:
        """What distinguishes the code that is made for it; part of every cache key."""
        return f"{self.name}:{self.triple}:{self.cpu}:{','.join(sorted(self.features))}:O{self.opt_level}"

    @property
    def feature_string(self) -> str:
        """Features as LLVM's attribute wants them; subclasses choose the spelling."""
        return ",".join(f"+{f}" for f in sorted(self.features))

    def function_attributes(self, function: Any) -> str:
        return f'nounwind "target-cpu"="{self.cpu}" "target-features"="{self.feature_string}"'

    def illegal(self, op: Any) -> str | None:
        """Why an operation cannot be selected, or None. Called for every operation before LLVM sees any."""
        return None

    def how(self, function: Any) -> str:
        """How the threads of a kernel run, for a person to read."""
        return f"threads of {self.name}"

    def thread_code(self, emitter: Any) -> ThreadCode:
        """What writes one thread of a kernel (targets with `kernel` only)."""
        raise NotImplementedError(f"target {self.name} has no kernels")


class ThreadCode:
    """How a target writes one thread of a kernel as LLVM text.

    `e` is the emitter (lang/lower/kernel.py): `e.line`, `e.value`, `e.call`, `e.declare`, `e.label`, `e.block`,
    `e.finish`. Values and types are LLVM text. Everything that is not here is lowered as in host functions.
    """

    def __init__(self, emitter: Any) -> None:
        self.e = emitter

    alternative: Callable[[Any], ThreadCode] | None = None  # another code for launches that this one is not for

    def begin(self) -> None:
        """Before the body."""

    def body(self, region: Any) -> None:
        """The body of the kernel."""
        self.e.region(region)
        if not self.e.dead:
            self.e.return_values([])

    def writes(self, op: Any) -> bool:
        """Write an operation in another way than its lowering rule does; False: it is for the rule."""
        return False

    def outside(self, loop: Any) -> bool:
        """Whether threads are left by a `break` or `continue` of this loop (its id) in a way of the target's."""
        return False

    def leave_loop(self, op: Any) -> None:
        """A `break` or `continue` of a loop that is `outside`. Ends the block."""
        raise NotImplementedError

    def end(self, name: str, params: list[str]) -> None:
        """After the body: finish the function `name` and add what launches it."""
        raise NotImplementedError

    def leave(self) -> None:
        """The thread returns. Ends the block."""
        raise NotImplementedError

    def record_error(self, descriptor: str, words: list[str]) -> None:
        """Write down the exception that the thread is about to `fail` with: its descriptor (a constant of the module)
        and values, each an i64. `e.write_record` does as host functions do, to `ptr %err`. Here nothing is."""

    def fail(self) -> None:
        """The thread has raised. Ends the block."""
        raise NotImplementedError

    def place(self, name: str, axis: int) -> str:
        """The i64 coordinate `thread_idx`, `block_idx`, `block_dim`, `grid_dim`, `cluster_idx` or `cluster_dim` along
        an axis (0 is x)."""
        raise NotImplementedError

    def lane_id(self) -> str:
        """The thread's index in its warp, an i64."""
        raise NotImplementedError

    def warp_id(self) -> str:
        """The number of the thread's warp in its block, an i64."""
        raise NotImplementedError

    def shared_storage(self, nbytes: int, align: int) -> str:
        """A `ptr addrspace(3)` to new memory of the block."""
        raise NotImplementedError

    def dynamic_storage(self) -> str:
        """A `ptr addrspace(3)` to the memory of the block that the launch adds, aligned to 64 bytes."""
        raise NotImplementedError

    def dynamic_bytes(self) -> str:
        """Its size, an i64."""
        raise NotImplementedError

    def give_way(self) -> None:
        """Let other threads run: this one is about to look, in a loop, whether they have done something."""

    def barrier(self, line: int, uniform: bool) -> None:
        """Wait for the threads of the block. `line`: where in the source; `uniform`: whether all threads that did
        not fail surely come here together."""
        raise NotImplementedError

    def barrier_vote(self, mode: str, predicate: str, line: int) -> str:
        """A barrier of the block; of how many threads the i1 is true ("count", an i64), or whether of "all", "any"."""
        raise NotImplementedError

    def named_arrive(self, number: str, count: str) -> None:
        """Come to a named barrier of the block that opens when `count` threads have come (two i64)."""
        raise NotImplementedError

    def named_sync(self, number: str, count: str, line: int) -> None:
        """Come to it and wait."""
        raise NotImplementedError

    def is_cooperative(self) -> str:
        """Whether all blocks of the grid run at the same time, an i1."""
        raise NotImplementedError

    def grid_sync(self, line: int) -> None:
        """Wait for the threads of the grid."""
        raise NotImplementedError

    def block_rank(self) -> str:
        """Number of the block in its cluster, an i64."""
        raise NotImplementedError

    def cluster_arrive(self) -> None:
        """Come to the barrier of the cluster."""
        raise NotImplementedError

    def cluster_wait(self, line: int) -> None:
        """Wait for the threads of the cluster to have come."""
        raise NotImplementedError

    def map_shared(self, p: str, rank: str) -> str:
        """The `ptr` to the place `p` (`ptr addrspace(3)`) in the block of the cluster that `rank` (an i64) names."""
        raise NotImplementedError

    # Copies that run while the thread goes on, and mbarriers: lang/ops/gpu/copies.py and mbarrier.py. Pointers of
    # shared memory are `ptr addrspace(3)`, others `ptr`; numbers are i64.

    def async_copy(self, target: str, source: str, nbytes: int, read: str) -> None:
        """Begin to copy `nbytes` (4, 8 or 16) from global to shared memory; beyond `read` of them are zeros."""
        raise NotImplementedError

    def commit(self) -> None:
        raise NotImplementedError

    def wait_copies(self, left: int) -> None:
        raise NotImplementedError

    def bulk_load(self, target: str, source: str, nbytes: str, read: str, bar: str) -> None:
        """Beyond `read` bytes are zeros; on a GPU all are read."""
        raise NotImplementedError

    def tensor_load(self, number: int, target: str, place: tuple[str, ...], bar: str) -> None:
        """Issue the copy of a box, of the kernel's tensor map of that number: lang/ops/gpu/tensor_copies.py. Only
        targets with `gpu` are asked, here and for the next."""
        raise NotImplementedError

    def tensor_store(self, number: int, source: str, place: tuple[str, ...]) -> None:
        raise NotImplementedError

    def bulk_store(self, target: str, source: str, nbytes: str) -> None:
        raise NotImplementedError

    def bulk_commit(self) -> None:
        raise NotImplementedError

    def bulk_wait(self, left: int) -> None:
        raise NotImplementedError

    def fence_async(self) -> None:
        raise NotImplementedError

    def mbarrier_init(self, bar: str, count: str, shared: bool) -> None:
        """`shared`: whether the pointer is one of shared memory, as it is but for other blocks' of the cluster."""
        raise NotImplementedError

    def mbarrier_arrive(self, bar: str, count: str, shared: bool) -> None:
        raise NotImplementedError

    def mbarrier_expect_tx(self, bar: str, nbytes: str, shared: bool) -> None:
        raise NotImplementedError

    def mbarrier_arrive_expect_tx(self, bar: str, nbytes: str, shared: bool) -> None:
        raise NotImplementedError

    def mbarrier_arrive_after_copies(self, bar: str) -> None:
        raise NotImplementedError

    def mbarrier_test(self, bar: str, parity: str) -> str:
        """An i1."""
        raise NotImplementedError

    def mbarrier_wait(self, bar: str, parity: str, line: int) -> None:
        raise NotImplementedError

    # Operations of a warp: lang/ops/gpu/warp.py. `mask`: of the lanes that meet, an i32 (i64 in warps of 64), or None
    # for all of them.

    def shuffle(self, mode: str, ty: str, x: str, n: str, mask: str | None, line: int) -> str:
        """The value of `x` (an int or float type) in the lane that `n` (an i64) names."""
        raise NotImplementedError

    def print_formatted(self, form: str, words: list[str]) -> None:
        """Print by a format of C's printf, in one piece; `words`: an i64 for each value, 64 bits of an int, of a double
        or of an address. Only targets with `gpu` are asked."""
        raise NotImplementedError

    def meet(self, what: str, ty: str, x: str, mask: str | None, line: int) -> str:
        """Lanes meet, each with an `x`. What comes of it: "any" or "all" of an i1 (an i1), its "ballot" (a mask),
        "match_any" (the mask of those with the same bits), "match_all" (an i1); nothing of "sync", after which each
        sees what the others wrote before."""
        raise NotImplementedError

    def redux(self, mode: str, signed: bool, x: str, mask: str | None) -> str:
        """All lanes' i32 combined by "add", "min", "max", "and", "or" or "xor". Only targets with "sm_80" are
        asked."""
        raise NotImplementedError

    def active_mask(self) -> str:
        """The mask of this lane and any others that execute it at the same time: none, where threads take turns."""
        lane = self.lane_id()
        if self.e.target.warp_size == 64:
            return self.e.value(f"shl i64 1, {lane}")
        return self.e.value(f"shl i32 1, {self.e.value(f'trunc i64 {lane} to i32')}")

    def matrix_multiply(self, instruction: str, *fragments: list[tuple[str, str]]) -> tuple[str, ...]:
        """The elements of A @ B + C; fragments are (type, value) of each element: see lang/ops/gpu/matrix.py. Only
        targets with `gpu` are asked."""
        raise NotImplementedError

    def load_matrices(self, p: str, count: int, transposed: bool, types: list[str]) -> tuple[str, ...]:
        """The elements, of these types, that a lane gets of `count` matrices in shared memory; p (`ptr addrspace(3)`)
        is the row that the lane names: see lang/ops/gpu/matrix_memory.py. Only targets with `gpu` are asked."""
        raise NotImplementedError

    def store_matrices(self, p: str, count: int, transposed: bool, elements: list[tuple[str, str]]) -> None:
        raise NotImplementedError

    def warpgroup_multiply(
        self, instruction: str, sums: list[tuple[str, str]], a: list[tuple[str, str]], how_a: Any, b: tuple[str, str],
        how_b: Any,
    ) -> tuple[str, ...]:
        """The elements of A @ B + C; a is elements if `how_a` is None, else a pointer, as b is; the rest as in
        lang/ops/gpu/matrix_warpgroup.py. Only targets with `gpu` are asked."""
        raise NotImplementedError

    def warpgroup_order(self, instruction: str, sums: list[tuple[str, str]]) -> tuple[str, ...]:
        """An instruction that orders products, and the elements of sums behind it."""
        raise NotImplementedError

    def dot_product(self, count: int, first: int, signs: str, a: str, b: str, c: str) -> str:
        """See lang/ops/gpu/matrix_dot.py; `signs`: "s" or "u" of a and of b, each after a dot. Only targets with `gpu`
        are asked."""
        raise NotImplementedError

    # Numbers as bits, which is how they go from lane to lane.

    def to_bits(self, ty: str, x: str, width: int) -> str:
        """The bits of an int or float as an int of `width` bits, not fewer than it has."""
        own = int_of(ty)
        bits = x if own == ty else self.e.value(f"bitcast {ty} {x} to {own}")
        return bits if own == f"i{width}" else self.e.value(f"zext {own} {bits} to i{width}")

    def from_bits(self, ty: str, bits: str, width: int) -> str:
        own = int_of(ty)
        bits = bits if own == f"i{width}" else self.e.value(f"trunc i{width} {bits} to {own}")
        return bits if own == ty else self.e.value(f"bitcast {own} {bits} to {ty}")


def int_of(ty: str) -> str:
    """The LLVM int type of as many bits."""
    return {"float": "i32", "double": "i64"}.get(ty, ty)


_REGISTRY: dict[str, Callable[[str], Target]] = {}


def register_target(name: str, make: Callable[[str], Target]) -> None:
    """`make(variant)` gives the target; the variant is what follows the colon in a name, or ""."""
    _REGISTRY[name] = make


def get_target(name: str) -> Target:
    """A target by name, such as "simt" or "nvptx:sm_90a": built in, or from entry points of installed packages.

    Raises ValueError for a name or a variant that nothing provides.
    """
    name, _, variant = name.partition(":")
    if name not in _REGISTRY:
        _load_builtin(name)
    if name not in _REGISTRY:
        from importlib.metadata import entry_points

        points = entry_points(group=ENTRY_POINTS)
        for point in points.select(name=name):
            register_target(name, point.load())
        if name not in _REGISTRY:
            known = ", ".join(sorted({*_REGISTRY, *BUILTIN, *points.names}))
            raise ValueError(f"unknown target {name!r}; known are {known}")
    return _REGISTRY[name](variant)


ENTRY_POINTS = "sapwood.targets"  # each one is a function from a variant to a Target
BUILTIN = {"x86": "sapwood.targets.x86", "simt": "sapwood.targets.simt", "nvptx": "sapwood.targets.nvptx"}


def _load_builtin(name: str) -> None:
    import importlib

    module = BUILTIN.get(name)
    if module is not None:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as e:
            if e.name != module:
                raise


def host_target() -> Target:
    """The target of the processor that this process runs on."""
    import platform

    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        return get_target("x86")
    from sapwood.targets.errors import UnsupportedPlatform

    raise UnsupportedPlatform(
        f"native code for {platform.system()} on {machine} is not made yet; Linux on x86-64 is. "
        "f.reference(...) and f.python(...) run everywhere"
    )
