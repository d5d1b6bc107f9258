"""Containers as Python's own and back, written in the language. `stored` is the type of elements in memory."""

from __future__ import annotations

from sapwood.lang.api.objects import as_object
from sapwood.lang.function import fn
from sapwood.lang.library.dict import USED, dict_new, dict_next, dict_set, entries
from sapwood.lang.library.list import LENGTH, list_new
from sapwood.lang.library.set import MASK, set_new, set_next, set_put, slots
from sapwood.lang.ops.border import (
    add_to_set,
    dict_object,
    from_python,
    item_of_list,
    list_object,
    list_size,
    put_in_dict,
    set_item_of_list,
    set_object,
    to_python,
)
from sapwood.lang.ops.heap import elements, words
from sapwood.lang.ops.tables import read_item


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


@fn(unchecked=True)
def dict_to_python(d, stored):
    """A new Python dict with the entries in their order."""
    out = dict_object()
    i = dict_next(d, 0)
    while i < words(d)[USED]:
        p = entries(d, stored)
        put_in_dict(out, to_python(read_item(p, i, 0)), to_python(read_item(p, i, 1)))
        i = dict_next(d, i + 1)
    return out


@fn(unchecked=True)
def dict_from_python(pairs, kind, stored, exact):
    """A new dict of a Python list of pairs."""
    n = list_size(pairs)
    d = dict_new(kind)
    for i in range(n):
        key, value = from_python(item_of_list(pairs, i, stored), stored)
        dict_set(d, stored, key, value)
    return d


@fn(unchecked=True)
def set_to_python(s, stored, frozen):
    """A new Python set, whose elements come in the order of s."""
    out = set_object(frozen)
    i = set_next(s, stored, 0)
    while i <= words(s)[MASK]:
        add_to_set(out, to_python(read_item(slots(s, stored), i, 1)))
        i = set_next(s, stored, i + 1)
    return out


@fn(unchecked=True)
def set_from_python(items, kind, elem, stored, exact):
    """A new set of a Python list; `elem` is the type of an element in memory."""
    n = list_size(items)
    s = set_new(kind)
    for i in range(n):
        set_put(s, stored, from_python(item_of_list(items, i, elem), elem))
    return s


@fn(unchecked=True)
def constant_copy(value, stored):
    """A native container with the contents of a Python object that is known when the function is compiled."""
    return from_python(as_object(value), stored)
