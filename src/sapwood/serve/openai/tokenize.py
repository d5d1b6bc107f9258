"""POST /tokenize and /detokenize, as vLLM has them."""

from __future__ import annotations

from functools import partial
from typing import Any

from sapwood.serve import generation
from sapwood.serve.context import RequestContext, ServerState
from sapwood.serve.errors import bad_request
from sapwood.serve.openai.chat import plain_messages
from sapwood.serve.openai.protocol import DetokenizeRequest, DetokenizeResponse, TokenizeRequest, TokenizeResponse


async def tokenize(
    state: ServerState, context: RequestContext, request: TokenizeRequest, path: dict[str, Any]
) -> TokenizeResponse:
    """Token ids of a text or a conversation, however long."""
    if request.model is not None:
        generation.check_model(state, request.model)
    if (request.prompt is None) == (request.messages is None):
        raise bad_request("Give either prompt or messages.", "prompt")
    if request.messages is not None:
        tokens = await generation.tokenize_chat(
            state,
            plain_messages(request.messages),
            add_generation_prompt=request.add_generation_prompt,
            options=request.chat_template_kwargs and request.chat_template_kwargs.given(),
        )
    else:
        tokens = await generation.tokenize_text(
            state, request.prompt or "", add_special_tokens=request.add_special_tokens
        )
    strings = None
    if request.return_token_strs:
        decode = state.client.tokenizer.decode
        strings = await generation.in_thread(
            state, len(tokens), lambda: [decode([token], skip_special_tokens=False) for token in tokens]
        )
    return TokenizeResponse(len(tokens), state.client.max_model_len, tokens, strings)


async def detokenize(
    state: ServerState, context: RequestContext, request: DetokenizeRequest, path: dict[str, Any]
) -> DetokenizeResponse:
    """Text of token ids. Raises ApiError 400 for ids that the tokenizer does not know."""
    if request.model is not None:
        generation.check_model(state, request.model)
    tokenizer = state.client.tokenizer
    if request.tokens and max(request.tokens) >= tokenizer.vocab_size:
        raise bad_request(
            f"tokens has {max(request.tokens)}; allowed: at most {tokenizer.vocab_size - 1}, the last token id.",
            "tokens",
        )
    call = partial(tokenizer.decode, request.tokens, skip_special_tokens=False)
    try:
        return DetokenizeResponse(await generation.in_thread(state, len(request.tokens), call))
    except ValueError as error:
        raise bad_request(str(error), "tokens") from None
