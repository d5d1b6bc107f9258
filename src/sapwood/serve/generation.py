"""From a request's fields to outputs of the engine, the same for every API: prepare, then generate.

`prepare_*` make Jobs, and raise ApiError for all that is the client's fault before anything is queued; `generate` runs
them. How outputs are shown is the business of each API.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import anyio.to_thread

from sapwood.engine.chat import encode_chat
from sapwood.engine.outputs import RequestOutput
from sapwood.engine.sampling_params import INT_MAX, RequestOutputKind, SamplingParams
from sapwood.models.errors import shown
from sapwood.serve.context import RequestContext, ServerState
from sapwood.serve.errors import ApiError, bad_request

T = TypeVar("T")

LARGE_PROMPT = 1 << 16
_SAMPLING_FIELDS = frozenset(SamplingParams.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Job:
    """One prompt for the engine. text: what the prompt was, where it was given as text."""

    prompt_token_ids: list[int]
    params: SamplingParams
    text: str | None = None


def check_model(state: ServerState, model: str) -> None:
    """Raise ApiError 404 unless the server serves `model`."""
    names = state.config.served_model_names
    if model not in names:
        raise ApiError(
            404,
            f"The model {shown(model)} does not exist here; served: {', '.join(names)}.",
            param="model",
            code="model_not_found",
        )


async def in_thread(state: ServerState, size: int, call: Callable[[], T]) -> T:
    """The result of a call that works on text of `size` characters or tokens, away from the event loop."""
    if size <= LARGE_PROMPT:
        return await anyio.to_thread.run_sync(call, limiter=state.tokenizer_limiter)
    async with state.large_prompt:
        return await anyio.to_thread.run_sync(call, limiter=state.tokenizer_limiter)


def _length(message: Mapping[str, Any]) -> int:
    content = message.get("content")
    return len(content) if isinstance(content, str) else sum(len(part["text"]) for part in content or ())


async def tokenize_chat(
    state: ServerState,
    messages: Sequence[Mapping[str, Any]],
    *,
    add_generation_prompt: bool = True,
    options: Mapping[str, bool] | None = None,
) -> list[int]:
    """Token ids of a conversation; options: see `ChatTemplate.render`. Raises ApiError 400 naming `messages`."""
    template = state.client.chat_template
    if template is None:
        raise bad_request("The model has no chat template; use /v1/completions.", "messages", "no_chat_template")
    call = partial(
        encode_chat,
        state.client.tokenizer,
        template,
        messages,
        add_generation_prompt=add_generation_prompt,
        options=options,
    )
    size = sum(map(_length, messages))
    try:
        return await in_thread(state, size, call)
    except ValueError as error:  # malformed messages, and all that a template raises
        raise bad_request(str(error), "messages") from None


async def tokenize_text(
    state: ServerState, text: str, *, add_special_tokens: bool = True, param: str = "prompt"
) -> list[int]:
    """Token ids of a text. Raises ApiError 400 naming `param`."""
    call = partial(state.client.tokenizer.encode, text, add_special_tokens)
    try:
        return await in_thread(state, len(text), call)
    except ValueError as error:
        raise bad_request(str(error), param) from None


def sampling_params(
    state: ServerState, given: Mapping[str, object], *, stream: bool, aliases: Mapping[str, str] | None = None
) -> SamplingParams:
    """SamplingParams of a request; None means not given, and then the model's own defaults are taken.

    aliases: what the API calls a field of SamplingParams. Raises ApiError 400 naming the field as the API calls it.
    """
    values = dict(state.client.default_sampling_params)
    values.update((name, value) for name, value in given.items() if value is not None)
    values["output_kind"] = RequestOutputKind.DELTA if stream else RequestOutputKind.FINAL_ONLY
    try:
        return SamplingParams(**values)  # type: ignore[arg-type]  # it checks every value
    except ValueError as error:
        message = str(error)
        words = re.findall(r"[a-z_]+", message.partition(" is ")[0])
        name = next((word for word in words if word in _SAMPLING_FIELDS), None)
        shown_name = (aliases or {}).get(name or "", name)
        if name and shown_name:
            message = message.replace(name, shown_name, 1)
        raise bad_request(message, shown_name) from None


def room_for(state: ServerState, prompt_tokens: int, param: str) -> int:
    """How many tokens may follow a prompt, at least 1. Raises ApiError 400 with both numbers if it is too long."""
    limit = state.client.max_model_len
    if prompt_tokens >= limit:
        raise bad_request(
            f"The prompt has {prompt_tokens} tokens; allowed: at most {limit - 1}, because the context of the model is "
            f"{limit} tokens and at least one is generated.",
            param,
            "context_length_exceeded",
        )
    return limit - prompt_tokens


def max_tokens_for(
    state: ServerState,
    prompt_tokens: int,
    given: int | None,
    *,
    default: int | None,
    param: str,
    prompt_param: str,
) -> int:
    """How many tokens to generate. default: when the request does not say; None is all that fit.

    Raises ApiError 400 with the numbers when prompt and answer do not fit into the context together.
    """
    room = room_for(state, prompt_tokens, prompt_param)
    if given is None:
        model_default = state.client.default_sampling_params.get("max_tokens", default)
        return min(room, model_default) if isinstance(model_default, int) else room
    if not 1 <= given <= INT_MAX:
        raise bad_request(f"{param} is {shown(given)}; allowed: an integer from 1 to {INT_MAX}.", param)
    if given > room:
        limit = state.client.max_model_len
        raise bad_request(
            f"The prompt has {prompt_tokens} tokens and {param} is {given}, together {prompt_tokens + given}; allowed: "
            f"at most {limit}, the context of the model.",
            param,
            "context_length_exceeded",
        )
    return given


def check_job(state: ServerState, job: Job, param: str) -> None:
    """Raise ApiError 400 for what the engine would refuse, before anything is queued."""
    try:
        state.client.check_prompt(job.prompt_token_ids, job.params)
    except ValueError as error:
        message = str(error)
        for name in ("logit_bias", "stop_token_ids"):
            if name in message:
                param = name
        raise bad_request(message, param) from None


def cache_salt(state: ServerState, context: RequestContext, given: str | None) -> str:
    """What separates this request's cached prefixes from others'. Raises ApiError 400 where salts are not allowed."""
    salt = context.tenant if state.config.isolate_prefix_cache else ""
    if given is None:
        return salt
    if not state.config.enable_cache_salt:
        raise bad_request("cache_salt is not enabled on this server.", "cache_salt")
    return f"{salt}/{given}"


async def generate(
    state: ServerState, context: RequestContext, jobs: Sequence[Job], salt: str = ""
) -> AsyncGenerator[tuple[int, RequestOutput], None]:
    """Run jobs together; yields (index of the job, output) as they come.

    Closing the generator aborts all of them. Raises ApiError and EngineError; the other jobs are aborted then.
    """
    if len(jobs) == 1:
        async with aclosing(_run_job(state, context, jobs[0], salt)) as outputs:
            async for output in outputs:
                yield 0, output
        return
    queue: asyncio.Queue[tuple[int, RequestOutput | Exception | None]] = asyncio.Queue(maxsize=2 * len(jobs))

    async def pump(index: int) -> None:
        try:
            async with aclosing(_run_job(state, context, jobs[index], salt)) as outputs:
                async for output in outputs:
                    await queue.put((index, output))
            await queue.put((index, None))
        except Exception as error:
            await queue.put((index, error))

    tasks = [asyncio.ensure_future(pump(index)) for index in range(len(jobs))]
    try:
        running = len(tasks)
        while running:
            index, item = await queue.get()
            if item is None:
                running -= 1
            elif isinstance(item, Exception):
                raise item
            else:
                yield index, item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _run_job(
    state: ServerState, context: RequestContext, job: Job, salt: str
) -> AsyncGenerator[RequestOutput, None]:
    outputs = state.client.generate(
        job.prompt_token_ids,
        job.params,
        request_id=f"{context.request_id}-{next(state.serial)}",
        cache_salt=salt,
        prompt=job.text,
    )
    async with aclosing(outputs):
        try:
            async for output in outputs:
                yield output
        except ValueError as error:  # a request that the engine refuses after all
            raise bad_request(str(error)) from None
