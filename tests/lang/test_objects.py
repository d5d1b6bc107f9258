"""Python objects in compiled code, and values at the border: counts of references right on every path."""

from __future__ import annotations

import gc
import json
import random
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood import CompileError, as_object, fn, parallel, struct
from sapwood.runtime.heap import live_objects


@pytest.fixture(autouse=True)
def nothing_leaks():
    before = live_objects()
    yield
    assert live_objects() == before


def outcome(f: Any, *args: Any) -> Any:
    try:
        return f(*args)
    except Exception as e:
        return type(e), e.args


def check(f: Any, *args: Any) -> None:
    expected = outcome(f.__wrapped__, *args)
    assert outcome(f, *args) == expected
    assert outcome(f.reference, *args) == expected


class Thing:
    """Counts what lives of it."""

    alive = 0

    def __init__(self, value: Any) -> None:
        self.value = value
        Thing.alive += 1

    def __del__(self) -> None:
        Thing.alive -= 1

    def __add__(self, other: Any) -> Thing:
        return Thing(self.value + getattr(other, "value", other))

    def __len__(self) -> int:
        return self.value

    def __getitem__(self, i: Any) -> Thing:
        if i == 3:
            raise KeyError("three")
        return Thing((self.value, i))

    def __contains__(self, x: Any) -> bool:
        return x == self.value

    def fails(self, text: str) -> None:
        raise ValueError(text, self.value)

    def __iter__(self) -> Any:
        yield Thing(1)
        yield Thing(2)
        if self.value < 0:
            raise RuntimeError("on the way")


@fn
def arithmetic(a: object, b: object) -> object:
    c = a + b
    c += a
    return (a - b) * c // 3 if c > a else c % 7, a == b, -a, ~b, a**2, a << 1, divmod(a, b)[0] if False else abs(3)


@fn
def attributes(x: object) -> object:
    old = x.value
    x.value = 5
    x.extra = [1, 2]
    return old, x.value, x.extra, len(x), 5 in x, 6 in x, not x


@fn
def items(x: object, i: int) -> object:
    first = x[i]
    return first, x[i, 2]


@fn
def walk(x: object) -> int:
    total = 0
    for item in x:
        total += int(item)
    return total


@fn
def things(x: object, n: int) -> object:
    last = None
    for _ in range(n):
        for item in x:
            last = item + x
    return last


@fn
def calls(x: object, text: object) -> object:
    return x.fails(text)


@fn
def keywords(n: int) -> object:
    d = as_object(dict)(a=n, b=2.5)
    d["c"] = "text"
    gone = d.pop("a")
    del d["b"]
    return d, gone


@fn
def modules(n: int) -> str:
    return as_object(json).dumps(as_object([n, n + 1]), indent=2)


@fn
def draws(seed: int) -> float:
    generator = as_object(random.Random)(seed)
    return float(generator.random())


@fn
def prints_in_parallel(x: object, n: int) -> object:
    for i in parallel(n):
        print("line", i)
    return x


@fn
def slices(x: object) -> object:
    return x[1:3], x[::-1], x[:2]


def test_operations_are_python_s():
    for a, b in ((7, 3), (2**80, 5), (True, 4)):
        check(arithmetic, a, b)
    check(arithmetic, 1, "a")
    check(slices, "abcdef")
    check(slices, 5)
    check(keywords, 4)
    check(draws, 3)


def test_workers_may_print_while_an_object_is_held(capfd):
    assert prints_in_parallel("x", 50) == "x"
    assert len(capfd.readouterr().out.splitlines()) == 50


def test_attributes_and_items():
    results = [attributes.__wrapped__(Thing(9)), attributes(Thing(9)), attributes.reference(Thing(9))]
    assert results[0] == results[1] == results[2]
    check(attributes, 5)
    first, pair = items(Thing(4), 1)
    assert first.value == (4, 1) and pair.value == (4, (1, 2))
    check(items, Thing(4), 3)
    check(walk, [1, 2.5, "3"])
    check(walk, {4: 1})
    check(walk, [1, "x"])
    check(walk, 5)
    with pytest.raises(OverflowError, match="too large"):
        walk([1 << 70])


def test_references_are_counted_on_every_path():
    def run(f: Any, *args: Any) -> None:
        for _ in range(8):
            outcome(f, *args)

    for f, args in (
        (things, lambda: (Thing(3), 4)),
        (things, lambda: (Thing(-3), 4)),
        (calls, lambda: (Thing(1), "a" * 50)),
        (items, lambda: (Thing(4), 3)),
        (attributes, lambda: (Thing(4),)),
    ):
        given_args = args()
        run(f, *given_args)
        run(f.reference, *given_args)
        gc.collect()
        before = sys.getrefcount(given_args[0])
        run(f, *given_args)
        run(f.reference, *given_args)
        gc.collect()
        assert abs(sys.getrefcount(given_args[0]) - before) <= 1  # not one for each of the calls
        del given_args
    gc.collect()
    assert Thing.alive == 0
    none = sys.getrefcount(None)
    for _ in range(1000):
        keywords(3)
    assert abs(sys.getrefcount(None) - none) < 50


def test_an_exception_of_python_keeps_its_traceback():
    with pytest.raises(ValueError) as caught:
        calls(Thing(1), "text")
    names = [entry.name for entry in caught.traceback]
    assert names[-1] == "fails" and "calls" in names
    assert caught.value.args == ("text", 1)


# -- values at the border --------------------------------------------------------------------------------


@fn
def same_list(xs: list[int]) -> list[int]:
    return xs


@fn
def same_floats(xs: list[float]) -> list[float]:
    return xs


@fn
def same_nested(xs: list[list[tuple[int, float]]]) -> list[list[tuple[int, float]]]:
    return xs


@fn
def same_optional(xs: list[int | None], y: float | None) -> tuple[list[int | None], float | None]:
    return xs, y


@fn
def anything(x):
    return x


@struct(frozen=True)
class Point:
    x: int
    y: float


@fn
def same_points(ps: list[Point]) -> list[Point]:
    return ps


for _f, _args in ((same_list, ([],)), (same_floats, ([],)), (same_nested, ([],)), (same_optional, ([], None))):
    _f(*_args)  # compiled before hypothesis looks at the clock

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False)


@given(st.lists(INT64), st.lists(FLOATS), st.lists(st.lists(st.tuples(INT64, FLOATS))))
def test_lists_come_and_go(ints, floats, nested):
    assert same_list(ints) == ints
    assert same_floats(floats) == floats
    assert list(map(type, same_floats([1, 2.5]))) == [float, float]
    assert same_nested(nested) == nested


@given(st.lists(st.none() | INT64), st.none() | FLOATS)
def test_optional_values_come_and_go(xs, y):
    assert same_optional(xs, y) == (xs, y)


def test_structs_and_unannotated_values_come_and_go():
    ps = [Point(1, 2.5), Point(-3, 0.0)]
    assert same_points(ps) == ps
    for x in (5, 2.5, True, None, [1, 2], [[1.5], [2.5]], (1, 2.5), [(1, True), (2, False)]):
        assert anything(x) == x and type(anything(x)) is type(x)
    assert anything([1, 2.5]) == [1.0, 2.5]
    assert np.array_equal(anything(np.arange(3)), np.arange(3))


@pytest.mark.parametrize(
    "f, args, text",
    [
        (same_list, ((1, 2),), "must be list"),
        (same_list, ([1, "a"],), "item 1: expected an int, found 'a'"),
        (same_list, ([1, True],), "item 1: expected an int, found True"),
        (same_list, ([1, 2**70],), "does not fit into i64"),
        (same_list, (None,), "must be list"),
        (same_nested, ([[(1, 2.0)], [(1, 2.0, 3)]],), "item 1: item 0: pass a tuple of 2 items"),
        (same_optional, ([1, None, "x"], 1.0), "item 2"),
        (same_points, ([Point(1, 2.0), 5],), "item 1: pass a Point"),
        (anything, ([1, "a"],), "a list of items of one type"),
    ],
)
def test_what_does_not_fit_is_said(f, args, text):
    with pytest.raises(TypeError, match=text):
        f(*args)
    with pytest.raises(TypeError):  # and again, now that there may be an entry
        f(*args)


def test_other_elements_make_another_entry():
    assert anything([1]) == [1]
    assert anything([1.5]) == [1.5]
    assert anything([2]) == [2] and type(anything([2])[0]) is int


# -- changes that would be lost ---------------------------------------------------------------------------


@fn
def appends(xs: list[int], n: int) -> int:
    xs.append(n)
    return len(xs)


@fn
def sets_inside(xs: list[list[int]], n: int) -> int:
    row = xs[0]
    row[0] = n
    return n


@fn
def set_first(xs, n):
    xs[0] = n
    return xs


@fn
def through_a_call(xs: list[int], n: int) -> int:
    return set_first(xs, n)[0]


@fn
def values_of_a_dict(d: dict[str, list[int]], n: int) -> int:
    for xs in d.values():
        xs.append(n)
    return n


@fn
def inside_a_tuple(t: tuple[list[int], int], n: int) -> int:
    t[0][0] = n
    return n


@fn
def of_bytes(b: bytearray, n: int) -> int:
    b[0] = n
    return n


@fn
def changes_a_copy(xs: list[int], n: int) -> list[int]:
    ys = []
    for x in xs:
        ys.append(x)
    set_first(ys, n)
    return ys


def test_changing_a_copy_is_a_mistake():
    for f, args in (
        (appends, ([1], 2)),
        (sets_inside, ([[1]], 2)),
        (through_a_call, ([1], 2)),
        (values_of_a_dict, ({"a": [1]}, 2)),
        (inside_a_tuple, (([1], 2), 2)),
        (of_bytes, (bytearray(b"a"), 2)),
    ):
        with pytest.raises(CompileError, match="the change would be lost"):
            f(*args)
    assert changes_a_copy([1, 2], 9) == [9, 2]


@fn
def shown(o: object) -> str:
    return f"{o:>8}|{o!r}|{o!a:.3}|{abs(o)}|{divmod(o, 3)}|{round(o)}|{round(o, 1)}|{o:.2f}|{o!s}"


@fn
def messages(n: int) -> list[str]:
    out = []
    for k in range(3):
        try:
            if k == n:
                raise KeyError("a", k)
            if n > 5:
                raise ValueError("b\u00e4")
        except KeyError as e:
            out.append(f"{e}|{e!r}|{e!s:>20}")
        except ValueError as e:
            out.append(str(e) + repr(e) + ascii(e))
            print(e)
    return out


def test_text_of_objects(capsys):
    for o in (7.25, -9, True):
        assert shown(o) == shown.__wrapped__(o)
    with pytest.raises(ValueError, match="Unknown format code 'f'"):
        shown_fixed("a")
    for n in (1, 9):
        assert messages(n) == messages.__wrapped__(n)
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["b\u00e4"] * 6


@fn
def shown_fixed(o: object) -> str:
    return f"{o:.2f}"
