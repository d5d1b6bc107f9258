"""Kernels for machines that this one may not be: the evaluator runs what their targets make of them, and
LLVM makes object code of it in a child process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kernel_data import array, normal, poisoned, rounded
from test_linear import gated, plain

from sapwood.kernels.linear import scratch_elements
from sapwood.lang.loading.current_target import use_target
from sapwood.targets.x86 import make

AVX2 = {"sse3", "ssse3", "cx16", "sse4.1", "sse4.2", "popcnt", "avx", "f16c", "fma", "bmi", "bmi2", "lzcnt", "avx2"}
AVX512 = AVX2 | {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}
TARGETS = {
    "avx512": make(frozenset(AVX512)),
    "avx512bf16": make(frozenset(AVX512 | {"avx512bf16"})),
    "amx": make(frozenset(AVX512 | {"avx512bf16", "amx-tile", "amx-bf16"})),
}


def evaluate(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    out = np.zeros((x.shape[0], w.shape[0]), np.float32)
    plain.reference(x, array(w, "bf16"), out, poisoned(scratch_elements(*x.shape)))
    return out


@pytest.mark.parametrize("name", ["avx512", "avx512bf16", "amx"])
def test_rows_of_bf16_products(name):
    """Values, and the same bits in a company of 1, 2, 7 and 18 rows."""
    n, k = 18, 37
    x, w = normal(1, 18, k), rounded(normal(2, n, k), "bf16")
    with use_target(TARGETS[name]):
        found = evaluate(x, w)
        size = np.abs(x).astype(np.float64) @ np.abs(w.T)
        narrow = x if name == "avx512" else rounded(x, "bf16")
        assert (np.abs(found - narrow.astype(np.float64) @ w.T.astype(np.float64)) <= size * 2.0**-20).all()
        for m in (1, 2, 7):
            assert (evaluate(x[:m], w).view(np.uint32) == found[:m].view(np.uint32)).all()


def test_panels_and_weights_in_place_have_the_same_bits():
    """AMX: more rows than are streamed, and rows of w in no order."""
    x, w = normal(3, 33, 34), rounded(normal(4, 32, 34), "bf16")
    with use_target(TARGETS["amx"]):
        found = evaluate(x, w)
        assert (evaluate(x[:1], w).view(np.uint32) == found[:1].view(np.uint32)).all()
        assert (evaluate(x[:1], w[:20]).view(np.uint32) == found[:1, :20].view(np.uint32)).all()


@pytest.mark.parametrize("name", ["avx512bf16", "amx"])
def test_pairs(name):
    m, n, k = 2, 18, 33
    x, norm = normal(5, m, k), normal(6, k)
    gate, up = (rounded(normal(s, n, k), "bf16") for s in (7, 8))
    out = poisoned(m, n)
    with use_target(TARGETS[name]):
        scratch = poisoned(scratch_elements(m, k))
        gated.reference(x, norm, array(gate, "bf16"), array(up, "bf16"), out, scratch)
    h = x / np.sqrt((x.astype(np.float64) ** 2).mean(1, keepdims=True) + 1e-5) * norm
    want = 2 * (h @ gate.T) + h @ up.T
    assert np.abs(out - want).max() < 2.0**-7 * (3 * np.abs(h) @ (np.abs(gate) + np.abs(up)).T).max()


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", sorted(TARGETS))  # AMX first: it has the most kernels of its own
def test_object_code(name):
    """LLVM selects instructions for every kernel; in a child process, since it aborts on what it cannot."""
    child = Path(__file__).with_name("compile_kernels.py")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(child), name]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert ("tdpbf16ps" in text) == (name == "amx")
    assert ("vdpbf16ps" in text) == (name == "avx512bf16")
    assert "zmm" in text
