"""Figures of a run, by the definitions of `vllm bench serve`.

TTFT, E2EL, TPOT and ITL as in `record.py`. Duration: from the first request's start to the end of the last.
Throughputs are sums over completed requests, over the duration. Goodput: completed requests that keep every limit of
--goodput, per second; a request with one token has a TPOT of 0. Percentiles interpolate linearly between ranks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sapwood.loadgen.record import RequestRecord

GOODPUT_METRICS = ("ttft", "tpot", "e2el")


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of 100 lies, of values in ascending order; nan of none."""
    if not ordered:
        return math.nan
    place = (len(ordered) - 1) * share / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def distribution(values: Iterable[float]) -> dict[str, float]:
    """Mean, median, p90, p99 and maximum, in milliseconds, of values in seconds. Empty of none."""
    ordered = sorted(1e3 * value for value in values)
    if not ordered:
        return {}
    return {
        "mean": sum(ordered) / len(ordered),
        "median": percentile(ordered, 50),
        "p90": percentile(ordered, 90),
        "p99": percentile(ordered, 99),
        "max": ordered[-1],
    }


def keeps(record: RequestRecord, limits: Mapping[str, float]) -> bool:
    """Whether a completed request keeps all limits. limits: milliseconds by names of GOODPUT_METRICS."""
    found = {"ttft": record.ttft, "tpot": record.tpot or 0.0, "e2el": record.e2el}
    return all(1e3 * found[name] <= limit for name, limit in limits.items())


def summarize(records: Sequence[RequestRecord], limits: Mapping[str, float] | None = None) -> dict[str, Any]:
    """All figures of a run. Times in ms, rates per second, `duration_s` in seconds."""
    done = [r for r in records if r.ok]
    failed = [r for r in records if not r.ok]
    begin = min((r.start for r in records), default=0.0)
    duration = max((r.end for r in records), default=0.0) - begin
    per_second = 1 / duration if duration > 0 else math.nan
    prompt, output = sum(r.prompt_tokens or 0 for r in done), sum(r.output_tokens for r in done)
    refused = [r for r in failed if r.error == "refused"]
    tpots = [r.tpot for r in done if r.tpot is not None]
    chunks = sum(len(r.token_times) for r in done)
    with_usage = [r for r in done if r.completion_tokens is not None]
    out: dict[str, Any] = {
        "duration_s": duration,
        "requests": len(records),
        "completed": len(done),
        "failed": len(failed),
        "errors": dict(sorted(Counter(_kind(r) for r in failed).items())),
        "error_messages": _examples(failed),
        "refusal_ms": distribution(r.end - r.start for r in refused),
        "prompt_tokens": prompt,
        "output_tokens": output,
        "cached_tokens": sum(r.cached_tokens or 0 for r in done),
        "chunks": chunks,
        "with_usage": len(with_usage),
        "chunks_equal_tokens": all(r.completion_tokens == len(r.token_times) for r in with_usage),
        "request_throughput": len(done) * per_second,
        "output_throughput": output * per_second,
        "total_token_throughput": (prompt + output) * per_second,
        "offered_rate": _offered_rate(records),
        "peak_concurrency": peak_concurrency(records),
        "ttft_ms": distribution(r.ttft for r in done),
        "tpot_ms": distribution(tpots),
        "itl_ms": distribution(itl for r in done for itl in r.itls),
        "e2el_ms": distribution(r.e2el for r in done),
        "send_lag_ms": distribution(r.start - r.scheduled for r in records if r.scheduled is not None),
    }
    if limits:
        good = sum(keeps(r, limits) for r in done)
        out["goodput"] = {"limits_ms": dict(limits), "requests": good, "request_goodput": good * per_second}
    return out


def _kind(record: RequestRecord) -> str:
    if record.error in ("http", "refused") and record.status is not None:
        return f"{record.error} {record.status}"
    return record.error or ""


def _examples(failed: Iterable[RequestRecord]) -> dict[str, str]:
    """The first message of each kind of error."""
    found: dict[str, str] = {}
    for record in failed:
        found.setdefault(_kind(record), record.message)
    return found


def _offered_rate(records: Sequence[RequestRecord]) -> float | None:
    """Requests per second between the first and the last arrival of an open loop."""
    times = [r.scheduled for r in records if r.scheduled is not None]
    if len(times) < 2 or max(times) == min(times):
        return None
    return (len(times) - 1) / (max(times) - min(times))


def peak_concurrency(records: Iterable[RequestRecord]) -> int:
    return max((level for _, level in concurrency(records)), default=0)


def concurrency(records: Iterable[RequestRecord]) -> list[tuple[float, int]]:
    """(time, requests under way from then on), ascending; one that ends when another starts does not overlap it."""
    changes: Counter[float] = Counter()
    for record in records:
        changes[record.start] += 1
        changes[record.end] -= 1
    steps: list[tuple[float, int]] = []
    level = 0
    for time in sorted(changes):
        level += changes[time]
        steps.append((time, level))
    return steps
