"""`collections.Counter`: dicts of counts, written in the language. A missing key counts 0 and is not put in."""

from __future__ import annotations

from typing import Any

from sapwood.lang.function import fn
from sapwood.lang.library.dict import dict_set_default, entries
from sapwood.lang.ops.tables import read_item, write_item


@fn(unchecked=True)
def counter_add(d, stored, key: Any, n: int) -> None:
    """`d[key] += n`"""
    at = dict_set_default(d, stored, key, 0)
    p = entries(d, stored)
    write_item(p, at, 1, read_item(p, at, 1) + n)


@fn
def counter_add_all(d, other, sign) -> None:
    """Add the counts of a mapping, or take them away."""
    for key, n in other.items():
        d[key] += sign * n


@fn
def counter_sum(out, x, y) -> None:
    for key, n in x.items():
        m = n + y[key]
        if m > 0:
            out[key] = m
    for key, n in y.items():
        if n > 0 and key not in x:
            out[key] = n


@fn
def counter_difference(out, x, y) -> None:
    for key, n in x.items():
        m = n - y[key]
        if m > 0:
            out[key] = m
    for key, n in y.items():
        if n < 0 and key not in x:
            out[key] = -n


@fn
def counter_union(out, x, y) -> None:
    for key, n in x.items():
        m = max(n, y[key])
        if m > 0:
            out[key] = m
    for key, n in y.items():
        if n > 0 and key not in x:
            out[key] = n


@fn
def counter_intersection(out, x, y) -> None:
    for key, n in x.items():
        m = min(n, y[key])
        if m > 0:
            out[key] = m


@fn
def counter_positive(out, x, sign) -> None:
    """The counts above 0, once the sign has been taken."""
    for key, n in x.items():
        if sign * n > 0:
            out[key] = sign * n


@fn
def counter_union_in_place(d, other) -> None:
    for key, n in other.items():
        if n > d[key]:
            d[key] = n


@fn
def counter_intersection_in_place(d, other) -> None:
    for key, n in d.items():
        if other[key] < n:
            d[key] = other[key]


@fn
def counter_keep_positive(d) -> None:
    for key in [key for key, n in d.items() if not n > 0]:
        del d[key]


@fn
def counter_within(x, y) -> bool:
    """Whether no count of x is above that of y."""
    for key, n in x.items():
        if n > y[key]:
            return False
    for key, n in y.items():
        if key not in x and n < 0:
            return False
    return True


@fn
def counter_equal(x, y) -> bool:
    for key, n in x.items():
        if y[key] != n:
            return False
    for key, n in y.items():
        if key not in x and n != 0:
            return False
    return True


@fn
def counter_elements(x):
    return [key for key, n in x.items() for _ in range(n)]


@fn
def counter_order(x):
    """The entries, the most frequent first."""
    return sorted(x.items(), key=lambda entry: entry[1], reverse=True)


@fn
def counter_text(x, show) -> str:
    out = "Counter({"
    for i, (key, n) in enumerate(counter_order(x)):
        if i > 0:
            out += ", "
        out += show(key) + ": " + show(n)
    return "Counter()" if len(x) == 0 else out + "})"
