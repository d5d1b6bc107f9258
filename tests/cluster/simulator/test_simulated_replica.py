"""A replica in virtual time: runs of steps that are advanced together are the steps one by one."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.cluster.simulator.engine import ReplicaSpec, Report, SimulatedReplica
from sapwood.cluster.simulator.timing import TimingModel
from sapwood.engine.scheduler import RequestTooLargeError

TIMING = TimingModel(0.01, 0.0001, 0.000001)


def drive(replica: SimulatedReplica, requests: list[tuple[float, list[int], list[int]]]) -> list[Report]:
    """All reports of a replica that gets these (time, prompt, output)."""
    reports: list[Report] = []
    for i, (time, prompt, output) in enumerate(requests):
        while (due := replica.due) is not None and due <= time:
            reports += filter(None, [replica.fire()])
        replica.add(f"r{i}", prompt, output, [], time)
    while replica.due is not None:
        reports += filter(None, [replica.fire()])
    return reports


def state(replica: SimulatedReplica) -> Any:
    manager = replica.scheduler.kv_cache_manager
    assert manager.problems() == [] and not replica.scheduler.has_unfinished_requests()
    pool = manager.block_pool
    return (
        [(b.block_id, b.block_hash) for b in pool.free_queue],
        [(name, block.block_id) for name, block in pool.index.entries()],
        replica.scheduler.num_preemptions,
        replica.scheduler.prefix_cache_hits,
        replica.scheduler.prefix_cache_queries,
        (replica.busy_seconds(0.0), replica.num_steps, replica.num_batched_tokens),
        None if replica.budget is None else replica.budget.tokens,
    )


@given(
    seed=st.integers(0, 10**9),
    blocks=st.sampled_from([16, 20, 40, 200]),
    seqs=st.sampled_from([1, 3, 8, 16]),
    size=st.sampled_from([1, 4, 16]),
    gap=st.sampled_from([0.0, 0.02, 0.3, 2.0]),
    step_seconds=st.sampled_from([None, 0.02, 0.25]),
)
@settings(max_examples=100, deadline=None)
def test_merged_steps_are_the_steps_one_by_one(
    seed: int, blocks: int, seqs: int, size: int, gap: float, step_seconds: float | None
) -> None:
    rng = random.Random(seed)
    length = min(blocks * size, 60)
    spec = ReplicaSpec(
        "p", TIMING, size, blocks, max_model_len=length, max_num_seqs=seqs, max_num_batched_tokens=24,
        step_seconds=step_seconds,
    )  # fmt: skip
    time, requests = 0.0, []
    for i in range(rng.randrange(1, 25)):
        time += rng.choice([0.0, rng.expovariate(1 / gap) if gap else 0.0, 0.01])
        total = rng.randrange(2, length + 1)
        prompt = rng.randrange(1, total)
        shared = rng.randrange(prompt + 1)
        tokens = [rng.randrange(2)] * shared + [1000 + i] * (prompt - shared)
        requests.append((time, tokens, [rng.choice([0, 1, 2000 + i])] * (total - prompt)))
    both = [SimulatedReplica("r", spec, merge=merge) for merge in (True, False)]
    merged, single = (drive(replica, requests) for replica in both)
    assert merged == single
    assert state(both[0]) == state(both[1])
    assert {name for report in merged for name in report.finished} == {f"r{i}" for i in range(len(requests))}


def test_a_run_does_what_many_steps_do() -> None:
    """That runs are merged at all: nothing else in a test would see that they are not."""
    replica = SimulatedReplica("r", ReplicaSpec("p", TIMING))
    scheduled = 0
    original = replica.scheduler.schedule

    def schedule(budget: int | None = None) -> Any:
        nonlocal scheduled
        scheduled += 1
        return original(budget)

    replica.scheduler.schedule = schedule  # type: ignore[method-assign]
    (first, last) = drive(replica, [(0.0, [1] * 100, [2] * 500)])
    assert scheduled == 1 and replica.num_steps == 500
    assert (first.first, last.finished, sum(n for _, n in last.progress)) == (["r0"], ["r0"], 499)
    assert replica.num_batched_tokens == 599
    contexts = range(100, 600)
    assert last.time == pytest.approx(0.01 * 500 + 0.0001 * 599 + 0.000001 * sum(contexts))


def test_what_cannot_run_is_refused() -> None:
    replica = SimulatedReplica("r", ReplicaSpec("p", TIMING, max_model_len=100))
    with pytest.raises(RequestTooLargeError, match="100"):
        replica.add("a", [1] * 90, [1] * 11, [], 0.0)
    assert replica.due is None
    with pytest.raises(ValueError, match="KV cache"):
        ReplicaSpec("p", TIMING, num_blocks=3, max_model_len=1000)
