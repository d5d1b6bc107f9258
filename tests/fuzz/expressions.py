"""Random expressions of every type."""

from __future__ import annotations

import itertools
from random import Random

LIMIT = 1 << 20
TOP = 1 << 62
ITEMS = 12  # no container grows beyond this by one statement
TEXT = 16

# Each is a part of the language that programs may use.
FEATURES = (
    "bool",
    "tuple",
    "str",
    "format",
    "list",
    "nested list",
    "comprehension",
    "dict",
    "set",
    "struct",
    "heap struct",
    "try",
    "finally",
    "nested function",
    "match",
    "print",
    "walrus",
    "sort",
    "helper",
    "optional",
    "slice",
    "raise",
    "for else",
    "unpack",
    "assert",
)

# "int", ("list", T), ("dict", K, V), ("set", T), ("tuple", T, ...), ("struct", name), ("optional", T)
Type = str | tuple


def annotation(t: Type) -> str:
    """The type as Python writes it."""
    if isinstance(t, str):
        return t
    match t[0]:
        case "struct":
            return t[1]
        case "optional":
            return f"{annotation(t[1])} | None"
    return f"{t[0]}[{', '.join(annotation(part) for part in t[1:])}]"


class Expressions:
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
        self.loops = 0  # loops around this statement, in this function
        self.nesting = 0  # how deep blocks are
        self.in_helper = False

    # -- types ---------------------------------------------------------------------------------------------

    def has(self, feature: str) -> bool:
        return feature in self.features

    def type(self, depth: int) -> Type:
        r = self.random
        kinds = ["int", "int", "float"]
        kinds += [k for k in ("bool", "str", "str", "bytes", "complex") if self.has(k)]
        if depth > 0:
            kinds += [k for k in ("tuple", "list", "list", "dict", "set", "struct", "optional") if self.has(k)]
        kind = r.choice(kinds)
        match kind:
            case "tuple":
                return ("tuple", *(self.type(depth - 1) for _ in range(r.randint(1, 3))))
            case "list":
                deep = self.has("nested list") and r.random() < 0.3
                return ("list", self.type(depth - 1) if deep else self.type(0))
            case "dict":
                return ("dict", self.key_type(), self.type(depth - 1) if r.random() < 0.3 else self.type(0))
            case "set":
                return ("set", self.key_type())
            case "struct":
                return ("struct", r.choice(sorted(self.structs))) if self.structs else "int"
            case "optional":
                return ("optional", r.choice(["int", "float", *(["str"] if self.has("str") else [])]))
        return kind

    def key_type(self) -> Type:
        kinds: list[Type] = ["int", *(["str"] if self.has("str") else [])]
        if self.has("tuple") and self.random.random() < 0.2:
            return ("tuple", "int", self.random.choice(kinds))
        return self.random.choice(kinds)

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
        calls = [h for h in self.helpers if h[2] == t and (not self.loops or not h[0].startswith("p"))]
        if names and r.random() < (0.5 if depth > 0 else 0.8):
            return r.choice(names)
        if calls and depth > 0 and r.random() < 0.3:
            name, params, _ = r.choice(calls)
            return f"{name}({', '.join(self.value(p, depth - 1) for p in params)})"
        if isinstance(t, str):
            return self.scalar(t, depth)
        match t[0]:
            case "tuple":
                return "(" + "".join(f"{self.value(part, depth - 1)}, " for part in t[1:]) + ")"
            case "list":
                return self.list(t[1], depth)
            case "dict":
                return self.dict(t, depth)
            case "set":
                return self.set(t[1], depth)
            case "optional":
                return "None" if r.random() < 0.4 else self.value(t[1], depth - 1)
        fields = self.structs[t[1]][1]
        return f"{t[1]}({', '.join(self.value(f, depth - 1) for f in fields.values())})"

    def scalar(self, t: str, depth: int) -> str:
        """An expression of a type without parts that is no int."""
        return {
            "float": self.real, "bool": self.condition, "str": self.text, "bytes": self.bytes, "complex": self.complex
        }[t](depth)  # fmt: skip

    def bytes(self, depth: int) -> str:
        raise NotImplementedError

    def complex(self, depth: int) -> str:
        raise NotImplementedError

    def integer_of_more(self, depth: int) -> tuple[str, int] | None:
        raise NotImplementedError

    def text_of_more(self, depth: int) -> str:
        raise NotImplementedError

    def small(self) -> str:
        """An int in -3 ... 5, mostly."""
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
            found = self.integer_of_others(depth - 1)
            if found is not None:
                return found
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

    def integer_of_others(self, depth: int) -> tuple[str, int] | None:
        """An int that comes from another type."""
        r = self.random
        kind = r.choice(("list", "list", "dict", "set", "str", "tuple", "struct", "helper", "bool"))
        if r.random() < 0.3:
            return self.integer_of_more(depth)
        if not self.has(kind):
            return None
        if kind == "str":
            s = self.value("str", depth)
            text, bound = r.choice(
                (
                    (f"len({s})", 64),
                    (f"({s}).find({self.value('str', 0)})", 64),
                    (f"({s}).count({self.value('str', 0)})", 64),
                    (f"int(({s})[:5])", 10**5),
                    (f"ord({s})", 1 << 21),
                )
            )
            return text, bound
        if kind == "bool":
            return f"int({self.condition(depth)})", 1
        if kind == "helper":
            calls = [h for h in self.helpers if h[2] == "int" and (not self.loops or not h[0].startswith("p"))]
            if not calls:
                return None
            name, params, _ = r.choice(calls)
            return f"{name}({', '.join(self.value(p, depth) for p in params)})", TOP >> 1 if name[0] == "g" else LIMIT
        chosen = self.some(kind)
        if chosen is None:
            return None
        name, t = chosen
        if kind in ("list", "dict", "set") and r.random() < 0.4:
            return f"len({name})", 64
        match kind:
            case "list" if t[1] == "int":
                return r.choice(
                    (
                        (f"{name}[{self.small()}]", LIMIT),
                        (f"sum({name})", 64 * LIMIT),
                        (f"min({name})", LIMIT),
                        (f"max({name})", LIMIT),
                        (f"{name}.count({self.bounded(0)})", 64),
                        (f"{name}.index({self.bounded(0)})", 64),
                    )
                )
            case "dict" if t[2] == "int":
                key = self.value(t[1], depth)
                return r.choice(((f"{name}[{key}]", LIMIT), (f"{name}.get({key}, {self.small()})", LIMIT)))
            case "tuple":
                found = [k for k, part in enumerate(t[1:]) if part == "int"]
                return (f"{name}[{r.choice(found)}]", LIMIT) if found else None
            case "struct":
                found = [f for f, part in self.structs[t[1]][1].items() if part == "int"]
                return (f"{name}.{r.choice(found)}", LIMIT) if found else None
        return None

    def real(self, depth: int) -> str:
        r = self.random
        if depth <= 0 or r.random() < 0.2:
            return r.choice((*self.named("float"), "0.0", "(-0.0)", "1.5", "(-2.25)", "1e300", "0.1"))
        kind = r.choice(
            ("+", "-", "*", "/", "//", "%", "int", "abs", "-x", "min", "max", "if", "sqrt", "mixed", "item")
        )
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
            case "item":
                chosen = self.some("list")
                if chosen and isinstance(chosen[1], tuple) and chosen[1][1] == "float":
                    return f"{chosen[0]}[{self.small()}]"
                return p
        return f"({p} {kind} {q})"

    def condition(self, depth: int) -> str:
        r = self.random
        if depth > 0 and r.random() < 0.35:
            match r.randrange(3):
                case 0:
                    return f"({self.condition(depth - 1)} and {self.condition(depth - 1)})"
                case 1:
                    return f"({self.condition(depth - 1)} or {self.condition(depth - 1)})"
            return f"(not {self.condition(depth - 1)})"
        if r.random() < 0.35:
            found = self.condition_of_others()
            if found is not None:
                return found
        less = r.choice(("<", "<=", ">", ">=", "==", "!="))
        if r.random() < 0.5:
            return f"{self.integer(1)[0]} {less} {self.integer(1)[0]}"
        if r.random() < 0.3:
            return f"{self.real(0)} < {self.real(0)} <= {self.real(0)}"
        return f"{self.real(1)} {less} {self.real(1)}"

    def condition_of_others(self) -> str | None:
        r = self.random
        kind = r.choice(("bool", "str", "list", "dict", "set", "tuple", "optional"))
        if not self.has(kind):
            return None
        if kind == "bool":
            return r.choice([*self.named("bool"), "True", "False"])
        if kind == "str":
            s, other = self.value("str", 1), self.value("str", 0)
            less = r.choice(("==", "!=", "<", ">=", "in", "not in"))
            method = r.choice(("isdigit", "isalpha", "isspace", "isupper"))
            return r.choice((f"{s} {less} {other}", f"({s}).startswith({other})", f"({s}).{method}()", f"bool({s})"))
        chosen = self.some(kind)
        if chosen is None:
            return None
        name, t = chosen
        other = self.value(t, 0)
        match kind:
            case "list":
                choices = [f"not {name}", f"{name} == {other}"]
                if t[1] in ("int", "str", "float"):
                    choices += [f"{self.value(t[1], 0)} in {name}", f"{name} < {other}"]
                if self.has("comprehension"):
                    choices.append(f"{r.choice(('any', 'all'))}({self.over(name, t[1], 'bool')})")
                return r.choice(choices)
            case "dict":
                return r.choice((f"{self.value(t[1], 0)} in {name}", f"{name} == {other}", f"bool({name})"))
            case "set":
                return r.choice(
                    (f"{self.value(t[1], 0)} not in {name}", f"{name} {r.choice(('==', '<=', '>'))} {other}")
                )
            case "optional":
                return r.choice((f"{name} is None", f"{name} is not None"))
        return f"{name} {r.choice(('==', '!='))} {other}"

    def over(self, source: str, item: Type, result: Type) -> str:
        """`expression for name in source if condition`."""
        name = f"c{next(self.serial)}"
        self.fixed[name] = item
        text = self.value(result, 1)
        condition = f" if {self.condition(1)}" if self.random.random() < 0.4 else ""
        del self.fixed[name]
        return f"{text} for {name} in {source}{condition}"

    def text(self, depth: int) -> str:
        r = self.random
        if depth <= 0 or r.random() < 0.25:
            return r.choice((*self.named("str"), "'a'", "''", "'hello'", "'é☃'", "'1,2'", "' b '"))
        if self.has("text methods") and r.random() < 0.3:
            return self.text_of_more(depth)
        s, other = self.value("str", depth - 1), self.value("str", depth - 1)
        choices = [
            f"({s} + {other})[:{TEXT}]",
            f"({s} * ({self.small()}))[:{TEXT}]",
            f"({s}).upper()[:{TEXT}]",
            f"({s}).replace({other}, 'z')[:{TEXT}]",
            f"({s}).strip()",
            f"str({self.bounded(1)})",
            f"({s} if {self.condition(1)} else {other})",
        ]
        if self.has("slice"):
            choices += [f"({s})[{self.small()}]", f"({s})[{self.small()}:{self.small()}]", f"({s})[::-1]"]
        if self.has("format"):
            width = r.choice(("", ":5", ":<4", ":>6"))
            choices += [
                f"f'{{{self.bounded(0)}{width}}}|{{{self.real(0)}}}'[:{TEXT}]",
                f"f'<{{{r.choice([*self.named('str'), '0'])}}}>'[:{TEXT}]",
                f"repr({s})[:{TEXT}]",
                f"str({self.real(1)})",
                f"f'{{{self.real(0)}:.2f}}'[:{TEXT}]",
            ]
        if self.has("list"):
            choices.append(f"({other}).join({self.value(('list', 'str'), depth - 1)})[:{TEXT}]")
            choices += [f"{n}[{self.small()}]" for n in self.named(("list", "str"))]
        return r.choice(choices)

    def list(self, item: Type, depth: int) -> str:
        r = self.random
        t: Type = ("list", item)
        literal = "[" + ", ".join(self.value(item, depth - 1) for _ in range(r.choice((0, 1, 2, 3)))) + "]"
        if depth <= 0 or r.random() < 0.3:
            return literal
        names = self.named(t)
        choices = [f"[{self.value(item, depth - 1)}] * ({self.small()})"]
        if names:
            source = r.choice(names)
            choices += [f"({source} + {self.value(t, depth - 1)})[:{ITEMS}]", f"list({source})", f"{source}.copy()"]
            if self.has("slice"):
                choices += [f"{source}[{self.small()}:{self.small()}]", f"{source}[::-1]", f"{source}[::2]"]
            if self.has("sort") and item in ("int", "str", "bool"):
                choices += [f"sorted({source})", f"sorted({source}, reverse={r.choice(('True', 'False'))})"]
            if self.has("sort") and item == "int":
                choices.append(f"sorted({source}, key=lambda z: (z % 7, -z))")
        others = self.some("list")
        if self.has("comprehension") and others and isinstance(others[1], tuple):
            choices += [f"[{self.over(others[0], others[1][1], item)}]"] * 2
        if self.has("comprehension"):
            choices.append(f"[{self.over(f'range({self.small()} + 2)', 'int', item)}]")
        if item == "int":
            choices.append(f"list(range({self.small()}))")
        if item == "str" and self.has("str"):
            choices += [
                f"({self.value('str', 1)}).split(',')",
                f"list({self.value('str', 1)})",
                f"({self.value('str', 1)}).split()",
            ]
        for kind, view, part in (("dict", "keys", 1), ("dict", "values", 2)):
            chosen = self.some(kind)
            if chosen and isinstance(chosen[1], tuple) and chosen[1][part] == item:
                choices.append(f"list({chosen[0]}.{view}())")
        return r.choice(choices)

    def dict(self, t: tuple, depth: int) -> str:
        r = self.random
        names = self.named(t)
        if depth > 0 and names and r.random() < 0.3:
            return r.choice((f"{r.choice(names)}.copy()", f"dict({r.choice(names)})"))
        if depth > 0 and self.has("comprehension") and r.random() < 0.3:
            name, count = f"c{next(self.serial)}", self.small()
            self.fixed[name] = "int"
            text = f"{{{self.value(t[1], 1)}: {self.value(t[2], 1)} for {name} in range({count} + 1)}}"
            del self.fixed[name]
            return text
        return (
            "{"
            + ", ".join(f"{self.value(t[1], 0)}: {self.value(t[2], depth - 1)}" for _ in range(r.randint(0, 3)))
            + "}"
        )

    def set(self, item: Type, depth: int) -> str:
        r = self.random
        t: Type = ("set", item)
        names = self.named(t)
        if depth > 0 and names and r.random() < 0.4:
            return f"({r.choice(names)} {r.choice('|&-^')} {self.value(t, depth - 1)})"
        if depth > 0 and self.has("list") and r.random() < 0.3:
            return f"set({self.value(('list', item), depth - 1)})"
        items = ", ".join(self.value(item, 0) for _ in range(r.randint(0, 3)))
        return f"{{{items}}}" if items else "set()"
