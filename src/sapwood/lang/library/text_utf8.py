"""UTF-8 in memory: counting, stepping, decoding, checking. Texts inside are well formed (lone surrogates aside).

`bytes` and `points` below: a text that has as many code points as bytes is ASCII.
"""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.comptime import simd_width
from sapwood.lang.api.dtypes import i8, u8
from sapwood.lang.function import fn
from sapwood.lang.ops.bits import popcount
from sapwood.lang.ops.lanes import lane_mask


@fn(unchecked=True)
def count_points(p: Ptr[u8], n: int) -> int:
    """Code points in n bytes: bytes that do not continue one."""
    W = simd_width(u8)
    i, points = 0, 0
    q = p.cast(i8)
    while i + W <= n:
        points += int(popcount(lane_mask(q.load(i, width=W) >= -64)))
        i += W
    while i < n:
        if q[i] >= -64:
            points += 1
        i += 1
    return points


@fn(unchecked=True, inline=True)
def width_at(first: u8) -> int:
    """Bytes of the code point that begins with this byte."""
    if first < 0x80:
        return 1
    if first < 0xE0:
        return 2
    if first < 0xF0:
        return 3
    return 4


@fn(unchecked=True, inline=True)
def decode_at(p: Ptr[u8], i: int) -> int:
    """The code point that begins at byte i."""
    a = int(p[i])
    if a < 0x80:
        return a
    b = int(p[i + 1]) & 0x3F
    if a < 0xE0:
        return (a & 0x1F) << 6 | b
    c = int(p[i + 2]) & 0x3F
    if a < 0xF0:
        return (a & 0x0F) << 12 | b << 6 | c
    return (a & 0x07) << 18 | b << 12 | c << 6 | int(p[i + 3]) & 0x3F


@fn(unchecked=True, inline=True)
def width_of(code: int) -> int:
    """Bytes of a code point."""
    if code < 0x80:
        return 1
    if code < 0x800:
        return 2
    if code < 0x10000:
        return 3
    return 4


@fn(unchecked=True, inline=True)
def encode_at(p: Ptr[u8], i: int, code: int) -> int:
    """Write a code point at byte i; gives the byte after it."""
    if code < 0x80:
        p[i] = u8(code)
        return i + 1
    if code < 0x800:
        p[i] = u8(0xC0 | code >> 6)
        p[i + 1] = u8(0x80 | code & 0x3F)
        return i + 2
    if code < 0x10000:
        p[i] = u8(0xE0 | code >> 12)
        p[i + 1] = u8(0x80 | code >> 6 & 0x3F)
        p[i + 2] = u8(0x80 | code & 0x3F)
        return i + 3
    p[i] = u8(0xF0 | code >> 18)
    p[i + 1] = u8(0x80 | code >> 12 & 0x3F)
    p[i + 2] = u8(0x80 | code >> 6 & 0x3F)
    p[i + 3] = u8(0x80 | code & 0x3F)
    return i + 4


@fn(unchecked=True, inline=True)
def before(p: Ptr[u8], i: int) -> int:
    """Where the code point that ends before byte i begins."""
    i -= 1
    while p[i] & 0xC0 == 0x80:
        i -= 1
    return i


@fn(unchecked=True)
def skip_points(p: Ptr[u8], i: int, n: int, points: int) -> int:
    """The byte `points` code points after byte i, which begins one; n at most."""
    W = simd_width(u8)
    q = p.cast(i8)
    left = points
    while i + W <= n and left > W:
        left -= int(popcount(lane_mask(q.load(i, width=W) >= -64)))
        i += W
    while i < n and q[i] < -64:  # bytes that a block of bytes cut off
        i += 1
    while left > 0 and i < n:
        i += width_at(p[i])
        left -= 1
    return i


@fn(unchecked=True)
def skip_points_back(p: Ptr[u8], i: int, points: int) -> int:
    """The byte `points` code points before byte i; 0 at least."""
    W = simd_width(u8)
    q = p.cast(i8)
    left = points
    while i >= W and left > W:
        left -= int(popcount(lane_mask(q.load(i - W, width=W) >= -64)))
        i -= W
    while left > 0 and i > 0:
        i = before(p, i)
        left -= 1
    return i


@fn(unchecked=True)
def byte_of_point(p: Ptr[u8], n: int, points: int, index: int) -> int:
    """The byte where code point `index` (0 to points) of a text begins: from the nearer end."""
    if n == points:
        return index
    if index <= points >> 1:
        return skip_points(p, 0, n, index)
    return skip_points_back(p, n, points - index)


@fn(unchecked=True)
def check(p: Ptr[u8], n: int, i: int) -> int:
    """The first byte from i on that does not begin well-formed UTF-8; n when all does."""
    W = simd_width(u8)
    q = p.cast(i8)
    while i < n:
        if i + W <= n and lane_mask(q.load(i, width=W) < 0) == 0:
            i += W
            continue
        step = _well_formed(p, i, n)
        if step <= 0:
            return i
        i += step
    return n


@fn(unchecked=True)
def _well_formed(p: Ptr[u8], i: int, n: int) -> int:
    """Bytes of the code point at byte i, or minus the bytes that an error there spans, as Python reports it."""
    a = int(p[i])
    if a < 0x80:
        return 1
    if a < 0xC2 or a > 0xF4:
        return -1
    low, high = 0x80, 0xBF
    if a == 0xE0:
        low = 0xA0
    elif a == 0xED:
        high = 0x9F
    elif a == 0xF0:
        low = 0x90
    elif a == 0xF4:
        high = 0x8F
    if i + 1 >= n or int(p[i + 1]) < low or int(p[i + 1]) > high:
        return -1
    if a < 0xE0:
        return 2
    if i + 2 >= n or p[i + 2] & 0xC0 != 0x80:
        return -2
    if a < 0xF0:
        return 3
    if i + 3 >= n or p[i + 3] & 0xC0 != 0x80:
        return -3
    return 4


@fn(unchecked=True)
def error_span(p: Ptr[u8], n: int, i: int) -> tuple[int, int]:
    """(bytes of the ill-formed sequence at byte i, why: 0 invalid start, 1 invalid continuation, 2 end of data)."""
    span = -_well_formed(p, i, n)
    a = int(p[i])
    if a < 0xC2 or a > 0xF4:
        return 1, 0
    if i + span >= n:
        return n - i, 2
    return span, 1
