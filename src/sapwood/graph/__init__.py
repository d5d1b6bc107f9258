"""Ring 2: graphs of tensor operations, fused and compiled to one native step.

    from sapwood import graph, nn
    program = graph.compile(model, {"x": (("rows", 512), "f32")})
    y = program(array)            # one native call
    print(program.source)         # what the compiler wrote
"""

from sapwood.graph.dims import Dim, symbol
from sapwood.graph.eager import Tensor
from sapwood.graph.ir import Graph, GraphError
from sapwood.graph.ops import custom
from sapwood.graph.pipeline import compile, trace
from sapwood.graph.program import Program
from sapwood.graph.trace import repeat

__all__ = ["Dim", "Graph", "GraphError", "Program", "Tensor", "compile", "custom", "repeat", "symbol", "trace"]
