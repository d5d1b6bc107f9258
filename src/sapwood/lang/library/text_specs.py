"""Format specifiers that are computed: the grammar of text_spec.py at run time, with CPython's messages."""

from __future__ import annotations

from sapwood.lang.api.dtypes import f64
from sapwood.lang.function import fn
from sapwood.lang.library.text_make import format_float, format_int, format_text
from sapwood.lang.library.text_object import text_character, text_size
from sapwood.lang.library.text_spec import (
    ALIGN_AFTER_SIGN,
    ALIGN_CENTER,
    ALIGN_LEFT,
    ALIGN_MASK,
    ALIGN_RIGHT,
    ALTERNATE,
    GROUP_COMMA,
    GROUP_MASK,
    GROUP_UNDERSCORE,
    NO_NEGATIVE_ZERO,
    SIGN_MASK,
    SIGN_MINUS,
    SIGN_PLUS,
    SIGN_SPACE,
    TYPE_MASK,
    TYPE_SHIFT,
)
from sapwood.lang.library.text_utf8 import decode_at, width_at
from sapwood.lang.ops.text_objects import text_data

_MOST = 922337203685477580  # a width of ten times as much does not fit


@fn(unchecked=True, inline=True)
def _align_of(code: int) -> int:
    if code == 60:
        return ALIGN_LEFT
    if code == 62:
        return ALIGN_RIGHT
    if code == 61:
        return ALIGN_AFTER_SIGN
    if code == 94:
        return ALIGN_CENTER
    return -1


@fn(unchecked=True)
def _number_at(s: str, i: int) -> tuple[int, int]:
    """(number, end) of the decimal digits from byte i on; -1 when there are none."""
    p, n = text_data(s), text_size(s)
    if i >= n or int(p[i]) < 48 or int(p[i]) > 57:
        return -1, i
    value = 0
    while i < n and int(p[i]) >= 48 and int(p[i]) <= 57:
        if value > _MOST:
            raise ValueError("Too many decimal digits in format string")
        value = value * 10 + int(p[i]) - 48
        i += 1
    if value < 0:
        raise ValueError("Too many decimal digits in format string")
    return value, i


@fn(unchecked=True)
def parse(s: str, number: bool, kind: str) -> tuple[int, int, int, int]:
    """(packed, fill, width, precision) of a format specifier for a value of the type named `kind`."""
    p, n = text_data(s), text_size(s)
    i = 0
    fill, given = 32, False
    align, aligned = ALIGN_RIGHT if number else ALIGN_LEFT, False
    if n > 0:
        width = width_at(p[0])
        if width < n and _align_of(int(p[width])) >= 0:
            fill, given, aligned = decode_at(p, 0), True, True
            align = _align_of(int(p[width]))
            i = width + 1
        elif _align_of(int(p[0])) >= 0:
            align, aligned = _align_of(int(p[0])), True
            i = 1
    packed = 0
    if i < n and (p[i] == 43 or p[i] == 45 or p[i] == 32):
        packed |= SIGN_PLUS if p[i] == 43 else SIGN_SPACE if p[i] == 32 else SIGN_MINUS
        i += 1
    if i < n and p[i] == 122:
        packed |= NO_NEGATIVE_ZERO
        i += 1
    if i < n and p[i] == 35:
        packed |= ALTERNATE
        i += 1
    if not given and i < n and p[i] == 48:
        fill = 48
        if not aligned and number:
            align = ALIGN_AFTER_SIGN
        i += 1
    width, i = _number_at(s, i)
    if i < n and p[i] == 44:
        packed |= GROUP_COMMA
        i += 1
    if i < n and p[i] == 95:
        if packed & GROUP_MASK != 0:
            raise ValueError("Cannot specify both ',' and '_'.")
        packed |= GROUP_UNDERSCORE
        i += 1
    if i < n and p[i] == 44 and packed & GROUP_MASK == GROUP_UNDERSCORE:
        raise ValueError("Cannot specify both ',' and '_'.")
    precision = -1
    if i < n and p[i] == 46:
        precision, i = _number_at(s, i + 1)
        if precision < 0:
            raise ValueError("Format specifier missing precision")
    if i < n and i + width_at(p[i]) < n:
        raise ValueError("Invalid format specifier '" + s + "' for object of type '" + kind + "'")
    letter = decode_at(p, i) if i < n else 0
    return packed | align | letter << TYPE_SHIFT, fill, width, precision


@fn(unchecked=True, inline=True)
def _is_float(letter: int) -> bool:
    """One of e E f F g G %."""
    return (letter >= 101 and letter <= 103) or (letter >= 69 and letter <= 71) or letter == 37


@fn(unchecked=True)
def _shown(letter: int) -> str:
    """A character of a specifier as CPython's messages show it."""
    return text_character(letter) if letter > 32 and letter < 128 else f"\\x{letter:x}"


@fn(unchecked=True)
def _unknown(letter: int, kind: str) -> None:
    raise ValueError(f"Unknown format code '{_shown(letter)}' for object of type '{kind}'")


@fn(unchecked=True)
def _check_group(packed: int, letter: int) -> None:
    """Thousands separators go with decimal digits, underscores with those of b, o and x, too."""
    group = packed & GROUP_MASK
    if group == 0 or letter == 0 or letter == 100 or _is_float(letter):
        return
    based = letter == 98 or letter == 111 or letter == 120 or letter == 88
    if not (group == GROUP_UNDERSCORE and based):
        raise ValueError(f"Cannot specify '{',' if group == GROUP_COMMA else '_'}' with '{_shown(letter)}'.")


@fn(unchecked=True, unit=True)
def format_int_with(x: int, spec: str) -> str:
    """format(x, spec) of an int."""
    packed, fill, width, precision = parse(spec, True, "int")
    letter = packed >> TYPE_SHIFT & TYPE_MASK
    if _is_float(letter):
        return format_float(f64(x), packed, fill, width, precision)
    based = letter == 98 or letter == 111 or letter == 120 or letter == 88
    _check_group(packed, letter)
    if letter != 0 and letter != 99 and letter != 100 and letter != 110 and not based:
        _unknown(letter, "int")
    if precision >= 0:
        raise ValueError("Precision not allowed in integer format specifier")
    if packed & NO_NEGATIVE_ZERO != 0:
        raise ValueError("Negative zero coercion (z) not allowed in integer format specifier")
    if letter == 99:
        if packed & SIGN_MASK != 0:
            raise ValueError("Sign not allowed with integer format specifier 'c'")
        if packed & ALTERNATE != 0:
            raise ValueError("Alternate form (#) not allowed with integer format specifier 'c'")
    return format_int(x, packed, fill, width)


@fn(unchecked=True, unit=True)
def format_float_with(x: float, spec: str) -> str:
    """format(x, spec) of a float."""
    packed, fill, width, precision = parse(spec, True, "float")
    letter = packed >> TYPE_SHIFT & TYPE_MASK
    _check_group(packed, letter)
    if letter != 0 and letter != 110 and not _is_float(letter):
        _unknown(letter, "float")
    return format_float(x, packed, fill, width, precision)


@fn(unchecked=True, unit=True)
def format_text_with(s: str, spec: str) -> str:
    """format(s, spec) of a str."""
    packed, fill, width, precision = parse(spec, False, "str")
    letter = packed >> TYPE_SHIFT & TYPE_MASK
    _check_group(packed, 115 if letter == 0 else letter)
    if letter != 0 and letter != 115:
        _unknown(letter, "str")
    if packed & SIGN_MASK == SIGN_SPACE:
        raise ValueError("Space not allowed in string format specifier")
    if packed & SIGN_MASK != 0:
        raise ValueError("Sign not allowed in string format specifier")
    if packed & NO_NEGATIVE_ZERO != 0:
        raise ValueError("Negative zero coercion (z) not allowed in string format specifier")
    if packed & ALTERNATE != 0:
        raise ValueError("Alternate form (#) not allowed in string format specifier")
    if packed & ALIGN_MASK == ALIGN_AFTER_SIGN:
        raise ValueError("'=' alignment not allowed in string format specifier")
    return format_text(s, packed, fill, width, precision)


