"""Show what the compiler makes of a function: HIR, SSA, LLVM text, assembly or PTX, and what a kernel takes of a GPU;
and pictures (SVG) of how a tensor lies in memory, and of how threads share the matrices of a matrix unit.

Arguments are types, separated by commas: f64, i64, bool, Tensor[f32, 2], Ptr[f32], tuple[f64, f64], a struct of the
file, or a number for a Const parameter. Without --args they come from the function's annotations.

    sapwood inspect examples/mandelbrot.py:mandelbrot --asm
    sapwood inspect --layout 'f32[32, 33]' -o tile.svg
    sapwood inspect --layout 'f16[8, 8]' --strides 1,8 -o transposed.svg
    sapwood inspect --fragment m16n8k16_bf16.a -o fragment.svg
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from sapwood.cli.errors import CommandError
from sapwood.cli.source_files import import_file

HELP = "what the compiler makes of a function"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "function", metavar="FILE:FUNCTION", nargs="?", help="a Python file, or a module, and an @fn in it"
    )
    kinds = parser.add_mutually_exclusive_group(required=True)
    for kind, meaning in (
        ("hir", "calls with source locations, before types"),
        ("ssa", "typed SSA with regions"),
        ("llvm", "LLVM text before LLVM optimises it"),
        ("asm", "assembly"),
        ("ptx", "PTX, the assembly of NVIDIA GPUs, for a @kernel"),
        ("resources", "registers of a thread, bytes of shared memory, stack and spills of a @kernel, by ptxas"),
        ("simt", "how the threads of a @kernel run on the CPU, and why"),
    ):
        kinds.add_argument(f"--{kind}", dest="kind", action="store_const", const=kind, help=meaning)
    kinds.add_argument("--layout", metavar="TENSOR", help="a picture of a tensor in memory and its banks: 'f32[8, 33]'")
    kinds.add_argument("--fragment", metavar="UNIT", help="a picture of a matrix unit's fragments, or of one: UNIT.a")
    parser.add_argument("--strides", metavar="N,N", help="of the layout, in elements; default: rows in a row")
    parser.add_argument("-o", "--output", metavar="FILE", help="write there, and not to the standard output")
    parser.add_argument("--args", metavar="TYPES", help="types of the arguments")
    parser.add_argument("--target", default="", help="x86:avx2, simt, nvptx:sm_90a, ...; default: this machine")


def run(options: argparse.Namespace) -> int:
    from sapwood.cli.sample_arguments import from_annotations, from_text
    from sapwood.lang.errors import CompileError
    from sapwood.targets.errors import UnsupportedPlatform
    from sapwood.targets.nvptx.ptxas import PtxasError

    if options.layout is not None or options.fragment is not None:
        _write(options, _layout(options) if options.layout is not None else _fragment(options.fragment))
        return 0
    if options.function is None:
        raise CommandError("name a FILE:FUNCTION, as in examples/mandelbrot.py:mandelbrot")
    module, function = _load(options.function)
    try:
        if options.kind == "hir":
            from sapwood.lang.front.ast2hir import lower_function
            from sapwood.lang.front.dump import dump

            _write(options, dump(lower_function(function.__wrapped__)) + "\n")
            return 0
        if options.args is None:
            arguments = from_annotations(function)
        else:
            arguments = from_text(options.args, vars(module))
        _write(options, function.inspect(*arguments, kind=options.kind, target=options.target) + "\n")
    except CompileError as error:
        print(error, file=sys.stderr)
        return 2
    except (TypeError, ValueError, OverflowError, UnsupportedPlatform, PtxasError) as error:
        raise CommandError(str(error)) from None
    return 0


def _write(options: argparse.Namespace, text: str) -> None:
    if options.output is None:
        sys.stdout.write(text)
        return
    try:
        Path(options.output).write_text(text)
    except OSError as error:
        raise CommandError(f"{options.output} cannot be written: {error.strerror}") from None


def _layout(options: argparse.Namespace) -> str:
    from sapwood.lang.pictures import layout
    from sapwood.lang.types import SCALARS

    found = re.fullmatch(r"\s*(\w+)\s*\[([\d\s,]+)\]\s*", options.layout)
    if found is None or found[1] not in SCALARS:
        raise CommandError(f"{options.layout!r} is no tensor, as 'f32[8, 33]' is; types are {', '.join(SCALARS)}")
    try:
        shape = [int(n) for n in found[2].split(",")]
        strides = None if options.strides is None else [int(n) for n in options.strides.split(",")]
    except ValueError:
        raise CommandError("a shape and strides are numbers with commas between, as in 'f32[8, 33]'") from None
    try:
        return layout(SCALARS[found[1]], shape, strides)
    except ValueError as error:
        raise CommandError(str(error)) from None


def _fragment(name: str) -> str:
    from sapwood.lang.ops.gpu.matrix import UNITS
    from sapwood.lang.pictures import fragments

    unit, _, which = name.partition(".")
    if unit not in UNITS:
        raise CommandError(f"{unit!r} is no matrix unit; there are {', '.join(UNITS)}")
    try:
        return fragments(UNITS[unit], which)
    except ValueError as error:
        raise CommandError(str(error)) from None


def _load(where: str) -> tuple[Any, Any]:
    """The module and the decorated function that `FILE:FUNCTION` names. Runs the file, as importing it does."""
    file, colon, name = where.rpartition(":")
    if not colon or not file or not name:
        raise CommandError(f"{where!r} is not FILE:FUNCTION, as in examples/mandelbrot.py:mandelbrot")
    module = import_file(Path(file)) if file.endswith(".py") else _import_module(file)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if hasattr(found, "__wrapped__") and hasattr(type(found), "__sapwood_function__"):
        return module, found
    known = [n for n, v in vars(module).items() if hasattr(type(v), "__sapwood_function__")]
    names = ", ".join(known[:20]) or "none"
    raise CommandError(f"{file} has no @fn function {name!r}; it has {names}")


def _import_module(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except Exception as error:
        raise CommandError(f"{name} cannot be imported: {type(error).__name__}: {error}") from None
