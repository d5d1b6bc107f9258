"""Lists, dicts and sets of the module."""

from collections import Counter, deque

from conformance import case, fn

PRIMES = [2, 3, 5, 7, 11, 13]
NAMES = ["one", "two", "three"]
PRICES = {"apple": 1.5, "pear": 2.0}
VOWELS = {"a", "e", "i", "o", "u"}
SMALL = frozenset({1, 2, 3})
GRID = [[1, 2, 3], [4, 5, 6]]
POINTS: dict[str, tuple[int, int | None]] = {"a": (1, None), "b": (2, 3)}
WEIGHTS: list[float] = [1, 2, 3]
EMPTY: dict[str, list[int]] = {}
MAYBE = [1, None, 3]
MORSE = str.maketrans({"a": ".-", "b": "-..."})
COUNTS = Counter("hello")
QUEUE = deque([1, 2, 3], 4)
NESTED = {"x": {"y": [1, 2]}}


@case(2)
@case(9)
@fn
def from_lists(i: int) -> tuple[int, str, int, int]:
    total = 0
    for p in PRIMES:
        total += p * len(PRIMES)
    return PRIMES[i], NAMES[i], GRID[1][i], total


@case("apple")
@case("fig")
@fn
def from_dict(name: str) -> tuple[float, bool, list[str], float]:
    return PRICES.get(name, 0.0), name in PRICES, sorted(PRICES), PRICES[name]


@case("education")
@fn
def from_sets(s: str) -> tuple[int, bool, list[int], set[int]]:
    return sum(1 for c in s if c in VOWELS), len(s) in SMALL, sorted(SMALL), {1, 9} | SMALL


@case("a")
@case("b")
@fn
def annotated(name: str) -> tuple[int, int | None, float, int]:
    x, y = POINTS[name]
    return x, y, WEIGHTS[0] / 2, len(EMPTY.get(name, []))


@case("abba")
@fn
def others(s: str) -> tuple[str, int, int, list[int | None], int]:
    return s.translate(MORSE), COUNTS["l"], QUEUE[-1], MAYBE, NESTED["x"]["y"][1]


@case(3)
@fn
def copies(n: int) -> tuple[list[int], list[int], dict[str, float]]:
    mine = PRIMES.copy()
    mine.append(n)
    prices = dict(PRICES)
    prices["kiwi"] = 0.5
    return mine, PRIMES + [n], prices


@fn
def _lookup(xs: list[int], i: int) -> int:
    return xs[i] if i < len(xs) else -1


@case(1)
@case(7)
@fn
def passed_on(i: int) -> int:
    def inner(k: int) -> int:
        return PRIMES[k % 6] + _lookup(PRIMES, k)

    return inner(i) + sum(_lookup(row, i) for row in GRID)


@case(0)
@case(5)
@fn
def in_a_try(i: int) -> str:
    try:
        return NAMES[i]
    except IndexError as e:
        return str(e)


@case()
@fn
def returned() -> tuple[list[int], dict[str, dict[str, list[int]]], str]:
    return PRIMES, NESTED, f"{NAMES} {PRICES} {GRID}"


@fn
def _with_default(x: int, table: dict[int, str] = {1: "one", 2: "two"}, xs: list[int] = [7, 8]) -> str:  # noqa: B006
    return table.get(x, "?") + str(xs[0])


@case(1)
@case(4)
@fn
def defaults(x: int) -> str:
    return _with_default(x) + _with_default(x, {4: "four"}) + _with_default(x, xs=[x])
