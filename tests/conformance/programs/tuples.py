"""Tuples: building, indexing, unpacking, comparing, concatenating."""

from conformance import case, fn


@case(1, 2.5)
@fn
def build(a: int, b: float) -> tuple[int, float, bool]:
    return a, b, a > 0


@case(4)
@fn
def index(n: int) -> tuple[int, int, int]:
    t = (n, n * 2, n * 3)
    return t[0], t[-1], t[1]


@case(4)
@fn
def length(n: int) -> tuple[int, int]:
    return len((n, n)), len(())


@case(3)
@fn
def unpack(n: int) -> int:
    a, (b, c), d = n, (n + 1, n + 2), n + 3
    return a * 1000 + b * 100 + c * 10 + d


@case(3)
@fn
def starred(n: int) -> tuple[int, int, int]:
    first, *middle, last = (n, n + 1, n + 2, n + 3)
    return first, len(middle), last


@case(3)
@fn
def slices(n: int) -> tuple[int, int]:
    t = (n, n + 1, n + 2, n + 3)
    return len(t[1:]), t[1:3][0]


@case(1, 2)
@case(2, 1)
@case(1, 1)
@fn
def compare(a: int, b: int) -> tuple[bool, bool, bool, bool]:
    return (a, b) == (b, a), (a, b) < (b, a), (a, 1) >= (b, 0), (a,) != (b,)


@case(2)
@fn
def concatenate(n: int) -> tuple[int, int, int, int]:
    return (n, 1) + (2, n)


@case(2)
@fn
def repeat(n: int) -> tuple[int, int, int, int]:
    return (n, 0) * 2


@case(2)
@case(9)
@fn
def contains(n: int) -> tuple[bool, bool]:
    return n in (1, 2, 3), n not in (1, 2, 3)


@case(5)
@fn
def iterate(n: int) -> int:
    total = 0
    for x in (n, 1, 7):
        total = total * 10 + x
    return total


@case(5)
@fn
def nested(n: int) -> tuple[tuple[int, int], tuple[float, tuple[bool]]]:
    return (n, 1), (n / 2, (n > 1,))


@case(5)
@fn
def nested_index(n: int) -> int:
    t = ((n, 1), (2, 3))
    return t[0][0] * 10 + t[1][1]


@case(True)
@case(False)
@fn
def from_branches(up: bool) -> tuple[int, float]:
    t = (1, 2.0) if up else (3, 4.5)
    return t


@case(4)
@fn
def in_a_loop(n: int) -> tuple[int, int]:
    t = (0, 1)
    for _ in range(n):
        t = (t[1], t[0] + t[1])
    return t


@case(3)
@fn
def sum_min_max(n: int) -> tuple[int, int, int]:
    t = (n, 7, -1)
    return sum(t), min(t), max(t)


@case((1, 2.0))
@fn
def parameter(t: tuple[int, float]) -> float:
    return t[0] + t[1]


@case(((1, 2), 3))
@fn
def nested_parameter(t: tuple[tuple[int, int], int]) -> int:
    (a, b), c = t
    return a + b + c


@case(3)
@fn
def printed(n: int) -> None:
    print((n, 1.5, True), (n,), ())


@case(1)
@fn
def single(n: int) -> tuple[int]:
    return (n,)


@case(1)
@fn
def empty(n: int) -> tuple[()]:
    return ()


@case(0, 1)
@case(2, 1)
@fn
def dynamic_index(i: int, n: int) -> int:
    t = (n, n + 10, n + 20)
    return t[i]


@case(5)
@case(-4)
@fn
def dynamic_index_out_of_range(i: int) -> int:
    t = (1, 2, 3)
    return t[i]


@case(2)
@case(0)
@fn
def count_and_index(n: int) -> tuple[int, int]:
    t = (1, 2, 2, 3)
    return t.count(n), t.index(2)


@case(2)
@fn
def min_by_tuple(n: int) -> tuple[int, int]:
    return min((3, n), (n, 3), (n, 1))
