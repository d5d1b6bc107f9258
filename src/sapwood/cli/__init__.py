"""The command line: `sapwood generate | chat | bench | inspect | info`. One file a command; see `command.py`."""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status. Entry point of the `sapwood` script."""
    from sapwood.cli.command import run

    return run(argv)
