"""The graph: values, nodes and the repeated layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sapwood.graph.dims import Dim

if TYPE_CHECKING:
    from sapwood.graph.ops import GraphOp


class GraphError(ValueError):
    """A model that cannot be made into a graph; the text names the operation, the shapes and the rule."""


@dataclass(frozen=True)
class Type:
    """Shape and dtype of a value. Activations are [rows, width] with a static width."""

    shape: tuple[Dim, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    @property
    def width(self) -> int:
        """The static last size."""
        known = self.shape[-1].known if self.shape else None
        if known is None:
            raise GraphError(f"{self} needs a static last size")
        return known


class Operators:
    """Python's operators as operations of the graph: of values while tracing, of arrays when run eagerly."""

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        return _apply("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return _apply("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return _apply("sub", self, other)

    def __rsub__(self, other: Any) -> Any:
        return _apply("sub", other, self)

    def __mul__(self, other: Any) -> Any:
        return _apply("mul", self, other)

    def __rmul__(self, other: Any) -> Any:
        return _apply("mul", other, self)

    def __truediv__(self, other: Any) -> Any:
        return _apply("div", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _apply("div", other, self)

    def __neg__(self) -> Any:
        return _apply("neg", self)


def _apply(name: str, *args: Any) -> Any:
    from sapwood.graph.ops import GRAPH_OPS

    return GRAPH_OPS[name](*args)


ValueKind = Literal["input", "weight", "layer", "number", "node", "carry", "repeat"]


@dataclass(eq=False)
class Value(Operators):
    """A tensor in the graph.

    kind: "input" (given at each step), "weight" (bound once), "layer" (bound once for each layer), "number" (a
    literal), "node" (computed), "carry" (what a repeated layer gets), "repeat" (what the last layer gives).
    """

    type: Type
    kind: ValueKind
    name: str
    node: Node | None = None
    data: Any = None  # the Parameter of a weight

    @property
    def shape(self) -> tuple[Dim, ...]:
        return self.type.shape

    @property
    def dtype(self) -> str:
        return self.type.dtype

    def __repr__(self) -> str:
        return f"%{self.name}: {self.type}"


@dataclass(eq=False)
class Node:
    """One application of an entry of the op table."""

    op: GraphOp
    inputs: tuple[Value, ...]
    attrs: dict[str, Any]
    outputs: tuple[Value, ...] = ()

    @property
    def output(self) -> Value:
        return self.outputs[0]

    def __repr__(self) -> str:
        args = ", ".join(f"%{v.name}" if v.kind != "number" else v.name for v in self.inputs)
        attrs = "".join(f", {k}={v}" for k, v in self.attrs.items())
        return f"{self.output!r} = {self.op.name}({args}{attrs})"


@dataclass(eq=False)
class Repeat:
    """A layer run `count` times: `carry` goes in, `result` comes out and becomes the next carry."""

    count: int
    carry: Value  # inside: the value that the layer gets
    initial: Value
    nodes: list[Node]
    result: Value  # inside
    output: Value  # outside
    bindings: list[list[Any]] = field(default_factory=list)  # for each layer, the data of `externals`
    externals: list[Value] = field(default_factory=list)


@dataclass(eq=False)
class Graph:
    """What a step computes, in order."""

    name: str
    inputs: list[Value] = field(default_factory=list)
    weights: list[Value] = field(default_factory=list)
    body: list[Node | Repeat] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)

    def nodes(self) -> Iterator[Node]:
        for item in self.body:
            if isinstance(item, Repeat):
                yield from item.nodes
            else:
                yield item

    def __str__(self) -> str:
        return format_graph(self)


def format_graph(graph: Graph) -> str:
    """Text for SAPWOOD_DEBUG=graph."""
    lines = [f"graph {graph.name}({', '.join(map(repr, graph.inputs))})"]
    for item in graph.body:
        if isinstance(item, Repeat):
            lines.append(f"  {item.output!r} = repeat {item.count} times, %{item.carry.name} = %{item.initial.name}:")
            lines += [f"    {node!r}" for node in item.nodes]
            lines.append(f"    yield %{item.result.name}")
        else:
            lines.append(f"  {item!r}")
    lines.append(f"  return {', '.join(f'%{v.name}' for v in graph.outputs)}")
    return "\n".join(lines)
