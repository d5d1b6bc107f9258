"""Loops in two versions: one whose checks were made before it began, and the loop as it is written.

A loop asks first whether all its indices will be in range (passes/bounds.py says by which values from before
the loop that can be told). If so it runs without these checks, and reads the length and the address of lists that it
does not change once. If not, the loop runs as written, and raises where it has to, after the same effects.

A loop without effects that divides floats, or raises them to small powers, goes further: it computes first, notes
whether a divisor was zero or a power infinite, and if one was, runs again as written, to raise where it has to. So LLVM
can vectorise it. So do small functions that it calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sapwood.lang.ir.ssa import Function, Op, Var
from sapwood.lang.lower.appended import Tail, begin_tail, find_tail, lower_tail, refuse_tail
from sapwood.lang.passes.bounds import Bounds, Check, LoopNote
from sapwood.lang.passes.headers import Changed, Headers
from sapwood.lang.types import List, Ptr, Ref, Scalar

if TYPE_CHECKING:
    from sapwood.lang.lower.emitter import Emitter

LARGEST = 400  # operations of a loop that is emitted twice


@dataclass
class Plan:
    """How the fast version of a loop differs, and what it asks first."""

    hoisted: dict[Op, None] = field(default_factory=dict)  # reads that are made before the loop, in their order
    least: dict[tuple[Var, int], None] = field(default_factory=dict)  # value >= number
    inside: dict[tuple[Var | None, int, Var], None] = field(default_factory=dict)  # value (or 0) + number < length
    apart: dict[tuple[Var, Var], None] = field(default_factory=dict)  # two references lead to different objects
    checked: set[Op] = field(default_factory=set)  # index checks that are left out
    noted: set[Op] = field(default_factory=set)  # tests of floats, and calls with such, that only note a failure

    tail: Tail | None = None  # the end of a list that the loop appends to


_MOVABLE = frozenset({"constant", "convert", "bitcast", "pointer_add", "add", "sub", "advance", "maximum", "minimum"})
_EFFECTS = frozenset({"store", "call", "call_unit", "call_indirect", "release", "retain", "return", "raise", "reraise"})


class Planner:
    """Makes the plan for one loop."""

    def __init__(self, bounds: Bounds, headers: Headers, note: LoopNote) -> None:
        self.bounds = bounds
        self.note = note
        self.plan = Plan()
        self.ops = list(note.op.regions[0].walk())
        self.moving = {v for op in self.ops for v in op.results} | {
            p for op in (note.op, *self.ops) for r in op.regions for p in r.params
        }  # what each round computes anew
        self.inside = frozenset(self.moving)
        changed: Changed = headers.changed(self.ops, bounds.definitions)
        known = changed is not None and all(isinstance(v.type, Ref) for v in changed)
        self.changed = changed if known else None
        for op in self.ops:
            if self._movable(op):
                self.moving.difference_update(op.results)

    def nest(self) -> Plan | None:
        """The plan for a loop with loops inside: one question for all of them, if that answers all."""
        for check in self.note.checks:
            self._check(check)
            if check.op not in self.plan.checked:
                return None
        return self._with_reads() if self.plan.checked else None

    def make(self) -> Plan | None:
        """The plan, or None where the loop has nothing to gain."""
        for check in self.note.checks:
            self._check(check)
        self._float_tests()
        if not self.plan.noted:
            self.plan.tail = find_tail(self.bounds, self.note, self.ops, self.inside)
        if not (self.plan.checked or self.plan.noted or self.plan.tail):
            return None
        return self._with_reads()

    def _with_reads(self) -> Plan:
        for op in self.ops:
            if op.name == "load" and op.result not in self.moving:
                self._hoist(op.result)
        return self.plan

    # -- reads that can be made before the loop ---------------------------------------------------

    def _movable(self, op: Op) -> bool:
        if any(v in self.moving for v in op.operands):
            return False
        if op.name == "words":
            t = op.operands[0].type
            return isinstance(t, Ref) and isinstance(t.target, List) and not t.nullable
        if op.name == "load":
            return self._stays(op)
        return op.name in _MOVABLE

    def _stays(self, op: Op) -> bool:
        """Whether a load reads a word of a list that the loop does not change."""
        t = op.operands[0].type
        if isinstance(op.result.type, Ref) or not isinstance(t, Ptr) or t.alias != "header" or self.changed is None:
            return False
        root = self._root(op.operands[0])
        if root is None:
            return False
        same = [v for v in self.changed if v.type == root.type]
        return all(v is not root and v not in self.inside for v in same)

    def _root(self, p: Var) -> Var | None:
        """The list that a pointer to one of its words comes from."""
        op = self.bounds.definitions.get(p)
        while op is not None and op.name in ("pointer_add", "bitcast"):
            op = self.bounds.definitions.get(op.operands[0])
        return op.operands[0] if op is not None and op.name == "words" else None

    def _hoist(self, v: Var) -> None:
        if v not in self.inside:
            return
        op = self.bounds.definitions[v]
        for x in op.operands:
            self._hoist(x)
        if op.name == "load" and op not in self.plan.hoisted:
            root = self._root(op.operands[0])
            assert root is not None and self.changed is not None
            for other in self.changed:
                if other.type == root.type:
                    self.plan.apart[root, other] = None
        self.plan.hoisted[op] = None

    # -- indices ----------------------------------------------------------------------------------

    def _check(self, check: Check) -> None:
        i, n = check.op.operands
        if n in self.moving:
            return
        highs = self.bounds.above(i, check.facts, self.moving)
        high = next((x for x in highs if x.base is n), next(iter(highs), None))
        if high is None or high.base is n and high.extra >= 0:
            return
        if not self.bounds.at_least(i, check.facts):
            lows = self.bounds.below(i, check.facts, self.moving)
            low = next((x for x in lows if x.base is not None), None)
            if low is None or low.base is None:
                return
            self._hoist(low.base)
            self.plan.least[low.base, -low.extra] = None
        self._hoist(n)
        if high.base is not n:
            if high.base is not None:
                self._hoist(high.base)
            self.plan.inside[high.base, high.extra, n] = None
        self.plan.checked.add(check.op)

    # -- divisions and powers --------------------------------------------------------------------------------

    def _float_tests(self) -> None:
        """Note what the tests of floats find in a loop that has no effects, and ends whatever it computes."""
        noted: set[Op] = set()
        for op in self.ops:
            if op.name == "raise_if" and tests_float(op, self.bounds.definitions):
                noted.add(op)
            elif op.name == "call" and can_note(op.attrs["function"]):
                noted.add(op)
            elif op.name in _EFFECTS or op.may_raise and op not in self.plan.checked or self._leaves_far(op):
                return
            elif op.name == "convert" and _is_float(op.operands[0]) and not _is_float(op.result):
                return  # of an infinity or nan
        if noted and self._counts():
            self.plan.noted = noted

    def _leaves_far(self, op: Op) -> bool:
        if op.name not in ("break", "continue"):
            return False
        return not any(o.name == "loop" and o.attrs["id"] is op.attrs["target"] for o in (self.note.op, *self.ops))

    def _counts(self) -> bool:
        """Whether the loop begins by comparing what it counts up with what it does not change."""
        first = next((op for op in self.note.op.regions[0].ops if op.name == "if"), None)
        fact = self.bounds.fact(first.operands[0], False) if first is not None else None
        if first is None or fact is None or not first.regions[1].ops or first.regions[1].ops[-1].name != "break":
            return False
        steps = self.bounds.steps(fact.small) if fact.small in self.note.op.regions[0].params else None
        return steps is not None and steps[0] > 0 and fact.large not in self.moving


def tests_float(op: Op, definitions: dict[Var, Op]) -> bool:
    """Whether a `raise_if` tests the divisor of floats, or whether a float has overflowed."""
    test = definitions.get(op.operands[0])
    if test is not None and op.attrs["exception"] is OverflowError and test.name == "and":
        test = definitions.get(test.operands[0])
    elif op.attrs["exception"] is not ZeroDivisionError:
        return False
    return test is not None and test.name == "compare" and _is_float(test.operands[0])


def can_note(function: Function) -> bool:
    """Whether all that a function does is to compute, with tests of floats, and to return what comes out."""
    if function.kind == "kernel" or function.recursive or not function.body.ops:
        return False
    definitions: dict[Var, Op] = {}
    found = False
    for op in function.body.walk():
        definitions.update(dict.fromkeys(op.results, op))
        if op.name == "raise_if" and tests_float(op, definitions):
            found = True
        elif op.name == "return":
            if op is not function.body.ops[-1]:
                return False
        elif op.name == "convert" and _is_float(op.operands[0]) and not _is_float(op.result):
            return False
        elif any(isinstance(v.type, Ref) for v in (*op.operands, *op.results)):
            return False
        elif not (op.op.pure and not op.op.raises or op.name in ("load", "if", "yield")):
            return False
    return found


def _is_float(v: Var) -> bool:
    return isinstance(v.type, Scalar) and v.type.is_float


# -- lowering ----------------------------------------------------------------------------------------


def plan_loop(e: Emitter, op: Op) -> Plan | None:
    """The plan of a loop, if it is one with checks and not too large."""
    bounds = e.module.bounds(e.function)
    note = None if bounds is None else bounds.loops.get(op)
    if note is None or bounds is None or op.attrs.get("once") or not (note.innermost or note.checks):
        return None
    ops = list(op.regions[0].walk())
    if len(ops) > LARGEST:
        return None
    planner = Planner(bounds, e.module.headers, note)
    if note.innermost:
        return planner.make()
    inner = [o for o in ops if o.name == "loop" and bounds.loops[o].innermost and not o.attrs.get("once")]
    if any(op.name == "parallel_for" for op in ops) or any(_special(bounds, e.module.headers, o) for o in inner):
        return None
    return planner.nest()


def _special(bounds: Bounds, headers: Headers, op: Op) -> bool:
    """Whether a loop has more to gain than its checks."""
    plan = Planner(bounds, headers, bounds.loops[op]).make()
    return plan is not None and (bool(plan.noted) or plan.tail is not None)


def lower_versions(e: Emitter, op: Op, plan: Plan) -> None:
    """The loop as the plan says, and as it is written where that is not enough."""
    for h in plan.hoisted:
        e.op(h)
    slow, fast, after = e.label("slow"), e.label("fast"), e.label("versions")
    refused = _refused(e, plan, op)
    if refused is not None:
        e.line(f"br i1 {refused}, label %{slow}, label %{fast}, !prof !1")
        e.block(fast)
    if plan.noted:
        e.noted_failure = e.alloca(1, 1)
        e.line(f"store i8 0, ptr {e.noted_failure}")
    if plan.tail is not None:
        begin_tail(e, plan.tail)
    incoming: list[tuple[list[str], str]] = []
    e.fast = plan
    e.loop(op)
    e.fast = None
    if not e.dead:
        incoming.append(([e.name(v) for v in op.results], e.current))
        if plan.noted:
            failed = e.value(f"load i8, ptr {e.noted_failure}")
            e.line(f"br i1 {e.value(f'icmp ne i8 {failed}, 0')}, label %{slow}, label %{after}, !prof !1")
        else:
            e.line(f"br label %{after}")
        e.dead = True
    if refused is not None or plan.noted:
        e.block(slow)
        e.fast, e.rare = Plan(), True  # what is inside is emitted as it is written, too
        e.loop(op)
        e.fast, e.rare = None, False
        if not e.dead:
            incoming.append(([e.name(v) for v in op.results], e.current))
            e.line(f"br label %{after}")
    if incoming:
        e.block(after)
        e.join(op.results, incoming)


def _refused(e: Emitter, plan: Plan, op: Op) -> str | None:
    """Whether the fast version may not run, as an i1; None: it always may."""
    tests = [f"icmp slt i64 {e.name(v)}, {least}" for v, least in plan.least]
    for v, extra, n in plan.inside:
        if v is None:
            tests.append(f"icmp sle i64 {e.name(n)}, {extra}")
        else:  # a length is far from where ints wrap
            room = e.name(n) if extra == -1 else e.value(f"sub i64 {e.name(n)}, {extra + 1}")
            tests.append(f"icmp sgt i64 {e.name(v)}, {room}")
    tests += [f"icmp eq ptr {e.name(x)}, {e.name(y)}" for x, y in plan.apart]
    if plan.tail is not None:
        tests += refuse_tail(e, plan.tail, op)
    found = None
    for test in tests:
        one = e.value(test)
        found = one if found is None else e.value(f"or i1 {found}, {one}")
    return found


def lower_fast(e: Emitter, op: Op, plan: Plan) -> bool:
    """Emit an operation of a fast version, if it differs there."""
    if op in plan.hoisted:
        return True
    if plan.tail is not None and lower_tail(e, op, plan.tail):
        return True
    if op in plan.checked:
        e.names[op.result] = e.name(op.operands[0])
        return True
    if op in plan.noted:
        if op.name == "call":
            failed = _call_noted(e, op)
        else:
            failed = e.value(f"zext i1 {e.name(op.operands[0])} to i8")
        before = e.value(f"load i8, ptr {e.noted_failure}")
        e.line(f"store i8 {e.value(f'or i8 {before}, {failed}')}, ptr {e.noted_failure}")
        return True
    return False


# -- functions that note what fails -------------------------------------------------------------


def _call_noted(e: Emitter, op: Op) -> str:
    """Call the version of a function that notes what fails; whether anything did, as an i8."""
    from sapwood.lang.lower.emitter import NOTED, level_name, lower_function

    function = op.attrs["function"]
    name = level_name(function, NOTED)
    if name not in e.module.helpers:
        e.module.helpers.add(name)
        lower_function(e.module, function, False, NOTED)
    ty = f"{{{', '.join(['i32', *(e.type(r.type) for r in op.results)])}}}"
    arguments = ", ".join([*(f"{e.type(v.type)} {e.name(v)}" for v in op.operands), "ptr %err"])
    out = e.value(f"call {ty} @{name}({arguments})")
    for i, r in enumerate(op.results):
        e.names[r] = e.value(f"extractvalue {ty} {out}, {i + 1}")
    return e.value(f"trunc i32 {e.value(f'extractvalue {ty} {out}, 0')} to i8")


def note_failures(e: Emitter, function: Function) -> None:
    """Prepare for a function whose tests of floats are noted."""
    ops = list(function.body.walk())
    definitions = {v: op for op in ops for v in op.results}
    e.fast = Plan(noted={op for op in ops if op.name == "raise_if" and tests_float(op, definitions)})
    e.noted_failure = e.alloca(1, 1)
    e.line(f"store i8 0, ptr {e.noted_failure}")


def noted_status(e: Emitter) -> str:
    """What such a function returns first: 1 if a test failed."""
    failed = e.value(f"load i8, ptr {e.noted_failure}")
    return e.value(f"zext i8 {failed} to i32")
