"""Comprehensions, generator expressions and unpacking, against CPython."""

# ruff: noqa: C410, E501

from __future__ import annotations

import numpy as np
import pytest
from oracles import Raised, outcome, same

from sapwood import Tensor, fn
from sapwood.runtime import heap


def plain(x):
    if isinstance(x, tuple | list):
        return type(x)(map(plain, x))
    return x.item() if isinstance(x, np.generic) else x


def alike(f, *args):
    """Compiled code and CPython give the same result or exception, and no object is left over."""
    before = heap.live_objects()
    expected, found = plain(outcome(f.__wrapped__, args)[0]), outcome(f, args)[0]
    assert same(expected, found), f"{f.__name__}{args}: CPython {expected!r}, compiled {found!r}"
    assert heap.live_objects() == before
    return found


@fn
def squares(n: int) -> tuple[int, int, int]:
    xs = [i * i for i in range(n)]
    evens = [x for x in xs if x % 2 == 0 if x > 3]
    pairs = [(i, j) for i in range(n) for j in range(i) if (i + j) % 3]
    total = 0
    for i, j in pairs:
        total = total * 3 + i * j
    return len(xs) + sum(xs), sum(evens), total + len(pairs)


@fn
def nested(n: int) -> int:
    table = [[i * j for j in range(i)] for i in range(n)]
    flat = [v for row in table for v in row]
    total = 0
    for v in flat:
        total = total * 2 + v
    return total + sum(len(row) for row in table) + max((v for row in table if row for v in row), default=-1)


@fn
def scoped(n: int) -> tuple[int, int, int]:
    i = 100
    k = 3
    xs = [i + k for i in range(n)]
    total = 0
    for v in (i * k for i in range(n)):
        total += v + i
        k += 1  # the expression sees it
    again = sum(i for i in [i for i in range(i - 98)])
    return i, total + sum(xs), again


@fn
def shadowed(n: int) -> int:
    x = 7
    total = 0
    for y in (x * j for x in range(n) for j in range(x)):
        total = total * 2 + y + x
        if total > 100000:
            break
        if y == 2:
            continue
        total += 1
    else:
        total += 1000000
    return total + x


@fn
def same_name(n: int) -> int:
    return sum([x for x in range(n) for x in range(x)])


@fn
def walrus(n: int) -> tuple[int, int]:
    last = -1
    if any((last := i) * i > 20 for i in range(n)):
        found = last
    else:
        found = 0
    ys = [y for i in range(n) if (y := i * 3) % 2]
    return found * 100 + last, sum(ys)


@fn
def lazy(n: int, log: Tensor[int, 1]) -> int:
    def look(i: int) -> int:
        log[0] = log[0] * 10 + i
        return i

    g = (look(i) * 2 for i in range(n) if look(i) != 2)
    log[0] += 1
    first = next(g, -1)
    total = sum(g)
    return first * 100 + total + next(g, 5)


@fn
def passed_on(n: int, k: int) -> int:
    def counted(it):
        total = 0
        for i, v in enumerate(it):
            total += i * v
        return total

    return counted(i * k for i in range(n)) + counted([1, 2, k]) + counted(i + j for i in range(n) for j in range(k))


@fn
def chained(n: int) -> int:
    pairs = (i * j for i in range(n) for j in range(i))
    total = 0
    for k, v in enumerate(filter(lambda v: v % 3, (p + 1 for p in pairs if p != 4)), 2):
        if v == 7:
            continue
        total = total * 2 + k * v
        if total > 5000:
            break
    return total


@fn
def around(n: int) -> int:
    v = 1000
    total = sum(a + v for v in range(n) for a in (v * j for j in range(v) if v > 1))
    return total + sum(w for w in (v + u for u in range(n) if u % 2)) + v


@fn
def twice_prepared(n: int) -> int:
    return len(list(a * 2 + b for a, b in zip((6 for v in (1, -1, n) if v % 2), (i + 3 * j for i, j in enumerate(range(n))))))


@fn
def nothing(n: int) -> int:
    try:
        a, b = [i for i in range(n) if i > n]
        return a + b
    except ValueError:
        return -1


@fn
def zipped(n: int) -> int:
    return sum(a * b for a, b in zip((i * i for i in range(n) if i % 2), [j + 1 for j in range(n)]))


@fn
def reduced(x: Tensor[float, 1]) -> tuple[float, float, bool, bool, float]:
    n = len(x)
    low = min((v * v for v in x), default=-1.0)
    far = max((abs(x[i] - x[j]) for i in range(n) for j in range(i)), default=0.5)
    return low, far, any(v > 2.0 for v in x), all(v > -2.0 for v in x), sum((v for v in x if v > 0.0), 0.0)


@fn
def over_tuples(n: int) -> tuple[int, int]:
    t = (1, 2, n)
    xs = [a * b for a in t for b in (a, 10)]
    mixed = (1, 2.5, (n, 2))
    pairs = tuple((v, 2) for v in mixed)
    depth = [len(p) for p in pairs]
    deeper = [len(v) for v in mixed if isinstance(v, tuple)]
    a, b = (v * 2 for v in (n, 0.5))
    return sum(xs) + sum(depth) + sum(deeper) + min(v * 2 for v in t), len([v for v in t if v > 1]) + int(a + b) + pairs[2][0][0]


@fn
def kinds(n: int) -> float:
    xs = [0.5 if i % 2 else i for i in range(n)]
    return sum(xs)


@fn
def raising(n: int, bad: int) -> int:
    rows = [[10 // (j - bad) for j in range(i)] for i in range(n)]
    return sum(10 // (len(r) - bad - 1) for r in rows)


@fn
def in_names(n: int, x: int) -> tuple[bool, bool, bool, bool]:
    xs = [i * 3 for i in range(n)]
    return x in xs, x not in xs, x in (v + 1 for v in xs), x in (1, 2, n)


def test_comprehensions():
    for n in range(7):
        alike(squares, n)
        alike(nested, n)
        alike(scoped, n)
        alike(shadowed, n)
        alike(same_name, n)
        alike(walrus, n)
        alike(zipped, n)
        alike(chained, n)
        alike(around, n)
        alike(twice_prepared, n)
        alike(nothing, n)
        alike(over_tuples, n)
        alike(passed_on, n, 3)
        for x in (0, 1, 6, 7):
            alike(in_names, n, x)
        for bad in (-1, 0, 2, 9):
            alike(raising, n, bad)
    for n in (1, 4, 5):  # the first number decides CPython's type of an element, and here that of all
        assert kinds(n) == kinds.__wrapped__(n)
    for v in ([], [2.5], [3.0, -1.0], [0.0, 4.0, -2.5, 7.0, 7.0, 1.0]):
        alike(reduced, np.array(v, dtype=float))
    assert isinstance(alike(raising, 5, 2), Raised)


def test_generators_are_lazy():
    for n in range(5):
        expected, (_, a) = outcome(lazy.__wrapped__, (n, np.zeros(1, np.int64)))
        found, (_, b) = outcome(lazy, (n, np.zeros(1, np.int64)))
        assert expected == found
        assert a[0] == b[0]


@fn
def unpacked(x: Tensor[int, 1]) -> int:
    a, b, *c = x
    d, e = range(a, a + 2)
    *g, h = [1, 2, 3]
    (i, j), k = zip(x[0:2], x[1:3])
    p, *q, r = (1, 2, 3, 4)
    s, t = map(lambda v: v * v, range(2, 4))
    return a + b * 2 + sum(c) * 3 + d * 5 + e * 7 + sum(g) * 11 + h * 13 + i * 17 + j * 19 + k[0] + p + sum(q) + r + s + t


@fn
def three_of_map(n: int) -> int:
    a, b, c = map(lambda v: v * v, range(n))
    return a + b + c


@fn
def three_of_range(n: int) -> int:
    a, b, c = range(n)
    return a + b + c


@fn
def starred(n: int) -> int:
    a, b, *c, d = (v for v in range(n) if v > 1)
    return a + b * 2 + d * 3 + sum(c) * 4


def test_unpacking():
    alike(unpacked, np.arange(6))
    alike(unpacked, np.arange(3))
    for n in range(2, 9):
        alike(three_of_map, n)
        alike(three_of_range, n)
        alike(starred, n)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_lists_of_iterables(n):
    @fn
    def lists(n: int) -> int:
        a = list(range(n))
        b = list(map(lambda i: i * i, a))
        c = list(zip(a, b, map(lambda i: i * 0.5, a)))
        d = list(filter(lambda i: i % 2, b))
        e = list((1, 2, 3))
        total = 0
        for i, j, _ in c:
            total = total * 2 + i * j
        return total + sum(d) + sum(e) + len(list(reversed(a)))

    alike(lists, n)


@fn
def names_of_nested_functions(n: int) -> int:
    def scaled(v: int) -> int:
        return v * k

    k = n
    t = sum(k for k in range(k)) + scaled(k)
    for k in range(3):
        t += sum(scaled(k) + (lambda k: k + 1)(k) for k in range(k) if all(k < 9 for k in range(k)))
    return t + k


@fn
def pivots(rows: list[list[float]]) -> list[int]:
    out = []
    for i in range(2):
        out.append(max(range(i, len(rows)), key=lambda r: abs(rows[r][i])))
        out += [i for i in range(i + 1)]
    return out


def test_a_variable_of_a_comprehension_has_the_name_of_one_that_a_nested_function_knows():
    alike(names_of_nested_functions, 5)
    alike(pivots, [[1.0, 5.0], [-3.0, 2.0]])
