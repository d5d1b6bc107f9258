"""What a caller gets back; names as in vLLM."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Logprob:
    """Natural-log probability of a token at one position, in the model's raw distribution.

    rank: 1 for the most likely token; None when the token is not among those that were asked for.
    """

    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


@dataclass(slots=True)
class CompletionOutput:
    """One generated sequence.

    token_ids holds every sampled token, with the one that ended it. `text` has neither that token nor the
    stop string (unless `include_stop_str_in_output`). `logprobs` has one dict per token, from token id to
    Logprob, or is None.
    finish_reason: "stop" (an end token, a stop token or a stop string), "length", "abort", or None while
    running.
    stop_reason: the stop string or the stop token id that ended it; None for the model's own end token.
    """

    index: int
    text: str
    token_ids: list[int]
    cumulative_logprob: float | None = None
    logprobs: list[dict[int, Logprob]] | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None

    def finished(self) -> bool:
        return self.finish_reason is not None


@dataclass(slots=True)
class RequestMetrics:
    """When things happened to a request, in seconds of CLOCK_MONOTONIC (one clock for all processes); None: not yet.

    arrival: the front end took it. queued: the engine did. scheduled: first step with it began (of its first text).
    first_token, last_token: the steps that made them ended.
    """

    arrival: float
    queued: float | None = None
    scheduled: float | None = None
    first_token: float | None = None
    last_token: float | None = None
    num_preemptions: int = 0

    def copy(self) -> RequestMetrics:
        # Made for every output: several times faster than dataclasses.replace.
        return RequestMetrics(
            self.arrival, self.queued, self.scheduled, self.first_token, self.last_token, self.num_preemptions
        )


@dataclass(slots=True)
class RequestOutput:
    """A request and what was generated for it. `prompt` is None when it was given as token ids.

    outputs: one CompletionOutput for each of `n` texts; with RequestOutputKind.DELTA only those that changed, each
        with what is new in text, token_ids and logprobs. finished: all texts are.
    prompt_logprobs: None unless asked for; one entry for each prompt token, the first one None. In DELTA outputs it
        comes once.
    num_cached_tokens: prompt tokens whose keys and values were found in the prefix cache (of the first text).
    """

    request_id: str
    prompt: str | None
    prompt_token_ids: list[int]
    outputs: list[CompletionOutput] = field(default_factory=list)
    finished: bool = False
    prompt_logprobs: list[dict[int, Logprob] | None] | None = None
    num_cached_tokens: int = 0
    metrics: RequestMetrics | None = None
