"""`collections.Counter`."""

from collections import Counter

from conformance import case, fn


@case("abracadabra")
@case("")
@fn
def counted(text: str) -> tuple[Counter[str], list[tuple[str, int]], list[tuple[str, int]], int, str]:
    c = Counter(text)
    return c, c.most_common(2), c.most_common(), c.total(), repr(c)


@case(["a", "b", "a"], {"b": 5, "z": -2})
@case([], {})
@fn
def updated(words: list[str], more: dict[str, int]) -> tuple[Counter[str], Counter[str], int, bool, list[str]]:
    c: Counter[str] = Counter()
    for w in words:
        c[w] += 1
    c.update(more)
    c.update(words)
    d = c.copy()
    d.subtract(words)
    d.subtract(more)
    d.subtract(q=3)
    return c, d, c["missing"], "missing" in c, sorted(c.elements())


@case([1, 1, 2, 3], [1, 2, 2, 9])
@case([], [4])
@case([4], [])
@fn
def combined(xs: list[int], ys: list[int]) -> list[Counter[int]]:
    a, b = Counter(xs), Counter(ys)
    b[7] = -4
    return [a + b, a - b, a | b, a & b, +b, -b, b - a]


@case([1, 1, 2, 3], [1, 2, 2, 9])
@fn
def in_place(xs: list[int], ys: list[int]) -> list[Counter[int]]:
    a, b, c, d = Counter(xs), Counter(xs), Counter(xs), Counter(xs)
    other = Counter(ys)
    a += other
    b -= other
    c |= other
    d &= other
    return [a, b, c, d]


@case("aab", "aab")
@case("aab", "ab")
@case("ab", "aabc")
@fn
def compared(s: str, t: str) -> tuple[bool, bool, bool, bool, bool, bool, bool]:
    a, b = Counter(s), Counter(t)
    a["zero"] = 0
    return a == b, a != b, a <= b, a < b, a >= b, a > b, a == {"a": 2, "b": 1, "zero": 0}


@case("tapa", "taps")
@case("listen", "silent")
@fn
def anagram(s: str, t: str) -> bool:
    return Counter(s) == Counter(t)


@case([3, 1, 3, 2, 3, 1])
@fn
def mode(xs: list[int]) -> tuple[int, int, list[int]]:
    c = Counter(xs)
    del c[2]
    del c[99]
    c[5] = 0
    most, times = c.most_common(1)[0]
    return most, times, [k for k, n in c.items() if n > 0]


@case(Counter("hello"))
@fn
def argument(c: Counter[str]) -> tuple[int, list[str], int, bool, dict[str, int]]:
    return c["l"], sorted(c, key=c.get), max(c.values()), isinstance(c, dict), dict(c)


@case("the cat the dog")
@fn
def words(text: str) -> list[tuple[str, int]]:
    return sorted(Counter(text.split()).items(), key=lambda p: (-p[1], p[0]))


@case([(1, 2), (2, 1), (1, 2)])
@fn
def of_pairs(pairs: list[tuple[int, int]]) -> tuple[Counter[tuple[int, int]], int]:
    c = Counter(tuple(p) for p in pairs)
    return c, c[(1, 2)] * 10 + c.pop((2, 1))


@case(3)
@fn
def keywords(n: int) -> Counter[str]:
    return Counter(red=n, blue=2) + Counter({"red": 1})
