"""How long a request, a body and a silence may take."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncGenerator

import pytest
from app_harness import post_head, raises, serving
from hostile import CHAT, chat
from http_harness import wait_for
from serve_fakes import MODEL
from starlette.types import Message

from sapwood.engine.client import EngineDeadError
from sapwood.serve.sse import EventStream, EventWriter


def test_requests_that_take_too_long() -> None:
    with serving(request_timeout=0.3) as (server, http):
        server.call(server.client.gate.clear)
        response = http.post(CHAT, json=chat(MODEL))
        assert response.status_code == 408 and response.json()["error"]["type"] == "timeout_error"
        response = http.post(CHAT, json=chat(MODEL, stream=True))
        assert response.status_code == 408
        server.call(server.client.gate.set)
        server.client.token_delay = 0.02
        response = http.post(CHAT, json=chat(MODEL, stream=True, max_tokens=200))
        assert response.status_code == 200 and "[DONE]" not in response.text
        assert json.loads(response.text.split("\n\n")[-2].removeprefix("data: "))["error"]["code"] == "request_timeout"
        wait_for(lambda: not server.client.active)


def test_silence_is_filled_with_comments() -> None:
    with serving(keep_alive_interval=0.05) as (server, http):
        server.call(server.client.gate.clear)
        with http.stream("POST", CHAT, json=chat(MODEL, stream=True)) as response:
            assert response.status_code == 200  # it has begun, although no token has come
            lines = response.iter_lines()
            assert [next(lines) for _ in range(4)] == [": keep-alive", "", ": keep-alive", ""]
            server.client.fail = raises(EngineDeadError("The engine died."), at=2)
            server.call(server.client.gate.set)
            rest = "\n".join(lines)
        assert '"role":"assistant"' in rest and "The engine died." in rest


def test_a_comment_that_was_not_sent_begins_no_answer() -> None:
    """The client has not read its last answer yet; then the events end with an error, which gets its own status."""

    async def main() -> None:
        waits = asyncio.Event()

        async def send(message: Message) -> None:
            waits.set()
            await asyncio.Event().wait()

        async def events() -> AsyncGenerator[bytes, None]:
            await waits.wait()
            raise EngineDeadError("The engine died.")
            yield b""

        writer = EventWriter(send, keep_alive_interval=0.001)
        with pytest.raises(EngineDeadError):
            await writer.run(EventStream(events(), lambda error: b""))
        assert not writer.started

    asyncio.run(main())


def test_a_body_that_comes_slowly() -> None:
    with serving(body_timeout=0.3) as (server, _):
        answer = server.raw(post_head(99) + b"{")
        assert answer.startswith(b"HTTP/1.1 408 ") and b'"body_timeout"' in answer


def test_the_time_in_which_the_body_came_counts() -> None:
    body = json.dumps(chat(MODEL)).encode()
    with serving(request_timeout=0.5) as (server, _):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
            client.sendall(post_head(len(body)) + body[:10])
            time.sleep(0.6)
            client.sendall(body[10:])
            assert client.recv(65536).startswith(b"HTTP/1.1 408 ")
