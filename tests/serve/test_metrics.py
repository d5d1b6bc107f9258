"""Counters after a known run, to the last unit; over restarts of the engine; and the page that shows them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from scripted_engine import ScriptedEngine, output

from sapwood.engine.client import EngineDeadError, EngineDrainingError, EngineError, EngineOverloadedError
from sapwood.engine.outputs import RequestMetrics
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.scheduler import RequestTooLargeError
from sapwood.serve.metrics import Metrics
from sapwood.serve.observe import MeteredEngine

# What routers and dashboards read, with the type that they expect.
EXPECTED = {
    "num_requests_running": "gauge",
    "num_requests_waiting": "gauge",
    "kv_cache_usage_perc": "gauge",
    "cache_config_info": "gauge",
    "prefix_cache_queries": "counter",
    "prefix_cache_hits": "counter",
    "num_preemptions": "counter",
    "prompt_tokens": "counter",
    "generation_tokens": "counter",
    "request_success": "counter",
    "admission_rejections": "counter",
    "engine_restarts": "counter",
    "time_to_first_token_seconds": "histogram",
    "inter_token_latency_seconds": "histogram",
    "e2e_request_latency_seconds": "histogram",
    "request_queue_time_seconds": "histogram",
    "request_prefill_time_seconds": "histogram",
    "request_decode_time_seconds": "histogram",
    "iteration_tokens_total": "histogram",
}


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name without prefix, and labels but the model's."""
    found = {}
    for family in text_string_to_metric_families(metrics.page().decode()):
        for sample in family.samples:
            labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "model_name"))
            found[sample.name.removeprefix("sapwood:"), labels] = sample.value
    return found


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[name, tuple(sorted(labels.items()))]


def run(engine: ScriptedEngine, metrics: Metrics, params: SamplingParams, stop_after: int | None = None) -> None:
    async def main() -> None:
        metered = MeteredEngine(engine, metrics)
        async with aclosing(metered.generate([1, 2, 3, 4, 5], params, request_id="r")) as outputs:
            count = 0
            async for _ in outputs:
                count += 1
                if count == stop_after:
                    break

    asyncio.run(main())


def stream(prompt: list[int], params: SamplingParams) -> Iterable[Any]:
    """Two texts; token times are seconds after the arrival at 100."""
    times = RequestMetrics(100.0, queued=100.1, scheduled=100.3, first_token=100.7, last_token=100.7)
    yield output(prompt, {0: ([7], None), 1: ([8], None)}, finished=False, cached=4, times=times)
    times.last_token = 100.8
    yield output(prompt, {0: ([7], None)}, finished=False, cached=4, times=times)
    times.last_token = 101.2
    yield output(prompt, {0: ([7, 7], "length"), 1: ([], None)}, finished=False, cached=4, times=times)
    times.last_token = 101.7
    yield output(prompt, {1: ([8], "stop")}, finished=True, cached=4, times=times)


def test_names_and_types() -> None:
    engine = ScriptedEngine()
    metrics = Metrics(engine, "m")
    types = {f.name: f.type for f in text_string_to_metric_families(metrics.page().decode())}
    for name, kind in EXPECTED.items():
        assert types[f"sapwood:{name}"] == kind, name
    assert value(metrics, "cache_config_info", block_size="16", num_gpu_blocks="64", num_cpu_blocks="64",
                 block_bytes="64", numerics_id="n") == 1  # fmt: skip
    assert not [name for name in types if not name.startswith(("sapwood:", "python_", "process_"))]


def test_a_known_run_adds_up() -> None:
    engine = ScriptedEngine(stream)
    metrics = Metrics(engine, "m")
    for _ in range(3):
        run(engine, metrics, SamplingParams(n=2))
    found = samples(metrics)
    plain = {name: number for (name, labels), number in found.items() if not labels}
    assert plain["prompt_tokens_total"] == 3 * 5
    assert plain["prompt_tokens_cached_total"] == 3 * 4
    assert plain["generation_tokens_total"] == 3 * 6
    assert found["request_success_total", (("finished_reason", "length"),)] == 3
    assert found["request_success_total", (("finished_reason", "stop"),)] == 3
    assert found["request_success_total", (("finished_reason", "abort"),)] == 0
    expected = {
        "time_to_first_token_seconds": (3, 3 * 0.7),
        "e2e_request_latency_seconds": (3, 3 * 1.7),
        "request_queue_time_seconds": (3, 3 * 0.2),
        "request_prefill_time_seconds": (3, 3 * 0.4),
        "request_decode_time_seconds": (3, 3 * 1.0),
        "request_inference_time_seconds": (3, 3 * 1.4),
        "request_prompt_tokens": (3, 3 * 5),
        "request_generation_tokens": (6, 3 * 6),
        # text 0: 0.1, then two tokens over 0.4; text 1: 1.0
        "inter_token_latency_seconds": (3 * 4, 3 * (0.1 + 0.4 + 1.0)),
    }
    for name, (count, total) in expected.items():
        assert plain[f"{name}_count"] == count, name
        assert plain[f"{name}_sum"] == pytest.approx(total), name


def test_a_request_answered_at_its_end_shares_its_time_among_its_tokens() -> None:
    def script(prompt: list[int], params: SamplingParams) -> Iterable[Any]:
        times = RequestMetrics(100.0, queued=100.0, scheduled=100.0, first_token=101.0, last_token=103.0)
        yield output(prompt, {0: ([1, 2, 3, 4, 5], "length")}, finished=True, times=times)

    engine = ScriptedEngine(script)
    metrics = Metrics(engine, "m")
    run(engine, metrics, SamplingParams())
    assert value(metrics, "inter_token_latency_seconds_count") == 4
    assert value(metrics, "inter_token_latency_seconds_sum") == pytest.approx(2.0)
    assert value(metrics, "inter_token_latency_seconds_bucket", le="0.5") == 4


def test_requests_that_break_off_are_counted_once() -> None:
    engine = ScriptedEngine(stream)
    metrics = Metrics(engine, "m")
    run(engine, metrics, SamplingParams(n=2), stop_after=3)  # text 0 has ended by then
    assert value(metrics, "request_success_total", finished_reason="length") == 1
    assert value(metrics, "request_success_total", finished_reason="abort") == 1
    assert value(metrics, "e2e_request_latency_seconds_count") == 0

    def dies(prompt: list[int], params: SamplingParams) -> Iterable[Any]:
        yield next(iter(stream(prompt, params)))
        yield EngineDeadError("died")

    engine.script = dies
    with pytest.raises(EngineDeadError):
        run(engine, metrics, SamplingParams(n=2))
    assert value(metrics, "request_success_total", finished_reason="error") == 2
    assert value(metrics, "admission_rejections_total", reason="engine_dead") == 0


def test_a_request_that_fails_before_its_first_token_is_an_error() -> None:
    engine = ScriptedEngine(lambda prompt, params: [EngineError("the step failed")])
    metrics = Metrics(engine, "m")
    with pytest.raises(EngineError):
        run(engine, metrics, SamplingParams(n=2))
    assert value(metrics, "request_success_total", finished_reason="error") == 2


def test_a_cancelled_request_is_an_abort() -> None:
    engine = ScriptedEngine(lambda prompt, params: [10.0])
    metrics = Metrics(engine, "m")

    async def main() -> None:
        async def one() -> None:
            async for _ in MeteredEngine(engine, metrics).generate([1], SamplingParams(), request_id="r"):
                pass

        task = asyncio.create_task(one())
        await asyncio.sleep(0.01)
        assert engine.running == 1
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert engine.running == 0
    assert value(metrics, "request_success_total", finished_reason="abort") == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (EngineOverloadedError("full", 1.0), "queue_full"),
        (EngineDrainingError("draining"), "draining"),
        (EngineDeadError("dead"), "engine_dead"),
        (RequestTooLargeError("too large"), "too_large"),
        (ValueError("bad"), "invalid"),
    ],
)
def test_refusals_are_counted_by_reason(error: Exception, reason: str) -> None:
    engine = ScriptedEngine(lambda prompt, params: [error])
    metrics = Metrics(engine, "m")
    with pytest.raises(type(error)):
        run(engine, metrics, SamplingParams())
    counts = {dict(labels)["reason"]: n for (name, labels), n in samples(metrics).items()
              if name == "admission_rejections_total"}  # fmt: skip
    assert counts == {name: float(name == reason) for name in counts} and reason in counts
    assert value(metrics, "request_success_total", finished_reason="error") == 0


def test_counters_of_the_engine_go_on_when_it_starts_anew() -> None:
    engine = ScriptedEngine(pid=1)
    metrics = Metrics(engine, "m")
    engine.step(num_preemptions=3, prefix_cache_queries=100, prefix_cache_hits=40, num_batched_tokens=20, num_steps=9)
    engine.step(num_preemptions=5, prefix_cache_queries=160, prefix_cache_hits=60, num_batched_tokens=300, num_steps=10)
    assert value(metrics, "prefix_cache_hits_total") == 60
    engine.pid = None  # it died; nobody can ask it
    assert value(metrics, "prefix_cache_hits_total") == 60
    assert value(metrics, "engine_ready") == 0
    engine.pid, engine.num_restarts, engine.current = 2, 1, type(engine.current)()
    assert value(metrics, "prefix_cache_hits_total") == 60
    engine.step(num_preemptions=1, prefix_cache_queries=10, prefix_cache_hits=5, num_batched_tokens=7, num_steps=1)
    engine.step(num_preemptions=1, prefix_cache_queries=20, prefix_cache_hits=15, num_batched_tokens=7, num_steps=2)
    for name, total in (("num_preemptions", 6), ("prefix_cache_queries", 180), ("prefix_cache_hits", 75),
                        ("engine_steps", 12), ("engine_restarts", 1)):  # fmt: skip
        assert value(metrics, f"{name}_total") == total, name
    assert value(metrics, "iteration_tokens_total_count") == 3  # a step that only reports an error computed nothing
    assert value(metrics, "iteration_tokens_total_sum") == 20 + 280 + 7


def test_gauges_show_the_engine_as_it_is() -> None:
    engine = ScriptedEngine()
    metrics = Metrics(engine, "m")
    engine.step(num_running=3, num_waiting=2, num_waiting_tokens=77, kv_cache_usage=0.25, num_free_blocks=48)
    engine.running = 5
    for name, number in (("num_requests_running", 3), ("num_requests_waiting", 2), ("num_tokens_waiting", 77),
                         ("kv_cache_usage_perc", 0.25), ("num_free_kv_blocks", 48), ("healthy", 1),
                         ("num_requests_unfinished", 5)):  # fmt: skip
        assert value(metrics, name) == number, name
    engine.draining = True
    assert value(metrics, "healthy") == 0


def test_model_names_cannot_break_the_page() -> None:
    metrics = Metrics(ScriptedEngine(), 'm"\n} 1\nevil 1\\')
    names = {f.name for f in text_string_to_metric_families(metrics.page().decode())}
    assert "evil" not in names and "sapwood:prompt_tokens" in names
