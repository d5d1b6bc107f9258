"""Typed SSA with structured regions: the one IR that checks, evaluators and targets share.

A region is a straight list of operations; control flow is operations that own regions (`if`, `loop`,
`parallel`, ...). The last operation of a region is a terminator: `yield`, `break`, `continue`, `return` or
`raise` (see LEAVING). `break` and `continue` name their loop, so leaving several loops at once needs no extra blocks.

An operation that may raise has an error edge: inside the body of a `try` it names the try whose handler it goes to
(`handler`) and the values that the handler's parameters get (`edge`); outside of any it leaves the function.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sapwood.lang.errors import Loc
from sapwood.lang.types import Leaf, Ref

if TYPE_CHECKING:
    from sapwood.lang.ops.base import Operation


# terminators that do not come out at the end of the operation around their region
LEAVING = frozenset({"break", "continue", "return", "raise", "reraise"})


class Var:
    """One SSA value."""

    __slots__ = ("id", "name", "type")
    _next = 0

    def __init__(self, type: Leaf, name: str = "") -> None:
        self.type = type
        self.name = name
        self.id = Var._next
        Var._next += 1

    def __repr__(self) -> str:
        return f"%{self.name or 'v'}{self.id}"


class Op:
    """One operation: the table entry `op`, its operands, attributes, results and regions.

    The error edge of one that may raise: `handler` is the `id` of a try around it or None, `edge` the values that
    the handler gets, `cleanup` the owned values that are released on the way, `shared` those of
    `edge` that are retained.
    """

    __slots__ = ("attrs", "cleanup", "edge", "handler", "loc", "op", "operands", "regions", "results", "shared")

    def __init__(
        self,
        op: Operation,
        operands: tuple[Var, ...],
        results: tuple[Var, ...],
        attrs: dict[str, Any],
        regions: tuple[Region, ...],
        loc: Loc,
    ) -> None:
        self.op = op
        self.operands = operands
        self.results = results
        self.attrs = attrs
        self.regions = regions
        self.loc = loc
        self.edge: tuple[Var, ...] = ()
        self.handler: Any = None
        self.cleanup: tuple[Var, ...] = ()
        self.shared: tuple[Var, ...] = ()

    @property
    def name(self) -> str:
        return self.op.name

    @property
    def result(self) -> Var:
        return self.results[0]

    @property
    def may_raise(self) -> bool:
        """Whether it has an error edge: of calls and `parallel`, only where what they run may raise."""
        if not self.op.raises:
            return False
        if self.regions:
            return any(op.may_raise for region in self.regions for op in region.leaving())
        callee = self.attrs.get("function")
        if callee is None and "unit" in self.attrs:
            callee = self.attrs["unit"]
        return callee is None or callee.may_raise


class Region:
    """A list of operations with parameters, ended by a terminator."""

    __slots__ = ("ops", "params")

    def __init__(self, params: tuple[Var, ...] = ()) -> None:
        self.params = params
        self.ops: list[Op] = []

    def walk(self) -> Iterator[Op]:
        """Every operation of this region and of those inside it, outside first."""
        pending = self.ops[::-1]
        while pending:
            op = pending.pop()
            yield op
            for region in reversed(op.regions):
                pending += reversed(region.ops)

    def leaving(self) -> Iterator[Op]:
        """Operations whose error edges, if they have them, lead out of the function that the region is in."""
        for op in self.ops:
            if op.op.raises and op.handler is None:
                yield op
            if not op.op.raises:  # errors inside `parallel` arrive through its own edge
                for region in op.regions:
                    yield from region.leaving()


FunctionKind = Literal["host", "kernel"]


@dataclass(eq=False)
class Function:
    """A compiled function after inference: flat parameters, flat results."""

    name: str
    params: tuple[Var, ...]
    results: tuple[Leaf, ...]
    body: Region
    kind: FunctionKind = "host"
    loc: Loc | None = None
    may_raise: bool = False
    recursive: bool = False
    quiet: bool = False  # no reference that somebody uses is given up in it (passes/borrow.py)
    restrict: frozenset[int] = frozenset()  # parameters that are promised not to alias
    written: frozenset[int] = frozenset()  # pointer parameters that stores may go through
    attrs: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Program:
    """One compilation unit: an entry function, the functions it calls, and the units that it links to."""

    entry: Function
    functions: list[Function]
    links: dict[str, Any] = field(default_factory=dict)  # symbol -> linked unit
    target: Any = None

    @property
    def needs_gil(self) -> bool:
        """Whether it touches heap objects, whose counts belong to whoever holds the GIL, or links to what does."""
        return self.counted() is not None or any(getattr(u, "needs_gil", False) for u in self.links.values())

    def counted(self) -> tuple[Op, Var] | None:
        """The first operation on a heap object, and the reference."""
        for op in self.walk():
            for v in (*op.operands, *op.results):
                if isinstance(v.type, Ref):
                    return op, v
        return None

    def walk(self) -> Iterator[Op]:
        for function in self.functions:
            yield from function.body.walk()
