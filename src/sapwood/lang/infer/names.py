"""Keys of names that functions share with those inside them: see closures.py."""

from __future__ import annotations

MARK = "&"  # in the key of a shared name
WRITTEN = "&!"  # in the key of one that nested functions assign


def is_shared(key: str) -> bool:
    return MARK in key


def is_written(key: str) -> bool:
    """Whether any call of a nested function may assign it."""
    return WRITTEN in key


def plain_name(key: str) -> str:
    """The name as the program has it."""
    return key.partition(MARK)[0]
