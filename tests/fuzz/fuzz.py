"""Runs generated modules of programs in child processes and shrinks what fails.

    python tests/fuzz/fuzz.py [--programs N] [--seconds S] [--seed N] [--jobs J] [--features a,b] [--keep DIRECTORY]
                              [--done FILE] [--no-shrink]

A module is CHUNK programs, and its number is the seed that it is made of: module 7 is the same wherever it is run. A
failing program is cut down while it fails in the same way, and is written to DIRECTORY (tests/fuzz/found is what the
tests run for ever after). With --done a run that was stopped goes on where it was: modules named in FILE are counted,
and not run again.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

from expressions import FEATURES
from grammar import Writer

HERE = Path(__file__).resolve().parent
CHUNK = 50  # programs of a module
LIMIT = 120  # seconds of processor time of a module, then it hangs; of the clock ten times as many
TRIES = 300  # children that shrinking may start for one program

FULL = 10  # every so many modules are optimised as programs of users are; the others hardly

CHILD = """
import gc, json, sys
from pathlib import Path
import conformance
from sapwood import config
gc.set_threshold(200_000)
for line in sys.stdin:
    path, level = line.split()
    config._overrides["SAPWOOD_OPT_LEVEL"] = level
    programs = conformance.load(Path(path))
    for text in conformance.differences(programs, together=400):
        print("DIFFERENCE", json.dumps(text), flush=True)
    print("END", flush=True)
"""


@dataclass
class Failure:
    """One program that fails. `kind` is what shrinking keeps: which error, crash or hang it is."""

    seed: int
    name: str
    kind: str
    text: str
    source: str = ""
    level: int = 0  # of optimisation


class Child:
    """A process that runs modules one after the other; another takes its place when it dies, hangs or has grown."""

    def __init__(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.process: subprocess.Popen[str] | None = None
        self.modules = 0

    def start(self) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(HERE.parents[1] / "src"), str(HERE.parent / "conformance")])
        environment = dict(os.environ, PYTHONPATH=path, SAPWOOD_CACHE_DIR=self.directory.name, PYTHONWARNINGS="ignore")
        self.errors = open(Path(self.directory.name, "stderr"), "w+")
        self.modules = 0
        return subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment,
        )

    def stop(self) -> None:
        """Ends the process; its cache goes with it, which would grow without end."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None
            self.errors.close()
            self.directory.cleanup()
            self.directory = tempfile.TemporaryDirectory()

    def run(self, source: str, limit: float = LIMIT, level: int = 0) -> tuple[list[str], str]:
        """The differences of a module, and how the process died: "" if it did not."""
        if self.modules >= 40:
            self.stop()
        if self.process is None:
            self.process = self.start()
        process, self.modules = self.process, self.modules + 1
        assert process.stdin is not None and process.stdout is not None
        path = Path(self.directory.name, f"programs{self.modules}.py")
        path.write_text(source)
        hung, ended = threading.Event(), threading.Event()

        def watch() -> None:
            begin, used = time.monotonic(), processor_time(process.pid)
            while not ended.wait(0.5):
                if processor_time(process.pid) - used > limit or time.monotonic() - begin > 10 * limit:
                    hung.set()
                    process.kill()
                    return

        threading.Thread(target=watch).start()
        found: list[str] = []
        try:
            process.stdin.write(f"{path} {level}\n")
            process.stdin.flush()
            for line in process.stdout:
                if line == "END\n":
                    return found, ""
                if line.startswith("DIFFERENCE "):
                    found.append(json.loads(line[11:]))
        except BrokenPipeError:
            pass
        except BaseException:  # a test that was stopped: its answer must not be taken for that of the next module
            self.stop()
            raise
        finally:
            ended.set()
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines()[-1:]
        status = process.wait()
        self.stop()
        return found, "hang" if hung.is_set() else f"exit {status}: {said}"


def processor_time(pid: int) -> float:
    """Seconds that a process has used; the machine may be busy with others."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


_local = threading.local()
_children: list[Child] = []


def run(source: str, limit: float = LIMIT, level: int = 0) -> tuple[list[str], str]:
    """Runs a module in this thread's child, optimised at a level."""
    if not hasattr(_local, "child"):
        _local.child = Child()
        _children.append(_local.child)
    return _local.child.run(source, limit, level)


def kind_of(text: str, death: str) -> str:
    """The sort of a failure."""
    if death:
        return re.sub(r"0x[0-9a-f]+|\d{3,}", "", death)
    code = re.search(r"error\[(\w+)\]: ([^\n]*)", text)
    if code:
        return f"{code[1]} {re.sub(r'[a-z]+[0-9]+|[0-9]+', '_', code[2])}"
    if "stay alive" in text:
        return "leak"
    raised = re.search(r"compiled raises (\w+)", text)
    return f"difference{' ' + raised[1] if raised else ''}"


def programs_of(source: str) -> dict[str, str]:
    """The text of each program of a module, alone: what it uses of the module included."""
    lines = source.splitlines()
    tree = ast.parse(source)
    heads = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    out: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and re.fullmatch(r"p\d+", node.name):
            own = re.compile(
                rf"{node.name}(h\d+)?|{node.name.upper()}[SEM]\d+|twice|applied|chosen|collected|chain|Node|Vec|Base|Derived"
            )
            parts = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and own.fullmatch(n.name)]
            texts = [lines[n.lineno - 1] for n in heads]
            for part in parts:
                first = min([part.lineno, *(d.lineno for d in part.decorator_list)])
                texts += ["", "", *lines[first - 1 : part.end_lineno]]
            out[node.name] = "\n".join(texts) + "\n"
    return out


def failures(seed: int, features: frozenset[str], chunk: int = CHUNK) -> list[Failure]:
    """What fails in the module of a seed."""
    source = Writer(Random(seed), features).module(chunk)
    level = 3 if seed % FULL == 0 else 0
    texts, death = run(source, level=level)
    alone = programs_of(source)
    found: dict[str, Failure] = {}
    for text in texts:
        name = text.split("(")[0]
        found.setdefault(name, Failure(seed, name, kind_of(text, ""), text, alone[name], level))
    if death:  # whose fault it was
        for name, program in alone.items():
            if name not in found:
                texts, death = run(program, 60, level)
                if death or texts:
                    text = texts[0] if texts else death
                    found[name] = Failure(seed, name, kind_of(text, death), text, program, level)
    return list(found.values())


# -- shrinking -----------------------------------------------------------------------------------------


def smaller(tree: ast.Module) -> Iterator[ast.Module]:
    """Modules with one thing less, large things first."""
    text = ast.unparse(tree)
    count = sum(1 for _ in ast.walk(tree))
    for k in range(count):
        copy = ast.parse(text)
        node = next(n for i, n in enumerate(ast.walk(copy)) if i == k)
        if cut(copy, node):
            yield copy


def cut(tree: ast.Module, node: ast.AST) -> bool:
    """Takes one thing away in place; False if there is nothing to take at this node."""
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if isinstance(value, list) and node in value:
                at = value.index(node)
                if isinstance(node, ast.stmt):
                    return cut_statement(value, at)
                if isinstance(node, ast.expr) and field == "decorator_list" and isinstance(node, ast.Call):
                    cases = [d for d in value if isinstance(d, ast.Call) and ast.unparse(d.func) == "case"]
                    if node in cases and len(cases) > 1:
                        del value[at]
                        return True
                    return False
                least = 2 if isinstance(parent, ast.BoolOp) else 1
                if isinstance(parent, ast.List | ast.Set | ast.BoolOp) and len(value) > least:
                    del value[at]
                    return True
                if isinstance(node, ast.ExceptHandler | ast.match_case) and len(value) > 1:
                    del value[at]
                    return True
            elif value is node and isinstance(node, ast.expr) and field not in ("annotation", "returns", "func"):
                part = {
                    ast.BinOp: "left",
                    ast.UnaryOp: "operand",
                    ast.IfExp: "body",
                    ast.Subscript: "value",
                }.get(type(node))
                if part and not isinstance(getattr(node, "ctx", None), ast.Store | ast.Del):
                    setattr(parent, field, getattr(node, part))
                    return True
    return False


def cut_statement(body: list[ast.stmt], at: int) -> bool:
    """Puts the statements inside of a compound statement in its place."""
    node = body[at]
    if isinstance(node, ast.If | ast.Try | ast.While | ast.For):
        leaves = any(isinstance(n, ast.Break | ast.Continue) for n in ast.walk(node))
        if not (leaves and isinstance(node, ast.While | ast.For)):
            body[at : at + 1] = [*node.body, *node.orelse, *getattr(node, "finalbody", [])]
            return True
    return False


def without_statements(tree: ast.Module) -> Iterator[ast.Module]:
    """Modules with one statement less, those with the most text first."""
    text = ast.unparse(tree)
    statements = [
        (len(ast.unparse(n)), i)
        for i, n in enumerate(ast.walk(tree))
        if isinstance(n, ast.stmt) and not isinstance(n, ast.Return | ast.Import | ast.ImportFrom | ast.Pass)
    ]
    for _, k in sorted(statements, reverse=True):
        copy = ast.parse(text)
        node = next(n for i, n in enumerate(ast.walk(copy)) if i == k)
        for parent in ast.walk(copy):
            for _, value in ast.iter_fields(parent):
                if isinstance(value, list) and node in value:
                    value.remove(node)
                    if not value and not isinstance(parent, ast.Module):
                        value.append(ast.Pass())
        yield copy


def shrink(failure: Failure, seconds: float = 240) -> Failure:
    """The same failure in a smaller program."""
    end = time.monotonic() + seconds
    best = ast.parse(failure.source)
    text_of = failure.text
    tries = 0
    for moves in (without_statements, smaller, without_statements):
        progress = True
        while progress and tries < TRIES and time.monotonic() < end:
            progress = False
            for candidate in moves(best):
                tries += 1
                if tries >= TRIES or time.monotonic() >= end:
                    break
                try:
                    source = ast.unparse(ast.fix_missing_locations(candidate))
                    compile(source, "candidate", "exec")
                except (SyntaxError, ValueError):
                    continue
                texts, death = run(source, 60, failure.level)
                kinds = [kind_of(text, "") for text in texts] + ([kind_of("", death)] if death else [])
                if failure.kind in kinds and "NameError" not in str(texts) and "UnboundLocalError" not in str(texts):
                    best, progress = candidate, True
                    text_of = texts[kinds.index(failure.kind)] if not death else death
                    break
    return Failure(failure.seed, failure.name, failure.kind, text_of, ast.unparse(best) + "\n", failure.level)


def keep(failure: Failure, directory: Path) -> Path:
    """Writes a program with its seed, for people and for tests."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"seed_{failure.seed}_{failure.name}.py"
    shown = "\n".join("# " + line for line in failure.text.splitlines()[:6])
    path.write_text(
        f'"""Seed {failure.seed}, {failure.name}: {failure.kind.splitlines()[0]}"""\n\n{shown}\n\n{failure.source}'
    )
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=int, default=200_000, help="how many, in all")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop then")
    parser.add_argument("--seed", type=int, default=0, help="number of the first module")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="modules at a time")
    parser.add_argument("--features", default=",".join(FEATURES), help="parts of the language, all by default")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="where failures go")
    parser.add_argument("--done", type=Path, help="a file of the modules that have been run without a failure")
    parser.add_argument("--no-shrink", action="store_true", help="write programs down as they were found")
    options = parser.parse_args()
    features = frozenset(options.features.split(","))
    begin, kinds = time.monotonic(), dict[str, int]()
    seeds = range(options.seed, options.seed + -(-options.programs // CHUNK))
    finished = set(map(int, options.done.read_text().split())) if options.done and options.done.exists() else set[int]()
    following = iter([seed for seed in seeds if seed not in finished])
    done = CHUNK * len(finished.intersection(seeds))
    with ThreadPoolExecutor(options.jobs) as pool:
        waiting = {pool.submit(failures, seed, features): seed for seed in islice(following, options.jobs * 2)}
        while waiting:
            future = next(as_completed(waiting))
            seed = waiting.pop(future)
            done += CHUNK
            found = future.result()
            for failure in found:
                kinds[failure.kind] = kinds.get(failure.kind, 0) + 1
                if kinds[failure.kind] <= 2:  # more of one kind teach nothing
                    small = failure if options.no_shrink else shrink(failure)
                    path = keep(small, options.keep)
                    print(f"seed {failure.seed} {failure.name}: {failure.kind}\n  {path}", flush=True)
            if options.done and not found:
                with options.done.open("a") as file:
                    file.write(f"{seed}\n")
            elapsed = time.monotonic() - begin
            if elapsed < options.seconds:
                for seed in islice(following, 1):
                    waiting[pool.submit(failures, seed, features)] = seed
            print(f"{done} programs, {elapsed:.0f} s, {sum(kinds.values())} failures", file=sys.stderr, flush=True)
    for kind, count in sorted(kinds.items(), key=lambda item: -item[1]):
        print(f"{count:6} {kind}")
    for child in _children:
        child.stop()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    print(f"{done} programs, {sum(kinds.values())} failures, {spent:.0f} s of processor time")
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main())
