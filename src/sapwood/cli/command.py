"""The parser, the table of commands, and what becomes of errors.

A command is a module with `HELP`, `add_arguments(parser)` and `run(options) -> int`, or with `HELP`, `SUBCOMMANDS` and,
where one of them needs no name, `DEFAULT_SUBCOMMAND`. Modules of commands import nothing heavy at the top: `sapwood
--help` loads neither compiler nor engine.

Exit status: 0 done, 1 a failure that is not the user's, 2 a mistake of the user (one line on stderr), 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import sys
from collections.abc import Sequence
from typing import Any

import sapwood
from sapwood.cli import bench, chat, check, cluster, generate, info, inspect, serve
from sapwood.cli.errors import CommandError
from sapwood.config import ConfigError

COMMANDS: dict[str, Any] = {
    "generate": generate,
    "chat": chat,
    "serve": serve,
    "cluster": cluster,
    "bench": bench,
    "check": check,
    "inspect": inspect,
    "info": info,
}


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sapwood", description="An AI compute stack in Python: kernels, graphs, and a language-model engine."
    )
    parser.add_argument("--version", action="version", version=f"sapwood {sapwood.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        sub = commands.add_parser(name, help=module.HELP, description=module.__doc__)
        if hasattr(module, "SUBCOMMANDS"):
            below = sub.add_subparsers(dest="subcommand", metavar="WHAT", required=True)
            for inner_name, inner in module.SUBCOMMANDS.items():
                add_command(below.add_parser(inner_name, help=inner.HELP, description=inner.__doc__), inner)
        else:
            add_command(sub, module)
    return parser


def add_command(parser: argparse.ArgumentParser, module: Any) -> None:
    module.add_arguments(parser)
    parser.set_defaults(run=module.run, parser=parser)


def with_default_subcommand(argv: Sequence[str]) -> list[str]:
    """`bench MODEL` is `bench engine MODEL`: a command with subcommands may name the one that needs no name."""
    out = list(argv)
    module = COMMANDS.get(out[0]) if out else None
    if module is not None and hasattr(module, "DEFAULT_SUBCOMMAND"):
        known = {*module.SUBCOMMANDS, "-h", "--help"}
        if len(out) == 1 or out[1] not in known:
            out.insert(1, module.DEFAULT_SUBCOMMAND)
    return out


def _unrecognized(unknown: list[str], parser: argparse.ArgumentParser) -> str:
    """What to say of arguments that a command does not have."""
    known = [name for action in parser._actions for name in action.option_strings]
    given = [text.partition("=")[0] for text in unknown]
    close = [name for text in given for name in difflib.get_close_matches(text, known, 1, 0.75)]
    meant = f"did you mean {', '.join(close)}? " if close else ""
    return f"unrecognized arguments: {' '.join(unknown)}; {meant}`{parser.prog} --help` lists what there is"


def run(argv: Sequence[str] | None = None) -> int:
    options, unknown = make_parser().parse_known_args(
        with_default_subcommand(sys.argv[1:] if argv is None else argv)
    )
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal without Unicode
    try:
        if unknown:
            raise CommandError(_unrecognized(unknown, options.parser))
        status = options.run(options)
        sys.stdout.flush()
        return status
    except (CommandError, ConfigError) as error:
        print(f"sapwood {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `sapwood generate ... | head`
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
