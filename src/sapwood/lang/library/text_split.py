"""split, rsplit, splitlines and join: between a str and a list of them."""

from __future__ import annotations

from sapwood.lang import types as ty
from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i64
from sapwood.lang.function import fn
from sapwood.lang.library.list import list_append, list_new
from sapwood.lang.library.text_memory import find, find_last, move
from sapwood.lang.library.text_object import new_text, text_part, text_points, text_size
from sapwood.lang.library.text_unicode import is_line_break, is_space
from sapwood.lang.library.text_utf8 import before, decode_at, width_at
from sapwood.lang.ops.heap import words
from sapwood.lang.ops.text_objects import text_data
from sapwood.lang.values import Spec

TEXT = Spec("leaf", ty.Ref(ty.Str()))
TEXTS, STORED = ty.List(TEXT), ty.Stored(TEXT)
MANY = 1 << 62


@fn(unchecked=True)
def _reverse(xs) -> None:
    """Turn a list of texts around: its references, as words."""
    w = words(xs)
    p = Ptr[i64](w[4])
    i, j = 0, w[2] - 1
    while i < j:
        p[i], p[j] = p[j], p[i]
        i += 1
        j -= 1


@fn(unchecked=True, unit=True)
def text_join(s: str, xs: list[str]) -> str:
    n = len(xs)
    if n == 0:
        return ""
    if n == 1:
        return xs[0]
    size = text_size(s) * (n - 1)
    points = text_points(s) * (n - 1)
    for i in range(n):
        size += text_size(xs[i])
        points += text_points(xs[i])
    out = new_text(size, points)
    to, p, m = text_data(out), text_data(s), text_size(s)
    at = 0
    for i in range(n):
        if i > 0:
            move(to + at, p, m)
            at += m
        item = xs[i]
        k = text_size(item)
        move(to + at, text_data(item), k)
        at += k
    return out


@fn(unchecked=True, unit=True)
def text_split(s: str, separator: str, limit: int) -> list[str]:
    n, m = text_size(s), text_size(separator)
    if m == 0:
        raise ValueError("empty separator")
    left = limit if limit >= 0 else MANY
    xs = list_new(TEXTS, STORED, 4)
    p, q = text_data(s), text_data(separator)
    i = 0
    while left > 0:
        step = find(p + i, n - i, q, m) if n - i >= m else -1
        if step < 0:
            break
        list_append(xs, STORED, text_part(s, i, i + step))
        i += step + m
        left -= 1
    list_append(xs, STORED, s if i == 0 else text_part(s, i, n))
    return xs


@fn(unchecked=True, unit=True)
def text_rsplit(s: str, separator: str, limit: int) -> list[str]:
    n, m = text_size(s), text_size(separator)
    if m == 0:
        raise ValueError("empty separator")
    left = limit if limit >= 0 else MANY
    xs = list_new(TEXTS, STORED, 4)
    p, q = text_data(s), text_data(separator)
    end = n
    while left > 0:
        at = find_last(p, end, q, m) if end >= m else -1
        if at < 0:
            break
        list_append(xs, STORED, text_part(s, at + m, end))
        end = at
        left -= 1
    list_append(xs, STORED, s if end == n else text_part(s, 0, end))
    _reverse(xs)
    return xs


@fn(unchecked=True, unit=True)
def text_words(s: str, limit: int) -> list[str]:
    """s.split(None, limit)"""
    left = limit if limit >= 0 else MANY
    xs = list_new(TEXTS, STORED, 4)
    p, n = text_data(s), text_size(s)
    i = 0
    while True:
        while i < n and is_space(decode_at(p, i)):
            i += width_at(p[i])
        if i >= n:
            return xs
        start = i
        if left == 0:
            list_append(xs, STORED, text_part(s, start, n))
            return xs
        left -= 1
        while i < n and not is_space(decode_at(p, i)):
            i += width_at(p[i])
        list_append(xs, STORED, text_part(s, start, i))


@fn(unchecked=True, unit=True)
def text_rwords(s: str, limit: int) -> list[str]:
    """s.rsplit(None, limit)"""
    left = limit if limit >= 0 else MANY
    xs = list_new(TEXTS, STORED, 4)
    p = text_data(s)
    i = text_size(s)
    while True:
        while i > 0 and is_space(decode_at(p, before(p, i))):
            i = before(p, i)
        if i <= 0:
            break
        end = i
        if left == 0:
            list_append(xs, STORED, text_part(s, 0, end))
            break
        left -= 1
        while i > 0 and not is_space(decode_at(p, before(p, i))):
            i = before(p, i)
        list_append(xs, STORED, text_part(s, i, end))
    _reverse(xs)
    return xs


@fn(unchecked=True, unit=True)
def text_splitlines(s: str, keep: bool) -> list[str]:
    xs = list_new(TEXTS, STORED, 4)
    p, n = text_data(s), text_size(s)
    i, start = 0, 0
    while i < n:
        code = decode_at(p, i)
        width = width_at(p[i])
        if is_line_break(code):
            end = i + width
            if code == 13 and end < n and p[end] == 10:
                end += 1
            list_append(xs, STORED, text_part(s, start, end if keep else i))
            start = end
            i = end
        else:
            i += width
    if start < n:
        list_append(xs, STORED, s if start == 0 else text_part(s, start, n))
    return xs
