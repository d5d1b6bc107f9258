"""Comparisons of values of unlike kinds, with None, and questions about types."""

from conformance import case, fn


@case(3)
@fn
def with_none(x: int) -> list[bool]:
    return [x == None, x != None, None == x, None != x, None == None, None != None]  # noqa: E711


@case(None)
@case(3)
@fn
def optional_with_none(x: int | None) -> list[bool]:
    return [x == None, None == x, x != None, None != x, x is None]  # noqa: E711


@case(None, None)
@case(1, None)
@case(None, 1)
@case(1, 1)
@case(1, 2)
@fn
def two_optional(a: int | None, b: int | None) -> list[bool]:
    return [a == b, a != b]


@case("a", None)
@case("a", "a")
@fn
def optional_texts(a: str | None, b: str | None) -> list[bool]:
    return [a == b, a != b, a == "a", "b" == b]


@case(1.0, None)
@case(1.0, 1)
@fn
def optional_of_two_numbers(a: float | None, b: int | None) -> bool:
    return a == b


@case(3, 3)
@case(None, 3)
@fn
def optional_and_value(a: int | None, b: int) -> list[bool]:
    return [a == b, b == a, a != b, a == 2.5, a == b + 0.0]


@case(1, "1", [1], (1,))
@fn
def unlike(n: int, s: str, xs: list[int], t: tuple[int]) -> list[bool]:
    return [
        n == s, s == n, n != s, xs == t, t == xs, xs != t, xs == n, s == xs, t == n, n == t, xs == None,  # noqa: E711
        None != xs, {1: 2} == xs, {1} == xs, {1} == {1: 1}, s == t, b"1" == s, s != b"1", 1.0 == s, True == s,
    ]  # fmt: skip


@case([])
@fn
def both_sides_are_evaluated(seen: list[int]) -> list[int]:
    out = [0]

    def note(k: int) -> int:
        out.append(k)
        return k

    def text(k: int) -> str:
        out.append(k)
        return "x"

    same = note(1) == text(2)
    if same:
        out.append(3)
    if note(4) != text(5):
        out.append(6)
    return out


@case([1, 2])
@fn
def lists_of_unlike_elements(xs: list[int]) -> list[bool]:
    return [xs == [1.0, 2.0], xs == ["a", "b"], xs != ["a"], xs == [], [] == xs, [[]] == [xs], (xs, 1) == ([1, 2], 1)]


@case([1, None, 3])
@fn
def lists_of_optional(xs: list[int | None]) -> list[bool]:
    return [xs == [1, None, 3], xs == [1, 2, 3], None in xs, 3 in xs, 4 in xs, xs.count(None) == 1, xs.index(3) == 2]


@case(5, 2.0, "s", True)
@fn
def kinds(n: int, x: float, s: str, b: bool) -> list[bool]:
    return [
        isinstance(n, int), isinstance(n, float), isinstance(x, float), isinstance(x, int), isinstance(s, str),
        isinstance(b, bool), isinstance(b, int), isinstance(n, bool), isinstance(s, (int, str)),
        isinstance(n, int | float), isinstance(s, bytes), isinstance(n, object),
    ]  # fmt: skip


@case([1], {"a": 1}, {1}, (1, 2))
@fn
def kinds_of_containers(xs: list[int], d: dict[str, int], s: set[int], t: tuple[int, int]) -> list[bool]:
    return [
        isinstance(xs, list), isinstance(xs, tuple), isinstance(d, dict), isinstance(s, set), isinstance(t, tuple),
        isinstance(xs, (list, tuple)), isinstance(s, frozenset), isinstance(d, list),
        isinstance(frozenset(s), frozenset), isinstance(b"x", bytes), isinstance(range(3), range),
        isinstance(None, type(None)), isinstance(1j, complex),
    ]  # fmt: skip


@case(None)
@case(4)
@fn
def kind_of_optional(x: int | None) -> int:
    if isinstance(x, int):
        return x + 1
    return -1


@case(None)
@case("abc")
@fn
def kind_of_optional_text(x: str | None) -> int:
    if not isinstance(x, str):
        return -1
    return len(x)


@case(None)
@case([1])
@fn
def kind_of_optional_list(x: list[int] | None) -> int:
    return sum(x) if isinstance(x, list) else 0


@case(4, "a", [1])
@fn
def types_are(n: int, s: str, xs: list[int]) -> list[bool]:
    return [
        type(n) is int, type(n) is float, type(n) == int, type(s) is str, type(xs) is list, type(xs) == dict,
        type(n) is not int, type(n) is type(s), type(n) in (int, float), type(True) is bool, type(None) is type(None),
    ]  # fmt: skip


@case(3, "x", 2.5)
@fn
def names_of_types(n: int, s: str, x: float) -> str:
    return type(n).__name__ + type(s).__name__ + type(x).__name__ + type([n]).__name__ + type({n: s}).__name__


@case(None)
@case(3)
@fn
def added_to_none(x: int | None) -> int:
    return x + 1


@case(None)
@case(3)
@fn
def none_in_order(x: int | None) -> bool:
    return x < 1


@case(None)
@case(3)
@fn
def minus_none(x: int | None) -> int:
    return -x


@case(None)
@case("a")
@fn
def text_after_none(x: str | None) -> str:
    return x + "b"


@case(None)
@case("a")
@fn
def none_after_text(x: str | None) -> str:
    return "b" + x


@case(None)
@case([1])
@fn
def none_after_list(x: list[int] | None) -> list[int]:
    return [2] + x


@case(None)
@case(2)
@fn
def none_into(x: int | None) -> int:
    y = 1
    y += x
    return y


@case(None)
@case([1, 2])
@fn
def extended_by_none(xs: list[int] | None) -> list[int]:
    ys = [1]
    ys.extend(xs)
    return ys


@case(None)
@case([1, 2])
@fn
def functions_of_none(xs: list[int] | None) -> int:
    return sum(xs) + len(xs) + max(xs) + sorted(xs)[0]


@case(None)
@case({1, 2})
@fn
def set_and_none(xs: set[int] | None) -> int:
    return len({3} | xs)


@case(None)
@case({"a": 1})
@fn
def dict_of_none(d: dict[str, int] | None) -> dict[str, int]:
    return dict(d)
