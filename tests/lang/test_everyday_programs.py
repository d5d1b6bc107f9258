"""Shapes of programs that people write without a thought, which once were refused: against CPython, boxed CPython
and the evaluator."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, defaultdict, deque
from dataclasses import field

import pytest
from oracles import agree

from sapwood import CompileError, fn, struct
from sapwood.lang.errors import BadConversion, NoAttribute, ReturnMismatch, WrongArgumentType
from sapwood.lang.function import State


@fn
def components(graph: dict[int, list[int]]) -> list[list[int]]:
    """Tarjan's: an empty list is made in a nested function that calls itself."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    out = []
    counter = 0

    def strong(v: int) -> None:
        nonlocal counter
        index[v] = low[v] = counter
        counter += 1
        stack.append(v)
        for w in graph[v]:
            if w not in index:
                strong(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            component = []
            while True:
                w = stack.pop()
                component.append(w)
                if w == v:
                    break
            out.append(sorted(component))

    for v in graph:
        if v not in index:
            strong(v)
    return out


def test_strong_components() -> None:
    assert agree(components, {0: [1], 1: [2], 2: [0, 3], 3: [4], 4: [5], 5: [3]}, plain=True)


@fn
def steps(maze: list[str]) -> int:
    """The start is None until it is found, and so are the places in the queue."""
    start = end = None
    for y in range(len(maze)):
        for x in range(len(maze[0])):
            if maze[y][x] == "S":
                start = (y, x)
            elif maze[y][x] == "E":
                end = (y, x)
    queue = deque([(start, 0)])
    seen = {start}
    while queue:
        (y, x), d = queue.popleft()
        if (y, x) == end:
            return d
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            ny, nx = y + dy, x + dx
            if 0 <= ny < len(maze) and 0 <= nx < len(maze[0]) and maze[ny][nx] != "#" and (ny, nx) not in seen:
                seen.add((ny, nx))
                queue.append(((ny, nx), d + 1))
    return -1


@pytest.mark.parametrize("maze", [["S.#.", "..#E", "...."], ["S#E"], ["..E"]])
def test_what_may_be_none_is_unpacked(maze: list[str]) -> None:
    agree(steps, maze, plain=True)


@fn
def best(xs: list[float]) -> str:
    found = None
    for x in xs:
        if found is None or x > found:
            found = x
    return f"best {found:.2f}"


@fn
def numbers(a: str | None, b: float | None) -> float:
    return int(a) + float(a) + float(b) + int(b)


@pytest.mark.parametrize("xs", [[1.0, 2.5], []])
def test_what_may_be_none_is_formatted(xs: list[float]) -> None:
    agree(best, xs, plain=True)


@pytest.mark.parametrize(("a", "b"), [("3", 1.5), (None, 1.5), ("4", None)])
def test_what_may_be_none_becomes_a_number(a: str | None, b: float | None) -> None:
    agree(numbers, a, b, plain=True)


@fn
def labelled(a: int, /, b: str = "b", c: float = 0.5) -> str:
    return f"{a} {b} {c}"


def test_defaults_and_keywords_reach_the_compiled_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    assert labelled(1, "x", 2.0) == "1 x 2.0"
    monkeypatch.setattr(State, "classify", None)  # the slow path
    assert labelled(1) == "1 b 0.5"
    assert labelled(1, c=2.5) == "1 b 2.5"
    assert labelled(1, c=3, b="y") == "1 y 3.0"


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((), {"a": 1}), ((1, "b"), {"b": "c"}), ((1,), {"d": 2}), ((1, "b", 2.0, 3), {}), ((1,), {"b": 5})],
)
def test_wrong_calls_after_right_ones(args: tuple, kwargs: dict) -> None:
    labelled(1)
    with pytest.raises(TypeError):
        labelled(*args, **kwargs)


@struct
class Record:
    names: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)


@fn
def recorded(n: int) -> int:
    record = Record()
    for i in range(n):
        record.names.append("a" * i)
        record.sizes.append(i)
        record.seen[record.names[-1]] = i
    return len(record.names) + sum(record.sizes) + len(record.seen)


def test_default_factories_of_several_fields() -> None:
    for n in (0, 3):
        agree(recorded, n, plain=True)


@fn
def large_only(n: int) -> int | None:
    if n > 2:
        return n


@fn
def what_is_large(n: int) -> str:
    x = large_only(n)
    return "none" if x is None else str(x)


def test_functions_that_end_without_return_give_none() -> None:
    for n in (1, 3):
        assert large_only(n) == large_only.__wrapped__(n)
        agree(what_is_large, n, plain=True)


@fn
def by_methods(names: list[str]) -> tuple[list[str], list[str], str, int]:
    found = [1]
    list.append(found, 3)
    return sorted(names, key=str.lower), list(map(str.strip, names)), str.replace(names[0], "a", "b"), len(found)


def test_methods_of_classes_are_functions() -> None:
    agree(by_methods, ["b ", "A", " c"], plain=True)


@fn
def no_method(n: int) -> str:
    return str.lower(n)  # type: ignore[arg-type]


def test_a_method_of_another_class() -> None:
    with pytest.raises(CompileError, match="its first argument is int, not str"):
        no_method(1)


@fn
def taken(n: int) -> tuple[list[int], dict[int, int], set[int], list[int], int]:
    xs = list(range(n))
    d = {1: 1, 2: 2}
    s = {1, 2}
    t = [5, 6]
    a = [*xs, xs.pop()]
    b = {**d, 7: d.pop(1)}
    c = {*s, s.pop()}
    e = [*t, *t, t.pop(), *t]
    return a, b, c, e, max(*xs, xs.pop(), key=lambda x: x)


def test_what_is_starred_is_taken_before_what_follows() -> None:
    for n in (4, 5, 1, 0):
        agree(taken, n, plain=True)


@fn
def with_new_key(d: dict[str, list[int]]) -> int:
    d["new"].append(1)
    return len(d)


@fn
def places_of(words: list[str]) -> tuple[dict[str, list[int]], int]:
    """A defaultdict is a dict, in annotations of names, parameters and results, and stays a defaultdict."""
    places: dict[str, list[int]] = defaultdict(list)
    for i, w in enumerate(words):
        places[w].append(i)
    return places, with_new_key(places)


@fn
def counts_of(text: str) -> dict[str, int]:
    return Counter(text)


def test_classes_derived_from_dict_are_dicts() -> None:
    assert places_of(["a", "b", "a"]) == ({"a": [0, 2], "b": [1], "new": [1]}, 3)
    assert places_of.python(["a", "b", "a"]) == places_of.reference(["a", "b", "a"]) == places_of(["a", "b", "a"])
    agree(counts_of, "hello", plain=True)


@struct
class Graph:
    edges: dict[int, int]


@fn
def kept_in_a_field(n: int) -> int:
    d = defaultdict(int)
    d[n] += 1
    return len(Graph(d).edges)


@fn
def another_value(n: int) -> dict[int, str]:
    d = defaultdict(int)
    d[n] += 1
    return d


def test_a_field_keeps_its_declared_class() -> None:
    with pytest.raises(WrongArgumentType, match=r"dict\(edges\) makes a plain dict of it"):
        kept_in_a_field(1)
    with pytest.raises(ReturnMismatch, match=r"defaultdict\[int, int\] here, but dict\[int, str\] is declared"):
        another_value(1)


@struct
class Job:
    name: str
    size: int = 0


@fn
def by_priority(priorities: list[int], numbered: bool) -> list[str]:
    """Objects without an order in a heap, behind what tells them apart."""
    heap = []
    for i, p in enumerate(priorities):
        heapq.heappush(heap, (p, i if numbered else 0, Job(f"{p}.{i}", i)))
    out = []
    while heap:
        _, _, job = heapq.heappop(heap)
        out.append(job.name)
    return out


@fn
def dicts_by_letter(words: list[str]) -> list[tuple[str, dict[str, int]]]:
    groups: dict[str, dict[str, int]] = {}
    for i, w in enumerate(words):
        groups.setdefault(w[0], {})[w] = i
    return sorted(groups.items())


@fn
def least_and_largest(xs: list[int]) -> tuple[int, int, int]:
    pairs = [(x, Job("same")) for x in xs]
    return min(pairs)[0], max(pairs)[0], sorted(pairs, reverse=True)[1][0]


@fn
def compared(x: int, y: int, a: int, b: int) -> tuple[bool, bool]:
    return (x, {1: a}) < (y, {1: b}), (x, {1: a}, 5) >= (y, {1: b}, 6)


def test_items_without_an_order_behind_others() -> None:
    for numbered in (True, False):
        agree(by_priority, [3, 1, 2], numbered, plain=True)
        agree(by_priority, [3, 1, 3], numbered, plain=True)
    agree(dicts_by_letter, ["b", "ab", "ac", "ba"], plain=True)
    agree(least_and_largest, [2, 1, 3], plain=True)
    agree(least_and_largest, [2, 2], plain=True)
    for x, a in ((1, 5), (2, 5), (3, 5), (2, 6)):
        agree(compared, x, 2, a, 5, plain=True)


@fn
def joined(rows: list[list[int]]) -> tuple[list[int], int]:
    return list(itertools.chain(*rows)), sum(itertools.chain([1], *rows))


def test_chain_of_rows() -> None:
    agree(joined, [[1, 2], [], [3]], plain=True)
    agree(joined, [], plain=True)


@fn
def neighbours(
    lists: dict[str, list[int]], sets: dict[str, set[int]], rows: dict[str, tuple[int, ...]], keys: list[str]
) -> tuple[list[int], int, list[int]]:
    """A default of () where a loop takes what the dict gives."""
    out = []
    total = 0
    empty: dict[str, list[int]] = {}
    for k in keys:
        for x in lists.get(k, ()):
            out.append(x)
        total += sum(x for x in sets.get(k, ()))
        for x in empty.get(k, ()):
            total += x
    return out, total, [x for k in keys for x in rows.get(k, ())]


def test_nothing_as_a_default_of_a_loop() -> None:
    agree(neighbours, {"a": [1, 2]}, {"b": {3}}, {"a": (5, 6)}, ["a", "b", "c"], plain=True)
    agree(neighbours, {}, {}, {}, ["a"], plain=True)


@struct
class Share:
    part: int
    whole: int

    def __float__(self) -> float:
        return self.part / self.whole

    def __int__(self) -> int:
        return self.part // self.whole


@struct
class Place:
    row: int

    def __index__(self) -> int:
        return self.row


@struct
class Careless:
    value: int

    def __float__(self):
        return self.value


@fn
def numbers_of_structs(n: int) -> tuple[float, int, float, int]:
    share = Share(n, 4)
    return float(share), int(share), float(Place(n)), int(Place(n))


@fn
def number_of_what_may_be_none(n: int) -> float:
    share = Share(n, 4) if n > 0 else None
    return float(share)


@fn
def no_float(n: int) -> float:
    return float(Careless(n))


def test_structs_become_numbers_by_their_own_methods() -> None:
    for n in (7, -7, 0):
        agree(numbers_of_structs, n, plain=True)
        agree(number_of_what_may_be_none, n, plain=True)
    with pytest.raises(BadConversion, match="has to return float"):
        no_float(1)


@struct
class Undeclared:
    def __init__(self, size: int) -> None:
        self.items = [size]

    def first(self) -> int:
        return self.items[0]


@fn
def fields_of_init(n: int) -> int:
    return Undeclared(n).first()


def test_a_field_that_only_init_names() -> None:
    with pytest.raises(NoAttribute, match=r"declares its fields: write items: list\[int\] in the class"):
        fields_of_init(1)


@fn
def counts(text: str, more: str | None, n: int | None, x: float | None) -> tuple[int, int, float, int, float, float]:
    """`int(text or 1)`: a text on one side and a number on the other."""
    return int(text or 1), int(more or 2), float(text or 0), int(n or 7), float(x or 2), float(n or 0.5)


def test_a_number_of_a_text_or_a_number() -> None:
    for text, more, n, x in (("12", "5", 3, 1.5), ("", None, None, None), ("0", "", 0, 0.0), ("a", None, 1, 1.0)):
        agree(counts, text, more, n, x, plain=True)


STOP_WORDS = {"the", "a"}


@fn
def content_words(words: list[str], text: str) -> int:
    """A constant of the module that is first met in a loop, which leaves a text alone."""
    n = 0
    for w in words:
        if w not in STOP_WORDS:
            n += 1
    return n + len(text)


def test_constants_that_a_loop_meets_first() -> None:
    agree(content_words, ["a", "b", "the", "c"], "x", plain=True)
