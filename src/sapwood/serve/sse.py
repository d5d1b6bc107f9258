"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), with comments in silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from starlette.types import Send

from sapwood.serve.errors import ApiError

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
HEADERS: list[tuple[bytes, bytes]] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back otherwise
]


def event(data: bytes, name: str | None = None) -> bytes:
    """One event. `data` is JSON, so that it has no line break."""
    return b"data: " + data + b"\n\n" if name is None else b"event: %s\ndata: %s\n\n" % (name.encode(), data)


@dataclass(frozen=True, slots=True)
class EventStream:
    """An answer in events. `events` yields framed bytes; `format_error` frames what ended them early."""

    events: AsyncGenerator[bytes, None]
    format_error: Callable[[ApiError], bytes]


class EventWriter:
    """Sends an EventStream. The response starts with the first event, so that what fails before it gets its status.

    In silence of keep_alive_interval seconds a comment is sent, which starts the response too.
    """

    def __init__(self, send: Send, keep_alive_interval: float) -> None:
        self._send = send
        self._interval = keep_alive_interval
        self._lock = asyncio.Lock()
        self._last = 0.0
        self.started = False

    async def _write(self, data: bytes) -> None:
        async with self._lock:
            if not self.started:
                await self._send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
                self.started = True  # not before: a comment may be cancelled while it waits for a slow client
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
            self._last = asyncio.get_running_loop().time()

    async def _keep_alive(self) -> None:
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        while True:
            due = self._last + self._interval - loop.time()
            if due > 0:
                await asyncio.sleep(due)
            elif self._lock.locked():  # the client reads slowly: it is not silence that is missing
                await asyncio.sleep(self._interval)
            else:
                await self._write(KEEP_ALIVE)

    async def run(self, stream: EventStream) -> None:
        """Send all events. Raises what `events` raises; then call `fail` to tell the client, if `started`."""
        keeper = asyncio.ensure_future(self._keep_alive())
        try:
            async with aclosing(stream.events) as events:
                async for data in events:
                    await self._write(data)
        finally:
            keeper.cancel()
        await self._end()

    async def fail(self, data: bytes) -> None:
        """The last event of a response that started well."""
        await self._write(data)
        await self._end()

    async def _end(self) -> None:
        async with self._lock:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
