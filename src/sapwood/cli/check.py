"""Compile every @fn and @kernel under a path before it is called, and print what is wrong with them.

Files are imported, as Python would. What annotations leave open (a parameter without one, a type variable, a function
as argument) can be compiled only when it is called; of such functions only the syntax is checked. Compiled code goes
into the cache, where the first call finds it. With --json the output is a list of objects for editors: file, line,
column, end_line, end_column (from 1; ends exclusive), severity (error, note), code, message, help, related.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sapwood.cli.errors import CommandError

HELP = "compile a file or a tree ahead of time and print its mistakes"
SKIPPED = {"__pycache__", "node_modules", "venv", "build", "dist"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", metavar="PATH", nargs="+", type=Path, help="Python files, or folders of them")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.add_argument("--verbose", action="store_true", help="also say what could not be compiled ahead of time")


def run(options: argparse.Namespace) -> int:
    """Exit status 0 when nothing is wrong, 2 when there are mistakes."""
    files = [f for path in options.paths for f in _files(path)]
    findings: list[dict[str, Any]] = []
    checked = 0
    for number, file in enumerate(files, 1):
        if not options.json and sys.stderr.isatty():
            print(f"\r\033[K[{number}/{len(files)}] {file}", end="", file=sys.stderr, flush=True)
        count, found = _check_file(file)
        checked += count
        findings += found
    if not options.json and sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    errors = [f for f in findings if f["severity"] == "error"]
    if options.json:
        print(json.dumps([{k: v for k, v in f.items() if k != "text"} for f in findings], indent=2))
        return 2 if errors else 0
    for f in findings if options.verbose else errors:
        print(f["text"], end="\n\n")
    open_ones = len(findings) - len(errors)
    rest = f"; {open_ones} wait for a call to say their types" if open_ones else ""
    mistakes = "1 mistake" if len(errors) == 1 else f"{len(errors)} mistakes"
    print(f"{checked} functions in {len(files)} files: {mistakes}{rest}")
    return 2 if errors else 0


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise CommandError(f"there is no file or folder {path}")
    for file in sorted(path.rglob("*.py")):
        parts = file.relative_to(path).parts
        if not any(p in SKIPPED or p.startswith(".") for p in parts):
            yield file


def _check_file(file: Path) -> tuple[int, list[dict[str, Any]]]:
    """How many functions a file has, and what was found."""
    from sapwood.cli.source_files import import_file

    text = file.read_text(encoding="utf-8", errors="replace")
    if "sapwood" not in text:
        return 0, []
    try:
        compile(text, str(file), "exec")
        with contextlib.redirect_stdout(sys.stderr):  # what the file prints is no output of ours
            module = import_file(file)
    except SyntaxError as e:
        at = (e.lineno or 1, e.offset or 1, e.end_lineno or e.lineno or 1, (e.end_offset or e.offset or 1))
        return 0, [_finding(file, at, "syntax", str(e.msg), "", [], f"{file}:{at[0]}:{at[1]}: {e.msg}")]
    except CommandError as e:
        return 0, [_finding(file, (1, 1, 1, 1), "import", str(e), "", [], f"error[import]: {e}")]
    functions = list(_functions(module, file))
    return len(functions), [f for fn in functions if (f := _check_function(fn, file)) is not None]


def _functions(module: Any, file: Path) -> Iterator[Any]:
    """The compiled functions that a module defines, in order of their lines."""
    found: dict[int, Any] = {}
    for value in vars(module).values():
        for f in (value, *(vars(value).values() if isinstance(value, type) else ())):
            if getattr(type(f), "__sapwood_function__", False) and hasattr(f, "state"):
                code = f.__wrapped__.__code__
                if Path(code.co_filename).resolve() == file.resolve():
                    found[code.co_firstlineno] = f
    yield from (found[line] for line in sorted(found))


def _check_function(fn: Any, file: Path) -> dict[str, Any] | None:
    from sapwood.lang.errors import NOWHERE, CompileError
    from sapwood.lang.loading.ahead import OpenType, check_syntax, compile_ahead
    from sapwood.targets.errors import UnsupportedPlatform

    line = fn.__wrapped__.__code__.co_firstlineno
    try:
        check_syntax(fn)
        compile_ahead(fn)
    except CompileError as e:
        loc = e.loc
        at = (line, 1, line, 1) if loc is NOWHERE else (loc.line, loc.col + 1, loc.end_line, loc.end_col + 1)
        place = file if loc is NOWHERE else Path(loc.file)
        related = [_related(text, where) for text, where in (*e.notes, *e.calls) if where is not None]
        return _finding(place, at, e.code, e.text, e.help_text, related, str(e))
    except OpenType as e:
        text = f"{fn.__name__}() is compiled when it is called: {e}"
        found = _finding(file, (line, 1, line, 1), "open", text, "", [], f"{file}:{line}: {text}")
        return found | {"severity": "note"}
    except UnsupportedPlatform as e:
        raise CommandError(str(e)) from None
    return None


def _finding(
    file: Path, at: tuple[int, int, int, int], code: str, message: str, help: str, related: list[Any], text: str
) -> dict[str, Any]:
    names = ("line", "column", "end_line", "end_column")
    return {
        "file": str(file), **dict(zip(names, at, strict=True)), "severity": "error", "code": code,
        "message": message, "help": help, "related": related, "text": text,
    }  # fmt: skip


def _related(text: str, loc: Any) -> dict[str, Any]:
    return {"file": loc.file, "line": loc.line, "column": loc.col + 1, "message": text}
