"""Methods of str that search, replace and cut."""

from __future__ import annotations

from sapwood.lang.api.annotations import Const, Ptr
from sapwood.lang.api.dtypes import u8
from sapwood.lang.function import fn
from sapwood.lang.library.text_memory import count, equal, find, find_last, move
from sapwood.lang.library.text_object import clip, new_text, text_part, text_place, text_points, text_size
from sapwood.lang.library.text_unicode import is_space
from sapwood.lang.library.text_utf8 import before, count_points, decode_at, width_at
from sapwood.lang.ops.text_objects import text_data


@fn(unchecked=True, inline=True)
def _bounds(s, start: int, end: int) -> tuple[int, int, int]:
    """(first byte, end byte, code points before the first byte) of s[start:end]; an end before the start if that
    slice is not in the text at all."""
    n, points = text_size(s), text_points(s)
    first = start + points if start < 0 else start
    first = 0 if first < 0 else first
    last = clip(end, points)
    if n == points or first > last:
        return first, last, first
    return text_place(s, first), text_place(s, last), first


@fn(unchecked=True, inline=True)
def _find(s, t, start: int, end: int, last: Const[bool]) -> int:
    a, b, before_it = _bounds(s, start, end)
    m = text_size(t)
    if b - a < m:
        return -1
    p = text_data(s) + a
    at = find_last(p, b - a, text_data(t), m) if last else find(p, b - a, text_data(t), m)
    if at < 0 or text_size(s) == text_points(s):
        return at if at < 0 else at + a
    return before_it + count_points(p, at)


@fn(unchecked=True, unit=True)
def text_find(s: str, t: str, start: int, end: int) -> int:
    return _find(s, t, start, end, False)


@fn(unchecked=True, unit=True)
def text_rfind(s: str, t: str, start: int, end: int) -> int:
    return _find(s, t, start, end, True)


@fn(unchecked=True, unit=True)
def text_index(s: str, t: str, start: int, end: int) -> int:
    at = _find(s, t, start, end, False)
    if at < 0:
        raise ValueError("substring not found")
    return at


@fn(unchecked=True, unit=True)
def text_rindex(s: str, t: str, start: int, end: int) -> int:
    at = _find(s, t, start, end, True)
    if at < 0:
        raise ValueError("substring not found")
    return at


@fn(unchecked=True, unit=True)
def text_contains(s: str, t: str) -> bool:
    n, m = text_size(s), text_size(t)
    return n >= m and find(text_data(s), n, text_data(t), m) >= 0


@fn(unchecked=True, unit=True)
def text_count(s: str, t: str, start: int, end: int) -> int:
    a, b, _ = _bounds(s, start, end)
    if b < a:
        return 0
    m = text_size(t)
    if m == 0:
        return (b - a if text_size(s) == text_points(s) else count_points(text_data(s) + a, b - a)) + 1
    return count(text_data(s) + a, b - a, text_data(t), m, 1 << 62)


@fn(unchecked=True, unit=True)
def text_startswith(s: str, t: str, start: int, end: int) -> bool:
    a, b, _ = _bounds(s, start, end)
    m = text_size(t)
    return b - a >= m and equal(text_data(s) + a, text_data(t), m)


@fn(unchecked=True, unit=True)
def text_endswith(s: str, t: str, start: int, end: int) -> bool:
    a, b, _ = _bounds(s, start, end)
    m = text_size(t)
    return b - a >= m and equal(text_data(s) + (b - m), text_data(t), m)


@fn(unchecked=True, unit=True)
def text_replace(s: str, old: str, new: str, limit: int) -> str:
    n, m, k = text_size(s), text_size(old), text_size(new)
    most = limit if limit >= 0 else 1 << 62
    p, q, r = text_data(s), text_data(old), text_data(new)
    if m == 0:
        return _interleave(s, new, most)
    found = count(p, n, q, m, most) if n >= m else 0
    if found == 0:
        return s
    points = text_points(s) + found * (text_points(new) - text_points(old))
    out = new_text(n + found * (k - m), points)
    to = text_data(out)
    i, at = 0, 0
    for _ in range(found):
        step = find(p + i, n - i, q, m)
        move(to + at, p + i, step)
        at += step
        move(to + at, r, k)
        at += k
        i += step + m
    move(to + at, p + i, n - i)
    return out


@fn(unchecked=True)
def _interleave(s: str, new: str, most: int) -> str:
    """s.replace("", new)"""
    n, k = text_size(s), text_size(new)
    times = min(text_points(s) + 1, most)
    if times <= 0 or k == 0:
        return s
    out = new_text(n + times * k, text_points(s) + times * text_points(new))
    p, to = text_data(s), text_data(out)
    narrow = n == text_points(s)
    i, at = 0, 0
    for done in range(times):
        move(to + at, text_data(new), k)
        at += k
        if done + 1 < times or i < n:
            width = 0 if i >= n else 1 if narrow else width_at(p[i])
            move(to + at, p + i, width)
            i += width
            at += width
    move(to + at, p + i, n - i)
    return out


@fn(unchecked=True, unit=True)
def text_partition(s: str, separator: str) -> tuple[str, str, str]:
    m = text_size(separator)
    if m == 0:
        raise ValueError("empty separator")
    at = find(text_data(s), text_size(s), text_data(separator), m) if text_size(s) >= m else -1
    if at < 0:
        return s, "", ""
    return text_part(s, 0, at), separator, text_part(s, at + m, text_size(s))


@fn(unchecked=True, unit=True)
def text_rpartition(s: str, separator: str) -> tuple[str, str, str]:
    m = text_size(separator)
    if m == 0:
        raise ValueError("empty separator")
    at = find_last(text_data(s), text_size(s), text_data(separator), m) if text_size(s) >= m else -1
    if at < 0:
        return "", "", s
    return text_part(s, 0, at), separator, text_part(s, at + m, text_size(s))


# -- strip ---------------------------------------------------------------------------------------------


@fn(unchecked=True)
def _among(code: int, chars: Ptr[u8], size: int) -> bool:
    i = 0
    while i < size:
        if decode_at(chars, i) == code:
            return True
        i += width_at(chars[i])
    return False


@fn(unchecked=True, inline=True)
def _strip(s, chars, spaces: Const[bool], left: Const[bool], right: Const[bool]):
    p = text_data(s)
    i, end = 0, text_size(s)
    if left:
        while i < end:
            code = decode_at(p, i)
            if spaces:
                inside = is_space(code)
            else:
                inside = _among(code, text_data(chars), text_size(chars))
            if not inside:
                break
            i += width_at(p[i])
    if right:
        while end > i:
            at = before(p, end)
            code = decode_at(p, at)
            if spaces:
                inside = is_space(code)
            else:
                inside = _among(code, text_data(chars), text_size(chars))
            if not inside:
                break
            end = at
    if end - i == text_size(s):
        return s
    return text_part(s, i, end)


@fn(unchecked=True, unit=True)
def text_strip(s: str) -> str:
    return _strip(s, s, True, True, True)


@fn(unchecked=True, unit=True)
def text_lstrip(s: str) -> str:
    return _strip(s, s, True, True, False)


@fn(unchecked=True, unit=True)
def text_rstrip(s: str) -> str:
    return _strip(s, s, True, False, True)


@fn(unchecked=True, unit=True)
def text_strip_chars(s: str, chars: str) -> str:
    return _strip(s, chars, False, True, True)


@fn(unchecked=True, unit=True)
def text_lstrip_chars(s: str, chars: str) -> str:
    return _strip(s, chars, False, True, False)


@fn(unchecked=True, unit=True)
def text_rstrip_chars(s: str, chars: str) -> str:
    return _strip(s, chars, False, False, True)


@fn(unchecked=True, unit=True)
def text_removeprefix(s: str, t: str) -> str:
    n, m = text_size(s), text_size(t)
    if m > 0 and n >= m and equal(text_data(s), text_data(t), m):
        return text_part(s, m, n)
    return s


@fn(unchecked=True, unit=True)
def text_removesuffix(s: str, t: str) -> str:
    n, m = text_size(s), text_size(t)
    if m > 0 and n >= m and equal(text_data(s) + (n - m), text_data(t), m):
        return text_part(s, 0, n - m)
    return s


# -- layout --------------------------------------------------------------------------------------------


@fn(unchecked=True, unit=True)
def text_padded(s: str, left: int, right: int, fill: str) -> str:
    """s between `left` and `right` copies of a character."""
    n, k = text_size(s), text_size(fill)
    out = new_text(n + (left + right) * k, text_points(s) + left + right)
    to = text_data(out)
    _repeat(to, fill, left)
    move(to + left * k, text_data(s), n)
    _repeat(to + (left * k + n), fill, right)
    return out


@fn(unchecked=True)
def _repeat(to: Ptr[u8], fill: str, times: int) -> None:
    k = text_size(fill)
    q = text_data(fill)
    if k == 1:
        x = q[0]
        for i in range(times):
            to[i] = x
        return
    for i in range(times):
        for j in range(k):
            to[i * k + j] = q[j]


LEFT, RIGHT, CENTER = 0, 1, 2


@fn(unchecked=True, unit=True)
def text_justify(s: str, width: int, fill: str, how: int) -> str:
    """ljust, rjust and center."""
    if text_points(fill) != 1:
        raise TypeError("The fill character must be exactly one character long")
    missing = width - text_points(s)
    if missing <= 0:
        return s
    if missing > 1 << 46:
        raise MemoryError
    if how == LEFT:
        return text_padded(s, 0, missing, fill)
    if how == RIGHT:
        return text_padded(s, missing, 0, fill)
    left = (missing >> 1) + (missing & width & 1)
    return text_padded(s, left, missing - left, fill)


@fn(unchecked=True, unit=True)
def text_zfill(s: str, width: int) -> str:
    missing = width - text_points(s)
    if missing <= 0:
        return s
    if missing > 1 << 46:
        raise MemoryError
    n = text_size(s)
    out = new_text(n + missing, width)
    to, p = text_data(out), text_data(s)
    signed = n > 0 and (p[0] == u8(43) or p[0] == u8(45))
    at = 1 if signed else 0
    if signed:
        to[0] = p[0]
    for i in range(missing):
        to[at + i] = u8(48)
    move(to + (at + missing), p + at, n - at)
    return out


@fn(unchecked=True, unit=True)
def text_expandtabs(s: str, tabsize: int) -> str:
    p, n = text_data(s), text_size(s)
    narrow = n == text_points(s)
    column, extra = 0, 0
    for i in range(n):
        x = p[i]
        if x == u8(9):
            step = tabsize - column % tabsize if tabsize > 0 else 0
            column += step
            extra += step - 1
        elif x == u8(10) or x == u8(13):
            column = 0
        elif narrow or x & 0xC0 != 0x80:
            column += 1
    out = new_text(n + extra, text_points(s) + extra)
    to = text_data(out)
    column, at = 0, 0
    for i in range(n):
        x = p[i]
        if x == u8(9):
            step = tabsize - column % tabsize if tabsize > 0 else 0
            column += step
            for _ in range(step):
                to[at] = u8(32)
                at += 1
            continue
        if x == u8(10) or x == u8(13):
            column = 0
        elif narrow or x & 0xC0 != 0x80:
            column += 1
        to[at] = x
        at += 1
    return out
