"""None and optional types."""

from typing import Optional

from conformance import case, fn


@case(5)
@case(-5)
@fn
def maybe(n: int) -> int | None:
    if n > 0:
        return n
    return None


@case([3, 4], 4)
@case([3, 4], 5)
@fn
def find(values: list[int], wanted: int) -> int | None:
    for i, v in enumerate(values):
        if v == wanted:
            return i
    return None


@case([3, 4], 4)
@case([3, 4], 5)
@fn
def uses_find(values: list[int], wanted: int) -> int:
    at = find(values, wanted)
    if at is None:
        return -1
    return at * 10


@case(None)
@case(4)
@fn
def parameter(n: int | None) -> int:
    return 0 if n is None else n + 1


@case(None)
@case(2.5)
@fn
def typing_optional(x: Optional[float]) -> float:
    if x is not None:
        return x * 2
    return -1.0


@fn
def with_default(n: int, extra: int | None = None) -> int:
    if extra is None:
        extra = n * 100
    return n + extra


@case(1)
@fn
def default_none(n: int) -> tuple[int, int]:
    return with_default(n), with_default(n, 5)


@case(3)
@fn
def best_so_far(n: int) -> int | None:
    best: int | None = None
    for i in range(n):
        v = (i * 7) % 5
        if best is None or v > best:
            best = v
    return best


@case("a")
@case("zz")
@fn
def dict_get(k: str) -> int | None:
    d = {"a": 1}
    return d.get(k)


@case("a")
@case("zz")
@fn
def text_or_none(s: str) -> str | None:
    return s if len(s) > 1 else None


@case("a")
@case("zz")
@fn
def default_of_none(s: str) -> str:
    return text_or_none(s) or "nothing"


@case(True)
@case(False)
@fn
def list_or_none(b: bool) -> list[int] | None:
    return [1, 2] if b else None


@case(2)
@fn
def printed(n: int) -> None:
    a: int | None = None if n > 1 else n
    print(a, None, [None, None])


@case(3)
@fn
def tuple_or_none(n: int) -> tuple[int, float] | None:
    return (n, n / 2) if n > 2 else None


@case(9)
@fn
def narrowed_in_loop(n: int) -> int:
    node: int | None = n
    steps = 0
    while node is not None:
        steps += 1
        node = node // 2 if node > 1 else None
    return steps


@case(0)
@fn
def returns_nothing(n: int) -> None:
    n += 1


@case(1)
@case(0)
@fn
def arithmetic_on_none(n: int) -> int:
    a: int | None = None if n == 0 else n
    if a is None:
        raise ValueError("none")
    return a + 1
