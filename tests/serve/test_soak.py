"""The server under mixed load for a while: nothing hangs, leaks or is lost but what the killed engine held.

SOAK_SECONDS sets the time (20 by default), SOAK_SEED the choices; `make nightly` runs 20 minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time

import pytest
from real_server import RealServer, gone, open_files, real_server, status
from soak import ARGUMENTS, SECRET, Soak


def quiet(server: RealServer) -> dict[str, float]:
    """Wait until the server has nothing to do; what it holds then."""
    end = time.monotonic() + 60
    names = ("num_requests_running", "num_requests_waiting", "num_requests_unfinished", "kv_cache_usage_perc")
    while True:
        metrics = server.metrics()
        held = {name: metrics[name, ()] for name in names}
        held["http_requests_in_progress"] = metrics["http_requests_in_progress", ()] - 1  # the one that asks
        held["http_connections"] = metrics["http_connections", ()] - 1
        held["blocks taken"] = (
            next(float(dict(labels)["num_gpu_blocks"]) for name, labels in metrics if name == "cache_config_info")
            - metrics["num_free_kv_blocks", ()]
        )
        if not any(held.values()) or time.monotonic() > end:
            return held
        time.sleep(0.1)


def soak(seconds: float, seed: int) -> None:
    with real_server(*ARGUMENTS) as server:
        assert not any(quiet(server).values())
        files, threads = open_files(server.pid), status(server.pid)["Threads"]
        run = Soak(server, seconds, seed)
        asyncio.run(run.run())
        print(run.report())
        assert run.failures == []

        # Everything happened, and all of it was answered or refused.
        words = " ".join(run.outcomes)
        for word in ("ask: answered", "left: first chunk", "left: body", "refused: 400", "refused: 413", "burst"):
            assert word in words, word
        assert any("queue full" in name for name in run.outcomes)

        # Nothing is held.
        assert not any(quiet(server).values()), quiet(server)
        metrics = server.metrics()
        assert metrics["leaked_kv_blocks_total", ()] == 0
        assert metrics["engine_step_errors_total", ()] == 0
        assert metrics["engine_restarts_total", ()] == 1
        (engine,) = server.engine_pids()
        assert open_files(server.pid) <= files + 1  # a connection of the last look may not be closed yet
        assert int(status(server.pid)["Threads"]) <= int(threads) + 4  # its pool of tokenizer threads starts late
        check_memory(run)
        check_counters(run)

        # The log: one JSON object a line, no secrets, no errors but about the engine that was killed.
        lines = server.log_lines()
        assert SECRET not in server.log() and "forged" not in server.log()
        errors = [line for line in lines if line["level"] not in ("info", "debug")]
        assert all(line["logger"].startswith("sapwood.engine.process") for line in errors), errors
        assert "Traceback" not in json.dumps(lines)

        # It still answers as it did before, and ends cleanly.
        asyncio.run(run.learn())
        half = len(run.questions)
        assert run.answers[:half] == run.answers[half:]
        assert server.terminate() == 0
        assert gone(engine)


def check_memory(run: Soak) -> None:
    """Half of the run is for caches and arenas to fill; after it memory stays where it is."""

    def middle(begin: float, end: float, name: str) -> float:
        low, high = (run.began + run.seconds * share for share in (begin, end))
        return statistics.median(getattr(s, name) for s in run.samples if low <= s.at <= high)

    if len(run.samples) < 20:
        return
    for name, most in (("server_mb", 24.0), ("engine_mb", 24.0)):
        assert middle(0.85, 1.0, name) - middle(0.5, 0.65, name) < most, [(s.at, getattr(s, name)) for s in run.samples]
    assert max(s.server_mb for s in run.samples) < 150


def check_counters(run: Soak) -> None:
    """Counters never go back, not even when the engine starts anew, and they count at least what clients saw."""
    counted: dict[object, float] = {}
    for sample in run.samples:
        for key, value in sample.metrics.items():
            if key[0].endswith(("_total", "_count", "_bucket")) and not key[0].startswith(("process_", "python_")):
                assert value >= counted.get(key, 0.0), key
                counted[key] = value
    totals = run.totals()
    assert totals["generation_tokens_total"] >= run.tokens_seen
    assert totals["prefix_cache_hits_total"] > 0 and totals["num_preemptions_total"] > 0
    last = run.samples[-1].metrics
    buckets = [value for (name, labels), value in last.items()
               if name == "e2e_request_latency_seconds_bucket" and dict(labels)["le"] == "+Inf"]  # fmt: skip
    assert buckets == [last["e2e_request_latency_seconds_count", ()]]


@pytest.mark.timeout(900)
def test_soak() -> None:
    soak(float(os.environ.get("SOAK_SECONDS", "20")), int(os.environ.get("SOAK_SEED", "1")))


@pytest.mark.nightly
@pytest.mark.timeout(2400)
def test_soak_for_twenty_minutes() -> None:
    soak(1200.0, int(os.environ.get("SOAK_SEED", "2")))
