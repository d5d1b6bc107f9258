"""Tuples whose length only run time knows."""

from conformance import case, fn


@case([3, 1, 2])
@case([])
@case([5])
@fn
def made(xs: list[int]) -> tuple[tuple[int, ...], int, str, bool, tuple[int, ...], tuple[int, ...]]:
    t = tuple(xs)
    return t, len(t), f"{t} {t!r}", bool(t), t + (7, 8), t * 2


@case((1, 2, 3, 2), 1)
@case((4,), 9)
@fn
def argument(t: tuple[int, ...], i: int) -> tuple[int, tuple[int, ...], int, list[int], bool]:
    return t.count(2), t[1:], sum(t), [x * 2 for x in t], i in t


@case((1, 2), 5)
@fn
def out_of_range(t: tuple[int, ...], i: int) -> int:
    return t[i]


@case([3, 4, 3], 3, 1)
@case([3, 4, 3], 9, 0)
@fn
def index(xs: list[int], x: int, start: int) -> int:
    return tuple(xs).index(x, start)


@case([1, 2], [1, 2, 3])
@case([1, 2], [1, 2])
@case([2], [1, 5])
@fn
def compared(xs: list[int], ys: list[int]) -> tuple[bool, bool, bool, bool, bool, bool]:
    a, b = tuple(xs), tuple(ys)
    return a == b, a != b, a < b, a >= b, a == (1, 2), (2,) == a


@case(["listen", "silent", "cat", "act", "dog"])
@fn
def anagrams(words: list[str]) -> list[list[str]]:
    groups: dict[tuple[str, ...], list[str]] = {}
    for w in words:
        groups.setdefault(tuple(sorted(w)), []).append(w)
    return list(groups.values())


@case([1, 2, 3])
@fn
def hashed(xs: list[int]) -> tuple[bool, bool, int]:
    t = tuple(xs)
    seen = {t, (1, 2, 3), (1,)}
    memo = {t: "x"}
    return hash(t) == hash((1, 2, 3)), (1, 2, 3) in memo, len(seen)


@case(4)
@case(0)
@fn
def grows(n: int) -> tuple[tuple[int, ...], int]:
    t = ()
    for i in range(n):
        t += (i,)
    return t, len(t)


@case(1)
@case(0)
@fn
def of_either_length(n: int) -> tuple[tuple[int, ...], int]:
    t = (1, 2) if n else (1, 2, 3)
    total = 0
    for x in t:
        total += x
    return t, total


@case((1, 2, 3))
@case((1, 2))
@fn
def unpacked(t: tuple[int, ...]) -> int:
    a, b, c = t
    return a * 100 + b * 10 + c


@case([[1, 2, 3], [4, 5, 6]])
@case([[1, 2], [3]])
@case([])
@fn
def columns(rows: list[list[int]]) -> tuple[list[tuple[int, ...]], list[int], list[list[int]]]:
    return list(zip(*rows)), [sum(c) for c in zip(*rows)], list(map(list, zip(*rows)))


@case([[1, 2, 3], [4, 5, 6]])
@fn
def rotated(rows: list[list[int]]) -> list[list[int]]:
    return [list(row) for row in zip(*rows[::-1])]


@case([("a", 1), ("b", 2)])
@case([])
@fn
def unzipped(pairs: list[tuple[str, int]]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    names, numbers = zip(*pairs)
    return names, numbers


@case([(1, 2), (3, 4), (5, 6)])
@case([])
@fn
def columns_of_pairs(pairs: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    out = []
    for column in zip(*pairs):
        out.append(column)
    return out


@case(["abc", "de"])
@fn
def columns_of_texts(words: list[str]) -> list[str]:
    return ["".join(c) for c in zip(*words)]


@case([3, 1, 2])
@case([5, 4])
@case([])
@case([1])
@fn
def spread(xs: list[int]) -> tuple[int, int]:
    return max(*xs), min(*xs)


@fn
def _total(*xs: int) -> int:
    return sum(xs) * 10 + len(xs)


@fn
def _labelled(label: str, *xs: int, scale: int = 1) -> str:
    out = label
    for i, x in enumerate(xs):
        out += f" {i}:{x * scale}"
    return out


@case([1, 2, 3])
@case([])
@fn
def passed(xs: list[int]) -> tuple[int, int, str, int]:
    return _total(*xs), _total(7, *xs), _labelled("x", *xs, scale=2), max(4, *xs, 2)


@fn
def _area(w: int, h: int) -> int:
    return w * h


@case([3, 4])
@case([3])
@case([1, 2, 3])
@case([])
@fn
def to_parameters(xs: list[int]) -> int:
    return _area(*xs)


@case([1, 2])
@fn
def printed(xs: list[int]) -> None:
    print(tuple(xs), *tuple(xs), [tuple(xs)], {tuple(xs): 1})
