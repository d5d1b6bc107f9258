"""Random models over the op table, each with its meaning in NumPy float64."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from sapwood import Array, graph, nn
from sapwood.graph import ops

UNARY = {
    "neg": lambda x: -x,
    "exp": lambda x: np.exp(np.clip(x, -3, 3)),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0.0),
}
BINARY = {"add": np.add, "sub": np.subtract, "mul": np.multiply}


def wide(x: Any, dtype: str) -> np.ndarray:
    """float64 values as a parameter of `dtype` holds them."""
    x = np.asarray(x, np.float32)
    if dtype == "bf16":
        bits = x.view(np.uint32)
        x = ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    return x.astype(np.float64)


def parameter(values: np.ndarray, dtype: str) -> nn.Parameter:
    p = nn.Parameter(values.shape, dtype)
    array = Array.empty(values.shape, dtype)
    if dtype == "bf16":
        array.numpy(bits=True)[...] = (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    else:
        array.numpy()[...] = values
    p.assign(array)
    return p


@dataclass
class Step:
    """One operation: its name, the numbers of the values that it reads, and its own data."""

    op: str
    args: tuple[int, ...]
    weight: int = -1  # number of a parameter
    number: float = 0.0


@dataclass
class Recipe:
    """A straight program on values [rows, width]; value 0 is the input. The last value is the result."""

    widths: list[int]
    steps: list[Step] = field(default_factory=list)
    weights: list[tuple[np.ndarray, str]] = field(default_factory=list)


@st.composite
def recipes(draw: Any, max_steps: int = 9, square: bool = False) -> Recipe:
    """square: the result has the width of the input, so that the recipe can be a repeated layer."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    widths = st.sampled_from([1, 3, 8, 20])
    recipe = Recipe([draw(widths)])

    def weight(shape: tuple[int, ...], scale: float) -> int:
        dtype = draw(st.sampled_from(["f32", "bf16"]))
        recipe.weights.append((wide(rng.standard_normal(shape) * scale, dtype), dtype))
        return len(recipe.weights) - 1

    def linear(x: int, out: int) -> None:
        n = recipe.widths[x]
        recipe.steps.append(Step("linear", (x,), weight((out, n), n**-0.5)))
        recipe.widths.append(out)

    for _ in range(draw(st.integers(1, max_steps))):
        known = len(recipe.widths)
        x = draw(st.integers(max(0, known - 3), known - 1))
        kinds = ["linear", "linear", "unary", "binary", "binary", "norm", "heads", "bias", "number"]
        kind = draw(st.sampled_from(kinds))
        if kind == "linear":
            linear(x, draw(widths))
            continue
        width = recipe.widths[x]
        if kind == "unary":
            recipe.steps.append(Step(draw(st.sampled_from(sorted(UNARY))), (x,)))
        elif kind == "binary":
            same = [i for i in range(known) if recipe.widths[i] == width]
            recipe.steps.append(Step(draw(st.sampled_from(sorted(BINARY))), (x, draw(st.sampled_from(same)))))
        elif kind == "norm":
            recipe.steps.append(Step("rms_norm", (x,), weight((width,), 1.0)))
        elif kind == "heads":
            if width % 4:
                linear(x, 8)
                continue
            recipe.steps.append(Step("head_norm", (x,), weight((draw(st.sampled_from([2, 4])),), 1.0)))
        elif kind == "bias":
            recipe.steps.append(Step(draw(st.sampled_from(sorted(BINARY))), (x,), weight((width,), 1.0)))
        else:
            recipe.steps.append(Step("mul", (x,), number=draw(st.sampled_from([0.5, -2.0, 3.0]))))
        recipe.widths.append(width)
    if square and recipe.widths[-1] != recipe.widths[0]:
        linear(len(recipe.widths) - 1, recipe.widths[0])
    return recipe


class RecipeModule(nn.Module):
    """A recipe as a module. `scale` changes the weights, so that repeated layers differ."""

    def __init__(self, recipe: Recipe, scale: float = 1.0) -> None:
        self.recipe = recipe
        self.values = [wide(w * scale, d) for w, d in recipe.weights]
        for i, (v, (_, d)) in enumerate(zip(self.values, recipe.weights, strict=True)):
            setattr(self, f"w{i}", parameter(v, d))

    def forward(self, x: Any) -> Any:
        values = [x]
        for s in self.recipe.steps:
            args = [values[i] for i in s.args]
            if s.op == "linear":
                out = ops.linear(args[0], getattr(self, f"w{s.weight}"))
            elif s.op == "rms_norm":
                out = ops.rms_norm(args[0], getattr(self, f"w{s.weight}"), eps=1e-5)
            elif s.op == "head_norm":
                w = getattr(self, f"w{s.weight}")
                out = ops.head_norm(args[0], w, head_dim=w.shape[0], eps=1e-5)
            elif s.op == "exp":  # kept small, so that nothing overflows
                out = ops.exp(ops.tanh(args[0]))
            else:
                if s.weight >= 0:
                    args.append(getattr(self, f"w{s.weight}"))
                elif s.op in BINARY and len(args) == 1:
                    args.append(s.number)
                out = getattr(ops, s.op)(*args)
            values.append(out)
        return values[-1]

    def reference(self, x: np.ndarray) -> np.ndarray:
        """The same in float64."""
        values = [x]
        for s in self.recipe.steps:
            args = [values[i] for i in s.args]
            w = self.values[s.weight] if s.weight >= 0 else None
            if s.op == "linear":
                assert w is not None
                out = args[0] @ w.T
            elif s.op == "rms_norm":
                out = args[0] / np.sqrt((args[0] ** 2).mean(-1, keepdims=True) + 1e-5) * w
            elif s.op == "head_norm":
                assert w is not None
                heads = args[0].reshape(len(args[0]), -1, len(w))
                heads = heads / np.sqrt((heads**2).mean(-1, keepdims=True) + 1e-5) * w
                out = heads.reshape(args[0].shape)
            elif s.op == "exp":
                out = np.exp(np.tanh(args[0]))
            elif s.op in UNARY:
                out = UNARY[s.op](args[0])
            else:
                other = w if w is not None else args[1] if len(args) == 2 else s.number
                out = BINARY[s.op](args[0], other)
            values.append(out)
        return values[-1]


class Stack(nn.Module):
    """Layers of one recipe, one after the other, as a loop."""

    def __init__(self, recipe: Recipe, count: int) -> None:
        self.layers = nn.ModuleList(RecipeModule(recipe, 1.0 - 0.1 * i) for i in range(count))

    def forward(self, x: Any) -> Any:
        return graph.repeat(self.layers, x)

    def reference(self, x: np.ndarray) -> np.ndarray:
        for layer in self.layers:
            x = layer.reference(x)
        return x


def poison(program: graph.Program) -> None:
    """Fill the arena with nan."""
    if program.arena_bytes:
        program._arena.numpy()[...] = 255
