"""A function that cannot be compiled, called where a walk is tried again: the diagnostic is its own."""

from __future__ import annotations

import pytest

from sapwood import fn
from sapwood.lang.errors import NoOperator


@fn
def refused(text: str) -> int:
    return len(text) + text  # type: ignore[operator]


@fn
def in_a_comprehension(text: str) -> list[list[bool]]:
    return [[i < k for i in [1, 2] if i < k] for k in range(3) if refused(text) == k or refused(text) > 7]


def test_the_mistake_is_told():
    with pytest.raises(NoOperator):
        in_a_comprehension("a")
