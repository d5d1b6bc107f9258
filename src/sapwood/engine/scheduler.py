"""Who computes what in the next step.

There is no prefill phase and no decode phase. A request has `num_tokens` known tokens and
`num_computed_tokens` of them in the cache; each step hands out one token budget, to running requests first,
in order of arrival, then to waiting ones. Prefill in chunks, decoding and resuming after preemption are all
"compute the rest".

Nobody waits for ever:
- running and waiting together are always in order of arrival, admission is strictly first come, first
  served, and only the latest running request is preempted; so the oldest can take every block;
- a request that could not fit even then is refused when it is added;
- admission takes blocks for *all* tokens that are known, not for the first chunk, and leaves one block for
  each running request, so that what was admitted is not thrown out again in the next step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from sapwood.engine.kv_cache_manager import KVCacheManager, cdiv
from sapwood.engine.model_runner import SamplingState, SequenceSlice, StepBatch, StepOutput
from sapwood.engine.request import Request, RequestStatus


class RequestTooLargeError(ValueError):
    """The request could not run even alone. Names the tokens it needs and the limit."""


class DuplicateRequestError(ValueError):
    """An unfinished request has this id already."""


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """Limits of a step (tokens), of running requests, and of a request (tokens, prompt and output).

    Raises ValueError when a value is below 1, or the budget could not give each running request a token.
    """

    max_num_batched_tokens: int
    max_num_seqs: int
    max_model_len: int

    def __post_init__(self) -> None:
        for name in ("max_num_batched_tokens", "max_num_seqs", "max_model_len"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} is {value!r}; allowed: an integer of at least 1")
        if self.max_num_batched_tokens < self.max_num_seqs:
            raise ValueError(
                f"max_num_batched_tokens is {self.max_num_batched_tokens}; allowed: at least max_num_seqs, "
                f"which is {self.max_num_seqs}, because every running request needs a token in a step"
            )


@dataclass(frozen=True, slots=True)
class ScheduledSlice:
    """`num_tokens` tokens of `request` from position `start`. `epoch` counts preemptions."""

    request: Request
    start: int
    num_tokens: int
    epoch: int
    samples: bool


@dataclass(frozen=True, slots=True)
class SchedulerOutput:
    """The work of one step. Empty only when nothing is unfinished."""

    slices: list[ScheduledSlice]
    batch: StepBatch
    preempted: list[Request] = field(default_factory=list)

    @property
    def total_num_scheduled_tokens(self) -> int:
        return sum(s.num_tokens for s in self.slices)


@dataclass(frozen=True, slots=True)
class TokenUpdate:
    """One token that was appended to a request; `request.status` says whether it was the last one."""

    request: Request
    token_id: int
    logprob: float | None
    top_logprobs: tuple[tuple[int, float], ...]


class Scheduler:
    """Queues and budget. Runs without a model: any StepOutput will do."""

    def __init__(self, config: SchedulerConfig, kv_cache_manager: KVCacheManager) -> None:
        self.config = config
        self.kv_cache_manager = kv_cache_manager
        self.waiting: deque[Request] = deque()
        self.running: list[Request] = []
        self.requests: dict[str, Request] = {}
        self.num_preemptions = 0

    def check_fits(self, num_prompt_tokens: int, max_tokens: int) -> None:
        """Raise RequestTooLargeError if a request of that size could never run."""
        total = num_prompt_tokens + max_tokens
        if total > self.config.max_model_len:
            raise RequestTooLargeError(
                f"{num_prompt_tokens} prompt tokens and {max_tokens} to generate are {total}; the context "
                f"(max_model_len) is {self.config.max_model_len}"
            )
        manager = self.kv_cache_manager
        if cdiv(total - 1, manager.block_size) > manager.block_pool.num_blocks:
            raise RequestTooLargeError(
                f"{num_prompt_tokens} prompt tokens and {max_tokens} to generate need {total - 1} KV slots; "
                f"the whole cache has {manager.capacity} ({manager.block_pool.num_blocks} blocks of "
                f"{manager.block_size})"
            )

    def add_request(self, request: Request) -> None:
        """Queue a request. Raises RequestTooLargeError and DuplicateRequestError, queueing nothing."""
        if request.request_id in self.requests:
            raise DuplicateRequestError(
                f"request id {request.request_id!r} is in use by an unfinished request"
            )
        if request.status is not RequestStatus.WAITING or request.num_computed_tokens:
            raise ValueError(f"{request} is not new")
        self.check_fits(request.num_prompt_tokens, request.max_tokens)
        self.requests[request.request_id] = request
        self.waiting.append(request)

    def has_unfinished_requests(self) -> bool:
        return bool(self.requests)

    def schedule(self) -> SchedulerOutput:
        """Decide the next step, allocate its blocks and count its tokens as computed.

        Never exceeds the budget; schedules at least one token when anything is unfinished.
        """
        budget = self.config.max_num_batched_tokens
        scheduled: list[tuple[Request, int]] = []
        preempted: list[Request] = []
        budget = self._schedule_running(budget, scheduled, preempted)
        # After a preemption there is no room by definition; admitting would throw the next one out.
        if not preempted:
            self._schedule_waiting(budget, scheduled)
        slices = [
            ScheduledSlice(
                request,
                request.num_computed_tokens,
                count,
                request.num_preemptions,
                request.num_computed_tokens + count == request.num_tokens,
            )
            for request, count in scheduled
        ]
        batch = StepBatch([self._slice(s) for s in slices])
        for s in slices:
            s.request.num_computed_tokens += s.num_tokens
        return SchedulerOutput(slices, batch, preempted)

    def _schedule_running(
        self, budget: int, scheduled: list[tuple[Request, int]], preempted: list[Request]
    ) -> int:
        index = 0
        while index < len(self.running) and budget > 0:
            request = self.running[index]
            count = min(request.num_tokens - request.num_computed_tokens, budget)
            if count == 0:  # its newest token is still being computed by a step in flight
                index += 1
                continue
            needed = request.num_computed_tokens + count
            while not self.kv_cache_manager.allocate_slots(request.request_id, needed):
                # Running is in order of arrival, so the victim has not been scheduled in this step.
                victim = self.running[-1]
                self._preempt(victim)
                preempted.append(victim)
                if victim is request:
                    return budget
            scheduled.append((request, count))
            budget -= count
            index += 1
        return budget

    def _schedule_waiting(self, budget: int, scheduled: list[tuple[Request, int]]) -> None:
        while self.waiting and budget > 0 and len(self.running) < self.config.max_num_seqs:
            request = self.waiting[0]
            if not self.kv_cache_manager.allocate_slots(
                request.request_id, request.num_tokens, keep_free=len(self.running)
            ):
                return
            self.waiting.popleft()
            self.running.append(request)
            request.status = RequestStatus.RUNNING
            count = min(request.num_tokens - request.num_computed_tokens, budget)
            scheduled.append((request, count))
            budget -= count

    def _slice(self, s: ScheduledSlice) -> SequenceSlice:
        request, params = s.request, s.request.sampling_params
        sampling = None
        if s.samples:
            sampling = SamplingState(
                temperature=params.temperature,
                top_k=params.top_k,
                top_p=params.top_p,
                seed=request.seed,
                position=request.num_tokens,
                logprobs=params.logprobs,
            )
        tokens = request.tokens(s.start, s.start + s.num_tokens)
        return SequenceSlice(
            tokens, s.start, self.kv_cache_manager.get_block_ids(request.request_id), sampling
        )

    def _preempt(self, request: Request) -> None:
        """Take everything from a running request but its tokens, and put it back at the head of the queue."""
        self.running.remove(request)
        self.kv_cache_manager.free(request.request_id)
        request.num_computed_tokens = 0
        request.num_preemptions += 1
        request.status = RequestStatus.PREEMPTED
        self.waiting.appendleft(request)
        self.num_preemptions += 1

    def preempt_all(self) -> list[Request]:
        """Preempt every running request, oldest first in the result. A step in flight becomes stale."""
        victims = list(self.running)
        for request in reversed(victims):
            self._preempt(request)
        return victims

    def update_from_output(self, scheduled: SchedulerOutput, output: StepOutput) -> list[TokenUpdate]:
        """Append what was sampled, finish what ended and free its blocks.

        Slices of requests that were finished or preempted since `schedule` are stale and ignored.
        Raises ValueError if the output does not match the batch.
        """
        if len(output.sampled) != len(scheduled.slices):
            raise ValueError(
                f"the runner returned {len(output.sampled)} results for {len(scheduled.slices)} slices"
            )
        updates: list[TokenUpdate] = []
        for s, sampled in zip(scheduled.slices, output.sampled, strict=True):
            if s.samples != (sampled is not None):
                raise ValueError(f"{s.request}: sampling was {s.samples}, the runner returned {sampled}")
            request = s.request
            stale = request.status is not RequestStatus.RUNNING or request.num_preemptions != s.epoch
            if sampled is None or stale:
                continue
            request.append_output_token(sampled.token_id)
            updates.append(TokenUpdate(request, sampled.token_id, sampled.logprob, sampled.top_logprobs))
            if request.status.is_finished:
                self._remove(request)
        return updates

    def finish_requests(self, request_ids: Iterable[str], status: RequestStatus) -> list[Request]:
        """End requests from outside (abort, stop string). Unknown and finished ids are ignored."""
        if not status.is_finished:
            raise ValueError(f"status is {status.name}; allowed: a final one")
        ended: list[Request] = []
        for request_id in request_ids:
            request = self.requests.get(request_id)
            if request is not None:
                self._remove(request)
                request.status = status
                ended.append(request)
        return ended

    def _remove(self, request: Request) -> None:
        del self.requests[request.request_id]
        if request in self.running:
            self.running.remove(request)
        else:
            self.waiting.remove(request)
        self.kv_cache_manager.free(request.request_id)

    def reset(self) -> list[Request]:
        """Abort everything and rebuild the pool, without trusting any state. Returns what was dropped."""
        dropped = list(self.requests.values())
        for request in dropped:
            request.status = RequestStatus.FINISHED_ABORTED
        self.requests, self.running, self.waiting = {}, [], deque()
        self.kv_cache_manager.reset()
        return dropped
