"""Random programs: typed, seeded, and sure to end.

`Writer(random, features).module(count)` is a module in the format of tests/conformance. Its programs are valid Python that
the language has: every variable keeps its type and is bound before it is read, ints stay small (variables below LIMIT,
intermediate values in i64), loops are short, containers and texts are cut, helpers call earlier helpers only. What may go
wrong is left in: division by zero, wrong indices and keys, empty containers, texts that are no numbers.
"""

from __future__ import annotations

import itertools
from random import Random

LIMIT = 1 << 20
TOP = 1 << 62
ITEMS = 12  # no container grows beyond this by one statement
TEXT = 16

# Each is a part of the language that programs may use.
FEATURES = (
    "bool", "tuple", "str", "format", "list", "nested list", "comprehension", "dict", "set", "struct", "heap struct",
    "try", "finally", "nested function", "match", "print", "walrus", "sort", "helper", "optional", "slice", "raise",
    "for else", "unpack", "assert",
)

Type = str | tuple  # "int", ("list", T), ("dict", K, V), ("set", T), ("tuple", T, ...), ("struct", name), ("optional", T)


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


class Writer:
    """Writes modules of programs. One writer, one stream of random numbers."""

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

    # -- modules and functions -----------------------------------------------------------------------------

    def module(self, count: int) -> str:
        """A module of `count` programs."""
        self.lines = ["import math", "", "from conformance import case, fn", "from sapwood import struct", ""]
        for k in range(count):
            self.program(f"p{k}")
        return "\n".join(self.lines) + "\n"

    def program(self, name: str) -> None:
        self.structs, self.helpers = {}, []
        if self.has("struct"):
            for k in range(self.random.randint(0, 2)):
                self.struct(f"{name.upper()}S{k}")
        if self.has("helper"):
            for k in range(self.random.randint(0, 2)):
                self.helper(f"{name}h{k}")
        params = {"a": "int", "b": "int", "x": "float"}
        if self.has("str"):
            params["s"] = "str"
        if self.has("list"):
            params["given"] = ("list", "int")
        for _ in range(3):
            values = ", ".join(self.argument(t) for t in params.values())
            self.line(0, f"@case({values})")
        self.function(name, params, None)

    def function(self, name: str, params: dict[str, Type], result: Type | None) -> None:
        """`result` None: a tuple of some of the variables."""
        r = self.random
        self.variables, self.fixed, self.loops = {}, dict(params), 0
        outer, self.lines = self.lines, []
        known = len(self.helpers)
        if "given" in self.fixed:  # a list that comes from Python may not be changed
            self.variables["xs"] = self.fixed.pop("given")
            self.line(1, "xs = list(given)")
        for k in range(r.randint(3, 6)):
            t = self.type(2)
            self.line(1, f"{self.declare(f'v{k}', t)} = {self.value(t, 1)}")
            self.variables[f"v{k}"] = t
        if self.has("nested function") and r.random() < 0.3:
            self.inner_function()
        self.block(1, r.randint(1, 3) if self.in_helper else r.randint(3, 7))
        if result is None:
            names = r.sample(sorted(self.variables), min(3, len(self.variables)))
            result = ("tuple", *(self.variables[n] for n in names))
            self.line(1, f"return {', '.join(names)}" + ("," if len(names) == 1 else ""))
        else:
            self.line(1, f"return {self.value(result, 2)}")
        del self.helpers[known:]  # inner functions
        body, self.lines = self.lines, outer
        arguments = ", ".join(f"{n}: {annotation(t)}" for n, t in params.items())
        self.line(0, "@fn")
        self.line(0, f"def {name}({arguments}) -> {annotation(result)}:")
        self.lines += [*body, "", ""]

    def helper(self, name: str) -> None:
        params: dict[str, Type] = {f"q{k}": self.type(1) for k in range(self.random.randint(1, 3))}
        result = self.type(1)
        self.in_helper = True
        self.function(name, params, result)
        self.in_helper = False
        self.helpers.append((name, list(params.values()), result))

    def inner_function(self) -> None:
        """Reads parameters of the outer function, which are never assigned."""
        name, own = f"g{next(self.serial)}", self.variables
        self.variables = {}
        self.fixed["u"] = "int"
        result = self.random.choice(("int", "float"))
        text = self.value(result, 2)
        del self.fixed["u"]
        self.variables = own
        if self.random.random() < 0.5:
            self.line(1, f"{name} = lambda u: {text}")
        else:
            self.line(1, f"def {name}(u: int) -> {result}:")
            self.line(2, f"return {text}")
        self.helpers.append((name, ["int"], result))

    def struct(self, name: str) -> None:
        r = self.random
        kinds: list[Type] = ["int", "float"]
        if self.has("heap struct"):
            kinds += ["str", ("list", "int")]
        frozen = r.random() < 0.5
        fields = {f"f{k}": r.choice(kinds) for k in range(r.randint(1, 3))}
        self.line(0, "@struct(frozen=True)" if frozen else "@struct")
        self.line(0, f"class {name}:")
        for field, t in fields.items():
            self.line(1, f"{field}: {annotation(t)}")
        self.lines += ["", ""]
        self.structs[name] = (frozen, fields)

    def argument(self, t: Type) -> str:
        r = self.random
        match t:
            case "int":
                return repr(r.choice((0, 1, -1, 2, 3, 5, r.randint(-LIMIT + 1, LIMIT - 1))))
            case "float":
                return repr(r.choice((0.0, -0.0, 1.0, 1e-300, 1e200, r.uniform(-10, 10))))
            case "str":
                return repr(r.choice(("", "a", "12", "hello", "a,b,,c", "é☃𝄞x", " pad ", "Ab1")))
        return repr([r.randint(-9, 9) for _ in range(r.choice((0, 1, 2, 5)))])

    # -- types ---------------------------------------------------------------------------------------------

    def has(self, feature: str) -> bool:
        return feature in self.features

    def type(self, depth: int) -> Type:
        r = self.random
        kinds = ["int", "int", "float"]
        kinds += [k for k in ("bool", "str", "str") if self.has(k)]
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

    # -- statements ----------------------------------------------------------------------------------------

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def declare(self, name: str, t: Type) -> str:
        return f"{name}: {annotation(t)}" if isinstance(t, tuple) and t[0] in ("list", "dict", "set", "optional") else name

    def block(self, depth: int, count: int) -> None:
        for _ in range(count):
            self.statement(depth)

    def statement(self, depth: int) -> None:
        r = self.random
        simple = [self.assignment, self.assignment, self.assignment, self.augmented, self.mutation, self.mutation]
        if self.has("print"):
            simple.append(self.output)
        if self.has("raise"):
            simple.append(self.raising)
        if self.has("assert") and r.random() < 0.3:
            simple.append(self.assertion)
        if self.loops:
            simple.append(self.leave)
        compound = [self.branch, self.branch]
        if self.loops < (1 if self.in_helper else 2):
            compound += [self.range_loop, self.while_loop, self.item_loop]
        if self.has("try"):
            compound += [self.attempt, self.attempt]
        if self.has("match"):
            compound.append(self.matching)
        if depth <= 3 and r.random() < 0.4:
            r.choice(compound)(depth)
        else:
            r.choice(simple)(depth)

    def assignment(self, depth: int) -> None:
        r = self.random
        if not self.variables:
            return
        name = r.choice(sorted(self.variables))
        t = self.variables[name]
        same = [n for n in self.named(t) if n in self.variables and n != name]
        if same and r.random() < 0.15:
            self.line(depth, f"{name}, {same[0]} = {same[0]}, {name}")
        elif self.has("unpack") and t == "int" and self.has("tuple") and r.random() < 0.1:
            self.line(depth, f"{name}, _ = {self.value(('tuple', 'int', 'float'), 1)}")
        else:
            self.line(depth, f"{name} = {self.value(t, 3)}")

    def augmented(self, depth: int) -> None:
        r = self.random
        name = r.choice(sorted(self.variables))
        match self.variables[name]:
            case "int":
                self.line(depth, f"{name} {r.choice(('+', '-', '^', '|'))}= {self.bounded(1)}")
                self.line(depth, f"{name} %= {LIMIT - 7}")
            case "float":
                self.line(depth, f"{name} {r.choice('+-*')}= {self.value('float', 1)}")
            case "str":
                self.line(depth, f"{name} += {self.value('str', 1)}")
                self.line(depth, f"{name} = {name}[:{TEXT}]")
            case _:
                self.assignment(depth)

    def mutation(self, depth: int) -> None:
        r = self.random
        kind = r.choice(("list", "dict", "set", "struct"))
        chosen = self.some(kind, assignable=True)
        if chosen is None:
            return self.assignment(depth)
        name, t = chosen
        match kind:
            case "list":
                self.list_mutation(depth, name, t[1])
            case "dict":
                key, value = self.value(t[1], 1), self.value(t[2], 1)
                text = r.choice((
                    f"{name}[{key}] = {value}", f"{name}[{key}] = {value}", f"del {name}[{key}]", f"{name}.pop({key})",
                    f"{name}.clear()", f"{name}.update({self.value(t, 1)})", f"{name}.setdefault({key}, {value})",
                ))
                if t[2] == "int" and r.random() < 0.2:
                    text = f"{name}[{key}] = {name}.get({key}, 0) // 2 + {self.small()}"
                guard = "=" in text or "set" in text or "update" in text
                self.line(depth, f"if len({name}) < {ITEMS}:" if guard else f"if {self.condition(1)}:")
                self.line(depth + 1, text)
            case "set":
                item = self.value(t[1], 1)
                text = r.choice((f"add({item})", f"add({item})", f"discard({item})", f"remove({item})", "clear()"))
                self.line(depth, f"if len({name}) < {ITEMS}:")
                self.line(depth + 1, f"{name}.{text}")
            case "struct":
                frozen, fields = self.structs[t[1]]
                field = r.choice(sorted(fields))
                if frozen:
                    return self.assignment(depth)
                self.line(depth, f"{name}.{field} = {self.value(fields[field], 2)}")
        return None

    def list_mutation(self, depth: int, name: str, item: Type) -> None:
        r = self.random
        value, index = self.value(item, 2), self.small()
        grows = [f"{name}.append({value})"] * 3 + [f"{name}.insert({index}, {value})"]
        grows.append(f"{name}.extend({self.value(('list', item), 1)})")
        others = [f"{name}[{index}] = {value}", f"{name}.pop()", f"{name}.reverse()", f"{name}.pop({index})"]
        others += [f"del {name}[{index}]", f"{name}.clear()"]
        if item in ("int", "str", "bool"):
            others.append(f"{name}.remove({value})")
            if self.has("sort"):
                others += [f"{name}.sort()", f"{name}.sort(reverse=True)"]
        if r.random() < 0.6:
            self.line(depth, f"if len({name}) < {ITEMS}:")
            self.line(depth + 1, r.choice(grows))
        else:
            self.line(depth, r.choice(others))

    def output(self, depth: int) -> None:
        names = self.random.sample(sorted(self.variables), min(2, len(self.variables)))
        names = [n for n in names if isinstance(self.variables[n], str) or self.has("format")]
        names = [n for n in names if self.ordered(self.variables[n])]
        self.line(depth, f"print({', '.join([repr('p'), *names])})")

    def ordered(self, t: Type) -> bool:
        """Whether its text is the same everywhere: the order of a set is not."""
        if isinstance(t, tuple):
            return t[0] not in ("set", "struct") and all(self.ordered(part) for part in t[1:])
        return True

    def raising(self, depth: int) -> None:
        r = self.random
        self.line(depth, f"if {self.condition(1)}:")
        kind = r.choice(("ValueError", "KeyError", "RuntimeError", "IndexError"))
        argument = self.value("str", 1) if self.has("str") and r.random() < 0.5 else r.choice(('"e"', self.bounded(1), ""))
        self.line(depth + 1, f"raise {kind}({argument})")

    def assertion(self, depth: int) -> None:
        self.line(depth, f"assert {self.condition(1)}, 'asserted'")

    def leave(self, depth: int) -> None:
        self.line(depth, f"if {self.condition(1)}:")
        self.line(depth + 1, self.random.choice(("break", "continue")))

    def branch(self, depth: int) -> None:
        r = self.random
        if self.has("walrus") and r.random() < 0.1:
            name = f"w{next(self.serial)}"
            self.line(depth, f"if ({name} := {self.bounded(2)}) > {self.bounded(0)}:")
            self.fixed[name] = "int"
            self.block(depth + 1, 1)
            del self.fixed[name]
            return
        chosen = self.some("optional")
        if chosen and isinstance(chosen[1], tuple) and r.random() < 0.5:
            name, t = chosen
            self.line(depth, f"if {name} is not None:")
            held = f"w{next(self.serial)}"
            self.line(depth + 1, f"{held} = {name}")
            self.fixed[held] = t[1]
            self.block(depth + 1, r.randint(1, 2))
            del self.fixed[held]
            return
        self.line(depth, f"if {self.condition(2)}:")
        self.block(depth + 1, r.randint(1, 2))
        if r.random() < 0.3:
            self.line(depth, f"elif {self.condition(1)}:")
            self.block(depth + 1, 1)
        if r.random() < 0.5:
            self.line(depth, "else:")
            self.block(depth + 1, r.randint(1, 2))

    def body(self, depth: int, names: dict[str, Type], count: int) -> None:
        self.fixed |= names
        self.loops += 1
        self.block(depth, count)
        self.loops -= 1
        for name in names:
            del self.fixed[name]
        if self.has("for else") and self.random.random() < 0.15:
            self.line(depth - 1, "else:")
            self.block(depth, 1)

    def range_loop(self, depth: int) -> None:
        r = self.random
        i, step = f"i{next(self.serial)}", r.choice((1, 1, 2, 3, -1, -2))
        low, high = r.randint(-3, 3), f"{self.small()} + {r.randint(0, 3)}"
        bounds = f"{low}, {high}, {step}" if step > 0 else f"{high}, {low}, {step}"
        self.line(depth, f"for {i} in range({bounds}):")
        self.body(depth + 1, {i: "int"}, r.randint(1, 3))

    def while_loop(self, depth: int) -> None:
        k = f"k{next(self.serial)}"
        self.line(depth, f"{k} = {self.random.randint(0, 4)}")
        self.line(depth, f"while {k} > 0 and {self.condition(1)}:")
        self.line(depth + 1, f"{k} -= 1")
        self.body(depth + 1, {k: "int"}, self.random.randint(1, 2))

    def item_loop(self, depth: int) -> None:
        r = self.random
        name = f"e{next(self.serial)}"
        kinds = [k for k in ("list", "dict", "str", "set", "tuple") if self.has(k)]
        kind = r.choice(kinds) if kinds else ""
        chosen = None if kind in ("", "str") else self.some(kind)
        if kind == "str":
            self.line(depth, f"for {name} in {self.value('str', 1)}:")
            self.body(depth + 1, {name: "str"}, r.randint(1, 2))
        elif chosen is None or kind == "tuple":
            self.range_loop(depth)
        elif kind == "list":
            source, t = chosen
            match r.randrange(4):
                case 0:
                    self.line(depth, f"for {name}i, {name} in enumerate({source}[:{ITEMS}]):")
                    self.body(depth + 1, {name: t[1], f"{name}i": "int"}, r.randint(1, 2))
                case 1:
                    self.line(depth, f"for {name}i, {name} in zip(range({self.small()} + 3), reversed({source})):")
                    self.body(depth + 1, {name: t[1], f"{name}i": "int"}, r.randint(1, 2))
                case _:
                    self.line(depth, f"for {name} in {source}:")
                    self.body(depth + 1, {name: t[1]}, r.randint(1, 2))
        elif kind == "dict":
            source, t = chosen
            if r.random() < 0.6:
                self.line(depth, f"for {name}, {name}v in {source}.items():")
                self.body(depth + 1, {name: t[1], f"{name}v": t[2]}, r.randint(1, 2))
            else:
                self.line(depth, f"for {name} in {source}:")
                self.body(depth + 1, {name: t[1]}, r.randint(1, 2))
        else:
            source, t = chosen
            self.line(depth, f"for {name} in sorted({source}):")
            self.body(depth + 1, {name: t[1]}, r.randint(1, 2))

    def attempt(self, depth: int) -> None:
        r = self.random
        self.line(depth, "try:")
        self.block(depth + 1, r.randint(1, 2))
        handlers = r.choice((
            ("ZeroDivisionError",), ("IndexError", "KeyError"), ("(ValueError, IndexError)",), ("LookupError",),
            ("Exception",), ("ZeroDivisionError", "Exception"), (),
        ))
        if not self.has("finally") and not handlers:
            handlers = ("Exception",)
        for handler in handlers:
            named = self.has("str") and self.has("format") and r.random() < 0.3
            self.line(depth, f"except {handler}" + (" as e:" if named else ":"))
            target = [n for n in self.named("str") if n in self.variables]
            if named and target:
                self.line(depth + 1, f"{target[0]} = str(e)[:{TEXT}]")
            self.block(depth + 1, 1)
            if r.random() < 0.1:
                self.line(depth + 1, "raise")
        if handlers and r.random() < 0.3:
            self.line(depth, "else:")
            self.block(depth + 1, 1)
        if not handlers or (self.has("finally") and r.random() < 0.3):
            self.line(depth, "finally:")
            loops, self.loops = self.loops, 0  # leaving a loop from finally is a warning in newer Pythons
            self.block(depth + 1, 1)
            self.loops = loops

    def matching(self, depth: int) -> None:
        r = self.random
        if self.has("str") and r.random() < 0.3:
            self.line(depth, f"match {self.value('str', 1)}:")
            patterns = r.sample(["'a'", "'hello' | 'b'", "''", "'12'"], 2)
        elif self.has("tuple") and r.random() < 0.4:
            self.line(depth, f"match ({self.small()}, {self.small()}):")
            patterns = r.sample(["(0, 0)", "(0, _)", "(1 | 2, 3)", "(_, 1)"], 2)
        else:
            self.line(depth, f"match {self.small()}:")
            patterns = r.sample(["0", "1 | 2", "3", "-1"], 2)
        for pattern in patterns:
            guard = f" if {self.condition(1)}" if r.random() < 0.3 else ""
            self.line(depth + 1, f"case {pattern}{guard}:")
            self.block(depth + 2, 1)
        if r.random() < 0.7:
            self.line(depth + 1, "case _:")
            self.block(depth + 2, 1)

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
            return {"float": self.real, "bool": self.condition, "str": self.text}[t](depth)
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
        kind = r.choice(("+", "-", "*", "//", "%", "&", "|", "^", "<<", ">>", "min", "max", "abs", "-x", "~", "if", "int"))
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
        if not self.has(kind):
            return None
        if kind == "str":
            s = self.value("str", depth)
            text, bound = r.choice((
                (f"len({s})", 64), (f"({s}).find({self.value('str', 0)})", 64), (f"({s}).count({self.value('str', 0)})", 64),
                (f"int(({s})[:5])", 10**5), (f"ord({s})", 1 << 21),
            ))
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
                return r.choice((
                    (f"{name}[{self.small()}]", LIMIT), (f"sum({name})", 64 * LIMIT), (f"min({name})", LIMIT),
                    (f"max({name})", LIMIT), (f"{name}.count({self.bounded(0)})", 64),
                    (f"{name}.index({self.bounded(0)})", 64),
                ))
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
        kind = r.choice(("+", "-", "*", "/", "//", "%", "int", "abs", "-x", "min", "max", "if", "sqrt", "mixed", "item"))
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
                return r.choice((f"{self.value(t[1], 0)} not in {name}", f"{name} {r.choice(('==', '<=', '>'))} {other}"))
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
        s, other = self.value("str", depth - 1), self.value("str", depth - 1)
        choices = [
            f"({s} + {other})[:{TEXT}]", f"({s} * ({self.small()}))[:{TEXT}]", f"({s}).upper()[:{TEXT}]",
            f"({s}).replace({other}, 'z')[:{TEXT}]", f"({s}).strip()", f"str({self.bounded(1)})",
            f"({s} if {self.condition(1)} else {other})",
        ]
        if self.has("slice"):
            choices += [f"({s})[{self.small()}]", f"({s})[{self.small()}:{self.small()}]", f"({s})[::-1]"]
        if self.has("format"):
            width = r.choice(("", ":5", ":<4", ":>6"))
            choices += [
                f"f'{{{self.bounded(0)}{width}}}|{{{self.real(0)}}}'[:{TEXT}]", f"f'<{{{r.choice([*self.named('str'), '0'])}}}>'[:{TEXT}]",
                f"repr({s})[:{TEXT}]", f"str({self.real(1)})", f"f'{{{self.real(0)}:.2f}}'[:{TEXT}]",
            ]
        if self.has("list"):
            choices.append(f"({other}).join({self.value(('list', 'str'), depth - 1)})[:{TEXT}]")
            chosen = [n for n in self.named(("list", "str"))]
            choices += [f"{n}[{self.small()}]" for n in chosen]
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
            choices += [f"({self.value('str', 1)}).split(',')", f"list({self.value('str', 1)})", f"({self.value('str', 1)}).split()"]
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
        return "{" + ", ".join(f"{self.value(t[1], 0)}: {self.value(t[2], depth - 1)}" for _ in range(r.randint(0, 3))) + "}"

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
