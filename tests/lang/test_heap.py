"""Heap objects: elements of empty containers, ownership on every way out, None."""

from __future__ import annotations

import pytest

from sapwood import fn, parallel
from sapwood.lang.errors import CompileError
from sapwood.runtime.heap import live_objects


@pytest.fixture(autouse=True)
def nothing_leaks():
    before = live_objects()
    yield
    assert live_objects() == before


def both(f, *args):
    """What CPython and compiled code say, and what the evaluator says of the latter."""
    expected = f.__wrapped__(*args)
    assert f(*args) == expected
    assert f.reference(*args) == expected
    assert type(f(*args)) is type(expected)


@fn
def squares(n: int) -> int:
    xs = []
    for i in range(n):
        xs.append(i * i)
    total = 0
    for i in range(len(xs)):
        total += xs[i]
    xs[0] = 5
    return total + xs[-1] + xs[0]


@fn
def triangle(n: int, at: int) -> int:
    rows = []
    for i in range(n):
        row = []
        for j in range(i):
            row.append(j)
        rows.append(row)
    rows[0] = rows[n - 1]
    total = 0
    for i in range(n):
        total += len(rows[i])
    row = rows[at]
    if total > 100:
        return row[at]
    return total


def test_elements_of_empty_lists_are_learned():
    both(squares, 10)
    both(triangle, 5, 2)
    both(triangle, 20, 0)


@pytest.mark.parametrize("f, args", [(squares, (0,)), (triangle, (5, 5)), (triangle, (20, 1)), (triangle, (0, 0))])
def test_what_a_function_owns_goes_when_it_raises(f, args):
    with pytest.raises(IndexError) as expected:
        f.__wrapped__(*args)
    with pytest.raises(IndexError, match=str(expected.value)):
        f(*args)
    with pytest.raises(IndexError, match=str(expected.value)):
        f.reference(*args)


@fn
def best_half(n: int) -> float:
    best = None
    for i in range(n):
        if best is None or i * 0.5 > best:
            best = i * 0.5
    if best is None:
        return -1.0
    return best


@fn
def perhaps(n: int) -> int:
    xs = None
    if n > 3:
        xs = [n, n + 1]
    if xs is not None and xs[0] > 4:
        return xs[1]
    return 0 if xs is None else len(xs)


@fn
def missing(n: int) -> int:
    xs = [1] if n > 0 else None
    return xs[0]


@fn
def or_none(s: str | None, a: int | None) -> str:
    return (s or "nothing") + str(a or 5)


def test_none():
    for s in ("a", "", None):
        for a in (0, 3, None):
            both(or_none, s, a)
    both(best_half, 0)
    both(best_half, 5)
    for n in (1, 4, 9):
        both(perhaps, n)
    both(missing, 1)
    with pytest.raises(TypeError, match="'NoneType' object is not subscriptable"):
        missing(0)


@fn
def of_tuples(n: int) -> float:
    xs = [(1, 2.5), (n, 3.5)]
    xs[0] = xs[1]
    a, b = xs[0]
    return a + b


@fn
def swaps(n: int) -> int:
    a, b = [1], [2, 3]
    for i in range(n):
        a, b = b, a
        if i == 5:
            break
        if i % 2:
            continue
        b.append(i)
    return 10 * len(a) + len(b)


def test_values_move():
    both(of_tuples, 3)
    for n in range(9):
        both(swaps, n)


@fn
def huge(n: int) -> int:
    xs = [0]
    ys = [xs]
    for _ in range(n):
        ys.append(ys[0])
    return len(ys)


def test_many():
    both(huge, 1000)


@fn
def in_parallel(n: int) -> int:
    from_outside = [1]
    total = 0
    for i in parallel(n, add=total):
        total += from_outside[0]
    return total


@fn
def never_known(n: int) -> int:
    xs = []
    return xs[n]


def test_mistakes():
    with pytest.raises(CompileError, match="cannot be used where the GIL is not held"):
        in_parallel(3)
    with pytest.raises(IndexError, match="list index out of range"):
        never_known(0)
