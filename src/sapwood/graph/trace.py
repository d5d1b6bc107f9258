"""From Python to a graph: what happens when an operation is called.

Inside `tracing(graph)` calls add nodes. `repeat` traces one layer and records the data of all of them. Outside,
calls with arrays run eagerly (see eager.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sapwood.graph.dims import Dim
from sapwood.graph.ir import Graph, GraphError, Node, Repeat, Type, Value
from sapwood.graph.ops import GraphOp, infer

_current: ContextVar[Tracer | None] = ContextVar("sapwood_tracer", default=None)


class Tracer:
    """Builds one graph."""

    def __init__(self, name: str) -> None:
        self.graph = Graph(name)
        self.nodes: list[Any] = self.graph.body
        self.weights: dict[int, Value] = {}
        self.layer: dict[int, Value] | None = None  # externals of the layer being traced
        self.count = 0

    def input(self, name: str, shape: Sequence[Dim | int], dtype: str) -> Value:
        value = Value(Type(tuple(map(Dim.of, shape)), dtype), "input", name)
        self.graph.inputs.append(value)
        return value

    def constant(self, data: Any) -> Value:
        """The graph value of a Parameter (or another object with shape, dtype and name)."""
        known = self.layer if self.layer is not None else self.weights
        if id(data) in self.weights:
            return self.weights[id(data)]
        if id(data) not in known:
            kind = "layer" if self.layer is not None else "weight"
            type = Type(tuple(map(Dim.of, data.shape)), str(data.dtype))
            value = Value(type, kind, data.name.replace(".", "_"), data=data)
            known[id(data)] = value
            if kind == "weight":
                self.graph.weights.append(value)
        return known[id(data)]

    def value_of(self, x: Any) -> Value:
        if isinstance(x, Value):
            return x
        if hasattr(x, "graph_data"):
            return self.constant(x)
        if isinstance(x, int | float) and not isinstance(x, bool):
            return Value(Type((), "f32"), "number", repr(float(x)))
        raise GraphError(f"a {type(x).__name__} cannot be part of a graph; pass it as an input")

    def add(self, op: GraphOp, args: tuple[Any, ...], attrs: dict[str, Any]) -> Value:
        inputs = tuple(self.value_of(a) for a in args)
        node = Node(op, inputs, attrs)
        self.count += 1
        node.outputs = (Value(infer(op, inputs, attrs), "node", f"{op.name}{self.count}", node),)
        self.nodes.append(node)
        return node.output

    def repeat(self, layers: Sequence[Any], x: Value, body: Callable[..., Value]) -> Value:
        """Trace `body(layer, x)` for the first layer; the others must have the same parameters."""
        if self.layer is not None:
            raise GraphError("repeat inside a repeated layer")
        if not layers:
            return x
        outer, self.nodes, self.layer = self.nodes, [], {}
        self.count += 1
        carry = Value(x.type, "carry", f"x{self.count}")
        try:
            result = body(layers[0], carry)
            nodes, externals = self.nodes, list(self.layer.values())
        finally:
            self.nodes, self.layer = outer, None
        if result.type != carry.type:
            raise GraphError(f"the layer turns {carry.type} into {result.type}; it must keep the type")
        self.count += 1
        output = Value(result.type, "repeat", f"x{self.count}")
        bindings = [[v.data for v in externals]]
        for layer in layers[1:]:
            bindings.append(self._match(layers[0], layer, externals))
        self.nodes.append(Repeat(len(layers), carry, x, nodes, result, output, bindings, externals))
        return output

    @staticmethod
    def _match(first: Any, layer: Any, externals: list[Value]) -> list[Any]:
        """The data of `layer` that corresponds to the externals of the first one."""
        ours, theirs = dict(first.named_data()), dict(layer.named_data())
        names = {id(v): k for k, v in ours.items()}
        out = []
        for v in externals:
            name = names.get(id(v.data))
            other = theirs.get(name) if name is not None else None
            if other is None or tuple(other.shape) != tuple(v.data.shape) or str(other.dtype) != v.type.dtype:
                raise GraphError(f"layer parameter '{name or v.name}' differs between layers")
            out.append(other)
        return out


@contextmanager
def tracing(name: str) -> Iterator[Tracer]:
    tracer = Tracer(name)
    token = _current.set(tracer)
    try:
        yield tracer
    finally:
        _current.reset(token)


def apply(op: GraphOp, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    """Call an operation: a node while tracing, else eager execution."""
    tracer = _current.get()
    if tracer is not None:
        return tracer.add(op, args, attrs)
    from sapwood.graph.eager import run

    return run(op, args, attrs)


def repeat(layers: Sequence[Any], x: Any, body: Callable[..., Any] | None = None) -> Any:
    """Run `layers` one after the other on x; in a graph, as one loop over a table of their weights."""
    step = body or (lambda layer, value: layer(value))
    tracer = _current.get()
    if tracer is not None:
        return tracer.repeat(layers, x, step)
    for layer in layers:
        x = step(layer, x)
    return x
