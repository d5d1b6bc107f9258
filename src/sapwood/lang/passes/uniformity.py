"""Uniformity: which values of a kernel all threads of a block share, and where all of them come together.

A value has a level: the same for all threads of a block (BLOCK), for those of a warp (WARP; FLAT if blocks have one
axis), or it varies. A value is the same if those threads that compute it together, in the same round of each loop
around it, get the same. Control has a level, too: which threads reach a point together, but for those that failed.
The answer is on the safe side: VARYING when in doubt. Regions make it simple: threads that part at an `if` meet again
at its end, those that leave a loop at its end, those that `continue` at its head.

Some threads need not be waited for: those that have left for a place from which no way leads to an operation that
waits, as after an early `return`. `together` is the level of control without them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sapwood.lang.ir.ssa import Function, Op, Region, Var

BLOCK, WARP, FLAT, VARYING = 0, 1, 2, 3
RETURN = object()
WAITING = frozenset({"barrier", "warp_shuffle", "warp_vote", "warp_match", "warp_sync"})


@dataclass(eq=False)
class Uniformity:
    """What is known of a kernel. A value that is in neither set is the same for all threads of the block."""

    varying: frozenset[Var]  # at a level above BLOCK
    together: dict[Op, int] = field(default_factory=dict)  # operation that waits -> level of control there
    flat: bool = False  # whether it is for blocks of one axis: a level of `together` is, or no thread asks for more
    broken: frozenset[Any] = frozenset()  # loops that some threads leave while others stay
    warp_size: int = 32


def mark_uniform(function: Function, warp_size: int) -> Uniformity:
    """Set `uniform` of every barrier of a kernel; what is known of its values and of where it waits."""
    analysis = _Uniformity(function, warp_size)
    size = -1
    while size != analysis.size:  # loops carry values around
        size = analysis.size
        analysis.region(function.body, _Apart(), {})
    varying = frozenset(v for v, level in analysis.levels.items() if level > BLOCK)
    levels = analysis.together.values()
    flat = FLAT in levels or (bool(levels) and not _has_rows(function))
    found = Uniformity(varying, analysis.together, flat, frozenset(analysis.broken), warp_size)
    function.attrs["uniformity"] = found
    return found


def _has_rows(function: Function) -> bool:
    """Whether a thread asks for its place along y or z."""
    return any(op.name == "thread_idx" and op.attrs["axis"] > 0 for op in function.body.walk())


def waits(op: Op) -> bool:
    """Whether threads wait at an operation, or in it."""
    return op.name in WAITING or any(waits(inner) for r in op.regions for inner in r.ops)


@dataclass(frozen=True)
class _Apart:
    """How far apart the threads are that come to a point: all of them, and without those that nobody waits for."""

    all: int = BLOCK
    waiting: int = BLOCK

    def __or__(self, other: _Apart) -> _Apart:
        return _Apart(max(self.all, other.all), max(self.waiting, other.waiting))


Left = dict[Any, _Apart]  # loop that some threads left, or RETURN -> how


class _Uniformity:
    def __init__(self, function: Function, warp_size: int) -> None:
        self.warp_size = warp_size
        self.definitions = {v: op for op in function.body.walk() for v in op.results}
        self.levels: dict[Var, int] = {}
        self.together: dict[Op, int] = {}
        self.repeated: set[Any] = set()  # loops that go round at all (an inlined call does not)
        self.continues: dict[Any, set[Op]] = {}  # loop -> places that go round
        self.parted: set[Any] = set()  # loops whose threads go round from several places
        self.broken: set[Any] = set()  # loops that some threads leave while others stay
        self.earlier: Left = {}  # loop -> how threads left it or went on, in rounds before
        self.last: set[Any] = set()  # loops behind which nobody waits
        self.aside: set[Op] = set()  # branches of which only one side waits, and nothing behind them
        self._find_last(function.body, False)

    @property
    def size(self) -> int:
        more = sum(map(len, (self.repeated, self.parted, self.broken)))
        return more + sum(self.levels.values())

    def _find_last(self, region: Region, waits_behind: bool) -> None:
        for op in reversed(region.ops):
            inside = waits_behind
            if op.name == "loop":
                if not waits_behind:
                    self.last.add(op.attrs["id"])
                inside |= not op.attrs.get("once") and waits(op)
            if op.name == "if" and not inside and sum(any(map(waits, r.ops)) for r in op.regions) == 1:
                self.aside.add(op)
            for r in op.regions:
                self._find_last(r, inside)
            waits_behind |= waits(op)

    def level(self, v: Var) -> int:
        return self.levels.get(v, BLOCK)

    def mark(self, targets: tuple[Var, ...], level: int) -> None:
        for v in targets:
            if level > self.level(v):
                self.levels[v] = level

    def flow(self, sources: tuple[Var, ...], targets: tuple[Var, ...]) -> None:
        for s, t in zip(sources, targets, strict=True):
            self.mark((t,), self.level(s))

    def region(self, region: Region, apart: _Apart, loops: dict[Any, Op]) -> Left:
        """Walk a region that is entered with control so far apart; what threads leave on their own."""
        left: Left = {}
        for op in region.ops:
            level = max(map(self.level, op.operands), default=BLOCK)
            if op.name in WAITING:
                self.together[op] = apart.waiting
            match op.name:
                case "barrier":
                    op.attrs["uniform"] = apart.all == BLOCK
                case "if":
                    inside = apart | _Apart(level, BLOCK if op in self.aside else level)
                    for r in op.regions:
                        self._leave(left, self.region(r, inside, loops))
                        if r.ops[-1].name == "yield":
                            self.flow(r.ops[-1].operands, op.results)
                    self.mark(op.results, level)
                case "loop":
                    self._leave(left, self._loop(op, apart, loops))
                case "break" | "continue":
                    self._go(op, apart, left, loops)
                case "return":
                    if apart.all:
                        self._leave(left, {RETURN: _Apart(apart.all, BLOCK)})
                case _:
                    self.mark(op.results, self._level_of(op, level))
            for how in left.values():
                apart |= how
        return left

    @staticmethod
    def _leave(left: Left, more: Left) -> None:
        for key, how in more.items():
            left[key] = left.get(key, _Apart()) | how

    def _go(self, op: Op, apart: _Apart, left: Left, loops: dict[Any, Op]) -> None:
        key = op.attrs["target"]
        loop, again = loops[key], op.name == "continue"
        self.flow(op.operands, loop.regions[0].params if again else loop.results)
        if again:
            self.repeated.add(key)
            places = self.continues.setdefault(key, set())
            places.add(op)
            if apart.all and len(places) > 1:
                self.parted.add(key)
        if apart.all:
            gone = not again and key in self.last
            self._leave(left, {key: _Apart(apart.all, BLOCK if gone else apart.waiting)})
            if not again:
                self.broken.add(key)

    def _loop(self, op: Op, apart: _Apart, loops: dict[Any, Op]) -> Left:
        key, body = op.attrs["id"], op.regions[0]
        self.flow(op.operands, body.params)
        if key in self.broken and key in self.repeated:  # some left before this round
            apart |= self.earlier.get(key, _Apart())
        left = self.region(body, apart, {**loops, key: op})
        if key in left:
            self._leave(self.earlier, {key: left[key]})
        if key in self.parted:
            self.mark(body.params, VARYING)
        if key in self.broken:
            self.mark(op.results, VARYING)
        left.pop(key, None)
        return left

    # -- warps ------------------------------------------------------------------------------------

    def _level_of(self, op: Op, level: int) -> int:
        """The level of what an operation without regions gives, from the level of its operands."""
        if op.name == "warp_id" or op.name == "warp_vote" and len(op.operands) == 1:
            return WARP
        if op.op.varies:
            return VARYING
        if level == VARYING and op.operands and self._is_x(op.operands[0]) and len(op.operands) == 2:
            n = self._constant(op.operands[1])
            if n is None:
                return level
            size = self.warp_size
            match op.name:
                case "shr":
                    return FLAT if 1 << min(n, 63) >= size else level
                case "floordiv":
                    return FLAT if n % size == 0 else level
                case "compare" if op.attrs["test"] in ("lt", "ge"):
                    return FLAT if n % size == 0 else level
                case "compare" if op.attrs["test"] in ("le", "gt"):
                    return FLAT if n % size == size - 1 else level
        return level

    def _is_x(self, v: Var) -> bool:
        op = self.definitions.get(v)
        while op is not None and op.name == "convert" and op.operands:
            op = self.definitions.get(op.operands[0])
        return op is not None and op.name == "thread_idx" and op.attrs["axis"] == 0

    def _constant(self, v: Var) -> int | None:
        op = self.definitions.get(v)
        value = op.attrs.get("value") if op is not None and op.name == "constant" else None
        return value if isinstance(value, int) and not isinstance(value, bool) else None

