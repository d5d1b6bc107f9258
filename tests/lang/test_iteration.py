"""Iteration: what loops and built-in functions run over, against CPython."""

# ruff: noqa: E501

from __future__ import annotations

import numpy as np
import pytest
from oracles import Raised, agree, outcome, same

from sapwood import StackArray, Tensor, fn, struct, unroll

SAMPLES = [np.array(v, dtype=float) for v in ([], [2.5], [3.0, -1.0], [0.0, 4.0, -2.5, 7.0, 7.0, 1.0])]


def plain(x):
    """A result of CPython without NumPy's scalars."""
    if isinstance(x, tuple):
        return tuple(map(plain, x))
    return x.item() if isinstance(x, np.generic) else x


def alike(f, *args):
    """Compiled code and CPython give the same result or exception."""
    expected, found = plain(outcome(f.__wrapped__, args)[0]), outcome(f, args)[0]
    assert same(expected, found), f"{f.__name__}{args}: CPython {expected!r}, compiled {found!r}"
    return found


# -- adapters ------------------------------------------------------------------------------------------


@fn
def enumerate_zip(x: Tensor[float, 1], y: Tensor[float, 1], start: int) -> float:
    total = 0.0
    for i, (a, b) in enumerate(zip(x, y), start):
        if i == 3:
            continue
        total = total * 2 + i * a - b
        if total > 1000.0:
            break
    else:
        total += 0.25
    return total


@fn
def strict_zip(x: Tensor[float, 1], y: Tensor[float, 1], z: Tensor[float, 1]) -> float:
    total = 0.0
    for a, b, c in zip(x, y, z, strict=True):
        total += a * b - c
    return total


@fn
def strict_in_turn(x: Tensor[float, 1], y: Tensor[float, 1], z: Tensor[float, 1]) -> float:
    total = 0.0
    for a, b, c in zip(filter(None, x), y, filter(lambda v: v > 0.0, z), strict=True):
        total = total * 3 + a * b - c
    return total


@fn
def backwards(x: Tensor[float, 1], n: int) -> float:
    total = 0.0
    for a in reversed(x):
        total = total * 2 + a
    for i in reversed(range(n, -n, -3)):
        total = total * 2 + i
    for t in reversed((1, 2.5, n)):
        total += t * 0.5
    return total


@fn
def mapped(x: Tensor[float, 1], y: Tensor[float, 1], scale: float) -> float:
    total = 0.0
    for v in map(lambda a, b: a * scale + b, x, y):
        total = total * 2 + v
    for i, v in enumerate(map(lambda a: a * a, filter(lambda a: a > 0.0, x))):
        total = total * 2 + v * i
    return total


@fn
def filtered(x: Tensor[float, 1], y: Tensor[float, 1]) -> float:
    total = 0.0
    for a, b in zip(filter(None, x), filter(lambda v: v > 0.0, y)):
        if a == 7.0:
            continue
        total = total * 2 + a - b
    return total


@fn
def mixed_tuples(x: Tensor[float, 1]) -> float:
    total = 0.0
    for i, (k, a) in enumerate(zip((1, 2.5, 4), x)):
        total = total * 2 + i * k * a
        if a < 0.0:
            break
    else:
        total += 100.0
    for k in map(lambda t: t * 2, (1, 0.5)):
        total += k
    return total


@fn
def tuple_with_filter(x: Tensor[float, 1]) -> float:
    total = 0.0
    for k, a in zip((1, 2, 4, 8), filter(lambda v: v > 0.0, x)):
        total = total * 2 + k * a
    return total


def test_adapters():
    for x in SAMPLES:
        alike(backwards, x, len(x))
        alike(mixed_tuples, x)
        alike(tuple_with_filter, x)
        for y in SAMPLES:
            for start in (0, 2, -1):
                alike(enumerate_zip, x, y, start)
            alike(mapped, x, y, 0.5)
            alike(filtered, x, y)
            for z in SAMPLES:
                alike(strict_zip, x, y, z)
                alike(strict_in_turn, x, y, z)
    a, b = SAMPLES[2], SAMPLES[3]
    assert alike(strict_zip, a, b, b) == Raised(ValueError("zip() argument 2 is longer than argument 1"))
    assert alike(strict_zip, b, b, a) == Raised(ValueError("zip() argument 3 is shorter than arguments 1-2"))
    agree(enumerate_zip, a, b, 1)


@fn
def order(n: int, m: int, log: Tensor[int, 1]) -> int:
    """Which of the functions is called when: `log` counts in the order of the calls."""

    def first(i: int) -> int:
        log[0] = log[0] * 10 + 1
        return i

    def second(i: int) -> int:
        log[0] = log[0] * 10 + 2
        return i

    total = 0
    for a, b in zip(map(first, range(n)), map(second, range(m))):
        log[0] = log[0] * 10 + 3
        total += a * b
    return total


def test_the_order_of_evaluation_is_pythons():
    for n in range(4):
        for m in range(4):
            expected, (_, _, log) = outcome(order.__wrapped__, (n, m, np.zeros(1, np.int64)))
            found, (_, _, seen) = outcome(order, (n, m, np.zeros(1, np.int64)))
            assert expected == found
            assert log[0] == seen[0], (n, m)


# -- ranges --------------------------------------------------------------------------------------------


@fn
def range_values(a: int, b: int, c: int, x: int) -> tuple[int, bool, int, int, int, bool, bool]:
    r = range(a, b, c)
    s = range(a, b + 1, c)
    first = r[0] if len(r) > 0 else -99
    last = r[-1] if r else -99
    total = 0
    for i in r:
        total = total * 3 + i
    for i in reversed(r):
        total = total * 3 + i
    return len(r), x in r, first, last, total, r == s, r != range(a, b, c)


@fn
def range_steps(a: int, b: int, c: int) -> tuple[int, int, int]:
    r = range(a, b, c)
    n = len(r)
    count, last = 0, 0
    for i, k in enumerate(r):
        count += i + 1
        last = k
    return n, count, last


@fn
def range_index(n: int, i: int) -> int:
    return range(1, n, 2)[i]


@fn
def range_floats(n: int, x: float) -> tuple[bool, bool, bool]:
    return x in range(n), x in range(n, 0, -2), 3 in range(n)


@fn
def range_reductions(a: int, b: int, c: int) -> tuple[int, int, int]:
    r = range(a, b, c)
    return sum(r), min(r), max(r)


@fn
def range_attributes(n: int) -> tuple[int, int, int, int]:
    r = range(1, n, 3)
    return r.start, r.stop, r.step, len(range(n))


def test_ranges():
    for a in (-3, 0, 2):
        for b in (-4, 0, 1, 9):
            for c in (-3, -1, 1, 2, 100):
                for x in (-3, 0, 4):
                    alike(range_values, a, b, c, x)
                alike(range_reductions, a, b, c)
            assert alike(range_values, a, b, 0, 1) == Raised(ValueError("range() arg 3 must not be zero"))
    for i in (-6, -5, 0, 4, 5):
        alike(range_index, 11, i)
    for x in (0.0, 2.0, 2.5, -1.0, 1e300, float("nan"), float("inf"), 2.0**63):
        alike(range_floats, 4, x)
    alike(range_attributes, 7)
    assert alike(range_reductions, 0, 0, 1).kind is ValueError
    low, high = -(2**63), 2**63 - 1
    for bounds in ((high - 2, high, 2), (high - 5, high, 3), (low + 5, low, -2), (low, high, 2**62), (high, low, low)):
        alike(range_steps, *bounds)
    assert alike(range_steps, low, high, 1).kind is OverflowError


# -- reductions ----------------------------------------------------------------------------------------


@fn
def reductions(x: Tensor[float, 1]) -> tuple[float, float, bool, bool, float, float]:
    low = min(x, default=-5.0)
    high = max(x, default=5.0)
    near = min(map(lambda v: v - 1.0, x), default=0.5, key=lambda v: abs(v))
    far = max(filter(lambda v: v < 5.0, x), default=0.5, key=lambda v: -v)
    return low, high, any(x), all(x), near, far


@fn
def extreme(x: Tensor[float, 1]) -> tuple[float, float]:
    return min(x), max(x)


@fn
def of_several(a: float, b: float, c: float) -> tuple[float, float, float, float]:
    return min(a, b, c), max(a, b, c), min(a, b, c, key=lambda v: -v), max((a, b, c), key=lambda v: v * v)


@fn
def pairs(x: Tensor[int, 1], y: Tensor[int, 1]) -> tuple[int, int, int, int]:
    i, a = max(enumerate(x), key=lambda p: p[1])
    j, b = min(zip(x, y), key=lambda p: p[0] * p[1])
    return i, a, j, b


@fn
def sums(x: Tensor[int, 1], start: int) -> tuple[int, int, int]:
    return sum(x), sum(x, start), sum(map(lambda v: v * v, x), start)


@fn
def short_circuit(x: Tensor[float, 1], seen: Tensor[int, 1]) -> tuple[bool, bool]:
    def look(v: float) -> bool:
        seen[0] += 1
        return v > 0.0

    return any(map(look, x)), all(map(look, x))


def test_reductions():
    nan = float("nan")
    for x in (*SAMPLES, np.array([nan, 1.0, 2.0]), np.array([1.0, nan, 0.5]), np.array([0.0, -0.0]), np.array([-0.0, 0.0])):
        alike(reductions, x)
        if len(x):
            alike(extreme, x)
        expected, (_, a) = outcome(short_circuit.__wrapped__, (x, np.zeros(1, np.int64)))
        found, (_, b) = outcome(short_circuit, (x, np.zeros(1, np.int64)))
        assert expected == found
        assert a[0] == b[0]
    for a in (1.0, -0.0, nan):
        for b in (0.0, -1.0, nan):
            for c in (0.5, 1.0, nan):
                alike(of_several, a, b, c)
    for n in (0, 1, 2, 7):
        x, y = np.arange(n) * 7 % 5 - 2, np.arange(n) * 3 % 4 - 1
        alike(sums, x, 5)
        alike(pairs, x, y)


# -- iterators in names --------------------------------------------------------------------------------


@fn
def take(x: Tensor[float, 1]) -> float:
    it = iter(x)
    first = next(it)
    total = 0.0
    for v in it:
        total += v
        if v > 3.0:
            break
    rest = next(it, -1.0)
    last = 0.0
    for v in it:
        last = last * 2 + v
    return first * 1000 + total * 100 + rest * 10 + last


@fn
def in_groups(x: Tensor[float, 1]) -> float:
    it = iter(x)
    other = it
    total = 0.0
    for a, b in zip(it, other):
        total = total * 2 + a * b
    return total + next(other, 0.5)


@fn
def advanced_inside(n: int) -> int:
    numbers = enumerate(range(n, 0, -1), 10)
    total = 0
    for i, k in numbers:
        if k % 3 == 0:
            i, k = next(numbers, (0, 0))
        for _, j in numbers:
            if j % 2 == 0:
                break
            total += j
        total = total * 2 + i * k
    return total


@fn
def conditional(n: int) -> int:
    it = map(lambda i: i * i, range(n))
    total = 0
    while total < 50:
        step = next(it, -1) if total % 2 == 0 else next(it, -2)
        if step < 0:
            break
        total += step + 1
    return total * 1000 + sum(it)


@fn
def filtered_iterator(x: Tensor[float, 1]) -> float:
    it = filter(lambda v: v > 0.0, x)
    return next(it, 0.5) * 10 + next(it, 0.25) + sum(it)


def test_iterators_are_advanced_where_they_are():
    for x in SAMPLES:
        alike(take, x)
        alike(in_groups, x)
        alike(filtered_iterator, x)
    assert alike(take, SAMPLES[0]).kind is StopIteration
    for n in range(12):
        alike(advanced_inside, n)
        alike(conditional, n)


# -- other sequences -----------------------------------------------------------------------------------


BIG = tuple(range(0, 700, 7))


@fn
def long_tuple(n: int) -> int:
    total = 0
    for i, k in enumerate(BIG):
        if i == n:
            break
        total += k
    return total


@fn
def growing(n: int) -> int:
    xs = [1, 2, 3]
    total = 0
    for x in xs:
        if len(xs) < n:
            xs.append(x + 1)
        total = total * 3 + x
    for i, x in enumerate(reversed(xs)):
        total += i * x
    for a, b in zip(xs, map(lambda v: v * v, xs)):
        total = total * 2 + a * b
    return total + sum(xs) + max(xs) + min(xs, key=lambda v: -v)


@fn
def exhausted(n: int) -> int:
    xs = [1, 2]
    it = iter(xs)
    backwards = reversed(xs)
    total = 0
    for v in it:
        if v < n:
            xs.append(v + 2)
        total = total * 3 + v
    xs.append(50)
    total = total * 100 + next(it, 7) + sum(it)
    for v in backwards:
        total = total * 2 + v
    while len(xs) > 1:
        xs.pop()
    for a, b in zip(xs, iter(xs)):
        total += a * b
    return total + next(backwards, 9)


@fn
def rows(m: Tensor[float, 2]) -> float:
    total = 0.0
    for i, row in enumerate(m):
        for j, v in enumerate(row):
            total += v * (i + 1) - j
    return total


@fn
def stack(n: int) -> int:
    a = StackArray[int, 8](n)
    for i in range(len(a)):
        a[i] = a[i] * i
    total = 0
    for i, v in enumerate(reversed(a)):
        total = total * 3 + v - i
    return total + sum(a) + max(a)


@fn
def unrolled(n: int) -> int:
    total = n
    for i in unroll(range(4)):
        if total > 100:
            continue
        total = total * 3 + i
    total += 1
    return total


def test_sequences():
    for n in (0, 5, 1000):
        alike(long_tuple, n)
        alike(growing, n % 12)
        alike(exhausted, n % 12)
        agree(stack, n)
        agree(unrolled, n)
    alike(rows, np.arange(6.0).reshape(2, 3))


@struct
class Evens:
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> int:
        if i >= self.count:
            raise IndexError("no more")
        return 2 * i


@struct
class Countdown:
    n: int

    def __iter__(self) -> Countdown:
        return self

    def __next__(self) -> int:
        if self.n <= 0:
            raise StopIteration
        self.n -= 1
        return self.n


@struct(frozen=True)
class Span:
    start: int
    stop: int

    def __iter__(self):
        return iter(range(self.start, self.stop))


@struct(frozen=True)
class Squares:
    stop: int

    def __iter__(self):
        return (i * i for i in range(self.stop))


@fn
def over_structs(n: int) -> int:
    e = Evens(n)
    total = 0
    for i, v in enumerate(e):
        if v == 6:
            continue
        total += i * v
    total += sum(e) + max(reversed(e), default=0)
    c = Countdown(n)
    for v in c:
        total = total * 2 + v
        if v == 2:
            break
    else:
        total += 1000
    total = total * 3 + sum(c)
    for a, b in zip(Countdown(n), Countdown(n + 2)):
        total = total * 2 + a * b
    for i in Span(2, n):
        total = total * 2 + i
    total += sum(v for v in Squares(n) if v % 2) + len(list(Squares(n)))
    it = iter(Countdown(n))
    return total * 10 + next(it, 7) + (5 in Span(0, n)) + sum(it)


@fn
def stops(n: int) -> int:
    it = iter(range(n))
    total = 0
    while True:
        try:
            total = total * 3 + next(it)
        except StopIteration:
            break
    try:
        low = min(range(n))
    except ValueError:
        low = -5
    for i in range(n):
        try:
            if i == 2:
                continue
            total += 10 // (i - 1)
        except ZeroDivisionError:
            total += 1000
            break
        finally:
            total += 1
    return total + low


@pytest.mark.parametrize("n", [0, 1, 2, 6])
def test_structs_and_exceptions(n):
    alike(over_structs, n)
    alike(stops, n)


# -- the first item of several loops -------------------------------------------------------------------


@fn
def first_over(rows: list[list[int]], least: int) -> int:
    return next((x for row in rows for x in row if x > least), -1)


@fn
def first_word(lines: list[str], begins: str) -> str:
    try:
        return next(word for line in lines for word in line.split() if word.startswith(begins))
    except StopIteration:
        return "none"


@fn
def first_pair(n: int) -> tuple[int, int] | None:
    return next(((a, b) for a in range(2, n) for b in range(a, n) if a * b == n), None)


@fn
def numbered(rows: list[list[int]]) -> int:
    at, _ = next(enumerate(x for row in rows for x in row if 10 // x > 2), (5, 5))
    return at


def test_first_item_of_several_loops():
    for rows in ([], [[]], [[1, 2], [], [3, 7, 9]], [[0]]):
        for least in (-1, 2, 8, 9):
            alike(first_over, rows, least)
        alike(numbered, rows)
    for begins in ("a", "be", "x"):
        alike(first_word, ["alpha beta", "", "bend a"], begins)
    for n in (0, 12, 13, 35):
        alike(first_pair, n)
