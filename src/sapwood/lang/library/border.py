"""Containers as Python's own and back, written in the language. `stored` is the type of elements in memory."""

from __future__ import annotations

from sapwood.lang.function import fn
from sapwood.lang.library.list import LENGTH, list_new
from sapwood.lang.ops.border import from_python, item_of_list, list_object, list_size, set_item_of_list, to_python
from sapwood.lang.ops.heap import elements, words


@fn(unchecked=True)
def list_to_python(xs):
    """A new Python list with the elements as objects."""
    n = words(xs)[LENGTH]
    out = list_object(n)
    for i in range(n):
        set_item_of_list(out, i, to_python(elements(xs)[i]))
    return out


@fn(unchecked=True)
def list_from_python(x, kind, stored, exact):
    """A new list with the elements of a Python list (`exact` only tells instances apart: an int is then no float)."""
    n = list_size(x)
    xs = list_new(kind, stored, n)
    w = words(xs)
    p = elements(xs)
    for i in range(n):
        p[i] = from_python(item_of_list(x, i, stored), stored)
        w[LENGTH] = i + 1
    return xs
