"""Random loops over lists that grow, shrink and share, with indices in and out of range, against CPython."""

from __future__ import annotations

import linecache
import os
import random
from typing import Any

import pytest
from containers import outcome

from sapwood import fn
from sapwood.runtime.heap import live_objects

NAMES = ("xs", "ys", "zs")
PROGRAMS = int(os.environ.get("SAPWOOD_RANDOM_LOOPS", "16"))
HEAD = "def g(given: list[int], a: int, b: int) -> tuple[int, float, list[int], list[int], list[int], str]:\n"
LISTS = ([], [3, 1, 4], [2, 7, 1, 8, 2, 8, 1])
BOUNDS = ((0, 3), (1, 6), (-1, 4), (2, 2), (0, 9))


class Writer:
    """Writes one program."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.counters: list[str] = []

    def program(self) -> str:
        chance = self.random.random()
        self.lines = ["    xs = list(given)", "    ys = xs" if chance < 0.3 else "    ys = list(xs)"]
        self.lines += ["    zs = ys" if chance > 0.85 else "    zs = [1] * b", "    t = 0", "    f = 0.0", "    try:"]
        for _ in range(self.random.randint(1, 2)):
            self.loop(2, 0)
        self.lines += ["    except (IndexError, ZeroDivisionError) as e:", "        return t, f, xs, ys, zs, str(e)"]
        return HEAD + "\n".join([*self.lines, "    return t, f, xs, ys, zs, ''", ""])

    def name(self) -> str:
        return self.random.choice(NAMES)

    def index(self) -> str:
        chance = self.random.random()
        if self.counters and chance < 0.75:
            shift = self.random.choice((-2, -1, 0, 0, 0, 1, 2))
            return self.random.choice(self.counters) + (f" {'+-'[shift < 0]} {abs(shift)}" if shift else "")
        if chance < 0.85:
            return str(self.random.randint(-3, 3))
        return f"{self.counters[0]} + {self.counters[-1]}" if len(self.counters) > 1 else self.random.choice("ab")

    def value(self) -> str:
        chance = self.random.random()
        if chance < 0.5:
            return f"{self.name()}[{self.index()}]"
        if chance < 0.6:
            return f"len({self.name()})"
        if self.counters and chance < 0.75:
            return self.random.choice(self.counters)
        return str(self.random.randint(-5, 9)) if chance < 0.9 else "t"

    def statement(self, indent: int, depth: int) -> None:
        before, chance = "    " * indent, self.random.random()
        if chance < 0.3:
            self.lines.append(f"{before}t = (t + {self.value()} * {self.random.randint(1, 5)}) % 10007")
        elif chance < 0.5:
            self.lines.append(f"{before}{self.name()}[{self.index()}] = ({self.value()} + {self.value()}) % 1009")
        elif chance < 0.68:
            self.lines.append(f"{before}{self.name()}.append(({self.value()} + {self.value()}) % 1009)")
        elif chance < 0.74:
            self.lines.append(f"{before}if {self.value()} % {self.random.randint(2, 4)} == 0:")
            self.statement(indent + 1, depth)
        elif chance < 0.77:
            self.lines.append(f"{before}if {self.value()} > {self.random.randint(3, 9)}:")
            self.lines.append(f"{before}    {self.random.choice(('break', 'continue'))}")
        elif chance < 0.80:
            self.lines.append(f"{before}if len(xs) > 2 and t % 3 == 1:")
            self.lines.append(f"{before}    {self.name()}.pop()")
        elif chance < 0.82:
            self.lines.append(f"{before}{self.name()} = {self.name()}")
        elif chance < 0.85:
            self.lines.append(f"{before}f = f + 1.0 / ({self.value()} - 2)")
        elif depth < 2:
            self.loop(indent, depth + 1)
        else:
            self.lines.append(f"{before}t = (t + {self.value()}) % 10007")

    def loop(self, indent: int, depth: int) -> None:
        before, chance, choice = "    " * indent, self.random.random(), self.random.choice
        if chance < 0.8:
            counters = ["ijk"[depth]]
            if chance < 0.6:
                inner = (self.counters[-1], f"{self.counters[-1]} + 1") if self.counters else ()
                start = choice(("0", "0", "1", "2", "a", "-1", *inner))
                stop = choice(("b", "a + b", f"len({self.name()})", f"len({self.name()}) - 1", "6"))
                step = choice(("", "", "", ", 2", ", -1"))
                start, stop = (stop, start) if step == ", -1" else (start, stop)
                self.lines.append(f"{before}for {counters[0]} in range({start}, {stop}{step}):")
            else:
                self.lines.append(f"{before}for {counters[0]}, w{depth} in enumerate({self.name()}[:9]):")
                self.lines.append(f"{before}    t = (t + w{depth}) % 10007")
        else:
            counters = [f"low{depth}", f"high{depth}"]
            first, last = choice(("0", "a", "1")), choice(("b", f"len({self.name()}) - 1", "5"))
            self.lines.append(f"{before}{', '.join(counters)} = {first}, {last}")
            self.lines.append(f"{before}while {' < '.join(counters)}:")
            self.lines.append(f"{before}    {counters[0]} += 1")
            if chance < 0.9:
                self.lines.append(f"{before}    {counters[1]} -= 1")
        self.counters += counters
        for _ in range(self.random.randint(1, 3)):
            self.statement(indent + 1, depth)
        del self.counters[-len(counters) :]


def functions(text: str, name: str) -> tuple[Any, Any]:
    """The function, and the module of what CPython runs: it raises StopIteration after so many rounds as `tick` has."""
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope: dict[str, Any] = {"__name__": "random_loops"}
    exec(compile(text, name, "exec"), scope)
    limited: dict[str, Any] = {}
    lines = []
    for line in text.splitlines():
        lines.append(line)
        if line.lstrip().startswith(("for ", "while ")):
            lines.append(" " * (len(line) - len(line.lstrip()) + 4) + "next(tick)")
    exec(compile("\n".join(lines), name, "exec"), limited)
    return scope["g"], limited


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_loops(seed: int) -> None:
    text = Writer(seed).program()
    function, limited = functions(text, f"<random loops {seed}>")
    compiled = fn(function)
    for xs in LISTS:
        for a, b in BOUNDS:
            limited["tick"] = iter([None] * 3000)
            expected = outcome(limited["g"], (list(xs), a, b))
            if expected[0] is StopIteration:  # it may run for ever
                continue
            before = live_objects()
            found = outcome(compiled, (list(xs), a, b))
            assert found == expected, f"{xs}, {a}, {b}: CPython {expected}, compiled {found}\n{text}"
            assert live_objects() == before, text
