"""Random functions that iterate: adapters, generator expressions, comprehensions and reductions in each other."""

from __future__ import annotations

import random


class Writer:
    """Writes one function over `x` (Tensor[int, 1]), `xs` (a list of it) and `n`; all items are ints."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def number(self, names: list[str]) -> str:
        chance = self.rng.random()
        if chance < 0.35 and names:
            return self.rng.choice(names)
        if chance < 0.6:
            return str(self.rng.randint(-3, 6))
        if chance < 0.7:
            return "n"
        return f"({self.number(names)} {self.rng.choice('+-*&^')} {self.number(names)})"

    def condition(self, names: list[str]) -> str:
        if self.rng.random() < 0.6:
            return f"{self.number(names)} {self.rng.choice(['<', '>', '!=', '=='])} {self.number(names)}"
        return f"{self.number(names)} % {self.rng.randint(2, 3)}"

    def sequence(self, depth: int, names: list[str]) -> str:
        rng = self.rng
        kind = rng.randint(0, 5)
        if kind == 0:
            return "x"
        if kind == 1:
            return "xs"
        if kind == 2:
            bounds = rng.choice(["n", "3", "-2", *names]), rng.choice("n70")
            return f"range({', '.join(bounds)}, {rng.choice(['1', '2', '-1', '-3', '3'])})"
        if kind == 3:
            return f"({', '.join(self.number(names) for _ in range(3))})"
        if kind == 4 and depth > 0:
            return f"[{self.clauses(depth, names)}]"
        return "range(n)"

    def clauses(self, depth: int, names: list[str]) -> str:
        inner, text = list(names), ""
        for _ in range(self.rng.choice([1, 1, 2])):
            own = self.name()
            text += f" for {own} in {self.iterable(depth - 1, inner)}"
            inner.append(own)
            if self.rng.random() < 0.5:
                text += f" if {self.condition(inner)}"
        return self.number(inner) + text

    def iterable(self, depth: int, names: list[str], single: bool = False) -> str:
        """`single`: no generator expression with several `for`s."""
        if depth <= 0:
            return self.sequence(0, names)
        a, b = self.name(), self.name()

        def inner(single: bool = False) -> str:
            return self.iterable(depth - 1, names, single)

        match self.rng.randint(0, 9):
            case 0:
                return f"map(lambda {a}: {self.number([*names, a])}, {inner()})"
            case 1:
                return f"map(lambda {a}, {b}: {self.number([*names, a, b])}, {inner(True)}, {inner(True)})"
            case 2:
                return f"filter(lambda {a}: {self.condition([*names, a])}, {inner()})"
            case 3:
                return f"({a} * 2 + {b} for {a}, {b} in zip({inner(True)}, {inner(True)}))"
            case 4:
                return f"({a} + 3 * {b} for {a}, {b} in enumerate({inner()}))"
            case 5:
                return f"reversed({self.sequence(depth, names)})"
            case 6 if not single:
                return f"({self.clauses(depth, names)})"
            case 7:
                element, test = self.number([*names, a]), self.condition([*names, a])
                return f"({element} for {a} in {inner(single)} if {test})"
        return self.sequence(depth, names)

    def statement(self, indent: int, names: list[str], depth: int) -> list[str]:
        rng, a, b = self.rng, self.name(), self.name()
        pad = "    " * indent
        match rng.randint(0, 8):
            case 0:
                lines = [f"t += sum({self.iterable(2, names)})"]
            case 1:
                lines = [f"t = t * 3 + {rng.choice(['min', 'max'])}({self.iterable(2, names)}, default=5)"]
            case 2:
                test = f"{self.condition([a])} for {a} in {self.iterable(2, names)}"
                lines = [f"t += {rng.choice(['any', 'all'])}({test})"]
            case 3:
                lines = [f"t += len(list({self.iterable(2, names)})) * 7"]
            case 4:
                lines = [f"t += {self.number(names)} in {self.iterable(1, names)}"]
            case 5:
                it = self.name()
                lines = [
                    f"{it} = iter({self.iterable(2, names, True)})",
                    f"t = t * 2 + next({it}, 4)",
                    f"for {a} in {it}:",
                    f"    t += {a}",
                    f"    if {self.condition([a])}:",
                    "        break",
                    f"t += next({it}, 9) + sum({it})",
                ]
            case 6:
                source = rng.choice(["x", "xs", "range(n)", "filter(None, x)", "[i for i in x if i > n]"])
                lines = ["try:", f"    {a}, {b} = {source}", f"    t += {a} - {b}", "except ValueError:", "    t += 11"]
            case _:
                return self.loop(indent, names, depth, a)
        return [pad + line for line in lines]

    def loop(self, indent: int, names: list[str], depth: int, own: str) -> list[str]:
        rng, pad = self.rng, "    " * indent
        body: list[str] = []
        if rng.random() < 0.4:
            leave = rng.choice(["continue", "break"])
            body += [f"{pad}    if {self.condition([*names, own])}:", f"{pad}        {leave}"]
        if depth > 0:
            for _ in range(rng.randint(1, 2)):
                body += self.statement(indent + 1, [*names, own], depth - 1)
        body.append(f"{pad}    t = (t * 5 + {own}) & 0xFFFFF")
        other = [f"{pad}else:", f"{pad}    t += 13"] if rng.random() < 0.4 else []
        return [f"{pad}for {own} in {self.iterable(2, names)}:", *body, *other]


def module(seed: str, count: int) -> str:
    """The source of a module with the functions f0, f1, ..."""
    lines = ["from sapwood import Tensor, fn"]
    for k in range(count):
        writer = Writer(random.Random(f"{seed}.{k}"))
        lines += ["", "", "@fn", f"def f{k}(x: Tensor[int, 1], n: int) -> int:", "    xs = list(x)", "    t = 0"]
        for _ in range(writer.rng.randint(1, 3)):
            lines += writer.statement(1, [], 1)
        lines.append("    return t")
    return "\n".join(lines) + "\n"
