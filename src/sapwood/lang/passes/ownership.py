"""Ownership: who gives up which reference to a heap object, and where.

Inference emits operations as if references were free. This pass makes the counts right, on every way out:

- A reference that an operation results in, or that a region gets as a parameter, is owned by its region. Parameters
  of functions are borrowed from the caller.
- Operations borrow their operands. Terminators, the initial values of loops, error edges, stores and operations that
  say `consumes` take them: an owned reference that is not used again moves, any other is retained first.
- What is owned and not used again is released: after its last use, at the head of a branch that does not use it, and
  on each way out that passes its region (`op.cleanup` on error edges, `op.shared` is retained there).
- A pointer into an object keeps the object alive: its uses count as uses of the reference that it came from.
- Constants never end, so nobody counts references to them where it is known that they are constants. Elsewhere their
  counts change, and no program runs long enough to bring one from 1 << 60 to zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sapwood.lang.errors import NOWHERE, CountedInParallel
from sapwood.lang.ir.ssa import Function, Op, Region, Var
from sapwood.lang.ops import heap
from sapwood.lang.passes.verify import TERMINATORS, never_ends
from sapwood.lang.types import I64, Ptr, Ref


def insert_ownership(functions: list[Function]) -> None:
    """Insert `retain` and `release` into every function that has references."""
    for function in functions:
        if any(True for _ in _references(function)):
            _Ownership(function).run()


def _references(function: Function) -> Iterator[Var]:
    yield from (p for p in function.params if isinstance(p.type, Ref))
    for op in function.body.walk():
        for v in op.results:
            if isinstance(v.type, Ref):
                yield v
        for region in op.regions:
            yield from (p for p in region.params if isinstance(p.type, Ref))


class _Scope:
    """What an open region owns at the point that has been reached, in order of definition."""

    def __init__(self, target: Any) -> None:
        self.target = target  # the id of the loop or try whose body it is
        self.owned: dict[Var, None] = {}


class _Ownership:
    def __init__(self, function: Function) -> None:
        self.function = function
        self.scopes: list[_Scope] = []
        self.base = 0  # the first scope of this function, or of the parallel body that is walked
        self.roots = _pointer_roots(function)
        self.used: dict[Op, frozenset[Var]] = {}

    def run(self) -> None:
        self._collect(self.function.body)
        self.region(self.function.body, (), None)
        constants = _constants(self.function)
        if constants:
            _forget(self.function.body, constants)

    # -- uses -------------------------------------------------------------------------------------

    def _collect(self, region: Region) -> frozenset[Var]:
        """References that a region uses, also through pointers."""
        total: set[Var] = set()
        for op in region.ops:
            mine: set[Var] = set()
            for v in (*op.operands, *op.edge):
                if isinstance(v.type, Ref):
                    mine.add(v)
                elif isinstance(v.type, Ptr) and v in self.roots:
                    mine |= self.roots[v]
            for inner in op.regions:
                mine |= self._collect(inner)
            self.used[op] = frozenset(mine)
            total |= mine
        return frozenset(total)

    # -- regions ----------------------------------------------------------------------------------

    def region(self, region: Region, inherited: tuple[Var, ...], target: Any) -> None:
        scope = _Scope(target)
        self.scopes.append(scope)
        own = {v for op in region.ops for v in op.results if isinstance(v.type, Ref)}
        own |= {p for p in region.params if isinstance(p.type, Ref)} | set(inherited)
        last: dict[Var, int] = {}
        for i, op in enumerate(region.ops):
            for v in self.used[op] & own:
                last[v] = i
        ends: dict[int, list[Var]] = {}
        for v, i in last.items():
            ends.setdefault(i, []).append(v)
        out: list[Op] = []
        for v in (*inherited, *(p for p in region.params if isinstance(p.type, Ref))):
            if v in last:
                scope.owned[v] = None
            else:
                out.append(_op(heap.release, v))
        for i, op in enumerate(region.ops):
            ending = sorted(ends.get(i, ()), key=lambda v: v.id)
            if op.name in TERMINATORS:
                self._leave(op, out)
                out.append(op)
                break
            self._operation(op, ending, scope, out)
            for v in op.results:
                if isinstance(v.type, Ref):
                    if v in last:
                        scope.owned[v] = None
                    else:
                        out.append(_op(heap.release, v))
        region.ops = out
        self.scopes.pop()

    def _operation(self, op: Op, ending: list[Var], scope: _Scope, out: list[Op]) -> None:
        moved: set[Var] = set()
        consumed = _consumed(op)
        inside = {v for region in op.regions for o in region.ops for v in self.used[o]} if consumed else ()
        for v in consumed:
            if v in ending and v not in moved and v not in inside:
                moved.add(v)
                scope.owned.pop(v, None)
            else:
                out.append(_op(heap.retain, v))
        rest = [v for v in ending if v not in moved]
        if op.regions and op.name != "parallel_for":
            rest = self._nested(op, rest, scope)
        elif op.regions:
            self._parallel(op)
        if op.may_raise:
            self._error_edge(op, moved)
        out.append(op)
        comes_out = not rest or not never_ends(op)
        for v in rest:
            scope.owned.pop(v, None)
            if comes_out:
                out.append(_op(heap.release, v, op))

    def _nested(self, op: Op, ending: list[Var], scope: _Scope) -> list[Var]:
        """The regions of an operation; gives what is still to be released after it."""
        pushed: tuple[Var, ...] = ()
        if op.name == "if" or op.name == "loop" and op.attrs.get("once"):
            pushed = tuple(ending)  # each region runs at most once, and what it has to release it knows better
            for v in pushed:
                scope.owned.pop(v, None)
            ending = []
        for i, region in enumerate(op.regions):
            body = op.name == "loop" or op.name == "try" and i == 0
            self.region(region, pushed, op.attrs["id"] if body else None)
        return ending

    def _parallel(self, op: Op) -> None:
        """The body of a parallel loop runs without the GIL: it must not touch counts."""
        for inner in op.regions[0].walk():
            for v in (*inner.results, *inner.operands):
                if isinstance(v.type, Ref):
                    raise CountedInParallel(inner.loc, type=v.type)
        saved, self.base = self.base, len(self.scopes)
        self.region(op.regions[0], (), None)
        self.base = saved

    # -- ways out ---------------------------------------------------------------------------------

    def _left(self, target: Any) -> list[_Scope]:
        """The scopes that a way out to `target` (None: out of the function) leaves."""
        if target is None:
            return self.scopes[self.base :]
        first = next(i for i in reversed(range(len(self.scopes))) if self.scopes[i].target is target)
        return self.scopes[first:]

    def _leave(self, op: Op, out: list[Op]) -> None:
        if op.name in ("raise", "reraise"):
            self._raise(op, out)
            return
        left = self.scopes[-1:] if op.name == "yield" else self._left(op.attrs.get("target"))
        owned = {v for s in left for v in s.owned}
        for v in op.operands:
            if isinstance(v.type, Ref):
                if v in owned:
                    owned.discard(v)
                else:
                    out.append(_op(heap.retain, v, op))
        for s in reversed(left):
            out += [_op(heap.release, v, op) for v in reversed(s.owned) if v in owned]

    def _raise(self, op: Op, out: list[Op]) -> None:
        owned = {v for s in self._left(op.handler) for v in s.owned}
        moved: set[Var] = set()
        for v in op.operands:  # the error record takes them
            if isinstance(v.type, Ref):
                if v in owned and v not in moved and v not in op.edge:
                    moved.add(v)
                else:
                    out.append(_op(heap.retain, v, op))
        self._error_edge(op, moved)

    def _error_edge(self, op: Op, moved: set[Var]) -> None:
        left = self._left(op.handler)
        owned = {v for s in left for v in s.owned} - moved
        shared: list[Var] = []
        for v in op.edge:
            if isinstance(v.type, Ref):
                if v in owned:
                    owned.discard(v)
                else:
                    shared.append(v)
        op.shared = tuple(shared)
        op.cleanup = tuple(v for s in reversed(left) for v in reversed(s.owned) if v in owned)


def _consumed(op: Op) -> list[Var]:
    steals = op.attrs.get("steals")
    if steals:
        return [op.operands[i] for i in steals]
    if op.name == "store":
        return [v for v in op.operands[1:2] if isinstance(v.type, Ref)]
    if op.name == "loop" or op.op.consumes:
        return [v for v in op.operands if isinstance(v.type, Ref)]
    return []


_CONSTANT = ("text_constant", "bytes_constant", "ascii_character")


def _constants(function: Function) -> set[Var]:
    """References that are surely to constants in the object code."""
    found: set[Var] = set()
    for op in function.body.walk():  # an operand is met before it is used
        if op.name in _CONSTANT or op.name == "reference_as" and op.operands[0] in found:
            found.update(op.results)
    return found


def _forget(region: Region, constants: set[Var]) -> None:
    """Take out the counting of constants."""
    kept = []
    for op in region.ops:
        if op.name in ("retain", "release") and op.operands[0] in constants:
            continue
        op.cleanup = tuple(v for v in op.cleanup if v not in constants)
        op.shared = tuple(v for v in op.shared if v not in constants)
        for inner in op.regions:
            _forget(inner, constants)
        kept.append(op)
    region.ops = kept


def _op(kind: Any, v: Var, near: Op | None = None) -> Op:
    return Op(kind, (v,), (), {}, (), NOWHERE if near is None else near.loc)


def _pointer_roots(function: Function) -> dict[Var, frozenset[Var]]:
    """Which references a pointer came from: a fixpoint over what flows where."""
    flows: list[tuple[Var, Var]] = []  # (from, to)
    loops: dict[Any, Op] = {}
    tries: dict[Any, Op] = {}

    def link(sources: tuple[Var, ...], targets: tuple[Var, ...]) -> None:
        flows.extend((s, t) for s, t in zip(sources, targets, strict=True) if isinstance(t.type, Ptr))

    def point(op: Op, numbers: bool = False) -> None:
        """What an operation makes of pointers; also, of an address that an object holds, and may be a pointer soon."""
        for t in op.results:
            if isinstance(t.type, Ptr) or numbers and t.type == I64:
                flows.extend((s, t) for s in op.operands if s.type != I64)

    for op in function.body.walk():
        match op.name:
            case "loop":
                loops[op.attrs["id"]] = op
                link(op.operands, op.regions[0].params)
            case "break":
                link(op.operands, loops[op.attrs["target"]].results)
            case "continue":
                link(op.operands, loops[op.attrs["target"]].regions[0].params)
            case "if" | "try":
                if op.name == "try":
                    tries[op.attrs["id"]] = op
                for region in op.regions:
                    if region.ops and region.ops[-1].name == "yield":
                        link(region.ops[-1].operands, op.results)
            case "pointer_at":
                flows.append((op.operands[0], op.results[0]))
            case _:  # a pointer that a function gives may lead into any argument
                point(op, numbers=op.name == "load")
        if op.handler is not None:
            link(op.edge, tries[op.handler].regions[1].params)
    roots: dict[Var, frozenset[Var]] = {}
    changed = True
    while changed:
        changed = False
        for s, t in flows:
            new = frozenset({s}) if isinstance(s.type, Ref) else roots.get(s)
            if new and not new <= roots.get(t, frozenset()):
                roots[t] = roots.get(t, frozenset()) | new
                changed = True
    return roots
