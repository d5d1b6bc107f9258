"""Kernels in the reference evaluator: the meaning of threads, blocks, barriers and shuffles.

Each thread of a block has an evaluator, on an OS thread of its own, and only one of them runs at any time: it
runs until it waits, and hands control back. Groups of blocks run one after another; the blocks of a group, the warps
of a block and the threads of a warp take turns in ascending order, each until it waits.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

from sapwood.lang.errors import Loc
from sapwood.lang.ir.ssa import Op
from sapwood.lang.launch import Deadlock, LaunchConfig, Shape, check_shared
from sapwood.lang.ops.pointer import Block, Pointer
from sapwood.lang.oracles.copy_reference import Copies
from sapwood.lang.types import U8

# what a thread may wait for while the rest of its warp waits for it
COMING = ("turn", "named", "mbarrier", "cluster", "grid")


class _Abandoned(BaseException):
    """Ends a thread whose block has failed."""


class BlockState:
    """A block that runs: its places and its shared memory."""

    def __init__(self, config: LaunchConfig, number: int, warp_size: int) -> None:
        """Blocks are counted cluster by cluster, x first."""
        cluster, self.rank = divmod(number, math.prod(config.cluster))
        clusters = tuple(g // c for g, c in zip(config.grid, config.cluster, strict=True))
        at = _unravel(cluster, clusters)
        here = _unravel(self.rank, config.cluster)
        index = tuple(a * c + h for a, c, h in zip(at, config.cluster, here, strict=True))
        self.places = {
            "block_idx": index, "block_dim": config.block, "grid_dim": config.grid,
            "cluster_idx": at, "cluster_dim": config.cluster,
        }  # fmt: skip
        self.number = index[0] + config.grid[0] * (index[1] + config.grid[1] * index[2])
        self.warp_size = warp_size
        self.memory: dict[Op, Block] = {}
        self.dynamic = Pointer(Block.allocate(config.shared, 1024), 0, U8)
        self.is_cooperative = config.group == math.prod(config.grid)
        self.cluster: list[BlockState] = []  # its blocks, by rank
        self.arrived = [0] * 16  # at each named barrier
        self.phase = [0] * 16  # how often each has opened

    def shared(self, op: Op) -> Block:
        if op not in self.memory:
            self.memory[op] = Block.allocate(op.attrs["bytes"], op.attrs["align"])
        return self.memory[op]

    def in_block(self, p: Pointer, rank: int) -> Pointer:
        """The place of a pointer into this block's shared memory in that of another block of the cluster."""
        peer = self.cluster[rank]
        place = next((op for op, block in self.memory.items() if block is p.block), None)
        return Pointer(peer.dynamic.block if place is None else peer.shared(place), p.offset, p.elem)

    def arrive(self, number: int, count: int) -> None:
        """The arrival at a named barrier that makes it `count` opens it."""
        self.arrived[number] += 1
        if self.arrived[number] >= count:
            self.arrived[number] = 0
            self.phase[number] += 1


def _unravel(n: int, shape: Shape) -> Shape:
    return n % shape[0], n // shape[0] % shape[1], n // shape[0] // shape[1]


class KernelThread:
    """One thread: what the reference rules of kernel operations ask for, and where it waits."""

    def __init__(self, block: BlockState, number: int, main: Callable[[KernelThread], None]) -> None:
        dx, dy, _ = block.places["block_dim"]
        self.block = block
        self.number = number
        self.index = (number % dx, number // dx % dy, number // dx // dy)
        self.warp_size = block.warp_size
        self.lane = number % block.warp_size
        self.waits: tuple[str, Any, int] | None = None  # (what for, operation, source line)
        self.vote: bool | None = None  # at a barrier that counts
        self.votes: list[bool] = []
        self.come = ""  # to the barrier of the cluster: "come", then "open"
        self.copies = Copies()
        self.done = False
        self.error: BaseException | None = None
        self.members = 0  # the lanes that it waits for at an operation of the warp, a mask
        self.offered: Any = 0
        self.met: dict[int, Any] = {}  # what each lane there has offered
        self._abandoned = False
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._main = main
        self._os = threading.Thread(target=self._run, daemon=True)

    # -- for the rules ------------------------------------------------------------------------------

    def place(self, name: str, axis: int) -> int:
        return (self.index if name == "thread_idx" else self.block.places[name])[axis]

    def shared(self, op: Op) -> Pointer:
        return Pointer(self.block.shared(op), 0, op.result.type.elem)  # type: ignore[union-attr]

    def give_way(self) -> None:
        self._wait(("turn", None, 0))

    def wait_barrier(self, line: int) -> None:
        self.vote = None
        self._wait(("barrier", None, line))

    def vote_barrier(self, mode: str, predicate: bool, line: int) -> Any:
        self.vote = predicate
        self._wait(("barrier", None, line))
        return {"count": sum, "all": all, "any": any}[mode](self.votes)

    def sync_named(self, number: int, count: int, line: int) -> None:
        phase = self.block.phase[number]
        self.block.arrive(number, count)
        self._wait(("named", (number, phase), line))

    def cluster_arrive(self) -> None:
        self.come = "come"

    def cluster_wait(self, line: int) -> None:
        if self.come != "open":
            self._wait(("cluster", None, line))
        self.come = ""

    def wait_mbarrier(self, bar: Pointer, parity: int, line: int) -> None:
        if not self.copies.test(bar, parity):
            self._wait(("mbarrier", (bar, parity), line))

    def wait(self, what: str, line: int) -> None:
        self._wait((what, None, line))

    def meet(self, x: Any, op: Op, mask: int | None = None) -> dict[int, Any]:
        """Offer something to the lanes of a mask; what those that have met there have offered, by lane."""
        self.offered = x
        self.members = (1 << self.warp_size) - 1 if mask is None else mask
        self._wait(("warp", (None if op.name == "warp_sync" else op, self.members), op.loc.line))
        return self.met

    def exchange(self, x: Any, source: int, op: Op, mask: int | None = None) -> Any:
        """What the lane `source` has offered; one's own if it is not there."""
        return self.meet(x, op, mask).get(source, x)

    # -- for the scheduler --------------------------------------------------------------------------

    def _run(self) -> None:
        self._go.acquire()
        try:
            if not self._abandoned:
                self._main(self)
        except _Abandoned:
            pass
        except BaseException as e:  # raised again by the thread that waits for this one
            self.error = e
        self.done = True
        self._stopped.release()

    def _wait(self, what: tuple[str, Any, int]) -> None:
        self.waits = what
        self._stopped.release()
        self._go.acquire()
        if self._abandoned:
            raise _Abandoned

    def waits_for(self, what: str) -> bool:
        return self.waits is not None and self.waits[0] == what

    def at_same(self, other: KernelThread) -> bool:
        """Whether it waits where `other` does, with the same mask."""
        return self.waits is not None and other.waits is not None and self.waits[:2] == other.waits[:2]

    def start(self) -> None:
        self._os.start()

    def resume(self) -> None:
        """Run until the thread waits or ends; raises what it raised."""
        self.waits = None
        self._go.release()
        self._stopped.acquire()
        if self.error is not None:
            raise self.error

    def abandon(self) -> None:
        if not self.done and self._os.is_alive():
            self._abandoned = True
            self._go.release()
            self._os.join()


def run_kernel(
    fn: Any, config: LaunchConfig, values: list[Any], on_line: Callable[[Loc], None] | None = None
) -> None:
    """Run a kernel on the memory of its arguments. Raises what a launch would raise."""
    from sapwood.lang.oracles.evaluate import Evaluator
    from sapwood.lang.oracles.python_mode import prepare_reference

    program, _, _, _, leaves, _ = prepare_reference(fn, values)
    static = sum(op.attrs["bytes"] for op in program.entry.body.walk() if op.name == "shared_storage")
    check_shared(fn.__name__, static, config, program.target)

    def main(thread: KernelThread) -> None:
        evaluator = Evaluator(on_line)
        evaluator.thread = thread
        evaluator.function(program.entry, leaves)

    size = config.group
    for first in range(0, math.prod(config.grid), size):
        states = [BlockState(config, first + m, program.target.warp_size) for m in range(size)]
        for i, state in enumerate(states):
            state.cluster = states[i : i + math.prod(config.cluster)] if state.rank == 0 else states[i - 1].cluster
        _run_group([_RunningBlock(s, main) for s in states])


class _RunningBlock:
    """The threads of a block, by warps."""

    def __init__(self, state: BlockState, main: Callable[[KernelThread], None]) -> None:
        self.state = state
        self.threads = [KernelThread(state, n, main) for n in range(math.prod(state.places["block_dim"]))]
        size = state.warp_size
        self.warps = [self.threads[i : i + size] for i in range(0, len(self.threads), size)]

    @property
    def live(self) -> list[KernelThread]:
        return [t for t in self.threads if not t.done]


def _run_group(blocks: list[_RunningBlock]) -> None:
    """Run blocks to their ends, in turns."""
    try:
        for block in blocks:
            for t in block.threads:
                t.start()
        while any(block.live for block in blocks):
            for block in blocks:
                for warp in block.warps:
                    _run_warp(block.state, warp)
            if _open_barriers(blocks):
                continue
            events = [t.copies.finish_event() for block in blocks for t in block.threads]  # one of each thread
            if not any(events) and not any(t.waits_for("turn") for block in blocks for t in block.live):
                _stuck(blocks)
    finally:
        for block in blocks:
            for t in block.threads:
                t.abandon()


def _open_barriers(blocks: list[_RunningBlock]) -> bool:
    """Let threads go on that wait for what is there; whether there are any, or any are left."""
    going: list[KernelThread] = []
    for block in blocks:
        live = block.live
        if live and all(t.waits_for("barrier") for t in live):
            votes = [t.vote for t in live if t.vote is not None]
            for t in live:
                t.votes = votes
            going += live
        going += [t for t in live if t.waits_for("named") and _has_opened(t)]
        going += [t for t in live if t.waits_for("mbarrier") and _is_complete(t)]
    for block in blocks:
        if block.state.rank == 0:
            members = [t for b in blocks if b.state.cluster is block.state.cluster for t in b.live]
            if all(t.come == "come" for t in members):
                going += [t for t in members if t.waits_for("cluster")]
                for t in members if any(t.waits_for("cluster") for t in members) else ():
                    t.come = "open"
    everybody = [t for block in blocks for t in block.live]
    if blocks[0].state.is_cooperative and all(t.waits_for("grid") for t in everybody):
        going += everybody
    for t in going:
        t.waits = None
    return bool(going) or not everybody


def _has_opened(t: KernelThread) -> bool:
    assert t.waits is not None
    number, phase = t.waits[1]
    return t.block.phase[number] != phase


def _is_complete(t: KernelThread) -> bool:
    assert t.waits is not None
    return t.copies.test(*t.waits[1])


def _stuck(blocks: list[_RunningBlock]) -> None:
    """Raise Deadlock: two of the threads that are left, at different lines if there are such."""
    left = [(t, t.waits[2]) for block in blocks for t in block.live if t.waits is not None]
    first, line = left[0]
    text = f"deadlock: thread {first.number} of block {first.block.number} waits at line {line}, "
    for t, other in left:
        if other != line:
            text += f"thread {t.number} of block {t.block.number} at line {other}, "
            raise Deadlock(f"{text}and none is left that could let them go on")
    raise Deadlock(f"{text}as do all threads that are left; none could let them go on")


def _run_warp(block: BlockState, warp: list[KernelThread]) -> None:
    """Run a warp until its threads wait for others than those of the warp, have returned or gave way."""
    while True:
        for t in warp:
            if not t.done and (t.waits is None or t.waits_for("turn")):
                t.resume()
        left = [t for t in warp if not t.done]
        waiting = [t for t in left if t.waits_for("warp")]
        groups = [_members(t, left) for t in waiting]
        complete = [g for t, g in zip(waiting, groups, strict=True) if g[0] is t and all(u.at_same(t) for u in g)]
        for group in complete:
            met = {t.lane: t.offered for t in group}
            for t in group:
                t.met, t.waits = met, None
        if complete:
            continue
        if not waiting or any(t.waits_for(what) for t in left for what in COMING):
            return
        first = waiting[0]
        other = next(u for u in groups[0] if not u.at_same(first))
        _apart(block, first, other)


def _members(t: KernelThread, left: list[KernelThread]) -> list[KernelThread]:
    """The threads that `t` waits for. Raises Deadlock if it is none of them."""
    if not t.members >> t.lane & 1:
        assert t.waits is not None
        text = f"thread {t.number} waits at the warp operation of line {t.waits[2]}, whose mask does not name it"
        raise Deadlock(f"deadlock in block {t.block.number}: {text}")
    return [u for u in left if t.members >> u.lane & 1]


def _apart(block: BlockState, t: KernelThread, other: KernelThread) -> None:
    assert t.waits is not None and other.waits is not None
    where = f"the warp operation of line {t.waits[2]}"
    if other.waits_for("warp") and t.waits[1][0] is other.waits[1][0] is not None:
        text = f"threads {t.number} and {other.number} of a warp wait at {where} with different masks"
    else:
        line = other.waits[2]
        text = f"thread {t.number} waits at {where}, but thread {other.number} of its warp waits at line {line}"
    raise Deadlock(f"deadlock in block {block.number}: {text}")
