"""Methods of str about case and kinds of characters."""

from __future__ import annotations

from sapwood.lang.api.annotations import Const
from sapwood.lang.api.dtypes import u8
from sapwood.lang.function import fn
from sapwood.lang.library.text_case import (
    CAPITALIZE,
    FOLD_CASE,
    LOWER_CASE,
    SWAP_CASE,
    TITLE_CASE,
    UPPER_CASE,
    change,
    change_ascii,
    change_ascii_words,
    change_size,
)
from sapwood.lang.library.text_object import new_text, text_points, text_size
from sapwood.lang.library.text_unicode import (
    ALNUM,
    ALPHA,
    DECIMAL,
    DIGIT,
    LOWER,
    NUMERIC,
    PRINTABLE,
    SPACE,
    TITLE,
    UPPER,
    all_have,
    is_case,
    is_identifier,
    is_title,
)
from sapwood.lang.ops.text_objects import text_data


@fn(unchecked=True, inline=True)
def _cased(s, kind: Const[int]):
    n, p = text_size(s), text_data(s)
    if n == text_points(s):
        out = new_text(n, n)
        if kind == LOWER_CASE or kind == FOLD_CASE:
            change_ascii(text_data(out), p, n, False)
        elif kind == UPPER_CASE:
            change_ascii(text_data(out), p, n, True)
        else:
            change_ascii_words(text_data(out), p, n, kind)
        return out
    size, points = change_size(p, n, kind)
    out = new_text(size, points)
    change(text_data(out), p, n, kind)
    return out


@fn(unchecked=True, unit=True)
def text_lower(s: str) -> str:
    return _cased(s, LOWER_CASE)


@fn(unchecked=True, unit=True)
def text_upper(s: str) -> str:
    return _cased(s, UPPER_CASE)


@fn(unchecked=True, unit=True)
def text_casefold(s: str) -> str:
    return _cased(s, FOLD_CASE)


@fn(unchecked=True, unit=True)
def text_title(s: str) -> str:
    return _cased(s, TITLE_CASE)


@fn(unchecked=True, unit=True)
def text_capitalize(s: str) -> str:
    return _cased(s, CAPITALIZE)


@fn(unchecked=True, unit=True)
def text_swapcase(s: str) -> str:
    return _cased(s, SWAP_CASE)


@fn(unchecked=True, inline=True)
def _all(s, mask: Const[int]) -> bool:
    return text_size(s) > 0 and all_have(text_data(s), text_size(s), mask)


@fn(unchecked=True, inline=True)
def text_isascii(s) -> bool:
    return text_size(s) == text_points(s)


@fn(unchecked=True, unit=True)
def text_isalpha(s: str) -> bool:
    return _all(s, ALPHA)


@fn(unchecked=True, unit=True)
def text_isalnum(s: str) -> bool:
    return _all(s, ALNUM)


@fn(unchecked=True, unit=True)
def text_isdecimal(s: str) -> bool:
    return _all(s, DECIMAL)


@fn(unchecked=True, unit=True)
def text_isdigit(s: str) -> bool:
    n, p = text_size(s), text_data(s)
    if n == text_points(s):
        for i in range(n):
            if p[i] - u8(48) >= u8(10):
                return False
        return n > 0
    return _all(s, DIGIT)


@fn(unchecked=True, unit=True)
def text_isnumeric(s: str) -> bool:
    return _all(s, NUMERIC)


@fn(unchecked=True, unit=True)
def text_isspace(s: str) -> bool:
    return _all(s, SPACE)


@fn(unchecked=True, unit=True)
def text_isprintable(s: str) -> bool:
    return all_have(text_data(s), text_size(s), PRINTABLE)


@fn(unchecked=True, unit=True)
def text_isupper(s: str) -> bool:
    return is_case(text_data(s), text_size(s), UPPER, LOWER | TITLE)


@fn(unchecked=True, unit=True)
def text_islower(s: str) -> bool:
    return is_case(text_data(s), text_size(s), LOWER, UPPER | TITLE)


@fn(unchecked=True, unit=True)
def text_istitle(s: str) -> bool:
    return is_title(text_data(s), text_size(s))


@fn(unchecked=True, unit=True)
def text_isidentifier(s: str) -> bool:
    return is_identifier(text_data(s), text_size(s))
