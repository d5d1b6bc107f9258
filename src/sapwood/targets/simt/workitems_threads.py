"""One loop over the threads of a block: rows along z and y, and in each row pieces along x.

In a piece, every condition that holds up to some thread or from it on is the same for all threads, so LLVM sees no
branch that depends on the thread; and where both ends of a piece pass a bounds check with an affine index, so do
the threads between, and the loop has none. What is left is a loop of independent rounds, and marked so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sapwood.targets.base import ThreadCode
from sapwood.targets.simt.workitems_plan import MIRRORED, Plan, inside

CONDITIONS = 6  # that a row is cut by at most


class Threads(ThreadCode):
    """What is written for each thread. `self.at`: the place of the thread that is written, along x, y and z."""

    plan: Plan
    places: dict[str, list[str]]
    kept: dict[Any, str]  # value -> array

    def __init__(self, emitter: Any) -> None:
        super().__init__(emitter)
        self.at = ["", "", ""]
        self.row = ""  # the number of the row's first thread
        self.given: dict[Any, str] = {}  # what is known of values in the loop that is written
        self.latch = ""  # where a thread goes that is done with this loop; "" outside of loops over threads
        self.unchecked: set[Any] = set()  # bounds checks that hold in the loop that is written
        self.lane = ""  # of the thread with x = 0, in a piece that is cut between warps
        self.depends = False  # whether threads of the loop that is written use memory of each other
        self.arrays: list[int] = []  # bytes a thread
        self.offsets: dict[Any, str] = {}  # rolled parameter of a loop -> the scalar that was added to its start

    # -- the place of a thread ----------------------------------------------------------------------

    def place(self, name: str, axis: int) -> str:
        return self.at[axis] if name == "thread_idx" else self.places[name][axis]

    def number(self) -> str:
        return self.e.value(f"add nuw nsw i64 {self.row}, {self.at[0]}")

    def lane_id(self) -> str:
        if self.lane:
            return self.e.value(f"add i64 {self.at[0]}, {self.lane}")
        return self.e.value(f"and i64 {self.number()}, {self.e.target.warp_size - 1}")

    def warp_id(self) -> str:
        return self.e.value(f"lshr i64 {self.number()}, {self.e.target.warp_size.bit_length() - 1}")

    # -- memory of the threads ----------------------------------------------------------------------

    def array(self, nbytes: int) -> str:
        """The name of new memory with so many bytes for each thread."""
        self.arrays.append(nbytes)
        return f"%array{len(self.arrays) - 1}"

    def element(self, array: str, ty: str, number: str) -> str:
        return self.e.value(f"getelementptr {ty}, ptr {array}, i64 {number}")

    def write(self, v: Any, array: str) -> None:
        """Keep the thread's value of `v`."""
        e = self.e
        ty, x = e.memory_type(v.type), e.name(v)
        e.line(f"store {ty} {e.to_memory(v.type, x)}, ptr {self.element(array, ty, self.number())}, align 1")

    def read(self, v: Any, array: str) -> str:
        e = self.e
        ty = e.memory_type(v.type)
        x = e.value(f"load {ty}, ptr {self.element(array, ty, self.number())}, align 1")
        return e.from_memory(v.type, x)

    # -- values that are computed again ---------------------------------------------------------------

    def again(self, v: Any, known: dict[Any, str]) -> str:
        """The value of a chain for the thread `self.at`."""
        e = self.e
        if v in known:
            return known[v]
        if v in self.given:
            known[v] = self.given[v]
            return known[v]
        if self.plan.scalar(v) and v in e.names:
            return e.names[v]
        if v in self.offsets:
            start = self.again(self.plan.advancing(v), known)
            known[v] = e.value(f"add i64 {start}, {self.offsets[v]}")
            return known[v]
        op = self.plan.definitions[v]
        texts = [self.again(x, known) for x in op.operands]
        known[v] = op.op.lowering_rule(e, op, *texts)
        return known[v]

    def reachable(self, v: Any) -> bool:
        """Whether `again` can give the value here."""
        if self.plan.scalar(v) and v in self.e.names or v in self.offsets:
            return True
        op = self.plan.definitions.get(v)
        return op is not None and not op.regions and self.plan.chain(v) and all(map(self.reachable, op.operands))

    # -- conditions that cut a row --------------------------------------------------------------------

    def sides(self, bound: tuple[Any, Any, str]) -> tuple[str, str]:
        """The two sides of a comparison for the thread `self.at`. A counter past the end of i64 stays there."""
        x, y, _ = bound
        known: dict[Any, str] = {}
        if x in self.offsets:
            start = self.again(self.plan.advancing(x), known)
            left = self.e.call("llvm.sadd.sat.i64", "i64", [("i64", start), ("i64", self.offsets[x])])
        else:
            left = self.again(x, known)
        return left, self.again(y, known)

    def flip(self, bound: tuple[Any, Any, str], axis: int, last: str) -> tuple[str, str]:
        """(the condition, how many threads on it changes or `last`) for the thread `self.at`."""
        e = self.e
        x, y = self.sides(bound)
        test, slope = bound[2], self.plan.slope(bound, axis, axis == 0)
        assert slope
        sign = test if test in ("eq", "ne") else f"s{test}"
        holds = e.value(f"icmp {sign} i64 {x}, {y}")
        if slope < 0:
            x, y, test, slope = y, x, MIRRORED.get(test, test), -slope
        gap = e.call("llvm.ssub.sat.i64", "i64", [("i64", y), ("i64", x)])  # grows smaller by `slope`
        if test in ("le", "gt"):  # until it is below 0
            ever = e.value(f"icmp sge i64 {gap}, 0")
            k = e.value(f"add i64 {self._quotient(gap, slope)}, 1")
        else:  # until it is not above 0
            ever = e.value(f"icmp sgt i64 {gap}, 0")
            k = self._quotient(e.value(f"add i64 {gap}, {slope - 1}"), slope)
        if test in ("eq", "ne"):
            here = e.value(f"icmp eq i64 {gap}, 0")
            ever = e.value(f"or i1 {here}, {ever}")
            k = e.select("i1", here, "i64", "1", k)
        sooner = e.value(f"icmp ult i64 {k}, {last}")
        return holds, e.select("i1", e.value(f"and i1 {ever}, {sooner}"), "i64", k, last)

    def _quotient(self, x: str, n: int) -> str:
        return x if n == 1 else self.e.value(f"udiv i64 {x}, {n}")

    # -- the loop -----------------------------------------------------------------------------------

    @contextmanager
    def counted(self, stem: str, first: str, last: str) -> Iterator[str]:
        """A loop of LLVM from first to last."""
        e = self.e
        head, body, done = e.label(stem), e.label(f"{stem}.body"), e.label(f"{stem}.done")
        before = e.current
        e.line(f"br label %{head}")
        e.block(head)
        i = e.value("phi i64 ")
        at = len(e.lines) - 1
        e.line(f"br i1 {e.value(f'icmp slt i64 {i}, {last}')}, label %{body}, label %{done}")
        e.block(body)
        yield i
        following = e.value(f"add nuw nsw i64 {i}, 1")
        e.lines[at] += f"[ {first}, %{before} ], [ {following}, %{e.current} ]"
        e.line(f"br label %{head}")
        e.block(done)

    def over_threads(self, ops: list[Any], box: list[str], body: Callable[[], None]) -> None:
        """Run `body` for every thread of a box, which is not empty; `ops` are the operations that it writes."""
        conditions, checks = self._find(ops)
        warps = [op for top in ops for op in inside(top) if op.name == "lane_id" or self.plan.warp_number(op)]
        needs = {v for v in self._outer(ops) for v in self._leaves(v)}
        warps += [op for op in needs if op not in warps]
        with self._rows(box):
            if not conditions and not checks and not warps:
                self._piece(box[0], box[1], body)
            else:
                self._pieces(box[0], box[1], conditions, checks, warps, body)
        self.at, self.row = ["", "", ""], ""

    @contextmanager
    def _rows(self, box: list[str]) -> Iterator[None]:
        """Loops along z and y; none for blocks of one axis."""
        if self.plan.uniformity.flat:
            self.at, self.row = ["", "0", "0"], "0"
            yield
            return
        with self.counted("z", box[4], box[5]) as z, self.counted("y", box[2], box[3]) as y:
            dx, dy = self.places["block_dim"][:2]
            plane = self.e.value(f"mul i64 {dy}, {z}")
            self.row = self.e.value(f"mul i64 {dx}, {self.e.value(f'add i64 {y}, {plane}')}")
            self.at = ["", y, z]
            yield

    def _find(self, ops: list[Any]) -> tuple[list[Any], list[Any]]:
        """Comparisons that cut rows, and bounds checks whose ends are enough."""
        plan = self.plan
        conditions, checks, own = [], [], set()
        for top in ops:
            for op in inside(top):
                check = plan.check(op)
                if check is not None:
                    i, n, index = check
                    own.add(plan.definitions[op.operands[0]])
                    wrap = plan.definitions.get(index) if index is not i else None
                    if wrap is not None:
                        own.add(plan.definitions[wrap.operands[0]])
                    if plan.coefficient(i, 0, True) is not None and self.reachable(i) and self.reachable(n):
                        checks.append((op, *check))
        for top in ops:
            for op in inside(top):
                if op in own or op.name != "compare":
                    continue
                bound = plan.bound(op.result)
                if bound is not None and plan.slope(bound, 0, True) and all(map(self.reachable, bound[:2])):
                    conditions.append((op, bound))
        return conditions[:CONDITIONS], checks

    def _pieces(
        self, first: str, last: str, conditions: list[Any], checks: list[Any], warps: list[Any],
        body: Callable[[], None],
    ) -> None:
        e = self.e
        head, cut, done = e.label("piece"), e.label("cut"), e.label("pieces.done")
        before = e.current
        e.line(f"br label %{head}")
        e.block(head)
        start = e.value("phi i64 ")
        at = len(e.lines) - 1
        e.line(f"br i1 {e.value(f'icmp slt i64 {start}, {last}')}, label %{cut}, label %{done}")
        e.block(cut)
        self.at[0] = start
        left = e.value(f"sub i64 {last}, {start}")
        texts = {}
        if warps:  # cut where a warp ends, by the number of the thread and by its x
            lane = self.lane_id()
            self.lane = e.value(f"sub i64 {lane}, {start}")
            size = e.target.warp_size
            for place in (lane, e.value(f"and i64 {start}, {size - 1}")):
                more = e.value(f"sub i64 {size}, {place}")
                left = e.call("llvm.umin.i64", "i64", [("i64", left), ("i64", more)])
            for op in warps:
                if op.name != "lane_id":
                    texts[op.results[0]] = self.again(op.results[0], {})
        with self._known(texts):
            end = self._cut(start, left, conditions, checks, body)
        self.lane = ""
        e.lines[at] += f"[ {first}, %{before} ], [ {end}, %{e.current} ]"
        e.line(f"br label %{head}")
        e.block(done)

    def _cut(
        self, start: str, left: str, conditions: list[Any], checks: list[Any], body: Callable[[], None]
    ) -> str:
        """Write a piece of at most `left` threads from `start` on; where it ends."""
        e = self.e
        length, holds = left, {}
        for op, bound in conditions:
            holds[op], k = self.flip(bound, 0, left)
            length = e.call("llvm.umin.i64", "i64", [("i64", length), ("i64", k)])
        self.at[0] = e.value(f"add i64 {start}, {e.value(f'sub i64 {length}, 1')}")
        same = "true"
        for op, bound in conditions:  # what wraps around is not as it should be
            if bound[2] in MIRRORED:
                x, y = self.sides(bound)
                as_first = e.value(f"icmp eq i1 {holds[op]}, {e.value(f'icmp s{bound[2]} i64 {x}, {y}')}")
                same = e.value(f"and i1 {same}, {as_first}")
        length = e.select("i1", same, "i64", length, "1")
        end = e.value(f"add i64 {start}, {length}")
        good = self._checks_hold(start, end, checks)
        texts = {op.result: x for op, x in holds.items()}
        with self._known(texts):
            self._versions(start, end, good, checks, body)
        return end

    def _outer(self, ops: list[Any]) -> set[Any]:
        """Values that operations use, which are computed again where they are from outside."""
        return {v for top in ops for op in inside(top) for v in op.operands}

    def _leaves(self, v: Any) -> set[Any]:
        """What a value that is computed again needs of its place in the warp."""
        if self.plan.scalar(v) or v in self.kept or not self.plan.chain(v):
            return set()
        if v in self.offsets:
            return self._leaves(self.plan.advancing(v))
        op = self.plan.definitions.get(v)
        if op is None or op.regions or not op.op.pure:
            return set()
        if op.name == "lane_id" or self.plan.warp_number(op):
            return {op}
        return {found for x in op.operands for found in self._leaves(x)}

    def _versions(self, start: str, end: str, good: str, checks: list[Any], body: Callable[[], None]) -> None:
        """The loop without the checks where they hold, else the loop with them."""
        e = self.e
        if not checks:
            self._piece(start, end, body)
            return
        fast, careful, after = e.label("fast"), e.label("careful"), e.label("piece.done")
        e.line(f"br i1 {good}, label %{fast}, label %{careful}")
        e.block(fast)
        self.unchecked = {op for op, *_ in checks}
        self._piece(start, end, body)
        self.unchecked = set()
        e.line(f"br label %{after}")
        e.block(careful)
        self._piece(start, end, body)
        e.line(f"br label %{after}")
        e.block(after)

    def _checks_hold(self, start: str, end: str, checks: list[Any]) -> str:
        e = self.e
        good, seen = "true", set()
        for _, i, n, _ in checks:
            if (i, n) in seen:
                continue
            seen.add((i, n))
            last = e.value(f"sub i64 {end}, 1")
            for x in (start, last) if self.plan.coefficient(i, 0, True) else (start,):
                self.at[0] = x
                known: dict[Any, str] = {}
                passes = e.value(f"icmp ult i64 {self.again(i, known)}, {self.again(n, known)}")
                good = e.value(f"and i1 {good}, {passes}")
        return good

    @contextmanager
    def _known(self, texts: dict[Any, str]) -> Iterator[None]:
        saved = self.given
        self.given = {**saved, **texts}
        yield
        self.given = saved

    def _piece(self, first: str, last: str, body: Callable[[], None]) -> None:
        """The loop over x itself: at least one thread."""
        e = self.e
        head, latch, done = e.label("threads"), e.label("next"), e.label("threads.done")
        before, names, allocas = e.current, dict(e.names), len(e.entry)
        self.depends = False
        e.line(f"br label %{head}")
        e.block(head)
        begin = len(e.lines)
        x = e.value("phi i64 ")
        self.at[0], self.latch = x, latch
        body()
        if not e.dead:
            e.line(f"br label %{latch}")
        e.block(latch)
        following = e.value(f"add nuw nsw i64 {x}, 1")
        e.lines[begin] += f"[ {first}, %{before} ], [ {following}, %{latch} ]"
        more = e.value(f"icmp slt i64 {following}, {last}")
        mark = self._independent(begin) if len(e.entry) == allocas and not self.depends else ""
        e.line(f"br i1 {more}, label %{head}, label %{done}{mark}")
        e.block(done)
        self.latch = ""
        e.names.clear()
        e.names.update(names)

    def _independent(self, begin: int) -> str:
        """Mark the loop whose lines begin there: its rounds do not use each other's memory."""
        e = self.e
        group = e.module.metadata("distinct !{}")
        parallel = f'!{{!"llvm.loop.parallel_accesses", {group}}}'
        for i in range(begin, len(e.lines)):
            words = e.lines[i].split(None, 3)
            if words and (words[0] == "store" or words[2:3] == ["load"]) and " atomic " not in e.lines[i]:
                e.lines[i] += f", !llvm.access.group {group}"
        node = e.module.metadata("distinct !{{0}, " + parallel + "}")
        return f", !llvm.loop {node}"

    def wrapped_text(self, op: Any) -> str | None:
        """The text of an index that needs no bringing into range, because the check after it holds."""
        for check in self.unchecked:
            found = self.plan.check(check)
            if found is not None and found[2] is op.results[0] and found[2] is not found[0]:
                return self.e.name(found[0])
        return None
