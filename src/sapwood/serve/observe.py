"""Watches requests from outside: neither handlers nor the engine know that they are counted and logged.

`ObserveMiddleware` stands around the application and `MeteredEngine` around the engine. What belongs to one HTTP
request meets in a RequestRecord, which travels in a context variable through all tasks of that request.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sapwood.engine.chat_template import ChatTemplate
from sapwood.engine.client import (
    EngineClient,
    EngineDeadError,
    EngineDrainingError,
    EngineOverloadedError,
    Health,
)
from sapwood.engine.outputs import RequestOutput
from sapwood.engine.process.messages import EngineStats, Ready
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.scheduler import RequestTooLargeError
from sapwood.engine.tokenizer import Tokenizer
from sapwood.models.config import ModelConfig
from sapwood.serve.context import SCOPE_KEY, RequestContext
from sapwood.serve.logs import log_access
from sapwood.serve.metrics import Metrics

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CLIENT_LEFT = 499
"""The status of a request whose client left before its answer, as nginx writes it."""


@dataclass(slots=True, eq=False)
class RequestRecord:
    """What is known of one HTTP request when it ends. Times are seconds of CLOCK_MONOTONIC.

    first_token: of the earliest of its engine requests. finish_reasons: one for each sequence that ended.
    """

    started: float
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    first_token: float | None = None
    queue_seconds: float | None = None
    finish_reasons: tuple[str, ...] = ()


_record: contextvars.ContextVar[RequestRecord | None] = contextvars.ContextVar("sapwood_request", default=None)


class MeteredEngine:
    """An EngineClient that counts what passes through another one."""

    def __init__(self, engine: EngineClient, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics

    @property
    def config(self) -> ModelConfig:
        return self._engine.config

    @property
    def tokenizer(self) -> Tokenizer:
        return self._engine.tokenizer

    @property
    def chat_template(self) -> ChatTemplate | None:
        return self._engine.chat_template

    @property
    def max_model_len(self) -> int:
        return self._engine.max_model_len

    @property
    def default_sampling_params(self) -> dict[str, object]:
        return self._engine.default_sampling_params

    @property
    def ready(self) -> Ready | None:
        return self._engine.ready

    @property
    def num_restarts(self) -> int:
        return self._engine.num_restarts

    def add_step_listener(self, listener: Callable[[EngineStats], None]) -> None:
        self._engine.add_step_listener(listener)

    def stats(self) -> EngineStats:
        return self._engine.stats()

    def num_unfinished_requests(self) -> int:
        return self._engine.num_unfinished_requests()

    def health(self) -> Health:
        return self._engine.health()

    async def wait_ended(self) -> None:
        await self._engine.wait_ended()

    async def drain(self, timeout: float) -> bool:
        return await self._engine.drain(timeout)

    async def close(self) -> None:
        await self._engine.close()

    def check_admission(self) -> None:
        try:
            self._engine.check_admission()
        except Exception as error:
            self._rejected(error)
            raise

    def check_prompt(self, prompt_token_ids: Sequence[int], params: SamplingParams) -> None:
        try:
            self._engine.check_prompt(prompt_token_ids, params)
        except Exception as error:
            self._rejected(error)
            raise

    async def generate(
        self,
        prompt_token_ids: Sequence[int],
        params: SamplingParams,
        *,
        request_id: str,
        cache_salt: str = "",
        prompt: str | None = None,
    ) -> AsyncGenerator[RequestOutput, None]:
        """As the engine's own. Counts tokens as they come, times at the end, and why the request ended."""
        meter = _Meter(self._metrics, _record.get(), params.n)
        outputs = self._engine.generate(
            prompt_token_ids, params, request_id=request_id, cache_salt=cache_salt, prompt=prompt
        )
        try:
            async with aclosing(outputs):
                async for output in outputs:
                    meter.take(output)
                    yield output
        except (GeneratorExit, Exception) as error:
            if isinstance(error, GeneratorExit):
                meter.broke_off("abort")
            elif meter.started or not self._rejected(error):
                meter.broke_off("error")
            raise
        except BaseException:  # the task was cancelled
            meter.broke_off("abort")
            raise

    def _rejected(self, error: BaseException) -> bool:
        """Count a refusal; False for an error that is none."""
        rejections = self._metrics.rejections
        if isinstance(error, EngineOverloadedError):
            rejections["queue_full"].inc()
        elif isinstance(error, EngineDrainingError):
            rejections["draining"].inc()
        elif isinstance(error, EngineDeadError):
            rejections["engine_dead"].inc()
        elif isinstance(error, RequestTooLargeError):
            rejections["too_large"].inc()
        elif isinstance(error, ValueError):
            rejections["invalid"].inc()
        else:
            return False
        return True


class _Meter:
    """Counts one engine request."""

    def __init__(self, metrics: Metrics, record: RequestRecord | None, n: int) -> None:
        self._metrics = metrics
        self._record = record
        self._generated = [0] * n
        self._seen_at = [0.0] * n  # when each sequence's newest token came
        self._finished = [False] * n
        self.started = False

    def take(self, output: RequestOutput) -> None:
        metrics, record, times = self._metrics, self._record, output.metrics
        if not self.started:
            self.started = True
            prompt = len(output.prompt_token_ids)
            metrics.prompt_tokens.inc(prompt)
            metrics.cached_prompt_tokens.inc(output.num_cached_tokens)
            if record is not None:
                record.prompt_tokens += prompt
                record.cached_tokens += output.num_cached_tokens
            if times is not None and times.first_token is not None:
                metrics.time_to_first_token.observe(max(0.0, times.first_token - times.arrival))
                if record is not None and (record.first_token is None or times.first_token < record.first_token):
                    record.first_token = times.first_token
                if record is not None and times.scheduled is not None and times.queued is not None:
                    record.queue_seconds = max(0.0, times.scheduled - times.queued)
        for text in output.outputs:
            if self._finished[text.index]:
                continue
            new = len(text.token_ids)
            if new and times is not None and times.last_token is not None and times.first_token is not None:
                self._observe_gaps(text.index, new, times.first_token, times.last_token)
            self._generated[text.index] += new
            metrics.generation_tokens.inc(new)
            if record is not None:
                record.completion_tokens += new
            if text.finish_reason is not None:
                self._finished[text.index] = True
                self._count_end(text.finish_reason)
        if output.finished and times is not None:
            metrics.request_ended(times, len(output.prompt_token_ids), self._generated)

    def _observe_gaps(self, index: int, new: int, first: float, now: float) -> None:
        """Times between tokens. Tokens that came together, and those of a request that is answered only at its end,
        share the time evenly."""
        before = self._generated[index]
        gaps = new if before else new - 1
        since = self._seen_at[index] if before else first
        self._seen_at[index] = now
        if gaps > 0:
            gap = max(0.0, now - since) / gaps
            for _ in range(gaps):
                self._metrics.inter_token_latency.observe(gap)

    def _count_end(self, reason: str) -> None:
        metrics = self._metrics
        metrics.success[reason if reason in metrics.success else "error"].inc()
        if self._record is not None:
            self._record.finish_reasons += (reason,)

    def broke_off(self, reason: str) -> None:
        for index, finished in enumerate(self._finished):
            if not finished:
                self._finished[index] = True
                self._count_end(reason)


class ObserveMiddleware:
    """The outermost layer of an application: counts and logs each request when it has ended, however it did."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = RequestRecord(started=time.monotonic())
        token = _record.set(record)
        status = 0
        complete = False

        async def watched(message: Message) -> None:
            nonlocal status, complete
            await send(message)
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body" and not message.get("more_body", False):
                complete = True

        self._metrics.http_running.inc()
        try:
            await self._app(scope, receive, watched)
        except Exception:
            status = status or 500
            raise
        finally:
            self._metrics.http_running.dec()
            _record.reset(token)
            context: RequestContext | None = scope.get(SCOPE_KEY)
            route = (context.operation if context is not None else "") or "unmatched"
            method = scope["method"] if scope["method"] in METHODS else "other"
            shown = status if complete or status >= 500 else CLIENT_LEFT
            ended = time.monotonic()
            self._metrics.http_ended(route, method, shown, ended - record.started)
            log_access(
                request_id=context.request_id if context is not None else "",
                method=method,
                route=route,
                status=shown,
                started_response=status,
                client=scope["client"][0] if scope.get("client") else "",
                seconds=ended - record.started,
                first_token_seconds=None if record.first_token is None else record.first_token - record.started,
                queue_seconds=record.queue_seconds,
                prompt_tokens=record.prompt_tokens,
                cached_tokens=record.cached_tokens,
                completion_tokens=record.completion_tokens,
                finish_reasons=record.finish_reasons,
            )
