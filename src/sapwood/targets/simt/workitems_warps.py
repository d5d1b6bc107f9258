"""Operations of warps as work items: threads leave something in memory in one loop, and take it in the next."""

from __future__ import annotations

from typing import Any

from sapwood.targets.simt.workitems_plan import Plan
from sapwood.targets.simt.workitems_scopes import MEMSET, Scopes


class Warps(Scopes):
    """What is left, and how it is taken."""

    def __init__(self, emitter: Any, plan: Plan) -> None:
        super().__init__(emitter, plan)
        self.offers: dict[Any, tuple[str, str | None]] = {}  # shuffle -> arrays of values, of who offers
        self.ballots: dict[Any, str] = {}  # vote -> an array with a word for each warp

    # -- shuffles -------------------------------------------------------------------------------------

    def shuffle_all(self, op: Any) -> None:
        e = self.e
        offered, there = self.array(e.memory_bytes(op.operands[0].type)), None
        self.store_after([(op.operands[0], offered)])
        if self.scope.outer is not None:  # not all of the block are here
            there = self.array(1)
            self._zero(there)
            self.after.append((None, lambda: self.mark(there, "1")))
        self.flush()
        self.offers[op] = (offered, there)
        self.run.append(op)

    def _zero(self, array: str) -> None:
        self.e.declare(MEMSET)
        self.e.line(f"call void @llvm.memset.p0.i64(ptr {array}, i8 0, i64 {self.threads}, i1 false)")

    def take(self, op: Any) -> None:
        e = self.e
        offered, there = self.offers[op]
        number, size = self.number(), e.target.warp_size
        lane = e.value(f"and i64 {number}, {size - 1}")
        n = e.value(f"and i64 {e.name(op.operands[1])}, {size - 1}")
        word = {"up": "sub", "down": "add", "xor": "xor"}.get(op.attrs["mode"])
        source = n if word is None else e.value(f"{word} i64 {lane}, {n}")
        source = e.value(f"add i64 {e.value(f'sub i64 {number}, {lane}')}, {source}")
        same = e.value(f"icmp ult i64 {e.value(f'xor i64 {source}, {number}')}, {size}")  # in this warp
        good = e.value(f"and i1 {same}, {e.value(f'icmp slt i64 {source}, {self.threads}')}")
        source = e.select("i1", good, "i64", source, number)
        if there is not None:
            flag = e.value(f"load i8, ptr {self.element(there, 'i8', source)}, align 1")
            source = e.select("i1", e.value(f"icmp ne i8 {flag}, 0"), "i64", source, number)
        ty = e.type(op.results[0].type)
        e.names[op.results[0]] = e.value(f"load {ty}, ptr {self.element(offered, ty, source)}, align 1")

    # -- votes ----------------------------------------------------------------------------------------

    def vote_all(self, op: Any) -> None:
        """A byte of each thread: whether it says yes, or for "all" no. Then a word of each warp has them as bits."""
        e, size, bad = self.e, self.e.target.warp_size, op.attrs["mode"] == "all"
        said = self.array(1)
        # whole warps of bytes are read, and arrays are whole multiples of 64; absent threads have said nothing
        words = self.array(8)
        e.declare(MEMSET)
        end = e.value(f"add i64 {self.threads}, {size - 1}")
        end = e.value(f"and i64 {end}, {-size}")
        e.line(f"call void @llvm.memset.p0.i64(ptr {said}, i8 0, i64 {end}, i1 false)")

        def say() -> None:
            x = e.name(op.operands[0])
            flag = e.value(f"zext i1 {e.value(f'xor i1 {x}, true') if bad else x} to i8")
            e.line(f"store i8 {flag}, ptr {self.element(said, 'i8', self.number())}, align 1")

        self.after.append((op.operands[0], say))
        self.flush()
        attributes = e.target.function_attributes(None)
        name = e.module.helper("sapwood.ballots", lambda: ballots(size, attributes))
        e.line(f"call void @{name}(ptr {said}, ptr {words}, i64 {end})")
        self.ballots[op] = words
        self.run.append(op)

    def take_vote(self, op: Any) -> None:
        e, size = self.e, self.e.target.warp_size
        word = e.value(f"load i{size}, ptr {self.element(self.ballots[op], f'i{size}', self.warp_id())}, align 1")
        if op.attrs["mode"] != "ballot":
            word = e.value(f"icmp {'ne' if op.attrs['mode'] == 'any' else 'eq'} i{size} {word}, 0")
        e.names[op.results[0]] = word


def ballots(size: int, attributes: str) -> str:
    """Bytes that are 0 or 1, `size` of each warp, as the bits of a word of each warp."""
    return f"""define internal void @sapwood.ballots(ptr %said, ptr %words, i64 %threads) {attributes} {{
entry:
  br label %warp
warp:
  %first = phi i64 [ 0, %entry ], [ %next, %warp ]
  %p = getelementptr i8, ptr %said, i64 %first
  %bytes = load <{size} x i8>, ptr %p, align 1
  %bits = icmp ne <{size} x i8> %bytes, zeroinitializer
  %word = bitcast <{size} x i1> %bits to i{size}
  %number = udiv exact i64 %first, {size}
  %q = getelementptr i{size}, ptr %words, i64 %number
  store i{size} %word, ptr %q, align 1
  %next = add nuw i64 %first, {size}
  %more = icmp ult i64 %next, %threads
  br i1 %more, label %warp, label %done
done:
  ret void
}}"""
