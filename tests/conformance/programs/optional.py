"""None and optional types."""

from typing import Optional

from conformance import case, fn


@fn
def with_default(n: int, extra: int | None = None) -> int:
    if extra is None:
        extra = n * 100
    return n + extra


@case(1)
@fn
def default_none(n: int) -> tuple[int, int]:
    return with_default(n), with_default(n, 5)


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
