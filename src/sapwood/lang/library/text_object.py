"""Texts as objects: making, joining, slicing, comparing. Words of a str: 2 bytes, 3 code points, 4 hash (0: not
computed); then its UTF-8, ended by a zero byte. A text with as many code points as bytes is ASCII.
"""

from __future__ import annotations

from sapwood.lang import types as ty
from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i64, u8
from sapwood.lang.function import fn
from sapwood.lang.library.text_memory import compare, equal, hash_bytes, move
from sapwood.lang.library.text_utf8 import (
    before,
    byte_of_point,
    count_points,
    decode_at,
    encode_at,
    skip_points,
    skip_points_back,
    width_at,
    width_of,
)
from sapwood.lang.ops.heap import free, new_object, words
from sapwood.lang.ops.heap_struct import heap_state
from sapwood.lang.ops.memory import address
from sapwood.lang.ops.text_objects import ascii_character, python_text, text_data, text_grow

STR = ty.Str()
SIZE, POINTS, HASH = 2, 3, 4
HEAD = 40
ALL = (1 << 63) - 1  # the end of a slice that was not given


@fn(unchecked=True, inline=True)
def new_text(size: int, points: int):
    """A text of so many bytes and code points, whose bytes are still to be written."""
    s = new_object(STR, size + (HEAD + 1))
    w = words(s)
    w[SIZE] = size
    w[POINTS] = points
    w[HASH] = 0
    text_data(s)[size] = u8(0)
    return s


@fn(unchecked=True)
def text_drop(w: Ptr[i64]) -> None:
    forget_place(w)
    free(w, w[SIZE] + (HEAD + 1))


# Words of the shared state: the text that was last indexed and is not ASCII, a code point of it and its byte. So a loop
# over its indices takes linear time. The object's address is no longer its own once it ends or grows.
PLACE_TEXT, PLACE_POINT, PLACE_BYTE = 4, 5, 6
WORTH = 64  # code points of a text for which a place is remembered


@fn(unchecked=True, inline=True)
def forget_place(w: Ptr[i64]) -> None:
    if heap_state()[PLACE_TEXT] == address(w):
        heap_state()[PLACE_TEXT] = 0


@fn(unchecked=True, unit=True)
def text_place(s: str, index: int) -> int:
    """The byte where code point `index` (0 to points) begins: from the nearest of both ends and the last place."""
    n, points, p = text_size(s), text_points(s), text_data(s)
    if points < WORTH or n == points:
        return byte_of_point(p, n, points, index)
    state, me = heap_state(), address(words(s))
    gap = index - state[PLACE_POINT]
    if state[PLACE_TEXT] == me and abs(gap) < min(index, points - index):
        last = state[PLACE_BYTE]
        at = skip_points(p, last, n, gap) if gap >= 0 else skip_points_back(p, last, -gap)
    else:
        at = byte_of_point(p, n, points, index)
    state[PLACE_TEXT] = me
    state[PLACE_POINT] = index
    state[PLACE_BYTE] = at
    return at


@fn(unchecked=True, inline=True)
def text_size(s) -> int:
    """Bytes of UTF-8."""
    return words(s)[SIZE]


@fn(unchecked=True, inline=True)
def text_points(s) -> int:
    """Code points: len(s)."""
    return words(s)[POINTS]


@fn(unchecked=True, unit=True)
def text_from(p: Ptr[u8], size: int, points: int) -> str:
    """A new text with a copy of these bytes."""
    s = new_text(size, points)
    move(text_data(s), p, size)
    return s


@fn(unchecked=True, unit=True)
def text_decoded(p: Ptr[u8], size: int) -> str:
    """A new text of well-formed UTF-8."""
    s = new_text(size, count_points(p, size))
    move(text_data(s), p, size)
    return s


@fn(unchecked=True, unit=True)
def text_from_python(x: Ptr[i64]) -> str:
    """A Python str as a text."""
    p, size = python_text(x)
    return text_decoded(p, size)


@fn(unchecked=True, unit=True)
def text_character(code: int) -> str:
    """chr(code), of a code that is in range."""
    if code < 0x80:
        return ascii_character(code)
    s = new_text(width_of(code), 1)
    encode_at(text_data(s), 0, code)
    return s


# -- comparing -----------------------------------------------------------------------------------------


@fn(unchecked=True, unit=True)
def memory_equal(p: Ptr[u8], q: Ptr[u8], n: int) -> bool:
    return equal(p, q, n)


@fn(unchecked=True, inline=True)
def text_equal(s, t) -> bool:
    n = words(s)[SIZE]
    if n != words(t)[SIZE]:
        return False
    return memory_equal(text_data(s), text_data(t), n)


@fn(unchecked=True, unit=True)
def text_compare(s: str, t: str) -> int:
    """Below, at or above zero as s is less than, equal to or greater than t."""
    return compare(text_data(s), text_size(s), text_data(t), text_size(t))


@fn(unchecked=True, unit=True)
def text_compute_hash(s: str) -> int:
    h = hash_bytes(text_data(s), text_size(s))
    words(s)[HASH] = h
    return h


@fn(unchecked=True, inline=True)
def text_hash(s) -> int:
    """The hash, which is computed once."""
    h = words(s)[HASH]
    return h if h != 0 else text_compute_hash(s)


# -- joining -------------------------------------------------------------------------------------------


@fn(unchecked=True, unit=True)
def text_put(s: str, t: str) -> None:
    """Write t behind s, which nobody else refers to and which has room for it."""
    n, m = text_size(s), text_size(t)
    move(text_data(s) + n, text_data(t), m)
    w = words(s)
    w[SIZE] = n + m
    w[POINTS] += text_points(t)
    w[HASH] = 0
    text_data(s)[n + m] = u8(0)


@fn(unchecked=True, inline=True)
def text_add(s, t):
    """s + t. If nobody else refers to s, it grows in place, so that adding in a loop takes linear time."""
    forget_place(words(s))
    grown = text_grow(s, text_size(t))
    text_put(grown, t)
    return grown


@fn(unchecked=True, unit=True)
def text_repeat(s: str, count: int) -> str:
    n = text_size(s)
    count = max(count, 0)
    if n > 0 and count > (1 << 47) // n:
        raise MemoryError
    total = n * count
    out = new_text(total, text_points(s) * count)
    p = text_data(out)
    if n == 1:
        x = text_data(s)[0]
        for i in range(total):
            p[i] = x
        return out
    if total > 0:
        move(p, text_data(s), n)
        done = n
        while done < total:  # each copy doubles what is there
            step = min(done, total - done)
            move(p + done, p, step)
            done += step
    return out




# -- items and slices ----------------------------------------------------------------------------------


@fn(unchecked=True, unit=True)
def text_code_at(s: str, i: int) -> int:
    """The code point number i."""
    p = text_data(s)
    return decode_at(p, text_place(s, i))


@fn(unchecked=True, inline=True)
def text_item(s, size: int, points: int, index: int) -> int:
    """ord(s[index]) of a text of so many bytes and code points."""
    i = index + points if index < 0 else index
    if i < 0 or i >= points:
        raise IndexError("string index out of range")
    if size == points:
        return int(text_data(s)[i])
    return text_code_at(s, i)


@fn(unchecked=True, unit=True)
def text_code(s: str) -> int:
    """ord(s)"""
    points = text_points(s)
    if points != 1:
        raise TypeError(f"ord() expected a character, but string of length {points} found")
    return decode_at(text_data(s), 0)


@fn(unchecked=True, inline=True)
def text_chr(code: int) -> int:
    """The code point of chr(code)."""
    if code < 0 or code >= 0x110000:
        raise ValueError("chr() arg not in range(0x110000)")
    return code


@fn(unchecked=True, unit=True)
def text_wide(p: Ptr[u8]) -> int:
    """A code point and the bytes that it takes, as one number: code << 2 | width - 1."""
    return decode_at(p, 0) << 2 | (width_at(p[0]) - 1)


@fn(unchecked=True, inline=True)
def text_next(s, at: int) -> tuple[int, int]:
    """(code point that begins at byte `at`, byte after it)."""
    p = text_data(s)
    a = int(p[at])
    if a < 0x80:
        return a, at + 1
    wide = text_wide(p + at)
    return wide >> 2, at + (wide & 3) + 1


@fn(unchecked=True, inline=True)
def clip(i: int, n: int) -> int:
    """An end of a slice as a position from 0 to n, as Python counts from the end."""
    if i < 0:
        i += n
        return 0 if i < 0 else i
    return n if i > n else i


@fn(unchecked=True, inline=True)
def text_part(s, start: int, stop: int):
    """The text between two bytes that begin code points."""
    size = stop - start
    p = text_data(s) + start
    points = size if text_size(s) == text_points(s) else count_points(p, size)
    return text_from(p, size, points)


@fn(unchecked=True, unit=True)
def text_slice(s: str, start: int, stop: int) -> str:
    """s[start:stop]"""
    n, points = text_size(s), text_points(s)
    first = clip(start, points)
    last = clip(stop, points)
    if first >= last:
        return ""
    if first == 0 and last == points:
        return s
    p = text_data(s)
    if n == points:
        return text_from(p + first, last - first, last - first)
    begin = text_place(s, first)
    if last - first < (points >> 2):
        end = skip_points(p, begin, n, last - first)
    else:
        end = text_place(s, last)
    return text_from(p + begin, end - begin, last - first)


@fn(unchecked=True, unit=True)
def text_slice_equal(s: str, start: int, stop: int, t: str) -> bool:
    """s[start:stop] == t"""
    n, points = text_size(s), text_points(s)
    first = clip(start, points)
    count = max(clip(stop, points) - first, 0)
    if count != text_points(t):
        return False
    m, p = text_size(t), text_data(s)
    begin = first if n == points else text_place(s, first)
    return n - begin >= m and equal(p + begin, text_data(t), m)


@fn(unchecked=True, unit=True)
def text_slice_step(s: str, start: int, stop: int, step: int, has_start: bool, has_stop: bool) -> str:
    """s[start:stop:step]"""
    if step == 0:
        raise ValueError("slice step cannot be zero")
    n, points = text_size(s), text_points(s)
    if step > 0:
        first = clip(start, points) if has_start else 0
        last = clip(stop, points) if has_stop else points
        count = (last - first + (step - 1)) // step if last > first else 0
    else:
        first = start + points if start < 0 else start
        first = max(min(first, points - 1), -1) if has_start else points - 1
        last = stop + points if stop < 0 else stop
        last = max(min(last, points - 1), -1) if has_stop else -1
        count = (first - last - step - 1) // -step if first > last else 0
    if count <= 0:
        return ""
    p = text_data(s)
    if n == points:
        out = new_text(count, count)
        q = text_data(out)
        for k in range(count):
            q[k] = p[first + k * step]
        return out
    i = text_place(s, first)
    start_byte, size = i, 0
    for k in range(count):
        size += width_at(p[i])
        if k + 1 < count:
            i = _move(p, i, n, step)
    out = new_text(size, count)
    q = text_data(out)
    i, at = start_byte, 0
    for k in range(count):
        width = width_at(p[i])
        for j in range(width):
            q[at + j] = p[i + j]
        at += width
        if k + 1 < count:
            i = _move(p, i, n, step)
    return out


@fn(unchecked=True, inline=True)
def _move(p: Ptr[u8], i: int, n: int, step: int) -> int:
    """The byte `step` code points after byte i, or before it."""
    if step > 0:
        return skip_points(p, i, n, step)
    left = step
    while left < 0:
        i = before(p, i)
        left += 1
    return i
