"""HIR: the program as calls with source locations, before any type is known.

Operators, attribute access, indexing, displays and f-strings are `Call`s of ordinary functions (`operator.add`,
`getattr`, `operator.getitem`) or of the markers below (`make_tuple`, `format_value`), so that what they mean is
decided in one place, by the operation tables. Only what must not evaluate its parts eagerly has nodes of its own:
branches, loops, comprehensions, exits and definitions.

Names that begin with `$` are the compiler's own.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any

from sapwood.lang.errors import Loc
from sapwood.lang.immutable import immutable


def make_tuple(*items: Any) -> tuple[Any, ...]:
    return items


class Marker:
    """A call that only the compiler makes: what it means is a rule in the table of built-in functions.

    `what` and `hint` are for the diagnostic of a marker that has no rule."""

    def __init__(self, name: str, what: str, hint: str) -> None:
        self.__name__ = name
        self.what = what
        self.hint = hint

    def __repr__(self) -> str:
        return self.__name__


make_list = Marker("make_list", "a list", "use a tuple, a StackArray or a Tensor")
"""make_list(item, ...); an item may be `Starred`."""
make_set = Marker("make_set", "a set", "use a tuple or a Tensor")
"""make_set(item, ...); an item may be `Starred`."""
make_dict = Marker("make_dict", "a dict", "use a @struct, or a Tensor")
"""make_dict((key, value), ...): make_tuple of key and value, or `Starred` for `**mapping`."""
taken = Marker("taken", "a starred item", "give its items names first")
"""taken(iterable): what it gives now, though what is evaluated next may change it."""
format_value = Marker("format_value", "an f-string", "pass the parts to print(), or format in the caller")
"""format_value(value, conversion, spec): conversion is "", "s", "r" or "a"; spec is a text, perhaps computed."""
join_string = Marker("join_string", "an f-string", "pass the parts to print(), or format in the caller")
"""join_string(text, ...): the parts of an f-string, one after the other."""
star_items = Marker("star_items", "a starred target", "name the items one by one")
"""star_items(value, before, after): the list of items that `*name` takes when so many names stand around it."""
match_value = Marker("match_value", "a value pattern", "compare with ==")
"""match_value(subject, value): whether they are equal; values of unlike types are not."""
match_singleton = Marker("match_singleton", "a pattern of None, True or False", "compare with is")
"""match_singleton(subject, constant): whether the subject is None, True or False."""
match_class = Marker("match_class", "a class pattern", "use isinstance()")
"""match_class(subject, class, count): whether it is an instance; count is the number of positional patterns."""
match_positional = Marker("match_positional", "a positional class pattern", "name the attributes")
"""match_positional(subject, class, i): attribute i of `__match_args__`; the subject itself for int, str, ..."""
match_sequence = Marker("match_sequence", "a sequence pattern", "compare the items")
"""match_sequence(subject): whether it is a tuple or a list."""
match_mapping = Marker("match_mapping", "a mapping pattern", "use `in` and an index")
"""match_mapping(subject): whether it is a dict."""
import_module = Marker("import_module", "import inside a function", "import at the top of the module")
"""import_module(module, name): the module, or what it has under that name, both known at compile time."""
items_or_none = Marker("items_or_none", "d.get(key, ())", "write an empty list as the default")
"""items_or_none(d, key): what `d.get(key, ())` gives to a loop, to which all that is empty is alike."""
mapping_rest = Marker("mapping_rest", "`**rest` in a mapping pattern", "copy the dict and delete the keys")
"""mapping_rest(subject, key, ...): a dict of what the keys leave."""


# -- expressions ------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Expr:
    loc: Loc


@dataclass(eq=False, slots=True)
class Literal(Expr):
    value: Any


@dataclass(eq=False, slots=True)
class Name(Expr):
    name: str


@dataclass(eq=False, slots=True)
class Call(Expr):
    callee: Expr
    args: tuple[Expr, ...]
    kwargs: tuple[tuple[str | None, Expr], ...] = ()  # None: `**value`


@dataclass(eq=False, slots=True)
class Starred(Expr):
    """`*value` among the arguments of a call or the items of a display."""

    value: Expr


@dataclass(eq=False, slots=True)
class IfExp(Expr):
    test: Expr
    then: Expr
    other: Expr


@dataclass(eq=False, slots=True)
class Bind(Expr):
    """Evaluates `value`, names it, and gives `body`; the name ends with it (operands that are evaluated once)."""

    name: str
    value: Expr
    body: Expr


@dataclass(eq=False, slots=True)
class Python(Expr):
    """An expression that Python evaluates while the function is compiled: the argument of comptime()."""

    node: Any  # ast.expr
    names: frozenset[str]  # names in it


@dataclass(eq=False, slots=True)
class NamedExpr(Expr):
    """`name := value`: assigns to a name of the function, also from inside a comprehension."""

    name: str
    value: Expr


@dataclass(eq=False, slots=True)
class Lambda(Expr):
    function: FunctionDef


@dataclass(eq=False, slots=True)
class Clause:
    """`for target in iterable if condition ...` of a comprehension; `prologue` stores into places like `x[i]`."""

    loc: Loc
    target: Target
    prologue: list[Stmt]
    iterable: Expr
    conditions: tuple[Expr, ...]


@dataclass(eq=False, slots=True)
class Comprehension(Expr):
    """A comprehension or generator expression. `elements` is one expression, for a dict key and value; `names` are
    its own, which nobody else sees; `assigned` are names of the function around it that `:=` in it assigns."""

    kind: typing.Literal["list", "set", "dict", "generator"]
    elements: tuple[Expr, ...]
    clauses: tuple[Clause, ...]
    names: frozenset[str]
    assigned: tuple[str, ...]


# -- statements -------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Stmt:
    loc: Loc


@immutable
class StarTarget:
    """`*name` in a target: takes the items that the others leave."""

    target: str


Target = str | StarTarget | tuple["Target", ...]


@dataclass(eq=False, slots=True)
class Assign(Stmt):
    target: Target
    value: Expr
    annotation: Expr | None = None


@dataclass(eq=False, slots=True)
class Evaluate(Stmt):
    value: Expr


@dataclass(eq=False, slots=True)
class If(Stmt):
    test: Expr
    then: list[Stmt]
    other: list[Stmt]


@dataclass(eq=False, slots=True)
class While(Stmt):
    test: Expr
    body: list[Stmt]
    other: list[Stmt]
    assigned: tuple[str, ...]


@dataclass(eq=False, slots=True)
class For(Stmt):
    target: Target
    iterable: Expr
    body: list[Stmt]
    other: list[Stmt]
    assigned: tuple[str, ...]


@dataclass(eq=False, slots=True)
class Return(Stmt):
    value: Expr | None


@dataclass(eq=False, slots=True)
class Yield(Stmt):
    """`yield value` as a statement."""

    value: Expr


@dataclass(eq=False, slots=True)
class Break(Stmt):
    pass


@dataclass(eq=False, slots=True)
class Continue(Stmt):
    pass


@dataclass(eq=False, slots=True)
class Raise(Stmt):
    """`raise`, `raise exception`, `raise exception from cause`."""

    exception: Expr | None
    cause: Expr | None = None


@dataclass(eq=False, slots=True)
class Nonlocal(Stmt):
    """`nonlocal name, ...`."""

    names: tuple[str, ...]


@dataclass(eq=False, slots=True)
class Delete(Stmt):
    """`del name`."""

    name: str


@dataclass(eq=False, slots=True)
class Handler:
    """`except type as name:`; type is None for a bare `except:`."""

    loc: Loc
    type: Expr | None
    name: str | None
    body: list[Stmt]


@dataclass(eq=False, slots=True)
class Try(Stmt):
    body: list[Stmt]
    handlers: list[Handler]
    other: list[Stmt]
    final: list[Stmt]


@dataclass(eq=False, slots=True)
class With(Stmt):
    """`with context as target:`; several contexts are nested. Stores into places begin the body."""

    context: Expr
    target: Target | None
    body: list[Stmt]


@dataclass(eq=False, slots=True)
class Block(Stmt):
    """Statements that `Leave(label)` inside them ends early (conditions and patterns with several parts).
    `names` are the compiler's own names that are read after it."""

    label: str
    body: list[Stmt]
    names: tuple[str, ...] = ()


@dataclass(eq=False, slots=True)
class Leave(Stmt):
    label: str


@dataclass(eq=False, slots=True)
class Define(Stmt):
    name: str
    function: FunctionDef


@dataclass(eq=False, slots=True)
class Param:
    name: str
    loc: Loc
    annotation: Expr | None
    default: Expr | None
    keyword_only: bool = False
    positional_only: bool = False
    star: bool = False  # *args


@dataclass(eq=False, slots=True)
class FunctionDef:
    """A function, nested function or lambda."""

    name: str
    params: list[Param]
    body: list[Stmt]
    loc: Loc
    locals: frozenset[str]
    free: frozenset[str]  # names that it reads and does not assign
    returns: Expr | None = None
    writes: frozenset[str] = frozenset()  # names of functions around it that it, or one inside it, assigns
    shared: frozenset[str] = frozenset()  # own names that functions inside it see as they are when these run
    written: frozenset[str] = frozenset()  # those of them that functions inside it assign
    generator: bool = False  # it has a `yield`
    moving: frozenset[str] = frozenset()  # free names that loops around it assign
