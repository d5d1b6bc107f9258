"""What people write: conversions, keys, slices, printing."""

from conformance import case, fn


@case("hello")
@fn
def text_to_list(s: str) -> list[str]:
    xs = list(s)
    xs.sort()
    return xs + sorted(set(s)) + list(reversed(s)) + list("ab")


@case([3, 1, 3])
@fn
def unique(xs: list[int]) -> list[int]:
    return sorted(set(xs)) + list(dict.fromkeys(xs))


@case(["a", "b"], [1, 2])
@fn
def zipped(keys: list[str], values: list[int]) -> dict[str, int]:
    d = dict(zip(keys, values))
    d |= dict([("z", 26)])
    return d | {k: v for k, v in zip(keys, values)}


@case({"a": 3, "b": 5, "c": 1})
@fn
def by_value(d: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(d.items(), key=lambda kv: -kv[1]) + [max(d.items(), key=lambda kv: kv[1])]


@case({"a": 3, "b": 5, "c": 1})
@fn
def best_key(d: dict[str, int]) -> str:
    return max(d, key=d.get) + min(d, key=d.get) + max(d, key=lambda k: d[k]) + "".join(sorted(d, key=d.get))


@case({"a": 3, "b": 5})
@fn
def dict_parts(d: dict[str, int]) -> tuple[list[str], list[int], int, list[str], list[tuple[str, int]]]:
    return list(d), list(d.values()), sum(d.values()), list(reversed(d)), list(d.items())


@case([1, 2, 3])
@fn
def joined(xs: list[int]) -> str:
    return ",".join(map(str, xs)) + ";".join(str(x) for x in xs) + " ".join([f"{x:02d}" for x in xs])


@case([1, 2], {"k": [1]}, {3}, (1, "a"))
@fn
def printed(xs: list[int], d: dict[str, list[int]], s: set[int], t: tuple[int, str]) -> None:
    print(xs, d, s, t, None, True, 1.5, "text", [None, 1], {"a": None}, set(), (), (1,), [[]], {}, frozenset({1}))
    print(str(xs), repr(d), f"{xs} {d} {t} {s!r}", repr("a'b"), ["it's", 'q"'])
    print(*xs, sep=", ", end="!\n")
    print(*t)
    print("a", *xs, "b")


@case([1, 2, 3, 4, 5])
@fn
def slices(xs: list[int]) -> list[list[int]]:
    i, j = 1, None
    return [xs[i:j], xs[None:2], xs[::None], xs[:-1], xs[::-1], xs[-2:], xs[1:4:2], xs[:], xs[10:], xs[-100:2]]


@case([1, 2, 3], 0, 2)
@fn
def swapped(values: list[int], i: int, j: int) -> list[int]:
    a = values[:]
    a[i], a[j] = a[j], a[i]
    b = list(a)
    b[:] = [9, 8]
    b[1:1] = a
    b[0:2] = []
    return a + b


@case({"x": 1})
@fn
def counting(start: dict[str, int]) -> dict[str, int]:
    d = dict(start)
    for c in "hello":
        d[c] = d.get(c, 0) + 1
    d["x"] += 5
    d["h"] -= 1
    groups: dict[int, list[str]] = {}
    for c in "hello":
        groups.setdefault(ord(c) % 3, []).append(c)
    for k, v in groups.items():
        d[f"{k}"] = len(v)
    return d


@case([3, 1, 2])
@fn
def emptied(values: list[int]) -> list[int]:
    stack, out = values[:], []
    while stack:
        out.append(stack.pop())
    return out


@case("12", "3.5")
@fn
def parsed(a: str, b: str) -> float:
    return int(a) + float(b) + int("ff", 16) + int(" 7 ") + len(str(int(a) * 2))


@case([5, 2, 9])
@fn
def walrus_inside(xs: list[int]) -> list[int]:
    return [y for x in xs if (y := x * 2) > 5]


@case(["b 2", "a 1"])
@fn
def parsed_lines(lines: list[str]) -> dict[str, int]:
    out = {}
    for line in lines:
        name, value = line.split()
        out[name] = int(value)
    return {k: out[k] for k in sorted(out)}


@case({"a": (1, 2), "b": (3, 4)})
@fn
def tuple_targets(d: dict[str, tuple[int, int]]) -> list[str]:
    out = []
    for i, (k, (x, y)) in enumerate(d.items()):
        out.append(f"{i}{k}{x + y}")
    out += [f"{k}{x}" for k, (x, _) in d.items() if x > 1]
    return out


@case([1, 2, 3, 4])
@fn
def starred(xs: list[int]) -> tuple[int, list[int], int]:
    first, *middle, last = xs
    return first, middle, last


@case(3)
@fn
def documented(n: int) -> int:
    """Says what it does."""
    if __debug__:
        pass
    ...
    assert n > 0, f"n is {n}"
    return n


@case(-3)
@fn
def asserted(n: int) -> int:
    assert n > 0, f"n is {n}"
    return n


@case([3, 1, 2])
@fn
def outer_list(xs: list[int]) -> list[int]:
    seen = []

    def visit(i: int) -> None:
        if i < len(xs):
            seen.append(xs[i])
            visit(i + 1)

    visit(0)
    seen.sort(key=lambda v: (v % 2, -v))
    return seen


@case([(1, "b"), (1, "a"), (0, "c")])
@fn
def sorted_tuples(xs: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return sorted(xs) + sorted(xs, key=lambda t: t[1], reverse=True) + [min(xs), max(xs)]


@case([1, 5, 3], (4, 2))
@fn
def spread(xs: list[int], t: tuple[int, int]) -> int:
    return max(*t) + min(*t, 7) + max(xs) + sum(t) + sum([*xs, *t]) + len((*t, 1))


@case("a,b;c")
@fn
def chained(s: str) -> list[str]:
    return s.strip().upper().replace(";", ",").split(",")[::-1]


@case(3)
@fn
def membership(n: int) -> list[bool]:
    return [
        n in [1, 3], n in (1, 2), n in {3, 4}, n in {3: 1}, n in range(2), "a" in "cat", "x" not in "cat",
        n in {3: 4}.values(), (3, 4) in {3: 4}.items(), n in frozenset([3]), 2.5 in [1, 2], "a" in ["b", "a"],
    ]  # fmt: skip


@case([1, 2, 3])
@fn
def folded(xs: list[int]) -> list[int]:
    a = list(map(lambda x: x + 1, xs))
    b = list(filter(lambda x: x % 2, xs))
    return a + b + [i for i, _ in enumerate(xs, start=1)] + [p + q for p, q in zip(a, xs)]


@case([[1, 2], [3, 4]])
@fn
def flattened(m: list[list[int]]) -> list[int]:
    return [x for row in m for x in row] + sum(m, [])


@case("the cat the dog")
@fn
def word_count(text: str) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


@case(300)
@fn
def ints_and_bytes(n: int) -> tuple[bytes, int, int, list[int]]:
    b = n.to_bytes(2, "big")
    return b, int.from_bytes(b, "little"), int.from_bytes(b, "big", signed=True), list(b)


@case(255.5)
@fn
def float_methods(x: float) -> tuple[str, bool, str, str]:
    return x.hex(), x.is_integer(), hex(int(x)) + bin(int(x)) + oct(-int(x)) + hex(255), f"{complex(1, 2)}"


@case("1+2j")
@fn
def parsed_complex(s: str) -> complex:
    return complex(s)


@case(1 + 2j)
@fn
def complex_text(z: complex) -> str:
    return f"{z} {z!r} {str(z)} {z:.2f} {abs(z):.3f}"


@case(7)
@fn
def built(n: int) -> str:
    out = ""
    while n:
        out = str(n % 2) + out
        n //= 2
    out += "b" * 2
    return out or "0"


@case([1, 2, 3, 4, 5, 6])
@fn
def chunks(xs: list[int]) -> list[list[int]]:
    return [xs[i : i + 4] for i in range(0, len(xs), 4)]


@case([3, 4])
@fn
def any_all(xs: list[int]) -> list[bool]:
    return [any(xs), all(x > 3 for x in xs), any(x > 3 for x in xs), bool(xs), not xs, bool(""), bool(0.0)]


@case({"a": {"b": 1}})
@fn
def nested_dicts(d: dict[str, dict[str, int]]) -> int:
    total = 0
    for inner in d.values():
        for k, v in inner.items():
            total += v + len(k)
    return total + d["a"]["b"]


@case([1, 2, 3, 4])
@fn
def while_else(xs: list[int]) -> int:
    for x in xs:
        if x == 9:
            break
    else:
        return -1
    return 0


@case(5)
@fn
def default_pattern(n: int) -> dict[int, list[int]]:
    graph = {i: [] for i in range(n)}
    for i in range(n - 1):
        graph[i].append(i + 1)
    return graph


@case(["x", "y"])
@fn
def dict_of_index(names: list[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}


@case({1: 2})
@fn
def copies(d: dict[int, int]) -> tuple[dict[int, int], dict[int, int]]:
    e = d.copy()
    e[3] = e.pop(1)
    e.update({4: 5})
    del e[4]
    return dict(d), e


@case([4, 2, 8])
@fn
def extremes(xs: list[int]) -> list[int]:
    best = max(range(len(xs)), key=lambda i: xs[i])
    return [max(xs, default=0), min([], default=-1), max(len("ab"), 1), xs.index(max(xs)), best]


@case("abc")
@fn
def text_loops(s: str) -> list[str]:
    out = []
    for i, c in enumerate(s):
        if c.isalpha() and c not in "xyz":
            out.append(c * i)
    return out + [s[i] for i in range(len(s))] + [chr(ord(c) + 1) for c in s]


@case([1.5, 2.5])
@fn
def mean_and_variance(xs: list[float]) -> tuple[float, float]:
    mean = sum(xs) / len(xs)
    return mean, sum((x - mean) ** 2 for x in xs) / len(xs)


@case(10)
@fn
def swap_and_fib(n: int) -> list[int]:
    a, b, out = 0, 1, []
    while a < n:
        out.append(a)
        a, b = b, a + b
    return out


@case([1, 2, 2])
@fn
def set_algebra(xs: list[int]) -> tuple[set[int], set[int], bool, int]:
    s, t = set(xs), {2, 3}
    s |= {9}
    return s & t, s - t, {1} <= s, len(s ^ t)
