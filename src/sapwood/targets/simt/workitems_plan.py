"""What is decided about a kernel before its work-item loops are written (docs/design/simt-fast.md).

Operations come as objects of the language's SSA; nothing of the language is imported here. A *split* operation is
written once for the block, and what is in it becomes loops over threads of its own; every other one is part of
such a loop. A *scalar* value is computed once for the block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

AXES = 3
KNOWN = frozenset({
    "thread_idx", "block_idx", "block_dim", "grid_dim", "cluster_idx", "cluster_dim", "lane_id", "shared_storage",
    "dynamic_storage", "dynamic_bytes", "barrier", "warp_id", "warp_shuffle", "warp_vote", "warp_sync",
    "warp_active_mask",
})  # fmt: skip
CHEAP = frozenset({
    "constant", "thread_idx", "lane_id", "warp_id", "add", "sub", "mul", "and", "or", "xor", "shl", "shr", "neg",
    "compare", "select", "convert", "pointer_add", "address", "pointer_at", "minimum", "maximum",
})  # fmt: skip
MASKED = {"warp_shuffle": 2, "warp_vote": 1, "warp_sync": 0}  # operations with operands behind which a mask may be
STORAGE = frozenset({"shared_storage", "dynamic_storage", "dynamic_bytes"})
CHAIN = 24  # operations that are done again in another loop rather than kept in memory
LEAVES = frozenset({"break", "continue", "return"})
MIRRORED = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le"}


def is_int(ty: Any, bits: int = 64) -> bool:
    return getattr(ty, "is_int", False) and getattr(ty, "bits", 0) == bits


def inside(op: Any) -> Iterator[Any]:
    """The operation and those in it."""
    yield op
    for r in op.regions:
        yield from r.walk()


class Plan:
    """The plan for a kernel. `reason`: why it cannot be written as work-item loops, or None."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.uniformity = function.attrs["uniformity"]
        self.warp_log = self.uniformity.warp_size.bit_length() - 1
        self.definitions: dict[Any, Any] = {}
        self.loop_of: dict[Any, Any] = {}  # parameter of a loop -> the loop
        self.loops: dict[Any, Any] = {}  # id -> loop
        self.parents: dict[Any, Any] = {}
        self.users: dict[Any, list[Any]] = {}
        self.leaving: dict[Any, list[Any]] = {}  # id of a loop -> its `break` and `continue`
        self._collect(function.body, None)
        self._coefficients: dict[tuple[Any, int, bool], int | None] = {}
        self.waiting = set(self._waiting(function.body))
        self.split: set[Any] = set()
        self.bounded: set[Any] = set()  # `if` by which the threads beyond a bound leave a loop
        self.mixed: set[Any] | None = None  # values that are not scalar, once that is known
        self.masked: set[Any] = set()  # ids of loops whose threads leave in other ways than by a bound
        self.reason = self._refuse()
        if self.reason is None:
            for op in function.body.walk():
                if op in self.waiting and op.regions:
                    self._split(op)
            for op in function.body.walk():
                if op not in self.split and self._worth_splitting(op):
                    self._split(op)
            self._find_scalars()
            self._split_exits(function.body)
            self._find_masks(function.body, (), frozenset())
            self._find_live()

    def _collect(self, region: Any, parent: Any) -> None:
        for op in region.ops:
            self.parents[op] = parent
            for v in op.results:
                self.definitions[v] = op
            for v in op.operands:
                self.users.setdefault(v, []).append(op)
            if op.name == "loop":
                self.loops[op.attrs["id"]] = op
                for p in op.regions[0].params:
                    self.loop_of[p] = op
            if op.name in ("break", "continue"):
                self.leaving.setdefault(op.attrs["target"], []).append(op)
            for r in op.regions:
                self._collect(r, op)

    def _waiting(self, region: Any) -> Iterator[Any]:
        for op in region.ops:
            found = [w for r in op.regions for w in self._waiting(r)]
            if found or op in self.uniformity.together:
                yield op
            yield from found

    def _split(self, op: Any) -> None:
        while op is not None:
            self.split.add(op)
            op = self.parents[op]

    # -- what cannot be split -----------------------------------------------------------------------

    def _refuse(self) -> str | None:
        for op in self.function.body.walk():
            at = f"line {op.loc.line}"
            if op.name == "return" and op is not self.function.body.ops[-1]:
                return f"{at}: threads return in the middle"
            if op.name == "give_way":
                return f"{at}: the loop may wait for what another thread writes"
            if op.op.space == "kernel" and op.name not in KNOWN:
                return f"{at}: {op.name} has no work-item form"
            if op.name in MASKED and len(op.operands) > MASKED[op.name]:
                return f"{at}: {op.name} with a mask has no work-item form"
            if any(type(v.type).__name__ in ("Ref", "Tile") for v in (*op.operands, *op.results)):
                return f"{at}: {op.name} works on heap objects or tiles"
            if op in self.uniformity.together:
                level = self.uniformity.together[op]
                if level > (0 if op.name == "barrier" else 2):
                    who = "block" if op.name == "barrier" else "warp"
                    return f"{at}: not all threads of the {who} come to this {op.name} together"
        return None

    # -- indices ------------------------------------------------------------------------------------

    def coefficient(self, v: Any, axis: int, near: bool = False) -> int | None:
        """How much a 64-bit integer or pointer (in bytes) grows from one thread to the next along an axis, if that
        is known and the same for all threads; `near`: for all threads of a piece that is cut between warps."""
        key = (v, axis, near)
        if key not in self._coefficients:
            self._coefficients[key] = None  # a value that depends on itself
            self._coefficients[key] = self._coefficient(v, axis, near)
        return self._coefficients[key]

    def warp_number(self, op: Any) -> bool:
        """Whether an operation is the number of the warp, or divides thread_idx.x by the size of one, or a multiple."""
        if op.name == "warp_id":
            return True
        if op.name != "shr" or len(op.operands) != 2 or not is_int(op.results[0].type):
            return False
        x, n = self.definitions.get(op.operands[0]), self.constant(op.operands[1])
        if x is None or x.name != "thread_idx" or x.attrs["axis"] != 0:
            return False
        return n is not None and self.warp_log <= n < 63

    def _coefficient(self, v: Any, axis: int, near: bool) -> int | None:
        if v not in self.uniformity.varying:
            return 0
        if v in self.loop_of:
            start = self.advancing(v)
            return None if start is None else self.coefficient(start, axis, near)
        op = self.definitions.get(v)
        if op is None or not op.op.pure or not (is_int(v.type) or type(v.type).__name__ == "Ptr"):
            return None
        if op.name == "thread_idx":
            return int(op.attrs["axis"] == axis)
        if near and axis == 0 and op.name == "lane_id":
            return 1
        if near and axis == 0 and self.warp_number(op):
            return 0
        c = [self.coefficient(x, axis, near) for x in op.operands]
        match op.name, c:
            case "convert", [int(a)] if is_int(op.operands[0].type):
                return a
            case "add", [int(a), int(b)]:
                return a + b
            case "sub", [int(a), int(b)]:
                return a - b
            case "mul", [int(a), int(b)]:
                m, n = (self.constant(x) for x in op.operands)
                if a == 0 and b == 0:
                    return 0
                found = b * m if a == 0 and m is not None else a * n if b == 0 and n is not None else None
                return found if found is None or abs(found) < 1 << 40 else None
            case "pointer_add", [int(a), int(b)]:
                return a + b * op.attrs["stride"]
            case "select", _:
                check = self.wrapped(op)
                return None if check is None else self.coefficient(check[0], axis, near)
        return None

    def constant(self, v: Any) -> int | None:
        op = self.definitions.get(v)
        value = op.attrs.get("value") if op is not None and op.name == "constant" else None
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def wrapped(self, op: Any) -> tuple[Any, Any] | None:
        """(i, n) of `i + n if i < 0 else i`, which a checked index becomes."""
        if op is None or op.name != "select":
            return None
        test, more, i = op.operands
        test, more = self.definitions.get(test), self.definitions.get(more)
        if test is None or more is None or test.name != "compare" or more.name != "add" or test.attrs["test"] != "lt":
            return None
        if test.operands[0] is not i or self.constant(test.operands[1]) != 0 or more.operands[0] is not i:
            return None
        return i, more.operands[1]

    def check(self, op: Any) -> tuple[Any, Any, Any] | None:
        """(i, n, index) of the bounds check that a `raise_if` is: index is i, brought into 0 .. n - 1."""
        test = self.definitions.get(op.operands[0]) if op.name == "raise_if" and len(op.operands) == 3 else None
        if test is None or test.name != "compare" or test.attrs["test"] != "ge":
            return None
        index, n = (self._unconverted(v) for v in test.operands)
        i, size = op.operands[1:]
        if n is not size or not is_int(index.type):
            return None
        found = self.wrapped(self.definitions.get(index))
        return (i, n, index) if index is i or found is not None and found == (i, n) else None

    def _unconverted(self, v: Any) -> Any:
        op = self.definitions.get(v)
        return op.operands[0] if op is not None and op.name == "convert" else v

    def advancing(self, p: Any) -> Any:
        """The start of a loop's parameter that grows by the same for all threads, else None."""
        step = self.step(p)
        if step is None or step in self.uniformity.varying:
            return None
        loop = self.loop_of[p]
        return loop.operands[loop.regions[0].params.index(p)]

    def step(self, p: Any) -> Any:
        """What a loop adds to its parameter in every round, from the one place where it goes round; else None."""
        loop = self.loop_of[p]
        places = [o for o in self.leaving.get(loop.attrs["id"], ()) if o.name == "continue"]
        if len(places) != 1 or not is_int(p.type):
            return None
        add = self.definitions.get(places[0].operands[loop.regions[0].params.index(p)])
        if add is None or add.name != "add" or add.operands[0] is not p:
            return None
        step = add.operands[1]
        d = self.definitions.get(step)
        if d is not None and self._is_in(d, loop) and d.name != "constant":
            return None
        return step

    def _is_in(self, op: Any, loop: Any) -> bool:
        up = self.parents[op]
        while up is not None and up is not loop:
            up = self.parents[up]
        return up is loop

    def positive(self, v: Any) -> bool:
        op = self.definitions.get(v)
        if op is None:
            return False
        if op.name in ("mul", "add"):
            return all(map(self.positive, op.operands))
        return op.name in ("block_dim", "grid_dim") or (self.constant(v) or 0) > 0

    def bound(self, v: Any) -> tuple[Any, Any, str] | None:
        """(x, y, test) of a comparison of 64-bit integers that holds up to some thread of an axis, or from it on, or
        for one: x - y has a coefficient along it."""
        op = self.definitions.get(v)
        if op is None or op.name != "compare":
            return None
        if "counts" in op.attrs:
            i, stop, step = op.attrs["counts"]
            if i in self.loop_of and (stop in self.definitions or stop in self.function.params or stop in self.loop_of):
                value = getattr(step, "value", None)
                up = value > 0 if isinstance(value, int) else self.positive(step)
                if self.loop_of[i] is self._loop_around(op) and up and self.advancing(i) is not None:
                    return i, stop, "lt"
            return None
        x, y = op.operands
        if not is_int(x.type) or not x.type.signed and op.attrs["test"] not in ("eq", "ne"):
            return None
        return x, y, op.attrs["test"]

    def _loop_around(self, op: Any) -> Any:
        up = self.parents[op]
        while up is not None and up.name != "loop":
            up = self.parents[up]
        return up

    def slope(self, bound: tuple[Any, Any, str], axis: int, near: bool = False) -> int | None:
        a, b = (self.coefficient(v, axis, near) for v in bound[:2])
        return None if a is None or b is None else a - b

    def box_axis(self, v: Any) -> int | None:
        """The one axis along which a condition holds up to some thread or from it on."""
        bound = self.bound(v)
        if bound is None or bound[2] not in MIRRORED:
            return None
        slopes = [self.slope(bound, axis) for axis in range(AXES)]
        axes = [axis for axis, s in enumerate(slopes) if s]
        if None in slopes or len(axes) != 1 or self.mixed is not None and not all(map(self.chain, bound[:2])):
            return None
        return axes[0]

    # -- what is split, what is computed once -------------------------------------------------------

    def exit(self, op: Any) -> tuple[Any, bool] | None:
        """(break or continue, whether the condition must hold) of an `if` that does nothing but leave or go on."""
        if op.name != "if" or op.results or any(len(r.ops) != 1 for r in op.regions):
            return None
        a, b = (r.ops[0] for r in op.regions)
        if a.name == "break" and b.name == "yield":
            return a, True
        return (b, False) if b.name == "break" and a.name == "yield" else None

    def _worth_splitting(self, op: Any) -> bool:
        """Whether a loop in which nobody waits should go round for all threads together, so that threads, and not
        rounds, are next to each other in the innermost loop: where threads that follow each other use memory that
        follows, and none ends the loop in its own way."""
        if op.name != "loop" or op.attrs.get("once"):
            return False
        near, far, ends = 0, 0, []
        for o in op.regions[0].walk():
            if o.name == "loop" and not o.attrs.get("once") and not self._worth_splitting(o):
                return False
            if o.name in ("load", "store") and not o.attrs.get("volatile"):
                by, size = self.coefficient(o.operands[0], 0, True), getattr(o.operands[0].type.elem, "itemsize", 0)
                if by is not None and abs(by) == size:
                    near += 1
                elif by is None or by != 0:
                    far += 1
            elif o.name.startswith("atomic_"):
                far += 1
            if o.name in LEAVES:
                ends.append(o)
        if near == 0 or far > near:
            return False
        up = self.parents[op]
        while up is not None:
            if up.name == "loop" and not up.attrs.get("once") and not self._ends_together(up):
                return False
            up = self.parents[up]
        return self._ends_together(op)

    def _ends_together(self, loop: Any) -> bool:
        key = loop.attrs["id"]
        for o in loop.regions[0].walk():
            if o.name == "return" or o.name in ("break", "continue") and self.loops[o.attrs["target"]] is not loop:
                if o.name == "return" or not self._is_in(self.loops[o.attrs["target"]], loop):
                    return False
        for o in self.leaving.get(key, ()):
            if o.name == "continue":
                if self.parents[o] is not loop:
                    return False
                continue
            up = self.parents[o]
            if up is loop:
                continue
            if self.parents[up] is not loop or self.exit(up) is None:
                return False
            test = up.operands[0]
            if test in self.uniformity.varying and self.box_axis(test) is None:
                return False
        return True

    def _find_scalars(self) -> None:
        """Find the values that are not computed once for the block."""
        mixed = set(self.uniformity.varying)
        size = -1
        while size != len(mixed):
            size = len(mixed)
            self._mix(self.function.body, mixed)
        self.mixed = mixed

    def scalar(self, v: Any) -> bool:
        return self.mixed is not None and v not in self.mixed

    def once(self, op: Any, mixed: set[Any] | None = None) -> bool:
        """Whether an operation can be written once for the block, outside of loops over its threads."""
        mixed = (self.mixed or set()) if mixed is None else mixed
        if any(v in mixed for v in (*op.operands, *op.results)):
            return False
        if not op.regions:
            return not op.op.control and (op.op.pure or op.name in STORAGE) or op.name == "raise_if"
        if op.name not in ("if", "loop") :
            return False
        own = {o.attrs["id"] for o in inside(op) if o.name == "loop"}
        for o in inside(op):
            if any(v in mixed for v in o.operands):
                return False
            if o.name in ("break", "continue"):
                if o.attrs["target"] not in own:
                    return False
            elif o.name not in ("if", "loop", "yield", "raise_if") and not o.op.pure:
                return False
        return True

    def _mix(self, region: Any, mixed: set[Any]) -> None:
        for op in region.ops:
            if op not in self.split:
                if not self.once(op, mixed):
                    mixed.update(op.results)
                continue
            if op.name == "loop":
                params = op.regions[0].params
                for p, v in zip(params, op.operands, strict=True):
                    if v in mixed:
                        mixed.add(p)
                for o in self.leaving.get(op.attrs["id"], ()):
                    targets = params if o.name == "continue" else op.results
                    mixed.update(t for t, v in zip(targets, o.operands, strict=True) if v in mixed)
            for r in op.regions:
                self._mix(r, mixed)
                if r.ops[-1].name == "yield" and op.name == "if":
                    mixed.update(t for t, v in zip(op.results, r.ops[-1].operands, strict=True) if v in mixed)
            if op.name == "if" and op.operands[0] in mixed:
                mixed.update(op.results)

    # -- what is used ------------------------------------------------------------------------------

    def _find_live(self) -> None:
        """The values that something depends on. A counter of rounds often is not: a bound says where a loop ends."""
        self.live: set[Any] = set()
        size = -1
        while size != len(self.live):
            size = len(self.live)
            self._use(self.function.body, None)

    def _use(self, region: Any, owner: Any) -> None:
        for op in reversed(region.ops):
            for r in op.regions:
                self._use(r, op)
            if op.name in ("yield", "break", "continue"):
                loop = owner if op.name == "yield" else self.loops[op.attrs["target"]]
                targets = loop.regions[0].params if op.name == "continue" else loop.results
                self.live.update(v for t, v in zip(targets, op.operands, strict=True) if t in self.live)
            elif op.name == "loop":
                params = op.regions[0].params
                self.live.update(v for p, v in zip(params, op.operands, strict=True) if p in self.live)
            elif op in self.bounded:
                bound = self.bound(op.operands[0])
                assert bound is not None
                self.live.update(bound[:2])
            elif not self.dead(op):
                bound = self.bound(op.results[0]) if self.counted(op) else None
                self.live.update(bound[:2] if bound is not None else op.operands)

    def counted(self, op: Any) -> bool:
        """Whether a comparison of a counter of rounds is written as one of the index with its bound."""
        return "counts" in op.attrs and self.bound(op.results[0]) is not None and self.chain(op.attrs["counts"][0])

    def dead(self, op: Any) -> bool:
        """Whether nothing depends on an operation."""
        return op.op.pure and not op.regions and not any(v in self.live for v in op.results)

    # -- how threads leave ---------------------------------------------------------------------------

    def _find_masks(self, region: Any, around: tuple[Any, ...], direct: frozenset[Any]) -> None:
        """`around`: ids of the split loops around, outside first; `direct`: those whose threads are all here."""
        for op in region.ops:
            if op.name in ("break", "continue"):
                self._leave(op, around, direct)
            elif op.name == "return":
                if around:
                    self.masked.update(around)
            elif op not in self.split:
                own = {o.attrs["id"] for o in inside(op) if o.name == "loop"}
                leave = self.exit(op)
                bounded = leave is not None and self.box_axis(op.operands[0]) is not None
                for o in inside(op):
                    if o.name == "return":
                        self.masked.update(around)
                    if o.name in ("break", "continue") and o.attrs["target"] not in own:
                        self._leave(o, around, direct if bounded else frozenset())
                        if bounded and o.attrs["target"] in direct:
                            self.bounded.add(op)
            elif op.name == "loop":
                key = op.attrs["id"]
                self._find_masks(op.regions[0], (*around, key), frozenset({key}))
            else:
                together = self.scalar(op.operands[0])
                for r in op.regions:
                    self._find_masks(r, around, direct if together else frozenset())

    def _leave(self, op: Any, around: tuple[Any, ...], direct: frozenset[Any]) -> None:
        key = op.attrs["target"]
        if key in direct:
            return
        if op.name == "continue":
            self.reason = f"line {op.loc.line}: some threads begin the next round of a loop before others"
            return
        self.masked.update(around[around.index(key):])

    def _split_exits(self, region: Any) -> None:
        """Branches by which all threads leave a split loop are written once for the block."""
        for op in region.ops:
            if op.name == "if" and op not in self.split and self.scalar(op.operands[0]) and self.leaves(op):
                self.split.add(op)
            if op in self.split:
                for r in op.regions:
                    self._split_exits(r)

    def leaves(self, op: Any) -> bool:
        """Whether threads leave a loop around an operation in it."""
        own = {o.attrs["id"] for o in inside(op) if o.name == "loop"}
        return any(o.name in LEAVES and o.attrs.get("target") not in own for o in inside(op))

    def chain(self, v: Any) -> bool:
        """Whether a value is cheaply computed again, from scalars and the place of the thread."""
        return self._chain(v, [CHAIN])

    def _chain(self, v: Any, left: list[int]) -> bool:
        if self.scalar(v):
            return True
        if v in self.loop_of:
            return self.loop_of[v] in self.split and self.rolled(v)
        op = self.definitions.get(v)
        if op is None or op.name not in CHEAP or left[0] <= 0:
            return False
        left[0] -= 1
        return all(self._chain(x, left) for x in op.operands)

    def rolled(self, p: Any) -> bool:
        """Whether a parameter of a split loop is its start and a scalar that grows."""
        start = self.advancing(p)
        return start is not None and self.scalar(self.step(p)) and self.chain(start)
