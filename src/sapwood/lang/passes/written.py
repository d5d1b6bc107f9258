"""Which pointers and containers among its parameters a program changes.

Those arrays must be writable; and a list that was copied in from Python must not be among them, because the change
would be lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sapwood.lang.ir.ssa import Function, Op, Program, Region, Var
from sapwood.lang.types import Bytes, Object, Ptr, Ref, Str

_WRITING = ("add", "sub", "and", "or", "xor", "min", "max", "exchange", "inc", "dec", "cas", "store")
ATOMICS = tuple(f"atomic_{n}" for n in _WRITING)
STORES = frozenset({"store", "bulk_store_issue", "tensor_store_issue", *ATOMICS})


@dataclass
class _Pointers:
    """What a function does with pointers: which come from which, which are written, which go to calls."""

    flows: list[tuple[Var, Var]] = field(default_factory=list)
    written: list[Var] = field(default_factory=list)
    calls: list[tuple[Function, Op]] = field(default_factory=list)
    returns: list[Op] = field(default_factory=list)
    constants: list[Op] = field(default_factory=list)  # containers of the module that are read


def written_parameters(program: Program) -> None:
    """Fill in `Function.written` for every function: a fixpoint over the call graph. Raises MutatedCopy."""
    found = {f: _collect(f.body, _Pointers(), {}) for f in program.functions}
    given: dict[Function, list[frozenset[int]]] = {}  # for each result the parameters that it may come from
    touched: dict[Function, set[Var]] = {}
    changed = True
    while changed:
        changed = False
        for function, pointers in found.items():
            sources = _sources(pointers, given)
            touched[function] = _reach([*pointers.written, *_written_in_calls(pointers)], sources)
            written = _parameters(function, touched[function])
            gives = [
                _parameters(function, _reach([v for op in pointers.returns for v in op.operands[i : i + 1]], sources))
                for i in range(len(function.results))
            ]
            if written != function.written or gives != given.get(function, [frozenset()] * len(gives)):
                changed = True
            function.written, given[function] = written, gives
    for function, pointers in found.items():
        for op in pointers.constants:
            if op.result in touched[function]:
                raise op.attrs["mistake"]
    for v, mistake in program.entry.attrs.get("copied", {}).items():
        if v in touched[program.entry]:
            raise mistake


def _sources(pointers: _Pointers, given: dict[Function, list[frozenset[int]]]) -> dict[Var, list[Var]]:
    sources: dict[Var, list[Var]] = {}
    for s, t in pointers.flows:
        sources.setdefault(t, []).append(s)
    for callee, op in pointers.calls:
        for result, parameters in zip(op.results, given.get(callee, ()), strict=False):
            sources.setdefault(result, []).extend(op.operands[i] for i in parameters)
    return sources


def _written_in_calls(pointers: _Pointers) -> list[Var]:
    return [op.operands[i] for callee, op in pointers.calls for i in callee.written]


def _reach(pending: list[Var], sources: dict[Var, list[Var]]) -> set[Var]:
    """Where values may come from: flows are followed backwards."""
    seen = set(pending)
    while pending:
        for s in sources.get(pending.pop(), ()):
            if s not in seen:
                seen.add(s)
                pending.append(s)
    return seen


def _parameters(function: Function, seen: set[Var]) -> frozenset[int]:
    return frozenset(i for i, p in enumerate(function.params) if p in seen)


def _shared(v: Var) -> bool:
    """Whether what others change is seen through it: pointers, and references to what can change."""
    return isinstance(v.type, Ptr) or isinstance(v.type, Ref) and not isinstance(v.type.target, Str | Bytes | Object)


def _collect(region: Region, out: _Pointers, loops: dict[object, Op]) -> _Pointers:
    def flow(sources: tuple[Var, ...], targets: tuple[Var, ...]) -> None:
        out.flows.extend((s, t) for s, t in zip(sources, targets, strict=True) if _shared(t))

    for op in region.ops:
        name = op.name
        if name in STORES:
            out.written.append(op.operands[0])
            if isinstance(op.operands[-1].type, Ptr):
                out.written.append(op.operands[-1])  # the pointer itself escapes into memory
        elif name in ("call", "call_unit"):
            callee = op.attrs["function"] if name == "call" else op.attrs["unit"]
            out.calls.append((callee, op))
            continue
        elif name in ("call_indirect", "call_native", "call_external", "tile_store") or op.attrs.get("given"):
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
        if name == "kept_constant":
            out.constants.append(op)
        if name == "return":
            out.returns.append(op)
        if name == "pointer_at":  # an address that came as an int
            out.flows.append((op.operands[0], op.results[0]))
        inside = name == "load" and getattr(op.operands[0].type, "alias", "")
        if name != "load" or inside:  # of an array of pointers, what they lead to
            for v in op.results:
                if _shared(v) or inside:  # objects keep addresses of their memory as ints
                    out.flows.extend((s, v) for s in op.operands if _shared(s))
    return out
