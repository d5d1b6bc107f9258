from __future__ import annotations

import numpy as np
import pytest

from sapwood import Array
from sapwood.kernels import machine_limits
from sapwood.lang.loading.current_target import use_target
from sapwood.targets.x86 import make

LARGE = "sse3 ssse3 sse4.1 sse4.2 avx avx2 fma f16c avx512f avx512bw avx512dq avx512vl avx512cd".split()


def test_every_word_is_read():
    pieces = 3
    words = Array.empty(pieces * machine_limits.PIECE, "i64")
    machine_limits.fill(words.data_ptr, pieces)
    values = words.numpy()
    assert (values != 0).sum() == len(values) - 1
    assert machine_limits.read(words.data_ptr, pieces) == int(values.sum())
    values[:] = np.random.default_rng(0).integers(-(2**63), 2**63, len(values))
    with np.errstate(over="ignore"):
        assert machine_limits.read(words.data_ptr, pieces) == int(values.sum())


def test_every_multiply_add_is_done():
    lanes, chains, rounds = machine_limits.vector_lanes(), machine_limits.CHAINS, 5
    x = 1.0
    for _ in range(rounds):
        x = x * 0.999 + 0.5
    assert machine_limits.multiply(3, rounds, False) == pytest.approx(3 * chains * lanes * x, rel=1e-5)
    if machine_limits.best_bf16():
        x = 1.0 + rounds * 2 * 0.25 * 0.5
        assert machine_limits.multiply(3, rounds, True) == pytest.approx(3 * chains * lanes * x, rel=1e-5)
    if machine_limits.best_bf16() == 2:
        assert machine_limits.multiply_tiles(3, rounds) == 3 * machine_limits.TILES * 32 * rounds


def test_the_products_of_larger_machines_compile():
    with use_target(make(frozenset({*LARGE, "avx512bf16"}))):
        one = machine_limits.multiply.inspect(3, 5, True, kind="asm")
    assert one.count("vdpbf16ps") >= machine_limits.CHAINS
    with use_target(make(frozenset({*LARGE, "amx-tile", "amx-bf16"}))):
        tiles = machine_limits.multiply_tiles.inspect(3, 5, kind="asm")
    names = [(line.split() or [""])[0] for line in tiles.splitlines()]
    start = names.index("tdpbf16ps")
    assert names[start : start + machine_limits.TILES] == ["tdpbf16ps"] * machine_limits.TILES  # nothing spilled


def test_rates_are_positive():
    assert machine_limits.measure_bandwidth(1 << 20, 0.0) > 0
    rate, instruction = machine_limits.measure_multiply(1, seconds=0.0)
    assert rate > 0
    assert instruction == "f32 multiply-add"
    rate, instruction = machine_limits.measure_multiply(1, "bf16", 0.0)
    assert instruction == machine_limits.INSTRUCTIONS[machine_limits.best_bf16()]
