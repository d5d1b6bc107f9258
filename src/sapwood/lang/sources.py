"""Source text as it was when a function was defined: files are read at decoration, so later edits do not matter."""

from __future__ import annotations

import linecache
import os
import tokenize
from typing import Any

_texts: dict[str, tuple[tuple[int, int], tuple[str, ...]]] = {}  # file -> (time and size, lines)


def remember(filename: str) -> None:
    """Keep the text of a file. Called when a function in it is decorated; a reloaded file is read again."""
    try:
        stat = os.stat(filename)
        stamp = (stat.st_mtime_ns, stat.st_size)
        known = _texts.get(filename)
        if known is None or known[0] != stamp:
            with tokenize.open(filename) as f:
                _texts[filename] = (stamp, tuple(f.readlines()))
    except (OSError, SyntaxError, UnicodeDecodeError):  # a notebook cell, an archive
        return


def lines_of(filename: str, scope: dict[str, Any] | None = None) -> tuple[str, ...]:
    """The lines of a file or notebook cell; empty when there is no text."""
    known = _texts.get(filename)
    return known[1] if known is not None else tuple(linecache.getlines(filename, scope))
