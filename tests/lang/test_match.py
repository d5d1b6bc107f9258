"""`match`: every kind of pattern, against CPython, boxed CPython and the evaluator."""

from __future__ import annotations

import enum

import pytest
from oracles import agree

from sapwood import CompileError, fn, struct

LIMIT = 7


class Names:
    SEVEN = 7


class Color(enum.Enum):
    RED = 1
    GREEN = 2


@struct(frozen=True)
class Point:
    x: int
    y: int


@struct(frozen=True)
class Circle:
    center: Point
    radius: float


@fn
def literals(n: int) -> int:
    match n:
        case 1:
            return 10
        case 2 | 3 | -4:
            return 20
        case Names.SEVEN:
            return 70
        case x if x > 100:
            return x
        case _:
            pass
    return -1


@fn
def floats(x: float) -> int:
    match x:
        case 0:
            return 0
        case 1.5:
            return 1
    return 2


@fn
def singletons(b: bool, n: int) -> int:
    total = 0
    match b:
        case True:
            total = 1
        case False:
            total = 2
    match n:
        case None | True:
            total += 100
        case int():
            total += 10
    return total


@fn
def tuples(a: int, b: int) -> int:
    match a, b:
        case (0, y) | (y, 0):
            return y + 1000
        case (1, *rest):
            return len(rest) * 7
        case (_, _, _):
            return 5
        case [p, 9] as both:
            return p + both[1]
        case _:
            return a - b


@fn
def nested(a: int, b: int, c: int) -> int:
    match (a, (b, c), "text"):
        case (1, (x, y), "other"):
            return x + y
        case (1, (x, 2 | 3 as y), "text"):
            return x * 10 + y
        case (int(z), (_, *_), str()) if z == b:
            return 1000 + z
    return -1


@fn
def classes(p: Point) -> int:
    match p:
        case Point(0, y):
            return y
        case Point(x=5, y=int(q)):
            return q * 100
        case Point(x, y) if x == y:
            return x
        case Circle():
            return -8
        case Point(y=6, x=k):
            return k
    return -7


@fn
def nested_classes(c: Circle) -> float:
    match c:
        case Circle(Point(0, 0), r):
            return r
        case Circle(center=Point(x, _), radius=2.0):
            return x + 0.5
    return -1.0


@fn
def guards(n: int) -> int:
    """Names of patterns that matched stay, also when the guard fails."""
    y = -1
    match n:
        case y if y > 5 and (z := y * 2) > 14:
            return z
        case 3:
            return y + 100
    return y


@fn
def in_loops(n: int) -> int:
    total = 0
    for i in range(n):
        match i % 5:
            case 0:
                continue
            case 1 if i > 15:
                break
            case 2 | 3 as k:
                total += k * i
                if total > 300:
                    return -total
            case _:
                total += 1
    else:
        total += 1000
    return total


@fn
def enums(n: int) -> int:
    color = Color.GREEN
    match color:
        case Color.RED:
            return 1
        case Color.GREEN:
            return 2 + n
    return 3


def test_match():
    for n in (0, 1, 2, 3, -4, 6, 7, 8, 100, 101):
        for f in (literals, guards, in_loops, enums):
            agree(f, n, plain=True)
    for n in range(10, 40, 3):
        agree(in_loops, n, plain=True)
    for x in (0.0, -0.0, 1.5, 2.0, float("nan")):
        agree(floats, x, plain=True)
    for b in (True, False):
        agree(singletons, b, 1, plain=True)
    for pair in ((0, 3), (4, 0), (1, 2), (5, 9), (5, 2)):
        agree(tuples, *pair, plain=True)
    for triple in ((1, 4, 2), (1, 4, 3), (1, 1, 9), (2, 2, 2), (3, 2, 2)):
        agree(nested, *triple, plain=True)


def test_classes():
    for x, y in ((0, 5), (5, 6), (4, 4), (3, 6), (1, 2)):
        agree(classes, Point(x, y), plain=True)
    for c in (Circle(Point(0, 0), 1.5), Circle(Point(3, 1), 2.0), Circle(Point(3, 1), 2.5)):
        agree(nested_classes, c, plain=True)


@fn
def lists(n: int) -> int:
    xs = list(range(n))
    match xs:
        case []:
            return -1
        case [x]:
            return x + 10
        case [0, second]:
            return second + 20
        case [first, *middle, last]:
            return first + len(middle) * 100 + middle[0] * 1000 + last
    return -2


def test_lists():
    for n in range(6):
        agree(lists, n, plain=True)


@fn
def captured_after_none(names: dict[int, str], key: int, s: str) -> str:
    match names.get(key):
        case None:
            s += "?"
        case name:
            s = s.rstrip(name)
    return s


@fn
def subject_after_none(names: dict[int, str], key: int, s: str) -> str:
    found = names.get(key)
    same = found
    match found:
        case None:
            s += "?"
        case "stop":
            found = None
        case _:
            return s.rstrip(found) + s.lstrip(same)
    return s + str(found)


def test_what_is_not_none_after_a_case_of_none():
    names = {1: "b", 2: "stop"}
    for key in range(4):
        assert captured_after_none(names, key, "abb") == captured_after_none.__wrapped__(names, key, "abb")
        assert subject_after_none(names, key, "bab") == subject_after_none.__wrapped__(names, key, "bab")


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Sign(enum.Enum):
    PLUS = "+"
    MINUS = "-"
    TIMES = "*"


class Bits(enum.Flag):
    A = 1
    B = 2


@fn
def each_sign(s: Sign, a: int, b: int) -> int:
    match s:
        case Sign.PLUS:
            return a + b
        case Sign.MINUS:
            return a - b
        case Sign.TIMES:
            return a * b


@fn
def last_together(s: Sign, a: int) -> str:
    match s:
        case Sign.PLUS:
            found = "plus"
        case Sign.MINUS | Sign.TIMES as other:
            found = other.value * a
    return found


@fn
def inside_a_tuple(x: Level, s: Sign) -> str:
    match x, s:
        case Level.LOW, Sign.PLUS:
            return "low plus"
        case Level.LOW, other:
            return "low" + other.value
        case Level.HIGH, Sign.MINUS | Sign.TIMES:
            return "high"
        case _:
            return "high plus"


@fn
def with_a_guard(s: Sign, a: int) -> int:
    match s:
        case Sign.PLUS if a > 0:
            return 1
        case Sign.MINUS:
            return 2
        case Sign.TIMES:
            return 3
    return 4


def test_all_members_of_an_enum_are_all_that_there_is() -> None:
    for s in Sign:
        agree(each_sign, s, 5, 3, plain=True)
        agree(last_together, s, 3, plain=True)
        for x in Level:
            agree(inside_a_tuple, x, s, plain=True)
        for a in (1, -1):
            agree(with_a_guard, s, a, plain=True)


@fn
def guarded_member(s: Sign, a: int) -> int:
    match s:
        case Sign.PLUS if a > 0:
            return 1
        case Sign.MINUS | Sign.TIMES:
            return 2


@fn
def each_bit(b: Bits) -> int:
    match b:
        case Bits.A:
            return 1
        case Bits.B:
            return 2


def test_members_that_are_left() -> None:
    for f, *args in ((guarded_member, Sign.PLUS, 1), (each_bit, Bits.A)):
        with pytest.raises(CompileError, match="can reach its end without a return"):
            f(*args)
