"""When requests are sent, on a clock that only moves as the test says."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import statistics

import pytest

from sapwood.loadgen.arrivals import arrival_times
from sapwood.loadgen.driver import Run
from sapwood.loadgen.workload import Conversation, Turn


class FakeClock:
    """Time stands still while any task can run, and then jumps to the next sleeper."""

    def __init__(self) -> None:
        self.time = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._count = itertools.count()

    def now(self) -> float:
        return self.time

    async def sleep_until(self, when: float) -> None:
        event = asyncio.Event()
        heapq.heappush(self._sleepers, (max(when, self.time), next(self._count), event))
        await event.wait()

    async def drive(self, work) -> None:
        task = asyncio.ensure_future(work)
        while not task.done():
            for _ in range(20):
                await asyncio.sleep(0)
            if self._sleepers and not task.done():
                self.time, _, event = heapq.heappop(self._sleepers)
                event.set()
        await task


def simulate(seconds, loop, *, error=None, **settings) -> Run:
    """Run `loop(run)` where a request takes what `seconds` gives for its number."""
    clock = FakeClock()
    numbers = itertools.count()

    async def send(turn, exchange, record):
        number = next(numbers)
        record.start = clock.now()
        await clock.sleep_until(clock.now() + seconds(number))
        record.end = clock.now()
        record.token_times = [record.end]
        record.text = f"answer {number}"
        if error is not None:
            error(number, record)

    run = Run(send, clock, **settings)
    asyncio.run(clock.drive(loop(run)))
    assert run.active == 0
    return run


def single(count):
    return [Conversation([Turn(f"prompt {i}")]) for i in range(count)]


def test_closed_loop_keeps_its_clients_busy():
    run = simulate(lambda i: 1.0 + i % 2, lambda run: run.closed_loop(single(6), 2))
    assert [r.start for r in run.records] == [0, 0, 1, 2, 2, 3]


def test_open_loop_never_waits_for_answers():
    run = simulate(lambda i: 100.0, lambda run: run.open_loop(single(4), iter([0.0, 0.5, 0.75, 3.0])))
    assert [r.start for r in run.records] == [0, 0.5, 0.75, 3]
    assert [r.scheduled for r in run.records] == [0, 0.5, 0.75, 3]


def test_duration_ends_arrivals_and_waits_for_answers():
    times = itertools.count(0.0, 1.0)
    run = simulate(lambda i: 10.0, lambda run: run.open_loop(single(100), times), duration=3.0)
    assert [r.start for r in run.records] == [0, 1, 2]
    assert [r.end for r in run.records] == [10, 11, 12]
    run = simulate(lambda i: 2.0, lambda run: run.closed_loop(single(100), 1), duration=5.0)
    assert [r.start for r in run.records] == [0, 2, 4]


def test_conversation_waits_for_its_own_answers():
    seen = []
    clock = FakeClock()

    async def send(turn, exchange, record):
        seen.append((clock.now(), turn.text, list(exchange)))
        await clock.sleep_until(clock.now() + 1.0)
        record.text = f"<{turn.text}>"

    conversation = Conversation([Turn("a"), Turn("b"), Turn("c")])
    run = Run(send, clock, think_time=5.0)
    asyncio.run(clock.drive(run.closed_loop([conversation], 3)))
    assert seen == [(0, "a", []), (6, "b", ["a", "<a>"]), (12, "c", ["a", "<a>", "b", "<b>"])]
    assert [r.turn for r in run.records] == [0, 1, 2]


def test_failed_turn_ends_the_conversation():
    def error(number, record):
        if number == 1:
            record.fail("stream", "broke")

    conversations = [Conversation([Turn("a"), Turn("b"), Turn("c")]), Conversation([Turn("d")])]
    run = simulate(lambda i: 1.0, lambda run: run.closed_loop(conversations, 1), error=error)
    assert [r.error for r in run.records] == [None, "stream", None]


def test_refused_client_waits_as_it_was_told():
    def error(number, record):
        if number == 0:
            record.fail("refused", "busy")
            record.retry_after = 3.0

    run = simulate(lambda i: 0.5, lambda run: run.closed_loop(single(3), 1), error=error)
    assert [r.start for r in run.records] == [0, 3.5, 4]


def gaps(rate, burstiness, seed, count=4000):
    times = list(itertools.islice(arrival_times(rate, burstiness, random.Random(seed)), count + 1))
    assert times[0] == 0
    return [b - a for a, b in itertools.pairwise(times)]


def test_poisson_arrivals_are_seeded():
    assert gaps(10.0, 1.0, 1) == gaps(10.0, 1.0, 1) != gaps(10.0, 1.0, 2)


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0])
def test_gaps_have_the_mean_and_the_spread_of_a_gamma_distribution(burstiness):
    found = gaps(10.0, burstiness, 7)
    assert statistics.mean(found) == pytest.approx(0.1, rel=0.08)
    assert statistics.stdev(found) / statistics.mean(found) == pytest.approx(burstiness**-0.5, rel=0.08)


def test_constant_gaps():
    assert gaps(4.0, float("inf"), 3, 10) == [0.25] * 10
