"""Who is there, and what is kept of them: scopes, memory of a value for each thread, loops over those of a scope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sapwood.targets.simt.workitems_plan import Plan, inside
from sapwood.targets.simt.workitems_threads import Threads

FULL = 6  # words of a box: first and last along x, y, z


@dataclass(eq=False)
class Scope:
    """The threads that are at a place."""

    outer: Scope | None
    box: str  # a `ptr` to six words
    array: str | None  # a byte a thread; None: all of the box
    own_array: bool = False
    key: Any = None  # id of the loop that it belongs to
    end: str = ""  # where control goes when nobody is left
    ends: list[str] = field(default_factory=list)  # blocks that went there


@dataclass(eq=False)
class LoopState:
    """A split loop that is being written."""

    scope: Scope
    op: Any
    exit: str
    latch: str
    params: dict[Any, str] = field(default_factory=dict)  # parameter -> array
    results: dict[Any, str] = field(default_factory=dict)
    rounds: list[tuple[list[str], str]] = field(default_factory=list)  # scalars, block
    exits: list[tuple[list[str], str]] = field(default_factory=list)


class Scopes(Threads):
    """Loops over the threads of a scope, and what crosses from one to another."""

    scope: Scope
    threads: str  # how many the block has

    def __init__(self, emitter: Any, plan: Plan) -> None:
        super().__init__(emitter)
        self.plan = plan
        self.kept: dict[Any, str] = {}  # value -> array
        self.states: dict[Any, LoopState] = {}
        self.run: list[Any] = []  # operations for the next loop over threads
        self.after: list[tuple[Any, Callable[[], None]]] = []  # what each thread does last in it, with what it needs

    def box(self, scope: Scope | None = None) -> list[str]:
        e, box = self.e, (scope or self.scope).box
        places = [e.value(f"getelementptr i64, ptr {box}, i64 {i}") for i in range(FULL)]
        return [e.value(f"load i64, ptr {p}") for p in places]

    def set_box(self, box: str, words: list[str]) -> None:
        e = self.e
        for i, w in enumerate(words):
            e.line(f"store i64 {w}, ptr {e.value(f'getelementptr i64, ptr {box}, i64 {i}')}")

    def copy_scope(self, key: Any = None) -> Scope:
        """A scope inside of this one with the same threads, whose box can become smaller."""
        box = self.e.alloca(8 * FULL, 8)
        self.set_box(box, self.box())
        return Scope(self.scope, box, self.scope.array, key=key)

    def give_array(self, scope: Scope) -> None:
        """Let a scope have an array of its own, which says that all of the scope around are there."""
        e = self.e
        scope.array, scope.own_array = self.array(1), True
        outer = scope.outer.array if scope.outer is not None else None
        if outer is None:
            e.line(f"call void @llvm.memset.p0.i64(ptr {scope.array}, i8 1, i64 {self.threads}, i1 false)")
            e.declare(MEMSET)
        else:
            e.line(f"call void @llvm.memcpy.p0.p0.i64(ptr {scope.array}, ptr {outer}, i64 {self.threads}, i1 false)")
            e.declare("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")

    def anyone(self, scope: Scope) -> str:
        """Whether a thread is in the scope, an i1."""
        e = self.e
        box = self.box(scope)
        some = "true"
        for axis in range(3):
            some = e.value(f"and i1 {some}, {e.value(f'icmp slt i64 {box[2 * axis]}, {box[2 * axis + 1]}')}")
        if scope.array is None:
            return some
        attributes = e.target.function_attributes(None)
        name = e.module.helper("sapwood.anyone", lambda: ANYONE.replace("ATTRIBUTES", attributes))
        dx, dy = self.places["block_dim"][:2]
        words = ", ".join(f"i64 {w}" for w in (dx, dy, *box))
        found = e.value(f"call i1 @{name}(ptr {scope.array}, {words})")
        return e.value(f"and i1 {some}, {found}")

    def go_on_if_anyone(self, scope: Scope) -> None:
        """Go to the end of the scope if nobody is left in it."""
        e = self.e
        on = e.label("on")
        some = self.anyone(scope)
        e.line(f"br i1 {some}, label %{on}, label %{scope.end}")
        scope.ends.append(e.current)
        e.block(on)

    def clear(self, scope: Scope) -> None:
        self.mark(scope.array or "", "0")

    def mark(self, array: str, flag: str) -> None:
        self.e.line(f"store i8 {flag}, ptr {self.element(array, 'i8', self.number())}, align 1")

    def new_array(self, v: Any) -> str:
        return self.array(self.e.memory_bytes(v.type))

    def keep_all(self, stores: list[tuple[Any, str]], box: list[str]) -> None:
        """Keep values for the threads of a box."""
        needed = [v for v in dict.fromkeys(v for v, _ in stores) if not self.ready(v)]
        e = self.e
        some, after = e.label("gone"), e.label("stay")
        there = "true"
        for axis in range(3):
            there = e.value(f"and i1 {there}, {e.value(f'icmp slt i64 {box[2 * axis]}, {box[2 * axis + 1]}')}")
        e.line(f"br i1 {there}, label %{some}, label %{after}")
        e.block(some)

        def body() -> None:
            self.enter(needed)
            for v, array in stores:
                self.write(v, array)

        self.over_threads([], box, body)
        e.line(f"br label %{after}")
        e.block(after)

    def ready(self, v: Any) -> bool:
        return self.plan.scalar(v) and v in self.e.names

    def parts(self, test: Any, holds: bool) -> tuple[list[str], list[str]]:
        """The boxes of the threads of this scope for which a condition is `holds`, and of the others."""
        e, plan = self.e, self.plan
        bound, axis = plan.bound(test), plan.box_axis(test)
        assert bound is not None and axis is not None
        box = self.box()
        first, last = box[2 * axis : 2 * axis + 2]
        self.at = ["0", "0", "0"]
        self.at[axis] = first
        self.row = "0"
        count = e.value(f"sub i64 {last}, {first}")
        at_first, k = self.flip(bound, axis, count)
        self.at, self.row = ["", "", ""], ""
        middle = e.value(f"add i64 {first}, {k}")
        if not holds:
            at_first = e.value(f"xor i1 {at_first}, true")
        parts = []
        for low, high in (((first, middle), (middle, last)), ((middle, last), (first, middle))):
            part = list(box)
            part[2 * axis] = e.select("i1", at_first, "i64", low[0], high[0])
            part[2 * axis + 1] = e.select("i1", at_first, "i64", low[1], high[1])
            parts.append(part)
        return parts[0], parts[1]

    def store_after(self, stores: list[tuple[Any, str]]) -> None:
        """Keep values at the end of the loop over threads that comes next: all are read before one is written."""
        if not stores:
            return

        def body() -> None:
            for v, array in stores:
                self.write(v, array)

        self.after.append((stores[0][0], body))
        self.after += [(v, _nothing) for v, _ in stores[1:]]

    def flush(self) -> None:
        """Write the loop over threads for what has gathered."""
        ops, after = self.run, self.after
        self.run, self.after = [], []
        e, plan = self.e, self.plan
        own = {o for op in ops for o in inside(op)}
        keep = []
        for op in ops:
            for v in op.results:
                if v not in plan.live or plan.chain(v) or all(u in own for u in plan.users.get(v, ())):
                    continue
                if v not in self.kept:
                    self.kept[v] = self.new_array(v)
                keep.append(v)
        effect = any(not o.op.pure and not self.leaves_nothing(o) for o in own)
        if not (after or keep or effect):
            return
        needed = self.needed(ops, own, [v for v, _ in after if v is not None])

        def body() -> None:
            self.enter(needed)
            done: set[Any] = set()
            for op in ops:
                if e.dead:
                    break
                e.op(op)
                if not e.dead:
                    for v in op.results:
                        if v in keep and v not in done:
                            done.add(v)
                            self.write(v, self.kept[v])
            if not e.dead:
                for _, act in after:
                    act()

        self.over_threads(ops, self.box(), body)

    def leaves_nothing(self, op: Any) -> bool:
        """Control of which nothing is left when the values that it gives are not used."""
        return op.name in ("if", "loop", "yield") or op.name in ("break", "continue") and op.attrs["target"] not in (
            self.states
        )

    def needed(self, ops: list[Any], own: set[Any], more: list[Any]) -> list[Any]:
        """Values from outside of a loop over threads that it needs for each."""
        inner = {v for o in own for v in (*o.results, *(p for r in o.regions for p in r.params))}
        used: dict[Any, None] = {}
        for o in (o for op in ops for o in inside(op)):
            for v in o.operands:
                used[v] = None
        for v in more:
            used[v] = None
        return [v for v in used if v not in inner and not (self.plan.scalar(v) and v in self.e.names)]

    def enter(self, needed: list[Any]) -> None:
        """The head of a thread: whether it is there, and what it needs of its values."""
        e = self.e
        known: dict[Any, str] = {}
        scope = self.scope
        if scope.array is not None:
            there = e.label("there")
            flag = e.value(f"load i8, ptr {self.element(scope.array, 'i8', self.number())}, align 1")
            e.line(f"br i1 {e.value(f'icmp ne i8 {flag}, 0')}, label %{there}, label %{self.latch}")
            e.block(there)
        for v in needed:
            if v not in self.plan.live:
                known[v] = "poison"
            elif v in self.kept:
                known[v] = self.read(v, self.kept[v])
        for v in needed:
            self.again(v, known)
        e.names.update(known)


def _nothing() -> None:
    """A value that is needed at the end of a loop over threads, and used by what comes before it there."""


MEMSET = "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)"
WORDS = "i64 %dx, i64 %dy, i64 %x, i64 %xs, i64 %y, i64 %ys, i64 %z, i64 %zs"
ANYONE = f"define internal i1 @sapwood.anyone(ptr %there, {WORDS}) ATTRIBUTES {{" + """
entry:
  br label %planes
planes:
  %k = phi i64 [ %z, %entry ], [ %k.next, %plane.done ]
  %k.more = icmp slt i64 %k, %zs
  br i1 %k.more, label %rows, label %none
rows:
  %j = phi i64 [ %y, %planes ], [ %j.next, %row.none ]
  %j.more = icmp slt i64 %j, %ys
  br i1 %j.more, label %row, label %plane.done
row:
  %plane = mul i64 %dy, %k
  %line = add i64 %plane, %j
  %at = mul i64 %line, %dx
  %p = getelementptr i8, ptr %there, i64 %at
  br label %cells
cells:
  %i = phi i64 [ %x, %row ], [ %i.next, %cells ]
  %any = phi i8 [ 0, %row ], [ %any.next, %cells ]
  %q = getelementptr i8, ptr %p, i64 %i
  %flag = load i8, ptr %q, align 1
  %any.next = or i8 %any, %flag
  %i.next = add nuw nsw i64 %i, 1
  %i.more = icmp slt i64 %i.next, %xs
  br i1 %i.more, label %cells, label %row.done
row.done:
  %found = icmp ne i8 %any.next, 0
  br i1 %found, label %some, label %row.none
row.none:
  %j.next = add nuw nsw i64 %j, 1
  br label %rows
plane.done:
  %k.next = add nuw nsw i64 %k, 1
  br label %planes
some:
  ret i1 true
none:
  ret i1 false
}"""
