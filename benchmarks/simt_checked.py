"""Checked launches over fast ones: every program of tests/conformance/gpu, at its largest size up to N elements.

    python benchmarks/simt_checked.py [--size N] [--rounds R] [NAME...]

What counts is the time in launches, the best of the rounds; results are compared with NumPy's in each. NAME is a part
of a program's name. Small launches are mostly the launch itself (0.1 ms fast, 0.3 ms checked), so ratios grow with N.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "conformance"))

from gpu_conformance import Program, launch, load

from sapwood import config


def seconds(program: Program, size: int, target: str, rounds: int) -> float:
    """The best time of a program's launches on a target."""
    spent = 0.0

    def timed(kernel: Any, grid: Any, block: Any, *args: Any, **options: Any) -> None:
        nonlocal spent
        began = time.perf_counter()
        launch(kernel, grid, block, *args, **options)
        spent += time.perf_counter() - began

    best = math.inf
    with config.override(SAPWOOD_TARGET=target, SAPWOOD_SCHEDULE_SEED="1"):
        program.check(launch, size)  # compiles
        for _ in range(rounds):
            spent = 0.0
            program.check(timed, size)
            best = min(best, spent)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    rows = []
    for name, program in load().items():
        if options.names and not any(part in name for part in options.names):
            continue
        size = max((n for n in program.sizes if n <= options.size), default=program.sizes[0])
        fast, checked = (seconds(program, size, target, options.rounds) for target in ("simt", "simt:checked"))
        rows.append((checked / fast, name))
        times = f"fast {1e3 * fast:8.2f} ms checked {1e3 * checked:9.2f} ms"
        print(f"{name:45} n {size:7} {times} {checked / fast:7.1f}", flush=True)
    if rows:
        rows.sort()
        mean = math.exp(sum(math.log(row[0]) for row in rows) / len(rows))
        over = sum(row[0] > 100 for row in rows)
        print(f"{len(rows)} programs: geometric mean {mean:.1f}, median {rows[len(rows) // 2][0]:.1f}, "
              f"worst {rows[-1][0]:.0f} ({rows[-1][1]}), {over} over 100")  # fmt: skip


if __name__ == "__main__":
    main()
