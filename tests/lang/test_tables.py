"""Tuples indexed at run time: constant tables in the object code, tuples of run-time values, loops over long ones."""

from __future__ import annotations

from oracles import agree

from sapwood import comptime, fn, struct


@struct(frozen=True)
class Entry:
    weight: float
    count: int


SQUARES = tuple(i * i for i in range(1000))
FLOATS = (0.5, 1.25, 2.5)
FLAGS = (True, False, True)
ROWS = ((1, 2.0, True), (3, 4.5, False), (5, 6.0, True))
GRID = tuple(tuple(i * 10 + j for j in range(5)) for i in range(4))
ENTRIES = (Entry(1.0, 2), Entry(3.0, 4))
LONG = tuple(range(100_000))


@fn
def tables(i: int):
    n, x, flag = ROWS[i % 3]
    return SQUARES[i], FLOATS[i % 3], FLAGS[i % 3], n, x, flag, GRID[i % 4][i % 5], ENTRIES[i % 2], ENTRIES[-1].count


@fn
def run_time_items(i: int, x: float, y: float) -> float:
    items = (x, y, x + y)
    return items[i]


@fn
def lists_in_a_tuple(i: int, n: int) -> int:
    items = ([1, n], [2], [n, n, n])
    chosen = items[i]
    chosen.append(4)
    return len(chosen) + chosen[0]


@fn
def computed(i: int) -> int:
    cubes = comptime(tuple(k**3 for k in range(100)))
    total = 0
    for c in cubes:
        total += c
    return cubes[i] + total


@fn
def long_table(i: int) -> int:
    return LONG[i]


def test_tables():
    for i in (0, 5, 10, -1, 999, 1000, -1001):
        agree(tables, i, plain=True)
    for i in (0, 1, 2, -1, -3, 3, -4):
        agree(run_time_items, i, 1.5, 2.5, plain=True)
    for i in (0, 2, -2, 3):
        agree(lists_in_a_tuple, i, 7, plain=True)
    agree(computed, 7, plain=True)
    agree(computed, 100, plain=True)


def test_a_long_table_is_data_and_not_code():
    assert long_table(77) == 77
    text = long_table.inspect(1, kind="llvm")
    body = [line for line in text.splitlines() if not line.startswith("@")]
    assert len("\n".join(body)) < 50_000
