"""What a server counts, under the names that routers and dashboards of the field read, in Prometheus' text form.

Suffixes, types and labels are vLLM's; the prefix is ours. Request and token counters are kept here, in the front end;
what the engine process counts is added up over its restarts, so that no counter ever goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from sapwood.engine.client import EngineClient
from sapwood.engine.outputs import RequestMetrics
from sapwood.engine.process.messages import EngineStats

PREFIX = "sapwood:"
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

FIRST_TOKEN_BUCKETS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
)  # fmt: skip
TOKEN_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0,
)  # fmt: skip
REQUEST_BUCKETS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0,
    120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0,
)  # fmt: skip
STEP_TOKEN_BUCKETS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
LENGTH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)

FINISH_REASONS = ("stop", "length", "abort", "error")
REJECTION_REASONS = ("queue_full", "draining", "engine_dead", "too_large", "invalid")


@dataclass
class _EngineTotals:
    """Counters of engine processes, added up over restarts: `base` of those that ended, and the running one's last."""

    base: dict[str, int] = field(default_factory=dict)
    last: EngineStats = field(default_factory=EngineStats)
    pid: int | None = None

    def see(self, stats: EngineStats, pid: int | None) -> None:
        """Take a snapshot of the process `pid`; None means that none runs, and nothing new is known."""
        if pid is None:
            return
        if pid != self.pid:
            if self.pid is not None:
                self.base = {name: self.total(name) for name in COUNTED}
            self.last = EngineStats()
            self.pid = pid
        self.last = stats

    def total(self, name: str) -> int:
        return self.base.get(name, 0) + getattr(self.last, name)


COUNTED = {
    "num_preemptions": ("num_preemptions", "Sequences that gave up their blocks for others and were computed again."),
    "prefix_cache_queries": ("prefix_cache_queries", "Prompt tokens that were looked up in the prefix cache."),
    "prefix_cache_hits": ("prefix_cache_hits", "Prompt tokens that were found in the prefix cache."),
    "num_steps": ("engine_steps", "Steps of the engine."),
    "num_step_errors": ("engine_step_errors", "Steps that failed; the requests in them got an error."),
    "num_leaked_blocks": ("leaked_kv_blocks", "KV blocks that nobody held and nobody had freed; found and repaired."),
}
"""Totals in EngineStats: the names that they are exposed under, and what they say."""


class _EngineCollector(Collector):
    """Reads the engine when somebody scrapes."""

    def __init__(self, engine: EngineClient, totals: _EngineTotals, model: str, queued: Callable[[], int]) -> None:
        self._engine = engine
        self._totals = totals
        self._model = model
        self._queued = queued

    def collect(self) -> Iterator[Metric]:
        engine, labels, values = self._engine, ["model_name"], [self._model]
        ready = engine.ready
        stats = engine.stats() if ready is not None else EngineStats()
        self._totals.see(stats, ready.pid if ready is not None else None)

        def gauge(name: str, text: str, value: float) -> Metric:
            family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
            family.add_metric(values, value)
            return family

        yield gauge("num_requests_running", "Sequences in the engine's batch.", stats.num_running)
        yield gauge("num_requests_waiting", "Sequences that wait for the engine.", stats.num_waiting)
        yield gauge("num_tokens_waiting", "Prompt tokens of the sequences that wait.", stats.num_waiting_tokens)
        yield gauge("num_requests_unfinished", "Requests that this server has taken and not ended.", self._queued())
        yield gauge("kv_cache_usage_perc", "Share of KV blocks that requests hold, 0 to 1.", stats.kv_cache_usage)
        yield gauge("num_free_kv_blocks", "KV blocks that no request holds.", stats.num_free_blocks)
        yield gauge("engine_ready", "1 while an engine process takes requests.", float(ready is not None))
        yield gauge("healthy", "1 while /health answers 200.", float(engine.health().ok))
        for name, (exposed, text) in COUNTED.items():
            family = CounterMetricFamily(PREFIX + exposed, text, labels=labels)
            family.add_metric(values, self._totals.total(name))
            yield family
        restarts = CounterMetricFamily(PREFIX + "engine_restarts", "Engine processes started after one had died.")
        restarts.add_metric([], engine.num_restarts)
        yield restarts
        if ready is not None:
            memory = ready.memory
            info = GaugeMetricFamily(
                PREFIX + "cache_config_info",
                "1; the labels say how the KV cache is cut.",
                labels=["block_size", "num_gpu_blocks", "num_cpu_blocks", "block_bytes", "numerics_id"],
            )
            blocks = str(memory.num_blocks)  # routers read num_gpu_blocks, whatever the memory is
            numbers = [str(memory.block_size), blocks, blocks, str(memory.block_bytes), ready.numerics_id]
            info.add_metric(numbers, 1)
            yield info


class Metrics:
    """The counters of one server and the page that shows them.

    engine: read at each scrape and after each step. model: the label `model_name` of everything about requests.
    connections: how many connections are open; closed: how many the server ended, by reason.
    """

    def __init__(
        self,
        engine: EngineClient,
        model: str,
        *,
        connections: Callable[[], int] | None = None,
        closed: Callable[[], dict[str, int]] | None = None,
    ) -> None:
        self.registry = registry = CollectorRegistry()
        self._totals = _EngineTotals()
        self._engine = engine
        registry.register(_EngineCollector(engine, self._totals, model, engine.num_unfinished_requests))
        if connections is not None and closed is not None:
            registry.register(_ConnectionCollector(connections, closed))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

        def counter(name: str, text: str) -> Counter:
            return Counter(PREFIX + name, text, ["model_name"], registry=registry).labels(model)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(PREFIX + name, text, ["model_name"], buckets=buckets, registry=registry).labels(model)

        self.prompt_tokens = counter("prompt_tokens", "Prompt tokens of requests whose first output came.")
        self.cached_prompt_tokens = counter("prompt_tokens_cached", "Those of them that came from the prefix cache.")
        self.generation_tokens = counter("generation_tokens", "Tokens that were generated.")
        self.time_to_first_token = histogram(
            "time_to_first_token_seconds", "From a request's arrival to its first token.", FIRST_TOKEN_BUCKETS
        )
        self.inter_token_latency = histogram(
            "inter_token_latency_seconds", "Between two tokens of one sequence.", TOKEN_BUCKETS
        )
        self.time_per_output_token = histogram(
            "request_time_per_output_token_seconds", "Mean of a request's times between tokens.", TOKEN_BUCKETS
        )
        times = {
            "e2e_request_latency_seconds": "From a request's arrival to its last token.",
            "request_queue_time_seconds": "From a request's queueing in the engine to its first step.",
            "request_prefill_time_seconds": "From a request's first step to its first token.",
            "request_decode_time_seconds": "From a request's first token to its last.",
            "request_inference_time_seconds": "From a request's first step to its last token.",
        }
        self.times = {name: histogram(name, text, REQUEST_BUCKETS) for name, text in times.items()}
        self.request_prompt_tokens = histogram("request_prompt_tokens", "Prompt tokens of a request.", LENGTH_BUCKETS)
        self.request_generation_tokens = histogram(
            "request_generation_tokens", "Generated tokens of a sequence.", LENGTH_BUCKETS
        )
        self.iteration_tokens = histogram("iteration_tokens_total", "Tokens computed in a step.", STEP_TOKEN_BUCKETS)
        success = Counter(
            PREFIX + "request_success", "Sequences that ended, by why.", ["model_name", "finished_reason"],
            registry=registry,
        )  # fmt: skip
        self.success = {reason: success.labels(model, reason) for reason in FINISH_REASONS}
        rejections = Counter(
            PREFIX + "admission_rejections", "Requests that were not queued, by why.", ["model_name", "reason"],
            registry=registry,
        )  # fmt: skip
        self.rejections = {reason: rejections.labels(model, reason) for reason in REJECTION_REASONS}
        self._http_requests = Counter(
            PREFIX + "http_requests", "HTTP requests that ended, by route, method and status.",
            ["route", "method", "status"], registry=registry,
        )  # fmt: skip
        self._http_seconds = Histogram(
            PREFIX + "http_request_duration_seconds", "From the head of an HTTP request to the end of its response.",
            ["route"], buckets=REQUEST_BUCKETS, registry=registry,
        )  # fmt: skip
        self.http_running = Gauge(PREFIX + "http_requests_in_progress", "HTTP requests at work.", registry=registry)
        engine.add_step_listener(self.step_ended)

    def step_ended(self, stats: EngineStats) -> None:
        """What the engine says after each step."""
        ready = self._engine.ready
        if ready is None:
            return
        before = self._totals.last.num_batched_tokens if ready.pid == self._totals.pid else 0
        self._totals.see(stats, ready.pid)
        if stats.num_batched_tokens > before:
            self.iteration_tokens.observe(stats.num_batched_tokens - before)

    def request_ended(self, times: RequestMetrics, prompt_tokens: int, generated: list[int]) -> None:
        """A request came to its end by itself. generated: tokens of each of its sequences."""
        last, first, scheduled, queued = times.last_token, times.first_token, times.scheduled, times.queued
        if last is None or first is None:
            return
        observe = self.times
        observe["e2e_request_latency_seconds"].observe(max(0.0, last - times.arrival))
        observe["request_decode_time_seconds"].observe(max(0.0, last - first))
        if scheduled is not None:
            observe["request_prefill_time_seconds"].observe(max(0.0, first - scheduled))
            observe["request_inference_time_seconds"].observe(max(0.0, last - scheduled))
            if queued is not None:
                observe["request_queue_time_seconds"].observe(max(0.0, scheduled - queued))
        self.request_prompt_tokens.observe(prompt_tokens)
        for count in generated:
            self.request_generation_tokens.observe(count)
        longest = max(generated, default=0)
        if longest > 1:
            self.time_per_output_token.observe(max(0.0, last - first) / (longest - 1))

    def http_ended(self, route: str, method: str, status: int, seconds: float) -> None:
        """An HTTP request ended. `route` and `method` come from fixed lists; clients cannot make up new ones."""
        self._http_requests.labels(route, method, str(status)).inc()
        self._http_seconds.labels(route).observe(seconds)

    def page(self) -> bytes:
        """Everything, in the text form 0.0.4, which is CONTENT_TYPE; every scraper reads it."""
        return generate_latest(self.registry)


class _ConnectionCollector(Collector):
    def __init__(self, connections: Callable[[], int], closed: Callable[[], dict[str, int]]) -> None:
        self._connections = connections
        self._closed = closed

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(PREFIX + "http_connections", "Open connections.", value=self._connections())
        family = CounterMetricFamily(
            PREFIX + "http_connections_closed", "Connections that the server ended, by why.", labels=["reason"]
        )
        for reason, count in sorted(self._closed().items()):
            family.add_metric([reason], count)
        yield family
