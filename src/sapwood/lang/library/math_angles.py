"""Reduction of angles: x = k pi / 2 + r with |r| <= pi / 4, for every finite x.

Up to a limit, k pi / 2 is subtracted in parts that are exact; beyond it the fraction of x * 2 / pi is computed
in integers from the stored bits of 2 / pi (Payne and Hanek, SIGNUM Newsletter 18, 1983). The second way stands
behind a branch, as hardly a program needs it; what a lane gets does not depend on the other lanes.
"""

from __future__ import annotations

from typing import TypeVar

from sapwood.lang.api.dtypes import f32, f64, i64, u32, u64
from sapwood.lang.api.loops import unroll
from sapwood.lang.function import fn
from sapwood.lang.library.math_format import FORMATS, INF, NAN, format_of, lanes_of
from sapwood.lang.library.math_parts import any_of, fast_two_sum, two_product, two_sum
from sapwood.lang.ops.arith import absolute, mul_add, select
from sapwood.lang.ops.convert import bitcast, cast
from sapwood.lang.ops.simd import iota

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")

SHIFT64 = FORMATS["f64"].shift
TWO_OVER_PI = 0.6366197723675814
PI_HALF, PI_HALF_REST = 1.5707963267948966, 6.123233995736766e-17

# pi / 2 as 29 bits and the rest: k * part is exact for k < 2**24
LIMIT32 = 16777216.0
PI_HALF_29, PI_HALF_29_REST = 1.570796325802803, 9.920935796805404e-10
# pi / 2 as three parts of 33 bits and the rest: k * part is exact for k < 2**20
LIMIT64 = 1048576.0
PI_HALF_1 = 1.5707963267341256
PI_HALF_2 = 6.077100506303966e-11
PI_HALF_3 = 2.0222662487111665e-21
PI_HALF_4 = 8.4784276603689e-32

# 64 zeros, then the bits of 2 / pi; then zeros, which no exponent reaches
TWO_OVER_PI_BITS = (
    0x0000000000000000, 0xA2F9836E4E441529, 0xFC2757D1F534DDC0, 0xDB6295993C439041, 0xFE5163ABDEBBC561,
    0xB7246E3A424DD2E0, 0x06492EEA09D1921C, 0xFE1DEB1CB129A73E, 0xE88235F52EBB4484, 0xE99C7026B45F7E41,
    0x3991D639835339F4, 0x9C845F8BBDF9283B, 0x1FF897FFDE05980F, 0xEF2F118B5A0A6D1F, 0x6D367ECF27CB09B7,
    0x4F463F669E5FEA2D, 0x7527BAC7EBE5F17B, 0x3D0739F78A5292EA, 0x6BFB5FB11F8D5D08, 0x56033046FC7B6BAB,
) + (0,) * 15
LOW_HALF = 0xFFFFFFFF
FRACTION_BITS = 0xFFFFFFFFFFFFF
TWO_52_BITS = 0x4330000000000000  # 2**52 as f64
SIGN_BIT = 0x8000000000000000


@fn(unchecked=True, inline=True)
def _as_float(n: u64, scale: f64) -> f64:
    """n * scale for n < 2**32 in a u64, exactly: the bits are put under those of 2**52."""
    return (bitcast(n | TWO_52_BITS, f64) - 4503599627370496.0) * scale


@fn(unchecked=True, unit=True)
def payne_hanek(x: f64) -> tuple[u64, f64, f64]:
    """(k mod 4, r, rest of r) for finite x, |x| >= 2**-10.

    x = m 2**E with an integer m of 53 bits. The window of 192 bits of 2 / pi whose first bit stands for 2 in
    2**E * 2 / pi is all that counts mod 4, and the error is below 2**-136, where the smallest fraction that
    a double can have is about 2**-62.
    """
    bits = bitcast(x, u64)
    m = (bits & FRACTION_BITS) | (FRACTION_BITS + 1)
    position = ((bits >> 52) & 0x7FF) - 1013
    word, offset = position >> 6, position & 63
    # words[word : word + 4] by halving the table
    words = ()
    for w in unroll(TWO_OVER_PI_BITS):
        words = words + (cast(w, u64),)
    for step in unroll((16, 8, 4, 2, 1)):
        upper = (word & step) != 0
        kept = ()
        for i in unroll(range(step + 3)):
            kept = kept + (select(upper, words[i + step], words[i]),)
        words = kept
    back = 64 - offset
    g0 = (words[0] << offset) | (words[1] >> back)
    g1 = (words[1] << offset) | (words[2] >> back)
    g2 = (words[2] << offset) | (words[3] >> back)
    # m times the window, mod 2**192, in halves of words: first the low half of m, then the high half
    low, high = m & LOW_HALF, m >> 32
    window = (g2 & LOW_HALF, g2 >> 32, g1 & LOW_HALF, g1 >> 32, g0 & LOW_HALF, g0 >> 32)
    product = ()
    carry = low & 0
    for limb in unroll(window):
        t = low * limb + carry
        product = product + (t & LOW_HALF,)
        carry = t >> 32
    total = (product[0],)
    carry = low & 0
    for i in unroll(range(5)):
        t = high * window[i] + (product[i + 1] + carry)
        total = total + (t & LOW_HALF,)
        carry = t >> 32
    a = (total[5] << 32) | total[4]
    b = (total[3] << 32) | total[2]
    c = (total[1] << 32) | total[0]
    # the two leading bits are the quadrant; a fraction of at least a half counts as negative in the next one
    quadrant = a >> 62
    a = (a << 2) | (b >> 62)
    b = (b << 2) | (c >> 62)
    c = c << 2
    half = a >> 63
    flip = 0 - half
    a, b, c = a ^ flip, b ^ flip, c ^ flip
    h, l1 = fast_two_sum(_as_float(a >> 32, 2.0**-32), _as_float(a & LOW_HALF, 2.0**-64))
    h, l2 = fast_two_sum(h, _as_float(b >> 32, 2.0**-96))
    h, l3 = fast_two_sum(h, _as_float(b & LOW_HALF, 2.0**-128))
    h, l4 = fast_two_sum(h, _as_float(c >> 32, 2.0**-160))
    r, e = two_product(h, PI_HALF)
    r, e = fast_two_sum(r, e + (h * PI_HALF_REST + ((l1 + l2) + (l3 + l4)) * PI_HALF))
    minus = 0 - (bits >> 63)
    sign = (flip ^ minus) & SIGN_BIT
    quadrant = ((quadrant + half) ^ minus) - minus
    return quadrant, bitcast(bitcast(r, u64) ^ sign, f64), bitcast(bitcast(e, u64) ^ sign, f64)


@fn(unchecked=True)
def reduce_big(x: T, big: U, quadrant: V, r: T, low: T) -> tuple[V, T, T]:
    """The reduction of those lanes of f64 x that are big; the others keep what they have."""
    if lanes_of(x) > 0:
        lanes = iota(i64, lanes_of(x))
        for i in range(lanes_of(x)):
            if big[i]:
                q, s, e = payne_hanek(x[i])
                here = lanes == i
                quadrant, r, low = select(here, q, quadrant), select(here, s, r), select(here, e, low)
    else:
        quadrant, r, low = payne_hanek(x)
    r = select(absolute(x) < INF, r, NAN)
    return quadrant, r, low


@fn(unchecked=True, inline=True)
def reduce64(x: T) -> tuple[U, T, T]:
    """(k as u64, of which the two low bits count, r, rest of r) of f64; r is nan where x is not finite."""
    t = mul_add(x, TWO_OVER_PI, SHIFT64)
    quadrant = bitcast(t, u64)
    k = t - SHIFT64
    r, e1 = two_sum(x - k * PI_HALF_1, -(k * PI_HALF_2))
    r, e2 = two_sum(r, -(k * PI_HALF_3))
    r, low = fast_two_sum(r, (e1 + e2) - k * PI_HALF_4)
    big = absolute(x) >= LIMIT64
    if any_of(big):
        quadrant, r, low = reduce_big(x, big, quadrant, r, low)
    return quadrant, r, low


@fn(unchecked=True, inline=True)
def reduce32(x: T) -> tuple[U, T, T]:
    """(k as u32, of which the two low bits count, r, rest of r) of f32, computed in f64."""
    d = cast(x, f64)
    t = mul_add(d, TWO_OVER_PI, SHIFT64)
    quadrant = bitcast(t, u64)
    k = t - SHIFT64
    wide = (d - k * PI_HALF_29) - k * PI_HALF_29_REST
    big = absolute(x) >= LIMIT32
    if any_of(big):
        quadrant, wide, _ = reduce_big(d, big, quadrant, wide, d)
    r = cast(wide, f32)
    return cast(quadrant, u32), r, cast(wide - cast(r, f64), f32)


@fn(unchecked=True, inline=True)
def reduce(x: T) -> tuple[U, T, T]:
    """(k as an unsigned int of the same width, r, rest of r) of f32 or f64."""
    if format_of(x).dtype == f32:
        result = reduce32(x)
    else:
        result = reduce64(x)
    return result
