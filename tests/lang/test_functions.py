"""Parameters, calls and nested functions: against CPython, boxed CPython and the evaluator."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from oracles import agree

from sapwood import fn


@fn
def counter(n: int) -> int:
    total = 0

    def add(k: int):
        nonlocal total
        total += k
        return total

    for i in range(n):
        if i % 3 != 1:
            add(i)
        else:
            add(1)
    add(100)
    return total


@fn
def late_binding(n: int) -> int:
    scale = 2

    def f(x):
        return x * scale

    a = f(n)
    scale = 3
    b = f(n)
    for scale in range(3):
        b += f(n)
    return a * 1000 + b


@fn
def assigned_after(n: int) -> int:
    def f() -> int:
        return x + n

    x = n * 2
    return f()


@fn
def first_assigned_inside(n: int) -> int:
    def f() -> None:
        nonlocal x
        x = n

    f()
    y = x  # noqa: F821
    x = 2
    return y * 10 + x


@fn
def two_levels(n: int) -> int:
    x = 1

    def outer(k):
        nonlocal x
        y = k

        def inner(j):
            nonlocal x, y
            y += j
            x += y
            return x

        for j in range(k):
            if j % 2:
                inner(j)
        return y

    t = 0
    for i in range(n):
        t += outer(i)
    return t * 1000 + x


@fn
def twice(f: Callable[..., int], x: int) -> int:
    return f(f(x))


@fn
def counts_calls(n: int) -> int:
    calls = 0

    def f(x):
        nonlocal calls
        calls += 1
        if x > 5:
            return x - 1
        return x + calls

    r = twice(f, n)
    return r * 100 + calls


@fn
def other_annotations(x: int) -> float:
    def f(x: float) -> float:
        y: float = x
        return y / 2

    return f(x) + f(0.5)


def test_shared_names():
    for n in range(9):
        for f in (counter, late_binding, assigned_after, first_assigned_inside, two_levels):
            agree(f, n, plain=True)
        agree(other_annotations, n)
    assert agree(counts_calls, 0) == 302
    assert agree(counts_calls, 7) == 502


@fn
def factorial(n: int) -> int:
    def go(k: int) -> int:
        return 1 if k < 2 else k * go(k - 1)

    return go(n)


@fn
def visits(n: int) -> tuple[int, int]:
    count = 0
    deepest = 0

    def walk(k: int, depth: int):
        nonlocal count, deepest
        count += 1
        if depth > deepest:
            deepest = depth
        if k > 1:
            walk(k // 2, depth + 1)
            walk(k - 1 - k // 2, depth + 1)

    walk(n, 0)
    return count, deepest


@fn
def is_even(n: int) -> bool:
    def even(k):
        return True if k == 0 else odd(k - 1)

    def odd(k):
        return False if k == 0 else even(k - 1)

    return even(n)


@fn
def fib(n: int):
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)


@fn
def halves(n: int):
    """The result's type shows in the second return only."""
    if n == 0:
        return 0
    return halves(n - 1) / 2 + 1


@fn
def endless(n: int) -> int:
    def down(k: int) -> int:
        return down(k + 1) + 1 if k >= 0 else 0

    return down(n)


def test_recursion():
    for n in range(12):
        for f in (factorial, visits, is_even):
            agree(f, n, plain=True)
        assert agree(fib, n) == (0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89)[n]
        assert n == 0 or agree(halves, n) == 2 - 2 ** (1 - n)
    try:
        endless(1)
    except RecursionError as e:
        assert str(e) == "maximum recursion depth exceeded"
    else:
        raise AssertionError


@fn
def defaults(n: int) -> int:
    k = n * 2

    def f(a, b=k + 1, *, c=(1, 2)):
        return a + b * c[1]

    k = 100
    return f(n) + f(n, 3) + f(n, c=(0, 9)) + f(b=1, a=k)


@fn
def with_constants(a: int, b: tuple[int, int] = (3, 4), *, c: float = 0.5, d: None = None) -> float:
    return a + b[0] * b[1] + c + (1 if d is None else 2)


@fn
def calls_with_constants(n: int) -> float:
    return with_constants(n) + with_constants(n, (n, n)) + with_constants(c=2.0, a=1)


@fn
def lambda_defaults(n: int) -> int:
    t = 0
    for i in range(n):
        f = lambda x, i=i: x * i  # noqa: E731
        t += f(2)
    return t


@fn
def total(*xs: int, start: int = 0) -> int:
    for x in xs:
        start += x
    return start * 10 + len(xs)


@fn
def mixed(first: int, *rest: float) -> float:
    return first + sum(rest) * len(rest)


@fn
def stars(a: int, b: int) -> float:
    pair = (a, b)
    return total(*pair) + total(*pair, 7, *pair, start=b) + total() + mixed(*pair) + mixed(1, *(2.0, a))


@fn
def nested_stars(a: int) -> int:
    def f(x, *more):
        return x * len(more) + (more[-1] if more else 0)

    g = lambda *ys: f(*ys, a)  # noqa: E731
    return f(1) + f(1, 2) + g(a) + g(a, 5, 6)


def test_parameters():
    for n in range(4):
        for f in (defaults, calls_with_constants, lambda_defaults, nested_stars):
            agree(f, n, plain=True)
        agree(stars, n, 3, plain=True)
        agree(total, *range(n), plain=True)
    assert total(1, 2, start=3) == total.python(1, 2, start=3) == total.reference(1, 2, start=3) == 62
    assert total(start=3) == 30
    assert mixed(1, 2, 0.5) == 1 + 2.5 * 2
    with pytest.raises(TypeError, match=r"argument '\*xs\[1\]' must be int, not str"):
        total(1, "x")


@fn
def order(n: int) -> int:
    log = 0

    def note(k: int) -> int:
        nonlocal log
        log = log * 10 + k
        return k

    def f(a, b, *c, d=0):
        return a

    f(note(1), *(note(2), note(3)), d=note(4))
    f(b=note(5), a=note(6))
    x = note(7) < note(8) < note(1) < note(2)
    y = note(3) in (note(4), note(5))
    return log * 10 + x + y + n


def test_order_of_evaluation():
    agree(order, 1, plain=True)


@fn
def inc(x: int) -> int:
    return x + 1


@fn
def dbl(x: int) -> int:
    return x * 2


@fn
def neg(x: int) -> int:
    if x > 100:
        raise ValueError("too big")
    return -x


OPS = (inc, dbl, neg)


@fn
def choose(n: int) -> int:
    f = inc if n % 2 else dbl
    if n > 5:
        f = neg
    t = 0
    for i in range(n):
        t += f(i)
        f = dbl if i % 2 else inc
    return t


@fn
def indexed(n: int, k: int) -> int:
    return OPS[k](n) + (inc, neg)[k % 2](n)


@fn
def apply(f: Callable[[int], int], x: int) -> int:
    return f(f(x))


@fn
def applied(n: int) -> int:
    f = inc if n > 2 else dbl
    return apply(f, n) + apply(lambda v: v - 1, n) + apply(inc, n)


@fn
def even_by_pointer(n: int) -> bool:
    f = odd if n % 2 == 0 else odd2
    return True if n == 0 else f(n - 1)


@fn
def odd(n: int) -> bool:
    return False if n == 0 else even_by_pointer(n - 1)


@fn
def odd2(n: int) -> bool:
    return False if n == 0 else even_by_pointer(n - 1)


@fn
def endless_by_pointer(n: int) -> int:
    f = endless_by_pointer if n >= 0 else inc
    return f(n) + 1


def test_function_pointers():
    for n in range(9):
        agree(choose, n)
    for args in ((3, 0), (3, 1), (3, 2), (3, -1), (3, 5), (200, 2)):
        agree(indexed, *args)
    for n in range(5):
        agree(applied, n)
        assert even_by_pointer(n) is (n % 2 == 0)
    with pytest.raises(RecursionError):
        endless_by_pointer(1)
