"""POST /v1/chat/completions (https://platform.openai.com/docs/api-reference/chat)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from sapwood.engine.outputs import CompletionOutput, Logprob
from sapwood.engine.tokenizer import Tokenizer
from sapwood.serve import generation, sse
from sapwood.serve.context import RequestContext, ServerState
from sapwood.serve.errors import bad_request
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
from sapwood.serve.openai.protocol import (
    AssistantMessage,
    ChatChoice,
    ChatChunk,
    ChatChunkChoice,
    ChatCompletion,
    ChatCompletionRequest,
    ChatLogprobs,
    ChatMessage,
    Delta,
    TokenLogprob,
    TopLogprob,
)
from sapwood.serve.sse import EventStream


def plain_messages(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Messages as chat templates know them."""
    found: list[dict[str, Any]] = []
    for message in messages:
        content = message.content
        if not isinstance(content, str):
            content = [{"type": "text", "text": part.text} for part in content]
        plain = {"role": "system" if message.role == "developer" else message.role, "content": content}
        if message.name is not None:
            plain["name"] = message.name
        found.append(plain)
    return found


async def prepare(state: ServerState, request: ChatCompletionRequest) -> Job:
    """Check a request and make its job. Raises ApiError."""
    generation.check_model(state, request.model)
    if request.tools and request.tool_choice != "none":
        raise bad_request("Tool calls are not supported yet; leave tools out or set tool_choice to 'none'.", "tools")
    if request.tool_choice not in (None, "none", "auto"):
        raise bad_request("Tool calls are not supported yet; allowed for tool_choice: 'none', 'auto'.", "tool_choice")
    check_choices(state, request)
    if request.top_logprobs and not request.logprobs:
        raise bad_request("top_logprobs is only allowed with logprobs.", "top_logprobs")
    token_ids = await generation.tokenize_chat(
        state,
        plain_messages(request.messages),
        add_generation_prompt=True if request.add_generation_prompt is None else request.add_generation_prompt,
        options=request.chat_template_kwargs and request.chat_template_kwargs.given(),
    )
    name = "max_tokens" if request.max_completion_tokens is None else "max_completion_tokens"
    max_tokens = generation.max_tokens_for(
        state, len(token_ids), getattr(request, name), default=None, param=name, prompt_param="messages"
    )
    given = sampling_fields(request)
    given["max_tokens"] = max_tokens
    given["logprobs"] = (request.top_logprobs or 0) if request.logprobs else None
    params = generation.sampling_params(
        state, given, stream=bool(request.stream), aliases={"max_tokens": name, "logprobs": "top_logprobs"}
    )
    job = Job(token_ids, params)
    generation.check_job(state, job, "messages")
    check_prompt_logprobs([job], 1)
    return job


async def create(
    state: ServerState, context: RequestContext, request: ChatCompletionRequest, path: dict[str, Any]
) -> ChatCompletion | EventStream:
    """Answer a conversation."""
    salt = generation.cache_salt(state, context, request.cache_salt)
    job = await prepare(state, request)
    head = make_head(state, context, request.model, "chatcmpl")
    formatter = _Formatter(state.client.tokenizer, request.top_logprobs or 0)
    if request.stream:
        events = _stream(state, context, request, job, salt, head, formatter)
        return EventStream(events, error_formatter(context))
    return await _complete(state, context, job, salt, head, formatter)


class _Formatter:
    """Shows outputs of one request. top: how many of the likeliest tokens are told besides each token."""

    def __init__(self, tokenizer: Tokenizer, top: int) -> None:
        self._tokenizer = tokenizer
        self._top = top

    def logprobs(self, entries: Sequence[dict[int, Logprob]] | None, token_ids: Sequence[int]) -> ChatLogprobs | None:
        if entries is None:
            return None
        return ChatLogprobs([self._token(i, entry) for i, entry in zip(token_ids, entries, strict=True)])

    def _token(self, token_id: int, entry: dict[int, Logprob]) -> TokenLogprob:
        own = self._one(token_id, entry[token_id])
        top = [self._one(i, logprob) for i, logprob in ranked(entry, self._top)]
        return TokenLogprob(own.token, own.logprob, own.bytes, top)

    def _one(self, token_id: int, logprob: Logprob) -> TopLogprob:
        return TopLogprob(
            logprob.decoded_token or "", finite(logprob.logprob), list(self._tokenizer.token_bytes(token_id))
        )

    def choice(self, completion: CompletionOutput) -> ChatChoice:
        return ChatChoice(
            index=completion.index,
            message=AssistantMessage(content=completion.text),
            logprobs=self.logprobs(completion.logprobs, completion.token_ids),
            finish_reason=completion.finish_reason or "abort",
            stop_reason=completion.stop_reason,
        )

    def new_of_choice(self, completion: CompletionOutput) -> ChatChunkChoice:
        return ChatChunkChoice(
            completion.index,
            Delta(content=completion.text or None),
            self.logprobs(completion.logprobs or None, completion.token_ids),
            completion.finish_reason,
            completion.stop_reason,
        )


async def _complete(
    state: ServerState, context: RequestContext, job: Job, salt: str, head: Head, formatter: _Formatter
) -> ChatCompletion:
    counter = UsageCounter(len(job.prompt_token_ids))
    choices: dict[int, ChatChoice] = {}
    prompt = None
    async with aclosing(generation.generate(state, context, [job], salt)) as outputs:
        async for index, output in outputs:
            counter.add(index, output)
            choices.update((c.index, formatter.choice(c)) for c in output.outputs)
            prompt = output.prompt_logprobs or prompt
    return ChatCompletion(
        id=head.id,
        created=head.created,
        model=head.model,
        choices=[choices[i] for i in sorted(choices)],
        usage=counter.usage(),
        system_fingerprint=head.system_fingerprint,
        prompt_logprobs=prompt_logprobs(prompt),
    )


async def _stream(
    state: ServerState,
    context: RequestContext,
    request: ChatCompletionRequest,
    job: Job,
    salt: str,
    head: Head,
    formatter: _Formatter,
) -> AsyncGenerator[bytes, None]:
    options = request.stream_options
    continuous = options is not None and options.continuous_usage_stats
    counter = UsageCounter(len(job.prompt_token_ids))
    begun: set[int] = set()

    def chunk(choices: list[ChatChunkChoice], with_usage: bool = continuous) -> ChatChunk:
        return ChatChunk(
            id=head.id,
            created=head.created,
            model=head.model,
            choices=choices,
            usage=counter.usage() if with_usage else None,
            system_fingerprint=head.system_fingerprint,
        )

    async with aclosing(generation.generate(state, context, [job], salt)) as outputs:
        async for index, output in outputs:
            counter.add(index, output)
            chunks: list[ChatChunk] = []
            for completion in output.outputs:
                if completion.index not in begun:
                    begun.add(completion.index)
                    chunks.append(chunk([ChatChunkChoice(completion.index, Delta(role="assistant", content=""))]))
                if completion.text or completion.logprobs or completion.finish_reason:
                    chunks.append(chunk([formatter.new_of_choice(completion)]))
            if chunks:
                yield frame(chunks)
    if options is not None and options.include_usage:
        yield frame([chunk([], with_usage=True)])
    yield sse.DONE
