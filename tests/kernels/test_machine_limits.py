from __future__ import annotations

import numpy as np
import pytest

from sapwood import Array
from sapwood.kernels import machine_limits


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
    if machine_limits.has_dot_bf16():
        x = 1.0 + rounds * 2 * 0.25 * 0.5
        assert machine_limits.multiply(3, rounds, True) == pytest.approx(3 * chains * lanes * x, rel=1e-5)


def test_rates_are_positive():
    assert machine_limits.measure_bandwidth(1 << 20, 0.0) > 0
    assert machine_limits.measure_multiply(1, seconds=0.0) > 0


def test_what_the_machine_does_not_have():
    if machine_limits.has_dot_bf16():
        pytest.skip("this machine has it")
    with pytest.raises(ValueError, match="no bf16 dot product"):
        machine_limits.measure_multiply(1, narrow=True)
