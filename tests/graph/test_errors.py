"""Mistakes of model authors, and what they are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sapwood import fn, graph, nn
from sapwood.graph import GraphError, ops

X = {"x": (("rows", 4), "f32")}


def compiled(model: Any, types: Any = X) -> graph.Program:
    return graph.compile(model, types, name="model")


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (lambda x: ops.linear(x, nn.Parameter((3, 5))), r"linear\(f32\[rows, 4\], f32\[3, 5\]\): x must be"),
        (lambda x: x + nn.Parameter((3,)), "shapes must be equal"),
        (lambda x: ops.rms_norm(x, nn.Parameter((3,)), eps=1e-5), "the weight"),
        (lambda x: ops.rms_norm(x, nn.Parameter((4,))), "rms_norm was called wrongly"),
        (lambda x: ops.rope(x, x, x, x, head_dim=3), "even head_dim"),
        (lambda x: ops.head_norm(x, x, head_dim=2, eps=1e-6), r"the weight \[head_dim\]"),
        (lambda x: ops.head_norm(x, x, head_dim=3, eps=1e-6), "even head_dim, not 3"),
        (lambda x: ops.take_rows(x, x), "must be i32 of rank 1"),
        (lambda x: x + "two", "a str cannot be part of a graph"),
        (lambda x: 3, "returned a int"),
        (lambda x: ops.write_keys(nn.Buffer((1, 1, 4, 16)), x, x, head_dim=4), "must be i32"),
    ],
)
def test_shapes(model: Any, text: str):
    with pytest.raises(GraphError, match=text):
        compiled(model)


def test_no_weights():
    with pytest.raises(GraphError, match="parameter 'weight' has no data"):
        compiled(nn.Linear(4, 4))


def test_layers_that_differ():
    layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4, dtype="bf16")])
    with pytest.raises(GraphError, match="layer parameter 'weight' differs between layers"):
        compiled(lambda x: graph.repeat(layers, x))


def test_a_layer_that_changes_the_type():
    with pytest.raises(GraphError, match="it must keep the type"):
        compiled(lambda x: graph.repeat(nn.ModuleList([nn.Linear(4, 5)]), x))


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((2, 5), np.float32), r"'x' is f32\[2, 5\]; it must be f32\[rows, 4\]"),
        (np.zeros((2, 4)), "'x' is f64"),
        (np.zeros(4, np.float32), "'x' is f32"),
        (np.zeros((4, 2), np.float32).T, "C-contiguous"),
    ],
)
def test_inputs_that_do_not_fit(array: Any, text: str):
    with pytest.raises(GraphError, match=text):
        compiled(lambda x: x + 1.0)(array)


def test_sizes_that_disagree():
    program = compiled(lambda x, y: x + y, {**X, "y": (("rows", 4), "f32")})
    with pytest.raises(GraphError, match="but rows is 2"):
        program(np.zeros((2, 4), np.float32), np.zeros((3, 4), np.float32))
    with pytest.raises(GraphError, match="takes 2 inputs, not 1"):
        program(np.zeros((2, 4), np.float32))


def test_reserve_names_what_is_missing():
    with pytest.raises(GraphError, match="needs a limit for rows"):
        compiled(lambda x: x + 1.0).reserve()


def test_custom_wants_a_compiled_function():
    with pytest.raises(GraphError, match="@fn function"):
        graph.custom(lambda x: x)

    @fn
    def silu(x: float) -> float:
        return x

    with pytest.raises(GraphError, match="exists already"):
        graph.custom(silu)


def test_module_state():
    layer = nn.Linear(4, 3, bias=True)
    with pytest.raises(nn.StateError, match="no weights for 'bias'"):
        layer.load({"weight": np.zeros((3, 4), np.float32)})
    with pytest.raises(nn.StateError, match="no parameter 'extra'"):
        layer.load({"weight": np.zeros((3, 4), np.float32), "bias": np.zeros(3, np.float32), "extra": 1})
    with pytest.raises(nn.StateError, match=r"'weight' is f32\[3, 4\]; it was given f32\[4, 3\]"):
        layer.load({"weight": np.zeros((4, 3), np.float32), "bias": np.zeros(3, np.float32)})
    with pytest.raises(NotImplementedError, match="forward"):
        nn.Module()(1)
