"""What chat and completions share: checks, usage, log-probabilities, the frame of a stream."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from sapwood.engine.outputs import Logprob, RequestOutput
from sapwood.serve import sse
from sapwood.serve.context import RequestContext, ServerState
from sapwood.serve.errors import ApiError, Family, bad_request, render
from sapwood.serve.generation import Job
from sapwood.serve.openai.protocol import PromptLogprob, PromptTokensDetails, SamplingFields, Usage

MAX_PROMPT_LOGPROBS = 1 << 18  # in an answer; they come in one piece, for which all other clients wait
_LEAST_LOGPROB = -9999.0  # JSON has no infinity; OpenAI writes this

encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Head:
    """The fields that begin every answer and every event of one request."""

    id: str
    created: int
    model: str
    system_fingerprint: str | None


def make_head(state: ServerState, context: RequestContext, model: str, prefix: str) -> Head:
    ready = state.client.ready
    return Head(
        f"{prefix}-{context.request_id}", int(time.time()), model, None if ready is None else f"fp_{ready.numerics_id}"
    )


def check_choices(state: ServerState, request: SamplingFields, num_prompts: int = 1) -> int:
    """`n`. Raises ApiError 400 for more choices in all than a request may have, and for other things it may not."""
    n = request.n or 1
    most = state.config.max_choices
    if num_prompts * n > most:
        raise bad_request(f"The request asks for {num_prompts * n} choices; allowed: at most {most}.", "n")
    if request.use_beam_search:
        raise bad_request("use_beam_search is not supported.", "use_beam_search")
    if request.stream_options is not None and not request.stream:
        raise bad_request("stream_options is only allowed with stream.", "stream_options")
    return n


def check_prompt_logprobs(jobs: Sequence[Job], times: int) -> None:
    """Raise ApiError 400 for more log-probabilities of prompts than an answer may hold, if each is in it so often."""
    count = times * sum(
        len(job.prompt_token_ids) * (job.params.prompt_logprobs + 1)
        for job in jobs
        if job.params.prompt_logprobs is not None
    )
    if count > MAX_PROMPT_LOGPROBS:
        raise bad_request(
            f"The answer would hold {count} log-probabilities of prompt tokens; allowed: {MAX_PROMPT_LOGPROBS}. Ask "
            "for fewer of each token, for fewer choices, or for fewer prompts at once.",
            "prompt_logprobs",
        )


def sampling_fields(request: SamplingFields) -> dict[str, object]:
    """The fields of SamplingParams that both APIs call by its names."""
    return {
        name: getattr(request, name)
        for name in (
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "n",
            "stop",
            "stop_token_ids",
            "include_stop_str_in_output",
            "presence_penalty",
            "frequency_penalty",
            "repetition_penalty",
            "logit_bias",
            "seed",
            "min_tokens",
            "ignore_eos",
            "skip_special_tokens",
            "prompt_logprobs",
        )
    }


@dataclass(slots=True)
class UsageCounter:
    """Counts over the outputs of a request, each with only what is new."""

    prompt_tokens: int
    completion_tokens: int = 0
    cached: dict[int, int] = field(default_factory=dict)

    def add(self, job: int, output: RequestOutput) -> None:
        self.completion_tokens += sum(len(completion.token_ids) for completion in output.outputs)
        if output.num_cached_tokens:
            self.cached[job] = output.num_cached_tokens

    def usage(self) -> Usage:
        return Usage(
            self.prompt_tokens,
            self.completion_tokens,
            self.prompt_tokens + self.completion_tokens,
            PromptTokensDetails(sum(self.cached.values())),
        )


def finite(logprob: float) -> float:
    return max(logprob, _LEAST_LOGPROB)


def ranked(entries: dict[int, Logprob], count: int) -> list[tuple[int, Logprob]]:
    """The `count` likeliest tokens of one position, most likely first."""
    found = [(i, entry) for i, entry in entries.items() if entry.rank is not None and entry.rank <= count]
    return sorted(found, key=lambda item: item[1].rank or 0)


def prompt_logprobs(
    entries: Sequence[dict[int, Logprob] | None] | None,
) -> list[dict[str, PromptLogprob] | None] | None:
    if entries is None:
        return None
    return [
        None
        if entry is None
        else {str(i): PromptLogprob(finite(lp.logprob), lp.rank, lp.decoded_token) for i, lp in entry.items()}
        for entry in entries
    ]


def frame(chunks: Iterable[msgspec.Struct]) -> bytes:
    """Events of structs, in one piece."""
    return b"".join(sse.event(encode(chunk)) for chunk in chunks)


def error_formatter(context: RequestContext):
    """Frames what ended a stream early, in OpenAI's form."""

    def format_error(error: ApiError) -> bytes:
        return sse.event(render(error, Family.OPENAI, context.request_id))

    return format_error
