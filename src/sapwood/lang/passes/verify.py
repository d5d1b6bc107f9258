"""The rules that every SSA program obeys; a violation is a bug of the compiler."""

from __future__ import annotations

from sapwood.lang.ir.ssa import LEAVING, Function, Op, Program, Region, Var

TERMINATORS = LEAVING | {"yield"}


class InvalidSSA(AssertionError):
    """The compiler made a malformed program."""


def verify(program: Program) -> None:
    for function in program.functions:
        _region(function, function.body, set(function.params), [], [])


def _fail(function: Function, op: Op | None, text: str) -> InvalidSSA:
    where = "" if op is None else f" at {op.name} ({op.loc})"
    return InvalidSSA(f"{function.name}{where}: {text}")


def _region(function: Function, region: Region, visible: set[Var], loops: list[Op], tries: list[Op]) -> None:
    known, own = visible, list(region.params)  # one set for all regions: what this one adds leaves with it
    known.update(own)
    if not region.ops or (region.ops[-1].name not in TERMINATORS and not never_ends(region.ops[-1])):
        raise _fail(function, region.ops[-1] if region.ops else None, "the region has no terminator")
    for i, op in enumerate(region.ops):
        for v in (*op.operands, *op.edge, *op.cleanup, *op.shared):
            if v not in known:
                raise _fail(function, op, f"{v!r} is used where it is not defined")
        if op.name in TERMINATORS and i != len(region.ops) - 1:
            raise _fail(function, op, "a terminator is not the last operation")
        _exit(function, op, loops)
        _error_edge(function, op, tries)
        for r in op.regions:
            if op.name == "parallel_for":
                _region(function, r, known, [], [])
            else:
                inside = op.name == "try" and r is op.regions[0]
                _region(
                    function,
                    r,
                    known,
                    [*loops, op] if op.name == "loop" else loops,
                    [*tries, op] if inside else tries,
                )
        for v in op.results:
            if v in known:
                raise _fail(function, op, f"{v!r} is defined twice")
            known.add(v)
            own.append(v)
    known.difference_update(own)


def never_ends(op: Op) -> bool:
    """A loop without breaks, or a branch or try whose both sides leave."""
    if op.name == "loop":
        target = op.attrs["id"]
        return not any(o.name == "break" and o.attrs["target"] is target for o in op.regions[0].walk())
    if op.name in ("if", "try"):
        return all(
            r.ops and (r.ops[-1].name in LEAVING or never_ends(r.ops[-1])) for r in op.regions
        )
    return False


def _error_edge(function: Function, op: Op, tries: list[Op]) -> None:
    if op.handler is None:
        return
    target = next((o for o in tries if o.attrs["id"] is op.handler), None)
    if target is None:
        raise _fail(function, op, "no try with its handler encloses it")
    if not op.op.raises:
        raise _fail(function, op, "it has an error edge but cannot raise")
    if [v.type for v in op.edge] != [v.type for v in target.regions[1].params]:
        raise _fail(function, op, "the values of its error edge do not match the handler's")


def _exit(function: Function, op: Op, loops: list[Op]) -> None:
    if op.name in ("break", "continue"):
        target = next((o for o in loops if o.attrs["id"] is op.attrs["target"]), None)
        if target is None:
            raise _fail(function, op, "the loop that it leaves does not enclose it")
        want = target.results if op.name == "break" else target.regions[0].params
        if [v.type for v in op.operands] != [v.type for v in want]:
            raise _fail(function, op, "its values do not match the loop's")
    elif op.name == "return":
        if tuple(v.type for v in op.operands) != function.results:
            raise _fail(function, op, "its values do not match the function's results")
