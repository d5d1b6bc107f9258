"""The engine at the level of tokens: a scheduler and a runner. Knows nothing of text, sockets or threads.

`LLMEngine` puts text on top of it in this process; an engine process puts a socket in front of it.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence

from sapwood.engine.kv_cache_manager import KVCacheManager
from sapwood.engine.model_runner import ModelRunner
from sapwood.engine.process.messages import EngineStats, LogprobEntry, TokenDelta
from sapwood.engine.request import Request, RequestStatus
from sapwood.engine.request_limits import RequestLimits
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.scheduler import Scheduler, SchedulerConfig, SchedulerOutput, TokenUpdate

logger = logging.getLogger(__name__)

_U64 = 2**64 - 1


class EngineCore:
    """A scheduler over a runner, stepped by the caller; not for several threads.

    eos_token_ids: tokens that end a text by themselves. seed: seeds requests that bring no seed.
    contain_errors: an exception of the runner aborts the requests of its step and the rest goes on. When False it
        leaves `step`, and the caller has to call `reset`.
    clock: seconds; the default is CLOCK_MONOTONIC.
    Raises ValueError when the runner's cache cannot hold one sequence of max_model_len tokens.
    """

    def __init__(
        self,
        runner: ModelRunner,
        config: SchedulerConfig,
        *,
        eos_token_ids: Iterable[int] = (),
        seed: int = 0,
        contain_errors: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if config.max_model_len > runner.max_model_len:
            raise ValueError(
                f"max_model_len is {config.max_model_len}; allowed: at most {runner.max_model_len}, "
                f"which the runner was built for"
            )
        manager = KVCacheManager(runner.num_blocks, runner.block_size)
        if manager.capacity < config.max_model_len:
            raise ValueError(
                f"the KV cache holds {manager.capacity} tokens ({runner.num_blocks} blocks of "
                f"{runner.block_size}); needed: max_model_len, which is {config.max_model_len}. Lower "
                f"max_model_len or give the cache more memory"
            )
        self.runner = runner
        self.eos_token_ids = frozenset(eos_token_ids)
        self.limits = RequestLimits(runner.vocab_size, config.max_model_len, self.eos_token_ids)
        self.scheduler = Scheduler(config, manager)
        self._random = random.Random(seed)
        self._contain_errors = contain_errors
        self._clock = clock
        self._num_steps = self._num_step_errors = self._num_batched_tokens = 0
        self._step_seconds = self._tokens_per_second = self._last_step_at = 0.0

    @property
    def max_model_len(self) -> int:
        return self.scheduler.config.max_model_len

    def check_prompt(self, prompt_token_ids: Sequence[int], params: SamplingParams) -> int:
        """The most tokens that this prompt may generate.

        Raises ValueError naming the numbers: an empty prompt, an id out of range, no room in the context; and
        RequestTooLargeError for what could not run even alone.
        """
        max_tokens = self.limits.check(prompt_token_ids, params)
        self.scheduler.check_fits(len(prompt_token_ids), max_tokens)
        return max_tokens

    def add_request(
        self,
        request_id: str,
        prompt_token_ids: Sequence[int],
        params: SamplingParams,
        cache_salt: str = "",
    ) -> None:
        """Check and queue one text (`params.n` is not looked at).

        cache_salt: requests share cached blocks only with requests of the same salt.
        Raises ValueError (see `check_prompt`), RequestTooLargeError and DuplicateRequestError, queueing nothing.
        """
        request = Request(
            request_id,
            prompt_token_ids,
            params,
            max_tokens=self.check_prompt(prompt_token_ids, params),
            eos_token_ids=self.eos_token_ids,
            seed=self._random.getrandbits(64) if params.seed is None else params.seed & _U64,
        )
        request.queued = self._clock()
        self.scheduler.add_request(request)

    def has_unfinished_requests(self) -> bool:
        return self.scheduler.has_unfinished_requests()

    def step(self) -> list[TokenDelta]:
        """Run the model once. One delta for each request that got a token or was aborted by an error."""
        began = self._clock()
        scheduled = self.scheduler.schedule()
        if not scheduled.slices:
            return []
        for s in scheduled.slices:
            if s.request.scheduled is None:
                s.request.scheduled = began
        try:
            result = self.runner.execute(scheduled.batch)
            updates = self.scheduler.update_from_output(scheduled, result)
        except Exception as error:
            self._num_step_errors += 1
            if not self._contain_errors:
                raise
            return self._fail(scheduled, error)
        finally:
            self._measure(scheduled, began)
        return [_delta(update) for update in updates]

    def _measure(self, scheduled: SchedulerOutput, began: float) -> None:
        self._last_step_at = self._clock()
        self._step_seconds = self._last_step_at - began
        tokens = scheduled.total_num_scheduled_tokens
        self._num_steps += 1
        self._num_batched_tokens += tokens
        if self._step_seconds > 0:
            self._tokens_per_second = tokens / self._step_seconds

    def _fail(self, scheduled: SchedulerOutput, error: Exception) -> list[TokenDelta]:
        """End the requests of a step that raised, and start the others afresh: what the cache holds is unknown."""
        requests = [s.request for s in scheduled.slices]
        ids = [request.request_id for request in requests]
        logger.exception("a step failed; aborted requests: %s", ", ".join(ids))
        self.scheduler.finish_requests(ids, RequestStatus.FINISHED_ABORTED)
        self.scheduler.preempt_all()
        self.scheduler.kv_cache_manager.reset()
        message = f"the engine failed while it computed this request ({type(error).__name__})"
        return [
            TokenDelta(request_id=request_id, finish_reason=RequestStatus.FINISHED_ABORTED.finish_reason, error=message)
            for request_id in ids
        ]

    def abort_requests(self, request_ids: Iterable[str]) -> list[str]:
        """End requests and free what they hold; the ids of those that were ended. Unknown ids are ignored."""
        ended = self.scheduler.finish_requests(request_ids, RequestStatus.FINISHED_ABORTED)
        return [request.request_id for request in ended]

    def reset(self) -> list[str]:
        """Drop every request and start with a fresh block pool, whatever state a failed step left.

        Returns the ids of what was dropped.
        """
        return [request.request_id for request in self.scheduler.reset()]

    def reset_prefix_cache(self) -> None:
        """Forget every cached block that no request reads."""

    def stats(self) -> EngineStats:
        """A snapshot."""
        scheduler = self.scheduler
        return EngineStats(
            num_running=len(scheduler.running),
            num_waiting=len(scheduler.waiting),
            num_waiting_tokens=sum(request.num_tokens for request in scheduler.waiting),
            kv_cache_usage=scheduler.kv_cache_manager.usage,
            num_free_blocks=scheduler.kv_cache_manager.block_pool.num_free_blocks,
            num_preemptions=scheduler.num_preemptions,
            num_steps=self._num_steps,
            num_step_errors=self._num_step_errors,
            num_batched_tokens=self._num_batched_tokens,
            tokens_per_second=self._tokens_per_second,
            step_seconds=self._step_seconds,
            last_step_at=self._last_step_at,
        )


def _delta(update: TokenUpdate) -> TokenDelta:
    request = update.request
    logprobs: list[LogprobEntry] = []
    if request.sampling_params.logprobs is not None:
        if update.logprob is None:
            raise ValueError(f"{request}: logprobs were asked for, the runner returned none")
        logprobs.append(LogprobEntry(update.token_id, update.logprob, list(update.top_logprobs)))
    first = request.num_output_tokens == 1
    return TokenDelta(
        request_id=request.request_id,
        token_ids=[update.token_id],
        logprobs=logprobs,
        finish_reason=request.status.finish_reason,
        stop_token_id=request.stop_token_id,
        num_cached_tokens=0 if first else None,
        queued=request.queued if first else None,
        scheduled=request.scheduled if first else None,
        num_preemptions=request.num_preemptions,
    )
