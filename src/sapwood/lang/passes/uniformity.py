"""Uniformity: which values of a kernel all threads of a block share, and where all of them come together.

A value *varies* if it depends on which thread computes it; control is *uniform* at a point that the threads of
a block (but those that failed) reach together. Every barrier gets the attribute `uniform`. The answer is on the
safe side: "varies" when in doubt. Regions make it simple: threads that part at an `if` meet again at its end,
those that leave a loop at its end, those that `continue` at its head.
"""

from __future__ import annotations

from typing import Any

from sapwood.lang.ir.ssa import Function, Op, Region, Var

RETURN = object()


def mark_uniform(function: Function) -> frozenset[Var]:
    """Set `uniform` of every barrier of a kernel; the values that vary."""
    analysis = _Uniformity()
    size = -1
    while size != analysis.size:  # loops carry values around
        size = analysis.size
        analysis.region(function.body, False, {})
    return frozenset(analysis.varying)


class _Uniformity:
    def __init__(self) -> None:
        self.varying: set[Var] = set()
        self.repeated: set[Any] = set()  # loops that go round at all (an inlined call does not)
        self.continued: set[Any] = set()  # loops that some threads go round again while others are behind
        self.broken: set[Any] = set()  # loops that some threads leave while others stay

    @property
    def size(self) -> int:
        return sum(map(len, (self.varying, self.repeated, self.continued, self.broken)))

    def mark(self, targets: tuple[Var, ...], varies: bool) -> None:
        if varies:
            self.varying.update(targets)

    def flow(self, sources: tuple[Var, ...], targets: tuple[Var, ...]) -> None:
        for s, t in zip(sources, targets, strict=True):
            self.mark((t,), s in self.varying)

    def region(self, region: Region, apart: bool, loops: dict[Any, Op]) -> set[Any]:
        """Walk a region that is entered with control apart or not; what threads leave on their own."""
        left: set[Any] = set()
        for op in region.ops:
            varies = any(v in self.varying for v in op.operands)
            match op.name:
                case "barrier":
                    op.attrs["uniform"] = not apart
                case "if":
                    for r in op.regions:
                        left |= self.region(r, apart or varies, loops)
                        if r.ops[-1].name == "yield":
                            self.flow(r.ops[-1].operands, op.results)
                    self.mark(op.results, varies)
                case "loop":
                    left |= self._loop(op, apart, loops)
                case "break" | "continue":
                    key = op.attrs["target"]
                    loop, again = loops[key], op.name == "continue"
                    self.flow(op.operands, loop.regions[0].params if again else loop.results)
                    if again:
                        self.repeated.add(key)
                    if apart:
                        left.add(key)
                        (self.continued if again else self.broken).add(key)
                case "return":
                    if apart:
                        left.add(RETURN)
                case _:
                    self.mark(op.results, varies or op.op.varies)
            apart = apart or bool(left)
        return left

    def _loop(self, op: Op, apart: bool, loops: dict[Any, Op]) -> set[Any]:
        key, body = op.attrs["id"], op.regions[0]
        self.flow(op.operands, body.params)
        some_left = key in self.broken and key in self.repeated  # before this round
        left = self.region(body, apart or some_left, {**loops, key: op})
        self.mark(body.params, key in self.continued)
        self.mark(op.results, key in self.broken)
        return left - {key}
