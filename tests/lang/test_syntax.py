"""Conditions, assignment expressions, chained comparisons, del, unpacking, tuples: against CPython."""

from __future__ import annotations

from oracles import agree

from sapwood import fn


@fn
def walrus(n: int) -> int:
    t = 0
    if n > 0 and (k := n * 2) > 10 and not (k == 14):
        t = k
    elif (z := n) < -5 or n == 3:
        t = z
    while (n := n - 1) > 0 and (q := n % 7) != 5:
        t += q
    t += 1000
    return t + (y if (y := n) > 2 else 5)


@fn
def walrus_or(n: int) -> int:
    if not ((a := n % 3) == 0 or (b := n % 5) == 0):
        return a * 10 + b
    return a


@fn
def while_break(n: int) -> int:
    t = 0
    for i in range(3):
        while t < 50 and (step := n + i) > 0:
            t += step
            if t == 12:
                break
        else:
            t += 100
            if n == 4:
                break
    else:
        t += 1000
    return t


@fn
def walrus_in_comprehension(n: int) -> int:
    last = -1
    total = sum(last for i in range(n) if (last := i * i) % 2 == 0)
    return total * 1000 + last


@fn
def chains(a: int, b: int, c: int) -> tuple[bool, bool, bool]:
    return a < b <= c != 7, a == b == c, 0 < a in (1, b, c)


@fn
def places(i: int) -> tuple[int, int, int, int]:
    x = [0, 0, 0, 0]
    x[i], i = 7, 2
    i, x[i] = 1, 8
    x[0] = x[3] = i
    a = b, *c = (i, 5, 6)
    for x[1], *d in ((3, 4, 5), (6, 7)):
        x[2] += len(d)
    return x[0] * 1000 + x[1] * 100 + x[2] * 10 + x[3], a[1], b, c[1] + len(c)


@fn
def deletes(n: int) -> int:
    x = n
    y = [1, 2, 3]
    del y[0], x
    x = len(y) + y[0]
    return x


@fn
def tuple_operations(n: int) -> int:
    t = (n, 3, 5, n)
    r = t * 2 + (1,)
    s = 0
    for i in range(-len(r), len(r)):
        s = s * 3 + r[i]
    s += t.count(n) + t.count(3) * 10 + t.index(5) * 100 + (t < (n, 4)) + (1, 2, 3).index(2)
    head, *middle, tail = t[::-1]
    return s + head + len(middle) + tail + (n in t) + (8 not in t)


@fn
def tuple_errors(n: int, k: int) -> int:
    if k == 0:
        return (1, 2, n)[n]
    return (1, n).index(7)


@fn
def no_effect(n: int) -> int:
    ...
    "text"
    assert n >= 0, "negative"
    return n


def test_conditions():
    for n in range(-8, 25):
        agree(walrus, n, plain=True)
        agree(walrus_or, n, plain=True)
    for n in range(8):
        agree(while_break, n, plain=True)
        agree(walrus_in_comprehension, n, plain=True)
    for a, b, c in ((1, 2, 3), (1, 1, 1), (1, 2, 7), (3, 1, 2), (0, 5, 9)):
        agree(chains, a, b, c, plain=True)


def test_assignment():
    for n in range(4):
        agree(places, n, plain=True)
        agree(deletes, n, plain=True)
        agree(no_effect, n, plain=True)


def test_tuples():
    for n in (3, 5, 9):
        agree(tuple_operations, n, plain=True)
    for n in (-4, -3, 1, 3, 7):
        agree(tuple_errors, n, 0, plain=True)
        agree(tuple_errors, n, 1, plain=True)
