"""Comprehensions and generator expressions."""

from conformance import case, fn


@case(5)
@case(0)
@fn
def squares(n: int) -> list[int]:
    return [i * i for i in range(n)]


@case(10)
@fn
def filtered(n: int) -> list[int]:
    return [i for i in range(n) if i % 2 if i > 3]


@case(4)
@fn
def two_loops(n: int) -> list[int]:
    return [i * 10 + j for i in range(n) for j in range(i)]


@case(3)
@fn
def nested(n: int) -> list[list[int]]:
    return [[i * j for j in range(n)] for i in range(n)]


@case(3)
@fn
def flatten(n: int) -> list[int]:
    grid = [[i, -i] for i in range(n)]
    return [x for row in grid for x in row]


@case(5)
@fn
def conditional_value(n: int) -> list[float]:
    return [i / 2 if i % 2 else -1.0 for i in range(n)]


@case(4)
@fn
def of_tuples(n: int) -> list[tuple[int, float]]:
    return [(i, i * 0.5) for i in range(n)]


@case(4)
@fn
def unpacks(n: int) -> list[int]:
    return [a * b for a, b in [(i, i + 1) for i in range(n)]]


@case(10)
@fn
def generator_sum(n: int) -> int:
    return sum(i * i for i in range(n) if i % 3)


@case(10)
@fn
def any_all(n: int) -> tuple[bool, bool]:
    return any(i > 8 for i in range(n)), all(i < 8 for i in range(n))


@case(5)
@case(0)
@fn
def min_max_generator(n: int) -> tuple[int, int]:
    return min(abs(i - 3) for i in range(n)), max(i % 3 for i in range(n))


@case(3)
@fn
def scope(n: int) -> int:
    i = 100
    values = [i for i in range(n)]
    return i + sum(values)


@case(3)
@fn
def captures(n: int) -> list[int]:
    k = n * 10
    return [k + i for i in range(n)]


@case(4)
@fn
def lazily(n: int) -> bool:
    return any(10 // (2 - i) > 3 for i in range(n))


@case(3)
@fn
def raising_inside(n: int) -> list[int]:
    return [10 // (2 - i) for i in range(n)]


@case(6)
@fn
def walrus_inside(n: int) -> list[int]:
    return [y for i in range(n) if (y := i * i) > 5]


@case(5)
@fn
def list_of_generator(n: int) -> list[int]:
    return list(i + 1 for i in range(n))


@case(4)
@fn
def transposed(n: int) -> list[list[int]]:
    rows = [[i * n + j for j in range(n)] for i in range(2)]
    return [[row[j] for row in rows] for j in range(n)]


@case(20)
@fn
def primes(n: int) -> list[int]:
    return [p for p in range(2, n) if all(p % d for d in range(2, p))]


@case(4)
@fn
def triples(n: int) -> list[tuple[int, int, int]]:
    top = n * 4
    return [(a, b, c) for a in range(1, top) for b in range(a, top) for c in range(b, top) if a * a + b * b == c * c]


@case(3)
@fn
def dict_of_lists(n: int) -> dict[int, list[int]]:
    return {i: [j for j in range(i)] for i in range(n)}


@case(["a", "bb", "a"])
@fn
def dict_of_texts(words: list[str]) -> dict[str, int]:
    return {w: len(w) for w in words}


@case(["a", "bb", "a"])
@fn
def set_of_lengths(words: list[str]) -> set[int]:
    return {len(w) for w in words}


@case(5)
@fn
def join_generator(n: int) -> str:
    return ",".join(str(i) for i in range(n))


@case(7)
@fn
def count_if(n: int) -> int:
    return sum(1 for i in range(n) if i % 2 == 0) + sum(i > 3 for i in range(n))


@case(3)
@fn
def lambda_in_comprehension(n: int) -> list[int]:
    add = lambda a: a + n
    return [add(i) for i in range(n)]


@case(3)
@fn
def indices(n: int) -> list[int]:
    values = [3, 1, 2, 0]
    return [values[values[i]] for i in range(n)]
