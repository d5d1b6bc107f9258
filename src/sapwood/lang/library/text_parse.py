"""int(text) and float(text), with CPython's messages."""

from __future__ import annotations

from sapwood.lang.function import fn
from sapwood.lang.library.bytes_classes import is_ascii
from sapwood.lang.library.text_floats import CLEAN, READY, SCAN, clean_number, parse_float
from sapwood.lang.library.text_integers import INVALID, TOO_LARGE, parse_int
from sapwood.lang.library.text_object import new_text, text_size
from sapwood.lang.ops.doubles import text_to_double
from sapwood.lang.ops.text_objects import text_data


@fn(unchecked=True, unit=True)
def int_of_text(s: str, base: int) -> int:
    if base != 0 and (base < 2 or base > 36):
        raise ValueError("int() base must be >= 2 and <= 36, or 0")
    value, state = parse_int(text_data(s), text_size(s), base)
    if state == INVALID:
        raise ValueError("invalid literal for int() with base " + str(base) + ": " + repr(s))
    if state == TOO_LARGE:
        raise OverflowError("int(" + repr(s) + ") does not fit into 64 bits")
    return value


@fn(unchecked=True, unit=True)
def int_of_bytes(s: bytes, base: int) -> int:
    if base != 0 and (base < 2 or base > 36):
        raise ValueError("int() base must be >= 2 and <= 36, or 0")
    value, state = parse_int(text_data(s), text_size(s), base)
    if state == INVALID or not is_ascii(text_data(s), text_size(s)):  # digits of other scripts are for texts only
        raise ValueError("invalid literal for int() with base " + str(base) + ": " + repr(s))
    if state == TOO_LARGE:
        raise OverflowError("int(" + repr(s) + ") does not fit into 64 bits")
    return value


@fn(unchecked=True, unit=True)
def float_of_text(s: str) -> float:
    value, state, start = parse_float(text_data(s), text_size(s))
    if state == READY:
        return value
    if state == SCAN:
        return text_to_double(text_data(s) + start)
    if state == CLEAN:
        copy = new_text(text_size(s), 0)
        clean_number(text_data(copy), text_data(s), text_size(s))
        return text_to_double(text_data(copy))
    raise ValueError("could not convert string to float: " + repr(s))


