"""Random programs of nested try statements, loops and exits: compiled code does what CPython does."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from exceptions_kit import in_python, log, raised, without_notes

HEAD = """
from sapwood import fn
from exceptions_kit import Log, Odd, VeryOdd, fail, note
from test_exceptions import Guarded

@fn
def f(k: int, ev: Log) -> int:
    x = 0
    y = 1
    z = 2
"""
CLASSES = (
    "ValueError", "KeyError", "Odd", "VeryOdd", "ZeroDivisionError", "(KeyError, Odd)", "Exception", "LookupError",
)  # fmt: skip
STATEMENTS = (
    "note", "set", "set", "raise", "raise", "raise", "exit", "try", "try", "try", "for", "if", "with",
)  # fmt: skip
NUMBERS = count()


class Writer:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.lines: list[str] = []
        self.budget = 28
        self.marks = count(1)

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def block(self, depth: int, **where: bool) -> None:
        """Statements; `where` says what encloses them: loop, handler, final."""
        for _ in range(self.random.randint(1, 3)):
            self.statement(depth, **where)

    def statement(self, depth: int, **where: bool) -> None:
        r = self.random
        self.budget -= 1
        simple = depth > 6 or self.budget < 0
        match r.choice(STATEMENTS):
            case "set":
                name = r.choice("xyz")
                self.line(depth, f"{name} = {r.choice('xyz')} * {r.randint(1, 3)} + {r.randint(-3, 3)}")
            case "raise":
                self.condition(depth)
                self.line(depth + 1, self.exception(**where))
            case "exit":
                self.condition(depth)
                exits = [f"return {r.choice('xyz')} + {r.randint(0, 9)}"]
                exits += ["break", "continue"] if where.get("loop") else []
                self.line(depth + 1, r.choice(exits))
            case "try" if not simple:
                self.attempt(depth, **where)
            case "with" if not simple:
                manager = f"Guarded({r.randint(1, 8)}, k & {1 << r.randint(0, 7)} != 0, ev)"
                self.line(depth, f"with {manager} as n{next(self.marks)}:")
                self.block(depth + 1, **(where | {"handler": False}))
            case "for" if not simple:
                name = f"i{next(self.marks)}"
                self.line(depth, f"for {name} in range({r.randint(1, 3)}):")
                self.line(depth + 1, f"x += {name}")
                self.block(depth + 1, **(where | {"loop": True}))
                if r.random() < 0.3:
                    self.line(depth, "else:")
                    self.block(depth + 1, **where)
            case "if" if not simple:
                self.condition(depth)
                self.block(depth + 1, **where)
            case _:
                self.line(depth, f"note(ev, {next(self.marks)} + x * 100 + y * 1000 + z * 10000)")

    def condition(self, depth: int) -> None:
        r = self.random
        self.line(depth, f"if (k >> {r.randint(0, 7)}) & 1 == {r.randint(0, 1)}:")

    def exception(self, **where: bool) -> str:
        r = self.random
        forms = [f"y += fail({r.randint(0, 8)})", f"raise Odd({r.choice('xyz')})", "z = 10 // (k & 1)"]
        forms.append("raise KeyError(x) from ValueError(y)")
        if where.get("handler"):
            forms += ["raise", "raise", "raise KeyError(1) from None"]
        return r.choice(forms)

    def attempt(self, depth: int, **where: bool) -> None:
        r = self.random
        kind = r.choice(("except", "except", "finally", "both"))
        self.line(depth, "try:")
        self.block(depth + 1, **where)
        if kind != "finally":
            for _ in range(r.randint(1, 2)):
                name = r.choice(("", "", f" as e{next(self.marks)}"))
                self.line(depth, f"except {r.choice(CLASSES)}{name}:")
                self.block(depth + 1, **(where | {"handler": True}))
                if name and r.random() < 0.5:
                    self.condition(depth + 1)
                    self.line(depth + 2, r.choice((f"raise{name[3:]}", f"raise Odd(y) from{name[3:]}")))
            if r.random() < 0.3:
                self.line(depth, "else:")
                self.block(depth + 1, **where)
        if kind != "except":
            self.line(depth, "finally:")
            self.block(depth + 1, **(where | {"handler": False}))


def programs(random: Random, path: Path) -> Iterator[Any]:
    while True:
        w = Writer(random)
        while w.budget > 0:
            w.statement(1)
        w.line(1, "return x + y * 10 + z * 100")
        name = f"tries{next(NUMBERS)}"
        file = path / f"{name}.py"
        file.write_text(HEAD + "\n".join(w.lines) + "\n")
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        yield module


def outcome(run: Any, k: int) -> Any:
    events = log(4096)
    result: list[Any] = []
    error = without_notes(raised(lambda: result.append(run(k, events))))
    return result, error, events.tolist()


def check(module: Any, random: Random) -> None:
    python = in_python(module.f)
    for k in (0, 255, *(random.randrange(256) for _ in range(6))):
        expected = outcome(python, k)
        for run in (module.f, module.f.reference):
            assert outcome(run, k) == expected, (k, run)


def test_programs(tmp_path: Path) -> None:
    random = Random(7)
    found = programs(random, tmp_path)
    for _ in range(3):
        check(next(found), random)


@pytest.mark.nightly
def test_many_programs(tmp_path: Path) -> None:
    random = Random()
    print("seed", seed := np.random.randint(1 << 30))
    random.seed(seed)
    found = programs(random, tmp_path)
    for _ in range(300):
        check(next(found), random)
