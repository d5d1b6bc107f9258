"""bytes. A bytes object is laid out as a str with as many code points as bytes, so that what searches,
cuts and joins texts does it for bytes, too; here is what differs. (bytearray: bytearray_object.py.)
"""

from __future__ import annotations

from sapwood.lang import types as ty
from sapwood.lang.api.annotations import Const, Ptr
from sapwood.lang.api.dtypes import u8, u64
from sapwood.lang.function import fn
from sapwood.lang.library.list import list_append, list_new
from sapwood.lang.library.text_memory import move
from sapwood.lang.library.text_object import HASH, HEAD, POINTS, SIZE, new_text, text_points, text_size
from sapwood.lang.library.text_utf8 import check, count_points, decode_at, error_span, width_at
from sapwood.lang.ops.constants import constant_bytes
from sapwood.lang.ops.heap import new_object, words
from sapwood.lang.ops.text_objects import text_data
from sapwood.lang.values import Spec

BYTES = ty.Bytes()
ITEM = Spec("leaf", ty.Ref(ty.Bytes()))
ITEMS, STORED = ty.List(ITEM), ty.Stored(ITEM)
HEX = b"0123456789abcdef"


@fn(unchecked=True, inline=True)
def new_bytes(n: int):
    """A bytes object of n bytes, which are still to be written."""
    s = new_object(BYTES, n + (HEAD + 1))
    w = words(s)
    w[SIZE] = n
    w[POINTS] = n
    w[HASH] = 0
    text_data(s)[n] = u8(0)
    return s


@fn(unchecked=True, unit=True)
def bytes_from(p: Ptr[u8], n: int) -> bytes:
    """A new bytes object with a copy of n bytes."""
    s = new_bytes(n)
    move(text_data(s), p, n)
    return s


@fn(unchecked=True, unit=True)
def bytes_zeros(n: int) -> bytes:
    """bytes(n)"""
    if n < 0:
        raise ValueError("negative count")
    s = new_bytes(n)
    p = text_data(s)
    for i in range(n):
        p[i] = u8(0)
    return s


@fn(unchecked=True, unit=True)
def byte_bytes(x: int) -> bytes:
    """One byte, as a bytes object."""
    if x < 0 or x > 255:
        raise ValueError("byte must be in range(0, 256)")
    s = new_bytes(1)
    text_data(s)[0] = u8(x)
    return s


@fn(unchecked=True, inline=True)
def bytes_item(s, n: int, index: int) -> int:
    """s[index], of n bytes."""
    i = index + n if index < 0 else index
    if i < 0 or i >= n:
        raise IndexError("index out of range")
    return int(text_data(s)[i])


@fn(unchecked=True, inline=True)
def _space(x: u8) -> bool:
    return x == 32 or (x >= 9 and x <= 13)


@fn(unchecked=True)
def _among(x: u8, chars: Ptr[u8], n: int) -> bool:
    for i in range(n):
        if chars[i] == x:
            return True
    return False


@fn(unchecked=True, inline=True)
def _strip(s, chars, spaces: Const[bool], left: Const[bool], right: Const[bool]):
    p = text_data(s)
    i, end = 0, text_size(s)
    if left:
        while i < end:
            if spaces:
                inside = _space(p[i])
            else:
                inside = _among(p[i], text_data(chars), text_size(chars))
            if not inside:
                break
            i += 1
    if right:
        while end > i:
            if spaces:
                inside = _space(p[end - 1])
            else:
                inside = _among(p[end - 1], text_data(chars), text_size(chars))
            if not inside:
                break
            end -= 1
    if end - i == text_size(s):
        return s
    return bytes_from(p + i, end - i)


@fn(unchecked=True, unit=True)
def bytes_strip(s: bytes) -> bytes:
    return _strip(s, s, True, True, True)


@fn(unchecked=True, unit=True)
def bytes_lstrip(s: bytes) -> bytes:
    return _strip(s, s, True, True, False)


@fn(unchecked=True, unit=True)
def bytes_rstrip(s: bytes) -> bytes:
    return _strip(s, s, True, False, True)


@fn(unchecked=True, unit=True)
def bytes_strip_chars(s: bytes, chars: bytes) -> bytes:
    return _strip(s, chars, False, True, True)


@fn(unchecked=True, unit=True)
def bytes_lstrip_chars(s: bytes, chars: bytes) -> bytes:
    return _strip(s, chars, False, True, False)


@fn(unchecked=True, unit=True)
def bytes_rstrip_chars(s: bytes, chars: bytes) -> bytes:
    return _strip(s, chars, False, False, True)


@fn(unchecked=True, unit=True)
def bytes_words(s: bytes, limit: int) -> list[bytes]:
    """s.split(None, limit)"""
    left = limit if limit >= 0 else 1 << 62
    xs = list_new(ITEMS, STORED, 4)
    p, n = text_data(s), text_size(s)
    i = 0
    while True:
        while i < n and _space(p[i]):
            i += 1
        if i >= n:
            return xs
        start = i
        if left == 0:
            list_append(xs, STORED, bytes_from(p + start, n - start))
            return xs
        left -= 1
        while i < n and not _space(p[i]):
            i += 1
        list_append(xs, STORED, bytes_from(p + start, i - start))


@fn(unchecked=True, unit=True)
def bytes_splitlines(s: bytes, keep: bool) -> list[bytes]:
    xs = list_new(ITEMS, STORED, 4)
    p, n = text_data(s), text_size(s)
    i, start = 0, 0
    while i < n:
        if p[i] == 10 or p[i] == 13:
            end = i + 1
            if p[i] == 13 and end < n and p[end] == 10:
                end += 1
            list_append(xs, STORED, bytes_from(p + start, (end if keep else i) - start))
            start = end
            i = end
        else:
            i += 1
    if start < n:
        list_append(xs, STORED, bytes_from(p + start, n - start))
    return xs


@fn(unchecked=True, unit=True)
def bytes_hex(s: bytes) -> str:
    n = text_size(s)
    out = new_text(2 * n, 2 * n)
    p, to, digits = text_data(s), text_data(out), constant_bytes(HEX)
    for i in range(n):
        to[2 * i] = digits[int(p[i] >> u8(4))]
        to[2 * i + 1] = digits[int(p[i] & u8(15))]
    return out


@fn(unchecked=True, unit=True)
def bytes_hex_apart(s: bytes, sep: str, every: int) -> str:
    """With a separator between groups of so many bytes; they are counted from the end, negative ones from the start."""
    if text_points(sep) != 1:
        raise ValueError("sep must be length 1.")
    mark = text_data(sep)[0]
    if mark >= u8(128):
        raise ValueError("sep must be ASCII.")
    n = text_size(s)
    group = every if every > 0 else -every
    if group <= 0 or group >= n:
        return bytes_hex(s)
    size = 2 * n + (n - 1) // group
    out = new_text(size, size)
    p, to, digits = text_data(s), text_data(out), constant_bytes(HEX)
    at = 0
    left = (n - 1) % group + 1 if every > 0 else group  # bytes before the next separator
    for i in range(n):
        if left == 0:
            to[at] = mark
            at += 1
            left = group
        left -= 1
        to[at] = digits[int(p[i] >> u8(4))]
        to[at + 1] = digits[int(p[i] & u8(15))]
        at += 2
    return out


@fn(unchecked=True, unit=True)
def format_byte(x: int) -> bytes:
    """What %c makes of an int."""
    if x < 0 or x > 255:
        raise OverflowError("%c arg not in range(256)")
    return byte_bytes(x)


@fn(unchecked=True, unit=True)
def single_byte(s: bytes) -> bytes:
    """What %c takes of bytes."""
    if text_size(s) != 1:
        raise TypeError("%c requires an integer in range(256) or a single byte")
    return s


@fn(unchecked=True, inline=True)
def _digit(x: u8) -> int:
    if x - u8(48) < u8(10):
        return int(x) - 48
    small = x | u8(32)
    return int(small) - 87 if small - u8(97) < u8(6) else -1


@fn(unchecked=True, unit=True)
def bytes_fromhex(s: str) -> bytes:
    p, n = text_data(s), text_size(s)
    count, i = 0, 0
    while i < n:
        if _space(p[i]):
            i += 1
            continue
        if _digit(p[i]) < 0 or i + 1 >= n or _digit(p[i + 1]) < 0:
            at = i if _digit(p[i]) < 0 else i + 1
            if text_points(s) != n:  # then Python tells the first character that is not ASCII
                at = 0
                while p[at] < u8(128):
                    at += 1
            raise ValueError(f"non-hexadecimal number found in fromhex() arg at position {at}")
        count += 1
        i += 2
    out = new_bytes(count)
    to = text_data(out)
    at, i = 0, 0
    while i < n:
        if _space(p[i]):
            i += 1
            continue
        to[at] = u8(_digit(p[i]) << 4 | _digit(p[i + 1]))
        at += 1
        i += 2
    return out


@fn(unchecked=True, unit=True)
def bytes_repr(s: bytes, array: bool) -> str:
    """repr(s); that of a bytearray has a backslash before every single quote."""
    p, n = text_data(s), text_size(s)
    single, double = False, False
    size = 3
    for i in range(n):
        x = p[i]
        if x == 39:
            single = True
        elif x == 34:
            double = True
        size += 2 if x == 92 or x == 9 or x == 10 or x == 13 else 4 if x < 32 or x >= 127 else 1
    quote = u8(34) if single and not double else u8(39)
    if quote == 39 or array:
        for i in range(n):
            if p[i] == 39:
                size += 1
    out = new_text(size, size)
    to, digits = text_data(out), constant_bytes(HEX)
    to[0] = u8(98)
    to[1] = quote
    at = 2
    for i in range(n):
        x = p[i]
        if x == 92 or x == (u8(39) if array else quote):
            to[at] = u8(92)
            to[at + 1] = x
            at += 2
        elif x == 9 or x == 10 or x == 13:
            to[at] = u8(92)
            to[at + 1] = u8(116) if x == 9 else u8(110) if x == 10 else u8(114)
            at += 2
        elif x < 32 or x >= 127:
            to[at] = u8(92)
            to[at + 1] = u8(120)
            to[at + 2] = digits[int(x >> u8(4))]
            to[at + 3] = digits[int(x & u8(15))]
            at += 4
        else:
            to[at] = x
            at += 1
    to[at] = quote
    return out


# -- encodings -----------------------------------------------------------------------------------------

STRICT, IGNORE, REPLACE = 0, 1, 2


@fn(unchecked=True, unit=True)
def decode_utf8(s: bytes, errors: int) -> str:
    p, n = text_data(s), text_size(s)
    good = check(p, n, 0)
    if good == n:
        out = new_text(n, count_points(p, n))
        move(text_data(out), p, n)
        return out
    if errors == STRICT:
        span, why = error_span(p, n, good)
        reason = "invalid start byte"
        if why == 1:
            reason = "invalid continuation byte"
        elif why == 2:
            reason = "unexpected end of data"
        raise UnicodeDecodeError("utf-8", s, good, good + span, reason)
    size, i = good, good
    while i < n:
        span, _ = error_span(p, n, i)
        size += 3 if errors == REPLACE else 0
        after = check(p, n, i + span)
        size += after - i - span
        i = after
    out = new_text(size, 0)
    to = text_data(out)
    move(to, p, good)
    at, i = good, good
    while i < n:
        span, _ = error_span(p, n, i)
        if errors == REPLACE:
            to[at] = u8(0xEF)
            to[at + 1] = u8(0xBF)
            to[at + 2] = u8(0xBD)
            at += 3
        after = check(p, n, i + span)
        move(to + at, p + (i + span), after - i - span)
        at += after - i - span
        i = after
    words(out)[POINTS] = count_points(to, size)
    return out


@fn(unchecked=True, unit=True)
def decode_narrow(s: bytes, ascii: bool) -> str:
    """bytes.decode of "ascii" (strict) and "latin-1"."""
    p, n = text_data(s), text_size(s)
    wide = 0
    for i in range(n):
        if p[i] >= 128:
            if ascii:
                raise UnicodeDecodeError("ascii", s, i, i + 1, "ordinal not in range(128)")
            wide += 1
    out = new_text(n + wide, n)
    to = text_data(out)
    at = 0
    for i in range(n):
        x = p[i]
        if x < 128:
            to[at] = x
            at += 1
        else:
            to[at] = u8(0xC0) | x >> u8(6)
            to[at + 1] = u8(0x80) | x & u8(0x3F)
            at += 2
    return out


@fn(unchecked=True, unit=True)
def encode_utf8(s: str) -> bytes:
    p, n = text_data(s), text_size(s)
    good = check(p, n, 0)
    if good < n:  # a lone surrogate
        at = count_points(p, good)
        raise UnicodeEncodeError("utf-8", s, at, at + 1, "surrogates not allowed")
    return bytes_from(p, n)


@fn(unchecked=True, unit=True)
def encode_narrow(s: str, ascii: bool) -> bytes:
    """str.encode to "ascii" and "latin-1"."""
    p, n = text_data(s), text_size(s)
    limit = 128 if ascii else 256
    out = new_bytes(words(s)[POINTS])
    to = text_data(out)
    i, at = 0, 0
    while i < n:
        code = decode_at(p, i)
        if code >= limit:
            last = at + 1
            j = i + width_at(p[i])
            while j < n and decode_at(p, j) >= limit:
                last += 1
                j += width_at(p[j])
            if ascii:
                raise UnicodeEncodeError("ascii", s, at, last, "ordinal not in range(128)")
            raise UnicodeEncodeError("latin-1", s, at, last, "ordinal not in range(256)")
        to[at] = u8(code)
        at += 1
        i += width_at(p[i])
    return out


# -- numbers -------------------------------------------------------------------------------------------


@fn(unchecked=True, unit=True)
def int_to_bytes(x: int, length: int, big: bool, signed: bool) -> bytes:
    if length < 0:
        raise ValueError("length argument must be non-negative")
    if x < 0 and not signed:
        raise OverflowError("can't convert negative int to unsigned")
    if length < 8:
        bits = length * 8
        if signed:
            low = -(1 << (bits - 1)) if bits > 0 else -1  # no bytes hold 0 and -1, in CPython
            high = (1 << (bits - 1)) - 1 if bits > 0 else 0
            if x < low or x > high:
                raise OverflowError("int too big to convert")
        elif x >> bits != 0:
            raise OverflowError("int too big to convert")
    s = new_bytes(length)
    p = text_data(s)
    left = x
    for i in range(length):
        p[length - 1 - i if big else i] = u8(left & 255)
        left = left >> 8
    return s


@fn(unchecked=True, unit=True)
def int_from_bytes(s: bytes, big: bool, signed: bool) -> int:
    p, n = text_data(s), text_size(s)
    value = u64(0)
    negative = False
    if n > 0 and signed:
        negative = p[0 if big else n - 1] >= 128
    for i in range(n):
        x = p[i if big else n - 1 - i]
        if i < n - 8:
            if x != (u8(255) if negative else u8(0)):
                raise OverflowError("the int does not fit into 64 bits")
        else:
            value = value << u64(8) | u64(x)
    if n < 8 and negative:
        return int(value) - (1 << (8 * n))
    if n >= 8 and (value >> u64(63) != u64(0)) != negative:
        raise OverflowError("the int does not fit into 64 bits")
    return int(value)
