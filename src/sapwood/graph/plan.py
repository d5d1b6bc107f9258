"""The memory plan: where each intermediate value lies in one arena.

Values that are never needed at the same time share memory. Sizes are taken at the largest step that the program
will run; the compiled code gets addresses in a table, so that it does not depend on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sapwood.graph.dims import Dim
from sapwood.graph.fuse import FusedGraph, FusedKernel, FusedLoop
from sapwood.graph.ir import GraphError, Value
from sapwood.graph.ops import size_in_bytes

ALIGN = 64


@dataclass(eq=False)
class Buffer:
    """A piece of memory that some values share, needed from kernel `start` to kernel `end`, both included.

    `output`: the number of the graph's result that it holds; such memory belongs to the caller.
    """

    name: str
    size: Dim
    start: int
    end: int
    output: int | None = None
    offset: int = 0


@dataclass
class Plan:
    """Buffers, where each value lies, and the size of the arena at given symbols."""

    buffers: list[Buffer] = field(default_factory=list)
    place: dict[Value, Buffer] = field(default_factory=dict)
    scratch: dict[tuple[FusedKernel, int], Buffer] = field(default_factory=dict)

    @property
    def arena(self) -> list[Buffer]:
        return [b for b in self.buffers if b.output is None]

    def layout(self, bindings: Mapping[str, int]) -> int:
        """Give each buffer its offset; the bytes of the arena. First fit, largest first."""
        placed: list[tuple[Buffer, int]] = []
        total = 0
        for b in sorted(self.arena, key=lambda b: -b.size.value(bindings)):
            size = -(-b.size.value(bindings) // ALIGN) * ALIGN
            at = 0
            busy = [(o.offset, n) for o, n in placed if o.start <= b.end and b.start <= o.end]
            for offset, n in sorted(busy):
                if at + size <= offset:
                    break
                at = max(at, offset + n)
            b.offset = at
            placed.append((b, size))
            total = max(total, at + size)
        return total

    def __str__(self) -> str:
        lines = []
        for b in self.buffers:
            where = f"result {b.output}" if b.output is not None else f"arena at {b.offset}"
            values = ", ".join(f"%{v.name}" for v, o in self.place.items() if o is b)
            lines.append(f"{b.name}: {b.size} bytes, kernels {b.start} to {b.end}, {where}: {values}")
        return "\n".join(lines)


def plan_memory(fused: FusedGraph, scratch: Mapping[FusedKernel, list[Dim]]) -> Plan:
    """Buffers for every value that a kernel stores. `scratch`: bytes of scratch that each kernel asks for.

    Raises GraphError where a value is read after memory that it lies in was written again.
    """
    time: dict[FusedKernel, int] = {}
    loops: list[tuple[FusedLoop, int, int]] = []
    for item in fused.items:
        if isinstance(item, FusedLoop):
            first = len(time)
            for k in item.kernels:
                time[k] = len(time)
            loops.append((item, first, len(time) - 1))
        else:
            time[item] = len(time)
    group = _groups(fused)
    start: dict[Value, int] = {}
    end: dict[Value, int] = {}

    def touch(v: Value, t: int) -> None:
        leader = group.get(v)
        if leader is not None:
            start[leader] = min(start.get(leader, t), t)
            end[leader] = max(end.get(leader, t), t)

    for k, t in time.items():
        touch(k.result, t)
        for v in k.reads():
            touch(v, t)
    for loop, first, last in loops:
        touch(loop.repeat.carry, first)
        touch(loop.repeat.carry, last)
        inside = {k.result for k in loop.kernels}
        for k in loop.kernels:
            for v in k.reads() - inside:  # from outside: needed by every layer
                touch(v, last)
    plan = Plan()
    buffers: dict[Value, Buffer] = {}
    for v, leader in group.items():
        if leader not in start:
            continue
        if leader not in buffers:
            buffers[leader] = Buffer(f"b{len(buffers)}", size_in_bytes(leader.type), start[leader], end[leader])
        plan.place[v] = buffers[leader]
    for i, v in enumerate(fused.graph.outputs):
        plan.place[v].output = i
    plan.buffers = list(buffers.values())
    for k, sizes in scratch.items():
        for n, size in enumerate(sizes):
            plan.scratch[k, n] = Buffer(f"{k.name}.scratch{n}", size, time[k], time[k])
            plan.buffers.append(plan.scratch[k, n])
    _check_updates(fused, time)
    return plan


def _groups(fused: FusedGraph) -> dict[Value, Value]:
    """value -> the first of those that share its buffer, for every value that has one."""
    group: dict[Value, Value] = {}
    for k in fused.kernels():
        if not any(n.op.updates is not None for n in k.epilogue):
            group[k.result] = k.result
    for item in fused.items:
        if isinstance(item, FusedLoop):
            r = item.repeat
            leader = group[r.initial]
            for v in (r.carry, r.output):
                group[v] = leader
            if r.result is not leader:
                group[r.result] = leader
    return group


def _check_updates(fused: FusedGraph, time: Mapping[FusedKernel, int]) -> None:
    """Nobody may read a cache by its old name after it was written."""
    written = {
        n.inputs[n.op.updates]: t for k, t in time.items() for n in k.epilogue if n.op.updates is not None
    }
    for k, t in time.items():
        for v in k.reads():
            if t > written.get(v, t):
                raise GraphError(f"{k!r} reads %{v.name}, which an earlier operation wrote to; use its result")
