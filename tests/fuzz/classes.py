"""Classes of programs: structs with methods, exceptions, context managers."""

from __future__ import annotations

from expressions import Expressions
from types_of import Type


class Classes(Expressions):
    """Writes classes, and `with`."""

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
        if self.has("exception class") and r.random() < (0.5 if self.size else 0.1):
            base = r.choice(("Exception", "ValueError", "LookupError", "ArithmeticError"))
            for k in range(r.randint(1, 2)):
                self.line(0, f"class {name}E{k}({base}):")
                self.line(1, "pass")
                self.line(0, "")
                self.line(0, "")
                base = f"{name}E{k}"
                self.errors.append(base)
        if self.has("with") and r.random() < (0.4 if self.size else 0.1):
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

    # -- statements ----------------------------------------------------------------------------------------

    def with_statement(self, depth: int) -> None:
        manager = self.random.choice(self.managers)
        name = f"m{next(self.serial)}"
        self.line(depth, f"with {manager}({self.small()}) as {name}:")
        self.fixed[name] = "int"
        self.block(depth + 1, self.random.randint(1, 2))
        del self.fixed[name]
