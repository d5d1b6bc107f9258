"""What the methods of bytes say about their characters: ASCII ones only, as in Python."""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import u8
from sapwood.lang.function import fn
from sapwood.lang.library.text_object import text_size
from sapwood.lang.ops.text_objects import text_data


@fn(unchecked=True, inline=True)
def _lower(x: u8) -> bool:
    return x >= 97 and x <= 122


@fn(unchecked=True, inline=True)
def _upper(x: u8) -> bool:
    return x >= 65 and x <= 90


@fn(unchecked=True, inline=True)
def _letter(x: u8) -> bool:
    return _lower(x) or _upper(x)


@fn(unchecked=True, inline=True)
def _digit(x: u8) -> bool:
    return x >= 48 and x <= 57


@fn(unchecked=True, inline=True)
def _letter_or_digit(x: u8) -> bool:
    return _letter(x) or _digit(x)


@fn(unchecked=True, inline=True)
def _space(x: u8) -> bool:
    return x == 32 or (x >= 9 and x <= 13)


@fn(unchecked=True, inline=True)
def _all(test, p: Ptr[u8], n: int) -> bool:
    for i in range(n):
        if not test(p[i]):
            return False
    return n > 0


@fn(unchecked=True)
def is_ascii(p: Ptr[u8], n: int) -> bool:
    for i in range(n):
        if p[i] >= 128:
            return False
    return True


@fn(unchecked=True, unit=True)
def bytes_isascii(s: bytes) -> bool:
    return is_ascii(text_data(s), text_size(s))


@fn(unchecked=True, unit=True)
def bytes_isalnum(s: bytes) -> bool:
    return _all(_letter_or_digit, text_data(s), text_size(s))


@fn(unchecked=True, unit=True)
def bytes_isalpha(s: bytes) -> bool:
    return _all(_letter, text_data(s), text_size(s))


@fn(unchecked=True, unit=True)
def bytes_isdigit(s: bytes) -> bool:
    return _all(_digit, text_data(s), text_size(s))


@fn(unchecked=True, unit=True)
def bytes_isspace(s: bytes) -> bool:
    return _all(_space, text_data(s), text_size(s))


@fn(unchecked=True, inline=True)
def _cased(has, has_not, p: Ptr[u8], n: int) -> bool:
    """Whether there are letters of the one case, and none of the other."""
    found = False
    for i in range(n):
        if has_not(p[i]):
            return False
        found = found or has(p[i])
    return found


@fn(unchecked=True, unit=True)
def bytes_islower(s: bytes) -> bool:
    return _cased(_lower, _upper, text_data(s), text_size(s))


@fn(unchecked=True, unit=True)
def bytes_isupper(s: bytes) -> bool:
    return _cased(_upper, _lower, text_data(s), text_size(s))


@fn(unchecked=True, unit=True)
def bytes_istitle(s: bytes) -> bool:
    """Every word, a run of letters, begins with a capital one, and has no other."""
    p, n = text_data(s), text_size(s)
    found = False
    inside = False
    for i in range(n):
        if _letter(p[i]):
            if _upper(p[i]) == inside:
                return False
            inside = True
            found = True
        else:
            inside = False
    return found
