"""Sine, cosine and tangent from the reduced angle."""

from __future__ import annotations

from typing import TypeVar

from sapwood.lang.function import fn
from sapwood.lang.library.math_angles import reduce
from sapwood.lang.library.math_format import format_of
from sapwood.lang.library.math_parts import fast_two_sum, polynomial, product_error
from sapwood.lang.ops.arith import mul_add, select
from sapwood.lang.ops.convert import bitcast

T = TypeVar("T")
U = TypeVar("U")


@fn(unchecked=True, inline=True)
def _on_eighth_turn(x: T) -> tuple[U, T, T, T, T]:
    """(quadrant, sin r, its rest, cos r, its rest) for the reduced angle r: values are sums of two numbers."""
    p = format_of(x)
    quadrant, r, low = reduce(x)
    z = r * r
    half = 0.5 * z
    w = 1.0 - half
    s = mul_add(r * z, polynomial(z, p.polynomials.sin), low * w)
    c = ((1.0 - w) - half) + mul_add(z * z, polynomial(z, p.polynomials.cos), -(r * low))
    return quadrant, r, s, w, c


@fn(unchecked=True, inline=True)
def _negative_if(x: T, bit: U) -> T:
    """-x where bit 1 (the second) of an unsigned int is set."""
    p = format_of(x)
    return bitcast(bitcast(x, p.unsigned) ^ ((bit & 2) << (p.sign_shift - 1)), p.dtype)


@fn(unchecked=True)
def sine(x: T) -> T:
    quadrant, s, sl, c, cl = _on_eighth_turn(x)
    y = select((quadrant & 1) != 0, c + cl, s + sl)
    return select(x == 0.0, x, _negative_if(y, quadrant))


@fn(unchecked=True)
def cosine(x: T) -> T:
    quadrant, s, sl, c, cl = _on_eighth_turn(x)
    y = select((quadrant & 1) != 0, s + sl, c + cl)
    return _negative_if(y, quadrant + 1)


@fn(unchecked=True)
def tangent(x: T) -> T:
    """sin / cos, or -cos / sin in odd quadrants; the quotient is corrected by its remainder."""
    quadrant, s, sl, c, cl = _on_eighth_turn(x)
    s, sl = fast_two_sum(s, sl)
    c, cl = fast_two_sum(c, cl)
    odd = (quadrant & 1) != 0
    a, al = select(odd, c, s), select(odd, cl, sl)
    b, bl = select(odd, s, c), select(odd, sl, cl)
    over = 1.0 / b
    q = a * over
    remainder = (al - q * bl) - product_error(q, b, a)
    y = mul_add(remainder, over, q)
    return select(x == 0.0, x, _negative_if(y, quadrant << 1))
