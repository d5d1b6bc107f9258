"""K: bugs of kernels that a checked launch found while it ran (docs/reference/checked.md)."""

from __future__ import annotations

from typing import Any

from sapwood.lang.errors import CompileError, Loc
from sapwood.lang.launch import Deadlock


class KernelError(CompileError, RuntimeError):
    """A bug that a checked launch found. `loc` and `other_loc` are places in the source; `thread`, `block` and
    `other_thread`, `other_block` say who was there, as numbers; `seed` repeats the schedule."""

    kernel: str = ""
    block: int = -1
    thread: int = -1
    other_loc: Loc | None = None
    other_block: int = -1
    other_thread: int = -1
    seed: int = 0

    def __init__(
        self, loc: Loc | None = None, notes: tuple[tuple[str, Loc | None], ...] = (), about: Any = None,
        **fields: object,
    ) -> None:
        super().__init__(loc, notes, **fields)
        for name, value in (about or {}).items():
            setattr(self, name, value)


class RaceError(KernelError):
    code = "K001"
    message = "race on {what}: {who} {does} it, and {other} {did} it, in no order"
    help = "{hint}"


class UnfinishedCopyError(RaceError):
    code = "K007"
    message = "{who} {does} {what} before an asynchronous copy of it is complete"
    help = "its thread waits first, wait_group(n) or bulk_wait_group(n); for other threads a barrier() follows"


class OutOfBoundsError(KernelError, IndexError):
    code = "K002"
    message = "{detail}, in {who}"
    help = "{hint}"


class UninitialisedError(KernelError):
    code = "K003"
    message = "{who} reads {what}, which no thread of the block has written"
    help = "shared memory begins with whatever was there: write each element, and put a barrier() before the first read"


class MisalignedError(KernelError):
    code = "K004"
    message = "{who} uses an address that is not a multiple of {align} bytes{what}"
    help = "GPUs refuse such an access; choose offsets that are multiples of what is read or written at a time"


class DivergentBarrierError(KernelError):
    code = "K005"
    message = "threads of block {block} wait at different barriers: {who} here, {other} elsewhere"
    help = "put one barrier() where all threads of the block come"


class DeadlockError(KernelError, Deadlock):
    code = "K006"
    message = "deadlock in block {block}: {detail}"
    help = "{hint}"


class WarpMaskError(DeadlockError):
    code = "K008"
    message = "{who} waits for the lanes of the mask {mask}, which {detail}"
    help = "name the lanes that come, all of them the same: warp.ballot(condition), taken before the branch"


class AbsentLaneError(KernelError):
    code = "K009"
    message = "{who} comes to a matrix operation without lane {lane}, which has returned or is not in the block"
    help = "all 32 threads of a warp take part: launch multiples of 32 threads, and let none return before"
