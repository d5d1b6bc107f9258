"""The engine at the level of tokens: a scheduler and a runner. Knows nothing of text, sockets or threads.

`LLMEngine` puts text on top of it in this process; an engine process puts a socket in front of it.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sapwood.engine.block_pool import BlockPoolError
from sapwood.engine.kv_cache_manager import KVCacheManager, check_capacity
from sapwood.engine.kv_events import KVEventBatch
from sapwood.engine.model_runner import ModelRunner
from sapwood.engine.process.messages import EngineStats, LogprobEntry, TokenDelta
from sapwood.engine.request import Request, RequestStatus
from sapwood.engine.request_limits import RequestLimits
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.scheduler import Scheduler, SchedulerConfig, SchedulerOutput, TokenUpdate
from sapwood.engine.step_budget import StepBudget

logger = logging.getLogger(__name__)

MAX_LOGGED_PROBLEMS = 20
CHECK_PAUSE = 100  # between two looks at every block, in times what one takes
_U64 = 2**64 - 1


class EngineCore:
    """A scheduler over a runner, stepped by the caller; not for several threads.

    eos_token_ids: tokens that end a text by themselves. seed: seeds requests that bring no seed.
    step_seconds: how long a full step should take; the token budget of a step follows the measured speed. None: every
        step may have max_num_batched_tokens, which is right where nobody waits for the next token.
    contain_errors: an exception of the runner aborts the requests of its step and the rest goes on. When False it
        leaves `step`, and the caller has to call `reset`.
    strict: a leaked block raises BlockPoolError instead of being repaired; for tests.
    kv_events: whether `take_kv_events` is going to be asked; costs nothing if not.
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
        step_seconds: float | None = None,
        contain_errors: bool = True,
        strict: bool = False,
        kv_events: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if config.max_model_len > runner.max_model_len:
            raise ValueError(
                f"max_model_len is {config.max_model_len}; allowed: at most {runner.max_model_len}, "
                f"which the runner was built for"
            )
        manager = KVCacheManager(runner.num_blocks, runner.block_size, kv_events=kv_events)
        check_capacity(runner.num_blocks, runner.block_size, config.max_model_len)
        rows = runner.max_logit_rows
        if config.max_logit_rows is not None:
            rows = min(rows, config.max_logit_rows)
        self.runner = runner
        self.eos_token_ids = frozenset(eos_token_ids)
        self.limits = RequestLimits(runner.vocab_size, config.max_model_len, self.eos_token_ids)
        self.scheduler = Scheduler(replace(config, max_logit_rows=rows), manager, runner.numerics_id)
        self.step_budget: StepBudget | None = None
        if step_seconds is not None:
            self.step_budget = StepBudget.within(config.max_num_seqs, config.max_num_batched_tokens, step_seconds)
        self._random = random.Random(seed)
        self._contain_errors = contain_errors
        self._strict = strict
        self._clock = clock
        self._num_steps = self._num_step_errors = self._num_batched_tokens = self._num_leaked_blocks = 0
        self._next_check_at = 0.0

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
        output_token_ids: Sequence[int] = (),
    ) -> None:
        """Check and queue one text (`params.n` is not looked at).

        cache_salt: requests share cached blocks only with requests of the same salt.
        output_token_ids: see `Request`; goes on with a text that another engine began. Its deltas are of new tokens.
        Raises ValueError (see `check_prompt`), RequestTooLargeError and DuplicateRequestError, queueing nothing.
        """
        if output_token_ids:
            self.limits.check_tokens("output_token_ids", output_token_ids)
        request = Request(
            request_id,
            prompt_token_ids,
            params,
            max_tokens=self.check_prompt(prompt_token_ids, params),
            eos_token_ids=self.eos_token_ids,
            seed=self._random.getrandbits(64) if params.seed is None else params.seed & _U64,
            cache_salt=cache_salt,
            output_token_ids=output_token_ids,
        )
        request.queued = self._clock()
        self.scheduler.add_request(request)

    def has_unfinished_requests(self) -> bool:
        return self.scheduler.has_unfinished_requests()

    def step(self) -> list[TokenDelta]:
        """Run the model once. One delta for each request that got a token or was aborted by an error.

        With contain_errors no exception of runner or scheduler leaves this method.
        """
        began = self._clock()
        try:
            scheduled = self._schedule()
        except Exception as error:
            if not self._contain_errors or self._strict:
                raise
            logger.exception("scheduling failed on a fresh pool")
            return self._fail(self.reset(), error)
        if not scheduled.slices:
            return []
        for s in scheduled.slices:
            if s.request.scheduled is None:
                s.request.scheduled = began
        try:
            updates = self.scheduler.update_from_output(scheduled, self.runner.execute(scheduled.batch))
        except Exception as error:
            self._num_step_errors += 1
            if not self._contain_errors:
                raise
            requests = self.scheduler.requests
            ids = [s.request.request_id for s in scheduled.slices if requests.get(s.request.request_id) is s.request]
            logger.exception("a step failed; requests in it: %s", ", ".join(ids))
            # What the failed step left in the cache is unknown: the other requests begin again in a fresh pool.
            self.scheduler.rebuild()
            self.scheduler.finish_requests(ids, RequestStatus.FINISHED_ABORTED)
            return self._fail(ids, error)
        finally:
            self._measure(scheduled, began)
        self._compare_counts()
        return [_delta(update) for update in updates]

    def _schedule(self) -> SchedulerOutput:
        budget = None if self.step_budget is None else self.step_budget.tokens
        self._compare_counts()
        try:
            scheduled = self.scheduler.schedule(budget)
        except BlockPoolError as error:
            self.scheduler.pool_errors.append(str(error))
            self._repair()
            scheduled = self.scheduler.schedule(budget)
        if not scheduled.slices and self.has_unfinished_requests():
            # Everybody that was let in fits alone, so blocks are missing that no count missed.
            if self.check():
                raise RuntimeError("nothing can be scheduled though the block pool is sound")
            scheduled = self.scheduler.schedule(budget)
        return scheduled

    def _compare_counts(self) -> None:
        if self.scheduler.pool_errors or not self.scheduler.kv_cache_manager.balances:
            self._repair()

    def _measure(self, scheduled: SchedulerOutput, began: float) -> None:
        tokens = scheduled.total_num_scheduled_tokens
        self._num_steps += 1
        self._num_batched_tokens += tokens
        if self.step_budget is not None:
            self.step_budget.record(tokens, self._clock() - began)

    def _fail(self, request_ids: list[str], error: Exception) -> list[TokenDelta]:
        """The last deltas of requests that ended with an error. Its text stays in the log: it may hold anything."""
        message = f"the engine failed while it computed this request ({type(error).__name__})"
        reason = RequestStatus.FINISHED_ABORTED.finish_reason
        return [TokenDelta(request_id=i, finish_reason=reason, error=message) for i in request_ids]

    def check(self) -> bool:
        """Look at every block of the pool and repair what is wrong; whether all was well. O(num_blocks).

        Raises BlockPoolError when `strict`.
        """
        began = self._clock()
        sound = not self.scheduler.pool_errors and not self.scheduler.kv_cache_manager.problems()
        if not sound:
            self._repair()
        ended = self._clock()
        self._next_check_at = ended + (ended - began) * CHECK_PAUSE
        return sound

    def check_when_idle(self) -> None:
        """`check`, if nothing is unfinished, and so seldom that it takes one percent of the time at most.

        Each step compares counts, which finds nearly everything; this finds the rest.
        """
        if not self.has_unfinished_requests() and (self._strict or self._clock() >= self._next_check_at):
            self.check()

    def _repair(self) -> None:
        """Log and count damage, then begin again with a fresh pool. No request is lost; running ones recompute."""
        manager = self.scheduler.kv_cache_manager
        damage = manager.damage()
        problems = [*self.scheduler.pool_errors, *manager.problems()]
        if self._strict:
            raise BlockPoolError("; ".join(problems))
        self._num_leaked_blocks += max(len(damage), 1)
        logger.error(
            "the block pool is damaged; %d running requests start again in a fresh one. Holders: %s. Problems: %s",
            len(self.scheduler.running),
            ", ".join(manager.holders()) or "none",
            "; ".join(problems[:MAX_LOGGED_PROBLEMS]),
        )
        self.scheduler.rebuild()

    def abort_requests(self, request_ids: Iterable[str]) -> list[str]:
        """End requests and free what they hold; the ids of those that were ended. Unknown ids are ignored."""
        ended = self.scheduler.finish_requests(request_ids, RequestStatus.FINISHED_ABORTED)
        self._compare_counts()
        return [request.request_id for request in ended]

    def reset(self) -> list[str]:
        """Drop every request and start with a fresh block pool, whatever state a failed step left.

        Returns the ids of what was dropped.
        """
        return [request.request_id for request in self.scheduler.reset()]

    def reset_prefix_cache(self) -> int:
        """Forget every cached block that no request reads; how many there were."""
        return self.scheduler.reset_prefix_cache()

    def take_kv_events(self) -> KVEventBatch | None:
        """What became of the names in the prefix cache since the last call; None if nothing did.

        Applied in order these give the set of all names, whatever happens: a repair or an overflow is a snapshot.
        """
        return self.scheduler.kv_cache_manager.take_kv_events()

    def request_kv_snapshot(self) -> None:
        """Have the next events say everything, for a listener that begins or that missed some."""
        self.scheduler.kv_cache_manager.request_kv_snapshot()

    def stats(self) -> EngineStats:
        """A snapshot."""
        scheduler = self.scheduler
        return EngineStats(
            num_running=len(scheduler.running),
            num_waiting=len(scheduler.waiting),
            num_waiting_tokens=scheduler.waiting.num_tokens,
            kv_cache_usage=scheduler.kv_cache_manager.usage,
            num_free_blocks=scheduler.kv_cache_manager.block_pool.num_free_blocks,
            num_preemptions=scheduler.num_preemptions,
            prefix_cache_queries=scheduler.prefix_cache_queries,
            prefix_cache_hits=scheduler.prefix_cache_hits,
            num_leaked_blocks=self._num_leaked_blocks,
            num_steps=self._num_steps,
            num_step_errors=self._num_step_errors,
            num_batched_tokens=self._num_batched_tokens,
        )


def _delta(update: TokenUpdate) -> TokenDelta:
    request = update.request
    logprobs: list[LogprobEntry] = []
    if update.logprob is not None:
        logprobs.append(LogprobEntry(update.token_id, update.logprob, list(update.top_logprobs)))
    prompt_logprobs = None
    if update.prompt_logprobs is not None:
        prompt_logprobs = [LogprobEntry(p.token_id, p.logprob, list(p.top_logprobs)) for p in update.prompt_logprobs]
    first = request.num_output_tokens == 1
    return TokenDelta(
        request_id=request.request_id,
        token_ids=[update.token_id],
        logprobs=logprobs,
        prompt_logprobs=prompt_logprobs,
        finish_reason=request.status.finish_reason,
        stop_token_id=request.stop_token_id,
        num_cached_tokens=request.num_cached_tokens if first else None,
        queued=request.queued if first else None,
        scheduled=request.scheduled if first else None,
        num_preemptions=request.num_preemptions,
    )
