"""Mistakes with lists, dicts and sets; see mistakes.py."""

from __future__ import annotations

from collections import Counter, defaultdict, deque

import numpy as np
from mistakes import call

from sapwood import Tensor, fn

TABLE = [1, 2, 3]


@call(1)
@fn
def slice_of_a_deque(n: int) -> int:
    d = deque([n, 2, 3])
    return len(d[1:])  # type: ignore[index]


@call(1)
@fn
def deque_of_two_types(n: int) -> int:
    d = deque([n])
    d.append("two")
    return d[0]


@call(deque([1]))
@fn
def changes_a_deque(d: deque[int]) -> int:
    return d.popleft()


@call([1])
@fn
def list_for_a_deque(d: deque[int]) -> int:
    return len(d)


@call("aab")
@fn
def counts_by_halves(text: str) -> int:
    counts = Counter(text)
    counts["a"] += 0.5
    return counts["a"]


@call("aab")
@fn
def counter_plus_dict(text: str) -> int:
    return len(Counter(text) + {"a": 1})


@call({"a": 1})
@fn
def dict_for_a_counter(counts: Counter[str]) -> int:
    return counts["a"]


@call(1)
@fn
def deque_times_number(n: int) -> int:
    return len(deque([n]) * 2)


@call(1)
@fn
def elements_of_two_types(n: int) -> int:
    xs = [n, "two"]
    return len(xs)


@call(1)
@fn
def append_of_another_type(n: int) -> int:
    xs = [n]
    xs.append("half")
    return xs[0]


@call(1)
@fn
def empty_list_gets_two_types(n: int) -> int:
    xs = []
    xs.append(n)
    xs.append("two")
    return len(xs)


@call(1)
@fn
def key_of_another_type(n: int) -> int:
    d = {1: n}
    return d["one"]


@call(1)
@fn
def value_of_another_type(n: int) -> int:
    d = {1: n}
    d[2] = "two"
    return d[1]


@call(1)
@fn
def unhashable_key(n: int) -> int:
    d = {[n]: 1}
    return len(d)


@call(1)
@fn
def unhashable_element(n: int) -> int:
    s = set()
    s.add({n: n})
    return len(s)


@call(1)
@fn
def list_ordered_with_int(n: int) -> bool:
    xs = [n]
    return xs < n


@call(1)
@fn
def list_plus_element(n: int) -> int:
    xs = [n]
    xs = xs + n
    return xs[0]


@call(1)
@fn
def list_times_float(n: int) -> int:
    return len([n] * 1.5)


@call(1)
@fn
def wrong_list_method(n: int) -> int:
    xs = [n]
    xs.push(n)
    return xs[0]


@call(1)
@fn
def wrong_dict_method(n: int) -> bool:
    d = {n: n}
    return d.has_key(n)


@call(1)
@fn
def method_arguments(n: int) -> int:
    xs = [n]
    xs.append(n, n)
    return xs[0]


@call(1)
@fn
def frozenset_changed(n: int) -> int:
    s = frozenset([n])
    s.add(n)
    return len(s)


@call(1)
@fn
def set_indexed(n: int) -> int:
    s = {n}
    return s[0]


@call(1)
@fn
def sets_of_two_types(n: int) -> int:
    return len({n} | {"one"})


@call(1)
@fn
def dict_of_no_pairs(n: int) -> int:
    return len(dict([n, 2]))


@call(1)
@fn
def global_list_changed(n: int) -> int:
    TABLE.append(n)
    return n


@call([1])
@fn
def unknown_contents(xs: list) -> int:
    return len(xs)


@call(1)
@fn
def index_is_float(n: int) -> int:
    xs = [n]
    return xs[n / 2]


@call(1)
@fn
def sort_of_incomparable(n: int) -> int:
    xs = [({n: 1}, n)]
    xs.sort()
    return len(xs)


@call([[1]])
@fn
def union_of_many(rows: list[list[int]]) -> int:
    return len(set().union(*rows))


@call(1)
@fn
def list_not_returned_as_declared(n: int) -> list[str]:
    xs = [n]
    return xs


@call(1)
@fn
def dict_plus_dict(n: int) -> int:
    return len({n: 1} + {2: n})


@call({1}, 2.5)
@fn
def set_of_ints_with_a_set_of_floats(a: set[int], x: float) -> set[float]:
    return a | {x}


@call(3)
@fn
def factory_of_a_name_that_changes(n: int) -> int:
    d = defaultdict(lambda: n)
    n += 1
    return d[n]


@call(3)
@fn
def factory_of_a_name_that_a_loop_assigns(n: int) -> int:
    found = []
    for i in range(n):
        found.append(defaultdict(lambda: i))  # noqa: B023
    return found[0][0]


@call(np.zeros(3))
@fn
def factory_that_reads_a_tensor(x: Tensor[float, 1]) -> float:
    d = defaultdict(lambda: x[0])
    return d[1]
