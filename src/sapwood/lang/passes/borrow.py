"""Borrowing: a reference that is loaded only to be looked through needs no count of its own.

`grid[i][j]` loads a row, reads an element of it and lets it go: the list `grid` holds it all the while. Where nothing
between the load and the last use can give up a reference, and the loaded one goes nowhere else, the retain of the load
(attribute `borrow`) and its releases are taken away. This runs after ownership.py, whose releases it looks at: an
object ends at a `release`, at an error edge with a cleanup, or inside of a call, and nowhere else.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.ir.ssa import Function, Op, Region, Var
from sapwood.lang.types import Ref

_QUIET = frozenset({
    "load", "store", "if", "loop", "try", "yield", "break", "continue", "return", "raise", "raise_if", "retain", "keep",
    "allocate", "reallocate", "free", "new_object", "move_memory", "fill_memory", "reference_count", "prefetch",
    "stack_storage", "check_stack", "check_index",
})  # fmt: skip


def borrow_loads(functions: list[Function]) -> None:
    """Take away counts that are not needed, in callees first, and say of each function whether it is quiet."""
    quiet: dict[Function, bool] = {}
    for function in functions:
        function.quiet = _visit(function, quiet)


def _visit(function: Function, quiet: dict[Function, bool]) -> bool:
    """Borrow in a function; gives whether a call of it gives up no reference."""
    if function not in quiet:
        quiet[function] = False  # in a cycle of calls
        for op in function.body.walk():
            callee = op.attrs.get("function")
            if op.name == "call" and isinstance(callee, Function):
                _visit(callee, quiet)
        _Borrow(function, quiet).run()
        quiet[function] = not any(_loud(op, quiet, frozenset()) for op in function.body.walk())
    return quiet[function]


def _loud(op: Op, quiet: dict[Function, bool], borrowed: frozenset[Var] | set[Var]) -> bool:
    """Whether an operation by itself (not what is inside it) may give up a reference that somebody still uses."""
    if op.name == "release":
        return op.operands[0] not in borrowed
    if op.handler is not None and any(v not in borrowed for v in op.cleanup):
        return True  # the handler goes on where references were given up
    if op.name in _QUIET or op.op.pure:
        return False
    if op.name == "call":
        return not quiet.get(op.attrs["function"], False)
    if op.name == "call_unit":
        return not op.attrs["unit"].quiet
    return True


class _Borrow:
    def __init__(self, function: Function, quiet: dict[Function, bool]) -> None:
        self.function = function
        self.quiet = quiet

    def run(self) -> None:
        candidates: dict[Var, tuple[Region, int]] = {}
        self._collect(self.function.body, candidates)
        if not candidates:
            return
        self._refuse(self.function.body, candidates)
        if not candidates:
            return
        spans = self._spans(candidates)
        while True:  # a release of what is borrowed gives up nothing; so begin with all, and take away
            borrowed = set(candidates)
            for v in list(candidates):
                if any(_loud(op, self.quiet, borrowed) for op in spans[v]):
                    del candidates[v]
            if len(candidates) == len(borrowed):
                break
        for region, at in candidates.values():
            region.ops[at].attrs["borrow"] = True
        if candidates:
            self._erase(self.function.body, frozenset(candidates))

    def _collect(self, region: Region, out: dict[Var, tuple[Region, int]]) -> None:
        """Loads of references that stay where they are."""
        for i, op in enumerate(region.ops):
            if op.name == "load" and isinstance(op.results[0].type, Ref) and not op.attrs.get("take"):
                out[op.results[0]] = (region, i)
            for inner in op.regions:
                if op.name != "parallel_for":
                    self._collect(inner, out)

    def _refuse(self, region: Region, out: dict[Var, tuple[Region, int]]) -> None:
        """Leave out those that go somewhere: into memory, a result, a name of a loop, a handler."""
        for op in region.walk():
            for v in op.edge:
                out.pop(v, None)
            if op.name in ("release", "retain"):
                if op.name == "retain":
                    out.pop(op.operands[0], None)
                continue
            takes = op.op.consumes or op.name in ("loop", "yield", "break", "continue", "return", "raise")
            for i, v in enumerate(op.operands):
                if isinstance(v.type, Ref) and (takes or op.name == "store" and i == 1):
                    out.pop(v, None)

    def _spans(self, candidates: dict[Var, tuple[Region, int]]) -> dict[Var, list[Op]]:
        """What runs from each load to the end of its result's life."""
        spans: dict[Var, list[Op]] = {}
        uses: dict[int, frozenset[Any]] = {}

        def used(op: Op) -> frozenset[Any]:
            found = uses.get(id(op))
            if found is None:
                names = {v for v in (*op.operands, *op.cleanup) if v in candidates}
                for inner in op.regions:
                    for o in inner.ops:
                        names |= used(o)
                found = uses[id(op)] = frozenset(names)
            return found

        for v, (region, at) in candidates.items():
            last = max((i for i, op in enumerate(region.ops[at + 1 :], at + 1) if v in used(op)), default=at)
            inside: list[Op] = []
            for op in region.ops[at + 1 : last + 1]:
                inside.append(op)
                for inner in op.regions:
                    inside += inner.walk()
            spans[v] = inside
        return spans

    def _erase(self, region: Region, borrowed: frozenset[Var]) -> None:
        kept = []
        for op in region.ops:
            if op.name == "release" and op.operands[0] in borrowed:
                continue
            if op.cleanup:
                op.cleanup = tuple(v for v in op.cleanup if v not in borrowed)
            for inner in op.regions:
                self._erase(inner, borrowed)
            kept.append(op)
        region.ops = kept
