"""Runs side by side, as a table and as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sapwood.cluster.simulator.run import Result
from sapwood.loadgen.chart import COLORS, Panel, page
from sapwood.loadgen.metrics import percentile

_POINTS = 200  # of a curve


def summary(result: Result) -> dict[str, Any]:
    """Plain values of a run, for JSON. Seconds, shares from 0 to 1, tokens."""
    ttft, latency = sorted(result.ttft), sorted(result.latency)
    return {
        "policy": result.policy,
        "replicas": len(result.pools),
        "requests": len(ttft),
        "refused": result.num_refused,
        "preemptions": result.num_preemptions,
        "hit_rate": result.hit_rate,
        "ideal_hit_rate": result.ideal_hit_rate,
        "ttft_s": {f"p{p}": percentile(ttft, p) for p in (50, 90, 99)},
        "latency_s": {f"p{p}": percentile(latency, p) for p in (50, 90, 99)},
        "imbalance": result.imbalance,
        "busy": sum(result.busy_seconds) / max(result.loaded_seconds * len(result.pools), 1e-9),
        "output_tokens_per_s": result.throughput,
        "steps": result.num_steps,
        "seconds": result.seconds,
        "wall_s": result.wall_seconds,
        "decision_us": 1e6 * result.route_seconds / max(len(ttft) + result.num_refused, 1),
    }


def table(results: Sequence[Result]) -> str:
    """A line for each run. of ideal: share of the hits that a cache without limit for all replicas would have had;
    busy: mean share of the time; imbalance: the busiest replica over the mean; decision: mean wall time of a route."""
    head = ("policy", "requests", "hit rate", "of ideal", "TTFT p50", "p99", "latency p50", "p99", "busy", "imbalance",
            "tokens/s", "preempted", "refused", "decision")  # fmt: skip
    rows: list[tuple[str, ...]] = [head]
    for result in results:
        s = summary(result)
        share = result.hit_rate / result.ideal_hit_rate if result.ideal_hit_rate else math.nan
        rows.append(
            (
                s["policy"],
                str(s["requests"]),
                f"{s['hit_rate']:.1%}",
                f"{share:.1%}",
                *(_seconds(s["ttft_s"][p]) for p in ("p50", "p99")),
                *(_seconds(s["latency_s"][p]) for p in ("p50", "p99")),
                f"{s['busy']:.0%}",
                f"{s['imbalance']:.2f}",
                f"{s['output_tokens_per_s']:.0f}",
                str(s["preemptions"]),
                str(s["refused"]),
                f"{s['decision_us']:.0f} µs",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(text.rjust(w) for text, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return "\n".join(lines)


def _seconds(value: float) -> str:
    return f"{1e3 * value:.0f} ms" if value < 10 else f"{value:.1f} s"


def picture(results: Sequence[Result], subtitle: str) -> str:
    """SVG: times to first token and latencies as cumulated shares, hit rates, and how busy replicas were."""
    panels = [
        _cumulated("Time to first token: share of requests", "seconds", [(r.policy, r.ttft) for r in results]),
        _cumulated("Latency: share of requests", "seconds", [(r.policy, r.latency) for r in results]),
        _hits(results),
        _load(results),
    ]
    counts = {pool: results[0].pools.count(pool) for pool in dict.fromkeys(results[0].pools)}
    cluster = " and ".join(f"{count} replicas of {pool}" for pool, count in counts.items())
    return page(f"{cluster}, simulated: {len(results[0].ttft)} requests", subtitle, panels)


def _cumulated(title: str, x_label: str, series: Sequence[tuple[str, Sequence[float]]]) -> Panel:
    ordered = [(name, sorted(values)) for name, values in series if len(values)]
    low = max(min((values[0] for _, values in ordered), default=1e-3), 1e-4)
    high = max(max((values[-1] for _, values in ordered), default=1.0), 2 * low)
    panel = Panel(title, x_label, (low, high), (0, 1), log_x=True)
    for (name, values), color in zip(ordered, COLORS, strict=False):
        shares = [i / _POINTS for i in range(_POINTS + 1)]
        panel.line([(percentile(values, 100 * share), share) for share in shares], color, name)
    return panel


def _hits(results: Sequence[Result]) -> Panel:
    panel = Panel("Share of prompt tokens found in the cache", "", (0, len(results)), (0, 1))
    for i, (result, color) in enumerate(zip(results, COLORS, strict=False)):
        panel.bars([i + 0.15, i + 0.85], [result.hit_rate], color)
        panel.legend.append((f"{result.policy} {result.hit_rate:.0%}", color))
    ideal = max(result.ideal_hit_rate for result in results)
    panel.line([(0, ideal), (len(results), ideal)], "#1f2933", f"ideal {ideal:.0%}")
    return panel


def _load(results: Sequence[Result]) -> Panel:
    series = []
    for result in results:
        mean = sum(result.busy_seconds) / max(len(result.busy_seconds), 1) or 1.0
        series.append((result.policy, sorted((busy / mean for busy in result.busy_seconds), reverse=True)))
    top = max((loads[0] for _, loads in series if loads), default=1.0)
    count = max(len(loads) for _, loads in series)
    panel = Panel("Time that replicas were busy, over the mean", "replicas, busiest first", (0, count), (0, 1.08 * top))
    for (name, loads), color in zip(series, COLORS, strict=False):
        panel.steps([*enumerate(loads), (len(loads), loads[-1])], color, name)
    return panel
