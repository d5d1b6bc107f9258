"""Diagnostics about containers; see errors.py."""

from __future__ import annotations

from sapwood.lang.errors import TypeMistake


class NotHashable(TypeMistake):
    code = "T060"
    message = "{type} cannot be a key or an element of a set: it has no hash"
    help = "{hint}"


class MutatedConstant(TypeMistake):
    code = "T062"
    message = "{what}, a {type}, is changed, here or by what is called: compiled code only has a copy of it"
    help = "change a copy, or take it as an argument: sapwood.List, Dict and Set are shared with Python"


class NotPairs(TypeMistake):
    code = "T061"
    message = "a dict is made of pairs, but the items are {found}"
    help = "give (key, value) tuples, for example dict(zip(keys, values))"
