"""Properties of characters, from the table that unicode_tables.py makes of the running Python's database."""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i32, i64, u8, u16, u32
from sapwood.lang.function import fn
from sapwood.lang.library.text_utf8 import decode_at, width_at
from sapwood.lang.library.unicode_tables import (
    ALPHA,
    CASED,
    DECIMAL,
    DIGIT,
    ID_CONTINUE,
    ID_START,
    LIMIT,
    LINE_BREAK,
    LOWER,
    NUMERIC,
    PRINTABLE,
    RECORD,
    SHIFT,
    SPACE,
    SPECIAL,
    TITLE,
    UPPER,
    VALUE_SHIFT,
)
from sapwood.lang.ops.constants import unicode_table

_FIRST = LIMIT >> SHIFT


@fn(unchecked=True, unit=True)
def unicode_record(code: int) -> Ptr[i32]:
    """The record of a code point: flags, then the four mappings."""
    data = unicode_table("data")
    places = unicode_table("places").cast(i64)
    table = data.cast(u16)
    block = int(table[code >> SHIFT])
    record = int(table[_FIRST + (block << SHIFT | code & (1 << SHIFT) - 1)])
    return (data + (places[0] + record * RECORD)).cast(i32)


@fn(unchecked=True, unit=True)
def unicode_specials() -> Ptr[u32]:
    """Code points of the mappings to more than one."""
    return (unicode_table("data") + unicode_table("places").cast(i64)[1]).cast(u32)


@fn(unchecked=True, inline=True)
def flags_of(code: int) -> int:
    """Properties of a code point, as the bits that unicode_tables.py names."""
    return int(unicode_record(code)[0])


@fn(unchecked=True, inline=True)
def is_space(code: int) -> bool:
    """str.isspace of one code point."""
    if code < 0x80:
        return code == 32 or (code >= 9 and code <= 13) or (code >= 28 and code <= 31)
    return flags_of(code) & SPACE != 0


@fn(unchecked=True, inline=True)
def is_line_break(code: int) -> bool:
    """Whether str.splitlines ends a line here."""
    if code < 0x80:
        return (code >= 10 and code <= 13) or (code >= 28 and code <= 30)
    return flags_of(code) & LINE_BREAK != 0


@fn(unchecked=True, inline=True)
def decimal_value(code: int) -> int:
    """The value of a decimal digit of any script, or -1."""
    if code < 0x80:
        return code - 48 if code >= 48 and code <= 57 else -1
    flags = flags_of(code)
    return flags >> VALUE_SHIFT if flags & DECIMAL != 0 else -1


@fn(unchecked=True, inline=True)
def _all_have(p: Ptr[u8], n: int, mask: int) -> bool:
    i = 0
    while i < n:
        if flags_of(decode_at(p, i)) & mask == 0:
            return False
        i += width_at(p[i])
    return True


@fn(unchecked=True, unit=True)
def all_have(p: Ptr[u8], n: int, mask: int) -> bool:
    """Whether every code point has one of the properties in `mask`; true of no code points."""
    return _all_have(p, n, mask)


@fn(unchecked=True, unit=True)
def is_case(p: Ptr[u8], n: int, wanted: int, unwanted: int) -> bool:
    """str.isupper and str.islower: some code point of case `wanted`, none of `unwanted`."""
    i = 0
    found = False
    while i < n:
        flags = flags_of(decode_at(p, i))
        if flags & unwanted != 0:
            return False
        if flags & wanted != 0:
            found = True
        i += width_at(p[i])
    return found


@fn(unchecked=True, unit=True)
def is_title(p: Ptr[u8], n: int) -> bool:
    """str.istitle: capitals begin words only, small letters go on only."""
    i = 0
    found, inside = False, False
    while i < n:
        flags = flags_of(decode_at(p, i))
        if flags & (UPPER | TITLE) != 0:
            if inside:
                return False
            found, inside = True, True
        elif flags & LOWER != 0:
            if not inside:
                return False
            found, inside = True, True
        else:
            inside = False
        i += width_at(p[i])
    return found


@fn(unchecked=True, unit=True)
def is_identifier(p: Ptr[u8], n: int) -> bool:
    """str.isidentifier"""
    if n == 0 or flags_of(decode_at(p, 0)) & ID_START == 0:
        return False
    at = width_at(p[0])
    return _all_have(p + at, n - at, ID_CONTINUE)


ALNUM = ALPHA | DECIMAL | DIGIT | NUMERIC
__all__ = [
    "ALNUM", "ALPHA", "CASED", "DECIMAL", "DIGIT", "LOWER", "NUMERIC", "PRINTABLE", "SPACE", "SPECIAL", "TITLE",
    "UPPER", "all_have", "decimal_value", "flags_of", "is_case", "is_identifier", "is_line_break", "is_space",
    "is_title", "unicode_record", "unicode_specials",
]  # fmt: skip
