"""Requests and answers of OpenAI's API, with the extensions that vLLM made common.

Fields that are not listed are ignored, because clients send more than a server needs. Fields of type NotSupported
would change the answer and cannot be honoured: they may be null and nothing else.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from sapwood.engine.sampling_params import (
    INT_MAX,
    MAX_LOGIT_BIAS,
    MAX_LOGPROBS,
    MAX_N,
    MAX_STOP_LENGTH,
    MAX_STOP_STRINGS,
    MAX_STOP_TOKEN_IDS,
    MAX_TEMPERATURE,
)

NotSupported = Annotated[None, Meta(description="Not supported; may be null.")]
ModelName = Annotated[str, Meta(min_length=1, max_length=256, description="A name that /v1/models lists.")]
TokenId = Annotated[int, Meta(ge=0, le=INT_MAX)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
StopString = Annotated[str, Meta(min_length=1, max_length=MAX_STOP_LENGTH)]
Bias = Annotated[float, Meta(ge=-100, le=100)]
LogprobCount = Annotated[int, Meta(ge=0, le=MAX_LOGPROBS)]


class StreamOptions(Struct, kw_only=True):
    """include_usage: a last event tells the usage. continuous_usage_stats: every event does."""

    include_usage: bool = False
    continuous_usage_stats: bool = False


class ChatTemplateKwargs(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Switches for the chat templates of models that think. A template may not look at them."""

    enable_thinking: bool | None = None
    thinking: bool | None = None

    def given(self) -> dict[str, bool]:
        """Those that are not null."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not None}


class SamplingFields(Struct, kw_only=True):
    """What both kinds of generation take. Null is the same as not given."""

    model: ModelName
    temperature: Annotated[float, Meta(ge=0, le=MAX_TEMPERATURE)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=-1, le=INT_MAX)] | None = None
    min_p: Probability | None = None
    n: Annotated[int, Meta(ge=1, le=MAX_N)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop: StopString | Annotated[list[StopString], Meta(max_length=MAX_STOP_STRINGS)] | None = None
    stop_token_ids: Annotated[list[TokenId], Meta(max_length=MAX_STOP_TOKEN_IDS)] | None = None
    include_stop_str_in_output: bool | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    logit_bias: Annotated[dict[str, Bias], Meta(max_length=MAX_LOGIT_BIAS)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    min_tokens: Annotated[int, Meta(ge=0, le=INT_MAX)] | None = None
    ignore_eos: bool | None = None
    skip_special_tokens: bool | None = None
    prompt_logprobs: LogprobCount | None = None
    cache_salt: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    user: str | None = None
    use_beam_search: bool | None = None
    bad_words: NotSupported = None
    allowed_token_ids: NotSupported = None
    structured_outputs: NotSupported = None
    guided_json: NotSupported = None
    guided_regex: NotSupported = None
    guided_choice: NotSupported = None
    guided_grammar: NotSupported = None
    truncate_prompt_tokens: NotSupported = None
    prompt_embeds: NotSupported = None


# -- chat completions ------------------------------------------------------------------------------------


class TextPart(Struct, kw_only=True, rename={"kind": "type"}):
    """A part of a message. Other kinds than text are not supported."""

    kind: Literal["text"]
    text: str


class ChatMessage(Struct, kw_only=True):
    """One message. The text of special tokens in it is ordinary text. "developer" is the same as "system"."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Annotated[list[TextPart], Meta(min_length=1, max_length=1024)]
    name: Annotated[str, Meta(max_length=256)] | None = None
    tool_calls: Annotated[list[Any], Meta(max_length=0)] | None = None
    function_call: NotSupported = None
    audio: NotSupported = None


class ResponseFormat(Struct, kw_only=True, rename={"kind": "type"}):
    """Structured output is not supported."""

    kind: Literal["text"]


class ChatCompletionRequest(SamplingFields, kw_only=True):
    """Body of POST /v1/chat/completions."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=4096)]
    max_tokens: Annotated[int, Meta(ge=1, le=INT_MAX)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1, le=INT_MAX)] | None = None
    logprobs: bool | None = None
    top_logprobs: LogprobCount | None = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[dict[str, Any]], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    modalities: list[Literal["text"]] | None = None
    add_generation_prompt: bool | None = None
    functions: NotSupported = None
    function_call: NotSupported = None
    audio: NotSupported = None
    web_search_options: NotSupported = None
    chat_template: NotSupported = None
    chat_template_kwargs: ChatTemplateKwargs | None = None


class PromptTokensDetails(Struct):
    """cached_tokens: prompt tokens that were in the prefix cache."""

    cached_tokens: int


class Usage(Struct):
    """Tokens of a request, over all its choices."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class TopLogprob(Struct):
    """logprob: natural logarithm, in the model's raw distribution; bytes: UTF-8 of the token."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class ChatLogprobs(Struct):
    content: list[TokenLogprob]
    refusal: None = None


class PromptLogprob(Struct):
    """Of one token at one position of a prompt; rank 1 is the likeliest."""

    logprob: float
    rank: int | None
    decoded_token: str | None


class AssistantMessage(Struct, kw_only=True):
    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class ChatChoice(Struct, kw_only=True):
    """stop_reason: the stop string or stop token id that ended the text."""

    index: int
    message: AssistantMessage
    logprobs: ChatLogprobs | None
    finish_reason: str
    stop_reason: int | str | None


class ChatCompletion(Struct, kw_only=True, rename={"kind": "object"}):
    """Answer of POST /v1/chat/completions."""

    id: str
    kind: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    system_fingerprint: str | None
    prompt_logprobs: list[dict[str, PromptLogprob] | None] | None


class Delta(Struct, omit_defaults=True):
    role: str | None = None
    content: str | None = None


class ChatChunkChoice(Struct):
    index: int
    delta: Delta
    logprobs: ChatLogprobs | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None


class ChatChunk(Struct, kw_only=True, rename={"kind": "object"}):
    """An event of a streamed chat completion."""

    id: str
    kind: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChatChunkChoice]
    usage: Usage | None = None
    system_fingerprint: str | None


# -- completions -----------------------------------------------------------------------------------------

_PROMPT_SCHEMA = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
        {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": INT_MAX}, "minItems": 1},
        {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "integer", "minimum": 0, "maximum": INT_MAX},
            },
        },
    ]
}


class CompletionRequest(SamplingFields, kw_only=True):
    """Body of POST /v1/completions. max_tokens may be 0 with echo: then only the prompt is scored."""

    prompt: Annotated[str | list[str | int | list[TokenId]], Meta(extra_json_schema=_PROMPT_SCHEMA)]
    max_tokens: Annotated[int, Meta(ge=0, le=INT_MAX)] | None = None
    echo: bool | None = None
    logprobs: LogprobCount | None = None
    best_of: Annotated[int, Meta(ge=1, le=MAX_N)] | None = None
    suffix: Annotated[str, Meta(max_length=0)] | None = None
    response_format: ResponseFormat | None = None


class CompletionLogprobs(Struct):
    """One entry a token. text_offset counts characters from the begin of the text."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CompletionChoice(Struct, kw_only=True):
    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    prompt_logprobs: list[dict[str, PromptLogprob] | None] | None = None


class Completion(Struct, kw_only=True, rename={"kind": "object"}):
    """Answer of POST /v1/completions, and each event of a streamed one."""

    id: str
    kind: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | None = None
    system_fingerprint: str | None


# -- models, embeddings, tokens --------------------------------------------------------------------------


class ModelCard(Struct, kw_only=True, rename={"kind": "object"}):
    """max_model_len: the context in tokens, prompt and answer together."""

    id: str
    kind: Literal["model"] = "model"
    created: int
    owned_by: str = "sapwood"
    max_model_len: int


class ModelList(Struct, kw_only=True, rename={"kind": "object"}):
    kind: Literal["list"] = "list"
    data: list[ModelCard]


class EmbeddingsRequest(Struct):
    """Body of POST /v1/embeddings, which no model here answers."""

    model: ModelName


class TokenizeRequest(Struct, kw_only=True):
    """Body of POST /tokenize: a prompt or messages. add_special_tokens is for prompts; a template brings its own."""

    model: ModelName | None = None
    prompt: str | None = None
    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=4096)] | None = None
    add_special_tokens: bool = True
    add_generation_prompt: bool = True
    chat_template_kwargs: ChatTemplateKwargs | None = None
    return_token_strs: bool = False


class TokenizeResponse(Struct):
    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None


class DetokenizeRequest(Struct, kw_only=True):
    """Body of POST /detokenize."""

    model: ModelName | None = None
    tokens: Annotated[list[TokenId], Meta(max_length=1 << 20)]


class DetokenizeResponse(Struct):
    prompt: str
