"""The language's numbers: cost of a call, of an import, of compiling, and of the code against gcc.

    python benchmarks/language.py [--json FILE] [--only calls,start,code] [--repeat N]

Every row is a best time or a ratio of best times taken in this run, on this machine. Rows of `start` are
measured in fresh processes with a cache directory of their own. `code` needs gcc; without it, it is skipped.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import language_loops as loops

from sapwood import Tensor, fn


@dataclass
class Row:
    """One line of the table. `goal` is the upper limit that the design sets, if it sets one."""

    name: str
    value: float
    unit: str
    goal: float | None = None

    def text(self) -> str:
        goal = "" if self.goal is None else f"{self.goal:g}"
        mark = "" if self.goal is None else "  ok" if self.value < self.goal else "  MISSED"
        return f"{self.name:<58} {self.value:>9.3f} {self.unit:<6} {goal:>7}{mark}"


# -- calls ---------------------------------------------------------------------------------------------


@fn
def add(a: int, b: int) -> int:
    return a + b


def python_add(a: int, b: int) -> int:
    return a + b


@fn
def three(x: Tensor[float, 1], y: Tensor[float, 1], out: Tensor[float, 1]) -> None:
    out[0] = x[0] + y[0]


@fn
def touch(x: float) -> float:
    return x


def best(statement: str, names: dict[str, object], repeat: int, number: int = 100_000) -> float:
    """Seconds for one execution, loop overhead included."""
    return min(timeit.repeat(statement, globals=names, repeat=repeat, number=number)) / number


def calls(repeat: int) -> list[Row]:
    from sapwood import Array

    x, y, out = (np.ones(4) for _ in range(3))
    own = [Array.zeros(4, "f64") for _ in range(3)]
    names: dict[str, object] = {
        "add": add, "py": python_add, "touch": touch, "three": three, "x": x, "y": y, "out": out,
        "p": own[0], "q": own[1], "r": own[2],
    }
    add(1, 2), touch(1.0), three(x, y, out), three(*own)
    loop = best("pass", names, repeat)
    compiled, python = best("add(3, 4)", names, repeat), best("py(3, 4)", names, repeat)
    return [
        Row("call add(i64, i64) over the same Python function", compiled / python, "x", 1.0),
        Row("call add(i64, i64)", (compiled - loop) * 1e9, "ns"),
        Row("the same Python function", (python - loop) * 1e9, "ns"),
        Row("call f(f64)", (best("touch(1.0)", names, repeat) - loop) * 1e9, "ns"),
        Row("call with three NumPy arrays", (best("three(x, y, out)", names, repeat) - loop) * 1e9, "ns", 250),
        Row("call with three sapwood.Array", (best("three(p, q, r)", names, repeat) - loop) * 1e9, "ns"),
    ]


# -- start ---------------------------------------------------------------------------------------------

_TEN_LINES = '''
import sys, time
start = time.perf_counter()
from sapwood import fn

@fn
def warm(x: int) -> int:
    return x + 1

@fn
def ten(n: int, step: float) -> float:
    total = 0.0
    for i in range(n):
        if i % 3 == 0:
            total += step
        elif i % 5 == 0:
            total -= i
        else:
            total = total * 0.5 + {salt}
    return total + n

first = time.perf_counter()
warm(1)
second = time.perf_counter()
ten(10, 0.5)
end = time.perf_counter()
print(second - first, end - second, end - start)
'''


def start(repeat: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as directory:
        env = dict(os.environ, SAPWOOD_CACHE_DIR=os.path.join(directory, "cache"))
        env["PYTHONPYCACHEPREFIX"] = os.path.join(directory, "pycache")  # as an installed package has it
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        source = str(Path(__file__).resolve().parents[1] / "src")
        env["PYTHONPATH"] = os.pathsep.join([source, env.get("PYTHONPATH", "")])

        def wall(code: str) -> float:
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], env=env, check=True)
            return time.perf_counter() - begin

        def script(salt: int) -> list[float]:
            path = Path(directory, f"ten{salt}.py")
            path.write_text(_TEN_LINES.format(salt=salt))
            done = subprocess.run([sys.executable, str(path)], env=env, check=True, capture_output=True, text=True)
            return [float(t) for t in done.stdout.split()]

        wall("import sapwood; from sapwood import fn")
        bare, plain, with_fn = (
            min(wall(code) for _ in range(repeat)) for code in ("pass", "import sapwood", "from sapwood import fn")
        )
        script(-1)  # the bytecode of the compiler itself
        compiled = [script(k) for k in range(repeat)]
        cached = [script(k) for k in range(repeat)]

        def least(runs: list[list[float]], column: int) -> float:
            return 1e3 * min(r[column] for r in runs)

        return [
            Row("import sapwood, over bare Python", (plain - bare) * 1e3, "ms", 150),
            Row("from sapwood import fn, over bare Python", (with_fn - bare) * 1e3, "ms", 150),
            Row("ten-line function: compile", least(compiled, 1), "ms", 60),
            Row("ten-line function: from the cache", least(cached, 1), "ms", 5),
            Row("first call of a process: from the cache (loads LLVM)", least(cached, 0), "ms"),
            Row("import to the second function's result, all cached", least(cached, 2), "ms"),
        ]


# -- code ----------------------------------------------------------------------------------------------


def code(repeat: int) -> list[Row]:
    rows: list[Row] = []
    ratios: list[float] = []
    with tempfile.TemporaryDirectory() as directory:
        library = loops.build(directory)
        if library is None:
            print("gcc is not here: `code` is skipped", file=sys.stderr)
            return []
        for case in loops.cases(library):
            times = {"c": math.inf, "unchecked": math.inf, "checked": math.inf}
            runs: dict[str, Callable[[], object]] = {
                "c": case.c, "unchecked": case.unchecked, "checked": case.checked,
            }
            results = {name: run() for name, run in runs.items()}  # compiles, too
            if not case.same(results["c"], results["unchecked"], results["checked"]):
                raise AssertionError(f"{case.name}: results differ: {results}")
            for _ in range(repeat):
                for name, run in runs.items():
                    begin = time.perf_counter()
                    run()
                    times[name] = min(times[name], time.perf_counter() - begin)
            ratio = times["unchecked"] / times["c"]
            ratios.append(ratio)
            rows.append(Row(f"{case.name}: unchecked over gcc ({times['c'] * 1e3:.2f} ms)", ratio, "x"))
            rows.append(Row(f"{case.name}: checked over gcc", times["checked"] / times["c"], "x"))
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    rows.append(Row("code over gcc -O3 -march=native: geometric mean", mean, "x", 1.1))
    rows.append(Row("code over gcc -O3 -march=native: worst", max(ratios), "x", 1.6))
    return rows


SECTIONS = {"calls": calls, "start": start, "code": code}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, of calls, start, code")
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    chosen = [s for s in options.only.split(",") if s]
    unknown = [s for s in chosen if s not in SECTIONS]
    if unknown:
        parser.error(f"no section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    rows: dict[str, list[Row]] = {}
    print(f"Python {platform.python_version()} on {platform.machine()}\n{'':58} {'value':>9} {'':6} {'limit':>7}")
    for name in chosen:
        rows[name] = SECTIONS[name](options.repeat)
        for row in rows[name]:
            print(row.text())
    if options.json is not None:
        options.json.write_text(json.dumps({k: [asdict(r) for r in v] for k, v in rows.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
