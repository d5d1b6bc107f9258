"""Definitions, from records with times of our own; nothing here measures."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.loadgen.metrics import concurrency, distribution, percentile, summarize
from sapwood.loadgen.record import RequestRecord


def record(start: float, *tokens: float, end: float | None = None, **more) -> RequestRecord:
    return RequestRecord(start=start, token_times=list(tokens), end=tokens[-1] if end is None else end, **more)


def failed(start: float, end: float, kind: str, **more) -> RequestRecord:
    return RequestRecord(start=start, end=end, error=kind, message=kind, **more)


def test_latencies_of_one_request():
    r = record(10.0, 10.5, 10.7, 11.5, end=11.6)
    assert r.ttft == pytest.approx(0.5)
    assert r.e2el == pytest.approx(1.5)  # to the last token, not to the end of the response
    assert r.itls == pytest.approx([0.2, 0.8])
    assert r.tpot == pytest.approx(0.5)


def test_tpot_counts_tokens_not_chunks():
    r = record(0.0, 1.0, 3.0, completion_tokens=5)  # two chunks carried five tokens
    assert r.tpot == pytest.approx(2.0 / 4)
    assert r.itls == pytest.approx([2.0])


def test_one_token_has_no_tpot():
    assert record(0.0, 1.0).tpot is None
    assert record(0.0, 1.0).itls == []


def test_summary():
    records = [
        record(0.0, 1.0, 2.0, 3.0, end=3.5, prompt_tokens=7, completion_tokens=3, cached_tokens=4),
        record(1.0, 4.0, 5.0, end=6.0, prompt_tokens=9, completion_tokens=2, cached_tokens=None),
        failed(2.0, 2.5, "refused", status=429),
        failed(2.0, 11.0, "timeout"),
    ]
    s = summarize(records)
    assert s["duration_s"] == pytest.approx(11.0)
    assert (s["requests"], s["completed"], s["failed"]) == (4, 2, 2)
    assert s["errors"] == {"refused 429": 1, "timeout": 1}
    assert s["request_throughput"] == pytest.approx(2 / 11)
    assert s["output_throughput"] == pytest.approx(5 / 11)
    assert s["total_token_throughput"] == pytest.approx(21 / 11)
    assert s["cached_tokens"] == 4
    assert s["ttft_ms"]["mean"] == pytest.approx(2000)
    assert s["ttft_ms"]["median"] == pytest.approx(2000)
    assert s["ttft_ms"]["p90"] == pytest.approx(1000 + 0.9 * 2000)
    assert s["tpot_ms"]["mean"] == pytest.approx(1000)
    assert s["itl_ms"] == pytest.approx(dict.fromkeys(("mean", "median", "p90", "p99", "max"), 1000))
    assert s["e2el_ms"]["max"] == pytest.approx(4000)
    assert s["refusal_ms"]["max"] == pytest.approx(500)
    assert s["peak_concurrency"] == 4
    assert s["chunks_equal_tokens"]


def test_disagreement_of_usage_and_chunks_is_told():
    assert not summarize([record(0.0, 1.0, 2.0, completion_tokens=3)])["chunks_equal_tokens"]


def test_without_usage_chunks_are_tokens():
    s = summarize([record(0.0, 1.0, 2.0)])
    assert (s["output_tokens"], s["with_usage"]) == (2, 0)


def test_nothing_completed():
    s = summarize([failed(0.0, 1.0, "connect")])
    assert s["ttft_ms"] == {}
    assert s["output_throughput"] == 0
    assert summarize([])["requests"] == 0


@pytest.mark.parametrize(
    ("limits", "good"),
    [
        ({"ttft": 1000}, 2),  # 500 and 1000 ms: a limit that is met exactly is kept
        ({"ttft": 999}, 1),
        ({"tpot": 250}, 1),
        ({"e2el": 2000}, 2),
        ({"ttft": 999, "tpot": 200}, 0),
        ({"ttft": 5000, "tpot": 5000, "e2el": 5000}, 3),
    ],
)
def test_goodput(limits, good):
    records = [
        record(0.0, 0.5, 1.5, end=1.5),  # ttft 500, tpot 1000, e2el 1500
        record(0.0, 1.0, end=1.0),  # ttft 1000, one token: tpot 0, e2el 1000
        record(0.0, 2.0, 2.5, end=4.0),  # ttft 2000, tpot 500, e2el 2500
        failed(0.0, 0.1, "refused", status=429),
    ]
    s = summarize(records, limits)
    assert s["goodput"]["requests"] == good
    assert s["goodput"]["request_goodput"] == pytest.approx(good / 4.0)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_percentile_is_numpys(values, share):
    import numpy as np

    ordered = sorted(values)
    assert percentile(ordered, share) == pytest.approx(float(np.percentile(ordered, share)), rel=1e-9, abs=1e-9)


def test_distribution_of_nothing():
    assert distribution([]) == {}
    assert math.isnan(percentile([], 50))


def test_concurrency_does_not_count_a_hand_over_twice():
    records = [record(0.0, 1.0), record(1.0, 2.0), record(1.5, 3.0)]
    assert concurrency(records) == [(0.0, 1), (1.0, 1), (1.5, 2), (2.0, 1), (3.0, 0)]
