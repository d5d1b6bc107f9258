"""Python's functions of ints: gcd, factorials, binomials, roots, powers to a modulus.

A result that 64 bits cannot hold raises OverflowError (where Python's int would grow).
"""

from __future__ import annotations

from sapwood.lang.api.dtypes import i64, u64
from sapwood.lang.function import fn
from sapwood.lang.ops.arith import sqrt
from sapwood.lang.ops.convert import cast

LARGEST = 2**63 - 1
TOO_LARGE = "the result does not fit into a 64-bit int"


@fn
def gcd(a: int, b: int) -> int:
    """The greatest common divisor; not negative."""
    while b != 0:
        a, b = b, a % b
    if a < -LARGEST:
        raise OverflowError(TOO_LARGE)
    return abs(a)


@fn
def product(a: int, b: int) -> int:
    """a * b for a, b >= 0, or OverflowError."""
    if b != 0 and a > LARGEST // b:
        raise OverflowError(TOO_LARGE)
    return a * b


@fn
def lcm(a: int, b: int) -> int:
    """The least common multiple; not negative."""
    if a == 0 or b == 0:
        return 0
    if a < -LARGEST or b < -LARGEST:
        raise OverflowError(TOO_LARGE)
    return product(abs(a) // gcd(a, b), abs(b))


@fn
def isqrt(n: int) -> int:
    """The square root, rounded down."""
    if n < 0:
        raise ValueError("isqrt() argument must be nonnegative")
    r = cast(sqrt(cast(n, float)), int)
    if r * r > n:
        r -= 1
    elif r < 3037000499 and (r + 1) * (r + 1) <= n:
        r += 1
    return r


@fn
def factorial(n: int) -> int:
    if n < 0:
        raise ValueError("factorial() not defined for negative values")
    if n > 20:
        raise OverflowError(TOO_LARGE)
    result = 1
    for i in range(2, n + 1):
        result *= i
    return result


@fn
def perm(n: int, k: int) -> int:
    """n! / (n - k)!"""
    if n < 0:
        raise ValueError("n must be a non-negative integer")
    if k < 0:
        raise ValueError("k must be a non-negative integer")
    if k > n:
        return 0
    result = 1
    for i in range(n - k + 1, n + 1):
        result = product(result, i)
    return result


@fn
def comb(n: int, k: int) -> int:
    """n! / (k! (n - k)!)"""
    if n < 0:
        raise ValueError("n must be a non-negative integer")
    if k < 0:
        raise ValueError("k must be a non-negative integer")
    if k > n:
        return 0
    k = min(k, n - k)
    result = 1
    for i in range(1, k + 1):
        up = n - k + i
        common = gcd(up, i)
        result = product(result // (i // common), up // common)
    return result


@fn(unchecked=True)
def _product_modulo(a: u64, b: u64, m: u64) -> u64:
    """a * b % m for a, b < m <= 2**63, by doubling when the product is wider than 64 bits."""
    if m <= 4294967296:
        return a * b % m
    result = u64(0)
    while b != 0:
        if b & 1 == 1:
            result = result + a
            if result >= m:
                result = result - m
        a = a + a
        if a >= m:
            a = a - m
        b = b >> 1
    return result


@fn
def inverse(a: int, m: int) -> int:
    """x with a * x % m == 1, for m > 0."""
    r, last = a % m, m
    x, y = 1, 0
    while r != 0:
        q = last // r
        r, last = last - q * r, r
        x, y = y - q * x, x
    if last != 1:
        raise ValueError("base is not invertible for the given modulus")
    return y % m


@fn
def power_modulo(a: int, n: int, m: int) -> int:
    """pow(a, n, m), with the sign of m."""
    if m == 0:
        raise ValueError("pow() 3rd argument cannot be 0")
    size = u64(m) if m > 0 else u64(0) - u64(m)
    if n < 0:
        if m == -(2**63):
            raise OverflowError(TOO_LARGE)
        a = inverse(a, abs(m))
        left = u64(0) - u64(n)
    else:
        left = u64(n)
    base = u64(a) % size if a >= 0 else (size - (u64(0) - u64(a)) % size) % size
    result = u64(1) % size
    while left != 0:
        if left & 1 == 1:
            result = _product_modulo(result, base, size)
        base = _product_modulo(base, base, size)
        left = left >> 1
    if m < 0 and result != 0:
        return i64(result - size)
    return i64(result)


@fn
def round_int(x: int, digits: int) -> int:
    """round(x, digits): to a multiple of 10**-digits, ties to the even one."""
    if digits >= 0:
        return x
    n = -digits if digits > -100 else 100
    if n > 19 or n == 19 and -5000000000000000000 <= x <= 5000000000000000000:
        return 0
    if n == 19:
        raise OverflowError(TOO_LARGE)
    step = 1
    for _ in range(n):
        step *= 10
    rest = x % step
    half = step - rest
    if rest > half or rest == half and x // step % 2 == 1:
        if x > LARGEST - half:
            raise OverflowError(TOO_LARGE)
        return x + half
    if x < -LARGEST - 1 + rest:
        raise OverflowError(TOO_LARGE)
    return x - rest
