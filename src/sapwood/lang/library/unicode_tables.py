"""What the running Python knows about each character, as one table for compiled code.

A code point leads through two index tables to a record of 24 bytes: flags, then how it becomes lower, upper,
title case and case-folded. Python's own methods are asked, so that both always agree; the table of one Python is
part of the objects compiled for it.

Layout: u16 first[0x110000 >> SHIFT], u16 second[blocks << SHIFT], records, specials (u32 code points). A mapping is
the difference to the new code point, or, where its special bit is set, position << 2 | length in the specials.
"""

from __future__ import annotations

import struct
import unicodedata
from functools import lru_cache

SHIFT = 7
LIMIT = 0x110000
RECORD = 24
ALPHA, DECIMAL, DIGIT, NUMERIC, SPACE, UPPER, LOWER, TITLE = (1 << i for i in range(8))
PRINTABLE, ID_START, ID_CONTINUE, CASED, CASE_IGNORABLE, LINE_BREAK = (1 << i for i in range(8, 14))
SPECIAL = 1 << 16  # of lower; then upper, title, fold
VALUE_SHIFT = 24  # where a decimal digit's value begins
LOWERED, UPPERED, TITLED, FOLDED = range(4)
_FLAGS = (
    (ALPHA, str.isalpha), (DECIMAL, str.isdecimal), (DIGIT, str.isdigit), (NUMERIC, str.isnumeric),
    (SPACE, str.isspace), (UPPER, str.isupper), (LOWER, str.islower), (PRINTABLE, str.isprintable),
    (ID_START, str.isidentifier),
)  # fmt: skip
_MAPS = (str.lower, str.upper, str.title, str.casefold)


def _flags(c: str) -> int:
    flags = 0
    for bit, test in _FLAGS:
        if test(c):
            flags |= bit
    if c.istitle() and not flags & UPPER:
        flags |= TITLE
    if ("a" + c).isidentifier():
        flags |= ID_CONTINUE
    if len((c + "a").splitlines()) == 2:
        flags |= LINE_BREAK
    if (c + "a").title()[-1] == "a":  # only a cased letter keeps the next one small
        flags |= CASED
    sigma = "\N{GREEK CAPITAL LETTER SIGMA}"
    final = "\N{GREEK SMALL LETTER FINAL SIGMA}"
    if ("a" + c + sigma).lower()[-1] == final and (c + sigma).lower()[-1] != final:
        flags |= CASE_IGNORABLE
    if flags & DECIMAL:
        flags |= unicodedata.decimal(c) << VALUE_SHIFT
    return flags


_NOTHING = frozenset({"Cn", "Co", "Cs"})  # categories of what is no character: unassigned, private, surrogates
_EMPTY_PLANES = frozenset({*range(4, 14), 15, 16})  # not asked one by one; 15 and 16 are for private use
_LETTER = ALPHA | PRINTABLE | ID_START | ID_CONTINUE


def _ideographs(text: str) -> bool:
    """Whether all are letters without case: most characters are, and need not be asked one by one."""
    same = text == text.lower() == text.upper() == text.title() == text.casefold()
    return same and not any(map(str.islower, text)) and all(unicodedata.category(c) == "Lo" for c in text)


@lru_cache(maxsize=1)
def unicode_data() -> tuple[bytes, int, int]:
    """(the table, where its records begin, where its specials begin), in bytes."""
    specials: list[int] = []
    records: dict[bytes, int] = {struct.pack("<I4iI", 0, 0, 0, 0, 0, 0): 0}
    blocks: dict[tuple[int, ...], int] = {}
    first: list[int] = []
    size = 1 << SHIFT
    nothing = (0,) * size
    for base in range(0, LIMIT, size):
        if base >> 16 in _EMPTY_PLANES:
            first.append(blocks.setdefault(nothing, len(blocks)))
            continue
        block = []
        text = "".join(map(chr, range(base, base + size)))
        if _NOTHING.issuperset(map(unicodedata.category, text)):  # most of the code space
            first.append(blocks.setdefault(nothing, len(blocks)))
            continue
        if text.isidentifier() and _ideographs(text):
            for c in text:
                flags = _LETTER | NUMERIC if c.isnumeric() else _LETTER
                block.append(records.setdefault(struct.pack("<I4iI", flags, 0, 0, 0, 0, 0), len(records)))
            first.append(blocks.setdefault(tuple(block), len(blocks)))
            continue
        for code in range(base, base + size):
            c = chr(code)
            if unicodedata.category(c) in _NOTHING:
                block.append(0)
                continue
            flags, maps = _flags(c), []
            for i, mapping in enumerate(_MAPS):
                to = mapping(c)
                if len(to) == 1:
                    maps.append(ord(to) - code)
                else:
                    flags |= SPECIAL << i
                    maps.append(len(specials) << 2 | len(to))
                    specials += map(ord, to)
            block.append(records.setdefault(struct.pack("<I4iI", flags, *maps, 0), len(records)))
        first.append(blocks.setdefault(tuple(block), len(blocks)))
    second = [i for block in blocks for i in block]
    head = struct.pack(f"<{len(first) + len(second)}H", *first, *second)
    head += bytes(-len(head) % 16)
    body = b"".join(records)
    return head + body + struct.pack(f"<{len(specials)}I", *specials), len(head), len(head) + len(body)


def table(name: str) -> bytes:
    """The constant data that `unicode_table(name)` points to."""
    data, records, specials = unicode_data()
    if name == "data":
        return data
    if name == "places":
        return struct.pack("<2q", records, specials)
    raise ValueError(f"there is no Unicode table '{name}'")
