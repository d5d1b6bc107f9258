"""split, rsplit, splitlines and join: between a str and a list of them."""

from __future__ import annotations

from sapwood.lang import types as ty
from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.comptime import simd_width
from sapwood.lang.api.dtypes import i64, u8
from sapwood.lang.function import fn
from sapwood.lang.library.list import list_append, list_new
from sapwood.lang.library.text_memory import find, find_last, move
from sapwood.lang.library.text_object import new_text, text_part, text_points, text_size
from sapwood.lang.library.text_unicode import is_line_break, is_space
from sapwood.lang.library.text_utf8 import before, decode_at, width_at
from sapwood.lang.ops.bits import trailing_zeros
from sapwood.lang.ops.heap import words
from sapwood.lang.ops.lanes import lane_mask
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


# -- one piece after the other: (start, stop, where to go on); start is -1 when there is none -------------


@fn(unchecked=True, unit=True)
def next_word(s: str, i: int) -> tuple[int, int, int]:
    """The word at byte i or after it."""
    p, n = text_data(s), text_size(s)
    while i < n and is_space(decode_at(p, i)):
        i += width_at(p[i])
    if i >= n:
        return -1, 0, i
    start = i
    W = simd_width(u8)
    while i < n:
        if i + W <= n:  # most bytes are ASCII and neither space nor control
            other = lane_mask(p.load(i, width=W) - u8(33) >= u8(95))
            if other == 0:
                i += W
                continue
            i += int(trailing_zeros(other))
        if is_space(decode_at(p, i)):
            break
        i += width_at(p[i])
    return start, i, i


@fn(unchecked=True, unit=True)
def next_field(s: str, separator: str, i: int) -> tuple[int, int, int]:
    """What is between byte i and the next separator; behind the last one i is -1."""
    if i < 0:
        return -1, 0, i
    n, m = text_size(s), text_size(separator)
    step = find(text_data(s) + i, n - i, text_data(separator), m) if n - i >= m else -1
    if step < 0:
        return i, n, -1
    return i, i + step, i + step + m


@fn(unchecked=True, unit=True)
def next_line(s: str, keep: bool, i: int) -> tuple[int, int, int]:
    """The line that begins at byte i."""
    p, n = text_data(s), text_size(s)
    start = i
    while i < n:
        code = decode_at(p, i)
        end = i + width_at(p[i])
        if is_line_break(code):
            if code == 13 and end < n and p[end] == 10:
                end += 1
            return start, end if keep else i, end
        i = end
    return start if start < n else -1, n, n


# -- lists of pieces ------------------------------------------------------------------------------------


@fn(unchecked=True, unit=True)
def text_split(s: str, separator: str, limit: int) -> list[str]:
    if text_size(separator) == 0:
        raise ValueError("empty separator")
    left = limit if limit >= 0 else MANY
    xs = list_new(TEXTS, STORED, 4)
    i = 0
    while True:
        start, stop, i = next_field(s, separator, i)
        if start < 0:
            return xs
        if left == 0:
            stop, i = text_size(s), -1
        left -= 1
        list_append(xs, STORED, s if stop - start == text_size(s) else text_part(s, start, stop))


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
    i = 0
    while True:
        start, stop, i = next_word(s, i)
        if start < 0:
            return xs
        if left == 0:
            list_append(xs, STORED, text_part(s, start, text_size(s)))
            return xs
        left -= 1
        list_append(xs, STORED, text_part(s, start, stop))


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
    i = 0
    while True:
        start, stop, i = next_line(s, keep, i)
        if start < 0:
            return xs
        list_append(xs, STORED, s if stop - start == text_size(s) else text_part(s, start, stop))
