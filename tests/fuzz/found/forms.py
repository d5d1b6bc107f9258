"""What the first programs of the forms in rules.py found, each cut down to its cause."""

from collections import defaultdict

from conformance import case, fn
from sapwood import struct


@struct
class Node:
    value: int
    next: "Node | None" = None


@case(1)
@fn
def quoted_annotation_of_a_field(n: int) -> int:
    first = Node(n, Node(2))
    first = first.next if first.next is not None else first
    return first.value


@case(0)
@case(1)
@fn
def most_of_nothing(n: int) -> list[int]:
    return max([], key=lambda c: 3) if n else [1]


@case(1)
@fn
def next_of_nothing(n: int) -> str:
    it = iter([])
    x = "a"
    x = next(it, "b")
    return x


@case(1)
@fn
def loop_over_the_most_of_nothing(n: int) -> int:
    x = 0
    for c in max([], default=[1, 2]):
        x += c
    return x


@case(1)
@case(2)
@fn
def dict_of_a_defaultdict(n: int) -> dict[int, int]:
    g = defaultdict(int)
    g[n] += 1
    d = {1: 2}
    if n > 1:
        d = dict(g)
    return d


@case(3)
@fn
def factory_that_is_a_lambda(n: int) -> tuple[int, str]:
    d = defaultdict(lambda: [7])
    d[3].append(n)
    e = d.copy()
    e[4].append(1)
    return len(d[4]) + d[3][1] + len(e), str(defaultdict(int))


@case("x")
@fn
def assigned_in_the_test_of_an_expression(s: str) -> tuple[str, int]:
    return w if (w := {1: (s, 7)}.get(1)) is not None else ("q", 1)


@case("x")
@fn
def assigned_in_the_test_of_an_if(s: str) -> tuple[str, int]:
    if (w := {1: (s, 7)}.get(2)) is None:
        return s, 0
    return w


@case(b"12")
@case(b"aB")
@case(b"Ab C")
@case(b" \n")
@case(b"\xff")
@case(b"")
@fn
def kinds_of_bytes(b: bytes) -> tuple[bool, bool, bool, bool, bool, bool, bool, bool]:
    return (
        b.isdigit(), b.isalpha(), b.isspace(), b.isupper(), b.islower(), b.istitle(), b.isalnum(), b.isascii(),
    )


@case(b"12", 10)
@case(b" -7_0", 10)
@case(b"ff", 16)
@case(b"x'", 10)
@case("\u0663".encode(), 10)
@fn
def int_of_bytes(b: bytes, base: int) -> int:
    return int(b, base) + (int(bytearray(b)) if base == 10 else 0)


@case("a")
@fn
def constant_bytes_in_constant_bytes(s: str) -> tuple[bool, bool, bool]:
    return b"\x00\xff" in b"\x00\xff".lower(), 97 in b"abc", s.encode() in b"abc"


@case(1)
@case(0)
@fn
def constants_that_raise(n: int) -> float:
    try:
        return 0 ** (-1) if n else 10.0**400
    except OverflowError:
        return 1.0


@case(5)
@case(0)
@fn
def rest_of_a_mapping(n: int) -> dict[str, int]:
    match {"a": 1, "b": n}:
        case {"a": 1, "b": 0, **rest}:
            return rest
        case {"a": 1, **rest}:
            return rest
    return {}


@case("abc", 1)
@case("a", 1)
@fn
def character_that_becomes_a_text_in_a_try(s: str, n: int) -> int:
    v = s[1]
    try:
        try:
            v += s
            v = v[:16]
        except LookupError:
            n += 1
    except ValueError:
        n += 2
    return n + len(v)


@case(3)
@fn
def lists_that_hold_what_they_hold(n: int) -> list[int]:
    xs = []
    xs[4::1] = sorted(xs)
    xs.append(n)
    xs[:1] = sorted(xs)
    return xs


@case(1)
@case(3)
@fn
def index_of_a_missing_list(n: int) -> int:
    return [[1]].index([n])


@case(1)
@fn
def index_of_a_missing_tuple(n: int) -> int:
    return [(1, "a")].index((n, "b"))


@case(5)
@case(1)
@fn
def index_of_a_missing_object(n: int) -> int:
    return [Node(1)].index(Node(n), -2)


@case("a")
@fn
def index_of_a_missing_text(s: str) -> int:
    return [s].index(s + "'")
