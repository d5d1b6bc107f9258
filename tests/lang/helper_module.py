"""Functions and constants that tests use from another module."""

from sapwood import fn

BASE = 100


@fn
def halve(x: float) -> float:
    return x / 2


@fn
def scale_by(x: float, n: int) -> float:
    return x * n + BASE


@fn
def asserts(n: int) -> int:
    assert n != 1
    assert n != 2, "two"
    assert n != 3, (n, "three")
    try:
        assert n != 4, n * 2
    except AssertionError:
        return -4
    return n
