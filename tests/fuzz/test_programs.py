"""Random small programs: compiled, in boxed CPython, in the evaluator and in plain CPython they must agree."""

from __future__ import annotations

import itertools
import linecache
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sapwood import fn

sys.path.insert(0, str(Path(__file__).parents[1] / "lang"))
from oracles import agree

LIMIT = 1 << 20  # variables stay below it, so that no intermediate value leaves i64
TOP = 1 << 62
INTS, FLOATS = ("a", "b", "c"), ("x", "y", "z")
_serial = itertools.count()


class Writer:
    """Writes the source of one function `f(a, b, x, y)`; ints are bounded by construction."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.lines: list[str] = []
        self.loops = 0
        self.names = itertools.count()

    def source(self) -> str:
        self.lines = [
            "def f(a: int, b: int, x: float, y: float) -> tuple[int, float]:",
            "    c, z, start = 1, 0.5, x",
            f"    scale = lambda v: v * {self.random.randint(-3, 3)} + start",
        ]
        self.block(1, self.random.randint(2, 6))
        self.lines.append("    return a + b - c, x - y + z")
        return "\n".join(self.lines) + "\n"

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def block(self, depth: int, count: int) -> None:
        for _ in range(count):
            self.statement(depth)

    def statement(self, depth: int) -> None:
        r = self.random
        kind = r.randrange(12)
        if depth > 3 or kind < 5:
            self.assignment(depth)
        elif kind < 7:
            self.line(depth, f"if {self.condition(2)}:")
            self.block(depth + 1, r.randint(1, 2))
            if r.random() < 0.3:
                self.line(depth, f"elif {self.condition(1)}:")
                self.block(depth + 1, 1)
            if r.random() < 0.5:
                self.line(depth, "else:")
                self.block(depth + 1, r.randint(1, 2))
        elif kind < 9:
            self.range_loop(depth)
        elif kind < 10:
            self.while_loop(depth)
        elif kind < 11:
            self.line(depth, f"if {self.condition(1)}:")
            if self.loops and r.random() < 0.7:
                self.line(depth + 1, r.choice(("break", "continue")))
            else:
                self.line(depth + 1, f"return {self.bounded(2)}, {self.real(2)}")
        else:
            self.line(depth, r.choice(("a, b = b, a", "x, y, z = z, x, y", "a, b, c = c, a, b")))

    def assignment(self, depth: int) -> None:
        r = self.random
        if r.random() < 0.5:
            self.line(depth, f"{r.choice(INTS)} = {self.bounded(3)}")
        elif r.random() < 0.7:
            self.line(depth, f"{r.choice(FLOATS)} = {self.real(3)}")
        else:
            self.line(depth, f"{r.choice(FLOATS)} {r.choice(('+', '-', '*'))}= {self.real(1)}")

    def range_loop(self, depth: int) -> None:
        r = self.random
        i, step = f"i{next(self.names)}", r.choice((1, 1, 2, 3, -1, -2))
        low, high = r.randint(-3, 3), f"{self.small()} + {r.randint(0, 4)}"
        bounds = f"{low}, {high}, {step}" if step > 0 else f"{high}, {low}, {step}"
        self.line(depth, f"for {i} in range({bounds}):")
        self.loops += 1
        self.block(depth + 1, r.randint(1, 3))
        self.line(depth + 1, f"c = (c + {i}) % {LIMIT - 5}")
        self.loops -= 1
        if r.random() < 0.2:
            self.line(depth, "else:")
            self.block(depth + 1, 1)

    def while_loop(self, depth: int) -> None:
        k = f"k{next(self.names)}"
        self.line(depth, f"{k} = {self.random.randint(0, 5)}")
        self.line(depth, f"while {k} > 0 and {self.condition(1)}:")
        self.line(depth + 1, f"{k} -= 1")
        self.loops += 1
        self.block(depth + 1, self.random.randint(1, 2))
        self.loops -= 1

    # -- expressions: text, and for ints the largest magnitude -------------------------------------------

    def small(self) -> str:
        return f"{self.random.choice(INTS)} % 5"

    def bounded(self, depth: int) -> str:
        text, bound = self.integer(depth)
        return text if bound < LIMIT else f"({text}) % {LIMIT - 3}"

    def integer(self, depth: int) -> tuple[str, int]:
        r = self.random
        if depth == 0 or r.random() < 0.2:
            if r.random() < 0.4:
                value = r.choice((0, 1, -1, 2, 7, -13, 255, 65536))
                return (str(value) if value >= 0 else f"({value})"), abs(value)
            return r.choice(INTS), LIMIT
        (p, m), (q, n) = self.integer(depth - 1), self.integer(depth - 1)
        binary = ("+", "-", "*", "//", "%", "&", "|", "^", "<<", ">>", "min", "max")
        kind = r.choice((*binary, "abs", "-x", "~", "if", "int"))
        if kind == "*" and m * n >= TOP or kind in ("+", "-") and m + n >= TOP:
            p, m = f"({p} % 1009)", 1009
            q, n = f"({q} % 997)", 997
        match kind:
            case "+" | "-":
                return f"({p} {kind} {q})", m + n
            case "*":
                return f"({p} * {q})", m * n
            case "//":
                return f"({p} // {q})", m + 1
            case "%":
                return f"({p} % {q})", n
            case "&" | "|" | "^":
                return f"({p} {kind} {q})", 2 * max(m, n) + 1
            case "<<" if m < TOP >> 8:
                return f"({p} << {r.randint(0, 7)})", m << 7
            case ">>":
                return f"({p} >> {r.randint(0, 70)})", m + 1
            case "min" | "max":
                return f"{kind}({p}, {q})", max(m, n)
            case "-x":
                return f"(-{p})", m
            case "~":
                return f"(~{p})", m + 1
            case "if":
                return f"({p} if {self.condition(depth - 1)} else {q})", max(m, n)
            case "int":
                v = r.choice(FLOATS)
                return f"(int({v}) if -1e6 < {v} < 1e6 else {p})", max(10**6, m)
        return f"abs({p})", m

    def real(self, depth: int) -> str:
        r = self.random
        if depth == 0 or r.random() < 0.2:
            return r.choice((*FLOATS, *FLOATS, "0.0", "(-0.0)", "1.5", "(-2.25)", "1e300", "0.1"))
        kind = r.choice(("+", "-", "*", "/", "//", "%", "int", "abs", "-x", "min", "max", "if", "scale", "mixed"))
        p, q = self.real(depth - 1), self.real(depth - 1)
        match kind:
            case "int":
                return f"float({self.integer(depth - 1)[0]})"
            case "abs":
                return f"abs({p})"
            case "-x":
                return f"(-{p})"
            case "min" | "max":
                return f"{kind}({p}, {q})"
            case "if":
                return f"({p} if {self.condition(depth - 1)} else {q})"
            case "scale":
                return f"scale({p})"
            case "mixed":
                return f"({self.integer(depth - 1)[0]} {r.choice('+-*/')} {q})"
        return f"({p} {kind} {q})"

    def condition(self, depth: int) -> str:
        r = self.random
        if depth > 0 and r.random() < 0.4:
            match r.randrange(3):
                case 0:
                    return f"({self.condition(depth - 1)} and {self.condition(depth - 1)})"
                case 1:
                    return f"({self.condition(depth - 1)} or {self.condition(depth - 1)})"
            return f"(not {self.condition(depth - 1)})"
        less = r.choice(("<", "<=", ">", ">=", "==", "!="))
        if r.random() < 0.5:
            return f"{self.integer(1)[0]} {less} {self.integer(1)[0]}"
        if r.random() < 0.3:
            return f"{self.real(0)} < {self.real(0)} <= {self.real(0)}"
        return f"{self.real(1)} {less} {self.real(1)}"


def function_of(source: str) -> Any:
    """The decorated function of a source text; linecache knows the text, as it does for notebook cells."""
    name = f"<program {next(_serial)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    scope: dict[str, Any] = {"__name__": "program"}
    exec(compile(source, name, "exec"), scope)
    return fn(scope["f"])


def check(random: Random) -> None:
    source = Writer(random).source()
    compiled = function_of(source)
    for _ in range(4):
        ints = [random.choice((0, 1, -1, 3, random.randint(-LIMIT + 1, LIMIT - 1))) for _ in range(2)]
        floats = [random.choice((0.0, -0.0, 1.0, 1e-300, 1e200, random.uniform(-10, 10))) for _ in range(2)]
        try:
            agree(compiled, *ints, *floats, plain=True)
        except BaseException:
            print(source)
            raise


@settings(max_examples=25, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(st.randoms(use_true_random=False))
def test_programs_agree(random):
    check(random)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@settings(max_examples=3000, deadline=None, database=None)
@given(st.randoms(use_true_random=False))
def test_many_programs_agree(random):
    check(random)
