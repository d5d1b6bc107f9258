"""Threads that wait for others by reading memory, again and again, let the others run.

A loop may go on until another thread has written something: a flag, a lock, a ticket. On a GPU the other one runs
meanwhile; where threads take turns (simt, the evaluator), it must get its turn. So the operation `give_way` goes in
front of each access by which a loop learns whether it may end: an atomic operation, a volatile load or a test of an
mbarrier whose result decides that.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sapwood.lang.ir.ssa import LEAVING, Function, Op, Region, Var
from sapwood.lang.ops.gpu.sync import give_way

ATOMIC, TEST = "atomic_", "mbarrier_test"


def give_way_in_loops(function: Function) -> None:
    """Enter `give_way` into the loops of a kernel."""
    flow = _Flow()
    flow.region(function.body, [])
    learns: set[Op] = set()
    for loop, inside in flow.accesses.items():
        learns |= flow.deciding(loop, inside)
    if learns:
        _enter(function.body, learns)


def _enter(region: Region, learns: set[Op]) -> None:
    out: list[Op] = []
    for op in region.ops:
        for inner in op.regions:
            _enter(inner, learns)
        if op in learns:
            out.append(Op(give_way, (), (), {}, (), op.loc))
        out.append(op)
    region.ops[:] = out


def _reads_others(op: Op) -> bool:
    """Whether it gives what another thread may have written while this one runs."""
    if op.name == "load":
        return bool(op.attrs.get("volatile"))
    return op.name.startswith((ATOMIC, TEST)) and bool(op.results)


@dataclass
class _Flow:
    """Where values of a kernel come from, and what decides where its loops go."""

    definitions: dict[Var, Op] = field(default_factory=dict)
    parameters: dict[Var, tuple[Op, int]] = field(default_factory=dict)  # of loops
    ways: dict[Op, list[tuple[Op, list[Var]]]] = field(default_factory=dict)  # loop -> breaks, continues, conditions
    exits: dict[Op, set[Var]] = field(default_factory=dict)  # loop -> conditions of what leaves it or goes round
    stored: dict[Op, set[Var]] = field(default_factory=dict)  # loop -> values that are written to memory
    accesses: dict[Op, list[Op]] = field(default_factory=dict)  # loop that goes round -> what reads others in it

    def region(self, region: Region, around: list[Op]) -> None:
        """Collect; `around` are the ifs and loops that the region is in, outermost first."""
        for op in region.ops:
            for v in op.results:
                self.definitions[v] = op
            loops = [o for o in around if o.name == "loop" and not o.attrs.get("once")]
            if _reads_others(op):
                for loop in loops:
                    self.accesses.setdefault(loop, []).append(op)
            if op.name == "store" or op.name.startswith(ATOMIC):
                for loop in loops:
                    self.stored.setdefault(loop, set()).update(op.operands[1:])
            if op.name in LEAVING:
                self._leave(op, around)
            if op.name == "loop":
                for i, p in enumerate(op.regions[0].params):
                    self.parameters[p] = op, i
            for inner in op.regions:
                self.region(inner, [*around, op] if op.name in ("if", "loop") else around)

    def _leave(self, op: Op, around: list[Op]) -> None:
        target = next((o for o in around if o.name == "loop" and o.attrs["id"] is op.attrs.get("target")), None)
        if target is not None:
            conditions = [o.operands[0] for o in around if o.name == "if"]
            self.ways.setdefault(target, []).append((op, conditions))
        for at, loop in enumerate(around):
            if loop.name == "loop" and (target is None or at >= around.index(target)):
                inside = {o.operands[0] for o in around[at:] if o.name == "if"}
                self.exits.setdefault(loop, set()).update(inside)

    def deciding(self, loop: Op, accesses: list[Op]) -> set[Op]:
        """Those of the accesses in a loop by whose results it may end: directly, or through memory."""
        values, reads_memory = self._sources(self.exits.get(loop, set()))
        if reads_memory:
            values |= self._sources(self.stored.get(loop, set()))[0]
        return {op for op in accesses if any(v in values for v in op.results)}

    def _sources(self, targets: set[Var]) -> tuple[set[Var], bool]:
        """All values that some are made of, with what decides between them; whether a load is among these."""
        seen, pending, loads = set(targets), list(targets), False
        while pending:
            v = pending.pop()
            found: list[Var] = []
            if v in self.parameters:
                op, i = self.parameters[v]
                found.append(op.operands[i])
                found += self._through(op, "continue", i)
            elif v in self.definitions:
                op = self.definitions[v]
                i = op.results.index(v)
                loads = loads or op.name == "load"
                found += op.operands
                if op.name == "loop":
                    found += self._through(op, "break", i)
                elif op.name == "if":
                    ends = [r.ops[-1] for r in op.regions if r.ops and r.ops[-1].name == "yield"]
                    found += [end.operands[i] for end in ends]
            for x in found:
                if x not in seen:
                    seen.add(x)
                    pending.append(x)
        return seen, loads

    def _through(self, loop: Op, way: str, i: int) -> list[Var]:
        """The i-th values that breaks or continues of a loop bring, and what decides whether they are reached."""
        out: list[Var] = []
        for op, conditions in self.ways.get(loop, ()):
            if op.name == way:
                out += [op.operands[i], *conditions]
        return out
