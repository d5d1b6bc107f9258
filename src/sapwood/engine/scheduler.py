"""Who computes what in the next step.

There is no prefill phase and no decode phase. A request has `num_tokens` known tokens and
`num_computed_tokens` of them in the cache; each step hands out one token budget, to running requests first,
in order of arrival, then to waiting ones. Prefill in chunks, decoding, resuming after preemption and going on from
cached blocks are all "compute the rest". Rows of logits are a second budget of the same kind.

Nobody waits for ever:
- a request that could not fit even alone is refused when it is added;
- running requests are in order of arrival and the latest is preempted, so the oldest of them can take every block
  and loses none; it gets a token in every step, so it ends;
- waiting requests are admitted in order of arrival, and one that does not fit stops the admission of all behind it.
  So the oldest waiting request gets in as soon as enough of those that run have ended;
- the one exception: a request whose prefix another one is just computing may be passed over for a step, to find the
  prefix in the cache afterwards. It may be passed over again only if more of its blocks are cached than
  when it was passed over last. It has finitely many blocks; so that ends too;
- admission takes blocks for *all* tokens that are known, not for the first chunk, and leaves one block for
  each running request, so that what was admitted is not thrown out again in the next step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sapwood.engine.block_hash import extend_hashes, hash_root
from sapwood.engine.block_pool import BlockPoolError, KVCacheBlock
from sapwood.engine.kv_cache_manager import KVCacheManager, cdiv
from sapwood.engine.model_runner import PromptLogprobs, SequenceSlice, StepBatch, StepOutput, TokenLogprobs
from sapwood.engine.request import Request, RequestStatus
from sapwood.engine.request_queue import RunningList, WaitingQueue


class RequestTooLargeError(ValueError):
    """The request could not run even alone. Names the tokens it needs and the limit."""


class DuplicateRequestError(ValueError):
    """An unfinished request has this id already."""


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """Limits of a step (tokens), of running requests, and of a request (tokens, prompt and output).

    max_logit_rows: rows of logits in a step; None sets no limit. enable_prefix_caching: whether requests go on from
    cached blocks.
    Raises ValueError when a value is below 1, or a budget could not give each running request a token and a row.
    """

    max_num_batched_tokens: int
    max_num_seqs: int
    max_model_len: int
    max_logit_rows: int | None = None
    enable_prefix_caching: bool = True

    def __post_init__(self) -> None:
        for name in ("max_num_batched_tokens", "max_num_seqs", "max_model_len", "max_logit_rows"):
            value = getattr(self, name)
            if name == "max_logit_rows" and value is None:
                continue
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} is {value!r}; allowed: an integer of at least 1")
        if self.max_num_batched_tokens < self.max_num_seqs:
            raise ValueError(
                f"max_num_batched_tokens is {self.max_num_batched_tokens}; allowed: at least max_num_seqs, "
                f"which is {self.max_num_seqs}, because every running request needs a token in a step"
            )
        if self.max_logit_rows is not None and self.max_logit_rows < self.max_num_seqs:
            raise ValueError(
                f"max_logit_rows is {self.max_logit_rows}; allowed: at least max_num_seqs, which is "
                f"{self.max_num_seqs}, because every running request may need a row in a step"
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
    """The work of one step. Empty only when nothing is unfinished, or all of it is in a step in flight."""

    slices: list[ScheduledSlice]
    batch: StepBatch
    preempted: list[Request] = field(default_factory=list)

    @property
    def total_num_scheduled_tokens(self) -> int:
        return sum(s.num_tokens for s in self.slices)


@dataclass(frozen=True, slots=True)
class TokenUpdate:
    """One token that was appended to a request; `request.status` says whether it was the last one.

    prompt_logprobs: with the first token of a request that asked for them, one entry for each prompt token but the
    first.
    """

    request: Request
    token_id: int
    logprob: float | None
    top_logprobs: tuple[tuple[int, float], ...]
    prompt_logprobs: list[TokenLogprobs] | None = None


@dataclass(slots=True)
class _Step:
    """A step while it is being put together: what is left of its budgets, and what was decided."""

    tokens: int
    rows: int
    slices: list[ScheduledSlice] = field(default_factory=list)
    preempted: list[Request] = field(default_factory=list)
    computing: dict[bytes, Request] = field(default_factory=dict)  # blocks that the step makes full, by name


class Scheduler:
    """Queues and budgets. Runs without a model: any StepOutput will do.

    numerics_id: see `ModelRunner`; cached blocks are found under it.
    prefix_cache_queries, prefix_cache_hits: prompt tokens of admitted requests that may read the cache, and how many
    of them were found. pool_errors: what the block pool found broken while blocks were freed or named; whoever steps
    the scheduler has to call `rebuild` when there are any.
    """

    def __init__(self, config: SchedulerConfig, kv_cache_manager: KVCacheManager, numerics_id: str = "") -> None:
        self.config = config
        self.kv_cache_manager = kv_cache_manager
        self.numerics_id = numerics_id
        self.waiting = WaitingQueue()
        self.running = RunningList()
        self.requests: dict[str, Request] = {}
        self.num_preemptions = 0
        self.prefix_cache_queries = 0
        self.prefix_cache_hits = 0
        self.pool_errors: list[str] = []
        self._num_arrived = 0

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
            raise DuplicateRequestError(f"request id {request.request_id!r} is in use by an unfinished request")
        if request.status is not RequestStatus.WAITING or request.num_computed_tokens:
            raise ValueError(f"{request} is not new")
        self.check_fits(request.num_prompt_tokens, request.max_tokens)
        request.arrival = self._num_arrived
        self._num_arrived += 1
        if self.config.enable_prefix_caching:
            request.hash_root = hash_root(self.numerics_id, self.kv_cache_manager.block_size, request.cache_salt)
        self.requests[request.request_id] = request
        self.waiting.append(request)

    def has_unfinished_requests(self) -> bool:
        return bool(self.requests)

    # -- a step -----------------------------------------------------------------------------------

    def schedule(self, budget: int | None = None) -> SchedulerOutput:
        """Decide the next step, allocate its blocks and count its tokens as computed.

        budget: tokens of this step, when fewer than max_num_batched_tokens. With at least max_num_seqs of them every
        running request gets one. Schedules at least one token when anything is unfinished and not in flight.
        """
        most = self.config.max_num_batched_tokens
        step = _Step(
            tokens=most if budget is None else min(max(budget, 1), most),
            rows=most if self.config.max_logit_rows is None else self.config.max_logit_rows,
        )
        self._schedule_running(step)
        # After a preemption there is no room by definition; admitting would throw the next one out.
        if not step.preempted:
            self._schedule_waiting(step)
        batch = StepBatch([self._slice(s) for s in step.slices])
        for s in step.slices:
            s.request.num_computed_tokens += s.num_tokens
        return SchedulerOutput(step.slices, batch, step.preempted)

    def _schedule_running(self, step: _Step) -> None:
        index = 0
        while index < len(self.running) and step.tokens > 0:
            request = self.running[index]
            index += 1
            later = len(self.running) - index  # each of them gets a token and a row, too, however long this one is
            count = self._fitting(request, max(step.tokens - later, 1), max(step.rows - later, 1))
            if count == 0:  # its newest token is still being computed by a step in flight
                continue
            needed = request.num_computed_tokens + count
            while not self.kv_cache_manager.allocate_slots(request.request_id, needed):
                # Running is in order of arrival, so the victim has not been scheduled in this step.
                victim = self.running[-1]
                self._preempt(victim)
                step.preempted.append(victim)
                if victim is request:
                    return
            self._take(step, request, count)

    def _schedule_waiting(self, step: _Step) -> None:
        admitted: list[Request] = []
        passed_over = 0
        for request in self.waiting:
            num_running = len(self.running) + len(admitted)
            if step.tokens <= 0 or step.rows <= 0 or num_running >= self.config.max_num_seqs:
                break
            computed = self._computed_blocks(request)
            if self._is_being_computed(request, len(computed), step):
                request.waited_at_hit = len(computed)
                passed_over += 1
                if passed_over >= self.config.max_num_seqs:  # bounds the work of a step
                    break
                continue
            if not self.kv_cache_manager.allocate_slots(
                request.request_id, request.num_tokens, keep_free=num_running, computed=computed
            ):
                break
            admitted.append(request)
            request.num_computed_tokens = len(computed) * self.kv_cache_manager.block_size
            self._count_cached(request)
            self._take(step, request, self._fitting(request, step.tokens, step.rows))
        for request in admitted:
            self.waiting.remove(request)
            self.running.add(request)
            request.status = RequestStatus.RUNNING

    def _fitting(self, request: Request, tokens: int, rows: int) -> int:
        """How many of the request's next tokens fit both budgets, each at least 1."""
        start = request.num_computed_tokens
        rest = request.num_tokens - start
        count = min(rest, tokens)
        asked = request.logprob_rows(start, start + count)
        if asked and asked.start > start:  # resumed: these rows answered before; a slice asks from its first row on
            count = asked.start - start
        elif len(asked) > rows:
            count = rows
        elif count == rest and len(asked) == rows and rest > 1:  # the last token needs a row to sample from
            count -= 1
        return count

    def _take(self, step: _Step, request: Request, count: int) -> None:
        """Put the request's next `count` tokens into the step."""
        start = request.num_computed_tokens
        samples = start + count == request.num_tokens
        step.slices.append(ScheduledSlice(request, start, count, request.num_preemptions, samples))
        step.tokens -= count
        step.rows -= samples + len(request.logprob_rows(start, start + count))
        if self.config.enable_prefix_caching and count > 1:
            size = self.kv_cache_manager.block_size
            for block_hash in request.block_hashes[start // size : (start + count) // size]:
                step.computing.setdefault(block_hash, request)

    def _slice(self, s: ScheduledSlice) -> SequenceSlice:
        request, end = s.request, s.start + s.num_tokens
        prompt_logprobs = None
        count = request.sampling_params.prompt_logprobs
        asked = request.logprob_rows(s.start, end)
        if count is not None and asked:
            prompt_logprobs = PromptLogprobs(request.tokens(asked.start + 1, asked.stop + 1), count)
        return SequenceSlice(
            request.tokens(s.start, end),
            s.start,
            self.kv_cache_manager.get_block_ids(request.request_id),
            request.sampling_state() if s.samples else None,
            prompt_logprobs,
        )

    # -- the prefix cache -------------------------------------------------------------------------

    def _computed_blocks(self, request: Request) -> Sequence[KVCacheBlock]:
        """The cached blocks that a waiting request may go on from."""
        if not self.config.enable_prefix_caching:
            return ()
        manager = self.kv_cache_manager
        extend_hashes(request.block_hashes, request.hash_root, request.token_ids, manager.block_size)
        return manager.get_computed_blocks(request.block_hashes, request.max_cached_tokens)

    def _is_being_computed(self, request: Request, hit: int, step: _Step) -> bool:
        """Whether the request had better wait for a block that this step computes for another one.

        hit: its cached blocks. True only if at least half of what it would compute is shared with the other request,
        and never twice at the same hit, so at most once for each of its blocks.
        """
        size = self.kv_cache_manager.block_size
        usable = min(len(request.block_hashes), request.max_cached_tokens // size)
        if hit >= usable or hit <= request.waited_at_hit:
            return False
        other = step.computing.get(request.block_hashes[hit])
        if other is None:
            return False
        # Names are chains: where two are equal, all before them are.
        low, high = hit + 1, min(usable, len(other.block_hashes))
        while low < high:
            middle = (low + high + 1) // 2
            if request.block_hashes[middle - 1] == other.block_hashes[middle - 1]:
                low = middle
            else:
                high = middle - 1
        return 2 * (low - hit) * size >= request.num_tokens - hit * size

    def _count_cached(self, request: Request) -> None:
        """Remember what the cache gave to a request that is admitted for the first time."""
        if request.num_cached_tokens is not None:
            return
        request.num_cached_tokens = request.num_computed_tokens
        if self.config.enable_prefix_caching and request.max_cached_tokens:
            self.prefix_cache_queries += request.num_tokens
            self.prefix_cache_hits += request.num_computed_tokens

    def _name_blocks(self, request: Request, num_computed_tokens: int) -> None:
        """Let others find the blocks that are full of computed tokens now."""
        manager = self.kv_cache_manager
        full = num_computed_tokens // manager.block_size
        if not self.config.enable_prefix_caching or full <= manager.num_named_blocks(request.request_id):
            return
        extend_hashes(request.block_hashes, request.hash_root, request.token_ids, manager.block_size)
        try:
            manager.cache_blocks(request.request_id, request.block_hashes, num_computed_tokens)
        except BlockPoolError as error:
            self.pool_errors.append(str(error))

    def reset_prefix_cache(self) -> int:
        """Forget every cached block that no request reads; how many there were."""
        return self.kv_cache_manager.reset_prefix_cache()

    # -- after a step -----------------------------------------------------------------------------

    def update_from_output(self, scheduled: SchedulerOutput, output: StepOutput) -> list[TokenUpdate]:
        """Append what was sampled, name blocks that are full, finish what ended and free its blocks.

        Slices of requests that were finished or preempted since `schedule` are stale and ignored.
        Raises ValueError, changing nothing, if the output does not match the batch.
        """
        _check_output(scheduled, output)
        updates: list[TokenUpdate] = []
        for i, (s, sampled) in enumerate(zip(scheduled.slices, output.sampled, strict=True)):
            request = s.request
            if request.status is not RequestStatus.RUNNING or request.num_preemptions != s.epoch:
                continue
            answers = output.prompt_logprobs.get(i, ())
            request.prompt_logprobs.extend(answers)
            request.num_prompt_logprobs += len(answers)
            self._name_blocks(request, s.start + s.num_tokens)
            if sampled is None:
                continue
            request.append_output_token(sampled.token_id)
            prompt_logprobs = None
            if request.num_output_tokens == 1 and request.sampling_params.prompt_logprobs is not None:
                prompt_logprobs, request.prompt_logprobs = request.prompt_logprobs, []
            updates.append(
                TokenUpdate(request, sampled.token_id, sampled.logprob, sampled.top_logprobs, prompt_logprobs)
            )
            if request.status.is_finished:
                del self.requests[request.request_id]
                self.running.discard(request)
                self._free(request)
        return updates

    def finish_requests(self, request_ids: Iterable[str], status: RequestStatus) -> list[Request]:
        """End requests from outside (abort, stop string). Unknown and finished ids are ignored."""
        if not status.is_finished:
            raise ValueError(f"status is {status.name}; allowed: a final one")
        ended: list[Request] = []
        for request_id in request_ids:
            request = self.requests.pop(request_id, None)
            if request is None:
                continue
            if request.status is RequestStatus.RUNNING:
                self.running.discard(request)
            else:
                self.waiting.remove(request)
            request.status = status
            self._free(request)
            ended.append(request)
        return ended

    def _preempt(self, request: Request) -> None:
        """Take everything from a running request but its tokens, and put it back to its place in the queue."""
        self.running.discard(request)
        request.num_computed_tokens = 0
        request.num_preemptions += 1
        request.status = RequestStatus.PREEMPTED
        self.waiting.put_back(request)
        self.num_preemptions += 1
        self._free(request)

    def _free(self, request: Request) -> None:
        try:
            self.kv_cache_manager.free(request.request_id)
        except BlockPoolError as error:
            self.pool_errors.append(str(error))

    def preempt_all(self) -> list[Request]:
        """Preempt every running request, oldest first in the result. A step in flight becomes stale."""
        victims = list(self.running)
        for request in reversed(victims):
            self._preempt(request)
        return victims

    def rebuild(self) -> list[Request]:
        """Start with a fresh pool, however damaged the old one is; running requests are preempted and lose nothing."""
        self.kv_cache_manager.reset()
        victims = self.preempt_all()
        for request in self.waiting:
            request.num_computed_tokens = 0  # some were being admitted when the pool broke
        self.pool_errors = []
        return victims

    def reset(self) -> list[Request]:
        """Abort everything and rebuild the pool, without trusting any state. Returns what was dropped."""
        dropped = list(self.requests.values())
        for request in dropped:
            request.status = RequestStatus.FINISHED_ABORTED
        self.requests, self.running, self.waiting = {}, RunningList(), WaitingQueue()
        self.kv_cache_manager.reset()
        self.pool_errors = []
        return dropped


def _check_output(scheduled: SchedulerOutput, output: StepOutput) -> None:
    if len(output.sampled) != len(scheduled.slices):
        raise ValueError(f"the runner returned {len(output.sampled)} results for {len(scheduled.slices)} slices")
    for i, (s, sampled) in enumerate(zip(scheduled.slices, output.sampled, strict=True)):
        if s.samples != (sampled is not None):
            raise ValueError(f"{s.request}: sampling was {s.samples}, the runner returned {sampled}")
        if sampled is not None and s.request.sampling_params.logprobs is not None and sampled.logprob is None:
            raise ValueError(f"{s.request}: logprobs were asked for, the runner returned none")
        asked = scheduled.batch.slices[i].prompt_logprobs
        wanted = asked.targets if asked is not None else []
        if [answer.token_id for answer in output.prompt_logprobs.get(i, ())] != wanted:
            raise ValueError(f"{s.request}: the runner returned prompt logprobs of other tokens than asked")
