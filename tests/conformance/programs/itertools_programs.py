"""`itertools`."""

import itertools
import operator
from itertools import accumulate, chain, combinations, count, islice, pairwise, permutations, product, repeat

from conformance import case, fn


@case([1, 2], ["a", "b", "c"])
@case([], ["a"])
@fn
def products(xs: list[int], ys: list[str]) -> tuple[list[tuple[int, str]], int, list[tuple[int, int]]]:
    total = 0
    for a, b in product(range(3), xs):
        total = total * 7 + a * b
    return list(product(xs, ys)), total, [p for p in product((0, 1), repeat=2)]


@case([1, 2, 3, 4])
@case([5])
@case([])
@fn
def chosen(xs: list[int]) -> tuple[list[tuple[int, int]], list[tuple[int, int, int]], list[tuple[int, int]], int]:
    return (
        list(combinations(xs, 2)), list(combinations(xs, 3)), list(permutations(xs, 2)),
        sum(a * b for a, b in combinations(xs, 2)),
    )  # fmt: skip


@case(["a", "b", "c", "d"], 3)
@case(["a", "b", "c", "d"], 0)
@case(["a", "b"], 5)
@case(["a"], -1)
@fn
def chosen_at_run_time(xs: list[str], r: int) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]], list[str]]:
    return list(combinations(xs, r)), list(permutations(xs, r)), ["".join(p) for p in permutations(xs)]


@case("abcde")
@fn
def combinations_of_text(s: str) -> list[str]:
    return ["".join(c) for c in combinations(s, 4)] + [a + b for a, b in pairwise(s)]


@case([3, 1, 4, 1, 5])
@case([])
@fn
def accumulated(xs: list[int]) -> tuple[list[int], list[int], list[int], list[float]]:
    return (
        list(accumulate(xs)), list(accumulate(xs, max)), list(accumulate(xs, operator.mul, initial=2)),
        list(accumulate(xs, lambda a, b: a / 2 + b, initial=0.5)),
    )  # fmt: skip


@case([1, 2], [3], [])
@fn
def chained(xs: list[int], ys: list[int], zs: list[int]) -> tuple[list[int], int, list[int], list[tuple[int, int]]]:
    total = 0
    for x in chain(xs, ys, zs, (7, 8), {9: 1}):
        total = total * 10 + x
    return list(chain(xs, zs, ys)), total, list(chain.from_iterable([xs, ys, zs])), list(pairwise(chain(ys, xs)))


@case([1, 2, 3], ["a"])
@fn
def longest(xs: list[int], ys: list[str]) -> tuple[list[tuple[int | None, str | None]], list[tuple[int, int]]]:
    return list(itertools.zip_longest(xs, ys)), list(itertools.zip_longest(xs, [9], fillvalue=-1))


@case(10)
@fn
def counting(n: int) -> tuple[list[int], list[int], list[tuple[int, str]], int]:
    found = []
    for i in count(3, 2):
        if i > n:
            break
        found.append(i)
    total = 0
    for x, y in zip(count(), repeat(5, 3)):
        total += x * y
    return found, list(islice(count(n), 3)), list(zip(count(1), "ab")), total


@case([1, 2, 3, 4, 5, 6, 7], 2, 6, 2)
@case([1, 2, 3], 0, 9, 1)
@case([1, 2, 3], 5, 9, 1)
@fn
def sliced(xs: list[int], a: int, b: int, s: int) -> tuple[list[int], list[int], list[int], list[int]]:
    squares = (x * x for x in xs)
    return list(islice(xs, b)), list(islice(xs, a, b)), list(islice(xs, a, b, s)), list(islice(squares, a, None))


@case([1, 2, 3, 4], -1)
@fn
def bad_slice(xs: list[int], n: int) -> list[int]:
    return list(islice(xs, n))


@case([1, 2, 9, 3, 1])
@case([])
@fn
def conditions(xs: list[int]) -> tuple[list[int], list[int], list[int], list[int]]:
    small = itertools.takewhile(lambda x: x < 5, xs)
    return (
        list(small), list(itertools.dropwhile(lambda x: x < 5, xs)), list(itertools.filterfalse(lambda x: x % 2, xs)),
        list(itertools.starmap(lambda a, b: a * 10 + b, zip(xs, xs))),
    )  # fmt: skip


@case("aaabbca")
@case("")
@fn
def runs(s: str) -> list[tuple[str, int]]:
    return [(k, len(list(g))) for k, g in itertools.groupby(s)]


@case([1, 3, 2, 4, 5])
@fn
def groups_by_key(xs: list[int]) -> list[tuple[bool, list[int]]]:
    out = []
    for odd, group in itertools.groupby(xs, key=lambda x: x % 2 == 1):
        out.append((odd, [x * 10 for x in group]))
    return out


@case(["a", "b", "c"], 7)
@fn
def cycled(xs: list[str], n: int) -> str:
    return "".join(x for x, _ in zip(itertools.cycle(xs), range(n)))


@case([4, 2, 1, 3])
@fn
def best_tour(xs: list[int]) -> tuple[int, int, bool]:
    best = min(sum(abs(a - b) for a, b in pairwise(p)) for p in permutations(xs, 4))
    return best, len(list(product("ab", repeat=3))), any(a + b == 7 for a, b in combinations(xs, 2))


@case()
@fn
def iterators() -> tuple[int, int, list[int]]:
    it = chain([1, 2], [3, 4])
    first = next(it)
    c = count(5)
    next(c)
    return first, next(c), list(it)
