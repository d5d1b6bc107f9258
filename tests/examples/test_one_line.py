from __future__ import annotations

import difflib
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_only_the_import_and_the_decorator_differ():
    before, after = ((EXAMPLES / "one_line" / f"{n}.py").read_text().splitlines() for n in ("before", "after"))
    changes = [line for line in difflib.ndiff(before[4:], after[4:]) if line[0] in "+-"]
    assert [line for line in changes if line.strip("+ ")] == ["+ from sapwood import fn", "+ @fn"]


def test_same_results_to_the_last_bit(example):
    before, after = example("one_line/before"), example("one_line/after")
    for customers, load, seed in ((1, 0.5, 0), (1000, 0.95, 7), (5000, 0.3, 2**31 - 1)):
        assert after.mean_wait(customers, load, seed) == before.mean_wait(customers, load, seed)


def test_program_runs(run_example):
    lines = run_example("one_line/after").splitlines()
    assert lines[:4] == ["load 0.50: 0.1489", "load 0.70: 0.4932", "load 0.90: 2.6213", "load 0.95: 5.8196"]
