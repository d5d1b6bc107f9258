"""A custom activation, fused into a small model.

    python examples/fused_activation.py

The activation is an ordinary function of the language. The compiler puts it into the store of the matrix product
that it follows, so that it costs no pass over memory; the program prints the source that it wrote.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sapwood import fn, graph, nn
from sapwood.lang.library.math import sigmoid


@fn(unchecked=True)
def quick_gelu(x: Any) -> Any:
    """x * sigmoid(1.702 x), the activation of CLIP."""
    return x * sigmoid(1.702 * x)


activation = graph.custom(quick_gelu)


class Block(nn.Module):
    """A residual block: x + down(quick_gelu(up(norm(x))))."""

    def __init__(self, width: int, inner: int) -> None:
        self.norm = nn.RMSNorm(width)
        self.up = nn.Linear(width, inner, bias=True)
        self.down = nn.Linear(inner, width)

    def forward(self, x: Any) -> Any:
        return x + self.down(activation(self.up(self.norm(x))))


def main() -> graph.Program:
    rng = np.random.default_rng(0)
    block = Block(64, 256)
    block.load({n: rng.standard_normal(p.shape).astype(np.float32) / 8 for n, p in block.named_parameters()})
    program = graph.compile(block, {"x": (("rows", 64), "f32")})
    x = rng.standard_normal((3, 64)).astype(np.float32)
    fused, eager = program(x).numpy(), block(x).numpy()

    print(program.source)
    print(f"{len(list(program.graph.nodes()))} operations became {len(program.fused.kernels())} kernels:")
    print(program.fused)
    print(f"compiled and eager results differ by at most {np.abs(fused - eager).max():.1e}")
    return program


if __name__ == "__main__":
    main()
