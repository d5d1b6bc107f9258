"""Lists in compiled code against CPython's."""

from __future__ import annotations

import random

import pytest
from containers import agree

from sapwood import fn
from sapwood.lang.errors import BadConversion


@fn
def checksum(xs: list[int]) -> int:
    total = len(xs)
    for x in xs:
        total = (total * 31 + x) % 1000003
    return total


@fn
def methods(n: int, at: int) -> int:
    xs = [3, 1, 2]
    xs.append(n)
    xs.extend(range(n))
    xs.extend([7, 8])
    xs.extend(xs)
    xs.insert(at, 100)
    xs.insert(-1, 200)
    a = xs.pop()
    b = xs.pop(at)
    xs.remove(3)
    c = xs.index(2)
    d = xs.count(1)
    ys = xs.copy()
    ys.reverse()
    xs.clear()
    xs.append(1)
    return checksum(xs) + checksum(ys) * 7 + a + b * 3 + c * 5 + d * 11


def test_methods():
    for n, at in ((0, 0), (3, 1), (5, -2), (4, 100), (4, -100), (2, 4)):
        agree(methods, n, at)


@fn
def slices(a: int, b: int, c: int, n: int) -> int:
    xs = list(range(n))
    ys = xs[a:b:c]
    total = checksum(ys) + checksum(xs[a:]) + checksum(xs[:b]) + checksum(xs[::c]) + checksum(xs[a:b])
    zs = list(xs)
    zs[a:b] = range(3)
    total += checksum(zs)
    zs = list(xs)
    zs[a:b:c] = [v * 2 for v in ys]
    total += checksum(zs)
    zs = list(xs)
    del zs[a:b:c]
    total += checksum(zs)
    del zs[a:b]
    total += checksum(zs)
    zs[1:1] = zs
    zs[:] = zs[::-1]
    return total + checksum(zs)


def test_slices():
    bounds = (-9, -5, -2, -1, 0, 1, 3, 5, 9)
    for a in bounds:
        for b in bounds:
            for c in (-7, -2, -1, 0, 1, 2, 7):
                agree(slices, a, b, c, 5, reference=False)
    agree(slices, 1, 4, 2, 6)
    agree(slices, 1, 4, -(2**63), 6)
    agree(slices, 2**63 - 1, -(2**63), 2**63 - 1, 6)


@fn
def wrong_size(n: int, step: int) -> int:
    xs = [1, 2, 3, 4, 5]
    xs[::step] = list(range(n))
    return checksum(xs)


def test_sizes_of_extended_slices():
    for n in range(7):
        for step in (-2, -1, 1, 2, 0):
            agree(wrong_size, n, step)


@fn
def operators(n: int) -> int:
    xs = [1, 2]
    ys = xs
    ys += [n]
    ys += (n + 1, n + 2)
    ys *= 2
    zs = xs + [9] * n
    zs = 2 * zs
    total = checksum(xs) + 3 * checksum(zs)
    if xs is ys and xs is not zs and xs == ys and xs != zs:
        total += 1
    if n in xs and 77 not in xs:
        total += 2
    if xs < zs:
        total += 4
    if xs <= zs or zs > xs:
        total += 8
    xs *= -1
    if not xs and zs:
        total += 16
    return total + len(ys)


@fn
def compare(a: int, b: int) -> int:
    xs = [[1, a], [2]]
    ys = [[1, b], [2, 3]]
    return (xs < ys) + 2 * (xs <= ys) + 4 * (xs > ys) + 8 * (xs >= ys) + 16 * (xs == ys) + 32 * (xs != ys)


def test_operators():
    for n in range(4):
        agree(operators, n)
    for a, b in ((1, 2), (2, 1), (1, 1)):
        agree(compare, a, b)


@fn
def unpacks(n: int) -> int:
    xs = list(range(n))
    a, b, c = xs
    first, *rest = xs
    *most, last = xs
    return a + 2 * b + 3 * c + first + checksum(rest) + checksum(most) + last


@fn
def unpacks_two(n: int) -> int:
    x, *ys, z = [i * i for i in range(n)]
    return x + checksum(ys) + z


def test_unpacking():
    for n in range(6):
        agree(unpacks, n)
        agree(unpacks_two, n)


@fn
def displays(n: int) -> int:
    xs = [n, *range(3), n + 1, *[5, 6]]
    ys = [x * y for x in xs if x % 2 for y in range(x)]
    zs = [[i] * i for i in range(4)]
    zs[2].append(n)
    flat = [v for row in zs for v in row]
    ts = [(i, i * 0.5) for i in range(n)]
    total = 0.0
    for i, f in ts:
        total += i + f
    return checksum(xs) + checksum(ys) * 3 + checksum(flat) + int(total) + sum(xs) + max(xs) - min(ys)


def test_displays():
    for n in (1, 4, 8):
        agree(displays, n)


@fn
def sorts(n: int, seed: int) -> int:
    xs = []
    state = seed
    for _ in range(n):
        state = (state * 1103515245 + 12345) % 2147483648
        xs.append(state % 50 - 25)
    ys = sorted(xs)
    zs = sorted(xs, reverse=True)
    ks = sorted(xs, key=lambda x: x % 7)
    rs = sorted(xs, key=lambda x: x * x, reverse=True)
    ts = [(x % 3, i) for i, x in enumerate(xs)]
    ts.sort()
    us = [x * 0.5 for x in xs]
    us.sort(key=abs)
    vs = [[x % 4, x] for x in xs]
    vs.sort(key=lambda v: v)
    total = checksum(ys) + 3 * checksum(zs) + 5 * checksum(ks) + 7 * checksum(rs)
    total += 11 * checksum([a * 100 + b for a, b in ts]) + 13 * checksum([int(u * 2) for u in us])
    total += 17 * checksum([v[1] for v in vs])
    xs.sort()
    for x in reversed(xs):
        total = total * 3 % 1000003 + x
    return total


def test_sorting():
    for n in (0, 1, 2, 3, 23, 24, 25, 50, 100, 500):
        agree(sorts, n, n + 7, reference=n == 25)


@fn
def bad_key(n: int, at: int) -> int:
    xs = list(range(n, 0, -1))
    xs.sort(key=lambda x: 10 // (x - at))
    return checksum(xs)


@fn
def grows_while_sorted(n: int) -> int:
    xs = list(range(n))

    def key(x: int) -> int:
        xs.append(x)
        return -x

    xs.sort(key=key)
    return checksum(xs)


def test_errors_while_sorting():
    for at in (0, 3, 9, 100):
        agree(bad_key, 9, at)
    with pytest.raises(ValueError, match="list modified during sort"):
        grows_while_sorted(5)


@fn
def index_errors(n: int, kind: int) -> int:
    xs = list(range(n))
    if kind == 0:
        return xs[n]
    if kind == 1:
        xs[-n - 1] = 0
    if kind == 2:
        return xs.pop()
    if kind == 3:
        return xs.pop(n)
    if kind == 4:
        xs.remove(n)
    if kind == 5:
        return xs.index(n)
    if kind == 6:
        return xs.index(1, 2, 100)
    if kind == 7:
        del xs[n]
    if kind == 8:
        return len([0] * (1 << 61))
    if kind == 9:
        return len(xs[::0])
    return xs.index(1, -3)


def test_errors():
    for n in (0, 3):
        for kind in range(11):
            agree(index_errors, n, kind)


@fn
def perhaps(n: int) -> int:
    xs = [None, 1, 2] if n > 1 else [3, None]
    xs.append(None if n > 2 else n)
    total = xs.count(None) * 100
    if None in xs:
        total += 50
    for x in xs:
        if x is not None:
            total += x
    return total


def test_elements_of_many_kinds():
    for n in range(4):
        agree(perhaps, n)


@fn
def grid_sum(n: int) -> int:
    grid = [[i * j for j in range(n)] for i in range(n)]
    total = 0
    for i in range(n):
        for j in range(n):
            grid[i][j] += 1
            total += grid[i][j]
    row = grid[0]
    grid[0] = [5]
    return total + len(row) + grid[0][0]


def test_rows_are_borrowed():
    agree(grid_sum, 6)
    text = grid_sum.inspect(5, kind="ssa")
    assert "borrow" in text


@fn
def outlives(n: int) -> int:
    rows = [[1, 2, 3], [4, 5]]
    row = rows[0]
    rows[0] = rows[1]
    rows.clear()
    total = len(row) + row[2]
    for i in range(n):
        other = [row]
        rows.append(other[0])
        other[0] = [i]
        row = rows.pop()
    return total + row[0]


def test_what_is_held_elsewhere_is_not_borrowed():
    agree(outlives, 0)
    agree(outlives, 3)


@fn
def machine(ops: list[int]) -> list[int]:
    xs = [3]
    rows = [xs]
    ys = [1, 2]
    log = []
    i = 0
    while i + 3 < len(ops):
        op, a, b, c = ops[i], ops[i + 1], ops[i + 2], ops[i + 3]
        i += 4
        if op == 0 or op == 1:
            xs.append(a)
        elif op == 2:
            xs.insert(a, b)
        elif op == 3:
            if xs:
                log.append(xs.pop())
        elif op == 4:
            if -len(xs) <= a < len(xs):
                log.append(xs.pop(a))
        elif op == 5:
            del xs[a:b]
        elif op == 6:
            if c:
                del xs[a:b:c]
        elif op == 7:
            xs[a:b] = ys
        elif op == 8:
            if c:
                ys = xs[a:b:c]
                xs[a:b:c] = [v + 1 for v in ys]
        elif op == 9:
            xs += ys[:5]
        elif op == 10:
            if len(xs) < 40:
                xs *= a % 3
        elif op == 11:
            xs.sort(key=lambda v: v % 5, reverse=b > 0)
        elif op == 12:
            xs.reverse()
        elif op == 13:
            log.append(xs.count(a))
            log.append(xs.index(a) if a in xs else -1)
            if a in xs:
                xs.remove(a)
        elif op == 14:
            rows.append(xs.copy())
            rows[len(rows) // 2] = rows[-1]
            if len(rows) > 5:
                xs = rows.pop(0)
        elif op == 15:
            for row in rows:
                log.extend(row[:3])
            log.append(int(xs < ys))
            log.append(int(rows[0] == xs))
        elif op == 16:
            first, *rest = [*xs, a]
            ys = rest + [first]
        else:
            log.extend(xs)
            log.append(len(rows))
        if len(xs) > 200:
            xs.clear()
    return log


def random_operations(seed: int, count: int) -> list[int]:
    r = random.Random(seed)
    out = []
    for _ in range(count):
        out += [r.randrange(18), *(r.randrange(-12, 13) for _ in range(3))]
    return out


def test_a_list_is_cpythons():
    for seed in range(30):
        agree(machine, random_operations(seed, 200), reference=False)
    agree(machine, random_operations(1, 40))


@pytest.mark.nightly
def test_a_list_is_cpythons_in_many_runs():
    for seed in range(3000):
        agree(machine, random_operations(100 + seed, 500), reference=False)


@fn
def fails_on_the_way(n: int, at: int) -> int:
    rows = [[i] for i in range(n)]
    d = {i: [i, i] for i in range(n)}
    s = {(i, str(i)) for i in range(n)}
    texts = [str(i) * 3 for i in range(n)]
    total = 0
    for i in range(n):
        row = rows[i]
        other = d.pop(i)
        made = [row, other, [10 // (i - at)]]
        total += made[2][0] + len(texts[i]) + len(s)
    return total


def test_nothing_is_left_when_an_exception_passes():
    for at in (-1, 0, 3, 9):
        agree(fails_on_the_way, 8, at)


@fn
def learns_in_a_comprehension(n: int) -> list[int]:
    seen = []
    keys = {}
    found = set()

    def note(i: int) -> int:
        seen.append(i * 3)
        keys[i] = i
        found.add(i)
        return -i

    ys = [note(i) for i in range(n)]
    d = {note(i): i for i in range(n)}
    s = {note(i) for i in range(n)}
    seen.sort(key=note)
    return [*ys, len(seen), sum(keys), len(found), *d.values(), len(s), sum(seen)]


def test_containers_made_before_a_comprehension_learn_in_it():
    agree(learns_in_a_comprehension, 4)


def test_a_list_cannot_hold_itself():
    @fn
    def f(n: int) -> int:
        xs = []
        xs.append(xs)
        return len(xs)

    with pytest.raises(BadConversion):
        f(1)
