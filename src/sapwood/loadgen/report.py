"""A measurement as a table for people, and as JSON for programs."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sapwood.loadgen.bench import Bench, LoadOptions, Measurement
from sapwood.loadgen.record import RequestRecord

LATENCIES = (
    ("ttft_ms", "time to first token"),
    ("tpot_ms", "time per output token"),
    ("itl_ms", "inter-token latency"),
    ("e2el_ms", "end-to-end latency"),
)


def machine() -> dict[str, Any]:
    """What figures depend on: processor, number of processors that are ours, kernel."""
    model = ""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return {"cpu": model, "cpus": len(os.sched_getaffinity(0)), "platform": platform.platform()}


def describe_load(o: LoadOptions, kind: str, load: float | None) -> str:
    """The workload in one line; of a sweep (load None) without the value that changes."""
    if kind == "concurrency":
        loop = "closed loop" if load is None else f"closed loop, {load:g} client{'s' * (load != 1)}"
    else:
        gaps = {1.0: "Poisson", float("inf"): "constant gaps"}.get(o.burstiness, f"gamma, burstiness {o.burstiness:g}")
        loop = "open loop" if load is None else f"open loop, {load:g} requests/s"
        loop += f" ({gaps})"
    r = o.random
    if o.prompts is not None:
        what = f"prompts of {o.prompts}"
    else:
        spread = f" (+-{100 * r.range_ratio:g}%)" if r.range_ratio else ""
        prefix = f"prefix {r.prefix_len} (of {r.num_prefixes}) + " if r.prefix_len else ""
        what = f"{prefix}{r.input_len} tokens in, {r.output_len} out{spread}"
        if r.turns > 1:
            what += f", {r.turns} turns, {o.think_time:g} s between"
    limit = f"for {o.duration:g} s" if o.duration is not None else ""
    return ", ".join(part for part in (loop, what, limit, f"seed {o.seed}") if part)


def table(bench: Bench, m: Measurement) -> str:
    """The figures of one run. Latencies in milliseconds."""
    s = m.summary
    server = f"{bench.options.url} {bench.target.path}, model {bench.model}"
    lines = [
        ("server", server),
        ("load", describe_load(bench.options, m.kind, m.load)),
        ("requests", _requests(s)),
        ("duration", f"{s['duration_s']:.2f} s, at most {s['peak_concurrency']} at once"),
        ("tokens", _tokens(s)),
        (
            "throughput",
            "{request_throughput:.3g} requests/s, {output_throughput:.1f} output tokens/s, "
            "{total_token_throughput:.1f} tokens/s in all".format_map(s),
        ),
    ]
    if "goodput" in s:
        limits = ", ".join(f"{name} <= {limit:g} ms" for name, limit in s["goodput"]["limits_ms"].items())
        good = s["goodput"]
        lines.append(("goodput", f"{good['request_goodput']:.3g} requests/s ({good['requests']} requests; {limits})"))
    if s["offered_rate"] is not None:
        lag = s["send_lag_ms"]
        lines.append(("offered", f"{s['offered_rate']:.3g} requests/s; sent {lag['p99']:.1f} ms late at p99"))
    out = [f"{name:<11}{text}" for name, text in lines]
    out += ["", f"{'ms':<24}{'mean':>10}{'median':>10}{'p90':>10}{'p99':>10}{'max':>10}"]
    rows = list(LATENCIES)
    if s["refusal_ms"]:
        rows.append(("refusal_ms", "refused after"))
    for key, name in rows:
        found = s[key]
        cells = [f"{found[c]:>10.2f}" if found else f"{'-':>10}" for c in ("mean", "median", "p90", "p99", "max")]
        out.append(f"{name:<24}{''.join(cells)}")
    out += ["", *(f"error: {kind}: {text}" for kind, text in s["error_messages"].items())]
    out += [f"note: {note}" for note in notes(bench, m)]
    return "\n".join(out).rstrip()


def _requests(s: dict[str, Any]) -> str:
    errors = ", ".join(f"{kind}: {count}" for kind, count in s["errors"].items())
    return f"{s['completed']} completed, {s['failed']} failed" + (f" ({errors})" if errors else "")


def _tokens(s: dict[str, Any]) -> str:
    cached = f" ({s['cached_tokens']} from the cache)" if s["cached_tokens"] else ""
    return f"{s['prompt_tokens']} in{cached}, {s['output_tokens']} out"


def notes(bench: Bench, m: Measurement, *, numbers: bool = True) -> list[str]:
    """What a reader must know to trust the figures. numbers: with those of this run, not only what holds of several."""
    s = m.summary
    out = list(bench.notes)
    if s["completed"] and not s["with_usage"]:
        out.append("the server sends no usage: output tokens are chunks, prompt tokens are unknown")
    elif not s["chunks_equal_tokens"]:
        counts = f" ({s['output_tokens']} and {s['chunks']})" if numbers else ""
        out.append(f"tokens by usage and chunks with output differ{counts}: ITL is between chunks, TPOT by usage")
    if s["sent_again"]:
        count = f"{s['sent_again']} " if numbers else ""
        out.append(f"{count}requests met an idle connection that the server had closed, and were sent again")
    if s["client_cpu_share"] > 0.7 and s["duration_s"] > 1:
        share = f"{100 * s['client_cpu_share']:.0f}%" if numbers else "more than 70%"
        out.append(f"the client was busy {share} of the time: figures may be its own")
    if s["send_lag_ms"] and s["send_lag_ms"]["p99"] > 20:
        out.append("requests were sent late: the client did not keep up with its own schedule")
    return out


def sweep_table(bench: Bench, runs: Sequence[Measurement]) -> str:
    """One line a run."""
    kind = "rate" if runs[0].kind == "request_rate" else "clients"
    head = [kind, "req/s", "out tok/s", "goodput", "TTFT med", "p99", "TPOT med", "p99", "E2E med", "p99", "failed"]
    widths = [8, 9, 11, 9, 10, 9, 10, 9, 10, 9, 8]
    out = ["".join(f"{name:>{width}}" for name, width in zip(head, widths, strict=True))]
    for m in runs:
        s = m.summary
        good = s.get("goodput", {}).get("request_goodput")
        cells = [f"{m.load:g}", f"{s['request_throughput']:.3g}", f"{s['output_throughput']:.1f}"]
        cells.append("-" if good is None else f"{good:.3g}")
        for key in ("ttft_ms", "tpot_ms", "e2el_ms"):
            cells += [f"{s[key][c]:.1f}" if s[key] else "-" for c in ("median", "p99")]
        cells.append(str(s["failed"]))
        out.append("".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))
    seen = dict.fromkeys(note for m in runs for note in notes(bench, m, numbers=False))
    errors = dict(item for m in runs for item in m.summary["error_messages"].items())
    out += ["", *(f"error: {kind}: {text}" for kind, text in errors.items()), *(f"note: {note}" for note in seen)]
    return "\n".join(out).rstrip()


def as_json(bench: Bench, runs: Sequence[Measurement], details: bool) -> dict[str, Any]:
    """Everything, with the options, the machine of the client and the date. details: every request too."""
    from sapwood import __version__

    o = asdict(bench.options)
    for name in ("api_key", "headers", "tokenizer"):  # secrets, and what JSON cannot hold
        del o[name]
    o["prompts"] = None if o["prompts"] is None else str(o["prompts"])
    o["burstiness"] = "inf" if o["burstiness"] == float("inf") else o["burstiness"]
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "machine": machine(),
        "model": bench.model,
        "endpoint": bench.target.path,
        "options": o,
        "runs": [
            {"kind": m.kind, "load": m.load, **m.summary, "notes": notes(bench, m)}
            | ({"records": [_detail(r) for r in m.records]} if details else {})
            for m in runs
        ],
    }


def _detail(record: RequestRecord) -> dict[str, Any]:
    out = asdict(record)
    del out["text"]
    return out
