"""POST /v1/completions (https://platform.openai.com/docs/api-reference/completions)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from sapwood.engine.outputs import CompletionOutput, Logprob, RequestOutput
from sapwood.serve import generation, sse
from sapwood.serve.context import RequestContext, ServerState
from sapwood.serve.errors import ApiError, bad_request
from sapwood.serve.generation import Job
from sapwood.serve.openai.common import (
    Head,
    UsageCounter,
    check_choices,
    check_prompt_logprobs,
    error_formatter,
    finite,
    frame,
    make_head,
    prompt_logprobs,
    ranked,
    sampling_fields,
)
from sapwood.serve.openai.protocol import Completion, CompletionChoice, CompletionLogprobs, CompletionRequest
from sapwood.serve.sse import EventStream

DEFAULT_MAX_TOKENS = 16  # OpenAI's


def split_prompts(prompt: str | Sequence[Any], most: int) -> list[str | list[int]]:
    """The prompts of a request: one text, texts, one list of token ids, or lists of token ids. Raises ApiError 400."""
    if isinstance(prompt, str):
        items: list[Any] = [prompt]
    elif {*map(type, prompt)} == {int}:  # there may be a million, and other clients wait for this
        items = [list(prompt)]
    else:
        items = list(prompt)
    if not items:
        raise bad_request("prompt is empty; allowed: at least one prompt.", "prompt")
    if len(items) > most:
        raise bad_request(f"prompt has {len(items)} prompts; allowed: at most {most}.", "prompt")
    if len({*map(type, items)}) > 1 or isinstance(items[0], int):
        raise bad_request("prompt mixes texts and token ids; allowed: one kind.", "prompt")
    for i, item in enumerate(items):
        if not item:
            where = "prompt" if len(items) == 1 else f"prompt[{i}]"
            raise bad_request(f"{where} is empty; allowed: at least one character or token.", where)
    return items


async def prepare(state: ServerState, request: CompletionRequest) -> list[Job]:
    """Check a request and make a job for each prompt. Raises ApiError."""
    generation.check_model(state, request.model)
    prompts = split_prompts(request.prompt, state.config.max_prompts)
    n = check_choices(state, request, len(prompts))
    if request.best_of is not None and request.best_of != n:
        raise bad_request(f"best_of is {request.best_of}; allowed: {n}, which is n.", "best_of")
    score_only = request.max_tokens == 0
    if score_only and not request.echo:
        raise bad_request("max_tokens is 0; allowed: at least 1, or 0 with echo.", "max_tokens")
    given = sampling_fields(request)
    given["logprobs"] = request.logprobs
    if request.echo and request.logprobs is not None and request.prompt_logprobs is None:
        given["prompt_logprobs"] = request.logprobs
    jobs: list[Job] = []
    for i, prompt in enumerate(prompts):
        text = prompt if isinstance(prompt, str) else None
        token_ids = await generation.tokenize_text(state, prompt) if isinstance(prompt, str) else prompt
        param = "prompt" if len(prompts) == 1 else f"prompt[{i}]"
        given["max_tokens"] = generation.max_tokens_for(
            state,
            len(token_ids),
            1 if score_only else request.max_tokens,
            default=DEFAULT_MAX_TOKENS,
            param="max_tokens",
            prompt_param=param,
        )
        job = Job(token_ids, generation.sampling_params(state, given, stream=bool(request.stream)), text)
        generation.check_job(state, job, param)
        jobs.append(job)
    check_prompt_logprobs(jobs, n)
    return jobs


async def create(
    state: ServerState, context: RequestContext, request: CompletionRequest, path: dict[str, Any]
) -> Completion | EventStream:
    """Continue prompts."""
    salt = generation.cache_salt(state, context, request.cache_salt)
    answer = _Answer(state, context, request, await prepare(state, request), salt)
    if request.stream:
        return EventStream(answer.stream(), error_formatter(context))
    return await answer.complete()


@dataclass(slots=True)
class _Progress:
    """One choice while it is streamed: whether its first event was made, and the characters of text so far."""

    begun: bool = False
    length: int = 0


@dataclass(slots=True)
class _Answer:
    """A request whose jobs run, and how its outputs are shown."""

    state: ServerState
    context: RequestContext
    request: CompletionRequest
    jobs: list[Job]
    salt: str
    head: Head = field(init=False)
    counter: UsageCounter = field(init=False)
    prompt_logprobs: dict[int, Sequence[dict[int, Logprob] | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.head = make_head(self.state, self.context, self.request.model, "cmpl")
        self.counter = UsageCounter(sum(len(job.prompt_token_ids) for job in self.jobs))

    async def complete(self) -> Completion:
        choices: dict[int, CompletionChoice] = {}
        async with aclosing(generation.generate(self.state, self.context, self.jobs, self.salt)) as outputs:
            async for job, output in outputs:
                self._count(job, output)
                for completion in output.outputs:
                    choice = self._choice(job, completion, _Progress())
                    choices[choice.index] = choice
        return self._completion([choices[i] for i in sorted(choices)], with_usage=True)

    async def stream(self) -> AsyncGenerator[bytes, None]:
        options = self.request.stream_options
        continuous = options is not None and options.continuous_usage_stats
        progress: dict[int, _Progress] = {}
        waiting: dict[int, list[CompletionOutput]] = {}  # for the log-probabilities of the prompt, which come first
        async with aclosing(generation.generate(self.state, self.context, self.jobs, self.salt)) as outputs:
            async for job, output in outputs:
                self._count(job, output)
                completions = [*waiting.pop(job, ()), *output.outputs]
                if self._shows_prompt_logprobs and job not in self.prompt_logprobs:
                    waiting[job] = completions
                    continue
                chunks = []
                for completion in completions:
                    seen = progress.setdefault(self._index(job, completion), _Progress())
                    choice = self._choice(job, completion, seen)
                    if choice.text or choice.logprobs or choice.finish_reason:
                        chunks.append(self._completion([choice], with_usage=continuous))
                if chunks:
                    yield frame(chunks)
        if options is not None and options.include_usage:
            yield frame([self._completion([], with_usage=True)])
        yield sse.DONE

    @property
    def _shows_prompt_logprobs(self) -> bool:
        return self.jobs[0].params.prompt_logprobs is not None

    def _count(self, job: int, output: RequestOutput) -> None:
        self.counter.add(job, output)
        if output.prompt_logprobs is not None:  # comes once, and every choice shows it
            self.prompt_logprobs[job] = output.prompt_logprobs
        if self.request.max_tokens == 0:
            self.counter.completion_tokens = 0

    def _index(self, job: int, completion: CompletionOutput) -> int:
        return job * (self.request.n or 1) + completion.index

    def _completion(self, choices: list[CompletionChoice], *, with_usage: bool) -> Completion:
        return Completion(
            id=self.head.id,
            created=self.head.created,
            model=self.head.model,
            choices=choices,
            usage=self.counter.usage() if with_usage else None,
            system_fingerprint=self.head.system_fingerprint,
        )

    def _choice(self, job: int, completion: CompletionOutput, seen: _Progress) -> CompletionChoice:
        """What is new of a choice. Its first event brings the echoed prompt, and its log-probabilities."""
        first = not seen.begun
        seen.begun = True
        text, logprobs = completion.text, None
        token_ids, entries = list(completion.token_ids), list(completion.logprobs or [])
        if self.request.max_tokens == 0:
            text, token_ids, entries = "", [], []
        if self.request.logprobs is not None:
            logprobs = CompletionLogprobs([], [], [], [])
        if first and self.request.echo:
            item = self.jobs[job]
            prompt = item.text if item.text is not None else self._decode(item.prompt_token_ids)
            if logprobs is not None:
                self._add(logprobs, item.prompt_token_ids, self.prompt_logprobs.get(job, []), seen)
                seen.length = len(prompt)
            text = prompt + text
        if logprobs is not None:
            self._add(logprobs, token_ids, entries, seen)
            if not logprobs.tokens:
                logprobs = None
        return CompletionChoice(
            index=self._index(job, completion),
            text=text,
            logprobs=logprobs,
            finish_reason=completion.finish_reason,
            stop_reason=completion.stop_reason,
            prompt_logprobs=(
                prompt_logprobs(self.prompt_logprobs.get(job))
                if first and self.request.prompt_logprobs is not None
                else None
            ),
        )

    def _decode(self, token_ids: Sequence[int]) -> str:
        return self.state.client.tokenizer.decode(token_ids, skip_special_tokens=False)

    def _add(
        self,
        logprobs: CompletionLogprobs,
        token_ids: Sequence[int],
        entries: Sequence[dict[int, Logprob] | None],
        seen: _Progress,
    ) -> None:
        if len(token_ids) != len(entries):
            raise ApiError(500, "The engine returned no log-probabilities.", code="engine_error")
        count = self.request.logprobs or 0
        for token_id, entry in zip(token_ids, entries, strict=True):
            own = None if entry is None else entry[token_id]
            token = (own.decoded_token if own is not None else None) or self._decode([token_id])
            logprobs.tokens.append(token)
            logprobs.token_logprobs.append(None if own is None else finite(own.logprob))
            top = [] if entry is None else [lp for _, lp in ranked(entry, count)]
            if own is not None and own not in top:
                top.append(own)
            logprobs.top_logprobs.append(
                None if entry is None else {lp.decoded_token or "": finite(lp.logprob) for lp in top}
            )
            logprobs.text_offset.append(seen.length)
            seen.length += len(token)
