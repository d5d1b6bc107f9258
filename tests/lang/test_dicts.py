"""Dicts and sets in compiled code against CPython's: many operations in one compiled function, driven by numbers."""

# ruff: noqa: RUF051, FURB132, C414, PIE800, C406, B033  (what compiled code must understand)
from __future__ import annotations

import random
from collections import defaultdict

import pytest
from containers import agree

from sapwood import fn, struct


@fn
def dict_machine(ops: list[int]) -> list[int]:
    d = {0: 1}
    e = {5: 5}
    log = []
    i = 0
    while i + 2 < len(ops):
        op, k, v = ops[i], ops[i + 1], ops[i + 2]
        i += 3
        if op == 0 or op == 1:
            d[k] = v
        elif op == 2:
            log.append(d.get(k, -1))
        elif op == 3:
            log.append(d.pop(k, -2))
        elif op == 4:
            if k in d:
                del d[k]
        elif op == 5:
            log.append(d.setdefault(k, v))
        elif op == 6:
            if d:
                a, b = d.popitem()
                log.append(a)
                log.append(b)
        elif op == 7:
            e[k] = v
            if v % 3 == 0:
                d.update(e)
            elif v % 3 == 1:
                d |= {k + 1: v, k + 2: v}
            else:
                e = d | e
        elif op == 8:
            for a, b in d.items():
                log.append(a)
                log.append(b)
        elif op == 9:
            log.append(len(d))
            log.append(int(d == e))
            e = d.copy()
            log.append(int(d == e))
        elif op == 10 and v % 16 == 0:
            d.clear()
        else:
            log.extend(d)
            log.append(sum(e.values()))
    return log


def numbers(seed: int, count: int, operations: int, keys: int) -> list[int]:
    r = random.Random(seed)
    out = []
    for _ in range(count):
        out += [r.randrange(operations), r.choice((r.randrange(-keys, keys), r.randrange(5))), r.randrange(64)]
    return out


def test_a_dict_is_cpythons():
    for seed in range(24):
        agree(dict_machine, numbers(seed, 200, 12, (8, 100, 2**62)[seed % 3]), reference=False)
    agree(dict_machine, numbers(1, 40, 12, 8))


@pytest.mark.nightly
def test_a_dict_is_cpythons_in_many_runs():
    for seed in range(2000):
        agree(dict_machine, numbers(1000 + seed, 500, 12, (3, 30, 1000, 2**62)[seed % 4]), reference=False)


@fn
def set_machine(ops: list[int]) -> list[int]:
    s = {0}
    t = {1, 2, 3}
    log = []
    i = 0
    while i + 2 < len(ops):
        op, k, v = ops[i], ops[i + 1], ops[i + 2]
        i += 3
        if op <= 2:
            s.add(k)
        elif op == 3:
            s.discard(k)
        elif op == 4:
            if k in s:
                s.remove(k)
        elif op == 5:
            if s:
                log.append(s.pop())
        elif op == 6:
            t.add(k)
            t.update(range(v))
        elif op == 7:
            u = s | t if v % 4 == 0 else s & t if v % 4 == 1 else s - t if v % 4 == 2 else s ^ t
            log.extend(u)
        elif op == 8:
            if v % 4 == 0:
                s |= t
            elif v % 4 == 1:
                s &= t
            elif v % 4 == 2:
                s -= t
            else:
                s ^= t
        elif op == 9:
            log.extend(s)
            log.append(len(s))
        elif op == 10:
            log.append(int(s <= t))
            log.append(int(s < t))
            log.append(int(s == t))
            log.append(int(s.isdisjoint(t)))
            log.append(int(s >= {k}))
        elif op == 11 and v % 16 == 0:
            s.clear()
        elif op == 12:
            t = s.copy()
        else:
            log.append(hash(frozenset(s)))
            log.extend(s.union([k, v], range(3)))
            log.extend(s.difference([k, v]))
            log.extend(s.intersection([k, v, 1]))
            log.extend(set(list(t)))
    return log


def test_a_set_of_ints_has_the_order_of_cpythons():
    for seed in range(24):
        agree(set_machine, numbers(seed, 200, 14, (8, 100, 2**62)[seed % 3]), reference=False)
    agree(set_machine, numbers(1, 40, 14, 8))
    agree(set_machine, [11, 4, 16, 0, 3, 30, 1, 9, 23, 1, -8, 59, 0, 4, 11, 11, 4, 9])  # slots that are gone are tidied


@pytest.mark.nightly
def test_a_set_of_ints_has_the_order_of_cpythons_in_many_runs():
    for seed in range(2000):
        agree(set_machine, numbers(1000 + seed, 500, 14, (3, 30, 1000, 2**62)[seed % 4]), reference=False)


@fn
def displays(n: int) -> list[int]:
    squares = {i: i * i for i in range(n) if i % 2}
    both = {**squares, 1: 100, **{2: 7}}
    pairs = dict([(1, 2), (n, 3)])
    zipped = dict(zip(range(n), range(n, 2 * n), strict=True))
    groups = {k: [k] * k for k in range(n)}
    groups[0] = [n]
    out = []
    for k, v in both.items():
        out += [k, v]
    for row in groups.values():
        out.extend(row)
    counts = defaultdict(int)
    lists = defaultdict(list)
    for i in range(n):
        counts[i % 3] += i
        lists[i % 2].append(i)
    for k, row in lists.items():
        out += [k, *row]
    s = {9, 3, 7, 1, 3, 24, 17, n}
    letters = {i % 4 for i in range(n)}
    return [*out, *pairs, *zipped.values(), *counts, *counts.values(), *sorted(s), *s, *letters, len(lists)]


def test_displays():
    for n in (0, 1, 5, 20):
        agree(displays, n)


@fn
def keys_of_many_kinds(n: int) -> list[int]:
    points = {(i, i % 3): i for i in range(n)}
    points[(0, 0)] = 100
    halves = {i * 0.5: i for i in range(n)}
    halves[-0.0] = 7
    halves[0.0] += 1
    flags = {True: 1, False: 2}
    flags[n > 3] = 9
    deep = {((i, 0.5), i > 1): i for i in range(n)}
    fs = {frozenset([i, i + 1]): i for i in range(n)}
    perhaps = {None: 1, 2: 3}
    perhaps[None if n > 3 else 2] = 50
    out = [points[(0, 0)], points.get((5, 2), -1), halves.get(0.0, 0), *flags.values(), *perhaps.values()]
    return [*out, deep.get(((1, 0.5), False), -1), len(deep), fs.get(frozenset({2, 1}), -9), sum(points.values())]


@fn
def hashes(i: int, f: float, b: bool) -> list[int]:
    return [
        hash(i), hash(f), hash(b), hash((i, f)), hash(()), hash((i,)), hash(((i, b), f)), hash(frozenset([i, 3])),
        hash(i * 1.0), hash(-i),
    ]  # fmt: skip


def test_hashes():
    for n in (0, 2, 6):
        agree(keys_of_many_kinds, n)
    for i in (0, 1, -1, -2, 2**61 - 1, 2**61 - 2, 2**61, -(2**61) + 1, 2**63 - 1, -(2**63) + 1, 12345):
        for f in (0.0, -0.0, 0.5, -1.0, 1e300, -1e-310, 5e-324, float("inf"), -float("inf"), 3.75, 2.0**61):
            agree(hashes, i, f, True, reference=False)
    agree(hashes, 77, 0.1, False)


@fn
def dict_errors(n: int, kind: int) -> int:
    d = {i: i for i in range(n)}
    s = set(range(n))
    if kind == 0:
        return d[n]
    if kind == 1:
        del d[n]
    if kind == 2:
        return d.pop(n)
    if kind == 3:
        return d.popitem()[0]
    if kind == 4:
        for k in d:
            d[k + 100] = 1
    if kind == 5:
        for k in list(d):
            del d[k]
    if kind == 6:
        for v in d.values():
            d.pop(v)
    if kind == 7:
        s.remove(n)
    if kind == 8:
        return s.pop()
    if kind == 9:
        for x in s:
            s.add(x + 1000)
    if kind == 10:
        for x in s:
            s.discard(x)
    return len(d) + len(s)


def test_errors():
    for n in (0, 1, 4):
        for kind in range(12):
            agree(dict_errors, n, kind)


@fn
def holds_lists(n: int) -> int:
    d = {0: [1]}
    for i in range(n):
        if i % 5 in d:
            d[i % 5].append(i)
        else:
            d[i % 5] = [i]
        if i % 7 == 3:
            d.pop(i % 5)
        if i % 11 == 5:
            d[i % 5] = d.setdefault(i % 3, [])
    e = d.copy()
    d.clear()
    return sum([sum(v) + k for k, v in e.items()])


def test_values_are_counted():
    for n in (0, 3, 50, 200):
        agree(holds_lists, n)


@fn
def across(
    d: dict[int, float], s: set[int], f: frozenset[int]
) -> tuple[dict[float, list[int]], set[int], frozenset[int]]:
    out = {v: [k] for k, v in d.items()}
    for v, row in out.items():
        row.append(int(v))
    return out, {x * 2 for x in s}, f | s


@fn
def untyped(d, s):
    return {k: v + 1 for k, v in d.items()}, s


def test_the_border():
    for n in (0, 1, 40):
        agree(across, {i * 3: i * 0.5 for i in range(n)}, set(range(n)), frozenset(range(n // 2)))
    agree(untyped, {1: 2, 3: 4}, {5, 6})
    agree(untyped, {(1, 2.5): 3.5}, frozenset([(1, 2)]))
    with pytest.raises(TypeError, match="argument 'd' must be"):
        across({1: "x"}, set(), frozenset())


@fn
def words(text: str) -> dict[str, int]:
    counts = {}
    for w in text.split():
        counts[w] = counts.get(w, 0) + 1
    return counts


@fn
def text_keys(text: str) -> list[str]:
    counts: dict[str, int] = {}
    seen = set()
    for w in text.split():
        if w in counts:
            counts[w] += 1
        else:
            counts[w] = 1
        seen.add(w)
    out = [w for w in sorted(counts) if counts[w] > 1]
    out.extend(sorted(sorted(seen), key=len, reverse=True))
    d = {("a", 1): "x", ("b", 2): text}
    out.append(d.get(("b", 2), "no"))
    out.append(f"{counts} {d!r} {out}")
    out.insert(0, out.pop())
    return out * 2


@fn
def missing_text(text: str) -> int:
    d = {"one": 1}
    return d[text]


def test_text_keys():
    for text in ("", "a b a c", "the quick brown fox jumps over the lazy dog the end \u00e9 \u00e9 \U0001f600"):
        agree(words, text)
        agree(text_keys, text)
    agree(missing_text, "one")
    agree(missing_text, "two \u00e9")


@fn
def shown(n: int) -> str:
    rows = [[i, n] for i in range(n)]
    d = {i: [i * 0.5] for i in range(n)}
    return f"{rows} {d} {set(range(n))} {frozenset([n])} {[None, str(n)]} {[(n, True)]!r:}"


@fn
def complex_keys(n: int) -> list[int]:
    d = {complex(i, 1): i for i in range(n)}
    d[1j] = 7
    return [hash(1 + 2j), hash(complex(n, -n)), *d.values()]


def test_containers_as_text():
    for n in (0, 1, 4):
        agree(shown, n)
        agree(complex_keys, n)


@struct(frozen=True)
class P:
    x: int
    y: float


@struct
class Node:
    v: int
    name: str


@fn
def views(n: int) -> list[int]:
    d = {i: i * 2 for i in range(n)}
    e = dict.fromkeys(range(n), 7)
    d.pop(n // 2, 0)
    out = [len(d.items()), int(4 in d.values()), int(3 in d.keys()), int((1, 2) in d.items()), int((1, 3) in d.items())]
    out.extend(reversed(d))
    for k, v in reversed(d.items()):
        out += [k, v]
    return out + list(e.values())


@fn
def structs(n: int) -> int:
    ps = [P(i, i * 0.5) for i in range(n)]
    e = {p: p.x for p in ps}
    e[P(1, 0.5)] = 50
    ps.sort(key=lambda p: -p.y)
    nodes = [Node(i, "a") for i in range(n)]
    nodes[1].v = 10
    nodes.sort(key=lambda q: q.v, reverse=True)
    by = {q.v: q for q in nodes}
    by[10].v += 5
    return sum(e.values()) + ps[0].x * 1000 + ps.index(P(2, 1.0)) + (P(9, 9.0) in e) + nodes[0].v * 100000


@fn
def bytes_keys(text: str) -> dict[bytes, int]:
    d = {b"a": 1}
    d[text.encode()] = 2
    return d


def test_views_structs_bytes():
    for n in (0, 1, 6):
        agree(views, n)
    agree(structs, 5)
    agree(bytes_keys, "a")
    agree(bytes_keys, "\u00e9")


Compared = tuple[bool, bool, bool, bool, bool, bool, int]


@fn
def views_compared(d: dict[int, str], e: dict[int, str], s: set[int]) -> Compared:
    return (
        d.keys() == e.keys(), d.items() == e.items(), d.keys() <= s, d.keys() > {1}, d.keys() != s,
        d.keys().isdisjoint(s), len(d.items() - e.items()),
    )  # fmt: skip


@fn
def views_combined(d: dict[int, str], e: dict[int, str], s: set[int]) -> tuple[set[int], set[int], set[int], set[int]]:
    return d.keys() & s, s | e.keys(), d.keys() - e.keys(), d.keys() ^ s


@pytest.mark.parametrize("s", [set(), {1, 2}, {1, 2, 5}])
def test_views_are_compared_and_combined_as_sets(s):
    dicts = [{}, {1: "a", 2: "b"}, {2: "b", 3: "c"}, {1: "a", 2: "x"}]
    for d in dicts:
        for e in dicts:
            agree(views_compared, d, e, s)
            agree(views_combined, d, e, s)


@fn
def of_nothing(n: int) -> int:
    xs = [None] * n
    d = dict.fromkeys(range(n))
    e = {(): 1}
    ys = [()] * n
    ys.append(())
    return len(xs) + len(d) + len(e) + len(ys) + xs.count(None)


def test_what_takes_no_room():
    for n in (0, 1, 3):
        agree(of_nothing, n)


@fn
def grow(d: dict[int, int], n: int) -> int:
    for i in range(n):
        d[100 + i] = i
    return n


@fn
def found_once(keys: list[int], names: list[str]) -> tuple[dict[int, int], dict[str, list[int]], dict[str, float]]:
    """Places that are known, and some that only seem to be."""
    d: dict[int, int] = {}
    e: dict[str, list[int]] = {}
    x = {"a": 0.5}
    for k in keys:
        d[k] = d.get(k, 0) + 1
        d[k] += 1
        d[k] = d[k] * 2 if d[k] % 3 else -d[k]
        d[k] = d.get(k, 0) + grow(d, k)
        d[k] = d.get(k + 1, 7)
        d[k] = d.get(k, 0) + d.pop(k, 5)
        if k in d:
            d[k] -= 1
    for name in names:
        e[name] = e.get(name, []) + [len(name)]
        e[name] = e[name] if len(e) > 2 else e.setdefault("z", [])
        x[name] = x.get(name, 1) / 2
    return d, e, x


def test_a_place_that_was_just_found():
    for keys, names in (([], []), ([1, 2, 1, 3, 1, 20], ["a", "b", "a", "ü", "c", "a"]), ([5] * 9, ["q"] * 4)):
        agree(found_once, keys, names)


@fn
def one_look(keys: list[int]) -> int:
    d = {0: 0}
    for k in keys:
        d[k] = d.get(k, 0) + 1
        d[k] += 2
    return d[0]


def test_what_is_got_and_set_is_looked_up_once():
    text = one_look.inspect([1], kind="ssa")
    loop = text[text.index("host @one_look.") :].split("\nhost ")[0]
    assert loop.count("function=dict_place") == 1 + 2  # one for d[0]
    assert loop.count("function=dict_set_at") == 2


@fn
def with_itself(xs: list[int]) -> list[list[int]]:
    s = {65536}.union([2], set(xs))
    t = set(xs)
    return [list(s | s), list(s & s), list(s.union(s, t)), list(t.union(t, t)), list(s - s), list(s ^ s), list(t | s)]


def test_sets_with_themselves():
    for xs in ([], [783834, 1048572], [5, 13, 21, 29, 37], list(range(0, 2000, 8))):
        agree(with_itself, xs)
