"""OpenAI's own client library drives every route."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from serve_fakes import MODEL, FakeClient, RunningServer, running_server

MESSAGES = [{"role": "user", "content": "Say something."}]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(FakeClient()) as found:
        yield found


@pytest.fixture
def sdk(server: RunningServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client
    assert server.client.active == {}


def test_models(sdk: openai.OpenAI) -> None:
    assert [model.id for model in sdk.models.list()] == [MODEL]
    assert sdk.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.models.retrieve("other/model")
    assert caught.value.code == "model_not_found"


def test_chat(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=8, seed=1, n=2)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.choices[0].message.content and answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content != answer.choices[1].message.content
    assert {choice.finish_reason for choice in answer.choices} == {"length"}
    assert answer.usage is not None and answer.usage.completion_tokens == 16
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 16
    assert answer.usage.prompt_tokens_details.cached_tokens == 3


def test_streamed_chat_is_the_same_text(sdk: openai.OpenAI) -> None:
    arguments = {"model": MODEL, "messages": MESSAGES, "max_tokens": 24, "seed": 5, "n": 2}
    arguments |= {"logprobs": True, "top_logprobs": 2}
    whole = sdk.chat.completions.create(**arguments)
    texts, logprobs, finish = ["", ""], [[], []], [None, None]
    usage = None
    for chunk in sdk.chat.completions.create(**arguments, stream=True, stream_options={"include_usage": True}):
        assert chunk.id.startswith("chatcmpl-") and chunk.object == "chat.completion.chunk"
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            logprobs[choice.index] += choice.logprobs.content if choice.logprobs else []
            finish[choice.index] = choice.finish_reason or finish[choice.index]
    assert texts == [choice.message.content for choice in whole.choices]
    assert logprobs == [choice.logprobs.content for choice in whole.choices]
    assert finish == [choice.finish_reason for choice in whole.choices]
    assert usage == whole.usage
    said = bytes(byte for entry in logprobs[0] for byte in entry.bytes)
    assert said.decode("utf-8", "replace") == texts[0]
    assert len(logprobs[0]) == 24 and len(logprobs[0][0].top_logprobs) == 2


def test_completions(sdk: openai.OpenAI) -> None:
    answer = sdk.completions.create(model=MODEL, prompt=["The fox", "The dog"], n=2, seed=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert answer.usage.completion_tokens == 4 * 16
    one = sdk.completions.create(model=MODEL, prompt="The dog", n=2, seed=3)
    assert [c.text for c in one.choices] == [c.text for c in answer.choices[2:]]


def test_errors_are_the_sdks_own(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        sdk.chat.completions.create(model="other", messages=MESSAGES)
    assert missing.value.code == "model_not_found" and missing.value.param == "model"
    with pytest.raises(openai.BadRequestError) as bad:
        sdk.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=-1)
    assert bad.value.param == "temperature" and bad.value.type == "invalid_request_error"
    with pytest.raises(openai.BadRequestError) as none:
        sdk.embeddings.create(model=MODEL, input="text")
    assert none.value.code == "model_has_no_embeddings"
