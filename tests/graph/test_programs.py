"""Whole programs: random models compiled, run eagerly and in NumPy float64 agree."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_models import Recipe, RecipeModule, Stack, poison, recipes, wide

from sapwood import Array, fn, graph, nn
from sapwood.graph import ops
from sapwood.lang.loading.current_target import current_target, use_target
from sapwood.targets.base import Target


def examples(n: int) -> settings:
    return settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, max_examples=n)


def inputs(recipe: Recipe, rows: int) -> np.ndarray:
    return np.random.default_rng(rows).standard_normal((rows, recipe.widths[0])).astype(np.float32)


def close(found: Any, expected: np.ndarray) -> bool:
    scale = np.abs(expected).max(initial=1.0)
    return found.shape == expected.shape and bool(np.all(np.abs(found - expected) <= 2e-4 * scale))


def exact_products() -> Target:
    """This machine without what rounds rows to bf16 for products with bf16 weights (tests/kernels looks at that)."""
    here = current_target()
    return replace(here, features=frozenset(f for f in here.features if "bf16" not in f))


def check(model: Any, recipe: Recipe, eager: bool) -> None:
    with use_target(exact_products()):
        compare(model, recipe, eager)


def compare(model: Any, recipe: Recipe, eager: bool) -> None:
    program = graph.compile(model, {"x": (("rows", recipe.widths[0]), "f32")}, name="random")
    program.reserve(rows=5)
    for rows in (1, 5, 2):
        x = inputs(recipe, rows)
        expected = model.reference(x.astype(np.float64))
        poison(program)
        out = Array.empty((rows, program.graph.outputs[0].type.width), "f32")
        out.numpy()[...] = np.nan
        program.run([Array.from_buffer(x)], [out], {"rows": rows})
        assert close(out.numpy(), expected), f"{program.fused}\n{program.source}\n{out.numpy()}\n{expected}"
    if eager:
        assert close(model(inputs(recipe, 2)).numpy(), model.reference(inputs(recipe, 2).astype(np.float64)))


@examples(8)
@given(recipes())
def test_random_models(recipe: Recipe):
    check(RecipeModule(recipe), recipe, eager=False)


@examples(2)
@given(recipes(max_steps=3))
def test_random_models_run_eagerly(recipe: Recipe):
    check(RecipeModule(recipe), recipe, eager=True)


@examples(4)
@given(recipes(max_steps=5, square=True), st.integers(1, 3))
def test_random_layers_in_a_loop(recipe: Recipe, count: int):
    check(Stack(recipe, count), recipe, eager=False)


@pytest.mark.nightly
@examples(300)
@given(recipes())
def test_many_random_models(recipe: Recipe):
    check(RecipeModule(recipe), recipe, eager=False)


@pytest.mark.nightly
@examples(120)
@given(recipes(max_steps=7, square=True), st.integers(1, 4))
def test_many_random_layers(recipe: Recipe, count: int):
    check(Stack(recipe, count), recipe, eager=False)


def test_no_rows():
    """An empty step computes nothing and does not fail."""
    layer = nn.Linear(4, 3)
    layer.load({"weight": np.ones((3, 4), np.float32)})
    program = graph.compile(layer, {"x": (("rows", 4), "f32")})
    assert program(np.zeros((0, 4), np.float32)).shape == (0, 3)


def test_bias_and_residual_are_epilogues():
    layer = nn.Linear(6, 6, bias=True)
    rng = np.random.default_rng(0)
    w, b = rng.standard_normal((6, 6)).astype(np.float32), rng.standard_normal(6).astype(np.float32)
    layer.load({"weight": w, "bias": b})

    def model(x: Any) -> Any:
        return layer(x) * 2.0 + x

    program = graph.compile(model, {"x": (("rows", 6), "f32")})
    assert len(program.fused.kernels()) == 1
    x = rng.standard_normal((3, 6)).astype(np.float32)
    assert close(program(x).numpy(), (x @ w.T + b) * 2.0 + x)


def test_two_results():
    def model(x: Any) -> Any:
        y = ops.tanh(x)
        return y, y + x

    program = graph.compile(model, {"x": (("rows", 5), "f32")})
    x = np.linspace(-1, 1, 15, dtype=np.float32).reshape(3, 5)
    first, second = program(x)
    assert close(first.numpy(), np.tanh(x)) and close(second.numpy(), np.tanh(x) + x)


def test_input_as_result():
    program = graph.compile(lambda x: x, {"x": (("rows", 3), "f32")}, name="same")
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    y = program(x)
    x[0, 0] = 9
    assert y.numpy()[0, 0] == 0


def test_picked_rows_of_a_norm():
    norm = nn.RMSNorm(8, 1e-5)
    norm.load({"weight": np.full(8, 2.0, np.float32)})
    head = nn.Linear(8, 5)
    w = np.random.default_rng(3).standard_normal((5, 8)).astype(np.float32)
    head.load({"weight": w})

    def model(x: Any, rows: Any) -> Any:
        return head(norm(ops.take_rows(x, rows)))

    program = graph.compile(model, {"x": (("n", 8), "f32"), "rows": (("k",), "i32")})
    assert len(program.fused.kernels()) == 1
    x = np.random.default_rng(4).standard_normal((6, 8)).astype(np.float32)
    picked = np.array([5, 0, 5], np.int32)
    h = x[picked].astype(np.float64)
    h = h / np.sqrt((h**2).mean(-1, keepdims=True) + 1e-5) * 2.0
    assert close(program(x, picked).numpy(), h @ w.T.astype(np.float64))


@pytest.mark.parametrize("head_dim", [6, 128])
def test_norms_of_heads_rotate_as_well(head_dim: int):
    """A norm of heads is read by the kernel that rotates; before a product, whatever its epilogue, it is stored."""
    width, rng = 3 * head_dim, np.random.default_rng(0)
    norm, layer = nn.HeadRMSNorm(head_dim, 1e-5), nn.Linear(width, width)
    weight, w = rng.standard_normal(head_dim).astype(np.float32), rng.standard_normal((width, width)).astype(np.float32)
    norm.load({"weight": weight})
    layer.load({"weight": w})

    def model(x: Any, cosines: Any, sines: Any, positions: Any) -> Any:
        def rope(y: Any) -> Any:
            return ops.rope(y, cosines, sines, positions, head_dim=head_dim)

        return rope(norm(x)), rope(layer(norm(x)))

    table = ((9, head_dim // 2), "f32")
    types = {"x": (("rows", width), "f32"), "cosines": table, "sines": table, "positions": (("rows",), "i32")}
    program = graph.compile(model, types, name="heads")
    assert sorted(k.mode for k in program.fused.kernels()) == ["rotate"] * 3
    assert [n.op.name for k in program.fused.kernels() for n in k.loads] == ["head_norm"] * 2
    angles = rng.uniform(0, 6, (9, head_dim // 2))
    cosines, sines = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    positions = np.array([4, 0, 8, 1, 1], np.int32)
    x = rng.standard_normal((5, width)).astype(np.float32)

    def rotated(y: np.ndarray) -> np.ndarray:
        a, b = np.split(y.reshape(5, 3, head_dim), 2, -1)
        c, s = cosines[positions][:, None], sines[positions][:, None]
        return np.concatenate([a * c - b * s, b * c + a * s], -1).reshape(5, width)

    heads = x.reshape(5, 3, head_dim).astype(np.float64)
    normed = (heads / np.sqrt((heads**2).mean(-1, keepdims=True) + 1e-5) * weight).reshape(5, width)
    first, second = program(x, cosines, sines, positions)
    assert close(first.numpy(), rotated(normed)) and close(second.numpy(), rotated(normed @ w.T))
    alone = program(x[2:3].copy(), cosines, sines, positions[2:3].copy())
    assert np.array_equal(alone[0].numpy()[0], first.numpy()[2])


def test_embedding_of_every_dtype():
    table = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    ids = np.array([6, 0, 3, 3], np.int32)
    for dtype in ("f32", "bf16"):
        layer = nn.Embedding(7, 3, dtype)
        from random_models import parameter

        layer.weight = parameter(wide(table, dtype), dtype)
        program = graph.compile(layer, {"ids": (("rows",), "i32")})
        assert np.array_equal(program(ids).numpy(), wide(table, dtype)[ids].astype(np.float32))
        assert np.array_equal(layer(ids).numpy(), wide(table, dtype)[ids].astype(np.float32))


@fn(unchecked=True)
def cube(x: Any) -> Any:
    return x * x * x


def test_custom_operations_fuse():
    act = graph.custom(cube)
    layer = nn.Linear(4, 4)
    w = np.random.default_rng(1).standard_normal((4, 4)).astype(np.float32)
    layer.load({"weight": w})
    program = graph.compile(lambda x: act(layer(x)), {"x": (("rows", 4), "f32")}, name="cubed")
    assert len(program.fused.kernels()) == 1 and "cube(" in program.source
    x = np.random.default_rng(2).standard_normal((5, 4)).astype(np.float32)
    assert close(program(x).numpy(), (x @ w.T) ** 3)
    assert close(act(x).numpy(), x**3)
    assert graph.custom(cube) is act


def test_the_arena_grows_with_larger_steps():
    layer = nn.Linear(4, 4)
    layer.load({"weight": np.eye(4, dtype=np.float32)})
    program = graph.compile(lambda x: ops.tanh(layer(ops.relu(layer(x)))), {"x": (("rows", 4), "f32")}, name="grow")
    for rows in (1, 300, 2):
        x = np.random.default_rng(rows).standard_normal((rows, 4)).astype(np.float32)
        assert close(program(x).numpy(), np.tanh(np.maximum(x, 0)))


def test_names_of_inputs_and_sizes_are_free():
    """Names that the generated source uses itself, keywords and built-ins are names like any other."""
    layer = nn.Linear(4, 4)
    w = np.random.default_rng(1).standard_normal((4, 4)).astype(np.float32)
    layer.load({"weight": w})

    def model(**inputs: Any) -> Any:
        total = layer(ops.silu(inputs["silu"]))
        for x in inputs.values():
            total = total + x
        return total

    names = ["silu", "store", "lambda", "f32", "m", "t0", "rows", "n_rows", "linear", "step", "int", "weights"]
    program = graph.compile(model, dict.fromkeys(names, (("m", 4), "f32")), name="names")
    xs = [np.random.default_rng(i).standard_normal((3, 4)).astype(np.float32) for i in range(len(names))]
    silu = xs[0] / (1 + np.exp(-xs[0]))
    assert close(program(*xs).numpy(), silu @ w.T + sum(xs))


def test_generated_modules_have_the_same_name_in_every_process():
    """The compile cache finds a program by it, also one with operations of the user's own."""
    from sapwood.graph.program import load_source

    text = "from sapwood import fn\n"
    first = load_source("named", text, {"cube": cube}).__name__
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_programs import cube; "
        "from sapwood.graph.program import load_source; "
        "print(load_source('named', sys.argv[2], {'cube': cube}).__name__)"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent), text]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == first
