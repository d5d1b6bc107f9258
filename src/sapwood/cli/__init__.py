"""The command line: `sapwood generate | chat | serve | bench | inspect | info`. See `command.py`."""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status. Entry point of the `sapwood` script."""
    from sapwood.cli.command import run

    return run(argv)
