"""POST /v1/messages and /v1/messages/count_tokens."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import msgspec

from sapwood.engine.outputs import CompletionOutput, RequestOutput
from sapwood.models.errors import shown
from sapwood.serve import generation, sse
from sapwood.serve.anthropic.protocol import (
    ContentBlock,
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    Conversation,
    CountTokensRequest,
    InputMessage,
    Message,
    MessageDelta,
    MessagesRequest,
    MessageStart,
    MessageStop,
    Ping,
    StopDelta,
    StopReason,
    TextBlock,
    TextDelta,
    TokenCount,
    Usage,
)
from sapwood.serve.context import RequestContext, ServerState
from sapwood.serve.errors import ApiError, Family, bad_request, render
from sapwood.serve.generation import Job
from sapwood.serve.sse import EventStream

_encode = msgspec.json.Encoder().encode


def _texts(content: str | Sequence[ContentBlock], where: str) -> list[dict[str, str]]:
    """Content as text parts. Raises ApiError 400 for blocks of other kinds, naming them."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    for index, block in enumerate(content):
        if block.kind != "text":
            raise bad_request(
                f"Content blocks of type {shown(block.kind)} are not supported; allowed: 'text'.",
                f"{where}.{index}.type",
            )
    return [{"type": "text", "text": block.text} for block in content]


def _turns(messages: Sequence[InputMessage]) -> list[dict[str, Any]]:
    """Messages as chat templates know them, with turns of one role that follow each other made one."""
    turns: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        parts = _texts(message.content, f"messages.{index}.content")
        if turns and turns[-1]["role"] == message.role:
            turns[-1]["content"] += parts
        else:
            turns.append({"role": message.role, "content": parts})
    return turns


def _check_supported(request: Conversation) -> None:
    """Raise ApiError 400 for what the answer would have to honour and cannot."""
    choice = request.tool_choice
    if request.tools and (choice is None or choice.kind != "none"):
        raise bad_request("Tools are not supported yet; leave them out, or set tool_choice.type to 'none'.", "tools")
    if request.mcp_servers:
        raise bad_request("MCP servers are not supported; leave mcp_servers out.", "mcp_servers")
    if request.thinking is not None and request.thinking.kind not in ("disabled", "adaptive"):
        raise bad_request("Thinking is not supported yet; allowed: 'disabled', 'adaptive'.", "thinking.type")
    if request.output_config is not None and request.output_config.format is not None:
        raise bad_request("Structured output is not supported yet; leave it out.", "output_config.format")
    for name in ("output_format", "container"):
        if getattr(request, name, None) is not None:
            raise bad_request(f"{name} is not supported; leave it out.", name)


async def prompt_tokens(state: ServerState, request: Conversation) -> list[int]:
    """Token ids of a conversation, up to where the answer begins. Raises ApiError."""
    generation.check_model(state, request.model)
    _check_supported(request)
    turns = _turns(request.messages)
    if turns[-1]["role"] == "assistant":
        raise bad_request(
            "The last message is the assistant's; answers cannot be begun for it. Allowed: 'user'.",
            f"messages.{len(request.messages) - 1}.role",
        )
    system = _texts(request.system, "system") if request.system else []
    if system:
        turns.insert(0, {"role": "system", "content": system})
    return await generation.tokenize_chat(state, turns)


async def count_tokens(
    state: ServerState, context: RequestContext, request: CountTokensRequest, path: dict[str, Any]
) -> TokenCount:
    """How many tokens the prompt of a conversation has."""
    return TokenCount(len(await prompt_tokens(state, request)))


async def create(
    state: ServerState, context: RequestContext, request: MessagesRequest, path: dict[str, Any]
) -> Message | EventStream:
    """Answer a conversation."""
    token_ids = await prompt_tokens(state, request)
    room = generation.room_for(state, len(token_ids), "messages")
    given = {
        "max_tokens": min(request.max_tokens, room),
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "stop": request.stop_sequences,
    }
    params = generation.sampling_params(state, given, stream=bool(request.stream), aliases={"stop": "stop_sequences"})
    job = Job(token_ids, params)
    generation.check_job(state, job, "messages")
    salt = generation.cache_salt(state, context, None)
    answer = _Answer(f"msg_{context.request_id}", request.model, len(token_ids), request.max_tokens > room)
    if request.stream:
        return EventStream(_stream(state, context, job, salt, answer), _error_formatter(context))
    text = ""
    async with aclosing(generation.generate(state, context, [job], salt)) as outputs:
        async for _, output in outputs:
            text += answer.take(output)
    return answer.message([TextBlock(text=text)])


@dataclass(slots=True)
class _Answer:
    """What is known of an answer so far. cut: max_tokens was more than the context leaves."""

    id: str
    model: str
    prompt_tokens: int
    cut: bool
    output_tokens: int = 0
    cached_tokens: int = 0
    stop_reason: StopReason | None = None
    stop_sequence: str | None = None

    def take(self, output: RequestOutput) -> str:
        """Count an output; its new text."""
        self.cached_tokens = output.num_cached_tokens
        text = ""
        for completion in output.outputs:
            self.output_tokens += len(completion.token_ids)
            text += completion.text
            if completion.finish_reason is not None:
                self._stopped(completion)
        return text

    def _stopped(self, completion: CompletionOutput) -> None:
        if completion.finish_reason not in ("stop", "length"):
            raise ApiError(500, "The engine ended the request early.", code="engine_error")
        if completion.finish_reason == "length":
            self.stop_reason = "model_context_window_exceeded" if self.cut else "max_tokens"
        elif isinstance(completion.stop_reason, str):
            self.stop_reason, self.stop_sequence = "stop_sequence", completion.stop_reason
        else:
            self.stop_reason = "end_turn"

    def usage(self) -> Usage:
        cached = self.cached_tokens
        return Usage(
            input_tokens=self.prompt_tokens - cached, cache_read_input_tokens=cached, output_tokens=self.output_tokens
        )

    def message(self, content: list[TextBlock]) -> Message:
        return Message(
            id=self.id,
            model=self.model,
            content=content,
            stop_reason=self.stop_reason,
            stop_sequence=self.stop_sequence,
            usage=self.usage(),
        )


def _event(struct: msgspec.Struct) -> bytes:
    return sse.event(_encode(struct), str(struct.__struct_config__.tag))


async def _stream(
    state: ServerState, context: RequestContext, job: Job, salt: str, answer: _Answer
) -> AsyncGenerator[bytes, None]:
    started = False
    async with aclosing(generation.generate(state, context, [job], salt)) as outputs:
        async for _, output in outputs:
            frames = b""
            if not started:  # not before: the usage in it says what the cache had
                started = True
                answer.cached_tokens = output.num_cached_tokens
                frames += _event(MessageStart(answer.message([])))
                frames += _event(ContentBlockStart(0, TextBlock(text=""))) + _event(Ping())
            text = answer.take(output)
            if text:
                frames += _event(ContentBlockDelta(0, TextDelta(text)))
            if frames:
                yield frames
    assert answer.stop_reason is not None
    stop = MessageDelta(StopDelta(answer.stop_reason, answer.stop_sequence), answer.usage())
    yield _event(ContentBlockStop(0)) + _event(stop) + _event(MessageStop())


def _error_formatter(context: RequestContext):
    """Frames what ended a stream early, in Anthropic's form."""

    def format_error(error: ApiError) -> bytes:
        return sse.event(render(error, Family.ANTHROPIC, context.request_id), "error")

    return format_error
