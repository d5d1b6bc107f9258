"""A cluster in virtual time: what it counts, that merging changes nothing, and how policies compare."""

from __future__ import annotations

from pathlib import Path

import pytest

from sapwood.cluster.simulator.engine import ReplicaSpec
from sapwood.cluster.simulator.policies import POLICIES
from sapwood.cluster.simulator.report import picture, summary, table
from sapwood.cluster.simulator.run import Cluster, Result
from sapwood.cluster.simulator.timing import TimingModel
from sapwood.cluster.simulator.traces import ConversationTrace, Lengths, RecordedTrace
from sapwood.loadgen.metrics import percentile

TIMING = TimingModel(0.008, 6e-5, 3e-8)
SPEC = ReplicaSpec("p", TIMING)


def simulate(policy: str, trace: object, specs: list[ReplicaSpec], **options: object) -> Result:
    return Cluster(specs, POLICIES[policy], name=policy, **options).run(trace)  # type: ignore[arg-type]


def measured(result: Result) -> tuple[object, ...]:
    """All but wall times."""
    values = summary(result)
    del values["wall_s"], values["decision_us"]
    return (values, *(list(x) for x in (result.arrived, result.ttft, result.latency, result.busy_seconds)))


@pytest.mark.parametrize("policy", ["default", "least_load", "longest_prefix"])
def test_merging_steps_changes_nothing_and_runs_repeat(policy: str) -> None:
    tight = ReplicaSpec("p", TIMING, num_blocks=40, max_model_len=2560, max_num_seqs=8)  # queues and preemptions
    long = Lengths(300, 0.5, 600)
    trace = ConversationTrace(250, 20.0, system_tokens=100, added=Lengths(50, 0.5, 200), output=long, turns=2.0,
                              most_turns=3, think_seconds=1.0)  # fmt: skip
    merged, again, single = (simulate(policy, trace, [tight] * 3, merge=merge) for merge in (True, True, False))
    assert measured(merged) == measured(again) == measured(single)
    assert merged.num_preemptions > 0 and len(merged.ttft) == 250 and merged.num_refused == 0


def test_every_request_is_answered_and_counted_once() -> None:
    trace = ConversationTrace(300, rate=4.0, think_seconds=2.0)
    conversations = list(trace.conversations())
    result = simulate("default", trace, [SPEC] * 4)
    assert len(result.ttft) == len(result.latency) == 300 and result.num_refused == 0
    assert sum(result.output_tokens) == sum(len(t.output) for c in conversations for t in c.turns)
    assert all(0 < ttft <= latency for ttft, latency in zip(result.ttft, result.latency, strict=True))
    prompts = 0
    for c in conversations:
        history = 0
        for turn in c.turns:
            history += len(turn.added)
            prompts += history
            history += len(turn.output)
    assert result.prompt_tokens == result.ideal_prompt_tokens == prompts
    # what was not found was computed; of each answer all tokens but the last
    assert sum(result.computed_tokens) == prompts - result.cached_tokens + sum(result.output_tokens) - 300


@pytest.mark.parametrize("policy", list(POLICIES))
def test_no_policy_exceeds_the_ideal(policy: str) -> None:
    result = simulate(policy, ConversationTrace(400, rate=8.0, think_seconds=3.0), [SPEC] * 4)
    assert 0 < result.hit_rate <= result.ideal_hit_rate < 1
    assert result.imbalance >= 1


def test_one_replica_with_room_is_ideal() -> None:
    result = simulate("round_robin", ConversationTrace(200, rate=0.5), [SPEC])
    assert result.hit_rate == result.ideal_hit_rate and result.imbalance == 1


def test_the_default_finds_prefixes_and_shares_the_load() -> None:
    """Figures of the issue, at a size for a test; benchmarks/simulator.py has the large ones."""
    trace = ConversationTrace(2400, rate=8.0, think_seconds=5.0)
    found = {name: simulate(name, trace, [SPEC] * 8) for name in ("default", "least_load", "round_robin")}
    p99 = {name: percentile(sorted(result.ttft), 99) for name, result in found.items()}
    ours = found["default"]
    assert ours.hit_rate >= 0.95 * ours.ideal_hit_rate
    assert p99["default"] <= p99["least_load"] and p99["default"] <= p99["round_robin"] / 2
    assert ours.imbalance <= 1.5


def test_prediction_alone_does_nearly_as_well_as_events() -> None:
    trace = ConversationTrace(1000, rate=6.0, think_seconds=3.0)
    told, predicted = (simulate("default", trace, [SPEC] * 6, kv_events=kv) for kv in (True, False))
    assert predicted.hit_rate == pytest.approx(told.hit_rate, abs=0.05)


def test_what_fits_nowhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text(
        '{"timestamp": 0, "input_length": 5000, "output_length": 2, "hash_ids": [1,2,3,4,5,6,7,8,9,10]}\n'
        '{"timestamp": 0, "input_length": 500, "output_length": 600, "hash_ids": [1]}\n'
        '{"timestamp": 0, "input_length": 500, "output_length": 2, "hash_ids": [1]}\n'
    )
    small = ReplicaSpec("p", TIMING, max_model_len=1024, num_blocks=16)
    result = simulate("default", RecordedTrace(path), [small] * 2)
    assert (len(result.ttft), result.num_refused) == (1, 2)


def test_a_report_names_what_was_measured() -> None:
    trace = ConversationTrace(100, rate=4.0, think_seconds=1.0)
    results = [simulate(name, trace, [SPEC] * 2) for name in ("default", "random")]
    lines = table(results).splitlines()
    assert [line.split()[0] for line in lines] == ["policy", "default", "random"] and "hit rate" in lines[0]
    svg = picture(results, "a < b")
    assert svg.startswith("<svg") and "2 replicas of p" in svg and "a &lt; b" in svg and "ideal" in svg
    assert summary(results[0])["replicas"] == 2
