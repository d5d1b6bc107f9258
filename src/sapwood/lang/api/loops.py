"""Loop forms that Python does not have: `parallel` and `unroll`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class Parallel:
    """Marks a `parallel(...)` iterable during inference."""


class Unroll:
    """Marks an `unroll(...)` iterable during inference."""


def parallel(n: int, *, add: Any = None, min: Any = None, max: Any = None) -> Iterator[int]:
    """Loop over 0 .. n-1 on all threads of the pool, in any order.

    Assigning a name of the code around the loop is an error, unless it is a declared reduction:
    `for i in parallel(n, add=total): total += x[i]` (a name, or a tuple of names, for each of add, min, max).
    The order of a reduction depends on n alone, not on the number of threads. If iterations raise, the
    exception of the lowest one is raised. In plain Python the loop is sequential.
    """
    return iter(range(n))


def unroll(items: Iterable[T]) -> Iterable[T]:
    """Loop at compile time: the body is repeated for each item of a tuple or of a range of constants."""
    return items
