"""Sixteen programs in C, Rust, Numba and Sapwood: the same algorithm, outputs compared, times side by side.

    python benchmarks/language_suite/run.py [--numba PYTHON] [--only n_body,sieve] [--rounds 7] [--json FILE]

PYTHON is an interpreter that has Numba (which pins NumPy, so it has an environment of its own). What is not on this
machine (gcc, rustc, Numba) is left out. Every program is a process that stays; in each round it runs once in each
language, in turn, and the best time counts. gcc -O3 -march=native without contraction, so that outputs are equal to
the last bit; rustc -C opt-level=3 -C target-cpu=native; Sapwood and Rust check bounds, C and Numba do not. Compile
times: of the C and Rust compiler for the program; of Numba and Sapwood the first call less the best call, with empty
caches.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

HERE = Path(__file__).resolve().parent
FLAGS = ["-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno"]
RUST_FLAGS = ["-C", "opt-level=3", "-C", "target-cpu=native"]
LANGUAGES = ("gcc", "rust", "numba", "sapwood")


@dataclass
class Program:
    """`parallel` programs are measured with all threads, too; `data` names the input file."""

    name: str
    size: int
    parallel: bool = False
    data: str = ""


PROGRAMS = [
    Program("n_body", 500_000),
    Program("fannkuch", 9),
    Program("spectral_norm", 700, parallel=True),
    Program("mandelbrot", 700, parallel=True),
    Program("fasta", 500_000),
    Program("reverse_complement", 0, data="fasta"),
    Program("k_nucleotide", 0, data="bases"),
    Program("binary_trees", 14),
    Program("levenshtein", 0, data="words"),
    Program("quicksort", 500_000),
    Program("sieve", 5_000_000),
    Program("crc32", 0, data="fasta"),
    Program("json_tokens", 0, data="json"),
    Program("ray_tracer", 150, parallel=True),
    Program("monte_carlo_pi", 10_000_000, parallel=True),
    Program("word_count", 0, data="text"),
]


def inputs(directory: Path) -> dict[str, Path]:
    """The input files, the same on every machine."""
    random = Random(1)

    def lines(text: str) -> str:
        return "\n".join(text[i : i + 60] for i in range(0, len(text), 60)) + "\n"

    def letters(alphabet: str, count: int) -> str:
        return "".join(random.choices(alphabet, k=count))

    words = [letters("abcdefghijklmnopqrstuvwxyz", random.randint(2, 9)) for _ in range(20_000)]
    weights = [1 / (k + 1) for k in range(len(words))]
    records = [
        {
            "id": k,
            "name": words[k],
            "tags": random.sample(words, 3),
            "score": random.uniform(-1e3, 1e3),
            "note": 'a "quoted" line\nand more',
            "active": k % 3 == 0,
            "parent": None if k % 5 else [k, {"of": -k}],
        }
        for k in range(6_000)
    ]
    files = {
        "fasta": "".join(f">{k} bases\n{lines(letters('ACGTacgtNRY', 1_000_001))}" for k in range(4)),
        "bases": letters("acgt", 250_000),
        "words": letters("abcd", 4_000) + "\n" + letters("abcd", 4_000),
        "json": json.dumps(records * 8, indent=1),
        "text": lines(" ".join(random.choices(words, weights, k=500_000)).replace("\n", " ")),
    }
    paths: dict[str, Path] = {}
    for name, text in files.items():
        paths[name] = directory / f"{name}.txt"
        paths[name].write_text(text)
    return paths


@dataclass
class Runner:
    """One program in one language."""

    command: list[str]
    process: subprocess.Popen[str] | None = None
    times: list[float] = field(default_factory=list)
    result: str = ""
    error: str = ""
    compile_s: float = 0.0

    def start(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def once(self) -> None:
        if self.error or self.process is None:
            return
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
            seconds, _, self.result = self.process.stdout.readline().strip().partition(" ")
            self.times.append(float(seconds))
        except (BrokenPipeError, ValueError):
            assert self.process.stderr is not None
            self.error = self.process.stderr.read().strip() or f"exit status {self.process.wait()}"

    def stop(self) -> None:
        if self.process is not None:
            self.process.communicate()

    @property
    def best(self) -> float:
        return math.nan if self.error or not self.times else min(self.times)


def built(program: Program, directory: Path, threads: int) -> dict[str, tuple[list[str], float]]:
    """The command and the seconds that it took to compile, for C and Rust where they are installed."""
    found: dict[str, tuple[list[str], float]] = {}
    rustc = shutil.which("rustc") or shutil.which(os.path.expanduser("~/.cargo/bin/rustc"))
    openmp = ["-fopenmp"] if threads > 1 else []
    compilers = {
        "gcc": (shutil.which("gcc"), [*FLAGS, *openmp, str(HERE / "in_c" / f"{program.name}.c")], ["-lm"]),
        "rust": (rustc, [*RUST_FLAGS, str(HERE / "in_rust" / f"{program.name}.rs")], []),
    }
    for language, (compiler, options, libraries) in compilers.items():
        if compiler is not None:
            target = directory / f"{program.name}_{language}_{threads}"
            start = time.perf_counter()
            subprocess.run([compiler, *options, "-o", str(target), *libraries], check=True, capture_output=True)
            found[language] = [str(target)], time.perf_counter() - start
    return found


def equal(a: str, b: str) -> bool:
    """Equal outputs: words are equal, or are the same float."""
    x, y = a.split(), b.split()
    pairs = zip(x, y, strict=False)
    return len(x) == len(y) and all(p == q or ("." in p and "." in q and float(p) == float(q)) for p, q in pairs)


def measure(
    program: Program, threads: int, rounds: int, numba: str | None, directory: Path, files: dict[str, Path]
) -> dict[str, Runner]:
    tail = [str(program.size), str(threads), *([str(files[program.data])] if program.data else [])]
    runners: dict[str, Runner] = {}
    for language, (command, seconds) in built(program, directory, threads).items():
        runners[language] = Runner([*command, *tail], compile_s=seconds)
    for language, python in (("numba", numba), ("sapwood", sys.executable)):
        if python is not None:
            path = HERE / f"in_{language}" / f"{program.name}.py"
            runners[language] = Runner([python, str(HERE / "driver.py"), str(path), *tail])
    with tempfile.TemporaryDirectory() as cache:
        source = str(HERE.parents[1] / "src")
        environment = dict(os.environ, SAPWOOD_CACHE_DIR=cache, PYTHONDONTWRITEBYTECODE="1")
        environment["PYTHONPATH"] = os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])
        for language, runner in runners.items():
            clean = {k: v for k, v in environment.items() if k != "PYTHONPATH"} if language == "numba" else environment
            runner.start(clean)
            runner.once()  # compiles, and warms caches
        for _ in range(rounds):
            for runner in runners.values():
                runner.once()
        for runner in runners.values():
            runner.stop()
    results = {language: runner.result for language, runner in runners.items() if not runner.error}
    first = next(iter(results.values()))
    if not all(equal(first, result) for result in results.values()):
        raise AssertionError(f"{program.name}: results differ: {results}")
    for language in ("numba", "sapwood"):
        if language in runners and not runners[language].error:
            runners[language].compile_s = runners[language].times[0] - runners[language].best
    return runners


def mean(ratios: list[float]) -> float:
    """The geometric mean of what was measured."""
    known = [math.log(r) for r in ratios if not math.isnan(r)]
    return math.exp(sum(known) / len(known)) if known else math.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--numba", help="a Python interpreter that has Numba")
    parser.add_argument("--only", default="", help="names of programs, with commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the times to this file")
    options = parser.parse_args()
    chosen = [p for p in PROGRAMS if not options.only or p.name in options.only.split(",")]
    everything = len(os.sched_getaffinity(0))
    rows: list[dict[str, object]] = []
    errors: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        files = inputs(directory)
        for threads in dict.fromkeys((1, everything)):
            print(f"\n{f'{threads} thread(s)':<22}" + "".join(f"{x + ' ms':>12}" for x in LANGUAGES), end="")
            print("".join(f"{'/ ' + x:>10}" for x in LANGUAGES[:-1]) + "   compile s: " + ", ".join(LANGUAGES))
            ratios: dict[str, list[float]] = {language: [] for language in LANGUAGES[:-1]}
            for program in chosen:
                if threads > 1 and not program.parallel:
                    continue
                runners = measure(program, threads, options.rounds, options.numba, directory, files)
                best = {x: runners[x].best if x in runners else math.nan for x in LANGUAGES}
                line = f"{program.name:<22}" + "".join(f"{best[x] * 1e3:>12.2f}" for x in LANGUAGES)
                for language in LANGUAGES[:-1]:
                    ratios[language].append(best["sapwood"] / best[language])
                    line += f"{best['sapwood'] / best[language]:>10.2f}"
                compiled = {x: runners[x].compile_s if x in runners else math.nan for x in LANGUAGES}
                print(line + "   " + "  ".join(f"{compiled[x]:.2f}" for x in LANGUAGES), flush=True)
                rows.append({"program": program.name, "threads": threads, "seconds": best, "compile": compiled})
                errors |= {f"{program.name} ({x})": r.error for x, r in runners.items() if r.error}
            print(f"{'geometric mean':<70}" + "".join(f"{mean(r):>10.2f}" for r in ratios.values()))
    for where, text in errors.items():
        print(f"\n{where}:\n" + "\n".join(text.splitlines()[-6:]))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
