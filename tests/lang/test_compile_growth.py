"""Long functions and literals cost in proportion to their length: in LLVM lines and in calls of the compiler."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "compile_time.py"
spec = importlib.util.spec_from_file_location("compile_time", BENCHMARK)
assert spec is not None and spec.loader is not None
compile_time = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compile_time)


def work(text: str) -> tuple[int, int]:
    """(lines of LLVM, calls of Python functions) of compiling a program."""
    f = compile_time.function(text)
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        llvm = f.inspect(1, 2, kind="llvm")
    finally:
        sys.setprofile(None)
    return len(llvm.splitlines()), calls


@pytest.mark.parametrize("shape", compile_time.SHAPES, ids=lambda shape: shape.__name__)
def test_linear(shape):
    work(shape(12))  # what is done once
    small, large = work(shape(32)), work(shape(128))
    for what, a, b in zip(("lines of LLVM", "calls"), small, large, strict=True):
        assert b < 4.4 * a, f"{what}: {a} for 32, {b} for 128"
