"""Asynchronous copies and mbarriers of a thread on simt: calls of library/simt_copies.py."""

from __future__ import annotations

from sapwood.targets.base import ThreadCode
from sapwood.targets.simt import layout

# C functions behind those of the library: symbol -> (function, number of parameters, whether there is a result). The
# first parameter is a pointer, the others are i64. What others call comes before them.
FUNCTIONS = {
    "sapwood_simt_mbarrier_init": ("mbarrier_init", 2, False),
    "sapwood_simt_mbarrier_count": ("mbarrier_count", 3, False),
    "sapwood_simt_mbarrier_test": ("mbarrier_test", 2, True),
    "sapwood_simt_issue": ("issue", 8, False),
    "sapwood_simt_commit": ("commit", 3, False),
    "sapwood_simt_wait_groups": ("wait_groups", 4, False),
}


class CopyCode(ThreadCode):
    """The part of a thread that copies; `%slot` and `%thread` are where it runs."""

    copies = False  # whether queues are needed

    def array(self, number: int) -> str:
        """The thread's word in one of the slot's arrays."""
        raise NotImplementedError

    def _suspend(self, kind: int, line: int) -> None:
        raise NotImplementedError

    def _library(self, name: str, *words: str, result: str = "void") -> str:
        """Call a function of the library, whose first parameter is a pointer and the rest are i64."""
        e = self.e
        args = [("ptr", words[0]), *(("i64", w) for w in words[1:])]
        if result == "void":
            e.call(f"sapwood_simt_{name}", "void", args)
            return ""
        return e.call(f"sapwood_simt_{name}", result, args)

    def _number(self, p: str, shared: bool) -> str:
        return self.e.value(f"ptrtoint {'ptr addrspace(3)' if shared else 'ptr'} {p} to i64")

    def _generic(self, p: str, shared: bool) -> str:
        return self.e.value(f"inttoptr i64 {self._number(p, shared)} to ptr")

    def _issue(self, kind: int, target: str, source: str, size: str, read: str, bar: str = "0") -> None:
        self.copies = True
        self._library("issue", "%slot", "%thread", str(kind), target, source, size, read, bar)

    def async_copy(self, target: str, source: str, nbytes: int, read: str) -> None:
        ends = self._number(target, True), self._number(source, False)
        self._issue(layout.COPY, *ends, str(nbytes), read)

    def bulk_load(self, target: str, source: str, nbytes: str, read: str, bar: str) -> None:
        ends = self._number(target, True), self._number(source, False)
        self._issue(layout.BULK_LOAD, *ends, nbytes, read, self._number(bar, True))

    def bulk_store(self, target: str, source: str, nbytes: str) -> None:
        ends = self._number(target, False), self._number(source, True)
        self._issue(layout.BULK_STORE, *ends, nbytes, nbytes)

    def mbarrier_arrive_after_copies(self, bar: str) -> None:
        self._issue(layout.ARRIVE, "0", "0", "0", "0", self._number(bar, True))

    def _group(self, name: str, which: int, *left: str) -> None:
        self.copies = True
        self._library(name, "%slot", "%thread", str(which), *left)

    def commit(self) -> None:
        self._group("commit", layout.Q_GROUP)

    def wait_copies(self, left: int) -> None:
        self._group("wait_groups", layout.Q_GROUP, str(left))

    def bulk_commit(self) -> None:
        self._group("commit", layout.Q_BULK_GROUP)

    def bulk_wait(self, left: int) -> None:
        self._group("wait_groups", layout.Q_BULK_GROUP, str(left))

    def fence_async(self) -> None:
        """Threads and copies see one memory."""

    def mbarrier_init(self, bar: str, count: str, shared: bool) -> None:
        self._library("mbarrier_init", self._generic(bar, shared), count)

    def mbarrier_arrive(self, bar: str, count: str, shared: bool) -> None:
        self._library("mbarrier_count", self._generic(bar, shared), count, "0")

    def mbarrier_expect_tx(self, bar: str, nbytes: str, shared: bool) -> None:
        self._library("mbarrier_count", self._generic(bar, shared), "0", nbytes)

    def mbarrier_arrive_expect_tx(self, bar: str, nbytes: str, shared: bool) -> None:
        self._library("mbarrier_count", self._generic(bar, shared), "1", nbytes)

    def mbarrier_test(self, bar: str, parity: str) -> str:
        found = self._library("mbarrier_test", self._generic(bar, True), parity, result="i64")
        return self.e.value(f"icmp ne i64 {found}, 0")

    def mbarrier_wait(self, bar: str, parity: str, line: int) -> None:
        e = self.e
        e.line(f"store i64 {self._number(bar, True)}, ptr {self.array(2)}")
        e.line(f"store i64 {parity}, ptr {self.array(3)}")
        wait, go = e.label("phase.wait"), e.label("phase.complete")
        e.line(f"br i1 {self.mbarrier_test(bar, parity)}, label %{go}, label %{wait}")
        e.block(wait)
        self._suspend(layout.AT_MBARRIER, line)
        e.line(f"br label %{go}")
        e.block(go)
