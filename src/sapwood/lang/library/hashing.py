"""Hashes as CPython computes them, of numbers and tuples; sets iterate in their order."""

from __future__ import annotations

from sapwood.lang.api.dtypes import f64, i64, u64
from sapwood.lang.function import fn

MODULUS = (1 << 61) - 1
INFINITE = 314159
INFINITY = float("inf")


@fn(unchecked=True, inline=True)
def hash_int(x: i64) -> int:
    """x modulo 2**61 - 1 with the sign of x; -2 for -1."""
    size = u64(0) - u64(x) if x < 0 else u64(x)
    if size >= u64(MODULUS):
        size = (size & u64(MODULUS)) + (size >> u64(61))
        size = size - u64(MODULUS) if size >= u64(MODULUS) else size
    h = -int(size) if x < 0 else int(size)
    return -2 if h == -1 else h


@fn(unchecked=True, inline=True)
def hash_unsigned(x: u64) -> int:
    x = (x & u64(MODULUS)) + (x >> u64(61))
    return int(x - u64(MODULUS) if x >= u64(MODULUS) else x)


@fn(unchecked=True)
def hash_float(x: f64) -> int:
    """Of a whole number that of the int; else the fraction modulo 2**61 - 1."""
    if x != x:
        return 0
    if x == INFINITY:
        return INFINITE
    if x == -INFINITY:
        return -INFINITE
    bits = x.bitcast(u64)
    exponent = int((bits >> u64(52)) & u64(2047))
    mantissa = bits & u64((1 << 52) - 1)
    if exponent == 0:
        exponent = -1074
    else:
        mantissa = mantissa | u64(1 << 52)
        exponent -= 1075
    # mantissa * 2**exponent modulo 2**61 - 1: the power turns the 61 bits around
    turn = u64(exponent % 61)
    h = ((mantissa << turn) & u64(MODULUS)) | (mantissa >> (u64(61) - turn))
    h = u64(0) if h == u64(MODULUS) else h
    result = -int(h) if x < 0.0 else int(h)
    return -2 if result == -1 else result


@fn(unchecked=True, inline=True)
def hash_complex(real: int, imag: int) -> int:
    """Of the hashes of the parts."""
    h = real + 1000003 * imag
    return -2 if h == -1 else h


@fn(unchecked=True, inline=True)
def hash_item(total: u64, item: int) -> u64:
    """One more item of a tuple."""
    total = total + u64(item) * u64(14029467366897019727)
    total = (total << u64(31)) | (total >> u64(33))
    return total * u64(11400714785074694791)


@fn(unchecked=True, inline=True)
def hash_end(total: u64, size: int) -> int:
    """The hash of a tuple of `size` items."""
    total = total + (u64(size) ^ u64(2870177450012600261 ^ 3527539))
    return 1546275796 if total == u64(18446744073709551615) else int(total)


@fn(unchecked=True, inline=True)
def mix(h: int) -> u64:
    """32 bits that depend on all bits of h."""
    x = u64(h)
    x = x ^ (x >> u64(32))
    return (x * u64(0x9E3779B97F4A7C15)) >> u64(32)
