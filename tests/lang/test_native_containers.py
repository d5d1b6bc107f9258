"""sapwood.List, Dict and Set: one object on both sides."""

from __future__ import annotations

import copy
import gc
import pickle

import pytest

from sapwood import Dict, List, Set, fn
from sapwood.runtime.heap import live_objects


@pytest.fixture(autouse=True)
def nothing_leaks():
    gc.collect()
    before = live_objects()
    yield
    gc.collect()
    assert live_objects() == before


@fn
def fill(xs: List[int], n: int) -> int:
    for i in range(n):
        xs.append(i * i)
    return len(xs)


@fn
def same(xs: List[int]) -> List[int]:
    return xs


@fn
def squares(n: int) -> Dict[int, float]:
    out = Dict[int, float]()
    for i in range(n):
        out[i] = i * 0.5
    return out


@fn
def count(counts: Dict[str, int], text: str) -> None:
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1


@fn
def drop_even(s: Set[int]) -> None:
    for x in list(s):
        if x % 2 == 0:
            s.remove(x)


@fn
def read(xs: list[int]) -> int:
    return sum(xs)


def test_a_list_is_shared():
    xs = List[int]()
    assert fill(xs, 4) == 4
    assert list(xs) == [0, 1, 4, 9] and len(xs) == 4 and xs[-1] == 9
    xs.append(100)
    xs[0] = 7
    xs.insert(1, 5)
    del xs[2]
    assert fill(xs, 1) == 6
    assert xs == [7, 5, 4, 9, 100, 0] and xs != [7]
    assert xs[1:3] == [5, 4] and 100 in xs and 3 not in xs
    assert xs.pop() == 0 and xs.index(9) == 3 and xs.count(4) == 1
    xs.sort()
    xs[1:1] = [1, 2]
    xs[::3] = xs[::3]
    xs[2:2] = []
    xs.extend([])
    assert list(xs) == [4, 1, 2, 5, 7, 9, 100]
    xs.sort(key=lambda v: -v)
    xs.reverse()
    assert repr(xs) == "List([1, 2, 4, 5, 7, 9, 100])"
    assert read(xs) == 128
    assert same(xs) is xs
    ys = xs.copy()
    ys.clear()
    assert len(xs) == 7 and not ys
    with pytest.raises(IndexError, match="list index out of range"):
        xs[7]
    with pytest.raises(TypeError, match="str cannot be converted to int"):
        xs.append("text")
    assert "text" not in Set({1})


def test_a_dict_is_shared():
    d = squares(5)
    assert dict(d) == {i: i * 0.5 for i in range(5)} and d == dict(d)
    d[7] = 1
    assert d[7] == 1.0 and 7 in d and d.get(8) is None and d.pop(0) == 0.0
    assert list(d.items()) == [(1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0), (7, 1.0)]
    counts = Dict[str, int]({"a": 1})
    count(counts, "a b b")
    assert dict(counts) == {"a": 2, "b": 2}
    with pytest.raises(KeyError, match="'c'"):
        counts["c"]
    with pytest.raises(RuntimeError, match="changed size"):
        for k in counts:
            counts[k + "x"] = 1


def test_a_set_is_shared():
    s = Set[int](range(6))
    drop_even(s)
    assert set(s) == {1, 3, 5} and s == {1, 3, 5} and 3 in s
    s.add(9)
    s.discard(1)
    s |= {4}
    assert sorted(s) == [3, 4, 5, 9] and s & {3} == {3}


def test_making_and_keeping():
    assert list(List([1.5, 2.5])) == [1.5, 2.5]
    texts = List[str](["a", "b"])
    texts.append("c")
    for other in (copy.deepcopy(texts), pickle.loads(pickle.dumps(texts))):
        assert list(other) == ["a", "b", "c"]
        other.append("d")
    assert len(texts) == 3
    pairs = List[tuple[int, str]]([(1, "x")])
    assert pairs[0] == (1, "x")
    with pytest.raises(TypeError, match="expected an int"):
        List[int](["a"])
    with pytest.raises(TypeError, match="argument 'xs' must be"):
        fill([1], 2)
    with pytest.raises(TypeError):
        List([])


def test_the_evaluator_takes_native_containers_of_numbers():
    xs = List([7])
    assert fill.reference(xs, 3) == 4
    assert list(xs) == [7, 0, 1, 4]
    with pytest.raises(TypeError, match="of numbers only"):
        count.reference(Dict({"a": 1}), "a b")
