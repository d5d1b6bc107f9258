"""Numbers laid out as format specifiers ask: sign, prefix, grouping, padding. Each is measured, then written."""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import u8, u64
from sapwood.lang.function import fn
from sapwood.lang.library.text_integers import decimal_length, digits_length, write_decimal, write_digits
from sapwood.lang.library.text_memory import move
from sapwood.lang.library.text_spec import (
    ALIGN_AFTER_SIGN,
    ALIGN_CENTER,
    ALIGN_MASK,
    ALIGN_RIGHT,
    ALTERNATE,
    GROUP_COMMA,
    GROUP_MASK,
    SIGN_MASK,
    SIGN_PLUS,
    SIGN_SPACE,
    TYPE_MASK,
    TYPE_SHIFT,
)
from sapwood.lang.library.text_utf8 import encode_at, width_of

LETTER_B, LETTER_C, LETTER_O, LETTER_X, LETTER_UPPER_X = 98, 99, 111, 120, 88


@fn(unchecked=True, inline=True)
def sign_of(negative: bool, packed: int) -> int:
    """The character of the sign, or 0."""
    if negative:
        return 45
    wanted = packed & SIGN_MASK
    return 43 if wanted == SIGN_PLUS else 32 if wanted == SIGN_SPACE else 0


@fn(unchecked=True, inline=True)
def base_of(letter: int) -> int:
    """The base that the letter of an integer format asks for."""
    if letter == LETTER_X or letter == LETTER_UPPER_X:
        return 16
    if letter == LETTER_B:
        return 2
    if letter == LETTER_O:
        return 8
    return 10


@fn(unchecked=True)
def grouped_length(digits: int, at_least: int, group: int) -> int:
    """Characters of `digits` digits with a separator before each `group` of them (0: none), padded with zeros to
    a width."""
    if digits == 0:
        return 0
    if group == 0:
        return max(digits, at_least)
    length, left, wanted = 0, digits, at_least
    while True:
        part = min(group, max(left, wanted, 1))
        length += part
        left -= min(left, part)
        wanted -= part
        if left <= 0 and wanted <= 0:
            return length
        length += 1
        wanted -= 1


@fn(unchecked=True)
def write_grouped(p: Ptr[u8], at: int, length: int, digits: Ptr[u8], n: int, group: int, separator: u8) -> None:
    """Write n digits into `length` characters from p[at] on, with separators and zeros in front."""
    i, left, run = at + length, n, 0
    while i > at:
        i -= 1
        if group > 0 and run == group:
            p[i] = separator
            run = 0
            continue
        if left > 0:
            left -= 1
            p[i] = digits[left]
        else:
            p[i] = u8(48)
        run += 1


@fn(unchecked=True)
def fill_points(p: Ptr[u8], at: int, count: int, fill: int) -> int:
    """Write a code point `count` times from p[at] on; gives the end."""
    if fill < 0x80:
        for i in range(count):
            p[at + i] = u8(fill)
        return at + count
    for _ in range(count):
        at = encode_at(p, at, fill)
    return at


@fn(unchecked=True, inline=True)
def _group_of(packed: int) -> int:
    if packed & GROUP_MASK == 0:
        return 0
    return 3 if base_of(packed >> TYPE_SHIFT & TYPE_MASK) == 10 else 4


@fn(unchecked=True)
def number_layout(
    sign: int, prefix: int, digits: int, rest: int, packed: int, fill: int, width: int
) -> tuple[int, int]:
    """(characters of the digits with their separators and zeros, characters of padding)."""
    fixed = (1 if sign > 0 else 0) + prefix + rest
    at_least = width - fixed if fill == 48 and packed & ALIGN_MASK == ALIGN_AFTER_SIGN else 0
    grouped = grouped_length(digits, at_least, _group_of(packed))
    return grouped, max(width - fixed - grouped, 0)


@fn(unchecked=True)
def write_number(
    p: Ptr[u8], sign: int, prefix: int, digits: Ptr[u8], n: int, rest: Ptr[u8], m: int, percent: bool,
    grouped: int, padding: int, packed: int, fill: int,
) -> int:
    """Write a number in its layout; `prefix` is the letter after 0x, or 0. Gives the end."""
    align = packed & ALIGN_MASK
    left = padding if align == ALIGN_RIGHT else padding >> 1 if align == ALIGN_CENTER else 0
    inner = padding if align == ALIGN_AFTER_SIGN else 0
    at = fill_points(p, 0, left, fill)
    if sign > 0:
        p[at] = u8(sign)
        at += 1
    if prefix > 0:
        p[at] = u8(48)
        p[at + 1] = u8(prefix)
        at += 2
    at = fill_points(p, at, inner, fill)
    separator = u8(44) if packed & GROUP_MASK == GROUP_COMMA else u8(95)
    write_grouped(p, at, grouped, digits, n, _group_of(packed), separator)
    at += grouped
    move(p + at, rest, m)
    at += m
    if percent:
        p[at] = u8(37)
        at += 1
    return fill_points(p, at, padding - left - inner, fill)


@fn(unchecked=True, inline=True)
def int_digits(p: Ptr[u8], u: u64, letter: int) -> int:
    """Write the digits of u as the letter of an integer format asks (64 at most); gives how many."""
    base = base_of(letter)
    if base == 10:
        n = decimal_length(u)
        write_decimal(p, n, u)
        return n
    n = digits_length(u, base)
    write_digits(p, n, u, base, letter == LETTER_UPPER_X)
    return n


@fn(unchecked=True, inline=True)
def int_prefix(packed: int) -> int:
    """The letter of the prefix that `#` asks for, or 0."""
    letter = packed >> TYPE_SHIFT & TYPE_MASK
    return letter if packed & ALTERNATE != 0 and base_of(letter) != 10 else 0


@fn(unchecked=True, inline=True)
def padded_bytes(padding: int, fill: int) -> int:
    return padding * width_of(fill)
