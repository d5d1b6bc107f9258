"""Values as text: str, repr, format and the pieces of f-strings."""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr, StackArray
from sapwood.lang.api.dtypes import u8, u64
from sapwood.lang.function import fn
from sapwood.lang.library.text_floats import short_fixed, short_repr
from sapwood.lang.library.text_format import (
    LETTER_C,
    int_digits,
    int_prefix,
    number_layout,
    padded_bytes,
    sign_of,
    write_number,
)
from sapwood.lang.library.text_integers import decimal_length, magnitude, write_decimal
from sapwood.lang.library.text_memory import move
from sapwood.lang.library.text_object import (
    POINTS,
    SIZE,
    new_text,
    text_character,
    text_part,
    text_points,
    text_size,
)
from sapwood.lang.library.text_search import text_padded
from sapwood.lang.library.text_spec import (
    ALIGN_CENTER,
    ALIGN_MASK,
    ALIGN_RIGHT,
    ALTERNATE,
    NO_NEGATIVE_ZERO,
    TYPE_MASK,
    TYPE_SHIFT,
    UNSIGNED,
)
from sapwood.lang.library.text_unicode import PRINTABLE, flags_of
from sapwood.lang.library.text_utf8 import byte_of_point, decode_at, encode_at, width_at, width_of
from sapwood.lang.ops.constants import constant_bytes
from sapwood.lang.ops.doubles import double_to_text, free_text
from sapwood.lang.ops.heap import words
from sapwood.lang.ops.text_objects import text_data

# -- texts under construction: their words say how much is written --------------------------------------


@fn(unchecked=True, unit=True)
def text_start(room: int) -> str:
    """An empty text that so many bytes can be put into."""
    s = new_text(room, 0)
    w = words(s)
    w[SIZE] = 0
    return s


@fn(unchecked=True, inline=True)
def _wrote(s, size: int, points: int) -> None:
    """So many bytes were put behind the text."""
    w = words(s)
    n = w[SIZE] + size
    w[SIZE] = n
    w[POINTS] += points
    text_data(s)[n] = u8(0)


@fn(unchecked=True, unit=True)
def put_int(s: str, x: int) -> None:
    """Put str(x): 20 bytes at most."""
    p = text_data(s) + text_size(s)
    u = magnitude(x)
    n = decimal_length(u)
    if x < 0:
        p[0] = u8(45)
        n += 1
    write_decimal(p, n, u)
    _wrote(s, n, n)


@fn(unchecked=True, unit=True)
def put_float(s: str, x: float) -> None:
    """Put repr(x): 32 bytes at most."""
    p = text_data(s) + text_size(s)
    n = short_repr(p, x)
    if n < 0:
        q = double_to_text(x, 114, 0, 2)
        n = length_of(q)
        move(p, q, n)
        free_text(q)
    _wrote(s, n, n)


@fn(unchecked=True, inline=True)
def length_of(p: Ptr[u8]) -> int:
    """Bytes before the zero byte that ends a C text."""
    n = 0
    while p[n] != u8(0):
        n += 1
    return n


# -- numbers -------------------------------------------------------------------------------------------


@fn(unchecked=True, unit=True)
def int_text(x: int) -> str:
    """str(x)"""
    u = magnitude(x)
    n = decimal_length(u) + (1 if x < 0 else 0)
    s = new_text(n, n)
    p = text_data(s)
    p[0] = u8(45)
    write_decimal(p, n, u)
    return s


@fn(unchecked=True, unit=True)
def unsigned_text(x: int) -> str:
    """str of a u64, given as the int of the same bits."""
    u = u64(x)
    n = decimal_length(u)
    s = new_text(n, n)
    write_decimal(text_data(s), n, u)
    return s


@fn(unchecked=True, unit=True)
def float_text(x: float) -> str:
    """repr(x)"""
    buffer = StackArray[u8, 64]()
    n = short_repr(buffer.ptr, x)
    if n >= 0:
        s = new_text(n, n)
        move(text_data(s), buffer.ptr, n)
        return s
    q = double_to_text(x, 114, 0, 2)
    n = length_of(q)
    move(buffer.ptr, q, n)
    free_text(q)
    s = new_text(n, n)
    move(text_data(s), buffer.ptr, n)
    return s


@fn(unchecked=True, unit=True)
def format_int(x: int, packed: int, fill: int, width: int) -> str:
    """format(x, spec) of an int with one of the integer types."""
    letter = packed >> TYPE_SHIFT & TYPE_MASK
    negative = x < 0 and packed & UNSIGNED == 0
    if letter == LETTER_C:
        if x < 0 or x >= 0x110000:
            raise OverflowError("%c arg not in range(0x110000)")
        return format_text(text_character(x), packed, fill, width, -1)
    buffer = StackArray[u8, 64]()
    n = int_digits(buffer.ptr, magnitude(x) if negative else u64(x), letter)
    sign, prefix = sign_of(negative, packed), int_prefix(packed)
    return _number(sign, prefix, buffer.ptr, n, buffer.ptr, 0, False, packed, fill, width)


@fn(unchecked=True)
def _number(
    sign: int, prefix: int, digits: Ptr[u8], n: int, rest: Ptr[u8], m: int, percent: bool, packed: int, fill: int,
    width: int,
) -> str:
    if width > 1 << 46:
        raise MemoryError
    tail = m + (1 if percent else 0)
    head = 2 if prefix > 0 else 0
    grouped, padding = number_layout(sign, head, n, tail, packed, fill, width)
    points = (1 if sign > 0 else 0) + head + grouped + tail + padding
    s = new_text(points - padding + padded_bytes(padding, fill), points)
    write_number(text_data(s), sign, prefix, digits, n, rest, m, percent, grouped, padding, packed, fill)
    return s


PERCENT, LETTER_N, LETTER_R, LETTER_G, LETTER_F, LETTER_UPPER_F = 37, 110, 114, 103, 102, 70


@fn(unchecked=True, unit=True)
def format_float(x: float, packed: int, fill: int, width: int, precision: int) -> str:
    """format(x, spec) of a float."""
    letter = packed >> TYPE_SHIFT
    flags = (4 if packed & ALTERNATE != 0 else 0) | (8 if packed & NO_NEGATIVE_ZERO != 0 else 0)
    percent = letter == PERCENT
    code = letter
    digits = 6 if precision < 0 else precision
    if letter == 0:
        flags |= 2
        code = LETTER_R if precision < 0 else LETTER_G
        digits = 0 if precision < 0 else precision
    elif letter == LETTER_N:
        code = LETTER_G
    elif percent:
        x = x * 100.0
        code = LETTER_F
    if digits > 2147483647 - 64:
        raise ValueError("precision too big")
    buffer = StackArray[u8, 64]()
    n = -1
    if flags & 12 == 0:
        if code == LETTER_F or code == LETTER_UPPER_F:
            n = short_fixed(buffer.ptr, x, digits)
        elif code == LETTER_R:
            n = short_repr(buffer.ptr, x)
    if n >= 0:
        return _float_number(buffer.ptr, n, percent, packed, fill, width)
    q = double_to_text(x, code, digits, flags)
    s = _float_number(q, length_of(q), percent, packed, fill, width)
    free_text(q)
    return s


@fn(unchecked=True)
def _float_number(p: Ptr[u8], n: int, percent: bool, packed: int, fill: int, width: int) -> str:
    negative = p[0] == u8(45)
    start = 1 if negative else 0
    end = start
    while end < n and p[end] - u8(48) < u8(10):
        end += 1
    sign = sign_of(negative, packed)
    return _number(sign, 0, p + start, end - start, p + end, n - end, percent, packed, fill, width)


@fn(unchecked=True, unit=True)
def format_text(s: str, packed: int, fill: int, width: int, precision: int) -> str:
    """format(s, spec) of a str."""
    points = text_points(s)
    if precision >= 0 and precision < points:
        s = text_part(s, 0, byte_of_point(text_data(s), text_size(s), points, precision))
        points = precision
    padding = width - points
    if padding <= 0:
        return s
    if padding > 1 << 46:
        raise MemoryError
    align = packed & ALIGN_MASK
    left = padding if align == ALIGN_RIGHT else padding >> 1 if align == ALIGN_CENTER else 0
    return text_padded(s, left, padding - left, text_character(fill))


# -- repr ----------------------------------------------------------------------------------------------

HEX = b"0123456789abcdef"


@fn(unchecked=True, inline=True)
def _escape(code: int, quote: int, ascii: bool) -> int:
    """Bytes that a code point takes in a repr."""
    if code < 0x80:
        if code == quote or code == 92 or code == 9 or code == 10 or code == 13:
            return 2
        return 4 if code < 32 or code == 127 else 1
    if not ascii and flags_of(code) & PRINTABLE != 0:
        return width_of(code)
    return 4 if code < 0x100 else 6 if code < 0x10000 else 10


@fn(unchecked=True, unit=True)
def text_repr(s: str, ascii: bool) -> str:
    """repr(s), or ascii(s)."""
    p, n = text_data(s), text_size(s)
    single, double = False, False
    for k in range(n):
        if p[k] == u8(39):
            single = True
        elif p[k] == u8(34):
            double = True
    quote = 34 if single and not double else 39
    size, points = 2, 2
    i = 0
    while i < n:
        code = decode_at(p, i)
        width = _escape(code, quote, ascii)
        size += width
        points += 1 if code >= 0x80 and not ascii and flags_of(code) & PRINTABLE != 0 else width
        i += width_at(p[i])
    out = new_text(size, points)
    to = text_data(out)
    to[0] = u8(quote)
    i, at = 0, 1
    while i < n:
        code = decode_at(p, i)
        width = _escape(code, quote, ascii)
        if (code < 0x80 and width == 1) or (code >= 0x80 and not ascii and flags_of(code) & PRINTABLE != 0):
            at = encode_at(to, at, code)
        else:
            _write_escape(to, at, code, width)
            at += width
        i += width_at(p[i])
    to[at] = u8(quote)
    return out


@fn(unchecked=True)
def _write_escape(to: Ptr[u8], at: int, code: int, width: int) -> None:
    """An escape sequence of 2, 4, 6 or 10 bytes."""
    to[at] = u8(92)
    if width == 2:
        to[at + 1] = u8(116 if code == 9 else 110 if code == 10 else 114 if code == 13 else code)
        return
    to[at + 1] = u8(120 if width == 4 else 117 if width == 6 else 85)
    digits = constant_bytes(HEX)
    i = at + width
    while i > at + 2:
        i -= 1
        to[i] = digits[code & 15]
        code = code >> 4
