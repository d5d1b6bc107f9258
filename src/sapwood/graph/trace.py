"""From Python to a graph: what happens when an operation is called.

Inside `tracing(graph)` calls add nodes. `repeat` traces one layer and records the data of all of them. Outside,
calls with arrays run eagerly (see eager.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sapwood.graph.dims import Dim
from sapwood.graph.ir import Graph, GraphError, Node, Repeat, Type, Value
from sapwood.graph.ops import GraphOp

_current: ContextVar[Tracer | None] = ContextVar("sapwood_tracer", default=None)


class Tracer:
    """Builds one graph."""

    def __init__(self, name: str) -> None:
        self.graph = Graph(name)
        self.nodes: list[Any] = self.graph.body
        self.weights: dict[int, Value] = {}
        self.layer: dict[int, Value] | None = None  # externals of the layer being traced
        self.layer_names: dict[int, str] = {}  # what belongs to it, by id
        self.count = 0

    def input(self, name: str, shape: Sequence[Dim | int], dtype: str) -> Value:
        value = Value(Type(tuple(map(Dim.of, shape)), dtype), "input", name)
        self.graph.inputs.append(value)
        return value

    def constant(self, data: Any) -> Value:
        """The graph value of a Parameter: of the layer being traced, or of the model."""
        own = self.layer is not None and id(data) in self.layer_names
        known = self.layer if self.layer is not None and own else self.weights
        if id(data) not in known:
            name = self.layer_names[id(data)] if own else data.name
            type = Type(tuple(map(Dim.of, data.shape)), str(data.dtype))
            value = Value(type, "layer" if own else "weight", name.replace(".", "_"), data=data)
            known[id(data)] = value
            if not own:
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
        node.outputs = (Value(op.infer(inputs, attrs), "node", f"{op.name}{self.count}", node),)
        self.nodes.append(node)
        return node.output

    def repeat(self, layers: Sequence[Any], x: Value, body: Callable[..., Value]) -> Value:
        """Trace `body(layer, x)` for the first layer; the others must have the same parameters."""
        if self.layer is not None:
            raise GraphError("repeat inside a repeated layer")
        if not layers:
            return x
        outer, self.nodes, self.layer = self.nodes, [], {}
        self.layer_names = {id(p): name for name, p in layers[0].named_data()}
        self.count += 1
        carry = Value(x.type, "carry", f"x{self.count}")
        try:
            result = body(layers[0], carry)
            nodes, externals = self.nodes, list(self.layer.values())
        finally:
            self.nodes, self.layer, self.layer_names = outer, None, {}
        if result.type != carry.type:
            raise GraphError(f"the layer turns {carry.type} into {result.type}; it must keep the type")
        self.count += 1
        output = Value(result.type, "repeat", f"x{self.count}")
        bindings = [self._match(layers[0], layer, externals) for layer in layers]
        self.nodes.append(Repeat(len(layers), carry, x, nodes, result, output, bindings, externals))
        return output

    @staticmethod
    def _match(first: Any, layer: Any, externals: list[Value]) -> list[Any]:
        """The data of `layer` that corresponds to the externals of the first one."""
        theirs = dict(layer.named_data())
        names = {id(v): k for k, v in first.named_data()}
        out = []
        for v in externals:
            name = names[id(v.data)]
            other = theirs.get(name)
            if other is None or other.shape != v.data.shape or other.dtype != v.data.dtype:
                raise GraphError(f"layer parameter '{name}' differs between layers")
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


def repeat(layers: Iterable[Any], x: Any, body: Callable[..., Any] | None = None) -> Any:
    """Run `layers` one after the other on x; in a graph, as one loop over a table of their weights."""
    step = body or (lambda layer, value: layer(value))
    tracer = _current.get()
    layers = list(layers)
    if tracer is not None:
        return tracer.repeat(layers, x, step)
    for layer in layers:
        x = step(layer, x)
    return x
