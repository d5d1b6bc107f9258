"""`AsyncLLM`: a model in a process of its own, for one event loop. The front end of an engine process."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial

from sapwood.engine.chat_template import ChatTemplate
from sapwood.engine.client import EngineDeadError, EngineDrainingError, EngineError, Health
from sapwood.engine.kv_events import AllCleared, KVEventBatch
from sapwood.engine.model_assets import EngineOptions, ModelAssets, load_model_assets
from sapwood.engine.output_processor import OutputProcessor, RequestState
from sapwood.engine.outputs import RequestOutput
from sapwood.engine.process.admission import Admission, Load
from sapwood.engine.process.backend import EngineBackend
from sapwood.engine.process.messages import (
    Abort,
    Add,
    EngineStats,
    KVSnapshot,
    Ready,
    Refused,
    ResetPrefixCache,
    Step,
)
from sapwood.engine.process.supervisor import EngineSupervisor
from sapwood.engine.request_limits import RequestLimits
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.scheduler import DuplicateRequestError, RequestTooLargeError
from sapwood.engine.tokenizer import Tokenizer
from sapwood.models.config import ModelConfig
from sapwood.models.errors import shown

DEFAULT_MAX_NUM_QUEUED_REQS = 256
DEFAULT_MAX_QUEUE_SECONDS = 30.0

_REFUSALS: dict[str, type[Exception]] = {
    "too_large": RequestTooLargeError,
    "duplicate": DuplicateRequestError,
    "failed": EngineError,
}

logger = logging.getLogger(__name__)


class AsyncLLM:
    """An `EngineClient` (see there) of a backend, by default an engine process of its own.

    Made by `start`, or around another backend, which is then to be started; all methods belong to one event loop.
    """

    def __init__(
        self,
        assets: ModelAssets,
        connect: Callable[..., EngineBackend],
        *,
        max_num_queued_reqs: int = DEFAULT_MAX_NUM_QUEUED_REQS,
        max_queue_seconds: float = DEFAULT_MAX_QUEUE_SECONDS,
    ) -> None:
        """connect: makes the backend, of `on_message`, `on_lost` and `busy`; see `EngineBackend`."""
        check_seconds("max_queue_seconds", max_queue_seconds)
        if type(max_num_queued_reqs) is not int or max_num_queued_reqs < 0:
            raise ValueError(f"max_num_queued_reqs is {shown(max_num_queued_reqs)}; allowed: an integer of at least 0")
        engine = assets.engine_config
        self.assets = assets
        self._limits = RequestLimits(
            assets.config.vocab_size, engine.max_model_len, frozenset(engine.eos_token_ids)
        )
        self._admission = Admission(engine.max_num_seqs, max_num_queued_reqs, max_queue_seconds)
        self._outputs = OutputProcessor(assets.tokenizer)
        self._waiters: dict[str, _Waiter] = {}
        self._num_queued_tokens = 0  # prompt tokens of requests that brought no token yet
        self._aborts: list[str] = []
        self._listeners: list[Callable[[EngineStats], None]] = []
        self._kv_event_listeners: list[Callable[[KVEventBatch], None]] = []
        self._draining = False
        self._all_done = asyncio.Event()
        self._backend = connect(
            on_message=self._receive, on_lost=self._lose_all, busy=lambda: self._outputs.num_texts > 0
        )

    @classmethod
    async def start(
        cls,
        options: EngineOptions,
        *,
        max_num_queued_reqs: int = DEFAULT_MAX_NUM_QUEUED_REQS,
        max_queue_seconds: float = DEFAULT_MAX_QUEUE_SECONDS,
        step_timeout: float = 120.0,
        start_timeout: float = 900.0,
        restart_backoff: float = 1.0,
        worker_command: Sequence[str] | None = None,
    ) -> AsyncLLM:
        """Find the model, start an engine process for it and wait until that takes requests.

        max_num_queued_reqs: texts that may wait besides the max_num_seqs that run. max_queue_seconds: estimated wait
        for a first token above which requests are refused. step_timeout: seconds without a sign of life after which the
        engine process is killed and started again; start_timeout: that loading the model may take. restart_backoff:
        seconds before a process that died early is started again, doubled each time. worker_command: what to start
        instead of the engine process, for tests.
        Raises what `load_model_assets` raises, and EngineStartError.
        """
        check_seconds("step_timeout", step_timeout)
        check_seconds("start_timeout", start_timeout)
        assets = await asyncio.to_thread(load_model_assets, options)
        connect = partial(
            EngineSupervisor,
            assets.engine_config,
            command=worker_command,
            step_timeout=step_timeout,
            start_timeout=start_timeout,
            backoff=restart_backoff,
        )
        self = cls(assets, connect, max_num_queued_reqs=max_num_queued_reqs, max_queue_seconds=max_queue_seconds)
        await self._backend.start()
        return self

    # -- what it is ------------------------------------------------------------------------------------------

    @property
    def config(self) -> ModelConfig:
        return self.assets.config

    @property
    def tokenizer(self) -> Tokenizer:
        return self.assets.tokenizer

    @property
    def chat_template(self) -> ChatTemplate | None:
        return self.assets.chat_template

    @property
    def max_model_len(self) -> int:
        return self.assets.engine_config.max_model_len

    @property
    def default_sampling_params(self) -> dict[str, object]:
        return dict(self.assets.default_sampling_params)

    @property
    def ready(self) -> Ready | None:
        return self._backend.ready

    @property
    def num_restarts(self) -> int:
        return self._backend.num_restarts

    def stats(self) -> EngineStats:
        return self._backend.stats

    def num_unfinished_requests(self) -> int:
        return self._outputs.num_requests

    def health(self) -> Health:
        health = self._backend.health()
        return Health("draining", "the server is shutting down") if self._draining and health.ok else health

    def add_step_listener(self, listener: Callable[[EngineStats], None]) -> None:
        self._listeners.append(listener)

    def add_kv_event_listener(self, listener: Callable[[KVEventBatch], None]) -> None:
        """Call `listener` from the event loop with what becomes of the names in the engine's prefix cache.

        It hears nothing of an engine without EngineOptions.kv_events. The first batch that means something to it is a
        snapshot, which is asked for here. When the engine process is lost it hears that everything is cleared; the next
        process begins with a snapshot, and with its own numbers. It neither blocks nor raises.
        """
        self._kv_event_listeners.append(listener)
        self.request_kv_snapshot()

    def request_kv_snapshot(self) -> None:
        """Have the engine tell all names to the listeners, for one that missed something."""
        if self._backend.ready is not None:  # an engine that is being started begins with a snapshot
            self._backend.send(KVSnapshot())

    # -- requests --------------------------------------------------------------------------------------------

    def check_admission(self, num_texts: int = 1) -> None:
        if self._draining:
            raise EngineDrainingError("the server is shutting down and takes no new requests")
        if self._backend.ready is None:
            raise EngineDeadError(f"{self.health().detail or 'the engine is not running'}; try again in a few seconds")
        self._admission.max_num_seqs = self._backend.max_num_seqs
        self._admission.check(num_texts, self._load())

    def check_prompt(self, prompt_token_ids: Sequence[int], params: SamplingParams) -> None:
        self._limits.check(prompt_token_ids, params)

    async def generate(
        self,
        prompt_token_ids: Sequence[int],
        params: SamplingParams,
        *,
        request_id: str,
        cache_salt: str = "",
        prompt: str | None = None,
    ) -> AsyncGenerator[RequestOutput, None]:
        """See `EngineClient.generate`. Raises EngineError when the engine failed on this request alone.

        A caller that takes its outputs late gets fewer of them: each holds all that came in between.
        """
        waiter = self._add(prompt_token_ids, params, request_id, cache_salt, prompt)
        state = waiter.state
        try:
            while True:
                if waiter.error is not None:
                    raise waiter.error
                output = state.take()
                if output is not None:
                    yield output
                elif state.finished:
                    return
                else:
                    await waiter.wait()
        finally:
            self._forget(waiter)

    def _add(
        self, prompt_token_ids: Sequence[int], params: SamplingParams, request_id: str, salt: str, prompt: str | None
    ) -> _Waiter:
        """Check, admit and send a request. Without any wait, so that it happens as a whole or not at all."""
        arrival = time.monotonic()
        self._limits.check(prompt_token_ids, params)
        self.check_admission(params.n)
        state = self._outputs.add_request(request_id, prompt_token_ids, params, prompt=prompt, arrival=arrival)
        waiter = self._waiters[request_id] = _Waiter(state)
        self._num_queued_tokens += len(state.prompt_token_ids)
        try:
            for text in state.texts:
                self._backend.send(
                    Add(
                        request_id=text.text_id,
                        prompt_token_ids=state.prompt_token_ids,
                        sampling_params=text.params,
                        cache_salt=salt,
                    )
                )
        except BaseException:
            self._forget(waiter)
            raise
        return waiter

    def _load(self) -> Load:
        stats = self._backend.stats
        return Load(self._outputs.num_texts, stats.num_running, stats.num_waiting, self._num_queued_tokens)

    def _forget(self, waiter: _Waiter) -> None:
        """Let go of a request, wherever it is; the engine is told when it still works on it."""
        request_id = waiter.state.request_id
        if self._waiters.get(request_id) is not waiter:
            return
        del self._waiters[request_id]
        self._no_longer_queued(waiter)
        if not waiter.state.finished:
            _, text_ids = self._outputs.abort(request_id)
            self._abort_soon(text_ids)
        if not self._waiters:
            self._all_done.set()

    def _no_longer_queued(self, waiter: _Waiter) -> int:
        """Take a request out of the count of queued prompt tokens; how many it had there."""
        count = len(waiter.state.prompt_token_ids) if waiter.queued else 0
        self._num_queued_tokens -= count
        waiter.queued = False
        return count

    def _abort_soon(self, text_ids: Sequence[str]) -> None:
        """Tell the engine in one message what was aborted in this turn of the event loop."""
        if text_ids and not self._aborts:
            asyncio.get_running_loop().call_soon(self._send_aborts)
        self._aborts += text_ids

    def _send_aborts(self) -> None:
        text_ids, self._aborts = self._aborts, []
        if self._backend.ready is None:
            return  # the process that had them is gone
        self._backend.send(Abort(text_ids))
        if not self._outputs.num_texts:
            self._backend.ping()  # no step will tell how the engine is now

    # -- what the engine says --------------------------------------------------------------------------------

    def _receive(self, message: Step | Refused) -> None:
        if isinstance(message, Refused):
            self._refuse(message)
            return
        touched, stopped = self._outputs.process(message.deltas, message.at)
        self._abort_soon(stopped)
        served = 0
        for state in touched:
            waiter = self._waiters.get(state.request_id)
            if waiter is None:
                continue
            if state.error is not None and waiter.error is None:
                waiter.error = EngineError(state.error)
            if state.metrics.first_token is not None or state.finished:
                served += self._no_longer_queued(waiter)
            waiter.wake()
        self._admission.measure(message.at, served, message.stats)
        for listener in self._listeners:
            listener(message.stats)
        if message.kv_events is not None:
            self._tell_kv_events(message.kv_events)

    def _tell_kv_events(self, batch: KVEventBatch) -> None:
        for listener in self._kv_event_listeners:
            listener(batch)

    def _refuse(self, message: Refused) -> None:
        state = self._outputs.request_of(message.request_id)
        waiter = None if state is None else self._waiters.get(state.request_id)
        if waiter is None:
            logger.warning("the engine refused a message: %s", message.message)
            return
        waiter.error = _REFUSALS.get(message.kind, ValueError)(message.message)
        waiter.wake()

    def _lose_all(self, reason: str) -> None:
        """The engine process is gone, and with it every request."""
        for request_id in self._outputs.request_ids():
            self._outputs.abort(request_id)
            waiter = self._waiters.get(request_id)
            if waiter is not None:
                waiter.error = EngineDeadError(reason)
                waiter.wake()
        self._admission.reset()
        self._tell_kv_events(KVEventBatch(0, [AllCleared()]))

    # -- the end ---------------------------------------------------------------------------------------------

    def reset_prefix_cache(self) -> None:
        """Have the engine forget cached blocks that no request reads. Raises EngineDeadError."""
        self._backend.send(ResetPrefixCache())

    async def wait_ended(self) -> None:
        await self._backend.wait_ended()

    async def drain(self, timeout: float) -> bool:
        """See `EngineClient.drain`. A request counts until its generator has ended."""
        self._draining = True
        if not self._waiters:
            return True
        self._all_done.clear()
        try:
            await asyncio.wait_for(self._all_done.wait(), timeout)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """End the engine process. Requests that are left get EngineDrainingError."""
        self._draining = True
        for request_id in self._outputs.request_ids():
            self._outputs.abort(request_id)
            waiter = self._waiters[request_id]
            waiter.error = EngineDrainingError("the server is shutting down")
            waiter.wake()
        await self._backend.close()


def check_seconds(name: str, seconds: float) -> None:
    """Raise ValueError unless it is a time."""
    if not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise ValueError(f"{name} is {shown(seconds)}; allowed: a number of seconds above 0")


class _Waiter:
    """The generator of a request, and what wakes it. error: what it is to raise instead of going on."""

    __slots__ = ("_event", "error", "queued", "state")

    def __init__(self, state: RequestState) -> None:
        self.state = state
        self.error: Exception | None = None
        self.queued = True
        self._event = asyncio.Event()

    def wake(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        self._event.clear()
