"""Doubles as text and back. What 53 bits can decide exactly is decided here; the rest is CPython's own conversion."""

from __future__ import annotations

import struct

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.comptime import target_has
from sapwood.lang.api.dtypes import f64, u8, u64
from sapwood.lang.function import fn
from sapwood.lang.library.math_format import INF, NAN
from sapwood.lang.library.text_integers import decimal_length, trim, write_decimal
from sapwood.lang.library.text_unicode import decimal_value
from sapwood.lang.library.text_utf8 import decode_at, encode_at, width_at
from sapwood.lang.ops.arith import absolute, copysign, fma, round_even
from sapwood.lang.ops.constants import constant_bytes

TENS = b"".join(struct.pack("<d", float(10**i)) for i in range(23))
INFINITY, NAN_WORD = b"infinity", b"nan"
SHORT = 48  # bytes that the functions below write at most
MINUS, DOT, ZERO = 45, 46, 48


@fn(unchecked=True, inline=True)
def _write_fraction(p: Ptr[u8], at: int, m: u64, digits: int) -> int:
    """Write m with its last `digits` digits after the point, from p[at] on; gives the end."""
    length = decimal_length(m)
    if length <= digits:
        p[at] = u8(ZERO)
        p[at + 1] = u8(DOT)
        end = at + 2 + digits
        for i in range(digits - length):
            p[at + 2 + i] = u8(ZERO)
        write_decimal(p, end, m)
        return end
    end = at + length
    write_decimal(p, end, m)
    if digits > 0:
        i = end
        while i > end - digits:
            p[i] = p[i - 1]
            i -= 1
        p[end - digits] = u8(DOT)
        end += 1
    return end


@fn(unchecked=True, unit=True)
def short_repr(p: Ptr[u8], x: float) -> int:
    """Write repr(x) if x has 15 significant digits at most and no exponent; gives its length, or -1."""
    a = absolute(x)
    at = 0
    if copysign(1.0, x) < 0.0:
        p[0] = u8(MINUS)
        at = 1
    if a < 1e15:
        whole = u64(a)
        if f64(whole) == a:
            end = at + decimal_length(whole)
            write_decimal(p, end, whole)
            p[end] = u8(DOT)
            p[end + 1] = u8(ZERO)
            return end + 2
        if a >= 1e-4:
            digits = 15
            if whole != u64(0):
                digits -= decimal_length(whole)
            elif a < 0.1:
                digits += 1 if a >= 0.01 else 2 if a >= 0.001 else 3
            tens = constant_bytes(TENS).cast(f64)
            scaled = round_even(a * tens[digits])
            if scaled < 1e15 and scaled / tens[digits] == a:
                m = u64(scaled)
                rest = m // u64(10)
                while m == rest * u64(10):
                    m = rest
                    digits -= 1
                    rest = m // u64(10)
                return _write_fraction(p, at, m, digits)
    return -1


@fn(unchecked=True, unit=True)
def short_fixed(p: Ptr[u8], x: float, precision: int) -> int:
    """Write x with `precision` digits after the point if 53 bits hold it; gives its length, or -1."""
    if target_has("fma"):
        if precision >= 0 and precision <= 20:
            a = absolute(x)
            power = constant_bytes(TENS).cast(f64)[precision]
            scaled = a * power
            if scaled < 4503599627370496.0 and (a == 0.0 or a > 1e-200):
                rest = fma(a, power, -scaled)  # a * power is scaled + rest, exactly
                m = round_even(scaled)
                beyond = scaled - m
                if beyond == 0.5 and rest > 0.0:
                    m = m + 1.0
                elif beyond == -0.5 and rest < 0.0:
                    m = m - 1.0
                at = 0
                if copysign(1.0, x) < 0.0:
                    p[0] = u8(MINUS)
                    at = 1
                return _write_fraction(p, at, u64(m), precision)
    return -1


NOT_A_NUMBER, READY, SCAN, CLEAN = 0, 1, 2, 3


@fn(unchecked=True, inline=True)
def _word(p: Ptr[u8], i: int, end: int, word: Ptr[u8], n: int) -> bool:
    """Whether p[i:end] is a word of n small letters, in any case."""
    if end - i != n:
        return False
    for k in range(n):
        if p[i + k] | u8(32) != word[k]:
            return False
    return True


@fn(unchecked=True, unit=True)
def parse_float(p: Ptr[u8], n: int) -> tuple[float, int, int]:
    """(value, state, start) of float(text): NOT_A_NUMBER; READY; SCAN: `text_to_double` of p + start;
    CLEAN: the same, after `clean_number`."""
    i, end = trim(p, n)
    start = i
    negative = False
    if i < end and (p[i] == u8(43) or p[i] == u8(MINUS)):
        negative = p[i] == u8(MINUS)
        i += 1
    sign = -1.0 if negative else 1.0
    mantissa = u64(0)
    digits, scale, seen = 0, 0, 0
    clean, digit_before, point = False, False, False
    while i < end:
        code = decode_at(p, i)
        value = decimal_value(code)
        if value >= 0:
            if code >= 0x80:
                clean = True
            if digits < 19:
                mantissa = mantissa * u64(10) + u64(value)
                if mantissa != u64(0):
                    digits += 1
                if point:
                    scale -= 1
            else:
                digits += 1
                if not point:
                    scale += 1
            seen += 1
            digit_before = True
        elif code == 95:
            if not digit_before or i + 1 >= end or decimal_value(decode_at(p, i + 1)) < 0:
                return 0.0, NOT_A_NUMBER, 0
            clean = True
            digit_before = False
        elif code == DOT and not point:
            point = True
            digit_before = False
        else:
            break
        i += width_at(p[i])
    if seen == 0:
        if point:
            return 0.0, NOT_A_NUMBER, 0
        inf = constant_bytes(INFINITY)
        if _word(p, i, end, inf, 3) or _word(p, i, end, inf, 8):
            return sign * INF, READY, 0
        if _word(p, i, end, constant_bytes(NAN_WORD), 3):
            return copysign(NAN, sign), READY, 0
        return 0.0, NOT_A_NUMBER, 0
    if i < end and p[i] | u8(32) == u8(101):
        i += 1
        below = False
        if i < end and (p[i] == u8(43) or p[i] == u8(MINUS)):
            below = p[i] == u8(MINUS)
            i += 1
        exponent, seen = 0, 0
        digit_before = False
        while i < end:
            code = decode_at(p, i)
            value = decimal_value(code)
            if value >= 0:
                if code >= 0x80:
                    clean = True
                exponent = min(exponent * 10 + value, 100000)
                seen += 1
                digit_before = True
            elif code == 95:
                if not digit_before or i + 1 >= end or decimal_value(decode_at(p, i + 1)) < 0:
                    return 0.0, NOT_A_NUMBER, 0
                clean = True
                digit_before = False
            else:
                break
            i += width_at(p[i])
        if seen == 0:
            return 0.0, NOT_A_NUMBER, 0
        scale += -exponent if below else exponent
    if i < end:
        return 0.0, NOT_A_NUMBER, 0
    if digits <= 19 and mantissa < u64(1 << 53):
        tens = constant_bytes(TENS).cast(f64)
        if mantissa == u64(0):
            return sign * 0.0, READY, 0
        if scale >= 0 and scale <= 22:
            return sign * (f64(mantissa) * tens[scale]), READY, 0
        if scale < 0 and scale >= -22:
            return sign * (f64(mantissa) / tens[-scale]), READY, 0
    return 0.0, CLEAN if clean else SCAN, start


@fn(unchecked=True, unit=True)
def clean_number(target: Ptr[u8], p: Ptr[u8], n: int) -> None:
    """Write the number in n bytes with ASCII digits, without underscores and white space, ended by a zero byte."""
    i, end = trim(p, n)
    out = 0
    while i < end:
        code = decode_at(p, i)
        i += width_at(p[i])  # before it is overwritten: target may be p
        value = decimal_value(code)
        if value >= 0:
            code = 48 + value
        if code != 95:
            out = encode_at(target, out, code)
    target[out] = u8(0)
