"""Functions and constants that tests use from another module."""

from sapwood import fn

BASE = 100


@fn
def halve(x: float) -> float:
    return x / 2


@fn
def scale_by(x: float, n: int) -> float:
    return x * n + BASE
