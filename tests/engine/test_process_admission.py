"""Who may queue: no clock and no engine, only numbers."""

from __future__ import annotations

import pytest

from sapwood.engine.client import EngineOverloadedError
from sapwood.engine.process.admission import Admission, Load
from sapwood.engine.process.messages import EngineStats


def load(unfinished: int, running: int, waiting: int, tokens: int = 0) -> Load:
    return Load(num_unfinished=unfinished, num_running=running, num_waiting=waiting, num_queued_tokens=tokens)


def steps(admission: Admission, count: int, seconds: float, served: int, waiting: int, batched: int = 0) -> None:
    """`count` steps of so many seconds, each of which serves and computes so many tokens."""
    for i in range(count):
        admission.measure(i * seconds, served, EngineStats(num_waiting=waiting, num_batched_tokens=i * batched))


def test_the_queue_is_limited_by_number() -> None:
    admission = Admission(max_num_seqs=4, max_num_queued=2, max_queue_seconds=30)
    admission.check(1, load(5, 0, 0))  # a burst that the engine has not seen
    with pytest.raises(EngineOverloadedError, match="allowed: 2"):
        admission.check(1, load(6, 0, 0))
    admission.check(1, load(4, 3, 1))
    with pytest.raises(EngineOverloadedError):  # blocks are short: fewer run than may
        admission.check(1, load(5, 3, 2))
    with pytest.raises(EngineOverloadedError):
        admission.check(3, load(4, 4, 0))
    admission.check(64, load(0, 0, 0))  # an idle engine takes anything


def test_the_wait_is_estimated_from_what_left_the_queue() -> None:
    admission = Admission(max_num_seqs=4, max_num_queued=1000, max_queue_seconds=30)
    steps(admission, count=100, seconds=0.5, served=100, waiting=3)
    assert admission.estimated_wait(load(9, 4, 5, 2000)) == pytest.approx(10, rel=0.05)
    admission.check(1, load(9, 4, 5, 5000))
    with pytest.raises(EngineOverloadedError, match=r"about 5[0-9] s; allowed: 30 s") as found:
        admission.check(1, load(9, 4, 5, 11000))
    assert found.value.retry_after == pytest.approx(25, rel=0.1)
    with pytest.raises(EngineOverloadedError) as found:
        admission.check(1, load(9, 4, 5, 10**6))
    assert found.value.retry_after == 60
    admission.check(1, load(9, 9, 0, 11000))  # nobody waits
    admission.reset()
    admission.check(1, load(9, 4, 5, 11000))


def test_time_in_which_nobody_waited_says_nothing() -> None:
    admission = Admission(max_num_seqs=4, max_num_queued=1000, max_queue_seconds=30)
    steps(admission, count=1000, seconds=0.5, served=1, waiting=0)
    assert admission.estimated_wait(load(9, 4, 5, 10**6)) == 0


def test_before_anybody_was_served_the_speed_of_steps_counts() -> None:
    admission = Admission(max_num_seqs=4, max_num_queued=1000, max_queue_seconds=30)
    steps(admission, count=10, seconds=1.0, served=0, waiting=1, batched=500)
    assert admission.estimated_wait(load(2, 1, 1, 5000)) == pytest.approx(10, rel=0.05)


def test_the_estimate_follows_a_change() -> None:
    admission = Admission(max_num_seqs=4, max_num_queued=1000, max_queue_seconds=30)
    steps(admission, count=100, seconds=0.5, served=100, waiting=3)
    for i in range(100, 200):  # ten times slower from here on
        admission.measure(i * 0.5, 10, EngineStats(num_waiting=3))
    assert admission.estimated_wait(load(9, 4, 5, 200)) == pytest.approx(10, rel=0.3)
