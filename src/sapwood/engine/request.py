"""One request on its way through the engine."""

from __future__ import annotations

import enum
from collections.abc import Sequence

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
    seed: in [0, 2**64), resolved.

    num_computed_tokens counts positions whose KV is in the cache or will be when the step in flight ends.
    It is the only record of progress: prefill, chunk, decode and resume after preemption are all "compute
    the rest".
    """

    __slots__ = (
        "_token_ids",
        "eos_token_ids",
        "max_tokens",
        "num_computed_tokens",
        "num_preemptions",
        "num_prompt_tokens",
        "queued",
        "request_id",
        "sampling_params",
        "scheduled",
        "seed",
        "status",
        "stop_token_id",
        "stop_token_ids",
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
        self.num_prompt_tokens = len(prompt_token_ids)
        self.num_computed_tokens = 0
        self.num_preemptions = 0
        self.status = RequestStatus.WAITING
        self.stop_token_id: int | None = None
        self.queued: float | None = None
        self.scheduled: float | None = None
        self._token_ids = list(prompt_token_ids)

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
    def max_num_slots(self) -> int:
        """KV slots that the longest possible run needs. The last token is returned, never computed."""
        return self.num_prompt_tokens + self.max_tokens - 1

    @property
    def prompt_token_ids(self) -> list[int]:
        return self._token_ids[: self.num_prompt_tokens]

    @property
    def output_token_ids(self) -> list[int]:
        return self._token_ids[self.num_prompt_tokens :]

    def tokens(self, start: int, end: int) -> list[int]:
        """Token ids at positions [start, end)."""
        return self._token_ids[start:end]

    def append_output_token(self, token_id: int) -> None:
        """Add a sampled token and settle whether it ends the request (`status`, `stop_token_id`)."""
        self._token_ids.append(token_id)
        if token_id in self.eos_token_ids:
            self.status = RequestStatus.FINISHED_STOPPED
        elif token_id in self.stop_token_ids:
            self.status = RequestStatus.FINISHED_STOPPED
            self.stop_token_id = token_id
        elif self.num_output_tokens >= self.max_tokens:
            self.status = RequestStatus.FINISHED_LENGTH_CAPPED
