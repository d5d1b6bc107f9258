"""Containers as text: what repr() and ascii() show. `show` is one of the two, for the elements."""

from __future__ import annotations

from sapwood.lang.function import fn
from sapwood.lang.library.dict import USED, dict_next, entries
from sapwood.lang.library.set import MASK, set_next, slots
from sapwood.lang.ops.heap import elements, words
from sapwood.lang.ops.tables import read_item

LENGTH = 2


@fn(unchecked=True)
def list_text(xs, show) -> str:
    out = "["
    i = 0
    while i < words(xs)[LENGTH]:  # showing an element may change the list
        if i > 0:
            out += ", "
        out += show(elements(xs)[i])
        i += 1
    out += "]"
    return out


@fn(unchecked=True)
def dict_text(d, stored, show) -> str:
    out = "{"
    i = dict_next(d, 0)
    while i < words(d)[USED]:
        if len(out) > 1:
            out += ", "
        out += show(read_item(entries(d, stored), i, 0))
        out += ": "
        out += show(read_item(entries(d, stored), i, 1))
        i = dict_next(d, i + 1)
    out += "}"
    return out


@fn(unchecked=True)
def set_text(s, stored, frozen, show) -> str:
    if words(s)[LENGTH] == 0:
        return "frozenset()" if frozen else "set()"
    out = "frozenset({" if frozen else "{"
    n = 0
    i = set_next(s, stored, 0)
    while i <= words(s)[MASK]:
        if n > 0:
            out += ", "
        n += 1
        out += show(read_item(slots(s, stored), i, 1))
        i = set_next(s, stored, i + 1)
    out += "})" if frozen else "}"
    return out
