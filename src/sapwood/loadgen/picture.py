"""A run as a picture: distributions of latencies, and what happened over time; a sweep as curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from sapwood.loadgen.bench import Bench, Measurement
from sapwood.loadgen.chart import COLORS, Panel, page
from sapwood.loadgen.metrics import concurrency, percentile
from sapwood.loadgen.report import describe_load, machine

BINS = 48


def run_picture(bench: Bench, m: Measurement) -> str:
    """SVG of one run: TTFT, ITL, requests under way, and tokens per second."""
    done = [r for r in m.records if r.ok]
    s = m.summary
    panels = [
        histogram("Time to first token", [1e3 * r.ttft for r in done]),
        histogram("Inter-token latency", [1e3 * itl for r in done for itl in r.itls]),
        _under_way(m),
        _tokens_over_time(m),
    ]
    title = f"{bench.model}: {s['output_throughput']:.1f} output tokens/s, {s['request_throughput']:.3g} requests/s"
    failed = f"; {s['failed']} of {s['requests']} requests failed" if s["failed"] else ""
    return page(title, describe_load(bench.options, m.kind, m.load) + failed + "; " + _where(bench), panels)


def _where(bench: Bench) -> str:
    found = machine()
    return f"{bench.options.url}, client on {found['cpus']} CPUs"


def histogram(title: str, values: Sequence[float]) -> Panel:
    """How often values in milliseconds came, with the median, p90 and p99. Logarithmic if they span much."""
    ordered = sorted(values)
    if not ordered:
        return Panel(f"{title}: none", "ms", (0, 1), (0, 1))
    high = max(ordered[-1], 2e-3)
    low = max(ordered[0], high / 3000)  # chunks that came in one piece are 0 apart; they go into the first bar
    log = high / low > 30
    if not log:
        margin = max((high - low) * 0.03, high * 0.01)
        low, high = max(0.0, low - margin), high + margin
        edges = [low + (high - low) * i / BINS for i in range(BINS + 1)]
    else:
        high *= 1.05
        edges = [low * (high / low) ** (i / BINS) for i in range(BINS + 1)]
    counts = [0] * BINS
    at = 0
    for value in ordered:
        while at < BINS - 1 and value >= edges[at + 1]:
            at += 1
        counts[at] += 1
    panel = Panel(f"{title} ({len(ordered)})", "ms", (low, high), (0, max(counts) * 1.08), log_x=log, whole=True)
    panel.bars(edges, counts)
    for share, name, color in ((50, "median", COLORS[2]), (90, "p90", COLORS[1]), (99, "p99", COLORS[3])):
        value = percentile(ordered, share)
        panel.marker(value, f"{name} {value:.4g} ms", color)
    return panel


def _under_way(m: Measurement) -> Panel:
    points = concurrency(m.records)
    end = max((time for time, _ in points), default=1.0)
    panel = Panel(
        "Requests under way", "seconds", (0, end or 1.0), (0, 1.08 * max((n for _, n in points), default=1)), whole=True
    )
    panel.steps(points, COLORS[0])
    failures = sorted(r.end for r in m.records if not r.ok)
    if failures:
        edges, counts = _count(failures, end)
        panel.steps([*zip(edges, map(float, counts), strict=False)], COLORS[1], f"failed per {edges[1]:.3g} s")
    return panel


def _tokens_over_time(m: Measurement) -> Panel:
    end = max((r.end for r in m.records), default=1.0) or 1.0
    edges, counts = _count((t for r in m.records for t in r.token_times), end)
    width = edges[1]
    rates = [count / width for count in counts]
    panel = Panel("Output chunks per second", "seconds", (0, end), (0, max(rates, default=0) * 1.08 or 1))
    panel.bars(edges, rates)
    return panel


def _count(times: Iterable[float], end: float) -> tuple[list[float], list[int]]:
    bins = 60
    width = end / bins
    counts = [0] * bins
    for time in times:
        counts[min(bins - 1, int(time / width))] += 1
    return [width * i for i in range(bins + 1)], counts


def sweep_picture(bench: Bench, runs: Sequence[Measurement]) -> str:
    """SVG of a sweep: throughput, completed and good requests, TTFT, and TPOT over the load."""
    by_rate = runs[0].kind == "request_rate"
    x_label = "requests per second offered" if by_rate else "clients"
    loads = [m.load for m in runs]
    log_x = min(loads) > 0 and max(loads) / min(loads) > 12
    low, high = (min(loads) * 0.9, max(loads) * 1.1) if log_x else (0.0, max(loads) * 1.05)

    def curves(title: str, series: Sequence[tuple[str, Callable[[Measurement], float]]], log: bool = False) -> Panel:
        lines = [(name, [(m.load, value(m)) for m in runs]) for name, value in series]
        values = [v for _, points in lines for _, v in points if not math.isnan(v)]
        top = max(values, default=1.0) * 1.1 or 1.0
        bottom = 0.0
        positive = [v for v in values if v > 0]
        if log and positive and max(positive) / min(positive) > 12:
            bottom, top = min(positive) * 0.8, max(positive) * 1.25
        panel = Panel(title, x_label, (low, high), (bottom, top), log_x=log_x, log_y=bottom > 0)
        for (name, points), color in zip(lines, COLORS, strict=False):
            panel.line(points, color, name, marks=True)
        return panel

    def latency(key: str, which: str) -> Callable[[Measurement], float]:
        return lambda m: m.summary[key].get(which, math.nan)

    requests: list[tuple[str, Callable[[Measurement], float]]] = [
        ("completed", lambda m: m.summary["request_throughput"])
    ]
    if bench.options.goodput:
        requests.append(("goodput", lambda m: m.summary["goodput"]["request_goodput"]))
    if any(m.summary["failed"] for m in runs):
        requests.append(("failed", lambda m: m.summary["failed"] / m.summary["duration_s"]))
    panels = [
        curves("Output tokens per second", [("output tokens/s", lambda m: m.summary["output_throughput"])]),
        curves("Requests per second", requests),
        curves("Time to first token, ms", [(w, latency("ttft_ms", w)) for w in ("median", "p90", "p99")], log=True),
        curves("Time per output token, ms", [(w, latency("tpot_ms", w)) for w in ("median", "p90", "p99")], log=True),
    ]
    limits = ", ".join(f"{name} <= {limit:g} ms" for name, limit in bench.options.goodput.items())
    what = describe_load(bench.options, runs[0].kind, None)
    subtitle = f"{what}; {_where(bench)}" + (f"; goodput: {limits}" if limits else "")
    return page(f"{bench.model}: sweep of {len(runs)} loads", subtitle, panels)
