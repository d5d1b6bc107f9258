"""Comprehensions and generator expressions."""

from conformance import case, fn


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


@case(4)
@fn
def lazily(n: int) -> bool:
    return any(10 // (2 - i) > 3 for i in range(n))


@case(3)
@fn
def raising_inside(n: int) -> list[int]:
    return [10 // (2 - i) for i in range(n)]


@case(7)
@fn
def count_if(n: int) -> int:
    return sum(1 for i in range(n) if i % 2 == 0) + sum(i > 3 for i in range(n))
