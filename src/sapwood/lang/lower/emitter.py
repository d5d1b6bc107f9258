"""Typed SSA -> LLVM text.

One `ModuleEmitter` per program and one `Emitter` per LLVM function. Lowering rules of the operation tables do
the work; this file supplies what they share: names, literals, blocks, loops, the status convention. Every
host function returns `{i32 status, results...}` and takes a last parameter `ptr %err`, the record that a
raise fills in. (A parameter and not a thread-local: see docs/design/errors-and-status.md.)
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import islice
from typing import Any

from sapwood.lang.bits import to_bits
from sapwood.lang.ir.ssa import LEAVING, Function, Op, Program, Region, Var
from sapwood.lang.lower.appended import close_tail, head_of_tail
from sapwood.lang.lower.error_exits import ErrorExits
from sapwood.lang.lower.versions import Plan, lower_fast, note_failures, noted_status
from sapwood.lang.passes.bounds import Bounds
from sapwood.lang.passes.headers import Headers
from sapwood.lang.types import BOOL, FunctionPointer, Leaf, Ptr, Ref, Scalar, Simd, Tile
from sapwood.runtime.error_layout import TABLE_LEAST
from sapwood.targets.isolated import MARK

_SPACES = {"generic": "ptr", "local": "ptr", "shared": "ptr addrspace(3)"}


def llvm_type(ty: Leaf) -> str:
    match ty:
        case Scalar(name="f32"):
            return "float"
        case Scalar(name="f64"):
            return "double"
        case Scalar():
            return f"i{ty.bits}"
        case Simd():
            return f"<{ty.lanes} x {llvm_type(ty.elem)}>"
        case Ptr():
            return _SPACES[ty.space]
        case Ref() | FunctionPointer():
            return "ptr"
        case Tile():
            return "x86_amx"
    raise TypeError(ty)


def memory_type(ty: Leaf) -> str:
    """bool takes a byte in memory."""
    return llvm_type(ty).replace("i1", "i8") if _is_bool(ty) else llvm_type(ty)


_ESCAPES = {c: f"\\{c:02X}" for c in range(256) if not 32 <= c < 127 or c in (34, 92)}


def _quoted(raw: bytes) -> str:
    return f'c"{raw.decode("latin-1").translate(_ESCAPES)}"'


def _is_bool(ty: Leaf) -> bool:
    return ty == BOOL or isinstance(ty, Simd) and ty.elem == BOOL


# what never overlaps: words of heap objects, their counts, elements of containers by type, the count of live objects
_TYPES = ("i8", "i16", "i32", "i64", "float", "double", "ptr")
_ALIASES = ("header", "count", "state", *(f"elements {t}" for t in _TYPES))
ALIASES = {name: 30 + i for i, name in enumerate(_ALIASES)}
ALIAS_METADATA = (
    '!10 = !{!"memory"}',
    *(line for name, i in ALIASES.items() for line in (
        f'!{i + 30} = !{{!"{name}", !10}}', f"!{i} = !{{!{i + 30}, !{i + 30}, i64 0}}")),
)  # fmt: skip
FIRST_NODE = 100
RARE_LOOP = (
    "!3 = distinct !{!3, !4, !5}",
    '!4 = !{!"llvm.loop.unroll.disable"}',
    '!5 = !{!"llvm.loop.vectorize.enable", i1 false}',
)


def alias_tag(alias: str, ty: Leaf) -> str:
    """The metadata of a load or store in memory that only pointers of one kind lead to."""
    if alias == "elements":
        alias = f"elements {memory_type(ty.elem if isinstance(ty, Simd) else ty)}"
    number = ALIASES.get(alias)
    return "" if number is None else f", !tbaa !{number}"


class ModuleEmitter:
    """The text of one LLVM module."""

    def __init__(self, program: Program, target: Any) -> None:
        self.program = program
        self.target = target
        self.functions: list[str] = []
        self.helpers: set[str] = set()  # names of functions that are made on demand
        self.globals: dict[str, str] = {}  # what is behind the name of a constant -> the name
        self.variables: dict[str, str] = {}  # type and initial value of data -> its name
        self.declarations: dict[str, None] = {}
        self.counter = 0
        self.nodes: list[str] = []  # further metadata
        self.isolated = False  # holds text that a user wrote
        self.sums = False  # whether a loop adds up floats
        self.headers = Headers()
        self._bounds: dict[Function, Bounds | None] = {}

    def bounds(self, function: Function | None) -> Bounds | None:
        """What is known of the indices of a function that checks them."""
        if function is None or function.kind == "kernel":
            return None
        if function not in self._bounds:
            checks = any(op.name in ("check_index", "raise_if", "call") for op in function.body.walk())
            self._bounds[function] = Bounds(function) if checks else None
        return self._bounds[function]

    def text_constant(self, text: str) -> str:
        """A NUL-terminated string constant; equal texts share one."""
        raw = text.encode() + b"\0"
        return self._constant(f"[{len(raw)} x i8] {_quoted(raw)}")

    def descriptor(self, table: list[int], owned: int, text: str) -> str:
        """What an error record refers to (runtime/error_layout.py); `owned` are the bits of its references."""
        words = [len(table) | owned, *table]
        words += [0] * (1 + TABLE_LEAST - len(words))
        raw = text.encode() + b"\0"
        types = f"[{len(words)} x i64], [{len(raw)} x i8]"
        values = f"[{len(words)} x i64] [{', '.join(f'i64 {w}' for w in words)}], [{len(raw)} x i8] {_quoted(raw)}"
        return self._constant(f"<{{ {types} }}> <{{ {values} }}>, align 8")

    def _constant(self, definition: str) -> str:
        if definition not in self.globals:
            self.globals[definition] = f"@.text{len(self.globals)}"
        return self.globals[definition]

    def data(self, definition: str) -> str:
        """Data of the module, given as LLVM's type and value; equal data is one."""
        if definition not in self.variables:
            self.variables[definition] = f"@.data{len(self.variables)}"
        return self.variables[definition]

    def data_constant(self, data: bytes) -> str:
        """Bytes that lie in the object code, followed by a zero; equal ones are one."""
        raw = data + b"\0"
        return self._constant(f"[{len(raw)} x i8] {_quoted(raw)}, align 16")

    def helper(self, name: str, text: Callable[[], str]) -> str:
        """The name of a function that this module has once if it is asked for; `text` makes its definition."""
        if name not in self.helpers:
            self.helpers.add(name)
            self.functions.append(text())
        return name

    def metadata(self, text: str) -> str:
        """The name of a new node of metadata; `{0}` in its text is its own name."""
        name = f"!{FIRST_NODE + len(self.nodes)}"
        self.nodes.append(f"{name} = {text.replace('{0}', name)}")
        return name

    def fresh(self, stem: str) -> str:
        self.counter += 1
        return f"{stem}.{self.counter}"

    def text(self) -> str:
        head = [MARK] if self.isolated else []
        head += [f'target triple = "{self.target.triple}"']
        if self.target.data_layout:
            head.append(f'target datalayout = "{self.target.data_layout}"')
        constants = [f"{name} = private unnamed_addr constant {value}" for value, name in self.globals.items()]
        constants += [f"{name} = internal global {d}, align 8" for d, name in self.variables.items()]
        tail = ["!0 = !{i32 1}", '!1 = !{!"branch_weights", i32 1, i32 1048575}', *RARE_LOOP, *ALIAS_METADATA]
        tail += self.nodes
        defined = {line.split("(")[0].split("@")[-1] for f in self.functions for line in f.splitlines()[:1]}
        declares = [d for d in self.declarations if d.split("@")[1].split("(")[0] not in defined]
        functions = self.functions
        if self.sums:  # LLVM keeps the order of floats; more than four lanes take it longer to take apart than to add
            functions = [f.replace('"prefer-vector-width"="512"', '"prefer-vector-width"="256"', 1) for f in functions]
        return "\n".join([*head, *constants, *declares, *functions, *tail, ""])


class Emitter(ErrorExits):
    """The text of one LLVM function."""

    def __init__(self, module: ModuleEmitter, function: Function | None) -> None:
        super().__init__(module, function)
        self.loops: dict[Any, dict[str, Any]] = {}
        self.result_types: list[str] = []
        self.in_chunk = False  # the body of a parallel loop: returns a bare status
        self.large = function is not None and not function.recursive and _is_large(function.body)
        self.depth = 0  # loops around what is being written
        self.level = 0  # which copy of a recursive function this is
        self.fast: Plan | None = None  # of the loop whose fast version is being emitted
        self.rare = False  # whether loops that are emitted now need not be fast
        self.noted_failure = ""  # where it notes that a test of floats failed

    def callee(self, function: Function) -> str:
        """The symbol to call for a function of this program: from inside a recursive one, its next copy."""
        if function is self.function:
            return level_name(function, (self.level + 1) % _levels(function))
        return function.name

    # -- text -------------------------------------------------------------------------------------

    def type(self, ty: Leaf) -> str:
        return llvm_type(ty)

    def memory_type(self, ty: Leaf) -> str:
        return memory_type(ty)

    def mangle(self, ty: Leaf) -> str:
        if isinstance(ty, Simd):
            return f"v{ty.lanes}{self.mangle(ty.elem)}"
        if isinstance(ty, Scalar):
            return ty.name if ty.name in ("f32", "f64") else f"i{ty.bits}"
        return "p0"

    def select(self, cond_type: str, c: str, ty: str, x: str, y: str) -> str:
        return self.value(f"select {cond_type} {c}, {ty} {x}, {ty} {y}")

    def literal(self, ty: Leaf, value: Any) -> str:
        if isinstance(ty, Simd):
            return f"splat ({self.type(ty.elem)} {self.literal(ty.elem, value)})"
        assert isinstance(ty, Scalar)
        if ty.kind == "bool":
            return "true" if value else "false"
        if ty.narrow:
            return str(to_bits(ty, value))
        if ty.is_float:
            return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
        return str(int(value))

    def bits_literal(self, ty: Leaf, bits: int) -> str:
        """A literal of a narrow float type, by its bits."""
        return f"splat (i16 {bits})" if isinstance(ty, Simd) else str(bits)

    @staticmethod
    def is_literal(text: str) -> bool:
        return not text.startswith(("%", "@")) and not text.startswith("splat") and not text.startswith("<")

    def text_constant(self, text: str) -> str:
        return self.module.text_constant(text)

    def from_memory(self, ty: Leaf, x: str) -> str:
        return self.value(f"trunc {memory_type(ty)} {x} to {llvm_type(ty)}") if _is_bool(ty) else x

    def to_memory(self, ty: Leaf, x: str) -> str:
        return self.value(f"zext {llvm_type(ty)} {x} to {memory_type(ty)}") if _is_bool(ty) else x

    def load_metadata(self, op: Op) -> str:
        return ", !invariant.load !2" if op.attrs.get("invariant") else ""

    # -- blocks -----------------------------------------------------------------------------------

    def region(self, region: Region) -> list[str] | None:
        """Emit a region; its yielded values, or None when control does not come out of it."""
        for op in region.ops:
            if self.dead:
                return None
            if op.name == "yield":
                return [self.name(v) for v in op.operands]
            self.op(op)
        if not self.dead and (not region.ops or region.ops[-1].name not in LEAVING):
            return []
        self.dead = True
        return None

    def op(self, op: Op) -> None:
        rule = op.op.lowering_rule
        assert rule is not None, f"operation '{op.name}' has no lowering rule"
        if self.fast is not None and lower_fast(self, op, self.fast):
            return
        if op.op.control:
            rule(self, op)
            return
        out = rule(self, op, *(self.name(v) for v in op.operands))
        if op.results:
            outs = out if isinstance(out, tuple) else (out,)
            for v, text in zip(op.results, outs, strict=True):
                self.names[v] = text

    def join(self, results: tuple[Var, ...], incoming: list[tuple[list[str], str]]) -> None:
        """Phis that merge the values of several predecessors into `results`."""
        for i, v in enumerate(results):
            texts = [values[i] for values, _ in incoming]
            if len(incoming) == 1:
                self.names[v] = texts[0]
                continue
            pairs = ", ".join(f"[ {t}, %{label} ]" for t, (_, label) in zip(texts, incoming, strict=True))
            self.names[v] = self.value(f"phi {self.type(v.type)} {pairs}")

    def branch(self, op: Op) -> None:
        """An `if`. A side that does nothing but go somewhere has no block of its own; if both go to one place, the
        second has."""
        after = self.label("endif")
        incoming: list[tuple[list[str], str]] = []
        bodies: list[tuple[str, Region]] = []
        targets: list[str] = []
        for stem, region in zip(("then", "else"), op.regions, strict=True):
            target = self._way(region, after)
            if target is None or target in targets:
                target = self.label(stem)
                bodies.append((target, region))
            elif target == after:
                incoming.append(([self.name(v) for v in region.ops[0].operands] if region.ops else [], self.current))
            else:
                self._to_loop(region.ops[0])
            targets.append(target)
        self.line(f"br i1 {self.name(op.operands[0])}, label %{targets[0]}, label %{targets[1]}")
        for label, region in bodies:
            self.block(label)
            values = self.region(region)
            if values is not None:
                incoming.append((values, self.current))
                self.line(f"br label %{after}")
        if not incoming:
            self.dead = True
            return
        self.block(after)
        self.join(op.results, incoming)

    def _way(self, region: Region, after: str) -> str | None:
        """Where a region goes that does nothing else; `after`: the block behind it. None: it does something."""
        if len(region.ops) > 1:
            return None
        match region.ops[0].name if region.ops else "yield":
            case "yield":
                return after
            case "break":
                return self.loops[region.ops[0].attrs["target"]]["exit"]
            case "continue":
                return self.loops[region.ops[0].attrs["target"]]["latch"]
        return None

    def loop(self, op: Op) -> None:
        """Emit a loop as it is written, or as the plan says."""
        region = op.regions[0]
        self.module.sums |= any(isinstance(p.type, Scalar) and p.type.is_float for p in region.params)
        head, exit = self.label("loop"), self.label("endloop")
        latch = self.label("latch")
        start = ([self.name(v) for v in op.operands], self.current)
        state = {"latch": latch, "exit": exit, "continue": [], "break": []}
        self.loops[op.attrs["id"]] = state
        slots = []
        if op.attrs.get("once"):
            self.names.update(zip(region.params, start[0], strict=True))
        else:
            self.line(f"br label %{head}")
            self.block(head)
            for v in region.params:
                name = self.value(f"phi {self.type(v.type)} ")
                slots.append(len(self.lines) - 1)
                self.names[v] = name
        tail = self.fast.tail if self.fast is not None and not op.attrs.get("once") else None
        if tail is not None:
            head_of_tail(self, tail)
        self.depth += not op.attrs.get("once")
        self.region(region)
        self.depth -= not op.attrs.get("once")
        entries = [start]
        if state["continue"]:
            entries.append((self._latch(region, state), latch))
            self.line(f"br label %{head}{', !llvm.loop !3' if self.rare else ''}")
        for i, slot in enumerate(slots):
            self.lines[slot] += ", ".join(f"[ {values[i]}, %{label} ]" for values, label in entries)
        if tail is not None:
            close_tail(self, tail, start[1], latch)
        if not state["break"]:
            self.dead = True
            return
        self.block(exit)
        self.join(op.results, state["break"])

    def _latch(self, region: Region, state: dict[str, Any]) -> list[str]:
        """The one block that goes back to the head: LLVM takes several for loops in each other, and then vectorises
        neither. Gives the values for the next round."""
        self.block(state["latch"])
        if len(state["continue"]) == 1:
            return state["continue"][0][0]
        out = []
        for i, v in enumerate(region.params):
            pairs = ", ".join(f"[ {values[i]}, %{label} ]" for values, label in state["continue"])
            out.append(self.value(f"phi {self.type(v.type)} {pairs}"))
        return out

    def leave_loop(self, op: Op) -> None:
        """A `break` or `continue`."""
        self.line(f"br label %{self._to_loop(op)}")
        self.dead = True

    def _to_loop(self, op: Op) -> str:
        """The block that a `break` or `continue` goes to, which is now told that it comes from this one."""
        state = self.loops[op.attrs["target"]]
        state[op.name].append(([self.name(v) for v in op.operands], self.current))
        return state["latch" if op.name == "continue" else "exit"]

    def is_straight(self) -> bool:
        """Whether the place that is written runs at most once in a call of a function that does much else, so that a
        call more does not matter."""
        return self.depth == 0 and self.large

    # -- functions and status ---------------------------------------------------------------------

    def return_type(self) -> str:
        return "i32" if self.in_chunk else f"{{{', '.join(['i32', *self.result_types])}}}"

    def return_values(self, values: list[tuple[Leaf, str]]) -> None:
        if self.in_chunk:
            self.line("ret i32 0")
        else:
            ty = self.return_type()
            status = noted_status(self) if self.level < 0 else "0"
            agg = self.value(f"insertvalue {ty} poison, i32 {status}, 0")
            for i, (t, v) in enumerate(values):
                agg = self.value(f"insertvalue {ty} {agg}, {self.type(t)} {v}, {i + 1}")
            self.line(f"ret {ty} {agg}")
        self.dead = True

    def return_error(self) -> None:
        """Leave with status 1; the error record is filled in."""
        if self.in_chunk:
            self.line("ret i32 1")
        else:
            ty = self.return_type()
            agg = self.value(f"insertvalue {ty} zeroinitializer, i32 1, 0")
            self.line(f"ret {ty} {agg}")
        self.dead = True

    def try_(self, op: Op) -> None:
        """The body, then the handler where the error edges of the body meet; both may come out at the end."""
        body, handler = op.regions
        label, after = self.label("handler"), self.label("endtry")
        edges: list[tuple[list[str], str]] = []
        self.handlers[op.attrs["id"]] = (label, edges)
        incoming: list[tuple[list[str], str]] = []
        values = self.region(body)
        if values is not None:
            incoming.append((values, self.current))
            self.line(f"br label %{after}")
        if edges:
            self.block(label)
            self.join(handler.params, edges)
            values = self.region(handler)
            if values is not None:
                incoming.append((values, self.current))
                self.line(f"br label %{after}")
        if not incoming:
            self.dead = True
            return
        self.block(after)
        self.join(op.results, incoming)

    def call_function(self, symbol: str, op: Op, operands: tuple[Var, ...] | None = None) -> None:
        """Call a compiled function with the operands of `op`; an error leaves along its edge."""
        types = ["i32", *(self.type(r.type) for r in op.results)]
        ty = f"{{{', '.join(types)}}}"
        operands = op.operands if operands is None else operands
        text = ", ".join([*(f"{self.type(v.type)} {self.name(v)}" for v in operands), "ptr %err"])
        out = self.value(f"call {ty} {symbol}({text})")
        if op.may_raise:
            status = self.value(f"extractvalue {ty} {out}, 0")
            self.fail_if(self.value(f"icmp ne i32 {status}, 0"), op)
        for i, r in enumerate(op.results):
            self.names[r] = self.value(f"extractvalue {ty} {out}, {i + 1}")

    def declare_unit(self, symbol: str, args: list[Leaf], results: list[Leaf]) -> None:
        ty = f"{{{', '.join(['i32', *(self.type(r) for r in results)])}}}"
        self.declare(f"declare {ty} @{symbol}({', '.join([*map(self.type, args), 'ptr'])})")

    def finish(self, head: str, attributes: str) -> None:
        """Add the finished function to the module."""
        self.emit_exits()
        body = "\n".join(["entry:", *self.entry, *self.lines])
        self.module.functions.append(f"{head} {attributes} {{\n{body}\n}}")


LARGE = 100  # operations


def _is_large(body: Region) -> bool:
    return next(islice(body.walk(), LARGE, None), None) is not None


NOTED = -1  # the level of the version of a function that notes tests of floats that fail and goes on
RECURSION_LEVELS, RECURSION_OPS = 4, 256  # copies of a recursive body at most, and their operations together


def lower_program(program: Program, target: Any) -> str:
    """LLVM text of a whole program."""
    module = ModuleEmitter(program, target)
    for function in program.functions:
        for level in range(_levels(function)):
            lower_function(module, function, function is program.entry, level)
    text = module.text()
    return text + "!2 = !{}\n"


def _levels(function: Function) -> int:
    """Copies of a function's body. A short one that calls itself gets several, each inlined into the one before,
    which LLVM does not do by itself; only the outermost checks the stack."""
    if not function.recursive:
        return 1
    ops = list(function.body.walk())
    calls = sum(op.attrs.get("function") is function for op in ops)
    if calls == 0 or any(op.name == "parallel_for" for op in ops):
        return 1
    levels, size = 1, len(ops)
    while levels < RECURSION_LEVELS and size * (calls + 1) <= RECURSION_OPS:
        levels, size = levels + 1, len(ops) + size * calls
    return levels


def level_name(function: Function, level: int) -> str:
    if level == NOTED:
        return f"{function.name}.noted"
    return f"{function.name}.level{level}" if level else function.name


def lower_function(module: ModuleEmitter, function: Function, exported: bool, level: int = 0) -> None:
    if function.kind == "kernel":
        from sapwood.lang.lower.kernel import lower_kernel

        lower_kernel(module, function)
        return
    e = Emitter(module, function)
    e.level = level
    e.result_types = [llvm_type(t) for t in function.results]
    params = []
    for i, p in enumerate(function.params):
        e.names[p] = f"%p{i}"
        noalias = " noalias" if i in function.restrict else ""
        params.append(f"{llvm_type(p.type)}{noalias} %p{i}")
    if level == NOTED:
        note_failures(e, function)
    e.region(function.body)
    if not e.dead:
        e.return_values([])
    linkage = "" if exported and not level else "internal "
    inline = " alwaysinline" if level > 0 else ""
    arguments = ", ".join([*params, "ptr %err"])
    head = f"define {linkage}{e.return_type()} @{level_name(function, level)}({arguments}){inline}"
    e.finish(head, module.target.function_attributes(function))
