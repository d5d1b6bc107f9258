"""Anthropic's SDK and raw requests against /v1/messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from serve_fakes import MODEL, FakeClient, RunningServer, running_server

from sapwood.engine.client import EngineDeadError, EngineOverloadedError, Health

KEY = "key-of-the-test"
HELLO: list[Any] = [{"role": "user", "content": "hello there"}]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(FakeClient(), api_keys=(KEY,)) as running:
        yield running


@pytest.fixture
def sdk(server: RunningServer) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.url, api_key=KEY, max_retries=0) as client:
        yield client


def post(server: RunningServer, body: Any, path: str = "/v1/messages", **headers: str) -> httpx2.Response:
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"} | headers
    return httpx2.post(server.url + path, json=body, headers=headers, timeout=30)


def events(server: RunningServer, **changes: Any) -> list[dict[str, Any]]:
    """All events of a stream; the name of each must be its type."""
    body = {"model": MODEL, "max_tokens": 8, "messages": HELLO, "stream": True} | changes
    found = []
    for block in post(server, body).text.split("\n\n"):
        if block and not block.startswith(":"):
            name, data = block.split("\n")
            event = json.loads(data.removeprefix("data: "))
            assert name == f"event: {event['type']}"
            found.append(event)
    return found


def test_a_message(sdk: anthropic.Anthropic) -> None:
    message = sdk.messages.create(model=MODEL, max_tokens=8, messages=HELLO)
    assert (message.type, message.role, message.model) == ("message", "assistant", MODEL)
    assert message.id.startswith("msg_") and message._request_id == message.id.removeprefix("msg_")
    assert message.stop_reason == "max_tokens" and message.stop_sequence is None
    assert [block.type for block in message.content] == ["text"]
    usage = message.usage
    assert usage.output_tokens == 8 and usage.cache_read_input_tokens == 3
    counted = sdk.messages.count_tokens(model=MODEL, messages=HELLO).input_tokens
    assert usage.input_tokens + 3 == counted


def test_stream_and_message_agree_at_every_length(sdk: anthropic.Anthropic) -> None:
    for length in range(1, 24):
        arguments: dict[str, Any] = {"model": MODEL, "max_tokens": length, "messages": HELLO}
        whole = sdk.messages.create(**arguments)
        with sdk.messages.stream(**arguments) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        assert text == final.content[0].text == whole.content[0].text  # type: ignore[union-attr]
        for name in ("stop_reason", "stop_sequence", "role", "model"):
            assert getattr(final, name) == getattr(whole, name)
        assert final.usage.model_dump(exclude_none=True) == whole.usage.model_dump(exclude_none=True)


def test_stop_sequences_agree_too(sdk: anthropic.Anthropic) -> None:
    text = sdk.messages.create(model=MODEL, max_tokens=20, messages=HELLO).content[0].text  # type: ignore[union-attr]
    for begin in range(len(text) - 2):
        stop = text[begin : begin + 3]
        arguments: dict[str, Any] = {"model": MODEL, "max_tokens": 20, "messages": HELLO, "stop_sequences": [stop]}
        whole = sdk.messages.create(**arguments)
        assert (whole.stop_reason, whole.stop_sequence) == ("stop_sequence", stop)
        assert whole.content[0].text == text[: text.index(stop)]  # type: ignore[union-attr]
        with sdk.messages.stream(**arguments) as stream:
            final = stream.get_final_message()
        assert final.content[0].text == whole.content[0].text  # type: ignore[union-attr]
        assert (final.stop_reason, final.stop_sequence) == ("stop_sequence", stop)


def test_the_order_of_events(server: RunningServer) -> None:
    found = events(server, max_tokens=5)
    kinds = [event["type"] for event in found]
    deltas = kinds.count("content_block_delta")
    assert deltas >= 1
    assert kinds == [
        "message_start", "content_block_start", "ping", *["content_block_delta"] * deltas, "content_block_stop",
        "message_delta", "message_stop",
    ]  # fmt: skip
    start = found[0]["message"]
    assert start["content"] == [] and start["stop_reason"] is None
    assert start["usage"]["cache_read_input_tokens"] == 3 and start["usage"]["output_tokens"] == 0
    assert found[1] == {"type": "content_block_start", "index": 0,
                        "content_block": {"type": "text", "text": "", "citations": None}}  # fmt: skip
    assert found[-2]["delta"] == {"stop_reason": "max_tokens", "stop_sequence": None}
    assert found[-2]["usage"]["output_tokens"] == 5


def test_more_tokens_than_the_context_has_end_with_a_reason_of_their_own(sdk: anthropic.Anthropic) -> None:
    limit = 256  # of the fake engine
    message = sdk.messages.create(model=MODEL, max_tokens=32_000, messages=HELLO, timeout=30)
    assert message.stop_reason == "model_context_window_exceeded"
    assert message.usage.input_tokens + 3 + message.usage.output_tokens == limit


def test_system_and_blocks_and_turns_of_one_role(sdk: anthropic.Anthropic, server: RunningServer) -> None:
    def prompt(**arguments: Any) -> list[int]:
        sdk.messages.create(model=MODEL, max_tokens=1, **arguments)
        return server.client.prompts[-1]

    def block(text: str) -> Any:
        return {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}

    plain = prompt(messages=HELLO)
    assert prompt(messages=[{"role": "user", "content": [block("hello there")]}]) == plain
    assert prompt(messages=HELLO, system="") == prompt(messages=HELLO, system=[]) == plain
    with_system = prompt(messages=HELLO, system="be brief")
    assert with_system != plain and prompt(messages=HELLO, system=[block("be brief")]) == with_system
    apart = [{"role": "user", "content": "a"}, {"role": "user", "content": [block("b"), block("c")]}]
    together = [{"role": "user", "content": [block("a"), block("b"), block("c")]}]
    assert prompt(messages=apart) == prompt(messages=together)


def test_sampling_fields_reach_the_engine(sdk: anthropic.Anthropic, server: RunningServer) -> None:
    sdk.messages.create(
        model=MODEL,
        max_tokens=2,
        messages=HELLO,
        stop_sequences=["x", "yz"],
        metadata={"user_id": "somebody"},
        thinking={"type": "disabled"},
        output_config={"effort": "low"},
        tools=[],
        service_tier="auto",
        extra_body={"temperature": 0.5, "top_p": 0.9, "top_k": 7},
        extra_headers={"anthropic-beta": "something-2025-01-01"},
        extra_query={"beta": "true"},
    )
    params = server.client.params[-1]
    assert (params.temperature, params.top_p, params.top_k, params.max_tokens) == (0.5, 0.9, 7, 2)
    assert params.stop_strings == ("x", "yz")


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
REFUSED: list[tuple[dict[str, Any], int, str, str]] = [
    ({"tools": [{"name": "f", "input_schema": {"type": "object"}}]}, 400, "invalid_request_error", "Tools are not"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, 400, "invalid_request_error", "Thinking is not"),
    ({"mcp_servers": [{"type": "url"}]}, 400, "invalid_request_error", "mcp_servers"),
    ({"output_config": {"format": {"type": "json_schema"}}}, 400, "invalid_request_error", "output_config.format"),
    ({"output_format": {"type": "json_schema"}}, 400, "invalid_request_error", "output_format"),
    ({"messages": [{"role": "user", "content": [IMAGE]}]}, 400, "invalid_request_error", "messages.0.content.0.type"),
    ({"messages": [{"role": "user", "content": [{"type": "a\r\nb" * 9}]}]}, 400, "invalid_request_error", "type"),
    ({"messages": HELLO + [{"role": "assistant", "content": "I"}]}, 400, "invalid_request_error", "messages.1.role"),
    ({"messages": []}, 400, "invalid_request_error", "messages"),
    ({"messages": [{"role": "robot", "content": "x"}]}, 400, "invalid_request_error", "role"),
    ({"messages": [{"role": "user", "content": []}]}, 400, "invalid_request_error", "content"),
    ({"messages": [{"role": "user", "content": None}]}, 400, "invalid_request_error", "content"),
    ({"messages": [{"role": "user"}]}, 400, "invalid_request_error", "content"),
    ({"messages": "hello"}, 400, "invalid_request_error", "messages"),
    ({"messages": [{"role": "user", "content": "word " * 5000}]}, 400, "invalid_request_error", "at most 255"),
    ({"system": [IMAGE]}, 400, "invalid_request_error", "system.0.type"),
    ({"max_tokens": 0}, 400, "invalid_request_error", "max_tokens"),
    ({"max_tokens": 2**63}, 400, "invalid_request_error", "max_tokens"),
    ({"max_tokens": True}, 400, "invalid_request_error", "max_tokens"),
    ({"temperature": 1.5}, 400, "invalid_request_error", "temperature"),
    ({"temperature": -0.1}, 400, "invalid_request_error", "temperature"),
    ({"top_p": 0}, 400, "invalid_request_error", "top_p"),
    ({"top_k": -1}, 400, "invalid_request_error", "top_k"),
    ({"stop_sequences": [""]}, 400, "invalid_request_error", "stop_sequences"),
    ({"stop_sequences": ["x"] * 65}, 400, "invalid_request_error", "stop_sequences"),
    ({"stop_sequences": ["x" * 1025]}, 400, "invalid_request_error", "stop_sequences"),
    ({"stream": "yes"}, 400, "invalid_request_error", "stream"),
    ({"model": "another"}, 404, "not_found_error", "another"),
    ({"metadata": {"user_id": "x" * (5 << 20)}}, 413, "request_too_large", "4194304"),
]


@pytest.mark.parametrize(("changes", "status", "kind", "words"), REFUSED)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_refusals(server: RunningServer, changes: Any, status: int, kind: str, words: str, path: str) -> None:
    body = {"model": MODEL, "max_tokens": 4, "messages": HELLO} | changes
    answer = post(server, body, path)
    counted = {"max_tokens", "temperature", "top_p", "top_k", "stop_sequences", "stream"}
    if path.endswith("count_tokens") and (set(changes) <= counted or "at most" in words):
        assert answer.status_code == 200
        return
    error = answer.json()
    assert answer.status_code == status, error
    assert error["type"] == "error" and error["request_id"] == answer.headers["request-id"]
    assert error["error"]["type"] == kind and words in error["error"]["message"]
    assert not server.client.active


def test_what_is_needed(server: RunningServer) -> None:
    for name in ("model", "max_tokens", "messages"):
        body = {"model": MODEL, "max_tokens": 4, "messages": HELLO}
        del body[name]
        answer = post(server, body)
        assert answer.status_code == 400 and name in answer.json()["error"]["message"]


def test_keys(server: RunningServer) -> None:
    body = {"model": MODEL, "max_tokens": 4, "messages": HELLO}
    answer = post(server, body, **{"x-api-key": "wrong-key"})
    assert answer.status_code == 401 and answer.json()["error"]["type"] == "authentication_error"
    with (
        anthropic.Anthropic(base_url=server.url, api_key="wrong-key", max_retries=0) as other,
        pytest.raises(anthropic.AuthenticationError),
    ):
        other.messages.create(model=MODEL, max_tokens=4, messages=HELLO)
    with anthropic.Anthropic(base_url=server.url, auth_token=KEY, api_key=None, max_retries=0) as other:
        assert other.messages.create(model=MODEL, max_tokens=4, messages=HELLO).usage.output_tokens == 4


@pytest.fixture
def failing(server: RunningServer) -> Iterator[RunningServer]:
    yield server
    server.client.fail = lambda request_id, count: None
    server.client.state = Health("ok")


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (EngineOverloadedError("the queue is full", 7.0), 429, "rate_limit_error"),
        (EngineDeadError("it died"), 529, "overloaded_error"),
        (RuntimeError("secret"), 500, "api_error"),
    ],
)
def test_failures_of_the_engine(failing: RunningServer, error: Exception, status: int, kind: str) -> None:
    def fail(request_id: str, count: int) -> None:
        raise error

    failing.client.fail = fail
    for stream in (False, True):
        answer = post(failing, {"model": MODEL, "max_tokens": 4, "messages": HELLO, "stream": stream})
        assert answer.status_code == status and answer.json()["error"]["type"] == kind
        assert "secret" not in answer.text
    assert answer.headers.get("retry-after") == {429: "7", 529: "5"}.get(status)


def test_a_server_that_drains(failing: RunningServer, sdk: anthropic.Anthropic) -> None:
    failing.client.state = Health("draining")
    with pytest.raises(anthropic.InternalServerError) as caught:
        sdk.messages.create(model=MODEL, max_tokens=4, messages=HELLO)
    assert caught.value.status_code == 529
    assert caught.value.body["error"]["type"] == "overloaded_error"  # type: ignore[index]


def test_a_failure_in_the_middle_of_a_stream(failing: RunningServer, sdk: anthropic.Anthropic) -> None:
    def fail(request_id: str, count: int) -> None:
        if count == 3:
            raise EngineDeadError("The engine died.")

    failing.client.fail = fail
    found = events(failing)
    assert found[-1]["type"] == "error"
    assert found[-1]["error"] == {"type": "overloaded_error", "message": "The engine died."}
    with sdk.messages.stream(model=MODEL, max_tokens=8, messages=HELLO) as stream, pytest.raises(anthropic.APIError):
        stream.until_done()
    assert not failing.client.active
