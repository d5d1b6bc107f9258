"""Kernel -> LLVM text for simt's fast mode: a block as loops over its threads, split where threads wait.

    @k.block(slot, arguments...) -> i64                          runs a block; 1 if a thread failed
    @k.whole(slot, 0) -> i64                                     the same, with the arguments from the launch

Control that threads part at is written once for the block with the *scope* of what is left of it: a box of threads,
and where a box cannot say it an array with a byte for each. At every point at least one thread is there.
"""

from __future__ import annotations

from typing import Any

from sapwood.targets.simt import layout
from sapwood.targets.simt.launcher import Parts, add_launcher
from sapwood.targets.simt.lower import DYNAMIC_AT, PLACES, Coroutine
from sapwood.targets.simt.workitems_plan import LEAVES, Plan, inside
from sapwood.targets.simt.workitems_scopes import FULL, MEMSET, LoopState, Scope
from sapwood.targets.simt.workitems_warps import Warps


class WorkItems(Warps):
    """A block of threads as loops over them."""

    def __init__(self, emitter: Any, plan: Plan) -> None:
        super().__init__(emitter, plan)
        self.coroutines = plan.uniformity.flat  # for launches with blocks of more than one axis
        self.alternative = (lambda e: Coroutine(e, alone=False)) if self.coroutines else None
        self.shared_bytes = 0
        self.private: dict[Any, str] = {}  # stack storage -> array

    # -- the whole ----------------------------------------------------------------------------------

    def begin(self) -> None:
        e = self.e
        e.line(f"%err = getelementptr i64, ptr %slot, i64 {layout.S_RECORD}")
        e.line(f"%shared = inttoptr i64 {self.word(layout.S_SHARED)} to ptr addrspace(3)")
        e.line(f"%memory = inttoptr i64 {self.word(layout.S_FRAMES)} to ptr")
        self.threads = self.word(layout.S_THREADS)
        self.places = {n: [self.word(at + axis) for axis in range(3)] for n, at in PLACES.items()}
        self.arrays_at = len(e.lines)

    def word(self, index: int) -> str:
        p = self.e.value(f"getelementptr i64, ptr %slot, i64 {index}")
        return self.e.value(f"load i64, ptr {p}")

    def body(self, region: Any) -> None:
        e = self.e
        box = e.alloca(8 * FULL, 8)
        self.scope = Scope(None, box, None, end=e.label("done"))
        self.set_box(box, [x for d in self.places["block_dim"] for x in ("0", d)])
        self.region(region)
        if not e.dead:
            self.flush()
            e.line(f"br label %{self.scope.end}")
        e.block(self.scope.end)
        e.line("ret i64 0")
        e.dead = True

    def end(self, name: str, params: list[str]) -> None:
        e = self.e
        e.lines[self.arrays_at : self.arrays_at] = self._array_lines()
        e.dead = False
        e.lines[:] = [line.replace(DYNAMIC_AT, str(layout.dynamic_at(self.shared_bytes))) for line in e.lines]
        attributes = e.target.function_attributes(e.function)
        e.finish(f"define internal i64 @{name}.block({', '.join(['ptr %slot', *params])})", attributes)
        add_launcher(e.module, name, attributes, params, self.shared_bytes, Parts(self.arrays, self.coroutines))

    def _array_lines(self) -> list[str]:
        lines, at = [], "%memory"
        for i, nbytes in enumerate(self.arrays):
            lines += [
                f"  %array{i} = getelementptr i8, ptr {at}, i64 0",
                f"  %array{i}.bytes = mul i64 {self.threads}, {nbytes}",
                f"  %array{i}.more = add i64 %array{i}.bytes, 63",
                f"  %array{i}.size = and i64 %array{i}.more, -64",
                f"  %array{i}.end = getelementptr i8, ptr %array{i}, i64 %array{i}.size",
            ]
            at = f"%array{i}.end"
        return lines

    # -- leaving --------------------------------------------------------------------------------------

    def leave(self) -> None:
        """All threads return: the last operation of a kernel."""
        self.flush()
        self.e.line(f"br label %{self.scope.end}")

    def record_error(self, descriptor: str, words: list[str]) -> None:
        self.e.write_record(descriptor, words)

    def fail(self) -> None:
        self.e.line("ret i64 1")

    def outside(self, key: Any) -> bool:
        """Whether a loop is written for the block, and so is no loop of the LLVM text around a thread."""
        return key in self.states

    def leave_loop(self, op: Any) -> None:
        """A thread leaves a split loop, in a loop over threads."""
        state = self.states[op.attrs["target"]]
        targets = state.params if op.name == "continue" else state.results
        all_targets = state.op.regions[0].params if op.name == "continue" else state.op.results
        for t, v in zip(all_targets, op.operands, strict=True):
            if t in targets and self.kept.get(v) != targets[t]:
                self.write(v, targets[t])
        scope: Scope | None = self.scope
        while scope is not None:
            if scope.own_array:
                self.clear(scope)
            if scope is state.scope:
                break
            scope = scope.outer
        self.e.line(f"br label %{self.latch}")
        self.e.dead = True

    # -- memory -------------------------------------------------------------------------------------

    def shared_storage(self, nbytes: int, align: int) -> str:
        at = layout.align(self.shared_bytes, align)
        self.shared_bytes = at + nbytes
        return self.e.value(f"getelementptr i8, ptr addrspace(3) %shared, i64 {at}")

    def dynamic_storage(self) -> str:
        return self.e.value(f"getelementptr i8, ptr addrspace(3) %shared, i64 {DYNAMIC_AT}")

    def dynamic_bytes(self) -> str:
        return self.word(layout.S_DYNAMIC)

    # -- operations in a loop over threads ----------------------------------------------------------

    def writes(self, op: Any) -> bool:
        """Write an operation of a thread in another way than its rule; False: the rule shall."""
        e = self.e
        if not self.latch:
            return False
        if op in self.unchecked:
            return True
        if self.plan.dead(op):
            e.names.update(dict.fromkeys(op.results, "poison"))
            return True
        if self.plan.counted(op):
            bound = self.plan.bound(op.results[0])
            assert bound is not None
            x, y = self.sides(bound)
            e.names[op.results[0]] = e.value(f"icmp slt i64 {x}, {y}")
            return True
        if op.name in _PLAIN and op.operands[0].type.space == "shared" and self._is_simple(op):
            self._without_others(op)
            return True
        if op.results and op.results[0] in self.given:
            e.names[op.results[0]] = self.given[op.results[0]]
            return True
        if op.name == "select" and self.unchecked:
            text = self.wrapped_text(op)
            if text is not None:
                e.names[op.results[0]] = text
                return True
        if op.name in ("warp_shuffle", "warp_vote"):
            (self.take if op.name == "warp_shuffle" else self.take_vote)(op)
            return True
        if op.name == "stack_storage":
            size = layout.align(op.attrs["bytes"])
            if op not in self.private:
                self.private[op] = self.array(size)
            at = e.value(f"mul i64 {self.number()}, {size}")
            e.names[op.results[0]] = e.value(f"getelementptr i8, ptr {self.private[op]}, i64 {at}")
            return True
        return False

    @staticmethod
    def _is_simple(op: Any) -> bool:
        elem = op.operands[0].type.elem
        return elem.is_int or elem.name in ("f32", "f64")

    def _without_others(self, op: Any) -> None:
        """An atomic operation on memory that only this block has: nobody else runs while it does."""
        e = self.e
        p, x = (e.name(v) for v in op.operands[:2])
        elem = op.operands[0].type.elem
        t = e.type(elem)
        old = e.value(f"load {t}, ptr addrspace(3) {p}, align {elem.itemsize}")
        word = _PLAIN[op.name]
        if word in ("min", "max") and elem.is_float:  # of a number and a NaN the number
            less = e.value(f"fcmp {'olt' if word == 'min' else 'ogt'} {t} {x}, {old}")
            better = e.value(f"or i1 {less}, {e.value(f'fcmp uno {t} {old}, {old}')}")
            new = e.select("i1", better, t, x, old)
        elif word in ("min", "max"):
            sign = "icmp slt" if elem.signed else "icmp ult"
            first, second = (x, old) if word == "min" else (old, x)
            new = e.select("i1", e.value(f"{sign} {t} {first}, {second}"), t, x, old)
        else:
            new = x if word == "exchange" else e.value(f"{'f' if elem.is_float else ''}{word} {t} {old}, {x}")
        e.line(f"store {t} {new}, ptr addrspace(3) {p}, align {elem.itemsize}")
        e.names.update(dict.fromkeys(op.results, old))
        self.depends = True

    # -- operations of the block --------------------------------------------------------------------

    def region(self, region: Any) -> Any:
        """Write a region for the block; its terminator if control comes out at its end."""
        e, plan = self.e, self.plan
        for op in region.ops:
            if op.name == "yield":
                return op
            if op.name == "return":
                self.leave()
                e.dead = True
                return None
            if op.name in ("break", "continue"):
                self._block_leave(op)
                return None
            if op.name in ("barrier", "warp_sync"):
                self.flush()
            elif op.name in ("warp_shuffle", "warp_vote"):
                (self.shuffle_all if op.name == "warp_shuffle" else self.vote_all)(op)
            elif op in plan.split:
                (self._loop if op.name == "loop" else self._if)(op)
            elif plan.once(op):
                self._once(op)
            else:
                if op not in plan.bounded:
                    self.run.append(op)
                if plan.leaves(op):
                    self._some_leave(op)
            if e.dead:
                return None
        return None

    def _once(self, op: Any) -> None:
        """An operation whose operands all threads share."""
        self.e.op(op)

    # -- scopes -------------------------------------------------------------------------------------

    # -- leaving a loop for the block ---------------------------------------------------------------

    def _some_leave(self, op: Any) -> None:
        """After an `if` that some threads leave a split loop from."""
        if op in self.plan.bounded:
            self._narrow(op)
        else:
            self.flush()
        self.go_on_if_anyone(self.scope)

    def _narrow(self, op: Any) -> None:
        """Threads beyond a bound leave the loop of this scope."""
        plan = self.plan
        leave, when = plan.exit(op) or (None, False)
        assert leave is not None
        state = self.states[leave.attrs["target"]]
        self.flush()
        stay, gone = self.parts(op.operands[0], not when)
        stores = [(v, state.results[r]) for r, v in zip(state.op.results, leave.operands, strict=True)
                  if r in state.results and self.kept.get(v) != state.results[r]]
        if stores:
            self.keep_all(stores, gone)
        self.set_box(self.scope.box, stay)

    def _block_leave(self, op: Any) -> None:
        """All threads of this scope break or continue."""
        e = self.e
        state = self.states[op.attrs["target"]]
        again = op.name == "continue"
        targets = state.op.regions[0].params if again else state.op.results
        arrays = state.params if again else state.results
        stores = [(v, arrays[t]) for t, v in zip(targets, op.operands, strict=True)
                  if t in arrays and self.kept.get(v) != arrays[t]]
        self.store_after(stores)
        direct = state.scope is self.scope
        if not direct:
            scope: Scope | None = self.scope
            while scope is not None:
                if scope.own_array:
                    self.after.append((None, lambda s=scope: self.clear(s)))
                if scope is state.scope:
                    break
                scope = scope.outer
        self.flush()
        if direct:
            scalars = [e.name(v) for t, v in zip(targets, op.operands, strict=True) if self._by_phi(t)]
            (state.rounds if again else state.exits).append((scalars, e.current))
            e.line(f"br label %{state.latch if again else state.exit}")
        else:
            e.line(f"br label %{self.scope.end}")
            self.scope.ends.append(e.current)
        e.dead = True

    def _by_phi(self, v: Any) -> bool:
        return self.plan.scalar(v)

    # -- an `if` ------------------------------------------------------------------------------------

    def _if(self, op: Any) -> None:
        if self.plan.scalar(op.operands[0]):
            self._uniform_if(op)
        else:
            self._varying_if(op)

    def _result_arrays(self, op: Any) -> dict[Any, str]:
        arrays = {}
        for r in op.results:
            if not self.plan.scalar(r) and r in self.plan.live:
                arrays[r] = self.kept[r] = self.new_array(r)
        return arrays

    def _uniform_if(self, op: Any) -> None:
        e = self.e
        self.flush()
        arrays = self._result_arrays(op)
        labels = [e.label(s) for s in ("then", "else")]
        after = e.label("endif")
        e.line(f"br i1 {e.name(op.operands[0])}, label %{labels[0]}, label %{labels[1]}")
        incoming = []
        for label, region in zip(labels, op.regions, strict=True):
            e.block(label)
            end = self.region(region)
            if e.dead:
                continue
            values = end.operands if end is not None else ()
            self.store_after([(v, arrays[r]) for r, v in zip(op.results, values, strict=True) if r in arrays])
            self.flush()
            scalars = [e.name(v) for r, v in zip(op.results, values, strict=True) if self.plan.scalar(r)]
            incoming.append((scalars, e.current))
            e.line(f"br label %{after}")
        if not incoming:
            e.dead = True
            return
        e.block(after)
        e.join(tuple(r for r in op.results if self.plan.scalar(r)), incoming)

    def _varying_if(self, op: Any) -> None:
        e, plan = self.e, self.plan
        arrays = self._result_arrays(op)
        test = op.operands[0]
        trivial = [len(r.ops) == 1 and r.ops[0].name == "yield" for r in op.regions]
        if trivial[1]:  # all get what the others get, and then some get their own
            self.store_after(self._yielded(op, arrays, 1))
        boxed = plan.box_axis(test) is not None
        scopes = []
        if boxed:
            self.flush()
            parts = self.parts(test, True)
            for part in parts:
                scope = self.copy_scope()
                self.set_box(scope.box, part)
                scopes.append(scope)
        else:
            for _ in range(2 - trivial[1]):
                scope = self.copy_scope()
                scope.array, scope.own_array = self.array(1), True
                e.line(f"call void @llvm.memset.p0.i64(ptr {scope.array}, i8 0, i64 {self.threads}, i1 false)")
                e.declare(MEMSET)
                scopes.append(scope)
            self.after.append((test, lambda: self._enter_arrays(test, scopes)))
            self.flush()
        leaves = plan.leaves(op)
        for i, (scope, region) in enumerate(zip(scopes, op.regions, strict=False)):
            if trivial[i] and (i == 1 or not arrays):
                continue
            scope.end = e.label("endside")
            self.scope = scope
            self.go_on_if_anyone(scope)
            self.region(region)
            if not e.dead:
                self.store_after(self._yielded(op, arrays, i))
                self.flush()
                e.line(f"br label %{scope.end}")
            e.block(scope.end)
            assert scope.outer is not None
            self.scope = scope.outer
        if leaves:
            self.go_on_if_anyone(self.scope)

    def _yielded(self, op: Any, arrays: dict[Any, str], side: int) -> list[tuple[Any, str]]:
        end = op.regions[side].ops[-1]
        return [(v, arrays[r]) for r, v in zip(op.results, end.operands, strict=True) if r in arrays]

    def _enter_arrays(self, test: Any, scopes: list[Scope]) -> None:
        e = self.e
        flag = e.value(f"zext i1 {e.name(test)} to i8")
        for scope, x in zip(scopes, (flag, e.value(f"xor i8 {flag}, 1")), strict=False):
            e.line(f"store i8 {x}, ptr {self.element(scope.array or '', 'i8', self.number())}, align 1")

    # -- a loop ---------------------------------------------------------------------------------------

    def _loop(self, op: Any) -> None:
        e, plan = self.e, self.plan
        region, key, once = op.regions[0], op.attrs["id"], bool(op.attrs.get("once"))
        state = LoopState(self.scope, op, e.label("endloop"), e.label("latch"))
        ways = [o for o in plan.leaving.get(key, ()) if o.name == "break"]
        rolled = [p for p in region.params if not plan.scalar(p) and plan.chain(p)]
        for p in region.params:
            if not plan.scalar(p) and p not in rolled and p in plan.live:
                state.params[p] = self.kept[p] = self.new_array(p)
        self.store_after([(v, state.params[p]) for p, v in zip(region.params, op.operands, strict=True)
                           if p in state.params])
        for i, r in enumerate(op.results):
            if plan.scalar(r) or r not in plan.live:
                continue
            values = {o.operands[i] for o in ways}
            only = next(iter(values)) if len(values) == 1 else None
            if only in state.params:  # where it ended stays in the parameter's memory
                state.results[r] = self.kept[r] = state.params[only]
            else:
                state.results[r] = self.kept[r] = self.new_array(r)
        self.flush()
        outer = self.scope
        exits = [found for b in plan.bounded if (found := plan.exit(b)) is not None]
        narrowed = any(o.attrs["target"] == key for o, _ in exits)
        masked = key in plan.masked
        if narrowed or masked:
            self.scope = self.copy_scope(key)
            if masked:
                self.give_array(self.scope)
        state.scope = self.scope
        end = self.scope.end
        if self.scope is not outer:
            self.scope.end = state.exit
        self.states[key] = state
        scalars = [p for p in region.params if plan.scalar(p)]
        starts = [e.name(v) for p, v in zip(region.params, op.operands, strict=True) if plan.scalar(p)]
        slots = []
        before = e.current
        if once:
            e.names.update(zip(scalars, starts, strict=True))
        else:
            head = e.label("loop")
            e.line(f"br label %{head}")
            e.block(head)
            for p in scalars:
                e.names[p] = e.value(f"phi {e.type(p.type)} ")
                slots.append(len(e.lines) - 1)
            for p in rolled:
                self.offsets[p] = e.value("phi i64 ")
                slots.append(len(e.lines) - 1)
        self.region(region)
        entries = [([*starts, *["0"] * len(rolled)], before)]
        if state.rounds and not once:
            e.block(state.latch)
            values = []
            for i, p in enumerate(scalars):
                texts = {x[i] for x, _ in state.rounds}
                if len(state.rounds) == 1 or len(texts) == 1 and not next(iter(texts)).startswith("%"):
                    values.append(state.rounds[0][0][i])
                else:
                    pairs = ", ".join(f"[ {x[i]}, %{label} ]" for x, label in state.rounds)
                    values.append(e.value(f"phi {e.type(p.type)} {pairs}"))
            for p in rolled:
                step = e.name(plan.step(p))
                values.append(e.call("llvm.sadd.sat.i64", "i64", [("i64", self.offsets[p]), ("i64", step)]))
            entries.append((values, state.latch))
            e.line(f"br label %{head}")
        for i, slot in enumerate(slots):
            e.lines[slot] += ", ".join(f"[ {values[i]}, %{label} ]" for values, label in entries)
        for p in rolled:
            del self.offsets[p]
        inner, self.scope = self.scope, outer
        e.dead = not (state.exits or inner is not outer and inner.ends)
        if not e.dead:
            e.block(state.exit)
            e.dead = False
            results = tuple(r for r in op.results if plan.scalar(r))
            poison = [(["poison"] * len(results), label) for label in (inner.ends if inner is not outer else [])]
            e.join(results, [*state.exits, *poison])
            del self.states[key]
            own = self._own(op)
            if any(o.name in LEAVES and o.attrs.get("target") not in own for o in inside(op)):
                self.go_on_if_anyone(self.scope)
        else:
            del self.states[key]
        outer.end = end if inner is outer else outer.end

    @staticmethod
    def _own(op: Any) -> set[Any]:
        return {o.attrs["id"] for o in inside(op) if o.name == "loop"}


_PLAIN = {
    "atomic_add": "add", "atomic_sub": "sub", "atomic_and": "and", "atomic_or": "or", "atomic_xor": "xor",
    "atomic_min": "min", "atomic_max": "max", "atomic_exchange": "exchange",
}  # fmt: skip
