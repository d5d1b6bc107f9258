"""Exchanging targets within one process."""

from __future__ import annotations

from sapwood import fn
from sapwood.lang.loading.current_target import current_target, use_target
from sapwood.targets.x86 import level, make


@fn
def twice(x: int) -> int:
    return x + x


def test_a_function_first_called_for_the_same_target_can_be_called_afterwards():
    """Its entries were dropped on the way out, and its next call found no entry."""
    with use_target(current_target()):
        assert twice(3) == 6
    assert twice(4) == 8


@fn
def thrice(x: int) -> int:
    return 3 * x


def test_targets_can_be_nested_and_left():
    low = make(level("sse2"))
    assert thrice(1) == 3
    with use_target(low):
        assert thrice(2) == 6
        with use_target(current_target()):
            assert thrice(3) == 9
        assert thrice(4) == 12
    assert thrice(5) == 15
