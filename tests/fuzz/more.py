"""Random expressions and statements of the less common parts: bytes, complex numbers, methods, context managers,
exceptions of programs, nonlocal names, functions as arguments, starred parameters."""

from __future__ import annotations

from expressions import ITEMS, LIMIT, TEXT, Expressions, Type

# Parts of the language that programs may use, besides those of expressions.py.
MORE = (
    "bytes",
    "complex",
    "method",
    "with",
    "exception class",
    "nonlocal",
    "starred",
    "generic",
    "function argument",
    "generator",
    "text methods",
    "update in place",
)


class More(Expressions):
    """Writes what MORE names."""

    errors: list[str]  # exception classes of this program
    managers: list[str]  # structs with __enter__ and __exit__
    methods: dict[str, tuple[list[str], list[str]]]  # of each struct: methods of one int, properties

    def line(self, depth: int, text: str) -> None:
        raise NotImplementedError

    def block(self, depth: int, count: int) -> None:
        raise NotImplementedError

    # -- classes -----------------------------------------------------------------------------------------

    def classes(self, name: str) -> None:
        """Exceptions and context managers, before the functions of a program."""
        r = self.random
        self.errors, self.managers = [], []
        if self.has("exception class") and r.random() < 0.5:
            base = r.choice(("Exception", "ValueError", "LookupError", "ArithmeticError"))
            for k in range(r.randint(1, 2)):
                self.line(0, f"class {name}E{k}({base}):")
                self.line(1, "pass")
                self.line(0, "")
                self.line(0, "")
                base = f"{name}E{k}"
                self.errors.append(base)
        if self.has("with") and r.random() < 0.4:
            manager = f"{name}M0"
            self.line(0, "@struct")
            self.line(0, f"class {manager}:")
            self.line(1, "count: int")
            self.line(0, "")
            self.line(1, "def __enter__(self) -> int:")
            self.line(2, f"self.count += {r.randint(1, 3)}")
            self.line(2, "return self.count")
            self.line(0, "")
            self.line(1, "def __exit__(self, kind: object, e: object, trace: object) -> bool:")
            self.line(2, f"self.count -= {r.randint(1, 3)}")
            self.line(2, f"return self.count % {r.randint(1, 3)} == 0")
            self.line(0, "")
            self.line(0, "")
            self.managers.append(manager)

    def struct_methods(self, name: str, frozen: bool, fields: dict[str, Type]) -> None:
        """Methods and properties at the end of a class."""
        r = self.random
        methods, properties = [], []
        numbers: dict[str, Type] = {f"self.{f}": t for f, t in fields.items() if t in ("int", "float")}
        outer = self.variables, self.fixed, self.helpers
        self.variables, self.fixed, self.helpers = {}, {**numbers, "u": "int"}, []
        if r.random() < 0.7:
            self.line(0, "")
            self.line(1, "def m0(self, u: int) -> int:")
            own = [f for f, t in fields.items() if t == "int"]
            if own and not frozen and r.random() < 0.5:
                self.line(2, f"self.{own[0]} = {self.bounded(1)}")
            self.line(2, f"return {self.bounded(2)}")
            methods.append("m0")
        self.fixed = numbers
        if r.random() < 0.5:
            self.line(0, "")
            self.line(1, "@property")
            self.line(1, "def r0(self) -> int:")
            self.line(2, f"return {self.bounded(2)}")
            properties.append("r0")
        self.variables, self.fixed, self.helpers = outer
        self.methods[name] = (methods, properties)

    # -- expressions ---------------------------------------------------------------------------------------

    def integer_of_more(self, depth: int) -> tuple[str, int] | None:
        r = self.random
        kind = r.choice(("bytes", "method", "generator", "function argument", "complex", "starred"))
        if not self.has(kind):
            return None
        match kind:
            case "bytes":
                x = self.value("bytes", depth)
                other = self.value("bytes", 0)
                return r.choice(
                    (
                        (f"len({x})", 64),
                        (f"({x})[{self.small()}]", 256),
                        (f"({x}).find({other})", 64),
                        (f"({x}).count({other})", 64),
                        (f"sum({x})", 1 << 14),
                        (f"int.from_bytes(({x})[:4], 'big')", 1 << 32),
                    )
                )
            case "method":
                chosen = self.some("struct")
                if chosen is None:
                    return None
                methods, properties = self.methods.get(str(chosen[1][1]), ([], []))
                choices = [f"{chosen[0]}.{m}({self.bounded(0)})" for m in methods]
                choices += [f"{chosen[0]}.{p}" for p in properties]
                return (r.choice(choices), LIMIT) if choices else None
            case "generator":
                chosen = self.some("list") or self.some("set")
                source, item = (f"range({self.small()} + 2)", "int") if chosen is None else (chosen[0], chosen[1][1])
                if chosen is not None and chosen[1][0] == "set":
                    source = f"sorted({source})"
                if item not in ("int", "float", "str", "bool"):
                    return None
                inner = self.over(source, item, "int")
                choices = [f"sum({inner})", f"max(({inner}), default={self.small()})", f"min({inner})"]
                choices.append(f"len({{{inner}}})")
                choices.append(f"sum(1 for n{next(self.serial)}, _ in enumerate({source}) if {self.condition(0)})")
                return r.choice(choices), 64 * LIMIT
            case "function argument":
                name = f"u{next(self.serial)}"
                self.fixed[name] = "int"
                text = self.bounded(1)
                del self.fixed[name]
                return f"twice(lambda {name}: {text}, {self.bounded(0)})", LIMIT
            case "starred":
                items = [self.bounded(0) for _ in range(r.randint(0, 3))]
                if r.random() < 0.3:
                    items.append(f"*({self.bounded(0)}, {self.bounded(0)})")
                if r.random() < 0.3:
                    items.append(f"start={self.small()}")
                return f"collected({', '.join(items)})", LIMIT
        z = self.value("complex", depth)
        return f"(int(({z}).real) if -1e6 < ({z}).real < 1e6 else 0)", 10**6

    def bytes(self, depth: int) -> str:
        r = self.random
        if depth <= 0 or r.random() < 0.25:
            return r.choice((*self.named("bytes"), "b''", "b'ab'", "b'\\x00\\xff'", "b'hello'"))
        x, other = self.value("bytes", depth - 1), self.value("bytes", depth - 1)
        choices = [
            f"({x} + {other})[:{TEXT}]",
            f"({x} * ({self.small()}))[:{TEXT}]",
            f"({x})[{self.small()}:{self.small()}]",
            f"({x})[::-1]",
            f"({x}).upper()",
            f"({x}).replace({other}, b'z')[:{TEXT}]",
            f"({x}).strip()",
            f"bytes([{self.small()}, {self.bounded(1)} % 256])",
            f"({x} if {self.condition(1)} else {other})",
            f"bytes(bytearray({x}))",
            f"(({self.bounded(1)}) % 65536).to_bytes({r.randint(1, 3)}, 'little')",
        ]
        if self.has("str"):
            choices.append(f"({self.value('str', depth - 1)}).encode()[:{TEXT}]")
        return r.choice(choices)

    def complex(self, depth: int) -> str:
        r = self.random
        if depth <= 0 or r.random() < 0.25:
            return r.choice((*self.named("complex"), "1j", "(2.5-1j)", "0j"))
        z, other = self.value("complex", depth - 1), self.value("complex", depth - 1)
        return r.choice(
            (
                f"({z} + {other})",
                f"({z} - {other})",
                f"({z} * {other})",
                f"({z} / {other})",
                f"(-{z})",
                f"({z}).conjugate()",
                f"complex({self.real(0)}, {self.real(0)})",
                f"({z} * {self.real(0)})",
                f"({z} + {self.bounded(0)})",
            )
        )

    def text_of_more(self, depth: int) -> str:
        r = self.random
        s, other = self.value("str", depth - 1), self.value("str", depth - 1)
        width = r.randint(0, 8)
        return r.choice(
            (
                f"({s}).title()[:{TEXT}]",
                f"({s}).center({width})",
                f"({s}).zfill({width})",
                f"({s}).ljust({width}, '*')",
                f"({s}).lower()[:{TEXT}]",
                f"({s}).swapcase()[:{TEXT}]",
                f"({s}).capitalize()[:{TEXT}]",
                f"({s}).lstrip('ah')",
                f"({s}).removeprefix({other})",
                f"({s}).partition({other})[{r.randrange(3)}]",
                f"({s}).rpartition(',')[{r.randrange(3)}]",
                f"chr(({self.bounded(1)}) % 300 + 32)",
                f"'%s-%d' % ({s}, {self.bounded(0)})",
                f"'{{}}:{{:>4}}'.format({s}, {self.small()})[:{TEXT}]",
                f"hex({self.bounded(0)})",
                f"bin({self.small()})",
                f"f'{{{self.bounded(0)}:+,d}}'",
                f"f'{{{self.bounded(0)}:#06x}}'",
                f"f'{{{self.real(0)}:>10.3e}}'",
                f"f'{{{self.real(0)}:g}}'",
                f"f'{{{r.choice([*self.named('str'), '0'])}!r:>8}}'[:{TEXT}]",
            )
        )

    # -- statements ----------------------------------------------------------------------------------------

    def with_statement(self, depth: int) -> None:
        manager = self.random.choice(self.managers)
        name = f"m{next(self.serial)}"
        self.line(depth, f"with {manager}({self.small()}) as {name}:")
        self.fixed[name] = "int"
        self.block(depth + 1, self.random.randint(1, 2))
        del self.fixed[name]

    def update_in_place(self, depth: int) -> None:
        """Updates of items and fields, chained assignment, starred targets."""
        r = self.random
        kind = r.choice(("list", "dict", "struct", "chain", "star"))
        chosen = self.some(kind, assignable=True)
        match kind:
            case "list" if chosen and chosen[1][1] == "int":
                self.line(depth, f"{chosen[0]}[{self.small()}] {r.choice('+-^')}= {self.small()}")
            case "list" if chosen and isinstance(chosen[1][1], tuple) and chosen[1][1][0] == "list":
                self.line(depth, f"if len({chosen[0]}[{self.small()}]) < {ITEMS}:")
                self.line(depth + 1, f"{chosen[0]}[{self.small()}].append({self.value(chosen[1][1][1], 1)})")
            case "dict" if chosen and chosen[1][2] == "int":
                self.line(depth, f"{chosen[0]}[{self.value(chosen[1][1], 0)}] ^= {self.small()}")
            case "struct" if chosen and not self.structs[str(chosen[1][1])][0]:
                for field, t in self.structs[str(chosen[1][1])][1].items():
                    if t == "int":
                        self.line(depth, f"{chosen[0]}.{field} ^= {self.small()}")
                        break
                else:
                    self.line(depth, "pass")
            case "star" if self.named(("list", "int")):
                target = [n for n in self.named(("list", "int")) if n in self.variables]
                ints = [n for n in self.named("int") if n in self.variables]
                if target and ints:
                    self.line(depth, f"{ints[0]}, *{target[0]} = {self.value(('list', 'int'), 1)}")
                else:
                    self.line(depth, "pass")
            case _:
                ints = [n for n in self.named("int") if n in self.variables][:2]
                self.line(depth, f"{' = '.join([*ints, self.bounded(1)])}" if ints else "pass")

    def counter(self, depth: int) -> None:
        """A nested function that changes a name of its outer function, and a call of it."""
        ints = [n for n in self.named("int") if n in self.variables]
        if not ints:
            self.line(depth, "pass")
            return
        name = f"g{next(self.serial)}"
        self.line(depth, f"def {name}(u: int) -> int:")
        self.line(depth + 1, f"nonlocal {ints[0]}")
        own, self.variables = self.variables, {}
        fixed, self.fixed = self.fixed, {**self.fixed, "u": "int", ints[0]: "int"}
        self.line(depth + 1, f"{ints[0]} = {self.bounded(1)}")
        self.line(depth + 1, f"return {self.bounded(1)}")
        self.variables, self.fixed = own, fixed
        self.line(depth, f"{self.random.choice(ints)} = {name}({self.small()}) + {name}({self.small()})")
        self.line(depth, f"{ints[0]} %= {LIMIT - 7}")
        self.line(depth, f"{ints[-1]} %= {LIMIT - 7}")
        for n in ints:
            self.line(depth, f"{n} %= {LIMIT - 7}") if n not in (ints[0], ints[-1]) else None


SHARED = """
@fn
def twice(f, n):
    return f(f(n))


@fn
def collected(*items: int, start: int = 0) -> int:
    total = start
    for item in items:
        total = (total * 3 + item) % 1048573
    return total

"""
