"""Kernels on simt and in the evaluator, which must leave the same bits."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

BOTH = pytest.mark.parametrize("how", ["simt", "reference"])


def runs(k: Any, how: str) -> Any:
    """What launches a kernel, by the parameter of `BOTH`."""
    return k.reference if how == "reference" else k


def line_of(k: Any, text: str) -> int:
    """The line of a kernel's source that has this text."""
    lines, first = inspect.getsourcelines(k.__wrapped__)
    return first + next(i for i, line in enumerate(lines) if text in line)


def both(how: Any, options: Any, *args: Any) -> list[Any]:
    """The arguments after a launch on simt; the evaluator must leave the same bits.

    `how`: `k.launch` with its options, or `k.__getitem__` with (grid, block).
    """
    k = how.__self__
    native, reference = ([a.copy() if isinstance(a, np.ndarray) else a for a in args] for _ in range(2))
    for run, values in ((k, native), (k.reference, reference)):
        launch = run.launch(**options) if isinstance(options, dict) else run[options]
        launch(*values)
    for a, b in zip(native, reference, strict=True):
        if isinstance(a, np.ndarray):
            assert a.tobytes() == b.tobytes(), f"simt {a}, evaluator {b}"
    return native
