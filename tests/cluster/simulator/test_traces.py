"""Traces: what they share, how often they come, and mistakes in recorded ones."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from statistics import mean, pstdev

import pytest

from sapwood.cluster.simulator.traces import ConversationTrace, RecordedTrace


def test_the_same_seed_gives_the_same_conversations() -> None:
    trace = ConversationTrace(500, rate=10.0)
    first = list(trace.conversations())
    assert first == list(trace.conversations())
    assert sum(len(c.turns) for c in first) == 500
    assert [c.arrival for c in first] == sorted(c.arrival for c in first)
    other = list(ConversationTrace(500, rate=10.0, seed=1).conversations())
    assert [c.arrival for c in first[:20]] != [c.arrival for c in other[:20]]


def test_conversations_share_system_prompts_and_nothing_else() -> None:
    trace = ConversationTrace(2000, rate=10.0, system_prompts=10, system_tokens=100)
    popular: dict[int, int] = {}
    seen: set[int] = set()
    for c in trace.conversations():
        first = c.turns[0].added
        assert len(set(first[:100])) == 1
        popular[first[0]] = popular.get(first[0], 0) + 1
        own = {t for turn in c.turns for t in turn.added + turn.output} - {first[0]}
        assert len(own) == 2 * len(c.turns) and not own & seen
        seen |= own
    assert len(popular) == 10 and popular[1] > 3 * popular[10]
    assert max(seen) < 2**32


def test_lengths_rates_and_bursts_are_as_asked() -> None:
    steady, bursty = (
        list(ConversationTrace(20_000, rate=10.0, burstiness=b, most_turns=1000).conversations()) for b in (1.0, 0.1)
    )
    assert mean(len(c.turns) for c in steady) == pytest.approx(4.0, rel=0.05)
    turns = [turn for c in steady for turn in c.turns]
    assert mean(len(t.output) for t in turns) == pytest.approx(120, rel=0.05)
    assert mean(t.think for t in turns) == pytest.approx(20.0, rel=0.05)
    for conversations, deviation in ((steady, 0.1), (bursty, 0.316)):  # of gaps: mean / sqrt(burstiness)
        gaps = [b.arrival - a.arrival for a, b in pairwise(conversations)]
        assert mean(gaps) == pytest.approx(0.1, rel=0.1) and pstdev(gaps) == pytest.approx(deviation, rel=0.15)


def test_a_recorded_trace(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    lines = [
        {"timestamp": 0, "input_length": 600, "output_length": 3, "hash_ids": [0, 1]},
        {"timestamp": 3000, "input_length": 1024, "output_length": 5, "hash_ids": [0, 2]},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    first, second = RecordedTrace(path, speed=2.0).conversations()
    assert (first.arrival, second.arrival) == (0.0, 1.5)
    a, b = first.turns[0], second.turns[0]
    assert (len(a.added), len(a.output), len(b.added), len(b.output)) == (600, 3, 1024, 5)
    assert a.added[:512] == b.added[:512] and not {*a.added[512:]} & {*b.added} and not {*a.output} & {*b.output}
    assert len(list(RecordedTrace(path, num_requests=1).conversations())) == 1


@pytest.mark.parametrize(
    "line",
    [
        "junk",
        '{"timestamp": 5, "input_length": 600, "output_length": 3}',
        '{"timestamp": 5, "input_length": 600, "output_length": 3, "hash_ids": [1]}',
        '{"timestamp": 5, "input_length": 10, "output_length": 0, "hash_ids": [1]}',
        '{"timestamp": 1, "input_length": 10, "output_length": 1, "hash_ids": [1]}',
    ],
)
def test_lines_of_another_form(tmp_path: Path, line: str) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text('{"timestamp": 2, "input_length": 10, "output_length": 1, "hash_ids": [1]}\n' + line + "\n")
    with pytest.raises(ValueError, match=r"trace\.jsonl:2: no request"):
        list(RecordedTrace(path).conversations())
