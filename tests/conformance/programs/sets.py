"""Sets and frozensets."""

from conformance import case, fn


@case([3, 1, 3, 2])
@fn
def from_list(values: list[int]) -> set[int]:
    return set(values)


@case(2)
@case(9)
@fn
def contains(n: int) -> tuple[bool, bool]:
    s = {1, 2, 3}
    return n in s, n not in s


@case(4)
@fn
def add_discard(n: int) -> set[int]:
    s = {1, 2}
    s.add(n)
    s.add(1)
    s.discard(2)
    s.discard(77)
    return s


@case(1)
@case(9)
@fn
def remove(n: int) -> set[int]:
    s = {1, 2}
    s.remove(n)
    return s


@case({1, 2, 3}, {2, 3, 4})
@case({1}, {2})
@fn
def operators(a: set[int], b: set[int]) -> tuple[set[int], set[int], set[int], set[int]]:
    return a | b, a & b, a - b, a ^ b


@case({1, 2, 3}, {2, 3, 4})
@fn
def methods(a: set[int], b: set[int]) -> tuple[set[int], set[int], set[int], set[int]]:
    return a.union(b), a.intersection(b), a.difference(b), a.symmetric_difference(b)


@case({1, 2}, {1, 2, 3})
@case({1, 2}, {1, 2})
@case({5}, {1})
@fn
def comparisons(a: set[int], b: set[int]) -> tuple[bool, bool, bool, bool, bool]:
    return a <= b, a < b, a == b, a >= b, a.isdisjoint(b)


@case(10)
@fn
def comprehension(n: int) -> set[int]:
    return {i * i % 7 for i in range(n)}


@case([5, 3, 5, 1])
@fn
def sorted_set(values: list[int]) -> list[int]:
    return sorted(set(values))


@case({1, 2, 3})
@case(set())
@fn
def length_truth_sum(s: set[int]) -> tuple[int, bool, int]:
    total = 0
    for v in s:
        total += v
    return len(s), bool(s), total


@case(3)
@fn
def update_clear(n: int) -> tuple[set[int], set[int]]:
    a = {1}
    a.update([n, n + 1])
    b = a.copy()
    a.clear()
    return a, b


@case({1, 2, 3}, {2})
@fn
def augmented(a: set[int], b: set[int]) -> set[int]:
    c = set(a)
    c |= {7}
    c &= {1, 2, 7}
    c -= b
    c ^= {100}
    return c


@case("hello")
@fn
def of_letters(text: str) -> list[str]:
    return sorted(set(text))


@case(["b", "a", "b"])
@fn
def of_texts(words: list[str]) -> int:
    seen = set()
    for w in words:
        seen.add(w)
    return len(seen)


@case(3)
@fn
def of_tuples(n: int) -> bool:
    visited = {(0, 0)}
    for i in range(n):
        visited.add((i, i + 1))
    return (n - 1, n) in visited and (n, n) not in visited


@case(1)
@fn
def pop_all(n: int) -> int:
    s = {n, 2, 3}
    total = 0
    while s:
        total += s.pop()
    return total


@case(1)
@fn
def pop_empty(n: int) -> int:
    s = {n}
    s.pop()
    return s.pop()


@case([1, 2])
@fn
def frozen(values: list[int]) -> frozenset[int]:
    return frozenset(values) | {9}


@case(1)
@fn
def frozen_as_key(n: int) -> int:
    d = {frozenset({1, 2}): 10, frozenset({n}): 20}
    return d[frozenset({2, 1})]


@case([1, 2, 2, 3, 1])
@fn
def unique_in_order(values: list[int]) -> list[int]:
    seen: set[int] = set()
    out = []
    for v in values:
        if v not in seen:
            seen.add(v)
            out.append(v)
    return out


@case(50)
@fn
def flood(n: int) -> int:
    todo, seen = [0], {0}
    while todo:
        v = todo.pop()
        for w in (v * 2 + 1, v * 3):
            if w < n and w not in seen:
                seen.add(w)
                todo.append(w)
    return len(seen)


@case(1)
@fn
def changed_during_iteration(n: int) -> int:
    s = {1, 2}
    for v in s:
        s.add(v + 100 * n)
    return len(s)
