"""Typed SSA -> LLVM text.

One `ModuleEmitter` per program and one `Emitter` per LLVM function. Lowering rules of the operation tables do
the work; this file supplies what they share: names, literals, blocks, loops, the status convention. Every
host function returns `{i32 status, results...}` and takes a last parameter `ptr %err`, the record that a
raise fills in. (A parameter and not a thread-local: see docs/design/errors-and-status.md.)
"""

from __future__ import annotations

import struct
from typing import Any

from sapwood.lang.ir.ssa import LEAVING, Function, Op, Program, Region, Var
from sapwood.lang.ops.heap import lower_release, lower_retain
from sapwood.lang.ops.numeric import to_bits
from sapwood.lang.types import BOOL, FunctionPointer, Leaf, Ptr, Ref, Scalar, Simd, Tile
from sapwood.runtime.error_layout import CAUSE, CONTEXT, COUNT, TABLE_LEAST, VALUES
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
        self.globals: dict[str, str] = {}  # what is behind the name of a constant -> the name
        self.variables: dict[str, str] = {}  # type and initial value of data -> its name
        self.declarations: dict[str, None] = {}
        self.counter = 0
        self.isolated = False  # holds text that a user wrote

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
        tail = ["!0 = !{i32 1}", '!1 = !{!"branch_weights", i32 1, i32 1048575}', *ALIAS_METADATA]
        defined = {line.split("(")[0].split("@")[-1] for f in self.functions for line in f.splitlines()[:1]}
        declares = [d for d in self.declarations if d.split("@")[1].split("(")[0] not in defined]
        return "\n".join([*head, *constants, *declares, *self.functions, *tail, ""])


class Emitter:
    """The text of one LLVM function."""

    def __init__(self, module: ModuleEmitter, function: Function | None) -> None:
        self.module = module
        self.function = function
        self.target = module.target
        self.names: dict[Var, str] = {}
        self.lines: list[str] = []
        self.entry: list[str] = []
        self.current = "entry"
        self.dead = False
        self.count = 0
        self.loops: dict[Any, dict[str, Any]] = {}
        self.handlers: dict[Any, tuple[str, list[tuple[list[str], str]]]] = {}  # label and edges of open tries
        self.endings: dict[tuple[Var, ...], str] = {}  # blocks that leave with an error, by what they release
        self.result_types: list[str] = []
        self.in_chunk = False  # the body of a parallel loop: returns a bare status
        self.shared: list[str] = []
        self.level = 0  # which copy of a recursive function this is

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

    def line(self, text: str) -> None:
        if not self.dead:
            self.lines.append("  " + text)

    def value(self, text: str) -> str:
        self.count += 1
        name = f"%t{self.count}"
        self.line(f"{name} = {text}")
        return name

    def call(self, name: str, result: str, args: list[tuple[str, str]]) -> str:
        """Call an intrinsic or runtime function, declaring it."""
        plain = ", ".join(t.split(" align ")[0] for t, _ in args)
        self.declare(f"declare {result} @{name}({plain})")
        text = f"call {result} @{name}({', '.join(f'{t} {v}' for t, v in args)})"
        if result == "void":
            self.line(text)
            return ""
        return self.value(text)

    def declare(self, text: str) -> None:
        self.module.declarations[text] = None

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

    def name(self, v: Var) -> str:
        return self.names[v]

    def from_memory(self, ty: Leaf, x: str) -> str:
        return self.value(f"trunc {memory_type(ty)} {x} to {llvm_type(ty)}") if _is_bool(ty) else x

    def to_memory(self, ty: Leaf, x: str) -> str:
        return self.value(f"zext {llvm_type(ty)} {x} to {memory_type(ty)}") if _is_bool(ty) else x

    def load_metadata(self, op: Op) -> str:
        return ", !invariant.load !2" if op.attrs.get("invariant") else ""

    def alloca(self, nbytes: int, align: int) -> str:
        self.count += 1
        name = f"%a{self.count}"
        self.entry.append(f"  {name} = alloca [{nbytes} x i8], align {align}")
        return name

    # -- blocks -----------------------------------------------------------------------------------

    def label(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def block(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.current = label
        self.dead = False

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

    def loop(self, op: Op) -> None:
        region = op.regions[0]
        head, exit = self.label("loop"), self.label("endloop")
        latch = self.label("latch")
        start = ([self.name(v) for v in op.operands], self.current)
        state = {"latch": latch, "exit": exit, "continues": [], "breaks": []}
        self.loops[op.attrs["id"]] = state
        self.line(f"br label %{head}")
        self.block(head)
        slots = []
        for v in region.params:
            name = self.value(f"phi {self.type(v.type)} ")
            slots.append(len(self.lines) - 1)
            self.names[v] = name
        self.region(region)
        entries = [start]
        if state["continues"]:
            entries.append((self._latch(region, state), latch))
            self.line(f"br label %{head}")
        for i, slot in enumerate(slots):
            self.lines[slot] += ", ".join(f"[ {values[i]}, %{label} ]" for values, label in entries)
        if not state["breaks"]:
            self.dead = True
            return
        self.block(exit)
        self.join(op.results, state["breaks"])

    def _latch(self, region: Region, state: dict[str, Any]) -> list[str]:
        """The one block that goes back to the head: LLVM takes several for loops in each other, and then vectorises
        neither. Gives the values for the next round."""
        self.block(state["latch"])
        out = []
        for i, v in enumerate(region.params):
            pairs = ", ".join(f"[ {values[i]}, %{label} ]" for values, label in state["continues"])
            out.append(self.value(f"phi {self.type(v.type)} {pairs}"))
        return out

    def leave_loop(self, target: Any, kind: str, operands: tuple[Var, ...]) -> None:
        state = self.loops[target]
        state[kind].append(([self.name(v) for v in operands], self.current))
        self.line(f"br label %{state['latch' if kind == 'continues' else 'exit']}")
        self.dead = True

    # -- functions and status ---------------------------------------------------------------------

    def return_type(self) -> str:
        return "i32" if self.in_chunk else f"{{{', '.join(['i32', *self.result_types])}}}"

    def return_values(self, values: list[tuple[Leaf, str]]) -> None:
        if self.in_chunk:
            self.line("ret i32 0")
        else:
            ty = self.return_type()
            agg = self.value(f"insertvalue {ty} poison, i32 0, 0")
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

    def fill_error(self, descriptor: str, words: list[str], cause: str | None = "0", record: str = "%err") -> None:
        """Write an error record (runtime/error_layout.py); without `cause` those of its words that kernels have."""
        self.line(f"store ptr {descriptor}, ptr {record}")
        slots = {COUNT: str(len(words)), **{VALUES + i: w for i, w in enumerate(words)}}
        if cause is not None:
            slots |= {CONTEXT: "0", CAUSE: cause}
        for at, word in slots.items():
            p = self.value(f"getelementptr i8, ptr {record}, i64 {8 * at}")
            self.line(f"store i64 {word}, ptr {p}")

    def fail(self, op: Op) -> None:
        """Leave along the error edge of `op`: the error record is filled in. Every raising operation ends here."""
        for v in op.shared:
            lower_retain(self, self.name(v), v.type)
        if op.handler is None and op.cleanup:  # shared with the other edges that release the same
            self.line(f"br label %{self._ending(op.cleanup)}")
            self.dead = True
            return
        for v in op.cleanup:
            lower_release(self, self.name(v), v.type)
        if op.handler is None:
            self.return_error()
            return
        label, edges = self.handlers[op.handler]
        edges.append(([self.name(v) for v in op.edge], self.current))
        self.line(f"br label %{label}")
        self.dead = True

    def _ending(self, owned: tuple[Var, ...]) -> str:
        """The block that releases these and leaves the function: one value, then the block for the rest, so that many
        edges that own many values make no more code than there are of both."""
        if owned not in self.endings:
            self.endings[owned] = self.label("ending")
        return self.endings[owned]

    def _emit_endings(self) -> None:
        done = 0
        while done < len(self.endings):
            owned, label = list(self.endings.items())[done]
            done += 1
            self.block(label)
            if not owned:
                self.return_error()
                continue
            lower_release(self, self.name(owned[0]), owned[0].type)
            self.line(f"br label %{self._ending(owned[1:])}")

    def fail_if(self, failed: str, op: Op) -> None:
        """Leave along the error edge of `op` if the i1 holds."""
        bad, good = self.label("failed"), self.label("ok")
        self.line(f"br i1 {failed}, label %{bad}, label %{good}, !prof !1")
        self.block(bad)
        self.fail(op)
        self.block(good)

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
        self._emit_endings()
        body = "\n".join(["entry:", *self.entry, *self.lines])
        self.module.functions.append(f"{head} {attributes} {{\n{body}\n}}")


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
    e.region(function.body)
    if not e.dead:
        e.return_values([])
    linkage = "" if exported and not level else "internal "
    inline = " alwaysinline" if level else ""
    arguments = ", ".join([*params, "ptr %err"])
    head = f"define {linkage}{e.return_type()} @{level_name(function, level)}({arguments}){inline}"
    e.finish(head, module.target.function_attributes(function))
