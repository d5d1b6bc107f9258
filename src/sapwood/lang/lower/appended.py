"""What a loop appended last, in registers: `f.append(f[i - 1] + f[i - 2])`, `row.append(min(row[j], ...))`.

A loop that appends once in each round to a list which nothing else in it changes, and reads the elements before the
end, by the number that counts the rounds or by `[-1]`, passes them and the length on from round to round. Through
memory that takes as long as the rest of the loop. One comparison before the loop tells whether the number and the
length go together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sapwood.lang.ir.ssa import Function, Op, Var
from sapwood.lang.passes.bounds import Bounds, LoopNote
from sapwood.lang.types import Leaf, List, Ref, Scalar

if TYPE_CHECKING:
    from sapwood.lang.lower.emitter import Emitter

DEEPEST = 3  # elements before the end that are passed on


@dataclass
class Tail:
    """The last elements of the list `xs`, to which a loop appends `value`; `longer` is its length then."""

    xs: Var
    value: Var
    longer: Var
    lengths: set[Op] = field(default_factory=set)  # reads of the length before
    loads: dict[Op, int] = field(default_factory=dict)  # reads of an element, and how far before the last one it is
    counts: dict[Var, int] = field(default_factory=dict)  # parameter of the loop: plus this it is the last index
    checked: dict[Op, int] = field(default_factory=dict)  # index checks of these reads, and as how far before the end
    initial: list[str] = field(default_factory=list)  # the length and the elements from the last one on
    now: list[str] = field(default_factory=list)  # the same in the round that is being emitted
    slots: list[int] = field(default_factory=list)  # their lines

    @property
    def type(self) -> Leaf:
        return self.value.type

    @property
    def depth(self) -> int:
        return 1 + max(self.loads.values())


# -- what a loop does ---------------------------------------------------------------------------------


def find_tail(bounds: Bounds, note: LoopNote, ops: list[Op], inside: frozenset[Var]) -> Tail | None:
    """The list that a loop appends to and whose end it reads; None: there is none, or it is not that simple."""
    region = note.op.regions[0]
    stores = [op for op in ops if op.name == "store"]
    if len(stores) != 2 or any(op not in region.ops for op in stores) or not _goes_on_at_its_end(note):
        return None
    element, length = stores
    n = _next_length(bounds, length)
    place = _element(bounds, element.operands[0])
    if n is None or place is None or place[1] is not n[1] or place[0] is not n[0] or n[0] in inside:
        return None
    xs, value = n[0], element.operands[1]
    if not isinstance(value.type, Scalar) or not _keeps_lengths(ops):
        return None
    tail = Tail(xs, value, length.operands[1])
    before = region.ops[: region.ops.index(element)]
    reads: list[tuple[Op, Op, Var, int]] = []
    for op in (o for outer in before for o in (outer, *(i for r in outer.regions for i in r.walk()))):
        if op.name == "load" and _word(bounds, op.operands[0]) == (xs, 16):
            tail.lengths.add(op)
        found = _element(bounds, op.operands[0]) if op.name == "load" and op.result.type == value.type else None
        check = bounds.definitions.get(found[1]) if found is not None and found[0] is xs else None
        if check is not None and check.name == "check_index" and _length(bounds, check.operands[1]) is xs:
            reads.append((op, check, *bounds.shifted(check.operands[0])))
    for op, check, base, extra in reads:
        known = bounds.constant(base)
        if known is not None:
            depth = -(known + extra) - 1
        elif base in region.params and bounds.steps(base) == (1, 1):
            last = tail.counts[base] = max(e for _, _, b, e in reads if b is base)
            depth = last - extra
        else:
            continue
        if 0 <= depth < DEEPEST:
            tail.loads[op] = depth
            tail.checked[check] = depth
    return tail if tail.loads else None


def _goes_on_at_its_end(note: LoopNote) -> bool:
    return len(note.continues) == 1 and note.continues[0] is note.op.regions[0].ops[-1]


def _word(bounds: Bounds, p: Var) -> tuple[Var, int] | None:
    """The list and the byte of its memory that a pointer leads to."""
    op = bounds.definitions.get(p)
    while op is not None and op.name == "bitcast":
        op = bounds.definitions.get(op.operands[0])
    if op is None or op.name != "pointer_add":
        return None
    at, words = bounds.constant(op.operands[1]), bounds.definitions.get(op.operands[0])
    if at is None or words is None or words.name != "words":
        return None
    xs = words.operands[0]
    is_list = isinstance(xs.type, Ref) and isinstance(xs.type.target, List) and not xs.type.nullable
    return (xs, at * op.attrs["stride"]) if is_list else None


def _length(bounds: Bounds, n: Var) -> Var | None:
    """The list whose length was read."""
    op = bounds.definitions.get(n)
    word = _word(bounds, op.operands[0]) if op is not None and op.name == "load" else None
    return word[0] if word is not None and word[1] == 16 else None


def _next_length(bounds: Bounds, store: Op) -> tuple[Var, Var] | None:
    """The list whose length a store makes one more, and the length before."""
    word = _word(bounds, store.operands[0])
    n, more = bounds.shifted(store.operands[1])
    if word is None or word[1] != 16 or more != 1 or _length(bounds, n) is not word[0]:
        return None
    return word[0], n


def _element(bounds: Bounds, p: Var) -> tuple[Var, Var] | None:
    """The list and the index of an element that a pointer leads to."""
    op = bounds.definitions.get(p)
    while op is not None and op.name == "bitcast":
        op = bounds.definitions.get(op.operands[0])
    if op is None or op.name != "pointer_add":
        return None
    data = bounds.definitions.get(op.operands[0])
    word = _word(bounds, data.operands[0]) if data is not None and data.name == "load" else None
    return (word[0], op.operands[1]) if word is not None and word[1] == 32 else None


def _keeps_lengths(ops: list[Op]) -> bool:
    """Whether what the operations call, or do without being a store, changes no length and no element."""
    for op in ops:
        if op.name in ("call", "call_unit"):
            keeps = keeps_length(op.attrs["function"]) if op.name == "call" else op.attrs["unit"].keeps_length
            if not keeps:
                return False
        elif op.name in ("release", "move_memory", "fill_memory", "call_indirect"):
            return False
    return True


def keeps_length(function: Function) -> bool:
    """Whether a function changes the length and the elements of no list that there is."""
    ops = list(function.body.walk())
    definitions = {v: op for op in ops for v in op.results}
    for op in ops:
        if op.name == "store":
            at = definitions.get(op.operands[0])
            if at is None or at.name != "pointer_add" or at.attrs["stride"] != 8:
                return False
            words, offset = at.operands
            by = definitions.get(offset)
            if by is None or by.name != "constant" or by.attrs["value"] == 2:
                return False
            if words not in function.params and definitions[words].name != "words":
                return False
        elif op.name in ("call", "call_unit", "call_indirect", "release", "move_memory", "fill_memory"):
            return False
    return True


# -- lowering -----------------------------------------------------------------------------------------


def lower_tail(e: Emitter, op: Op, tail: Tail) -> bool:
    """Emit an operation of the loop, if it reads what is passed on."""
    if op in tail.lengths:
        e.names[op.result] = tail.now[0]
    elif op in tail.loads:
        e.names[op.result] = tail.now[1 + tail.loads[op]]
    elif op in tail.checked:
        e.names[op.result] = e.value(f"sub i64 {tail.now[0]}, {tail.checked[op] + 1}")
    else:
        return False
    return True


def refuse_tail(e: Emitter, tail: Tail, loop: Op) -> list[str]:
    """Tests that say that the numbers and the length do not go together, or that the list is too short."""
    n = e.value(f"load i64, ptr {_at(e, tail.xs, 16)}, align 8")
    tests = [f"icmp slt i64 {n}, {tail.depth}"]
    for p, extra in tail.counts.items():
        first = e.name(loop.operands[loop.regions[0].params.index(p)])
        tests.append(f"icmp ne i64 {e.value(f'add i64 {first}, {extra + 1}')}, {n}")
    return tests


def begin_tail(e: Emitter, tail: Tail) -> None:
    """Read the last elements, before the loop."""
    t, size = tail.type, tail.type.itemsize if isinstance(tail.type, Scalar) else 8
    n = e.value(f"load i64, ptr {_at(e, tail.xs, 16)}, align 8")
    data = e.value(f"load ptr, ptr {_at(e, tail.xs, 32)}, align 8")
    end = e.value(f"getelementptr i{8 * size}, ptr {data}, i64 {n}")
    tail.initial = [n]
    for depth in range(tail.depth):
        p = e.value(f"getelementptr i{8 * size}, ptr {end}, i64 {-1 - depth}")
        tail.initial.append(e.from_memory(t, e.value(f"load {e.memory_type(t)}, ptr {p}, align {size}")))


def _at(e: Emitter, xs: Var, offset: int) -> str:
    return e.value(f"getelementptr i8, ptr {e.name(xs)}, i64 {offset}")


def head_of_tail(e: Emitter, tail: Tail) -> None:
    """The phis at the head of the loop."""
    tail.now, tail.slots = [], []
    for t in ("i64", *[e.type(tail.type)] * tail.depth):
        tail.now.append(e.value(f"phi {t} "))
        tail.slots.append(len(e.lines) - 1)


def close_tail(e: Emitter, tail: Tail, before: str, latch: str) -> None:
    """What the phis get, from before the loop and from its end."""
    following = [e.name(tail.longer), e.name(tail.value), *tail.now[1:-1]]
    for slot, first, then in zip(tail.slots, tail.initial, following, strict=True):
        e.lines[slot] += f"[ {first}, %{before} ], [ {then}, %{latch} ]"
