"""Random functions that iterate give what CPython gives, and leave no object behind."""

from __future__ import annotations

import importlib.util
import sys
import warnings

import numpy as np
import pytest
from iteration_programs import module

from sapwood.lang.errors.iteration import NestedGenerator
from sapwood.runtime import heap

ARGUMENTS = (([], 0), ([2, -1, 3], 3), ([5, 0, 7, 1, 1], 6))


def check(seed: str, count: int, folder) -> None:
    name = f"iteration_program_{seed}"
    path = folder / f"{name}.py"
    path.write_text(module(seed, count))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    loaded = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    for k in range(count):
        f = getattr(loaded, f"f{k}")
        for items, n in ARGUMENTS:
            x = np.array(items, np.int64)
            live = heap.live_objects()
            try:
                found = outcome(f, x, n)
            except NestedGenerator:  # a documented limit: several `for`s, taken item by item
                break
            assert heap.live_objects() == live, f"{path} f{k}{items, n}"
            assert found == outcome(f.__wrapped__, x, n), f"{path} f{k}{items, n}"


def outcome(f, x, n):
    try:
        with warnings.catch_warnings(action="ignore"):
            return (int(f(x.copy(), n)) + 2**63) % 2**64 - 2**63  # ints of compiled code are 64 bits wide
    except NestedGenerator:
        raise
    except Exception as e:
        return repr(e)


def test_some_programs(tmp_path):
    check("default", 4, tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(12))
def test_many_programs(seed, tmp_path):
    check(str(seed), 40, tmp_path)
