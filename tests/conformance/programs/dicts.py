"""Dicts: building, items, methods, order, mutation, comprehension."""

from conformance import case, fn


@case(3)
@case(0)
@fn
def build(n: int) -> dict[int, int]:
    out = {}
    for i in range(n):
        out[i * 7 % 5] = i
    return out


@case(2)
@case(9)
@fn
def look_up(k: int) -> int:
    d = {1: 10, 2: 20}
    return d[k]


@case("b")
@case("zz")
@fn
def look_up_text(k: str) -> int:
    d = {"a": 1, "b": 2}
    return d[k]


@case(2)
@case(9)
@fn
def get(k: int) -> tuple[int, int]:
    d = {1: 10, 2: 20}
    return d.get(k, -1), d.get(1, 0)


@case(2)
@case(9)
@fn
def contains(k: int) -> tuple[bool, bool]:
    d = {1: 1.0, 2: 2.0}
    return k in d, k not in d


@case({1: 2, 3: 4})
@case({})
@fn
def length_and_truth(d: dict[int, int]) -> tuple[int, bool]:
    return len(d), bool(d)


@case({1: 2, 3: 4})
@fn
def iterate_keys(d: dict[int, int]) -> list[int]:
    out = []
    for k in d:
        out.append(k)
    return out


@case({3: 1.5, 1: 2.5})
@fn
def views(d: dict[int, float]) -> tuple[list[int], list[float], list[tuple[int, float]]]:
    return list(d.keys()), list(d.values()), list(d.items())


@case({"x": 1, "y": 2})
@fn
def items(d: dict[str, int]) -> int:
    total = 0
    for key, value in d.items():
        total = total * 10 + len(key) * value
    return total


@case("the cat the dog the end")
@fn
def count_words(text: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    return counts


@case(5)
@fn
def update_in_place(n: int) -> dict[int, int]:
    d = {0: 0, 1: 1}
    for i in range(n):
        d[i % 2] += i
    return d


@case(1)
@case(9)
@fn
def delete(k: int) -> dict[int, int]:
    d = {1: 1, 2: 2, 3: 3}
    del d[k]
    return d


@case(1)
@case(9)
@fn
def pop(k: int) -> tuple[int, dict[int, int]]:
    d = {1: 1, 2: 2}
    v = d.pop(k)
    return v, d


@case(9)
@fn
def pop_default(k: int) -> int:
    d = {1: 1, 2: 2}
    return d.pop(k, -5)


@case(3)
@fn
def popitem(n: int) -> tuple[tuple[int, int], dict[int, int]]:
    d = {1: n, 2: n + 1}
    return d.popitem(), d


@case(1)
@case(9)
@fn
def setdefault(k: int) -> tuple[int, dict[int, int]]:
    d = {1: 1}
    return d.setdefault(k, 7), d


@case(1)
@fn
def setdefault_list(n: int) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = {}
    for i in range(6):
        groups.setdefault(i % 3, []).append(i * n)
    return groups


@case(2)
@fn
def update(n: int) -> dict[int, int]:
    a = {1: 1, 2: 2}
    a.update({2: n * 10, 3: 3})
    return a


@case(2)
@fn
def merge(n: int) -> dict[int, int]:
    a = {1: 1, 2: 2} | {2: n * 10}
    a |= {5: 5}
    return a


@case(2)
@fn
def copy_clear(n: int) -> tuple[dict[int, int], dict[int, int]]:
    a = {n: n}
    b = a.copy()
    a.clear()
    return a, b


@case({1: 1, 2: 2}, {2: 2, 1: 1})
@case({1: 1}, {1: 2})
@fn
def equality(a: dict[int, int], b: dict[int, int]) -> tuple[bool, bool]:
    return a == b, a != b


@case(10)
@fn
def comprehension(n: int) -> dict[int, int]:
    return {i: i * i for i in range(n) if i % 3}


@case({1: "a", 2: "b"})
@fn
def inverted(d: dict[int, str]) -> dict[str, int]:
    return {v: k for k, v in d.items()}


@case(100)
@fn
def order_after_deletes(n: int) -> list[int]:
    d = {}
    for i in range(n):
        d[i * 37 % 101] = i
    for i in range(0, n, 3):
        del d[i * 37 % 101]
    for i in range(5):
        d[1000 + i] = i
    return list(d)


@case(2)
@fn
def tuple_keys(n: int) -> int:
    d = {(0, 0): 1, (0, 1): 2, (n, n): 3}
    return d[(n, n)] * 10 + d.get((0, 1), 0)


@case(1.0)
@fn
def float_keys(x: float) -> int:
    d = {1.0: 1, 2.5: 2}
    d[x] = 9
    d[-0.0] = 4
    return d[1.0] + d[0.0]


@case(True)
@fn
def bool_keys(b: bool) -> int:
    d = {True: 1, False: 2}
    return d[b]


@case(1)
@fn
def changed_during_iteration(n: int) -> int:
    d = {1: 1, 2: 2}
    for k in d:
        d[k + 10] = n
    return len(d)


@case(3)
@fn
def nested(n: int) -> dict[int, dict[int, int]]:
    out: dict[int, dict[int, int]] = {}
    for i in range(n):
        out[i] = {}
        for j in range(i):
            out[i][j] = i + j
    return out


@case(1)
@fn
def alias(n: int) -> tuple[int, bool]:
    a = {1: 1}
    b = a
    b[2] = n
    return len(a), a is b


@case({"one": 1, "two": 2})
@fn
def printed(d: dict[str, int]) -> None:
    print(d, {}, {1: [1.5]})


@case({3: 0, 1: 0, 2: 0})
@fn
def sorted_keys(d: dict[int, int]) -> list[int]:
    return sorted(d)


@case({"b": 2, "a": 2, "c": 3})
@fn
def sorted_items(d: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(d.items(), key=lambda kv: (-kv[1], kv[0]))


@case({"b": 2, "a": 5})
@fn
def best_key(d: dict[str, int]) -> tuple[str, int]:
    return max(d, key=lambda k: d[k]), sum(d.values())


@case([("a", 1), ("b", 2)])
@fn
def from_pairs(pairs: list[tuple[str, int]]) -> dict[str, int]:
    return dict(pairs)


@case(3)
@fn
def from_keys(n: int) -> dict[int, int]:
    return dict.fromkeys(range(n), 7)


@case(1)
@fn
def from_keywords(n: int) -> dict[str, int]:
    return dict(a=n, b=2)


@case(4)
@fn
def memo(n: int) -> int:
    cache: dict[int, int] = {0: 0, 1: 1}

    def fib(k: int) -> int:
        if k not in cache:
            cache[k] = fib(k - 1) + fib(k - 2)
        return cache[k]

    return fib(n * 10)


@case(3)
@fn
def last_wins(n: int) -> dict[int, int]:
    return {1: 1, n: 2, 3: 3}


@case(2)
@fn
def missing_key_text(n: int) -> int:
    d = {"a": 1}
    return d["x" * n]


@case(2)
@fn
def missing_tuple_key(n: int) -> int:
    d = {(1, 2): 1}
    return d[n, n]


@case(7)
@fn
def two_sum(wanted: int) -> tuple[int, int]:
    seen: dict[int, int] = {}
    values = [1, 5, 2, 9]
    for i, v in enumerate(values):
        if wanted - v in seen:
            return seen[wanted - v], i
        seen[v] = i
    return -1, -1


@case(1000)
@fn
def large(n: int) -> int:
    d = {}
    for i in range(n):
        d[i * 2654435761 % 1000003] = i
    total = 0
    for k, v in d.items():
        total = (total * 31 + k * v) % 1000000007
    return total


@case(2)
@fn
def raises_with_live_dicts(n: int) -> int:
    d = {1: [1, 2], 2: [3]}
    e = {"k": d}
    return e["k"][n][5]


@case({1: 1})
@fn
def reversed_keys(d: dict[int, int]) -> list[int]:
    d2 = dict(d)
    d2[5] = 2
    return list(reversed(d2))
