"""How much LLVM text programs become: what containers of many types share, what places that fail share."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from sapwood import Tensor, fn, struct
from sapwood.runtime import heap


@struct
class Point:
    x: float
    name: str


@fn
def many_lists(n: int) -> int:
    ints = [i for i in range(n)]
    floats = [i / 2 for i in range(n)]
    texts = [str(i) for i in range(n)]
    lists = [[i] for i in range(n)]
    points = [Point(i / 2, str(i)) for i in range(n)]
    flags = [i > 3 for i in range(n)]
    pairs = [(i, str(i)) for i in range(n)]
    for i in range(n):
        ints.append(i)
        floats.append(0.5)
        texts.append("more")
        lists.append([i, i])
        points.append(points[0])
        flags.append(True)
        pairs.append((i, "more"))
    total = sum(ints) + int(sum(floats)) + sum([len(t) for t in texts]) + sum([x[0] for x in lists])
    return total + sum([len(p.name) for p in points]) + sum([int(f) for f in flags]) + sum([p[0] for p in pairs])


@fn
def many_dicts(words: list[str]) -> tuple[int, dict[str, list[int]], dict[str, str], dict[int, float], dict[int, str]]:
    counts, places, lower, halves, names = {}, {}, {}, {}, {}
    for i, word in enumerate(words):
        counts[word] = counts.get(word, 0) + 1
        places.setdefault(word, []).append(i)
        lower[word] = word.lower()
        halves[i] = i / 2
        names[i] = word
    assert "nothing" not in counts and "nothing" not in places and "nothing" not in lower
    assert 1000 not in halves and 1000 not in names
    return sum(counts.values()), places, lower, halves, names


def defined(text: str) -> Counter[str]:
    """How often each function is defined in the first module of LLVM text, by its name in Python."""
    text = text.split("target triple")[1]
    names = re.findall(r"^define [^@]*@([\w.]+)\(", text, re.MULTILINE)
    return Counter(re.sub(r"\.\d+$", "", n) for n in names)


def test_lists_of_many_types_share_what_makes_and_grows_them() -> None:
    before = heap.live_objects()
    assert many_lists(5) == many_lists.python(5) == many_lists.reference(5)
    assert heap.live_objects() == before
    found = defined(many_lists.inspect(5))
    assert found["list_new"] == found["list_grow"] == 0
    assert found["list_drop"] == 0


def test_dicts_share_what_does_not_look_at_values() -> None:
    words = "the Cat and the dog and the mouse".split()
    before = heap.live_objects()
    assert many_dicts(words) == many_dicts.python(words) == many_dicts.reference(words)
    assert heap.live_objects() == before
    found = defined(many_dicts.inspect(words))
    assert found["dict_new"] == found["dict_grow"] == found["dict_resize"] == 0
    assert found["dict_find"] == 1  # of ints; that of texts is a unit
    assert found["dict_set"] <= 2  # floats and texts by ints
    assert found["dict_drop"] <= 3


@fn
def many_failures(xs: list[int], names: dict[str, int], i: int) -> int:
    if i == 0:
        raise ValueError("zero")
    if i == 1:
        raise KeyError("one")
    return xs[i] + xs[i + 1] + xs[i + 2] + names["a"] // i + names["b"] // xs[0]


def test_places_that_fail_share_code() -> None:
    text = many_failures.inspect([1, 2, 3], {"a": 1}, 1)
    body = re.search(r"^define [^@]*@many_failures\.\d+\(.*?^}", text, re.MULTILINE | re.DOTALL)
    assert body is not None
    body = body.group()
    assert body.count("call void @sapwood.raise.0(") == 1
    assert "store ptr @.text" not in body
    assert body.count("ret {i32, i64}") == 2


@fn
def many_values(x: Tensor[float, 2], i: int, j: int) -> float:
    if i == 77:
        raise ValueError(f"not {i}", j)
    return x[i, j] + x[i + 1, j] * x[i, j + 1]


def test_places_that_raise_with_values_share_code() -> None:
    x = np.arange(12.0).reshape(3, 4)
    text = many_values.inspect(x, 0, 0)
    body = re.search(r"^define [^@]*@many_values\.\d+\(.*?^}", text, re.MULTILINE | re.DOTALL)
    assert body is not None
    assert body.group().count("call void @sapwood.raise.2(") <= 2
    for i, j in ((0, 0), (1, 2), (2, 0), (-1, 0), (3, 0), (0, 3), (0, -5), (1, 4), (77, 5), (-9, 1)):
        try:
            wanted: object = many_values.python(x, i, j)
        except (IndexError, ValueError) as e:
            wanted = type(e), e.args
        try:
            found: object = many_values(x, i, j)
        except (IndexError, ValueError) as e:
            found = type(e), e.args
        assert found == wanted


@fn
def constants(n: int) -> str:
    out = []
    for i in range(n):
        out.append(f"<{i}>")
    return ", ".join(out) + "."


def test_constants_are_not_counted() -> None:
    assert constants(3) == "<0>, <1>, <2>."
    text = constants.inspect(3)
    assert "@.data" in text
    assert not re.search(r"(load|store) i64.* ptr @\.data", text)
