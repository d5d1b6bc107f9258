"""One request on its way through the engine."""

from __future__ import annotations

import enum
from array import array
from collections.abc import Sequence

from sapwood.engine.model_runner import LogitAdjustments, SamplingState, TokenLogprobs
from sapwood.engine.sampling_params import SamplingParams


class RequestStatus(enum.IntEnum):
    """Everything from FINISHED_STOPPED on is final."""

    WAITING = 0
    RUNNING = 1
    PREEMPTED = 2
    FINISHED_STOPPED = 3
    FINISHED_LENGTH_CAPPED = 4
    FINISHED_ABORTED = 5

    @property
    def is_finished(self) -> bool:
        return self >= RequestStatus.FINISHED_STOPPED

    @property
    def finish_reason(self) -> str | None:
        """OpenAI's word for a final status: "stop", "length" or "abort"."""
        return _FINISH_REASONS.get(self)


_NO_TOKENS = array("i")
_FINISH_REASONS = {
    RequestStatus.FINISHED_STOPPED: "stop",
    RequestStatus.FINISHED_LENGTH_CAPPED: "length",
    RequestStatus.FINISHED_ABORTED: "abort",
}


class Request:
    """State of one request.

    request_id: unique among unfinished requests. prompt_token_ids: at least one id.
    max_tokens: the most tokens to generate, already limited by the context.
    eos_token_ids: the model's own end tokens, empty when they are ignored.
    seed: in [0, 2**64), resolved. cache_salt: see `block_hash.hash_root`.
    output_token_ids: what another engine has generated of the text; this one goes on behind it as that would have, for
        sampling depends on seed, position and tokens alone. Raises ValueError if the text would have ended there.

    num_computed_tokens counts positions whose KV is in the cache or will be when the step in flight ends.
    It is the only record of progress: prefill, chunk, decode, a cache hit and resuming after preemption are all
    "compute the rest".

    The scheduler's own notes: arrival (a number that grows), hash_root and block_hashes (names of the full blocks of
    all known tokens, as far as they were needed), waited_at_hit (see `Scheduler`), num_cached_tokens (prompt tokens
    found in the cache when it was first admitted), prompt_logprobs (answers so far) and num_prompt_logprobs (how many
    there have been). queued, scheduled: CLOCK_MONOTONIC seconds, written by the engine.
    """

    __slots__ = (
        "_penalised",
        "_token_ids",
        "arrival",
        "block_hashes",
        "cache_salt",
        "eos_token_ids",
        "hash_root",
        "max_tokens",
        "num_cached_tokens",
        "num_computed_tokens",
        "num_preemptions",
        "num_prompt_logprobs",
        "num_prompt_tokens",
        "prompt_logprobs",
        "queued",
        "request_id",
        "sampling_params",
        "scheduled",
        "seed",
        "status",
        "stop_token_id",
        "stop_token_ids",
        "waited_at_hit",
    )

    def __init__(
        self,
        request_id: str,
        prompt_token_ids: Sequence[int],
        sampling_params: SamplingParams,
        *,
        max_tokens: int,
        eos_token_ids: frozenset[int] = frozenset(),
        seed: int = 0,
        cache_salt: str = "",
        output_token_ids: Sequence[int] = (),
    ) -> None:
        if not prompt_token_ids:
            raise ValueError("prompt_token_ids is empty; allowed: at least one token id")
        if max_tokens < 1:
            raise ValueError(f"max_tokens is {max_tokens}; allowed: at least 1")
        self.request_id = request_id
        self.sampling_params = sampling_params
        self.max_tokens = max_tokens
        self.eos_token_ids = frozenset() if sampling_params.ignore_eos else eos_token_ids
        self.stop_token_ids = sampling_params.stop_ids
        self.seed = seed
        self.cache_salt = cache_salt
        self.num_prompt_tokens = len(prompt_token_ids)
        self.num_computed_tokens = 0
        self.num_preemptions = 0
        self.status = RequestStatus.WAITING
        self.stop_token_id: int | None = None
        self.arrival = -1
        self.hash_root = b""
        self.block_hashes: list[bytes] = []
        self.waited_at_hit = -1
        self.num_cached_tokens: int | None = None
        self.prompt_logprobs: list[TokenLogprobs] = []
        self.num_prompt_logprobs = 0
        self.queued: float | None = None
        self.scheduled: float | None = None
        self._token_ids = [*prompt_token_ids, *output_token_ids]
        penalised = (
            sampling_params.repetition_penalty != 1
            or sampling_params.presence_penalty != 0
            or sampling_params.frequency_penalty != 0
        )
        # The same tokens once more, as the sampler takes them: it wants all of them for every token.
        self._penalised = array("i", self._token_ids) if penalised else None
        if output_token_ids:
            self._check_resumed(output_token_ids)
            self.num_prompt_logprobs = self.num_prompt_tokens - 1  # they came with the first token

    def _check_resumed(self, output_token_ids: Sequence[int]) -> None:
        if len(output_token_ids) >= self.max_tokens:
            raise ValueError(
                f"output_token_ids has {len(output_token_ids)} tokens; allowed: fewer than max_tokens, which is "
                f"{self.max_tokens}"
            )
        ends = (self.eos_token_ids | self.stop_token_ids).intersection(output_token_ids)
        if ends:
            raise ValueError(f"output_token_ids has {min(ends)}, which ends the text")

    def __repr__(self) -> str:
        return (
            f"Request({self.request_id!r}, {self.status.name}, prompt={self.num_prompt_tokens}, "
            f"output={self.num_output_tokens}/{self.max_tokens}, computed={self.num_computed_tokens})"
        )

    @property
    def num_tokens(self) -> int:
        """Prompt and output tokens known so far."""
        return len(self._token_ids)

    @property
    def num_output_tokens(self) -> int:
        return len(self._token_ids) - self.num_prompt_tokens

    @property
    def prompt_token_ids(self) -> list[int]:
        return self._token_ids[: self.num_prompt_tokens]

    @property
    def output_token_ids(self) -> list[int]:
        return self._token_ids[self.num_prompt_tokens :]

    @property
    def token_ids(self) -> Sequence[int]:
        """Prompt and output; not a copy."""
        return self._token_ids

    def tokens(self, start: int, end: int) -> list[int]:
        """Token ids at positions [start, end)."""
        return self._token_ids[start:end]

    @property
    def max_cached_tokens(self) -> int:
        """How many of the first tokens may come from the cache.

        Never the last one: its row gives the next token. And none whose row still has to answer for a prompt
        logprob: the cache has keys and values, not logits.
        """
        if self.sampling_params.prompt_logprobs is not None and self.num_prompt_logprobs < self.num_prompt_tokens - 1:
            return self.num_prompt_logprobs
        return self.num_tokens - 1

    def logprob_rows(self, start: int, end: int) -> range:
        """Positions in [start, end) that have to answer for the prompt token after them, and have not yet."""
        if self.sampling_params.prompt_logprobs is None:
            return range(0)
        return range(max(start, self.num_prompt_logprobs), min(end, self.num_prompt_tokens - 1))

    def sampling_state(self) -> SamplingState:
        """How to sample the next token. O(1) but for penalties, for which four bytes of each token are copied."""
        params = self.sampling_params
        return SamplingState(
            temperature=params.temperature,
            top_k=params.top_k,
            top_p=params.top_p,
            seed=self.seed,
            position=self.num_tokens,
            logprobs=params.logprobs,
            min_p=params.min_p,
            adjustments=self._adjustments(),
        )

    def _adjustments(self) -> LogitAdjustments | None:
        params = self.sampling_params
        banned: frozenset[int] = frozenset()
        if self.num_output_tokens < params.min_tokens:
            banned = self.eos_token_ids | self.stop_token_ids
        history = self._penalised
        if history is None and not params.logit_bias and not banned:
            return None
        return LogitAdjustments(
            prompt_token_ids=_NO_TOKENS if history is None else history[: self.num_prompt_tokens],
            output_token_ids=_NO_TOKENS if history is None else history[self.num_prompt_tokens :],
            repetition_penalty=params.repetition_penalty,
            presence_penalty=params.presence_penalty,
            frequency_penalty=params.frequency_penalty,
            logit_bias=params.logit_bias or {},
            banned_token_ids=banned,
        )

    def append_output_token(self, token_id: int) -> None:
        """Add a sampled token and settle whether it ends the request (`status`, `stop_token_id`)."""
        self._token_ids.append(token_id)
        if self._penalised is not None:
            self._penalised.append(token_id)
        if token_id in self.eos_token_ids:
            self.status = RequestStatus.FINISHED_STOPPED
        elif token_id in self.stop_token_ids:
            self.status = RequestStatus.FINISHED_STOPPED
            self.stop_token_id = token_id
        elif self.num_output_tokens >= self.max_tokens:
            self.status = RequestStatus.FINISHED_LENGTH_CAPPED
