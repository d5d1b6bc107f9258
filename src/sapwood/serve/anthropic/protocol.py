"""Requests, answers and events of Anthropic's Messages API (https://docs.claude.com/en/api/messages).

Fields that are not listed are ignored. What would change the answer and cannot be honoured (tools, thinking, images)
is named in the error. Where JSON Schema is narrower than the type that is decoded, the handler makes that error, so
that it can say what is missing instead of which type was expected.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from sapwood.engine.sampling_params import INT_MAX, MAX_STOP_LENGTH, MAX_STOP_STRINGS

ModelName = Annotated[str, Meta(min_length=1, max_length=256, description="A name that /v1/models lists.")]
StopString = Annotated[str, Meta(min_length=1, max_length=MAX_STOP_LENGTH)]

_ONLY_TEXT = Meta(max_length=64, extra_json_schema={"enum": ["text"]})
_MAY_BE_NONE = Meta(max_length=64, extra_json_schema={"enum": ["disabled", "adaptive"]})
_NONE_OF_THEM = Meta(max_length=1024, extra_json_schema={"maxItems": 0})
_ONLY_NULL = Meta(extra_json_schema={"enum": [None]})


class ContentBlock(Struct, kw_only=True, rename={"kind": "type"}):
    """A block of text; other kinds are not supported. cache_control is ignored: every prefix is cached."""

    kind: Annotated[str, _ONLY_TEXT]
    text: str = ""
    cache_control: Any = None


class InputMessage(Struct, kw_only=True):
    """A turn. Turns of one role that follow each other are one."""

    role: Literal["user", "assistant", "system"]
    content: str | Annotated[list[ContentBlock], Meta(min_length=1, max_length=1024)]


class Thinking(Struct, kw_only=True, rename={"kind": "type"}):
    """ "adaptive" leaves it to the model how much to think; it does not."""

    kind: Annotated[str, _MAY_BE_NONE]


class OutputConfig(Struct, kw_only=True):
    """format, structured output, is not supported; effort is ignored."""

    format: Annotated[Any, _ONLY_NULL] = None


class ToolChoice(Struct, kw_only=True, rename={"kind": "type"}):
    kind: Annotated[str, Meta(max_length=64)]


class Metadata(Struct, kw_only=True):
    user_id: Annotated[str, Meta(max_length=512)] | None = None


class Conversation(Struct, kw_only=True):
    """What a prompt is made of."""

    model: ModelName
    messages: Annotated[list[InputMessage], Meta(min_length=1, max_length=4096)]
    system: str | Annotated[list[ContentBlock], Meta(max_length=1024)] | None = None
    tools: Annotated[list[Any], _NONE_OF_THEM] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    mcp_servers: Annotated[list[Any], _NONE_OF_THEM] | None = None
    output_format: Annotated[Any, _ONLY_NULL] = None
    output_config: OutputConfig | None = None


class MessagesRequest(Conversation, kw_only=True):
    """Body of POST /v1/messages. max_tokens is cut to what the context leaves, and the stop reason then says so."""

    max_tokens: Annotated[int, Meta(ge=1, le=INT_MAX)]
    stop_sequences: Annotated[list[StopString], Meta(max_length=MAX_STOP_STRINGS)] | None = None
    stream: bool | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0, le=INT_MAX)] | None = None
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    container: Annotated[Any, _ONLY_NULL] = None


class CountTokensRequest(Conversation, kw_only=True):
    """Body of POST /v1/messages/count_tokens."""


class TokenCount(Struct):
    input_tokens: int


StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "model_context_window_exceeded"]


class Usage(Struct, kw_only=True):
    """Tokens. The prompt is the sum of the three input fields; those that were read from the cache cost little."""

    input_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int
    output_tokens: int


class TextBlock(Struct, kw_only=True, rename={"kind": "type"}):
    kind: Literal["text"] = "text"
    text: str
    citations: None = None


class Message(Struct, kw_only=True, rename={"kind": "type"}):
    """Answer of POST /v1/messages. stop_sequence: the one that ended it."""

    id: str
    kind: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[TextBlock]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: Usage


# -- events, in the order in which they come --------------------------------------------------------------


class MessageStart(Struct, tag_field="type", tag="message_start"):
    message: Message


class ContentBlockStart(Struct, tag_field="type", tag="content_block_start"):
    index: int
    content_block: TextBlock


class Ping(Struct, tag_field="type", tag="ping"):
    pass


class TextDelta(Struct, tag_field="type", tag="text_delta"):
    text: str


class ContentBlockDelta(Struct, tag_field="type", tag="content_block_delta"):
    index: int
    delta: TextDelta


class ContentBlockStop(Struct, tag_field="type", tag="content_block_stop"):
    index: int


class StopDelta(Struct):
    stop_reason: StopReason
    stop_sequence: str | None


class MessageDelta(Struct, tag_field="type", tag="message_delta"):
    delta: StopDelta
    usage: Usage


class MessageStop(Struct, tag_field="type", tag="message_stop"):
    pass


#: what the data of an event may be
Event = MessageStart | ContentBlockStart | Ping | ContentBlockDelta | ContentBlockStop | MessageDelta | MessageStop
