"""What becomes a kernel, and where values lie."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood import graph, nn
from sapwood.graph import GraphError, ops, symbol
from sapwood.graph.dims import Dim
from sapwood.graph.fuse import fuse
from sapwood.graph.plan import ALIGN, Buffer, Plan


class Block(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        self.norm = nn.RMSNorm(width)
        self.gate, self.up, self.down = nn.Linear(width, inner), nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Any) -> Any:
        h = self.norm(x)
        return x + self.down(ops.silu(self.gate(h)) * self.up(h))


def test_a_gated_block_is_two_kernels():
    fused = fuse(graph.trace(Block(8, 16), {"x": (("rows", 8), "f32")}, "block"))
    gate, down = fused.kernels()
    assert gate.mode == "pair" and [n.op.name for n in gate.epilogue] == ["silu", "mul"]
    assert [n.op.name for n in gate.loads] == ["rms_norm"]
    assert [n.op.name for n in down.epilogue] == ["add"]


def test_a_value_with_two_readers_is_stored():
    a, b = nn.Linear(4, 4), nn.Linear(4, 4)

    def model(x: Any) -> Any:
        y = a(x)
        return ops.relu(y) + b(y)

    names = [repr(k).split(": ", 1)[1] for k in fuse(graph.trace(model, {"x": (("rows", 4), "f32")}, "m")).kernels()]
    assert len(names) == 3, names  # y, relu(y), and b with the sum


def test_two_products_of_different_rows_are_no_pair():
    a, b = nn.Linear(4, 4), nn.Linear(4, 4)

    def model(x: Any, y: Any) -> Any:
        return a(x) * b(y)

    types = {"x": (("rows", 4), "f32"), "y": (("rows", 4), "f32")}
    kernels = fuse(graph.trace(model, types, "m")).kernels()
    assert [k.mode for k in kernels] == ["plain", "plain"]


def test_reading_a_cache_by_its_old_name():
    cache = nn.Buffer((2, 1, 4, 16))
    values = nn.Buffer((2, 1, 16, 4))

    def model(x: Any, slots: Any, tables: Any) -> Any:
        ops.write_keys(cache, x, slots, head_dim=4)
        return ops.attention(x, cache, values, tables, slots, slots, heads=1, kv_heads=1, head_dim=4)

    types = {"x": (("rows", 4), "f32"), "slots": (("rows",), "i32"), "tables": (("n", "w"), "i32")}
    with pytest.raises(GraphError, match="use its result"):
        graph.compile(model, types)


# -- sizes -------------------------------------------------------------------------------------------------


@given(st.integers(-5, 5), st.integers(-5, 5), st.integers(0, 9), st.integers(0, 9))
def test_dims_compute_as_their_values_do(a: int, b: int, x: int, y: int):
    n, m = symbol("n"), symbol("m")
    d = (n * a + m) * (m * b + 3) + n - m
    want = (x * a + y) * (y * b + 3) + x - y
    assert d.value({"n": x, "m": y}) == want
    assert eval(d.source(), {"n": x, "m": y}) == want
    assert (n + m) * 2 == m * 2 + n * 2 and hash(n * m) == hash(m * n)


def test_a_symbol_needs_a_name():
    with pytest.raises(ValueError, match="identifier"):
        symbol("two words")


# -- memory ------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 12), st.integers(0, 6)), max_size=12))
def test_values_that_live_together_never_share_memory(items: list[tuple[int, int, int]]):
    buffers = [Buffer(f"b{i}", Dim.of(n), start, start + span) for i, (n, start, span) in enumerate(items)]
    total = Plan(buffers).layout({})
    for i, a in enumerate(buffers):
        assert a.offset % ALIGN == 0 and a.offset + a.size.value({}) <= total
        for b in buffers[:i]:
            if a.start <= b.end and b.start <= a.end:
                apart = a.offset + a.size.value({}) <= b.offset or b.offset + b.size.value({}) <= a.offset
                assert apart or not (a.size.value({}) and b.size.value({}))
    peak = max((sum(b.size.value({}) for b in buffers if b.start <= t <= b.end) for t in range(20)), default=0)
    assert total >= peak


def test_a_chain_needs_two_buffers():
    layers = [nn.Linear(64, 64) for _ in range(6)]

    def model(x: Any) -> Any:
        for layer in layers:
            layer.load({"weight": __import__("numpy").eye(64, dtype="float32")})
            x = layer(x)
        return x

    program = graph.compile(model, {"x": (("rows", 64), "f32")}, name="chain")
    total = program.reserve(rows=1000)
    scratch = max(b.size.value({"rows": 1000}) for b in program.plan.scratch.values())
    assert total <= 2 * 64 * 1000 * 4 + scratch + 64 * len(program.plan.arena)
