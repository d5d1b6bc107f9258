"""The pipeline: from a model to a native step, top to bottom.

    function --trace--> Graph --fuse--> kernels --generate--> source --plan--> memory --compile--> Program

Each step's output prints with SAPWOOD_DEBUG=graph,fused,plan; the source itself is `Program.source`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sapwood import config
from sapwood.graph.dims import Dim, symbol
from sapwood.graph.fuse import fuse
from sapwood.graph.generate import kernel_source, step_source
from sapwood.graph.ir import Graph, GraphError, Value
from sapwood.graph.plan import plan_memory
from sapwood.graph.program import Program
from sapwood.graph.trace import tracing

Shape = Sequence[int | str | Dim]


def compile(
    model: Callable[..., Any], inputs: Mapping[str, tuple[Shape, str]], name: str | None = None
) -> Program:
    """Compile `model(**inputs)` to one native step.

    inputs: name -> (shape, dtype); a size is an int, a symbol's name, or an expression of symbols (`symbol("rows")`
    makes one). Activations are f32. Raises GraphError for what does not fit together.
    """
    graph = trace(model, inputs, name or _name(model))
    return compile_graph(graph)


def trace(model: Callable[..., Any], inputs: Mapping[str, tuple[Shape, str]], name: str) -> Graph:
    """The graph of what `model` does with values of these types."""
    with tracing(name) as tracer:
        values = {n: tracer.input(n, [_dim(d) for d in shape], dtype) for n, (shape, dtype) in inputs.items()}
        found = model(**values)
    results = found if isinstance(found, tuple) else (found,)
    for r in results:
        if not isinstance(r, Value):
            raise GraphError(f"{name} returned a {type(r).__name__}; it must return values of the graph")
    tracer.graph.outputs = list(results)
    return tracer.graph


def arena_bytes(model: Callable[..., Any], inputs: Mapping[str, tuple[Shape, str]], limits: Mapping[str, int]) -> int:
    """Bytes of the arena that `compile(model, inputs)` would reserve for steps of up to these sizes.

    Takes milliseconds: nothing is compiled, and the model's parameters need no data.
    """
    fused = fuse(trace(model, inputs, _name(model)))
    return plan_memory(fused, {k: kernel_source(k).scratches for k in fused.kernels()}).layout(limits)


def compile_graph(graph: Graph) -> Program:
    """The steps from a graph on."""
    _show("graph", graph)
    fused = fuse(graph)
    _show("fused", fused)
    sources = {k: kernel_source(k) for k in fused.kernels()}
    plan = plan_memory(fused, {k: s.scratches for k, s in sources.items()})
    step = step_source(graph.name, fused, sources, plan)
    _show("plan", plan)
    return Program(graph.name, graph, fused, plan, step)


def _dim(d: int | str | Dim) -> Dim:
    return symbol(d) if isinstance(d, str) else Dim.of(d)


def _name(model: Any) -> str:
    name = getattr(model, "__name__", None) or type(model).__name__
    return "".join(c if c.isalnum() else "_" for c in name).lower()


def _show(step: str, thing: object) -> None:
    if step in config.debug():
        print(f"-- {step} " + "-" * 60 + f"\n{thing}", file=sys.stderr)
