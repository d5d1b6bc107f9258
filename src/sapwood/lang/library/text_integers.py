"""Ints as text and back: digits in any base, Python's grammar of int()."""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import u8, u16, u64
from sapwood.lang.function import fn
from sapwood.lang.library.text_unicode import decimal_value, is_space
from sapwood.lang.library.text_utf8 import before, decode_at, width_at
from sapwood.lang.ops.bits import leading_zeros
from sapwood.lang.ops.constants import constant_bytes

PAIRS = "".join(f"{i:02}" for i in range(100)).encode()
POWERS = b"".join((10**i).to_bytes(8, "little") for i in range(20))
DIGITS = b"0123456789abcdefghijklmnopqrstuvwxyz"


@fn(unchecked=True, inline=True)
def magnitude(x: int) -> u64:
    """|x|, which the smallest int has, too."""
    return u64(0) - u64(x) if x < 0 else u64(x)


@fn(unchecked=True, inline=True)
def decimal_length(u: u64) -> int:
    """Decimal digits of u, 1 for zero."""
    guess = (64 - int(leading_zeros(u | u64(1)))) * 1233 >> 12
    powers = constant_bytes(POWERS).cast(u64)
    return guess + 1 if u >= powers[guess] or guess == 0 else guess


@fn(unchecked=True, inline=True)
def write_decimal(p: Ptr[u8], end: int, u: u64) -> None:
    """Write the decimal digits of u so that they end before p[end]."""
    pairs = constant_bytes(PAIRS).cast(u16)
    i = end
    while u >= u64(100):
        rest = u // u64(100)
        i -= 2
        (p + i).cast(u16)[0] = pairs[int(u - rest * u64(100))]
        u = rest
    if u >= u64(10):
        (p + (i - 2)).cast(u16)[0] = pairs[int(u)]
    else:
        p[i - 1] = u8(u) + u8(48)


@fn(unchecked=True)
def digits_length(u: u64, base: int) -> int:
    """Digits of u in a base from 2 to 36, 1 for zero."""
    n = 1
    b = u64(base)
    while u >= b:
        u = u // b
        n += 1
    return n


@fn(unchecked=True)
def write_digits(p: Ptr[u8], end: int, u: u64, base: int, upper: bool) -> None:
    """Write the digits of u in a base so that they end before p[end]."""
    digits = constant_bytes(DIGITS)
    b = u64(base)
    i = end
    while True:
        rest = u // b
        x = digits[int(u - rest * b)]
        i -= 1
        p[i] = x - u8(32) if upper and x >= u8(97) else x
        u = rest
        if u == u64(0):
            return


PARSED, INVALID, TOO_LARGE = 0, 1, 2


@fn(unchecked=True, inline=True)
def digit_value(code: int) -> int:
    """The value of a digit of any base up to 36, or 99."""
    if code >= 48 and code <= 57:
        return code - 48
    small = code | 32
    if code < 0x80 and small >= 97 and small <= 122:
        return small - 87
    if code >= 0x80:
        value = decimal_value(code)
        return value if value >= 0 else 99
    return 99


@fn(unchecked=True, inline=True)
def trim(p: Ptr[u8], n: int) -> tuple[int, int]:
    """(start, end) of the text without white space around it."""
    i, end = 0, n
    while i < end and is_space(decode_at(p, i)):
        i += width_at(p[i])
    while end > i:
        at = before(p, end)
        if not is_space(decode_at(p, at)):
            break
        end = at
    return i, end


@fn(unchecked=True, unit=True)
def parse_int(p: Ptr[u8], n: int, base: int) -> tuple[int, int]:
    """(value, PARSED, INVALID or TOO_LARGE) of int(text, base); base is 0 or 2 to 36."""
    i, end = trim(p, n)
    negative = False
    if i < end and (p[i] == u8(43) or p[i] == u8(45)):
        negative = p[i] == u8(45)
        i += 1
    prefixed = False
    zero_only = False
    if i + 1 < end and p[i] == u8(48):
        letter = int(p[i + 1]) | 32
        found = 16 if letter == 120 else 8 if letter == 111 else 2 if letter == 98 else 0
        if found != 0 and (base == 0 or base == found):
            base = found
            prefixed = True
            i += 2
    if base == 0:
        base = 10
        zero_only = i < end and digit_value(decode_at(p, i)) == 0
    if prefixed and i < end and p[i] == u8(95):  # 0x_1
        i += 1
    if i >= end:
        return 0, INVALID
    limit = u64(1) << u64(63)
    value = u64(0)
    b = u64(base)
    most = (u64(0) - u64(1)) // b
    large, digit_before = False, False
    while i < end:
        code = decode_at(p, i)
        if code == 95:
            if not digit_before:
                return 0, INVALID
            digit_before = False
            i += 1
            continue
        d = digit_value(code)
        if d >= base:
            return 0, INVALID
        if value > most:
            large = True
        else:
            grown = value * b
            value = grown + u64(d)
            large = large or value < grown
        digit_before = True
        i += width_at(p[i])
    if not digit_before:
        return 0, INVALID
    if zero_only and (value != u64(0) or large):
        return 0, INVALID
    if large or value > limit or (value == limit and not negative):
        return 0, TOO_LARGE
    return (int(u64(0) - value) if negative else int(value)), PARSED
