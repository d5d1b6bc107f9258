"""Kernel -> LLVM text for simt: the thread as a coroutine.

    @k.thread(slot, thread, arguments...)                        the coroutine

The frame lies in the arena that the launch brings, so nothing is allocated here. LLVM knows its size only
inside of the coroutine; the coroutine gives it when it is asked for thread -1.
"""

from __future__ import annotations

from typing import Any

from sapwood.targets.simt import layout
from sapwood.targets.simt.copies import CopyCode
from sapwood.targets.simt.launcher import Parts, add_launcher

_INTRINSICS = (
    "declare token @llvm.coro.id(i32, ptr, ptr, ptr)",
    "declare ptr @llvm.coro.begin(token, ptr)",
    "declare i64 @llvm.coro.size.i64()",
    "declare i8 @llvm.coro.suspend(token, i1)",
    "declare void @llvm.coro.end(ptr, i1, token)",
    "declare void @llvm.coro.resume(ptr)",
)
PLACES = {
    "block_idx": layout.S_BLOCK, "block_dim": layout.S_DIM, "grid_dim": layout.S_GRID,
    "cluster_idx": layout.S_CLUSTER, "cluster_dim": layout.S_CLUSTER_DIM,
}  # fmt: skip

DYNAMIC_AT = "<dynamic shared memory>"  # stands for a number that is known when all shared memory is


class Coroutine(CopyCode):
    """A thread as a coroutine. It gives up control in `_suspend` only."""

    def __init__(self, emitter: Any, alone: bool = True) -> None:
        super().__init__(emitter)
        self.alone = alone  # whether no other code adds the launcher
        self.shared_bytes = 0
        self.sites = 0
        self.copies = False  # whether it has queues of copies

    def begin(self) -> None:
        """Begin the coroutine; name what the body may ask for (LLVM drops what it does not)."""
        e = self.e
        for text in _INTRINSICS:
            e.declare(text)
        for text in (
            "%id = call token @llvm.coro.id(i32 64, ptr null, ptr null, ptr null)",
            "%exact = call i64 @llvm.coro.size.i64()",
            "%more = add i64 %exact, 63",
            "%size = and i64 %more, -64",
            "%asked = icmp slt i64 %thread, 0",
            "br i1 %asked, label %size.only, label %begin",
        ):
            e.line(text)
        e.block("size.only")
        e.line("%answer = inttoptr i64 %size to ptr")
        e.line("ret ptr %answer")
        e.block("begin")
        at = e.value(f"add i64 {self.word(layout.S_FRAMES)}, {e.value('mul i64 %size, %thread')}")
        e.line(f"%frame = inttoptr i64 {at} to ptr")
        e.line("%handle = call ptr @llvm.coro.begin(token %id, ptr %frame)")
        e.line(f"%err = getelementptr i64, ptr %slot, i64 {layout.S_RECORD}")
        e.line(f"%shared = inttoptr i64 {self.word(layout.S_SHARED)} to ptr addrspace(3)")
        self.threads = self.word(layout.S_THREADS)
        self.status = self.array(0)
        self.rank = self.word(layout.S_RANK)
        self.places = {n: [self.word(at + axis) for axis in range(3)] for n, at in PLACES.items()}
        dx, dy, _ = self.places["block_dim"]
        row = e.value(f"udiv i64 %thread, {dx}")
        self.places["thread_idx"] = [
            e.value(f"urem i64 %thread, {dx}"),
            e.value(f"urem i64 {row}, {dy}"),
            e.value(f"udiv i64 {row}, {dy}"),
        ]
        self.lane = e.value(f"and i64 %thread, {e.target.warp_size - 1}")

    def end(self, name: str, params: list[str]) -> None:
        e = self.e
        e.block("left")
        e.line("call void @llvm.coro.end(ptr %handle, i1 false, token none)")
        e.line("ret ptr %handle")
        attributes = e.target.function_attributes(e.function)
        head = f"define internal ptr @{name}.thread({', '.join(['ptr %slot', 'i64 %thread', *params])})"
        e.lines[:] = [line.replace(DYNAMIC_AT, str(layout.dynamic_at(self.shared_bytes))) for line in e.lines]
        e.finish(head, f"presplitcoroutine {attributes}")
        if self.alone:
            add_launcher(e.module, name, attributes, params, self.shared_bytes, Parts(None, True, self.copies))

    def word(self, index: int) -> str:
        """A word of the slot's header."""
        p = self.e.value(f"getelementptr i64, ptr %slot, i64 {index}")
        return self.e.value(f"load i64, ptr {p}")

    def array(self, number: int) -> str:
        """The thread's word in one of the slot's arrays (status, handle, offered, source, result, mask)."""
        e = self.e
        row = e.value(f"mul i64 {self.threads}, {number}")
        at = e.value(f"add i64 {row}, {layout.HEADER}")
        return e.value(f"getelementptr i64, ptr %slot, i64 {e.value(f'add i64 {at}, %thread')}")

    def _suspend(self, kind: int, line: int) -> None:
        if kind != layout.READY:  # of which the scheduler asks nothing more
            self.sites += 1
            kind |= line << layout.LINE_AT | self.sites << layout.SITE_AT
        self.e.line(f"store i64 {kind}, ptr {self.status}")
        way = self.e.value("call i8 @llvm.coro.suspend(token none, i1 false)")
        resumed = self.e.label("resumed")
        self.e.line(f"switch i8 {way}, label %left [i8 0, label %{resumed} i8 1, label %left]")
        self.e.block(resumed)

    def _finish(self, status: int) -> None:
        self.e.line(f"store i64 {status}, ptr {self.status}")
        self.e.line("br label %left")

    def leave(self) -> None:
        self._finish(layout.DONE)

    def record_error(self, descriptor: str, words: list[str]) -> None:
        self.e.write_record(descriptor, words)

    def fail(self) -> None:
        self._finish(layout.FAILED)

    def place(self, name: str, axis: int) -> str:
        return self.places[name][axis]

    def lane_id(self) -> str:
        return self.lane

    def warp_id(self) -> str:
        return self.e.value(f"lshr i64 %thread, {self.e.target.warp_size.bit_length() - 1}")

    def shared_storage(self, nbytes: int, align: int) -> str:
        at = layout.align(self.shared_bytes, align)
        self.shared_bytes = at + nbytes
        return self.e.value(f"getelementptr i8, ptr addrspace(3) %shared, i64 {at}")

    def dynamic_storage(self) -> str:
        return self.e.value(f"getelementptr i8, ptr addrspace(3) %shared, i64 {DYNAMIC_AT}")

    def dynamic_bytes(self) -> str:
        return self.word(layout.S_DYNAMIC)

    def give_way(self) -> None:
        self._suspend(layout.READY, 0)

    def barrier(self, line: int, uniform: bool) -> None:
        self._suspend(layout.AT_BARRIER, line)

    def barrier_vote(self, mode: str, predicate: str, line: int) -> str:
        e = self.e
        e.line(f"store i64 {e.value(f'zext i1 {predicate} to i64')}, ptr {self.array(2)}")
        self._suspend(layout.AT_VOTE, line)
        yes = e.value(f"load i64, ptr {self.array(4)}")
        if mode == "count":
            return yes
        of = e.value(f"load i64, ptr {self.array(3)}") if mode == "all" else "0"
        return e.value(f"icmp {'eq' if mode == 'all' else 'ne'} i64 {yes}, {of}")

    def _header(self, first: int, index: str) -> str:
        at = self.e.value(f"add i64 {index}, {first}")
        return self.e.value(f"getelementptr i64, ptr %slot, i64 {at}")

    def named_arrive(self, number: str, count: str) -> None:
        """The arrival that makes it `count` opens the barrier: its phase is another one, and none has arrived."""
        e = self.e
        arrived, phase = self._header(layout.S_ARRIVED, number), self._header(layout.S_PHASE, number)
        n = e.value(f"add i64 {e.value(f'load i64, ptr {arrived}')}, 1")
        full = e.value(f"icmp sge i64 {n}, {count}")
        e.line(f"store i64 {e.select('i1', full, 'i64', '0', n)}, ptr {arrived}")
        before = e.value(f"load i64, ptr {phase}")
        step = e.value(f"zext i1 {full} to i64")
        e.line(f"store i64 {e.value(f'add i64 {before}, {step}')}, ptr {phase}")

    def named_sync(self, number: str, count: str, line: int) -> None:
        e = self.e
        e.line(f"store i64 {number}, ptr {self.array(2)}")
        phase = e.value(f"load i64, ptr {self._header(layout.S_PHASE, number)}")
        e.line(f"store i64 {phase}, ptr {self.array(3)}")
        self.named_arrive(number, count)
        self._suspend(layout.AT_NAMED, line)

    def is_cooperative(self) -> str:
        return self.e.value(f"icmp ne i64 {self.word(layout.S_COOPERATIVE)}, 0")

    def grid_sync(self, line: int) -> None:
        self._suspend(layout.AT_GRID, line)

    def block_rank(self) -> str:
        return self.rank

    def cluster_arrive(self) -> None:
        self.e.line(f"store i64 {layout.COME}, ptr {self.array(layout.FLAG)}")

    def cluster_wait(self, line: int) -> None:
        e = self.e
        flag = self.array(layout.FLAG)
        opened = e.value(f"icmp eq i64 {e.value(f'load i64, ptr {flag}')}, {layout.OPEN}")
        wait, go = e.label("cluster.wait"), e.label("cluster.open")
        e.line(f"br i1 {opened}, label %{go}, label %{wait}")
        e.block(wait)
        self._suspend(layout.AT_CLUSTER, line)
        e.line(f"br label %{go}")
        e.block(go)
        e.line(f"store i64 0, ptr {flag}")

    def map_shared(self, p: str, rank: str) -> str:
        e = self.e
        away = e.value(f"sub i64 {rank}, {self.rank}")
        nbytes = e.value(f"mul i64 {away}, {self.word(layout.S_BYTES)}")
        here = e.value(f"ptrtoint ptr addrspace(3) {p} to i64")
        return e.value(f"inttoptr i64 {e.value(f'add i64 {here}, {nbytes}')} to ptr")

    def _meet(self, kind: int, bits: str, mask: str | None, line: int) -> str:
        """Offer an i64 to the lanes of a mask; what the scheduler has for this one, an i64."""
        e, size = self.e, self.e.target.warp_size
        e.line(f"store i64 {bits}, ptr {self.array(layout.OFFERED)}")
        if mask is None:
            mask = str((1 << size) - 1 if size < 64 else -1)
        elif size < 64:
            mask = e.value(f"zext i32 {mask} to i64")
        e.line(f"store i64 {mask}, ptr {self.array(layout.MASK)}")
        self._suspend(kind, line)
        return e.value(f"load i64, ptr {self.array(4)}")

    def shuffle(self, mode: str, ty: str, x: str, n: str, mask: str | None, line: int) -> str:
        e, size = self.e, self.e.target.warp_size
        n = e.value(f"and i64 {n}, {size - 1}")
        word = {"up": "sub", "down": "add", "xor": "xor"}.get(mode)
        lane = n if word is None else e.value(f"{word} i64 {self.lane}, {n}")
        outside = e.value(f"icmp uge i64 {lane}, {size}")
        lane = e.select("i1", outside, "i64", self.lane, lane)
        first = e.value(f"sub i64 %thread, {self.lane}")
        e.line(f"store i64 {e.value(f'add i64 {first}, {lane}')}, ptr {self.array(3)}")
        return self.from_bits(ty, self._meet(layout.AT_SHUFFLE, self.to_bits(ty, x, 64), mask, line), 64)

    def meet(self, what: str, ty: str, x: str, mask: str | None, line: int) -> str:
        """The scheduler gives the lanes that said yes or have the same bits, and as the source those that met."""
        e = self.e
        if what == "sync":
            return self._meet(layout.AT_SYNC, "0", mask, line)
        matches = what.startswith("match")
        found = self._meet(layout.AT_MATCH if matches else layout.AT_BALLOT, self.to_bits(ty, x, 64), mask, line)
        if what in ("ballot", "match_any"):
            return found if e.target.warp_size == 64 else e.value(f"trunc i64 {found} to i32")
        if what == "any":
            return e.value(f"icmp ne i64 {found}, 0")
        return e.value(f"icmp eq i64 {found}, {e.value(f'load i64, ptr {self.array(3)}')}")
