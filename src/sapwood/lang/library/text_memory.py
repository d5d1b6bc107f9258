"""Bytes in memory: searching, comparing, copying. What str, bytes and bytearray are built on.

Positions and lengths are in bytes; -1 says that nothing was found.
"""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.comptime import simd_width
from sapwood.lang.api.dtypes import u8, u32, u64
from sapwood.lang.function import fn
from sapwood.lang.ops.bits import leading_zeros, popcount, trailing_zeros
from sapwood.lang.ops.lanes import lane_mask


@fn(unchecked=True, inline=True)
def move(target: Ptr[u8], source: Ptr[u8], n: int) -> None:
    """Copy n bytes between places that do not overlap."""
    W = simd_width(u8)
    i = 0
    while i + W <= n:
        target.store(i, source.load(i, width=W))
        i += W
    move_few(target + i, source + i, n - i)


@fn(unchecked=True, inline=True)
def move_few(target: Ptr[u8], source: Ptr[u8], n: int) -> None:
    """Copy less bytes than a vector has: words, of which the last overlaps the one before it."""
    if n >= 8:
        last = (source + (n - 8)).cast(u64)[0]
        i = 0
        while i + 8 < n:
            (target + i).cast(u64)[0] = (source + i).cast(u64)[0]
            i += 8
        (target + (n - 8)).cast(u64)[0] = last
    elif n >= 4:
        first, last4 = source.cast(u32)[0], (source + (n - 4)).cast(u32)[0]
        target.cast(u32)[0] = first
        (target + (n - 4)).cast(u32)[0] = last4
    elif n > 0:
        a, b, c = source[0], source[n >> 1], source[n - 1]
        target[0] = a
        target[n >> 1] = b
        target[n - 1] = c


@fn(unchecked=True)
def move_down(target: Ptr[u8], source: Ptr[u8], n: int) -> None:
    """Copy n bytes to a lower or the same address; the places may overlap."""
    for i in range(n):
        target[i] = source[i]


@fn(unchecked=True)
def move_up(target: Ptr[u8], source: Ptr[u8], n: int) -> None:
    """Copy n bytes to a higher address; the places may overlap."""
    i = n
    while i > 0:
        i -= 1
        target[i] = source[i]


@fn(unchecked=True)
def find_byte(p: Ptr[u8], n: int, x: u8) -> int:
    """The first position of the byte x."""
    W = simd_width(u8)
    i = 0
    while i + 4 * W <= n:
        a, b = p.load(i, width=W) == x, p.load(i + W, width=W) == x
        c, d = p.load(i + 2 * W, width=W) == x, p.load(i + 3 * W, width=W) == x
        if lane_mask(a | b | c | d) != 0:
            break
        i += 4 * W
    while i + W <= n:
        mask = lane_mask(p.load(i, width=W) == x)
        if mask != 0:
            return i + int(trailing_zeros(mask))
        i += W
    while i < n:
        if p[i] == x:
            return i
        i += 1
    return -1


@fn(unchecked=True)
def find_byte_last(p: Ptr[u8], n: int, x: u8) -> int:
    """The last position of the byte x."""
    W = simd_width(u8)
    i = n
    while i >= W:
        mask = lane_mask(p.load(i - W, width=W) == x)
        if mask != 0:
            return i - W + 63 - int(leading_zeros(mask))
        i -= W
    while i > 0:
        i -= 1
        if p[i] == x:
            return i
    return -1


@fn(unchecked=True)
def count_byte(p: Ptr[u8], n: int, x: u8) -> int:
    """How often the byte x occurs."""
    W = simd_width(u8)
    i, count = 0, 0
    while i + W <= n:
        count += int(popcount(lane_mask(p.load(i, width=W) == x)))
        i += W
    while i < n:
        if p[i] == x:
            count += 1
        i += 1
    return count


@fn(unchecked=True)
def equal(p: Ptr[u8], q: Ptr[u8], n: int) -> bool:
    """Whether n bytes are the same."""
    W = simd_width(u8)
    if n >= W:
        i = 0
        while i + W <= n:
            if lane_mask(p.load(i, width=W) != q.load(i, width=W)) != 0:
                return False
            i += W
        return lane_mask(p.load(n - W, width=W) != q.load(n - W, width=W)) == 0
    if n >= 8:
        same = p.cast(u64)[0] == q.cast(u64)[0]
        i = 8
        while i + 8 <= n:
            same = same & ((p + i).cast(u64)[0] == (q + i).cast(u64)[0])
            i += 8
        return same & ((p + (n - 8)).cast(u64)[0] == (q + (n - 8)).cast(u64)[0])
    return few_bytes(p, n) == few_bytes(q, n)


@fn(unchecked=True, inline=True)
def few_bytes(p: Ptr[u8], n: int) -> u64:
    """Less than 8 bytes as one number, different for different bytes."""
    if n >= 4:
        return u64(p.cast(u32)[0]) | (u64((p + (n - 4)).cast(u32)[0]) << u64(32))
    if n > 0:
        return u64(p[0]) | (u64(p[n >> 1]) << u64(8)) | (u64(p[n - 1]) << u64(16))
    return u64(0)


@fn(unchecked=True)
def compare(p: Ptr[u8], n: int, q: Ptr[u8], m: int) -> int:
    """Below, at or above zero as the first bytes come before, are, or come after the second.

    The order of UTF-8 is the order of its code points.
    """
    W = simd_width(u8)
    short = min(n, m)
    i = 0
    while i + W <= short:
        mask = lane_mask(p.load(i, width=W) != q.load(i, width=W))
        if mask != 0:
            at = i + int(trailing_zeros(mask))
            return int(p[at]) - int(q[at])
        i += W
    while i + 8 <= short:
        unlike = (p + i).cast(u64)[0] ^ (q + i).cast(u64)[0]
        if unlike != u64(0):
            return _order_at(p, q, i, unlike)
        i += 8
    if short >= 8:  # the rest, with bytes before it that are equal
        i = short - 8
        unlike = (p + i).cast(u64)[0] ^ (q + i).cast(u64)[0]
        return _order_at(p, q, i, unlike) if unlike != u64(0) else n - m
    if short >= 4:
        unlike = u64(p.cast(u32)[0] ^ q.cast(u32)[0])
        if unlike != u64(0):
            return _order_at(p, q, 0, unlike)
        i = short - 4
        unlike = u64((p + i).cast(u32)[0] ^ (q + i).cast(u32)[0])
        return _order_at(p, q, i, unlike) if unlike != u64(0) else n - m
    while i < short:
        if p[i] != q[i]:
            return int(p[i]) - int(q[i])
        i += 1
    return n - m


@fn(unchecked=True, inline=True)
def _order_at(p: Ptr[u8], q: Ptr[u8], i: int, unlike: u64) -> int:
    """The order of the first bytes from i on that differ; `unlike` has the bits in which they do."""
    at = i + (int(trailing_zeros(unlike)) >> 3)
    return int(p[at]) - int(q[at])


@fn(unchecked=True)
def find(p: Ptr[u8], n: int, q: Ptr[u8], m: int) -> int:
    """The first position of q[:m] in p[:n]: vectors look for its first and last byte at once."""
    if m == 0:
        return 0
    if m == 1:
        return find_byte(p, n, q[0])
    W = simd_width(u8)
    first, last = q[0], q[m - 1]
    end = n - m  # the last position where it may begin
    i, tries = 0, 0
    while i + W - 1 <= end:
        mask = lane_mask((p.load(i, width=W) == first) & (p.load(i + m - 1, width=W) == last))
        while mask != 0:
            at = i + int(trailing_zeros(mask))
            if equal(p + at, q, m):
                return at
            mask = mask & (mask - 1)
            tries += m
        i += W
        if tries > 4 * (i + 64):  # many near misses: this would be quadratic
            found = find_two_way(p + i, n - i, q, m)
            return found if found < 0 else found + i
    while i <= end:
        if p[i] == first and p[i + m - 1] == last and equal(p + i, q, m):
            return i
        i += 1
    return -1


@fn(unchecked=True)
def _critical(q: Ptr[u8], m: int, up: bool) -> tuple[int, int]:
    """(start, period) of the maximal suffix of q in one of the two orders of bytes."""
    start, period = 0, 1
    j, k = 1, 0
    while j + k < m:
        a, b = q[j + k], q[start + k]
        if a == b:
            k += 1
            if k == period:
                j += period
                k = 0
        elif (a < b) == up:
            j += k + 1
            k = 0
            period = j - start
        else:
            start = j
            j += 1
            k = 0
            period = 1
    return start, period


@fn(unchecked=True)
def find_two_way(p: Ptr[u8], n: int, q: Ptr[u8], m: int) -> int:
    """The first position of q in p in linear time and constant space (Crochemore and Perrin, "Two-way
    string-matching", 1991)."""
    start, period = _critical(q, m, True)
    other, other_period = _critical(q, m, False)
    if other > start:
        start, period = other, other_period
    periodic = period + start <= m and equal(q, q + period, start)
    if not periodic:
        period = max(start, m - start) + 1
    i, memory = 0, 0
    while i + m <= n:
        j = max(start, memory)
        while j < m and q[j] == p[i + j]:
            j += 1
        if j < m:
            i += j - start + 1
            memory = 0
            continue
        j = start
        while j > memory and q[j - 1] == p[i + j - 1]:
            j -= 1
        if j <= memory:
            return i
        i += period
        memory = m - period if periodic else 0
    return -1


@fn(unchecked=True)
def find_last(p: Ptr[u8], n: int, q: Ptr[u8], m: int) -> int:
    """The last position of q[:m] in p[:n]."""
    if m == 0:
        return n
    if m == 1:
        return find_byte_last(p, n, q[0])
    W = simd_width(u8)
    first, last = q[0], q[m - 1]
    i = n - m + 1  # positions below are still to be tried
    while i >= W:
        at = i - W
        mask = lane_mask((p.load(at, width=W) == first) & (p.load(at + m - 1, width=W) == last))
        while mask != 0:
            top = 63 - int(leading_zeros(mask))
            if equal(p + (at + top), q, m):
                return at + top
            mask = mask ^ (u64(1) << u64(top))
        i -= W
    while i > 0:
        i -= 1
        if p[i] == first and p[i + m - 1] == last and equal(p + i, q, m):
            return i
    return -1


@fn(unchecked=True)
def count(p: Ptr[u8], n: int, q: Ptr[u8], m: int, limit: int) -> int:
    """How often q (not empty) occurs without overlap, at most `limit` times."""
    found, at = 0, 0
    if m == 1 and limit > n:
        return count_byte(p, n, q[0])
    while found < limit:
        step = find(p + at, n - at, q, m)
        if step < 0:
            break
        found += 1
        at += step + m
    return found


@fn(unchecked=True)
def hash_bytes(p: Ptr[u8], n: int) -> int:
    """A hash of n bytes, never -1: multiply and fold, 8 bytes at a time."""
    h = u64(n) * u64(0x9E3779B97F4A7C15) ^ u64(0xD6E8FEB86659FD93)
    i = 0
    while i + 8 <= n:
        h = (h ^ (p + i).cast(u64)[0]) * u64(0xFF51AFD7ED558CCD)
        h = h ^ (h >> u64(32))
        i += 8
    if i == 0:
        tail = few_bytes(p, n)
    else:  # overlaps what is in h already
        tail = (p + (n - 8)).cast(u64)[0]
    h = (h ^ tail) * u64(0xC4CEB9FE1A85EC53)
    h = h ^ (h >> u64(29))
    h = h * u64(0x94D049BB133111EB)
    h = h ^ (h >> u64(32))
    result = int(h)
    return -2 if result == -1 else result
