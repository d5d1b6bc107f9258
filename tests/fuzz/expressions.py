"""Random expressions of every type."""

from __future__ import annotations

import ast
import itertools
from random import Random

from rules import EXPRESSIONS, STATEMENTS
from templates import Templates
from types_of import Type

LIMIT = 1 << 20
TOP = 1 << 62
ITEMS = 12  # no container grows beyond this by one statement
TEXT = 16

# Parts of the language that programs may use: those of the forms in rules.py, and those that the writer has by itself.
FEATURES = tuple(
    sorted(
        {r.feature for r in EXPRESSIONS}
        | {f.feature for f in STATEMENTS}
        | {
            "bool", "tuple", "str", "format", "list", "nested list", "dict", "set", "struct", "heap struct", "try",
            "finally", "nested function", "match", "print", "walrus", "sort", "helper", "optional", "slice", "raise",
            "for else", "unpack", "assert", "bytes", "complex", "method", "with", "exception class", "nonlocal",
            "generic", "default argument", "return",
        }
    )
)  # fmt: skip


def constant(text: str) -> bool:
    """Whether CPython's compiler knows the value of an expression that was written without operators."""
    try:
        ast.literal_eval(text)
    except ValueError:
        return False
    return True


class Expressions(Templates):
    """Writes expressions; knows the names that may be read, with their types."""

    def __init__(self, random: Random, features: frozenset[str] = frozenset(FEATURES)) -> None:
        self.random = random
        self.features = features
        self.serial = itertools.count()
        self.lines: list[str] = []
        self.variables: dict[str, Type] = {}  # may be assigned
        self.fixed: dict[str, Type] = {}  # parameters, loop variables, captured names
        self.structs: dict[str, tuple[bool, dict[str, Type]]] = {}  # frozen?, fields
        self.helpers: list[tuple[str, list[Type], Type]] = []
        self.defaults: dict[str, int] = {}  # how many parameters of a helper have one
        self.loops = 0  # loops around this statement, in this function
        self.walrus = 0
        self.inner = 0
        self.shown = False
        self.in_helper = False
        self.pool: list[Type] = []
        self.own_structs: list[str] = []  # of this program
        self.size = 1  # of programs
        self.leaving = ""  # how this function returns its variables, from anywhere
        self.prepare()

    # -- types ---------------------------------------------------------------------------------------------

    def has(self, feature: str) -> bool:
        return feature in self.features

    def fresh(self, letter: str) -> str:
        return f"{letter}{next(self.serial)}"

    def choose_pool(self) -> None:
        """The types that the programs of a module use: few, so that code for them is compiled once."""
        r = self.random
        scalars = [
            t for t in ("int", "float", "str", "bool", "bytes", "complex") if t in ("int", "float") or self.has(t)
        ]
        items: list[Type] = [t for t in scalars if t in ("int", "float", "str") or r.random() < 0.4]
        keys: list[Type] = [t for t in items if t in ("int", "str")]
        pool = list(items)
        if self.has("tuple"):
            pair: Type = ("tuple", r.choice(items), r.choice(items))
            pool += [pair, ("tuple", *(r.choice(items) for _ in range(r.randint(1, 3))))]
            items = [*items, pair]
            keys += [("tuple", "int", r.choice(keys))] if r.random() < 0.2 else []
        for name, feature in (("Node", "heap struct"), ("Vec", "operators"), ("Derived", "inheritance")):
            if self.has(feature) and r.random() < 0.4:
                pool.append(("struct", name))
                items = [*items, ("struct", name)] if r.random() < 0.5 else items
                keys += [("struct", name)] if name == "Vec" and r.random() < 0.2 else []
        if self.has("list"):
            pool += [("list", "int"), ("list", r.choice(items)), ("list", r.choice(items))]
            if self.has("nested list"):
                inner = r.choice(pool[len(items) :])
                pool.append(("list", inner) if inner[0] != "optional" else ("list", "str"))
        if self.has("dict"):
            pool += [
                ("dict", r.choice(keys), r.choice(items)),
                ("dict", r.choice(keys), r.choice(("int", r.choice(pool)))),
            ]
        if self.has("set"):
            pool += [("set", r.choice(keys)) for _ in range(2)]
        if self.has("optional"):
            pool += [("optional", r.choice(pool)), ("optional", r.choice(("int", "float", *keys)))]
        self.pool = pool

    def type(self, depth: int) -> Type:
        """One of the pool, or a struct of this program."""
        r = self.random
        if self.own_structs and depth > 0 and r.random() < 0.2:
            return ("struct", r.choice(self.own_structs))
        return r.choice([t for t in self.pool if depth > 0 or isinstance(t, str)])

    def named(self, t: Type) -> list[str]:
        return [n for n, found in (self.variables | self.fixed).items() if found == t]

    def some(self, kind: str, assignable: bool = False) -> tuple[str, Type] | None:
        """A name whose type is a list, dict ..."""
        names = self.variables if assignable else self.variables | self.fixed
        found = [(n, t) for n, t in names.items() if isinstance(t, tuple) and t[0] == kind]
        return self.random.choice(found) if found else None

    # -- expressions ---------------------------------------------------------------------------------------

    def value(self, t: Type, depth: int) -> str:
        """An expression of a type; ints are below LIMIT."""
        r = self.random
        if t == "int":
            return self.bounded(depth)
        names = self.named(t)
        if names and r.random() < (0.4 if depth > 0 else 0.85):
            return r.choice(names)
        if depth > 0 and r.random() < 0.3:
            text = self.call(t, depth)
            if text is not None:
                return text
        if t == "float":
            return self.real(depth)
        if t == "bool":
            return self.condition(depth)
        if depth > 0 and r.random() < 0.8:
            text = self.by_rule(t, depth)
            if text is not None:
                return text
        return self.display(t, depth)

    def display(self, t: Type, depth: int) -> str:
        """A constant, a display or a call of a class."""
        r = self.random
        match t:
            case "str":
                return repr(r.choice(("a", "", "hello", "é☃", "1,2", " b ", "12", "aXa", "ß")))
            case "bytes":
                return r.choice(("b''", "b'ab'", "b'\\x00\\xff'", "b'hello'", "b'12'"))
            case "complex":
                return r.choice(("1j", "(2.5-1j)", "0j"))
            case ("tuple", *parts):
                return "(" + "".join(f"{self.value(part, depth - 1)}, " for part in parts) + ")"
            case ("list", item):
                return "[" + ", ".join(self.value(item, depth - 1) for _ in range(r.choice((0, 1, 2, 3)))) + "]"
            case ("dict", key, item):
                pairs = [f"{self.value(key, 0)}: {self.value(item, depth - 1)}" for _ in range(r.randint(0, 3))]
                return "{" + ", ".join(pairs) + "}"
            case ("set", item):
                items = [self.value(item, 0) for _ in range(r.randint(0, 3))]
                if len(items) == 3 and all(map(constant, items)):
                    del items[2]  # the order of three constants is one after compiling, another from a .pyc file
                return f"{{{', '.join(items)}}}" if items else "set()"
            case ("optional", inner):
                return "None" if r.random() < 0.4 else self.value(inner, depth - 1)
            case ("struct", name):
                return f"{name}({', '.join(self.value(f, depth - 1) for f in self.structs[name][1].values())})"
        raise ValueError(t)

    def call(self, t: Type, depth: int) -> str | None:
        """A call of a helper or a nested function that gives a type."""
        r = self.random
        calls = [h for h in self.helpers if h[2] == t and (not self.loops or not h[0].startswith("p"))]
        if not calls:
            return None
        name, params, _ = r.choice(calls)
        values = [self.value(p, depth - 1) for p in params]
        for k in range(len(params) - self.defaults.get(name, 0), len(params)):
            values[k] = f"q{k}={values[k]}" if r.random() < 0.5 else ""
        for k in range(len(values) - 1):  # nothing by position after what is left out
            if values[k] == "" or values[k].startswith(f"q{k}="):
                values[k + 1 :] = [v if v.startswith(f"q{n}=") else "" for n, v in enumerate(values[k + 1 :], k + 1)]
        return f"{name}({', '.join(v for v in values if v)})"

    def small(self) -> str:
        """An int in -2 ... 4, mostly."""
        names = self.named("int")
        if not names or self.random.random() < 0.3:
            return str(self.random.randint(-2, 4))
        return f"{self.random.choice(names)} % 5"

    def bounded(self, depth: int) -> str:
        text, bound = self.integer(depth)
        return text if bound < LIMIT else f"({text}) % {LIMIT - 3}"

    def integer(self, depth: int) -> tuple[str, int]:
        r = self.random
        if depth <= 0 or r.random() < 0.2:
            names = self.named("int")
            if not names or r.random() < 0.4:
                value = r.choice((0, 1, -1, 2, 7, -13, 255, 65536))
                return (str(value) if value >= 0 else f"({value})"), abs(value)
            return r.choice(names), LIMIT
        if r.random() < 0.35:
            text = self.by_rule("int", depth) if r.random() < 0.8 else self.call("int", depth)
            if text is not None:
                return f"({text})", LIMIT
        (p, m), (q, n) = self.integer(depth - 1), self.integer(depth - 1)
        kind = r.choice(
            ("+", "-", "*", "//", "%", "&", "|", "^", "<<", ">>", "min", "max", "abs", "-x", "~", "if", "int")
        )
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
            case "int" if self.named("float"):
                v = r.choice(self.named("float"))
                return f"(int({v}) if -1e6 < {v} < 1e6 else {p})", max(10**6, m)
        return f"abs({p})", m

    def real(self, depth: int) -> str:
        r = self.random
        if depth <= 0 or r.random() < 0.2:
            return r.choice((*self.named("float"), "0.0", "(-0.0)", "1.5", "(-2.25)", "1e300", "0.1"))
        if r.random() < 0.4:
            text = self.by_rule("float", depth)
            if text is not None:
                return f"({text})"
        kind = r.choice(("+", "-", "*", "/", "//", "%", "int", "abs", "-x", "min", "max", "if", "sqrt", "mixed"))
        p, q = self.value("float", depth - 1), self.value("float", depth - 1)
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
            case "sqrt":
                return f"math.sqrt(abs({p}))"
            case "mixed":
                return f"({self.integer(depth - 1)[0]} {r.choice('+-*/')} {q})"
        return f"({p} {kind} {q})"

    def condition(self, depth: int) -> str:
        r = self.random
        if depth > 0 and r.random() < 0.3:
            match r.randrange(3):
                case 0:
                    return f"({self.condition(depth - 1)} and {self.condition(depth - 1)})"
                case 1:
                    return f"({self.condition(depth - 1)} or {self.condition(depth - 1)})"
            return f"(not {self.condition(depth - 1)})"
        if depth > 0 and r.random() < 0.6:
            text = self.by_rule("bool", depth)
            if text is not None:
                return f"({text})"
        if self.named("bool") and r.random() < 0.3:
            return r.choice(self.named("bool"))
        less = r.choice(("<", "<=", ">", ">=", "==", "!="))
        if r.random() < 0.6:
            return f"({self.integer(min(depth, 1))[0]} {less} {self.integer(0)[0]})"
        return f"({self.real(min(depth, 1))} {less} {self.real(0)})"
