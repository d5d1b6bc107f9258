"""enumerate, zip, reversed, map, filter, sorted, sum, min, max, any, all, range objects, iter and next."""

from conformance import case, fn


@case(3)
@fn
def enumerate_start(n: int) -> int:
    total = 0
    for i, v in enumerate(range(n), 10):
        total = total * 100 + i * v
    return total


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


@case(3)
@fn
def map_two(n: int) -> int:
    return sum(map(lambda a, b: a * b, range(n), range(1, 10)))


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


@case(4)
@fn
def nested_iteration(n: int) -> int:
    total = 0
    for i, row in enumerate([[j * k for k in range(n)] for j in range(n)]):
        for j, v in enumerate(reversed(row)):
            total += i * j * v
    return total
