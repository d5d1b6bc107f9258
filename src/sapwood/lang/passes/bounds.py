"""What is known of ints without running anything: which never are negative, and which of a loop stay between what the
loop began with.

A loop's parameter that each round adds to is never below its initial value; `while low < high` and the loops of
ranges keep it below the other side, which the loop does not raise. From that follow the indices that need no test
(`front` of `check_index`), and those for which one test before the loop does (lower/versions.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sapwood.lang.ir.ssa import LEAVING, Function, Op, Region, Var
from sapwood.lang.types import I64, Scalar

STEP = 4096  # what a round adds at most: to wrap would then take longer than anybody waits
DEPTH = 6  # definitions that are followed
_INVERSE = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}


@dataclass(frozen=True)
class Fact:
    """small < large, or small <= large if not `strict`."""

    small: Var
    large: Var
    strict: bool


@dataclass(frozen=True)
class Limit:
    """What a value is at least or at most: `base` (None: 0) plus `extra`."""

    base: Var | None
    extra: int


@dataclass
class Check:
    """A `check_index` and what holds where it stands."""

    op: Op
    facts: tuple[Fact, ...]


@dataclass
class LoopNote:
    """A loop, or the body of a `parallel`: what is inside."""

    op: Op
    continues: list[Op] = field(default_factory=list)
    breaks: list[Op] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    innermost: bool = True


class Bounds:
    """The definitions, loops and checks of a function."""

    def __init__(self, function: Function) -> None:
        self.definitions: dict[Var, Op] = {}
        self.parameters: dict[Var, tuple[LoopNote, int]] = {}
        self.loops: dict[Op, LoopNote] = {}
        self.front: set[Op] = set()  # checks of indices that are never negative
        self._ids: dict[int, LoopNote] = {}
        self._steps: dict[Var, tuple[int, int] | None] = {}
        self._least: dict[Var, int | None] = {}
        self._open: list[LoopNote] = []
        checks: list[Check] = []
        self._all = checks
        self._region(function.body, ())
        for check in checks:
            if self.at_least(check.op.operands[0], check.facts):
                self.front.add(check.op)

    # -- collecting -------------------------------------------------------------------------------

    def _region(self, region: Region, facts: tuple[Fact, ...]) -> None:
        for op in region.ops:
            for v in op.results:
                self.definitions[v] = op
            match op.name:
                case "loop":
                    self._loop(op, facts)
                case "parallel_for":
                    index = op.regions[0].params[0]
                    self._least[index] = 0
                    self._region(op.regions[0], (*facts, Fact(index, op.operands[0], True)))
                case "if":
                    facts = self._branch(op, facts)
                case "check_index":
                    check = Check(op, facts)
                    self._all.append(check)
                    for note in self._open:
                        note.checks.append(check)
                case "continue" | "break":
                    note = self._ids.get(id(op.attrs["target"]))
                    if note is not None:
                        (note.continues if op.name == "continue" else note.breaks).append(op)
                case _:
                    for inner in op.regions:
                        self._region(inner, facts)

    def _loop(self, op: Op, facts: tuple[Fact, ...]) -> None:
        note = LoopNote(op)
        self._ids[id(op.attrs["id"])] = note
        self.loops[op] = note
        for i, p in enumerate(op.regions[0].params):
            self.parameters[p] = note, i
        if op.attrs.get("once"):
            self._region(op.regions[0], facts)
            return
        for outer in self._open:
            outer.innermost = False
        self._open.append(note)
        self._region(op.regions[0], facts)
        self._open.pop()

    def _branch(self, op: Op, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        found = self.fact(op.operands[0], False), self.fact(op.operands[0], True)
        for region, fact in zip(op.regions, found, strict=True):
            self._region(region, facts if fact is None else (*facts, fact))
        for region, other in zip(op.regions, reversed(found), strict=True):
            if other is not None and region.ops and region.ops[-1].name in LEAVING:
                return *facts, other
        return facts

    def fact(self, test: Var, inverse: bool) -> Fact | None:
        """What a comparison of ints says when it holds, or with `inverse` when it does not."""
        op = self.definitions.get(test)
        if op is None or op.name != "compare" or op.operands[0].type != I64 or op.attrs["test"] not in _INVERSE:
            return None
        a, b = op.operands
        how = _INVERSE[op.attrs["test"]] if inverse else op.attrs["test"]
        if how in ("gt", "ge"):
            a, b = b, a
        return Fact(a, b, how in ("lt", "gt"))

    # -- what is known ----------------------------------------------------------------------------

    def constant(self, v: Var) -> int | None:
        op = self.definitions.get(v)
        return op.attrs["value"] if op is not None and op.name == "constant" and v.type == I64 else None

    def shifted(self, v: Var) -> tuple[Var, int]:
        """A value as another one plus a constant."""
        total = 0
        for _ in range(DEPTH):
            op = self.definitions.get(v)
            if op is None or op.name not in ("add", "sub", "advance") or v.type != I64:
                break
            extra = self.constant(op.operands[1])
            if extra is None or abs(extra) > STEP:
                break
            total += -extra if op.name == "sub" else extra
            v = op.operands[0]
        return v, total

    def steps(self, p: Var) -> tuple[int, int] | None:
        """What a round adds to a loop's parameter, from and to."""
        if p not in self._steps:
            self._steps[p] = None  # while it is looked for
            note, i = self.parameters[p]
            found = [self._step(op.operands[i], p, DEPTH) for op in note.continues]
            known = [s for s in found if s is not None]
            if len(known) == len(found) and p.type == I64:
                low, high = min((a for a, _ in known), default=0), max((b for _, b in known), default=0)
                if max(-low, high) <= STEP:
                    self._steps[p] = low, high
        return self._steps[p]

    def _step(self, v: Var, p: Var, depth: int) -> tuple[int, int] | None:
        base, extra = self.shifted(v)
        if base is p:
            return extra, extra
        op = self.definitions.get(base)
        if op is None or depth == 0 or op.name not in ("if", "loop", "add"):
            return None
        if op.name == "add":
            most = self._masked(op.operands[1])
            step = None if most is None else self._step(op.operands[0], p, depth - 1)
            return None if step is None or most is None else (step[0] + extra, step[1] + most + extra)
        at = op.results.index(base)
        if op.name == "if":
            ends = [r.ops[-1] for r in op.regions if r.ops and r.ops[-1].name == "yield"]
        else:
            if not op.attrs.get("once"):
                return None
            ends = self.loops[op].breaks
        found = [self._step(end.operands[at], p, depth - 1) for end in ends]
        if not found or None in found:
            return None
        known = [s for s in found if s is not None]
        return min(a for a, _ in known) + extra, max(b for _, b in known) + extra

    def _masked(self, v: Var) -> int | None:
        """What `x & constant` is at most (it is never negative then)."""
        op = self.definitions.get(v)
        mask = self.constant(op.operands[1]) if op is not None and op.name == "and" and v.type == I64 else None
        return mask if mask is not None and 0 <= mask <= STEP else None

    def at_least(self, v: Var, facts: tuple[Fact, ...] = ()) -> bool:
        """Whether an i64 is never negative, at a place where `facts` hold."""
        low = self._least_of(v, DEPTH)
        if low is not None and low >= 0:
            return True
        base, extra = self.shifted(v)
        for fact in facts:
            if fact.large is base:
                low = self._least_of(fact.small, DEPTH)
                if low is not None and low + fact.strict + extra >= 0:
                    return True
        return False

    def _least_of(self, v: Var, depth: int) -> int | None:
        """A number that a value is never below."""
        if v in self._least:
            return self._least[v]
        if depth == 0:
            return None
        self._least[v] = None  # while it is looked for
        found = self._find_least(v, depth - 1)
        self._least[v] = found
        return found

    def _find_least(self, v: Var, depth: int) -> int | None:
        if v in self.parameters:
            note, i = self.parameters[v]
            steps = self.steps(v)
            if steps is None or steps[0] < 0:
                return None
            return self._least_of(note.op.operands[i], depth)
        op = self.definitions.get(v)
        if op is None or v.type != I64:
            return None
        match op.name:
            case "constant":
                return op.attrs["value"]
            case "add" | "advance" | "sub":
                base, extra = self.shifted(v)
                if base is v:
                    return None
                low = self._least_of(base, depth)
                return None if low is None else low + extra
            case "check_index":
                return 0
            case "maximum":
                found = [low for low in (self._least_of(x, depth) for x in op.operands) if low is not None]
                return max(found, default=None)
            case "convert":
                t = op.operands[0].type
                unsigned = isinstance(t, Scalar) and (t.kind == "bool" or t.kind == "uint" and t.bits < 64)
                return 0 if unsigned else None
            case "load":
                return 0 if self.is_length(op) else None
        return None

    def is_length(self, op: Op) -> bool:
        """Whether a load reads the length of a list: word 2 of its memory."""
        from sapwood.lang.types import List, Ref

        at = self.definitions.get(op.operands[0])
        if at is None or at.name != "pointer_add" or at.attrs["stride"] != 8 or self.constant(at.operands[1]) != 2:
            return False
        words = self.definitions.get(at.operands[0])
        if words is None or words.name != "words":
            return False
        t = words.operands[0].type
        return isinstance(t, Ref) and isinstance(t.target, List)

    # -- limits by what a loop began with ---------------------------------------------------------

    def below(self, v: Var, facts: tuple[Fact, ...], inside: set[Var]) -> list[Limit]:
        """What a value of a loop is at least, by values from before it; `inside`: what the loop defines."""
        return self._limits(v, facts, inside, -1)

    def above(self, v: Var, facts: tuple[Fact, ...], inside: set[Var]) -> list[Limit]:
        """What a value of a loop is at most."""
        return self._limits(v, facts, inside, 1)

    def _limits(self, v: Var, facts: tuple[Fact, ...], inside: set[Var], side: int) -> list[Limit]:
        base, extra = self.shifted(v)
        out = [*self._own_limit(base, extra, inside, side)]
        for fact in facts:
            near, far = (fact.small, fact.large) if side > 0 else (fact.large, fact.small)
            ahead = 0 if near is base else self._ahead(base, near) if side > 0 else None
            if ahead is not None:
                other, more = self.shifted(far)
                out += self._own_limit(other, extra + ahead + more - side * fact.strict, inside, side)
        return out

    def _ahead(self, v: Var, other: Var) -> int | None:
        """How far above `other` a value may be, where both are counted by one loop and `other` is as fast: the number
        of a character is behind its byte."""
        if v not in self.parameters or other not in self.parameters:
            return None
        (note, i), (other_note, k) = self.parameters[v], self.parameters[other]
        if note is not other_note:
            return None
        steps, faster = self.steps(v), self.steps(other)
        if steps is None or faster is None or steps[1] > faster[0]:
            return None
        start, other_start = self.constant(note.op.operands[i]), self.constant(note.op.operands[k])
        return None if start is None or other_start is None else start - other_start

    def _own_limit(self, v: Var, extra: int, inside: set[Var], side: int) -> list[Limit]:
        known = self.constant(v)
        if known is not None:
            return [Limit(None, known + extra)] if abs(known) < 1 << 31 else []
        if v not in inside:
            return [Limit(v, extra)]
        if v in self.parameters:
            note, i = self.parameters[v]
            steps = self.steps(v)
            initial = note.op.operands[i]
            if steps is not None and (steps[0] >= 0 if side < 0 else steps[1] <= 0) and initial not in inside:
                return self._own_limit(initial, extra, inside, side)
        return []
