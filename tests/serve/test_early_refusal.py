"""A server that takes no more says so before it tokenises a prompt: the work of refusing would add to the overload."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from serve_fakes import MODEL, FakeClient, make_config

from sapwood.engine.client import EngineDeadError, EngineDrainingError, EngineOverloadedError
from sapwood.serve.app import create_app

MESSAGES = [{"role": "user", "content": "hello there"}]
REQUESTS = {
    "/v1/completions": {"model": MODEL, "prompt": "hello there", "max_tokens": 4},
    "/v1/chat/completions": {"model": MODEL, "messages": MESSAGES, "max_tokens": 4},
    "/v1/messages": {"model": MODEL, "messages": MESSAGES, "max_tokens": 4},
}


async def ask(client: FakeClient, path: str, body: dict[str, Any]) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=create_app(client, make_config()))  # type: ignore[arg-type]
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return await http.post(path, json=body)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", REQUESTS)
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (EngineOverloadedError("the queue is full", 3.0), 429),
        (EngineDrainingError("the server is shutting down"), 503),
        (EngineDeadError("the engine died"), 503),
    ],
)
def test_no_prompt_is_tokenised_to_be_refused(
    monkeypatch: pytest.MonkeyPatch, path: str, error: Exception, status: int, stream: bool
) -> None:
    client = FakeClient()
    tokenized: list[Any] = []
    for name in ("encode", "encode_ordinary"):
        real = getattr(client.tokenizer, name)
        spy = lambda *args, real=real, **more: (tokenized.append(args), real(*args, **more))[1]  # noqa: E731
        monkeypatch.setattr(client.tokenizer, name, spy)
    answer = asyncio.run(ask(client, path, REQUESTS[path] | {"stream": stream}))
    assert answer.status_code == 200 and tokenized
    tokenized.clear()
    client.refusal = error
    answer = asyncio.run(ask(client, path, REQUESTS[path] | {"stream": stream}))
    if path == "/v1/messages" and status == 503:
        status = 529  # Anthropic's "overloaded"
    assert answer.status_code == status, answer.text
    assert str(error) in answer.json()["error"]["message"]
    assert not tokenized and client.num_aborted == 0
    if isinstance(error, EngineOverloadedError):
        assert answer.headers["retry-after"] == "3"


def test_counting_tokens_goes_on() -> None:
    client = FakeClient()
    client.refusal = EngineOverloadedError("the queue is full", 3.0)
    for path in ("/v1/messages/count_tokens", "/tokenize"):
        answer = asyncio.run(ask(client, path, {"model": MODEL, "messages": MESSAGES}))
        assert answer.status_code == 200, answer.text
