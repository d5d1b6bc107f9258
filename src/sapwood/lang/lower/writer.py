"""The text of one LLVM function as it grows: lines, names of values, blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sapwood.lang.ir.ssa import Function, Var

if TYPE_CHECKING:
    from sapwood.lang.lower.emitter import ModuleEmitter


class Writer:
    """What is written of a function, and where the next line goes."""

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
        self.handlers: dict[Any, tuple[str, list[tuple[list[str], str]]]] = {}  # label and edges of open tries

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

    def name(self, v: Var) -> str:
        return self.names[v]

    def alloca(self, nbytes: int, align: int) -> str:
        self.count += 1
        name = f"%a{self.count}"
        self.entry.append(f"  {name} = alloca [{nbytes} x i8], align {align}")
        return name

    def label(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def block(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.current = label
        self.dead = False
