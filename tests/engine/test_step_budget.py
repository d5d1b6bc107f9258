"""The budget of a step on machines of every speed. Time is a number here, never measured."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.engine.step_budget import StepBudget


@pytest.mark.parametrize("fixed", [0.0, 0.02, 0.15])
@pytest.mark.parametrize("per_token", [1e-5, 2e-4, 5e-4, 2e-3])
def test_full_steps_end_up_at_the_target(fixed: float, per_token: float) -> None:
    budget = StepBudget(16, 2048, 0.25)
    longest = 0.0
    for _ in range(60):
        seconds = fixed + per_token * budget.tokens
        longest = max(longest, seconds)
        budget.record(budget.tokens, seconds)
    best = min(max((0.25 - fixed) / per_token, 16), 2048)
    assert abs(budget.tokens - best) <= 0.02 * best + 1
    assert longest <= max(0.25, fixed + per_token * 64) * 1.2  # and no step on the way there was long


def test_a_slow_machine_gets_the_least() -> None:
    budget = StepBudget(16, 2048, 0.25)
    assert budget.tokens == 64
    for _ in range(3):
        budget.record(budget.tokens, budget.tokens * 0.1)  # ten tokens a second
    assert budget.tokens == 16


def test_small_steps_teach_nothing_and_short_ones_lower_nothing() -> None:
    budget = StepBudget(16, 2048, 0.25)
    for _ in range(10):
        budget.record(budget.tokens, 0.25 * budget.tokens / 1000)
    assert budget.tokens == 1000
    budget.record(8, 10.0)
    budget.record(600, 0.2)
    assert budget.tokens == 1000
    budget.record(600, 0.3)
    assert budget.tokens == 500


def test_one_odd_step_moves_it_by_a_bounded_factor() -> None:
    budget = StepBudget(1, 4096, 0.25)
    for _ in range(10):
        budget.record(budget.tokens, 0.25 * budget.tokens / 1024)
    budget.record(budget.tokens, 3600.0)
    assert budget.tokens == 256
    budget.record(budget.tokens, 0.0)
    assert budget.tokens == 1024


@given(st.integers(1, 300), st.integers(0, 4000), st.lists(st.tuples(st.integers(0, 5000), st.floats(0, 1e6))))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_it_stays_within_its_limits(least: int, more: int, steps: list[tuple[int, float]]) -> None:
    budget = StepBudget(least, least + more)
    for tokens, seconds in steps:
        assert least <= budget.tokens <= least + more
        budget.record(tokens, seconds)


def test_limits_are_checked() -> None:
    with pytest.raises(ValueError, match="least is 0"):
        StepBudget(0, 5)
    with pytest.raises(ValueError, match="least is 6; allowed: from 1 to most, which is 5"):
        StepBudget(6, 5)
    with pytest.raises(ValueError, match="target_seconds is 0"):
        StepBudget(1, 5, 0)
