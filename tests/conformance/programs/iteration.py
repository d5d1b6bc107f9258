"""enumerate, zip, reversed, map, filter, sorted, sum, min, max, any, all, range objects, iter and next."""

from conformance import case, fn


@case([5, 7])
@case([])
@fn
def enumerated(values: list[int]) -> list[tuple[int, int]]:
    return [(i, v) for i, v in enumerate(values)]


@case(3)
@fn
def enumerate_start(n: int) -> int:
    total = 0
    for i, v in enumerate(range(n), 10):
        total = total * 100 + i * v
    return total


@case(3)
@fn
def zipped(n: int) -> list[int]:
    return [a * b for a, b in zip(range(n), range(10, 20))]


@case(3)
@fn
def zip_three(n: int) -> int:
    total = 0
    for a, b, c in zip(range(n), [1, 2, 3, 4], (5.0, 6.0, 7.0)):
        total += int(a * b * c)
    return total


@case(3)
@case(2)
@fn
def zip_strict(n: int) -> int:
    total = 0
    for a, b in zip(range(n), [1, 2], strict=True):
        total += a * b
    return total


@case(4)
@fn
def reversed_range(n: int) -> list[int]:
    return [i for i in reversed(range(n))]


@case([1, 2, 3])
@fn
def reversed_list(values: list[int]) -> list[int]:
    return list(reversed(values))


@case(3)
@fn
def mapped(n: int) -> list[int]:
    return list(map(lambda i: i * i, range(n)))


@case(3)
@fn
def map_two(n: int) -> int:
    return sum(map(lambda a, b: a * b, range(n), range(1, 10)))


@case(10)
@fn
def filter_even(n: int) -> list[int]:
    return list(filter(lambda i: i % 2 == 0, range(n)))


@case(10)
@fn
def filter_none(n: int) -> list[int]:
    return list(filter(None, [i % 3 for i in range(n)]))


@case([3, 1, 2])
@fn
def sort_variants(values: list[int]) -> tuple[list[int], list[int], list[int]]:
    return sorted(values), sorted(values, reverse=True), sorted(values, key=lambda v: -v)


@case([(2, "b"), (1, "z"), (2, "a")])
@fn
def sort_tuples(values: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return sorted(values)


@case([(2, 1.0), (1, 5.0), (2, 0.5)])
@fn
def sort_is_stable(values: list[tuple[int, float]]) -> list[tuple[int, float]]:
    return sorted(values, key=lambda v: v[0])


@case([(2, 1.0), (1, 5.0), (2, 0.5)])
@fn
def sort_reverse_is_stable(values: list[tuple[int, float]]) -> list[tuple[int, float]]:
    return sorted(values, key=lambda v: v[0], reverse=True)


@case([3, -5, 2])
@fn
def min_max_key(values: list[int]) -> tuple[int, int]:
    return min(values, key=lambda v: v * v), max(values, key=abs)


@case([])
@case([4])
@fn
def min_default(values: list[int]) -> int:
    return min(values, default=-1)


@case([1, 2, 3])
@fn
def sum_start(values: list[int]) -> tuple[int, float]:
    return sum(values, 10), sum(values, 0.5)


@case([0.1, 0.2, 0.3])
@fn
def any_all(values: list[float]) -> tuple[bool, bool, bool]:
    return any(v > 0.25 for v in values), all(values), any([])


@case(10, 3)
@case(-5, -2)
@fn
def range_object(n: int, step: int) -> tuple[int, int, int]:
    r = range(0, n, step)
    return len(r), r[0], r[-1]


@case(6)
@case(7)
@fn
def in_range(n: int) -> tuple[bool, bool]:
    return n in range(0, 10, 2), n not in range(3)


@case(3)
@fn
def range_attributes(n: int) -> tuple[int, int, int]:
    r = range(1, n * 5, 2)
    return r.start, r.stop, r.step


@case(3)
@fn
def next_of_iterator(n: int) -> int:
    it = iter(range(n))
    a = next(it)
    b = next(it)
    return a * 10 + b + next(it, -1) + next(it, -7)


@case(1)
@fn
def stop_iteration(n: int) -> int:
    it = iter([n])
    next(it)
    return next(it)


@case(5)
@fn
def iterator_continues(n: int) -> list[int]:
    it = iter(range(n))
    first = next(it)
    return [first * 100 + i for i in it]


@case("abc", [1, 2, 3])
@fn
def zip_text_and_list(s: str, values: list[int]) -> dict[str, int]:
    return {c: v for c, v in zip(s, values)}


@case("héllo")
@fn
def enumerate_text(s: str) -> list[tuple[int, str]]:
    return list(enumerate(s))


@case({"b": 1, "a": 2})
@fn
def enumerate_dict(d: dict[str, int]) -> list[str]:
    return [k * (i + v) for i, (k, v) in enumerate(d.items())]


@case(4)
@fn
def nested_iteration(n: int) -> int:
    total = 0
    for i, row in enumerate([[j * k for k in range(n)] for j in range(n)]):
        for j, v in enumerate(reversed(row)):
            total += i * j * v
    return total


@case([1, 2, 3, 4])
@fn
def pairs(values: list[int]) -> list[int]:
    return [b - a for a, b in zip(values, values[1:])]


@case(3)
@fn
def dict_of_zip(n: int) -> dict[int, str]:
    return dict(zip(range(n), ["a", "b", "c"]))
