"""A server of the OpenAI API whose every byte a test writes; and runs of the load tool against it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

#: answers one request: (server, path, body, write) and may close the connection by raising ConnectionError
Handler = Callable[["ScriptedServer", str, Any, Callable[[bytes], Awaitable[None]]], Coroutine[Any, Any, None]]


def chunk(text: str | None = None, *, finish: str | None = None, chat: bool = False, **more: Any) -> bytes:
    """One event of a stream. text None: no choice at all."""
    choices = []
    if text is not None or finish is not None:
        inside: dict[str, Any] = {"delta": {"content": text}} if chat else {"text": text or ""}
        choices = [{"index": 0, **inside, "finish_reason": finish}]
    return b"data: " + json.dumps({"object": "chunk", "choices": choices, **more}).encode() + b"\n\n"


def usage(prompt: int, output: int, cached: int | None = None) -> dict[str, Any]:
    out: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    if cached is not None:
        out["prompt_tokens_details"] = {"cached_tokens": cached}
    return {"usage": out}


DONE = b"data: [DONE]\n\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def plain(status: int, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answer(words: list[str], prompt_tokens: int = 3, cached: int | None = None) -> bytes:
    """A whole streamed completion: a chunk a word, then usage."""
    events = [chunk(word) for word in words]
    events += [chunk("", finish="length"), chunk(**usage(prompt_tokens, len(words), cached)), DONE]
    return STREAM_HEAD + chunked(*events)


class ScriptedServer:
    """requests: what came, as (path, decoded body), in order. under_way, peak: completions being answered.
    down: whether connections are reset as soon as they are made.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.requests: list[tuple[str, Any]] = []
        self.connections = 0
        self.under_way = 0
        self.peak = 0
        self.down = False
        self.url = ""

    def completions(self) -> list[Any]:
        return [body for path, body in self.requests if path.endswith("completions")]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.down:
            writer.transport.abort()
            return

        async def write(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                path = head.split()[1]
                length = next((int(x.split(":")[1]) for x in head.split("\r\n") if x.startswith("content-length")), 0)
                body = json.loads(await reader.readexactly(length)) if length else None
                self.requests.append((path, body))
                if path == "/v1/models":
                    await write(plain(200, b'{"data": [{"id": "scripted"}]}'))
                    continue
                if path == "/tokenize":
                    await self.handler(self, path, body, write)
                    continue
                self.under_way += 1
                self.peak = max(self.peak, self.under_way)
                try:
                    await self.handler(self, path, body, write)
                finally:
                    self.under_way -= 1
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()


@asynccontextmanager
async def running(handler: Handler) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(handler)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()


async def word_tokenizer(body: Any, write: Callable[[bytes], Awaitable[None]]) -> None:
    """/tokenize in the form of vLLM: a special token, then two tokens for words of five letters or more, else one."""
    ids = [0]
    for word in body["prompt"].split():
        value = sum(map(ord, word))
        ids += [value, value + 1] if len(word) >= 5 else [value]
    await write(plain(200, json.dumps({"tokens": ids, "count": len(ids)}).encode()))
