"""Diagnostics about containers; see errors.py."""

from __future__ import annotations

from sapwood.lang.errors import TypeMistake


class NotHashable(TypeMistake):
    code = "T060"
    message = "{type} cannot be a key or an element of a set: it has no hash"
    help = "{hint}"


class NotPairs(TypeMistake):
    code = "T061"
    message = "a dict is made of pairs, but the items are {found}"
    help = "give (key, value) tuples, for example dict(zip(keys, values))"
