"""Integers: operators, conversions, built-in functions."""

from conformance import case, fn


@case(7, 2)
@case(-7, 2)
@case(7, -2)
@case(-7, -2)
@case(0, 3)
@case(1, 0)
@fn
def floor_division(a: int, b: int) -> int:
    return a // b


@case(7, 3)
@case(-7, 3)
@case(7, -3)
@case(-6, -3)
@case(5, 0)
@fn
def remainder(a: int, b: int) -> int:
    return a % b


@case(17, 5)
@case(-17, 5)
@case(17, -5)
@case(3, 0)
@fn
def divmod_both(a: int, b: int) -> tuple[int, int]:
    return divmod(a, b)


@case(2, 10)
@case(-3, 5)
@case(7, 0)
@case(0, 0)
@fn
def power(a: int, b: int) -> int:
    return a**b


@case(3)
@case(-3)
@case(0)
@fn
def square_and_cube(a: int) -> tuple[int, int]:
    return a**2, a**3


@case(2, 10, 7)
@case(3, 200, 13)
@case(-3, 3, 7)
@case(2, 5, -7)
@fn
def modular_power(a: int, b: int, m: int) -> int:
    return pow(a, b, m)


@case(12, 10)
@case(-1, 255)
@case(0, -1)
@fn
def bit_operators(a: int, b: int) -> tuple[int, int, int, int]:
    return a & b, a | b, a ^ b, ~a


@case(1, 5)
@case(-1, 5)
@case(3, 0)
@fn
def shift_left(a: int, k: int) -> int:
    return a << k


@case(1024, 3)
@case(-1, 1)
@case(-1024, 100)
@case(5, 64)
@case(5, -1)
@fn
def shift_right(a: int, k: int) -> int:
    return a >> k


@case(1, -1)
@fn
def negative_shift(a: int, k: int) -> int:
    return a << k


@case(5)
@case(-5)
@case(0)
@fn
def absolute(a: int) -> tuple[int, int, int]:
    return abs(a), -a, +a


@case(3, 1, 2)
@case(-1, -1, -1)
@fn
def min_max(a: int, b: int, c: int) -> tuple[int, int]:
    return min(a, b, c), max(a, b, c)


@case(2.7)
@case(-2.7)
@case(0.0)
@case(1e15)
@case(float("nan"))
@case(float("inf"))
@fn
def from_float(x: float) -> int:
    return int(x)


@case(2.5)
@case(3.5)
@case(-0.5)
@case(1.49999)
@fn
def rounded(x: float) -> int:
    return round(x)


@case(True)
@case(False)
@fn
def from_bool(b: bool) -> tuple[int, int, int]:
    return int(b), b + b, b * 3


@case(0)
@case(3)
@case(-1)
@fn
def truth(a: int) -> tuple[bool, bool]:
    return bool(a), not a


@case(1, 2, 3)
@case(3, 2, 1)
@case(2, 2, 2)
@fn
def chained(a: int, b: int, c: int) -> tuple[bool, bool, bool]:
    return a < b < c, a <= b <= c, a == b == c


@case(5)
@case(0)
@fn
def augmented(n: int) -> int:
    a = 100
    a += n
    a -= 3
    a *= 2
    a //= 3
    a %= 50
    a <<= 2
    a >>= 1
    a |= 1
    a &= 63
    a ^= 5
    a **= 2
    return a


@case(48, 18)
@case(17, 5)
@case(0, 7)
@fn
def gcd(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a


@case(10)
@case(255)
@case(0)
@fn
def count_bits(n: int) -> int:
    count = 0
    while n:
        n &= n - 1
        count += 1
    return count


@case(255)
@case(0)
@case(-256)
@case(1)
@fn
def bit_methods(n: int) -> tuple[int, int]:
    return n.bit_length(), n.bit_count()


@case(123456789)
@case(1000)
@case(7)
@fn
def digits_reversed(n: int) -> int:
    out = 0
    while n > 0:
        out = out * 10 + n % 10
        n //= 10
    return out


@case(17)
@case(18)
@case(1)
@case(7919)
@fn
def is_prime(n: int) -> bool:
    if n < 2:
        return False
    i = 2
    while i * i <= n:
        if n % i == 0:
            return False
        i += 1
    return True


@case(27)
@case(1)
@fn
def collatz(n: int) -> tuple[int, int]:
    steps, top = 0, n
    while n != 1:
        n = 3 * n + 1 if n % 2 else n // 2
        top = max(top, n)
        steps += 1
    return steps, top


@case(10)
@case(50)
@fn
def fibonacci(n: int) -> int:
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


@case(1000003, 999983)
@fn
def hash_mix(a: int, b: int) -> int:
    h = 17
    for _ in range(20):
        h = (h * 31 + a) % 1000000007
        h ^= b & 1023
    return h


@case(16)
@case(17)
@case(0)
@case(10**12)
@fn
def integer_root(n: int) -> int:
    if n < 2:
        return n
    x = n
    y = (x + 1) // 2
    while y < x:
        x = y
        y = (x + n // x) // 2
    return x


@case(5)
@case(-5)
@fn
def literals(n: int) -> int:
    return 0xFF + 0b101 + 0o17 + 1_000 + n


@case(3, 4)
@case(0, 4)
@case(3, 0)
@fn
def and_or_values(a: int, b: int) -> tuple[int, int]:
    return a and b, a or b


@case(5)
@fn
def numerator(n: int) -> tuple[int, int, int, int]:
    return n.numerator, n.denominator, n.real, n.imag
