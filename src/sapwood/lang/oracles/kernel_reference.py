"""Kernels in the reference evaluator: the meaning of threads, blocks, barriers and shuffles.

Each thread of a block has an evaluator, on an OS thread of its own, and only one of them runs at any time: it
runs until it waits, and hands control back. Blocks run one after another, the warps of a block in ascending
order, the threads of a warp in ascending order between two waits.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

from sapwood.lang.errors import Loc
from sapwood.lang.ir.ssa import Op, Program
from sapwood.lang.launch import Deadlock
from sapwood.lang.ops.pointer import Block, Pointer

Shape = tuple[int, int, int]


class _Abandoned(BaseException):
    """Ends a thread whose block has failed."""


class BlockState:
    """A block that runs: its places and its shared memory."""

    def __init__(self, index: Shape, dim: Shape, grid: Shape, warp_size: int) -> None:
        self.places = {"block_idx": index, "block_dim": dim, "grid_dim": grid}
        self.number = index[0] + grid[0] * (index[1] + grid[1] * index[2])
        self.warp_size = warp_size
        self.memory: dict[Op, Block] = {}


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
        self.done = False
        self.error: BaseException | None = None
        self.offered = 0
        self.source = number
        self.result = 0
        self._abandoned = False
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._main = main
        self._os = threading.Thread(target=self._run, daemon=True)

    # -- for the rules ------------------------------------------------------------------------------

    def place(self, name: str, axis: int) -> int:
        return (self.index if name == "thread_idx" else self.block.places[name])[axis]

    def shared(self, op: Op) -> Pointer:
        if op not in self.block.memory:
            self.block.memory[op] = Block.allocate(op.attrs["bytes"])
        return Pointer(self.block.memory[op], 0, op.result.type.elem)  # type: ignore[union-attr]

    def wait_barrier(self, line: int) -> None:
        self._wait(("barrier", None, line))

    def exchange(self, bits: int, source: int, op: Op) -> int:
        """Offer bits to the warp; those of the lane `source` come back."""
        self.offered, self.source = bits, self.number - self.lane + source
        self._wait(("shuffle", op, op.loc.line))
        return self.result

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
    fn: Any, grid: Shape, block: Shape, values: list[Any], on_line: Callable[[Loc], None] | None = None
) -> None:
    """Run a kernel on the memory of its arguments. Raises what a launch would raise."""
    from sapwood.lang.oracles.python_mode import prepare_reference

    program, _, _, _, leaves, _ = prepare_reference(fn, values)
    for z, y, x in itertools.product(*(range(n) for n in reversed(grid))):
        _run_block(program, BlockState((x, y, z), block, grid, program.target.warp_size), leaves, on_line)


def _run_block(
    program: Program, block: BlockState, leaves: tuple[Any, ...], on_line: Callable[[Loc], None] | None
) -> None:
    from sapwood.lang.oracles.evaluate import Evaluator

    def main(thread: KernelThread) -> None:
        evaluator = Evaluator(on_line)
        evaluator.thread = thread
        evaluator.function(program.entry, leaves)

    dx, dy, dz = block.places["block_dim"]
    threads = [KernelThread(block, n, main) for n in range(dx * dy * dz)]
    size = block.warp_size
    warps = [threads[i : i + size] for i in range(0, len(threads), size)]
    try:
        for t in threads:
            t.start()
        while not all(t.done for t in threads):
            for warp in warps:
                _run_warp(block, warp)
            for t in threads:
                t.waits = None  # all that are left wait at a barrier, which is open now
    finally:
        for t in threads:
            t.abandon()


def _run_warp(block: BlockState, warp: list[KernelThread]) -> None:
    """Run a warp until its threads wait at barriers or have returned."""
    while True:
        for t in warp:
            if not t.done and t.waits is None:
                t.resume()
        left = [t for t in warp if not t.done]
        waiting = next((t for t in left if t.waits and t.waits[0] == "shuffle"), None)
        if waiting is None:
            return
        assert waiting.waits is not None
        for t in left:
            assert t.waits is not None
            if t.waits[:2] != waiting.waits[:2]:
                raise Deadlock(
                    f"deadlock in block {block.number}: thread {waiting.number} waits at the warp operation of "
                    f"line {waiting.waits[2]}, but thread {t.number} of its warp waits at line {t.waits[2]}"
                )
        offered = {t.number: t.offered for t in left}
        for t in left:
            t.result = offered.get(t.source, t.offered)
            t.waits = None
