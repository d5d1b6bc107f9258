"""Random programs: typed, seeded, and sure to end.

`Writer(random, features).module(count)` is a module in the format of tests/conformance. Its programs are valid Python
that the language has: every variable keeps its type and is bound before it is read, ints stay small (variables below
LIMIT, intermediate values in i64), loops are short, containers and texts are cut, helpers call earlier helpers only.
What may go wrong is left in: division by zero, wrong indices and keys, empty containers, texts that are no numbers.
"""

from __future__ import annotations

from classes import Classes
from expressions import ITEMS, LIMIT, TEXT
from rules import SHARED
from types_of import Type, annotation

STRUCTS: dict[str, tuple[bool, dict[str, Type]]] = {
    "Node": (False, {"value": "int"}),
    "Vec": (True, {"x": "int", "y": "int"}),
    "Derived": (False, {"count": "int", "name": "str", "weight": "float"}),
}


class Writer(Classes):
    """Writes modules of programs. One writer, one stream of random numbers."""

    # -- modules and functions -----------------------------------------------------------------------------

    def module(self, count: int) -> str:
        """A module of `count` programs."""
        r = self.random
        self.lines = ["import math", "from collections import defaultdict", "", "from conformance import case, fn"]
        self.lines += ["from sapwood import struct", "", *SHARED.splitlines()]
        self.choose_pool()
        self.size = r.choice((0, 0, 0, 0, 0, 0, 1, 1, 2, 3))  # most are small: they cost a tenth of large ones
        params: dict[str, Type] = {"a": "int", "b": "int", "x": "float"}
        if self.has("str"):
            params["s"] = "str"
        if self.has("list"):
            params["given"] = ("list", "int")
        plain = [t for t in self.pool if t not in params.values() and self.passable(t)]
        params |= {f"given{k}": t for k, t in enumerate(r.sample(plain, min(len(plain), r.randint(0, 2))))}
        for k in range(count):
            self.program(f"p{k}", params)
        return "\n".join(self.lines) + "\n"

    def passable(self, t: Type) -> bool:
        """Whether Python passes it: no structs, no containers in containers, which may not be changed."""
        if isinstance(t, str):
            return True
        return t[0] != "struct" and all(isinstance(part, str) for part in t[1:])

    def program(self, name: str, params: dict[str, Type]) -> None:
        self.structs, self.helpers, self.methods, self.own_structs = dict(STRUCTS), [], {}, []
        self.classes(name.upper())
        if self.has("struct"):
            for k in range(self.random.choice((0,) * 12 + (1, 1, 2) * (1 + self.size))):
                self.struct(f"{name.upper()}S{k}")
        if self.has("helper"):
            for k in range(self.random.choice((0,) * 8 + (1, 1) * (1 + self.size))):
                self.helper(f"{name}h{k}")
        for _ in range(4):
            values = ", ".join(self.argument(t) for t in params.values())
            self.line(0, f"@case({values})")
        self.function(name, params, None)

    def function(self, name: str, params: dict[str, Type], result: Type | None) -> None:
        """`result` None: a tuple of some of the variables."""
        r = self.random
        self.variables, self.fixed, self.loops = {}, dict(params), 0
        outer, self.lines = self.lines, []
        known = len(self.helpers)
        if result is None:  # containers that come from Python may not be changed
            for k, (n, t) in enumerate(params.items()):
                if isinstance(t, tuple) and t[0] in ("list", "dict", "set"):
                    found = self.fixed.pop(n)
                    if r.random() < 0.5:
                        continue
                    self.variables[f"x{k}"] = found
                    self.line(1, f"x{k} = {t[0]}({n})")
        for k in range(r.randint(1, 1 + self.size)):
            t = self.type(2)
            self.line(1, f"{self.declare(f'v{k}', t)} = {self.value(t, 2)}")
            self.variables[f"v{k}"] = t
        if self.has("nested function") and r.random() < 0.15:
            self.inner_function()
        returned = ""
        if result is None:
            names = sorted(n for n, t in self.variables.items() if not self.holds_struct(t) or self.leaves(t))
            names = r.sample(names, min(3, len(names))) or ["a"]
            result = ("tuple", *(self.variables.get(n, "int") for n in names))
            returned = f"return {', '.join(names)}" + ("," if len(names) == 1 else "")
        self.leaving = returned
        self.block(1, 1 if self.in_helper else r.randint(1, 1 + self.size))
        self.line(1, returned or f"return {self.value(result, 2)}")
        del self.helpers[known:]  # inner functions
        body, self.lines = self.lines, outer
        defaults = self.defaults.get(name, 0)
        arguments = ", ".join(
            f"{n}: {annotation(t)}"
            + (f" = {self.display(t, 0) if t == 'str' else '1'}" if k >= len(params) - defaults else "")
            for k, (n, t) in enumerate(params.items())
        )
        returns = f" -> {annotation(result)}"
        plain = all(t in ("int", "float", "bool", "str") for t in (*params.values(), result))
        if self.in_helper and plain and not defaults and self.has("generic") and r.random() < 0.5:
            arguments, returns = ", ".join(params), ""
        self.line(0, "@fn")
        self.line(0, f"def {name}({arguments}){returns}:")
        self.lines += [*body, "", ""]

    def holds_struct(self, t: Type) -> bool:
        """Results with structs are tested apart from others, which takes longer."""
        return not isinstance(t, str) and (t[0] == "struct" or any(map(self.holds_struct, t[1:])))

    def leaves(self, t: Type) -> bool:
        """Whether a result with a struct is one for once. Dicts with structs stay in compiled code."""
        return (t[0] == "struct" or t[0] == "list" and t[1][0] == "struct") and self.random.random() < 0.03

    def helper(self, name: str) -> None:
        params: dict[str, Type] = {f"q{k}": self.type(1) for k in range(self.random.randint(1, 3))}
        result = self.type(1)
        if self.has("default argument") and list(params.values())[-1] in ("int", "str") and self.random.random() < 0.4:
            self.defaults[name] = 1
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
        if self.has("method") and r.random() < 0.5:
            self.struct_methods(name, frozen, fields)
        self.lines += ["", ""]
        self.own_structs.append(name)
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
            case "bool":
                return r.choice(("True", "False"))
            case ("tuple", *parts):
                return "(" + "".join(f"{self.argument(part)}, " for part in parts) + ")"
            case ("list", item):
                return "[" + ", ".join(self.argument(item) for _ in range(r.choice((0, 1, 2, 5)))) + "]"
            case ("set", "int"):  # each has a slot of its own: others may change places at the border
                numbers = [int(self.argument("int")) % 8 for _ in range(r.choice((0, 1, 3)))]
                return f"set({numbers})"
            case ("set", item):
                return "set([" + ", ".join(self.argument(item) for _ in range(r.choice((0, 1, 3)))) + "])"
            case ("dict", key, item):
                pairs = (f"{self.argument(key)}: {self.argument(item)}" for _ in range(r.choice((0, 1, 3))))
                return "{" + ", ".join(pairs) + "}"
            case ("optional", inner):
                return "None" if r.random() < 0.4 else self.argument(inner)
        return self.display(t, 0)

    # -- statements ----------------------------------------------------------------------------------------

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def declare(self, name: str, t: Type) -> str:
        return (
            f"{name}: {annotation(t)}" if isinstance(t, tuple) and t[0] in ("list", "dict", "set", "optional") else name
        )

    def block(self, depth: int, count: int) -> None:
        for _ in range(count):
            self.statement(depth)

    def statement(self, depth: int) -> None:
        r = self.random
        simple = [self.assignment, self.assignment, self.assignment, self.augmented, self.mutation, self.mutation]
        if self.has("print"):
            simple.append(self.output)
        if self.has("return") and self.leaving and r.random() < 0.3:
            simple.append(self.early_return)
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
        if self.managers:
            compound.append(self.with_statement)
        if self.has("match"):
            compound.append(self.matching)
        if self.forms and r.random() < 0.5:
            self.by_form(depth)
        elif depth <= max(self.size, 1) and r.random() < 0.4:
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
            self.line(depth, f"{name} = {self.value(t, 2)}")

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
                text = r.choice(
                    (
                        f"{name}[{key}] = {value}",
                        f"{name}[{key}] = {value}",
                        f"del {name}[{key}]",
                        f"{name}.pop({key})",
                        f"{name}.clear()",
                        f"{name}.update({self.value(t, 1)})",
                        f"{name}.setdefault({key}, {value})",
                    )
                )
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
            if t[0] == "struct":
                return t[1] in STRUCTS
            return t[0] != "set" and all(self.ordered(part) for part in t[1:])
        return True

    def raising(self, depth: int) -> None:
        r = self.random
        self.line(depth, f"if {self.condition(1)}:")
        kind = r.choice(("ValueError", "KeyError", "RuntimeError", "IndexError", *self.errors, *self.errors))
        argument = (
            self.value("str", 1) if self.has("str") and r.random() < 0.5 else r.choice(('"e"', self.bounded(1), ""))
        )
        self.line(depth + 1, f"raise {kind}({argument})")

    def assertion(self, depth: int) -> None:
        self.line(depth, f"assert {self.condition(1)}, 'asserted'")

    def leave(self, depth: int) -> None:
        self.line(depth, f"if {self.condition(1)}:")
        self.line(depth + 1, self.random.choice(("break", "continue")))

    def early_return(self, depth: int) -> None:
        self.line(depth, f"if {self.condition(1)}:")
        self.line(depth + 1, self.leaving)

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
        handlers = r.choice(
            (
                ("ZeroDivisionError",),
                ("IndexError", "KeyError"),
                ("(ValueError, IndexError)",),
                ("LookupError",),
                ("Exception",),
                ("ZeroDivisionError", "Exception"),
                *((e,) for e in self.errors),
                (),
            )
        )
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
