"""Loops whose index checks are made before they begin: in and out of range, against CPython."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from containers import agree

from sapwood import Tensor, fn
from sapwood.lang.lower import versions
from sapwood.lang.pipeline import compile_entry
from sapwood.targets.base import host_target


@fn
def scale(xs: list[int], start: int, stop: int, extra: int) -> tuple[list[int], bool]:
    ys = list(xs)
    raised = False
    try:
        for i in range(start, stop):
            ys[i] = ys[i + 1] * 2 + extra
    except IndexError:
        raised = True
    return ys, raised


@fn
def downwards(xs: list[int], start: int, stop: int) -> tuple[list[int], int]:
    ys = list(xs)
    done = 0
    try:
        for i in range(start, stop, -1):
            ys[i] = ys[i - 1] + 1
            done += 1
    except IndexError:
        done += 1000
    return ys, done


@fn
def by_steps(xs: list[int], start: int, stop: int, step: int) -> tuple[list[int], int]:
    ys = list(xs)
    done = 0
    try:
        for i in range(start, stop, step):
            ys[i] += 10
            done += 1
    except IndexError:
        done += 1000
    return ys, done


@fn
def turn(xs: list[int], low: int, high: int) -> tuple[list[int], int]:
    ys = list(xs)
    done = 0
    try:
        while low < high:
            ys[low], ys[high] = ys[high], ys[low]
            low += 1
            high -= 1
            done += 1
    except IndexError:
        done += 1000
    return ys, done


@fn
def until(xs: list[int], first: int, last: int, pivot: int) -> tuple[int, int]:
    i, j = first, last
    try:
        while xs[i] < pivot:
            i += 1
        while xs[j] > pivot:
            j -= 1
    except IndexError:
        i += 1000
    return i, j


@fn
def grows(n: int, stop: int) -> tuple[list[int], int]:
    xs = [0] * n
    done = 0
    try:
        for i in range(stop):
            xs[i] = i
            if i % 3 == 0:
                xs.append(-i)
            done += xs[i + 1]
    except IndexError:
        done += 1000
    return xs, done


@fn
def shrinks(n: int, stop: int) -> tuple[list[int], int]:
    xs = list(range(n))
    done = 0
    try:
        for i in range(stop):
            done += xs[i]
            if i % 2 == 0:
                xs.pop()
    except IndexError:
        done += 1000
    return xs, done


@fn
def two_names(n: int, same: bool, stop: int) -> tuple[list[int], list[int], int]:
    xs = list(range(n))
    ys = xs if same else list(xs)
    done = 0
    try:
        for i in range(stop):
            ys.append(xs[i])
            done += xs[i]
    except IndexError:
        done += 1000
    return xs, ys, done


@fn
def clears(n: int, same: bool, at: int) -> tuple[list[int], list[int], int]:
    xs = list(range(n))
    ys = xs if same else list(xs)
    done = 0
    try:
        for i in range(n):
            done += xs[i]
            if i == at:
                ys.clear()
    except IndexError:
        done += 1000
    return xs, ys, done


@fn
def other_length(xs: list[int], ys: list[int]) -> tuple[list[int], bool]:
    out: list[int] = []
    raised = False
    try:
        for i in range(len(xs)):
            out.append(xs[i] * ys[i])
    except IndexError:
        raised = True
    return out, raised


@fn
def recurrence(n: int, first: int) -> tuple[list[int], bool]:
    f = [1, 1]
    raised = False
    try:
        for i in range(first, n):
            f.append((f[i - 1] + f[i - 2]) % 1009)
    except IndexError:
        raised = True
    return f, raised


@fn
def prefix(xs: list[int], n: int) -> tuple[list[int], bool]:
    s = [0] * (len(xs) + 1)
    raised = False
    try:
        for i in range(n):
            s[i + 1] = s[i] + xs[i]
    except IndexError:
        raised = True
    return s, raised


@fn
def rebound(xs: list[int], ys: list[int], at: int) -> tuple[int, list[int]]:
    total = 0
    try:
        for i in range(len(xs)):
            total += xs[i]
            if i == at:
                xs = ys
    except IndexError:
        total += 1000
    return total, xs


@fn
def conditional(xs: list[int], marks: list[int], step: int) -> tuple[int, int]:
    i = total = 0
    try:
        while i < len(marks):
            if marks[i] > 0:
                total += xs[marks[i]]
                i += step
            else:
                i += 1
    except IndexError:
        total += 1000
    return total, i


@fn
def rows(grid: list[list[int]], n: int, m: int) -> tuple[int, bool]:
    total = 0
    raised = False
    try:
        for i in range(n):
            for j in range(m):
                total += grid[i][j] * (i + 1)
    except IndexError:
        raised = True
    return total, raised


@fn
def harmonic(xs: list[float], start: int, stop: int) -> tuple[float, bool]:
    total = 0.0
    raised = False
    try:
        for i in range(start, stop):
            total += 1.0 / xs[i]
    except (ZeroDivisionError, IndexError):
        raised = True
    return total, raised


@fn
def reciprocals(start: int, stop: int) -> float:
    total = 0.0
    for i in range(start, stop):
        total += 1.0 / i
    return total


@fn
def first_reciprocal(start: int, stop: int, most: float) -> float:
    for i in range(start, stop):
        if 1.0 / i > most:
            return float(i)
    return -1.0


@fn
def entry(i: int, j: int) -> float:
    return 1.0 / ((i + j) * (i - j) + 1)


@fn
def matrix(n: int, start: int, stop: int) -> float:
    total = 0.0
    for i in range(n):
        for j in range(start, stop):
            total += entry(i, j) * j
    return total


@fn
def part(x: float, y: float) -> float:
    if x > 2.0:
        return 0.5
    return x / y if y != 1.0 else 3.0


@fn
def ratio(x: float, y: float) -> float:
    return (x / y if x > 1.0 else x) / (y - 1.0)


@fn
def ratios(xs: list[float], ys: list[float], n: int) -> tuple[float, float, str]:
    total = other = 0.0
    try:
        for i in range(n):
            total += ratio(xs[i], ys[i])
        for i in range(n):
            other += part(xs[i], ys[i])
    except (ZeroDivisionError, IndexError) as e:
        return total, other, str(e)
    return total, other, ""


@fn
def sum_of(x: Tensor[float, 1], y: Tensor[float, 1], start: int, stop: int) -> float:
    total = 0.0
    for i in range(start, stop):
        x[i] = x[i] + y[i + 1]
        total += x[i]
    return total


@fn
def objects(names: list[str], start: int, stop: int) -> tuple[list[str], bool]:
    out = list(names)
    raised = False
    try:
        for i in range(start, stop):
            out[i] = names[i + 1] + out[i]
    except IndexError:
        raised = True
    return out, raised


@fn
def last_two(n: int, first: int, start: int) -> tuple[list[int], bool]:
    f = [1] * start
    raised = False
    try:
        for i in range(first, n):
            f.append((f[i - 1] * 3 + f[i - 2] + f[-1] - f[-3]) % 1009)
    except IndexError:
        raised = True
    return f, raised


@fn
def running(xs: list[float], start: list[float]) -> tuple[list[float], str]:
    totals = list(start)
    try:
        for x in xs:
            totals.append(totals[-1] + x)
    except IndexError as e:
        return totals, str(e)
    return totals, ""


@fn
def flags(n: int, start: bool) -> list[bool]:
    found = [start, not start]
    for i in range(1, n):
        found.append(found[i] != found[i - 1] or i % 3 == 0)
    return found


@fn
def row_of(previous: list[int], marks: list[bool], shift: int) -> tuple[list[int], bool]:
    current = [shift]
    raised = False
    try:
        for j, mark in enumerate(marks):
            current.append(min(previous[j] + mark, previous[j + 1] + 1, current[j] + 1))
    except IndexError:
        raised = True
    return current, raised


@fn
def sometimes(n: int, step: int) -> list[int]:
    xs = [1]
    i = 0
    while i < n:
        if i % step == 0:
            xs.append(xs[i // step] + 1)
        i += 1
    return xs


@fn
def twice(n: int) -> list[int]:
    xs = [1, 2]
    for i in range(n):
        xs.append(xs[i + 1] + 1)
        xs.append(xs[-1] * 2 + xs[i])
    return xs


@fn
def also_written(n: int, at: int) -> list[int]:
    xs = [1, 2, 3]
    for i in range(n):
        xs.append(xs[i + 2] + 1)
        xs[at] = 100 + i
    return xs


@fn
def written_by_another_name(n: int, same: bool) -> list[int]:
    xs = [1, 2, 3]
    ys = xs if same else [7, 8, 9]
    for i in range(n):
        ys[-1] = i
        xs.append(xs[-1] + xs[i] + ys[0])
    return xs


@fn
def appended_by_another_name(n: int, same: bool) -> tuple[list[int], list[int]]:
    xs = [1]
    ys = xs if same else [5]
    for i in range(n):
        xs.append(xs[i] + 1)
        ys.append(xs[-1] + ys[i])
    return xs, ys


@fn
def read_after(n: int) -> int:
    xs = [1]
    total = 0
    for i in range(n):
        xs.append(xs[i] * 2 % 101)
        total += xs[i + 1] * 10 + xs[-1] + len(xs)
    return total


@fn
def skips(xs: list[int]) -> list[int]:
    out = [0]
    for i, x in enumerate(xs):
        if x < 0:
            continue
        if x > 50:
            break
        out.append(out[i] + x)
    return out


@fn
def popped(n: int) -> list[int]:
    xs = [1, 1]
    for i in range(n):
        xs.append(xs[i + 1] + xs[i])
        if i == 3:
            xs.pop()
            xs.append(5)
    return xs


@fn
def length_in_loop(n: int) -> list[int]:
    xs = [3]
    for _ in range(n):
        xs.append(xs[-1] + len(xs))
    return xs


@fn
def product(a: Tensor[float, 2], b: Tensor[float, 2], c: Tensor[float, 2], n: int, first: int) -> None:
    for i in range(first, n):
        for j in range(n):
            c[i, j] = 0.0
            for k in range(first, n):
                c[i, j] += a[i, k] * b[k, j]


@fn
def triangle(n: int, m: int, width: int) -> tuple[list[int], bool]:
    xs = list(range(m))
    raised = False
    try:
        for i in range(n):
            for j in range(i + 1, min(i + width, n)):
                xs[i] += xs[j]
                if xs[i] % 5 == 0:
                    break
    except IndexError:
        raised = True
    return xs, raised


EDGES = (-9, -5, -4, -1, 0, 1, 3, 4, 5, 9)


def check(f, *args) -> None:
    """As CPython; the evaluator, which knows no versions, is asked now and then."""
    check.count += 1
    agree(f, *args, reference=check.count % 50 == 0)


check.count = 0


def test_ranges_in_and_out_of_bounds():
    xs = [5, 3, 8, 1]
    for start, stop in itertools.product(EDGES, EDGES):
        check(scale, xs, start, stop, 1)
        check(downwards, xs, start, stop)
        check(turn, xs, start, stop)
        check(objects, ["a", "b", "c", "d"], start, stop)
        for step in (1, 2, 3, -1, -2):
            check(by_steps, xs, start, stop, step)


def test_while_loops_that_look_for_an_element():
    for first, last, pivot in itertools.product((-5, -4, 0, 2, 4), (-4, 0, 3, 4), (0, 4, 9)):
        check(until, [5, 3, 8, 1], first, last, pivot)


def test_lists_that_change_in_the_loop():
    for n, stop in itertools.product(range(6), range(9)):
        check(grows, n, stop)
        check(shrinks, n, stop)
    for n, same, k in itertools.product(range(5), (False, True), range(-1, 6)):
        check(two_names, n, same, k if k > 0 else 3)
        check(clears, n, same, k)


def test_lists_of_different_lengths():
    for n, m in itertools.product(range(5), range(5)):
        xs, ys = list(range(n)), list(range(10, 10 + m))
        check(other_length, xs, ys)
        check(prefix, xs, m)
        check(rebound, xs, ys, 1)
        check(recurrence, n + 3, m)


def test_index_that_sometimes_moves():
    for seed in range(20):
        r = random.Random(seed)
        xs = [r.randint(0, 9) for _ in range(r.randint(1, 5))]
        marks = [r.randint(-2, 5) for _ in range(r.randint(0, 6))]
        check(conditional, xs, marks, r.choice((1, 2, 1)))


def test_rows_of_different_lengths():
    for n, m in itertools.product(range(4), range(5)):
        check(rows, [[1, 2, 3], [4, 5, 6, 7], [8]], n, m)


def test_division_by_zero_in_a_loop_without_effects():
    for start, stop in itertools.product(range(-3, 5), range(-2, 6)):
        check(reciprocals, start, stop)
        check(first_reciprocal, start, stop, 0.4)
        check(harmonic, [2.0, 4.0, 0.0, 8.0], start, stop)
        check(harmonic, [2.0, 4.0, 5.0, 8.0], start, stop)


def test_elements_that_were_just_appended():
    for n, first, start in itertools.product((0, 2, 3, 4, 9), (0, 1, 2, 3, 4), (0, 1, 2, 3, 4, 5)):
        check(last_two, n, first, start)
    for xs in ([], [1.5], [1.5, 2.5, -3.0, 0.25]):
        for start in ([], [1.0], [1.0, 2.0]):
            check(running, xs, start)
    for n in range(12):
        for f in (twice, read_after, popped, length_in_loop):
            check(f, n)
        for same in (False, True):
            check(flags, n, same)
            check(written_by_another_name, n, same)
            check(appended_by_another_name, n, same)
        for k in range(1, 4):
            check(sometimes, n, k)
            check(also_written, n, k - 1)
            check(also_written, n, -k)
    for seed in range(30):
        r = random.Random(seed)
        marks = [r.random() < 0.5 for _ in range(r.randint(0, 8))]
        check(row_of, [r.randint(0, 9) for _ in range(r.randint(0, 9))], marks, r.randint(0, 3))
        check(skips, [r.choice((1, 2, 3, 7, -1 if seed % 2 else 4, 60 if seed % 3 else 5)) for _ in range(6)])


def test_division_by_zero_in_functions_that_loops_call():
    for n, start, stop in itertools.product(range(4), range(-3, 3), range(5)):
        check(matrix, n, start, stop)
    for seed in range(40):
        r = random.Random(seed)
        xs = [r.choice((0.5, 1.5, 2.5, 3.0)) for _ in range(r.randint(0, 12))]
        ys = [r.choice((0.0, 1.0, 2.0, 2.5, 3.5, 4.0) if seed % 2 else (2.0, 3.0)) for _ in range(r.randint(0, 12))]
        check(ratios, xs, ys, r.randint(0, 12))


def test_tensors():
    for start, stop in itertools.product(EDGES, EDGES):
        for n in (4, 5, 6):
            x, y = np.arange(5.0), np.arange(float(n)) + 0.5
            want_x, got = x.copy(), x.copy()
            try:
                want: object = sum_of.python(want_x, y, start, stop)
            except IndexError as e:
                want = str(e)
            try:
                found: object = sum_of(got, y, start, stop)
            except IndexError as e:
                found = str(e)
            assert type(found) is type(want) and (found == want or isinstance(found, str))
            assert got.tolist() == want_x.tolist()


def test_nests():
    for n, m, width in itertools.product(range(7), range(7), range(4)):
        check(triangle, n, m, width)
    r = np.random.default_rng(5)
    for n, first, lack in itertools.product(range(5), (-1, 0, 1, 2), range(4)):
        shapes = [(4 - (lack == 1), 4), (4, 4 - (lack == 2)), (4 - (lack == 3), 4)]
        a, b, c = (r.random(shape) for shape in shapes)
        other, results = c.copy(), []
        for f, out in ((product.python, c), (product, other)):
            try:
                results.append(f(a, b, out, n, first))
            except IndexError as e:
                results.append(str(e))
        assert results[0] == results[1] and c.tolist() == other.tolist()


def test_index_near_the_end_of_ints():
    for start in (2**63 - 1, 2**63 - 2, -(2**63), -(2**63) + 1):
        check(turn, [1, 2, 3], 0, start)
        check(turn, [1, 2, 3], start, 3)


def plans(function, *arguments):
    """The plans of the loops of a function."""
    made = []
    plan_loop = versions.plan_loop
    versions.plan_loop = lambda e, op: made.append(plan_loop(e, op)) or made[-1]
    try:
        compile_entry(function, function.state.classify(list(arguments)), host_target(), "entry")
    finally:
        versions.plan_loop = plan_loop
    return [plan for plan in made if plan is not None]


@pytest.mark.parametrize("function, arguments", [(scale, ([1, 2], 0, 1, 1)), (turn, ([1, 2, 3], 0, 2))])
def test_fast_version_has_no_checks(function, arguments):
    assert any(plan.checked for plan in plans(function, *arguments))


@pytest.mark.parametrize(
    "function, arguments, reads",
    [
        (last_two, (9, 3, 3), 4),
        (running, ([1.5], [1.0]), 1),
        (flags, (9, True), 2),
        (row_of, ([1, 2], [True], 1), 1),
        (written_by_another_name, (3, True), 0),
        (appended_by_another_name, (3, True), 0),
        (also_written, (3, 1), 0),
        (popped, (3,), 0),
    ],
)
def test_what_was_appended_stays_in_registers(function, arguments, reads):
    found = [plan.tail for plan in plans(function, *arguments) if plan.tail is not None]
    assert sum(len(tail.loads) for tail in found) == reads


def test_one_question_for_a_nest():
    x = np.ones((3, 3))
    (plan,) = plans(product, x, x, x, 3, 0)
    assert len(plan.checked) >= 6


@fn
def squares(xs: list[float]) -> float:
    total = 0.0
    for x in xs:
        total += x**2
    return total


def test_overflow_in_a_loop_without_effects():
    for xs in ([], [1.0, 2.5], [1.0, 1e200, 3.0], [math.inf, 2.0], [-1e200]):
        agree(squares, xs)


NOTING = [(reciprocals, (1, 5)), (matrix, (3, 0, 4)), (squares, ([1.0],))]


@pytest.mark.parametrize("function, arguments", NOTING)
def test_failures_are_noted(function, arguments):
    assert any(plan.noted for plan in plans(function, *arguments))
