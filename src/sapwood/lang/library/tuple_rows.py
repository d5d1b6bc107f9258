"""Tuples whose length only run time knows, written in the language: they come as lists."""

from __future__ import annotations

from sapwood.lang.api.dtypes import u64
from sapwood.lang.function import fn
from sapwood.lang.library.hashing import hash_end, hash_item

FIRST = 2870177450012600261


@fn
def row_hash(xs) -> int:
    total = u64(FIRST)
    for x in xs:
        total = hash_item(total, hash(x))
    return hash_end(total, len(xs))


@fn
def row_text(xs, show) -> str:
    out = "("
    i = 0
    while i < len(xs):
        if i > 0:
            out += ", "
        out += show(xs[i])
        i += 1
    return out + (",)" if len(xs) == 1 else ")")


@fn
def columns_of(rows):
    """The columns of rows, as many as the shortest row has items."""
    count = min([len(row) for row in rows], default=0)
    return [tuple([row[i] for row in rows]) for i in range(count)]


@fn
def fixed_columns(rows, count):
    """The columns of rows of `count` items of one type; none where there are no rows."""
    out = [tuple([row[i] for row in rows]) for i in range(count)]
    return out if len(rows) > 0 else out[:0]


@fn
def fixed_column(rows, i):
    return [row[i] for row in rows]


@fn
def chosen(xs, places):
    return [xs[i] for i in places]
