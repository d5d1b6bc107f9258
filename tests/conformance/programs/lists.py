"""Lists: building, indexing, slices, methods, nesting, aliasing."""

from conformance import case, fn


@case(2)
@case(-1)
@case(3)
@case(-4)
@fn
def index(i: int) -> int:
    values = [10, 20, 30]
    return values[i]


@fn
def fill(values: list[int], count: int) -> None:
    for i in range(count):
        values.append(i)


@case(3)
@fn
def unpack_items(n: int) -> int:
    total = 0
    for a, (b, c) in [(1, (2, 3)), (n, (n, n))]:
        total += a * b * c
    return total


@case(0)
@case(2)
@fn
def raises_with_live_lists(n: int) -> int:
    a = [[1, 2], [3]]
    b = [n]
    for row in a:
        b.append(row[0] // n)
    return b[a[0][5 - n]]
