"""Threads that wait for others by reading memory, again and again, let the others run.

A loop may go on until another thread has written something: a flag, a lock, a ticket. On a GPU the other one runs
meanwhile; where threads take turns (simt, the evaluator), it must get its turn. So the operation `give_way` goes in
front of each access by which a loop can learn what others did: an atomic operation whose result is used, a volatile
load, a test of an mbarrier.
"""

from __future__ import annotations

from sapwood.lang.ir.ssa import Function, Op, Region, Var
from sapwood.lang.ops.gpu.sync import give_way


def give_way_in_loops(function: Function) -> None:
    """Enter `give_way` into the loops of a kernel."""
    used = {v for op in function.body.walk() for v in op.operands}
    _region(function.body, False, used)


def _region(region: Region, repeated: bool, used: set[Var]) -> None:
    out: list[Op] = []
    for op in region.ops:
        again = repeated or op.name == "loop" and not op.attrs.get("once")
        for inner in op.regions:
            _region(inner, again, used)
        if repeated and _learns(op, used):
            out.append(Op(give_way, (), (), {}, (), op.loc))
        out.append(op)
    region.ops[:] = out


def _learns(op: Op, used: set[Var]) -> bool:
    if op.name == "load":
        return bool(op.attrs.get("volatile"))
    return op.name.startswith(("atomic_", "mbarrier_test")) and any(v in used for v in op.results)
