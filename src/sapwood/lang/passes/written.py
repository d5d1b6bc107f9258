"""Which pointer parameters a program stores through: those arguments must be writable."""

from __future__ import annotations

from sapwood.lang.ir.ssa import Function, Program, Region, Var
from sapwood.lang.types import Ptr

Roots = frozenset[int]


def written_parameters(program: Program) -> None:
    """Fill in `Function.written` for every function: a fixpoint over the call graph."""
    changed = True
    while changed:
        changed = False
        for function in program.functions:
            found = _written(function)
            if found != function.written:
                function.written = found
                changed = True


def _written(function: Function) -> Roots:
    roots: dict[Var, Roots] = {p: frozenset({i}) for i, p in enumerate(function.params) if isinstance(p.type, Ptr)}
    written: set[int] = set()
    before = -1
    while before != sum(len(r) for r in roots.values()) + len(written):  # loops carry pointers around
        before = sum(len(r) for r in roots.values()) + len(written)
        _walk(function.body, roots, written, [])
    return frozenset(written)


def _walk(region: Region, roots: dict[Var, Roots], written: set[int], loops: list) -> None:
    def of(v: Var) -> Roots:
        return roots.get(v, frozenset())

    def flow(sources: tuple[Var, ...], targets: tuple[Var, ...]) -> None:
        for s, t in zip(sources, targets, strict=True):
            if isinstance(t.type, Ptr):
                roots[t] = of(t) | of(s)

    for op in region.ops:
        name = op.name
        if name in ("store", "atomic_add", "atomic_store", "atomic_cas", "atomic_exchange"):
            written |= of(op.operands[0])
            if isinstance(op.operands[-1].type, Ptr):
                written |= of(op.operands[-1])  # the pointer itself escapes into memory
        elif name in ("call", "call_unit"):
            callee = op.attrs["function"] if name == "call" else op.attrs["unit"].program.entry
            for i, v in enumerate(op.operands):
                if i in callee.written:
                    written |= of(v)
        elif name in ("call_native", "address", "tile_store"):
            for v in op.operands:
                if name != "address":
                    written |= of(v)
        elif name == "loop":
            flow(op.operands, op.regions[0].params)
            _walk(op.regions[0], roots, written, [*loops, op])
            continue
        elif name in ("break", "continue"):
            target = next((o for o in loops if o.attrs["id"] is op.attrs["target"]), None)
            if target is not None:
                flow(op.operands, target.results if name == "break" else target.regions[0].params)
        elif name == "if":
            for r in op.regions:
                _walk(r, roots, written, loops)
                if r.ops and r.ops[-1].name == "yield":
                    flow(r.ops[-1].operands, op.results)
            continue
        for r in op.regions:
            _walk(r, roots, written, loops)
        if name not in ("call", "call_unit", "load"):
            merged = frozenset().union(*(of(v) for v in op.operands)) if op.operands else frozenset()
            for v in op.results:
                if isinstance(v.type, Ptr):
                    roots[v] = of(v) | merged
