"""Functions made anew for each call are compiled once, and what they capture is what it is at the call."""

from __future__ import annotations

from sapwood import fn


@fn
def applied(f, x: float) -> float:
    return f(x)


@fn
def twice(f, x: float) -> float:
    return f(f(x))


def test_a_lambda_in_a_loop_is_compiled_once():
    before = len(applied.state.specialisations)
    for i in range(200):
        assert applied(lambda v: v * 2 + 1, float(i)) == i * 2 + 1
    assert len(applied.state.specialisations) == before + 1


def test_what_it_captures_counts():
    before = len(applied.state.specialisations)
    for k in (1, 2, 1, 2.0, True, -0.0, 0.0):
        assert applied(lambda v: v * 2 + k, 3.0) == 6 + k  # noqa: B023
    assert len(applied.state.specialisations) == before + 6
    assert str(applied(lambda v, k=-0.0: v * k, 1.0)) == "-0.0" != str(applied(lambda v, k=0.0: v * k, 1.0))


def test_what_is_assigned_between_calls():
    k = 1

    def add(v):
        return v + k

    assert applied(add, 1.0) == 2
    k = 5
    assert applied(add, 1.0) == 6 and twice(add, 1.0) == 11


STEP = 1


def test_names_of_the_module():
    global STEP
    for STEP in (1, 2, 3):
        assert applied(lambda v: v + STEP, 1.0) == 1 + STEP  # noqa: B023
