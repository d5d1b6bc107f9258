"""Upper, lower, title case and case folding of UTF-8, with Python's full mappings and its rule for the final sigma.

Each conversion is walked twice: once to measure what it gives, once to write it.
"""

from __future__ import annotations

from sapwood.lang.api.annotations import Const, Ptr
from sapwood.lang.api.comptime import simd_width
from sapwood.lang.api.dtypes import u8
from sapwood.lang.function import fn
from sapwood.lang.library.text_unicode import unicode_record, unicode_specials
from sapwood.lang.library.text_utf8 import before, decode_at, encode_at, width_at, width_of
from sapwood.lang.library.unicode_tables import (
    CASE_IGNORABLE,
    CASED,
    FOLDED,
    LOWER,
    LOWERED,
    SPECIAL,
    TITLED,
    UPPER,
    UPPERED,
)
from sapwood.lang.ops.arith import select

LOWER_CASE, UPPER_CASE, FOLD_CASE, TITLE_CASE, CAPITALIZE, SWAP_CASE = range(6)
SIGMA, SMALL_SIGMA, FINAL_SIGMA = 0x3A3, 0x3C3, 0x3C2


@fn(unchecked=True)
def change_ascii(target: Ptr[u8], source: Ptr[u8], n: int, upper: Const[bool]) -> None:
    """ASCII letters to upper or lower case; other bytes stay."""
    W = simd_width(u8)
    first = u8(97) if upper else u8(65)
    i = 0
    while i + W <= n:
        v = source.load(i, width=W)
        target.store(i, select(v - first < u8(26), v ^ u8(32), v))
        i += W
    while i < n:
        x = source[i]
        target[i] = x ^ u8(32) if x - first < u8(26) else x
        i += 1


@fn(unchecked=True)
def change_ascii_words(target: Ptr[u8], source: Ptr[u8], n: int, kind: Const[int]) -> None:
    """title, capitalize and swapcase of ASCII letters; other bytes stay."""
    inside = False
    for i in range(n):
        x = source[i]
        small = x - u8(97) < u8(26)
        large = x - u8(65) < u8(26)
        if kind == TITLE_CASE:
            swap = large if inside else small
            inside = small or large
        elif kind == CAPITALIZE:
            swap = small if i == 0 else large
        else:
            swap = small or large
        target[i] = x ^ u8(32) if swap else x


@fn(unchecked=True)
def _final_sigma(p: Ptr[u8], n: int, i: int) -> bool:
    """Whether the sigma at byte i ends a word: a cased letter before it and none after, but for ignorable ones."""
    at = i
    found = False
    while at > 0 and not found:
        at = before(p, at)
        flags = int(unicode_record(decode_at(p, at))[0])
        if flags & CASE_IGNORABLE == 0:
            if flags & CASED == 0:
                return False
            found = True
    if not found:
        return False
    at = i + 2
    while at < n:
        flags = int(unicode_record(decode_at(p, at))[0])
        if flags & CASE_IGNORABLE == 0:
            return flags & CASED == 0
        at += width_at(p[at])
    return True


@fn(unchecked=True, inline=True)
def _change(
    target: Ptr[u8], p: Ptr[u8], n: int, kind: int, write: Const[bool]
) -> tuple[int, int]:
    """(bytes, code points) of the changed text."""
    i, out, points = 0, 0, 0
    inside = False
    while i < n:
        code = decode_at(p, i)
        record = unicode_record(code)
        flags = int(record[0])
        which = LOWERED
        if kind == UPPER_CASE:
            which = UPPERED
        elif kind == FOLD_CASE:
            which = FOLDED
        elif kind == TITLE_CASE:
            which = LOWERED if inside else TITLED
            inside = flags & CASED != 0
        elif kind == CAPITALIZE:
            which = TITLED if i == 0 else LOWERED
        elif kind == SWAP_CASE:
            which = LOWERED if flags & UPPER != 0 else UPPERED if flags & LOWER != 0 else -1
        to = code
        length = 1
        if which == LOWERED and code == SIGMA:
            to = FINAL_SIGMA if _final_sigma(p, n, i) else SMALL_SIGMA
        elif which >= 0:
            mapped = int(record[1 + which])
            if flags & (SPECIAL << which) != 0:
                specials = unicode_specials() + (mapped >> 2)
                length = mapped & 3
                for j in range(length - 1):
                    more = int(specials[j])
                    if write:
                        out = encode_at(target, out, more)
                    else:
                        out += width_of(more)
                to = int(specials[length - 1])
            else:
                to = code + mapped
        if write:
            out = encode_at(target, out, to)
        else:
            out += width_of(to)
        points += length
        i += width_at(p[i])
    return out, points


@fn(unchecked=True, unit=True)
def change_size(p: Ptr[u8], n: int, kind: int) -> tuple[int, int]:
    """(bytes, code points) that `change` writes."""
    return _change(p, p, n, kind, False)


@fn(unchecked=True, unit=True)
def change(target: Ptr[u8], p: Ptr[u8], n: int, kind: int) -> None:
    """Write n bytes of UTF-8 in another case to `target`."""
    _change(target, p, n, kind, True)
