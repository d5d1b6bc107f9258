"""One measurement of a server, or a sweep of them: probe, warm up, run, summarize."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sapwood.loadgen.arrivals import arrival_times
from sapwood.loadgen.driver import RealClock, Run
from sapwood.loadgen.http import HttpClient
from sapwood.loadgen.metrics import summarize
from sapwood.loadgen.openai_api import Target, find_model, probe, server_tokenizer
from sapwood.loadgen.record import RequestRecord
from sapwood.loadgen.vocabulary import Tokenize, Vocabulary
from sapwood.loadgen.workload import Conversation, RandomSpec, random_conversations, read_prompts


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What `sapwood bench serve` takes; the command's help says what each means. Times in seconds.

    concurrency: clients of a closed loop; None for an open loop at `request_rate` per second.
    tokenizer: a function like Vocabulary.measured needs, in place of the server's /tokenize.
    """

    url: str
    model: str | None = None
    chat: bool = False
    api_key: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    verify: bool = True
    concurrency: int | None = 1
    request_rate: float | None = None
    burstiness: float = 1.0
    num_prompts: int | None = None
    duration: float | None = None
    random: RandomSpec = field(default_factory=RandomSpec)
    prompts: Path | None = None
    think_time: float = 0.0
    seed: int = 0
    warmups: int = 1
    temperature: float | None = 0.0
    ignore_eos: bool = True
    extra_body: dict[str, Any] = field(default_factory=dict)
    timeout: float = 600.0
    tokenizer: Tokenize | None = None
    goodput: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Measurement:
    """One run. summary: see metrics.summarize. load: the value that a sweep changes, and its name."""

    kind: str
    load: float
    summary: dict[str, Any]
    records: list[RequestRecord]


@dataclass(slots=True)
class Progress:
    """What a watcher is told while a run is under way."""

    run: Run
    total: int | None
    done: bool = False


Watch = Callable[[Progress], None]


class Bench:
    """A server that was probed, and runs against it. Use as an asynchronous context manager.

    notes: what a reader of the figures must know. interrupted: whether a run was cancelled: its figures are partial.
    """

    def __init__(self, options: LoadOptions) -> None:
        self.options = options
        self.clock = RealClock()
        headers = dict(options.headers)
        if options.api_key:
            headers["authorization"] = f"Bearer {options.api_key}"
        self.client = HttpClient(
            options.url.rstrip("/").removesuffix("/v1"), headers=headers, verify=options.verify, clock=self.clock.now
        )
        self.notes: list[str] = []
        self.model = options.model or ""
        self.target = Target(self.client, self.model)
        self._source: Iterator[Conversation] = iter(())
        self._recorded = 0
        self.interrupted = False

    async def __aenter__(self) -> Bench:
        try:
            await self._prepare()
        except BaseException:
            self.client.close()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        self.client.close()

    async def _prepare(self) -> None:
        o = self.options
        short = min(o.timeout, 60.0)
        self.model = o.model or await find_model(self.client, short)
        self.target = Target(
            self.client,
            self.model,
            o.chat,
            o.ignore_eos,
            True,
            o.temperature,
            o.timeout,
            o.random.turns > 1,
            o.extra_body,
        )
        if o.prompts is not None:
            recorded = read_prompts(o.prompts, o.random.output_len)
            if not o.chat and any(turn.messages is not None for c in recorded for turn in c.turns):
                raise ValueError(f"{o.prompts} has messages, which need the chat API")
            self._recorded = len(recorded)
            self._source = itertools.cycle(recorded)
        else:
            self._source = random_conversations(o.random, await self._vocabulary(short), o.seed)
        self.notes += await probe(self.target, next(self._source).turns[0])

    async def _vocabulary(self, timeout: float) -> Vocabulary:
        tokenize = self.options.tokenizer or await server_tokenizer(self.client, self.model, timeout)
        if tokenize is None:
            self.notes.append(
                "the server has no /tokenize, and there is no --tokenizer: a word of a prompt counts as a token"
            )
            return Vocabulary()
        vocabulary = await Vocabulary.measured(tokenize)
        sample = " ".join(vocabulary.sample(random.Random(0), 64 + len(await tokenize("the"))))
        if not await vocabulary.check(tokenize, sample):
            self.notes.append("the tokenizer joins words over spaces: lengths of prompts are not exact")
        return vocabulary

    def _conversations(self, warmup: bool) -> Iterable[Conversation]:
        o = self.options
        if warmup:
            return itertools.islice(self._source, o.warmups)
        if o.num_prompts is not None:
            return itertools.islice(self._source, o.num_prompts)
        return self._source if o.duration is not None else itertools.islice(self._source, self._recorded or 100)

    async def measure(
        self,
        *,
        concurrency: int | None = None,
        request_rate: float | None = None,
        watch: Watch | None = None,
    ) -> Measurement:
        """Warm-up requests, which do not count, then one run. Of both arguments None, the options' loop counts."""
        o = self.options
        if concurrency is None and request_rate is None:
            concurrency, request_rate = o.concurrency, o.request_rate
        if request_rate is not None:
            concurrency = None
        if o.warmups:
            warmup = Run(self.target.send, self.clock)
            await warmup.closed_loop(self._conversations(True), min(o.warmups, concurrency or 8))
        total = None if o.duration is not None and o.num_prompts is None else (o.num_prompts or self._recorded or 100)
        run = Run(self.target.send, self.clock, o.duration, o.think_time)
        cpu, again = time.process_time(), self.client.sent_again
        self.clock.restart()
        try:
            async with _watching(Progress(run, total), watch):
                if request_rate is not None:
                    times = arrival_times(request_rate, o.burstiness, random.Random(o.seed))
                    await run.open_loop(self._conversations(False), times)
                else:
                    await run.closed_loop(self._conversations(False), concurrency or 1)
        except asyncio.CancelledError:  # Ctrl-C: what has ended still counts
            run.records = [record for record in run.records if record.end]
            task = asyncio.current_task()
            if not run.records or task is None:
                raise
            task.uncancel()
            self.interrupted = True
            self.notes.append(f"interrupted after {self.clock.now():.1f} s; requests under way then are left out")
        cpu = time.process_time() - cpu
        summary = summarize(run.records, o.goodput)
        seconds = summary["duration_s"]
        summary["sent_again"] = self.client.sent_again - again
        summary["client_cpu_share"] = cpu / seconds if seconds > 0 else math.nan
        kind, load = ("request_rate", request_rate) if request_rate is not None else ("concurrency", concurrency or 1)
        return Measurement(kind, load, summary, run.records)


@contextlib.asynccontextmanager
async def _watching(progress: Progress, watch: Watch | None) -> AsyncIterator[None]:
    if watch is None:
        yield
        return

    async def tell() -> None:
        while True:
            await asyncio.sleep(0.5)
            watch(progress)

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        progress.done = True
        watch(progress)


async def sweep(
    options: LoadOptions, kind: str, values: Iterable[float], watch: Watch | None = None
) -> tuple[Bench, list[Measurement]]:
    """One run for each value of "rate" or "concurrency", in order, on one probed server.

    When its task is cancelled in a run of which some requests have ended, it returns with those; see bench.interrupted.
    """
    async with Bench(replace(options)) as bench:
        out = []
        for value in values:
            if bench.interrupted:
                break
            if kind == "rate":
                out.append(await bench.measure(request_rate=value, watch=watch))
            else:
                out.append(await bench.measure(concurrency=int(value), watch=watch))
    return bench, out
