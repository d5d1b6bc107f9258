"""match statements."""

from conformance import case, fn

from sapwood import struct


@case(0)
@case(2)
@case(3)
@case(9)
@fn
def numbers(n: int) -> int:
    match n:
        case 0:
            return 100
        case 1 | 2:
            return 200
        case k if k == 3:
            return 300 + k
        case _:
            return -1


@case(5)
@case(1)
@fn
def without_default(n: int) -> int:
    out = 0
    match n:
        case 1:
            out = 10
    return out


@case("go")
@case("stop")
@case("x")
@fn
def texts(command: str) -> int:
    match command:
        case "go" | "run":
            return 1
        case "stop":
            return 2
    return 3


@case(0, 0)
@case(0, 5)
@case(5, 0)
@case(3, 3)
@case(3, 4)
@fn
def tuples(a: int, b: int) -> int:
    match (a, b):
        case (0, 0):
            return 1
        case (0, y):
            return 100 + y
        case (x, 0):
            return 200 + x
        case (x, y) if x == y:
            return 300 + x
        case _:
            return -1


@case([])
@case([7])
@case([7, 8])
@case([1, 2, 3, 4])
@fn
def sequences(values: list[int]) -> int:
    match values:
        case []:
            return 0
        case [x]:
            return x
        case [1, *rest]:
            return len(rest) * 100
        case [x, y]:
            return x * y
        case _:
            return -1


@case([1, 2, 3, 9])
@fn
def star_in_the_middle(values: list[int]) -> list[int]:
    match values:
        case [first, *middle, last]:
            return [last, *middle, first]
        case _:
            return []


@struct(frozen=True)
class Point:
    x: int
    y: int


@case(0, 0)
@case(0, 4)
@case(4, 5)
@fn
def structs(x: int, y: int) -> int:
    p = Point(x, y)
    match p:
        case Point(0, 0):
            return 1
        case Point(x=0, y=k):
            return 10 + k
        case Point(a, b):
            return a * b
    return -1


@case(3)
@case(-3)
@fn
def bool_and_none(n: int) -> int:
    match n > 0:
        case True:
            return 1
        case False:
            return 2


@case(2)
@fn
def capture_as(n: int) -> int:
    match n:
        case 1 | 2 as k:
            return k * 10
        case other:
            return other


@case(1.5)
@case(2.0)
@fn
def floats(x: float) -> int:
    match x:
        case 1.5:
            return 1
        case 2:
            return 2
        case _:
            return 3


@case(4)
@fn
def in_a_loop(n: int) -> list[int]:
    out = []
    for i in range(n):
        match i % 3:
            case 0:
                continue
            case 1:
                out.append(i)
            case _:
                out.append(-i)
    return out


@case({"kind": 1, "size": 5})
@case({"kind": 2})
@fn
def mappings(d: dict[str, int]) -> int:
    match d:
        case {"kind": 1, "size": s}:
            return s
        case {"kind": k}:
            return -k
        case _:
            return 0


@case(1, 2)
@fn
def nested_patterns(a: int, b: int) -> int:
    match ((a, b), [a, b]):
        case ((1, x), [_, y]) if x == y:
            return x + y
        case _:
            return 0


@case(4)
@fn
def guards_in_order(n: int) -> int:
    match n:
        case k if k > 10:
            return 1
        case k if k > 3:
            return 2
        case k if k > 2:
            return 3
    return 4


LIMIT = 7


class Codes:
    OK = 200
    MISSING = 404


@case(200)
@case(404)
@fn
def dotted_values(n: int) -> int:
    match n:
        case Codes.OK:
            return 1
        case Codes.MISSING:
            return 2
    return 0
