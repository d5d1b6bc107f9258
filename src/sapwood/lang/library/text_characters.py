"""Questions about one character, of its code point: ASCII ones are answered without the tables."""

from __future__ import annotations

from sapwood.lang.function import fn
from sapwood.lang.library.text_unicode import (
    ALNUM,
    ALPHA,
    DECIMAL,
    DIGIT,
    LOWER,
    NUMERIC,
    PRINTABLE,
    UPPER,
    flags_of,
    is_space,
)


@fn(unchecked=True, inline=True)
def _between(code: int, first: int, last: int) -> bool:
    return code >= first and code <= last


@fn(unchecked=True, inline=True)
def _is_digit(code: int, mask: int) -> bool:
    if code < 0x80:
        return _between(code, 48, 57)
    return flags_of(code) & mask != 0


@fn(unchecked=True, inline=True)
def character_isdigit(code: int) -> bool:
    return _is_digit(code, DIGIT)


@fn(unchecked=True, inline=True)
def character_isdecimal(code: int) -> bool:
    return _is_digit(code, DECIMAL)


@fn(unchecked=True, inline=True)
def character_isnumeric(code: int) -> bool:
    return _is_digit(code, NUMERIC)


@fn(unchecked=True, inline=True)
def character_isalpha(code: int) -> bool:
    if code < 0x80:
        return _between(code | 32, 97, 122)
    return flags_of(code) & ALPHA != 0


@fn(unchecked=True, inline=True)
def character_isalnum(code: int) -> bool:
    if code < 0x80:
        return _between(code | 32, 97, 122) | _between(code, 48, 57)
    return flags_of(code) & ALNUM != 0


@fn(unchecked=True, inline=True)
def character_isupper(code: int) -> bool:
    if code < 0x80:
        return _between(code, 65, 90)
    return flags_of(code) & UPPER != 0


@fn(unchecked=True, inline=True)
def character_islower(code: int) -> bool:
    if code < 0x80:
        return _between(code, 97, 122)
    return flags_of(code) & LOWER != 0


@fn(unchecked=True, inline=True)
def character_isspace(code: int) -> bool:
    return is_space(code)


@fn(unchecked=True, inline=True)
def character_isascii(code: int) -> bool:
    return code < 0x80


@fn(unchecked=True, inline=True)
def character_isprintable(code: int) -> bool:
    if code < 0x80:
        return _between(code, 32, 126)
    return flags_of(code) & PRINTABLE != 0
