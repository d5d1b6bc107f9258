"""Which pointer parameters a program stores through: those arguments must be writable."""

from __future__ import annotations

from dataclasses import dataclass, field

from sapwood.lang.ir.ssa import Function, Op, Program, Region, Var
from sapwood.lang.types import Ptr

STORES = frozenset({"store", "atomic_add", "atomic_store", "atomic_cas", "atomic_exchange"})


@dataclass
class _Pointers:
    """What a function does with pointers: which come from which, which are written, which go to calls."""

    flows: list[tuple[Var, Var]] = field(default_factory=list)
    written: list[Var] = field(default_factory=list)
    calls: list[tuple[Function, Op]] = field(default_factory=list)


def written_parameters(program: Program) -> None:
    """Fill in `Function.written` for every function: a fixpoint over the call graph."""
    found = {f: _collect(f.body, _Pointers(), {}) for f in program.functions}
    changed = True
    while changed:
        changed = False
        for function, pointers in found.items():
            written = _written(function, pointers)
            if written != function.written:
                function.written = written
                changed = True


def _written(function: Function, pointers: _Pointers) -> frozenset[int]:
    """Parameters from which a written pointer comes: flows are followed backwards."""
    sources: dict[Var, list[Var]] = {}
    for s, t in pointers.flows:
        sources.setdefault(t, []).append(s)
    pending = list(pointers.written)
    for callee, op in pointers.calls:
        pending += [op.operands[i] for i in callee.written]
    seen = set(pending)
    while pending:
        for s in sources.get(pending.pop(), ()):
            if s not in seen:
                seen.add(s)
                pending.append(s)
    return frozenset(i for i, p in enumerate(function.params) if p in seen)


def _collect(region: Region, out: _Pointers, loops: dict[object, Op]) -> _Pointers:
    def flow(sources: tuple[Var, ...], targets: tuple[Var, ...]) -> None:
        out.flows.extend((s, t) for s, t in zip(sources, targets, strict=True) if isinstance(t.type, Ptr))

    for op in region.ops:
        name = op.name
        if name in STORES:
            out.written.append(op.operands[0])
            if isinstance(op.operands[-1].type, Ptr):
                out.written.append(op.operands[-1])  # the pointer itself escapes into memory
        elif name in ("call", "call_unit"):
            callee = op.attrs["function"] if name == "call" else op.attrs["unit"].program.entry
            out.calls.append((callee, op))
            continue
        elif name in ("call_native", "tile_store"):
            out.written += op.operands
        elif name == "loop":
            flow(op.operands, op.regions[0].params)
            _collect(op.regions[0], out, {**loops, op.attrs["id"]: op})
            continue
        elif name in ("break", "continue"):
            target = loops.get(op.attrs["target"])
            if target is not None:
                flow(op.operands, target.results if name == "break" else target.regions[0].params)
            continue
        elif name in ("if", "try"):
            for r in op.regions:
                _collect(r, out, loops)
                if r.ops and r.ops[-1].name == "yield":
                    flow(r.ops[-1].operands, op.results)
            if name == "try":
                for o in op.regions[0].walk():
                    if o.handler is op.attrs["id"]:
                        flow(o.edge, op.regions[1].params)
            continue
        for r in op.regions:
            _collect(r, out, loops)
        if name != "load":
            for v in op.results:
                if isinstance(v.type, Ptr):
                    out.flows.extend((s, v) for s in op.operands if isinstance(s.type, Ptr))
    return out
