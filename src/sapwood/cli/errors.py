"""Mistakes of the user."""

from __future__ import annotations


class CommandError(Exception):
    """What was asked for cannot be done; the text says why in one line. Becomes exit status 2."""
