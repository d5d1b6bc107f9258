"""What each pointer of a function was made of: parameters, operations that name memory, or anything."""

from __future__ import annotations

from typing import Any

UNKNOWN = None  # the origin of a pointer that comes from anywhere


def pointer_origins(function: Any) -> dict[Any, set[Any]]:
    """For each pointer what it may have been made of: the number of a parameter, an operation that names memory,
    UNKNOWN."""
    flows: dict[Any, list[Any]] = {}  # pointer -> pointers that it may be
    found: dict[Any, set[Any]] = {v: {i} for i, v in enumerate(function.params)}
    loops: dict[int, Any] = {}

    def flow(sources: Any, targets: Any) -> None:
        for s, t in zip(sources, targets, strict=True):
            flows.setdefault(t, []).append(s)

    for op in function.body.walk():
        match op.name:
            case "pointer_add" | "bitcast" | "assume_aligned":
                flow(op.operands[:1], op.results)
            case "pointer_at":
                source = op.operands[0]
                found[op.result] = {function.params.index(source)} if source in function.params else {UNKNOWN}
            case "select":
                for v in op.operands[1:]:
                    flow((v,), op.results)
            case "if":
                for r in op.regions:
                    if r.ops and r.ops[-1].name == "yield":
                        flow(r.ops[-1].operands, op.results)
            case "loop":
                loops[id(op.attrs["id"])] = op
                flow(op.operands, op.regions[0].params)
            case "break" | "continue":
                loop = loops[id(op.attrs["target"])]
                flow(op.operands, loop.results if op.name == "break" else loop.regions[0].params)
            case "shared_storage" | "dynamic_storage" | "stack_storage" | "constant_bytes" | "unicode_table":
                found[op.result] = {op}
            case _:
                for v in op.results:
                    found[v] = {UNKNOWN}
    changed = True
    while changed:
        changed = False
        for target, sources in flows.items():
            known = found.setdefault(target, set())
            before = len(known)
            for s in sources:
                known |= found.get(s, set())
            changed |= len(known) != before
    return found
