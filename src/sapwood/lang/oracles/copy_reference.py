"""Asynchronous copies and mbarriers in the reference evaluator: made as late as a thread may rely on them.

A copy is made when its thread waits for its group. What an mbarrier counts, bulk copies and arrivals after copies, is
complete when no thread can go on without it (`finish_event`).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from sapwood.lang.ops.pointer import Pointer
from sapwood.lang.types import U64

COUNT = (1 << 20) - 1
TX_ZERO = 1 << 21


@dataclass
class Issued:
    """A copy of `size` bytes, of which `read` are read, or (without pointers) an arrival after copies."""

    kind: str  # "copy", "bulk load", "bulk store" or "arrive"
    group: int
    target: Pointer | None
    source: Pointer | None
    size: int
    read: int
    bar: Pointer | None

    def make(self) -> None:
        assert self.target is not None and self.source is not None
        for p, n, what in ((self.target, self.size, "store"), (self.source, self.read, "load")):
            p.check(n, what)
        ctypes.memmove(self.target.address, self.source.address, self.read)
        ctypes.memset(self.target.address + self.read, 0, self.size - self.read)


class Copies:
    """What a thread has issued and what is not complete, oldest first."""

    def __init__(self) -> None:
        self.issued: list[Issued] = []
        self.group, self.bulk_group = 0, 0

    def issue(self, target: Pointer, source: Pointer, size: int, read: int) -> None:
        self.issued.append(Issued("copy", self.group, target, source, size, read, None))

    def bulk_load(self, target: Pointer, source: Pointer, size: int, read: int, bar: Pointer) -> None:
        self.issued.append(Issued("bulk load", 0, target, source, size, read, bar))

    def bulk_store(self, target: Pointer, source: Pointer, size: int) -> None:
        self.issued.append(Issued("bulk store", self.bulk_group, target, source, size, size, None))

    def arrive_after(self, bar: Pointer) -> None:
        self.issued.append(Issued("arrive", 0, None, None, 0, 0, bar))

    def commit(self) -> None:
        self.group += 1

    def bulk_commit(self) -> None:
        self.bulk_group += 1

    def wait_copies(self, left: int) -> None:
        self._make([c for c in self.issued if c.kind == "copy" and c.group < self.group - left])

    def bulk_wait(self, left: int) -> None:
        self._make([c for c in self.issued if c.kind == "bulk store" and c.group < self.bulk_group - left])

    def fence_async(self) -> None:
        """Threads and copies see one memory."""

    def _make(self, copies: list[Issued]) -> None:
        for c in copies:
            c.make()
            self.issued.remove(c)

    def finish_event(self) -> bool:
        """Complete the oldest of what an mbarrier counts; whether there is any."""
        event = next((c for c in self.issued if c.bar is not None), None)
        if event is None:
            return False
        if event.kind == "arrive":
            before = self.issued[: self.issued.index(event)]
            self._make([c for c in before if c.kind == "copy"])
            self.issued.remove(event)
            _count(event.bar, 1, 0)
        else:
            self._make([event])
            _count(event.bar, 0, -event.size)
        return True

    # -- mbarriers: pending and expected arrivals, missing bytes, and the parity of the phase in a u64 --------------

    def mbarrier_init(self, p: Pointer, n: int) -> None:
        _write(p, n & COUNT, n & COUNT, 0, 0)

    def mbarrier_arrive(self, p: Pointer, n: int) -> None:
        _count(p, n, 0)

    def mbarrier_expect_tx(self, p: Pointer, n: int) -> None:
        _count(p, 0, n)

    def mbarrier_arrive_expect_tx(self, p: Pointer, n: int) -> None:
        _count(p, 1, n)

    def test(self, p: Pointer, parity: int) -> bool:
        return p.load(U64) >> 63 != parity & 1


def _write(p: Pointer, pending: int, expected: int, tx: int, phase: int) -> None:
    word = (pending & COUNT) | expected << 20 | ((tx + TX_ZERO) & (2 * TX_ZERO - 1)) << 40 | phase << 63
    p.store(U64, word)


def _count(p: Pointer | None, arrivals: int, tx: int) -> None:
    """Count arrivals, and bytes: expected ones are positive. The phase ends when none of either is left."""
    assert p is not None
    word = p.load(U64)
    pending, expected = (word & COUNT) - arrivals, word >> 20 & COUNT
    tx += (word >> 40 & (2 * TX_ZERO - 1)) - TX_ZERO
    phase = word >> 63
    if pending == 0 and tx == 0:
        pending, phase = expected, phase ^ 1
    _write(p, pending, expected, tx, phase)
