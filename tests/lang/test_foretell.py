"""Empty displays whose elements are written beside them: known at once, so that the function is walked only once."""

from __future__ import annotations

import pytest
from containers import agree

from sapwood import fn
from sapwood.lang.infer.interpreter import Interpreter
from sapwood.lang.infer.walker import FunctionWalker


@fn
def annotated(n: int) -> int:
    xs: list[float] = []
    names: dict[str, list[int]] = {}
    seen: set[int] = set()
    rows: list[list[int]] = [[] for _ in range(n)]
    pairs: list[tuple[str, int]] = []
    third: dict[str, int] = dict()  # noqa: C408
    fourth: list[str] = list()  # noqa: C408
    other: list[int] = [] if n > 2 else [n]
    for i in range(n):
        xs.append(i * 0.5)
        seen.add(i % 2)
        rows[i].append(i)
        pairs.append((str(i), i))
        third["a"] = i
        fourth.append("b")
    return len(xs) + len(names) + len(seen) + len(rows) + len(pairs) + len(other) + len(third) + len(fourth)


@fn
def stored(n: int) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for i in range(n):
        if i % 3 not in found:
            found[i % 3] = []
        found[i % 3].append(i)
    return found


@fn
def appended(n: int) -> list[list[str]]:
    rows: list[list[str]] = []
    for _ in range(n):
        rows.append([])
        rows[-1].append("x")
    return rows


@fn
def returned(n: int) -> list[dict[str, int]]:
    if n < 0:
        return []
    if n == 0:
        return [{}]
    return [{"n": n}]


@fn
def doubled(n: int) -> list[list[int]]:
    rows: list[list[int]] = [[]] * n
    if n:
        rows[0].append(n)
    return rows


@fn
def sliced(n: int) -> list[list[int]]:
    rows: list[list[int]] = [[1], [2]]
    rows[n:] = [] if n > 1 else [rows[0], []]
    return rows


@pytest.mark.parametrize("function", [annotated, stored, appended, returned, doubled, sliced], ids=lambda f: f.__name__)
def test_one_walk_is_enough(function, monkeypatch):
    walks = []
    begin = Interpreter._begin
    monkeypatch.setattr(Interpreter, "_begin", lambda self: (walks.append(self), begin(self))[1])
    function.inspect(3, kind="ssa")
    for interpreter in set(walks):
        assert walks.count(interpreter) == 2  # one when it is made, one before the walk
    for n in (-1, 0, 1, 5):
        agree(function, n)


@fn
def of_others(n: int) -> int:
    xs = []
    ys: list[list[int]] = [xs]
    xs.append(n)
    ys.append([])
    ys[1].append(2)
    return len(ys[0]) + ys[1][0]


def test_what_is_written_elsewhere_is_still_learned():
    agree(of_others, 3)


@fn
def settled(n: int) -> int:
    total = 0
    for i in range(n):
        total += i
    return total


@fn
def learns(n: int) -> int:
    xs = []
    ys = []
    for _ in range(settled(n)):
        xs.append(ys)
        ys.append(n)
    return len(xs) + settled(n)


@fn
def learns_of_argument(rows: list[list[int]], n: int) -> int:
    empty = []
    rows.append(empty)
    empty.append(settled(n))
    return sum(map(len, rows))


@fn
def learners(n: int) -> int:
    rows = []
    return learns(n) + learns_of_argument(rows, n) + settled(n) + len(rows)


def test_functions_that_learn_nothing_are_walked_once(monkeypatch):
    walked = []
    walk = FunctionWalker.run_instance

    def count(self, instance, values):
        walked.append((self.interp, self.name))
        walk(self, instance, values)

    monkeypatch.setattr(FunctionWalker, "run_instance", count)
    for n in (0, 1, 3):
        agree(learners, n)
    learned = [interp for interp, name in walked if name == "learns"]
    for interp in set(learned):
        assert learned.count(interp) > 1
        assert walked.count((interp, "settled")) == 1
    assert learned


@fn
def even(n: int):
    return True if n == 0 else odd(n - 1)


@fn
def odd(n: int):
    return False if n == 0 else even(n - 1)


@fn
def of_recursion(n: int) -> str:
    xs = []
    for i in range(n):
        xs.append(even(i))
    return str(xs) + str(odd(n))


def test_recursive_functions_are_kept_with_those_that_they_call():
    for n in (0, 1, 5):
        assert of_recursion(n) == of_recursion.python(n)
