"""A small application behind the real protocol, in a thread, and raw sockets to talk to it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from sapwood.serve.http_protocol import ConnectionLimits, Connections, http_class


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """/echo answers with the body's length and what it knows of the request; /early answers 413 without reading;
    /stream writes for ever; /wait answers when the client has gone."""
    assert scope["type"] == "http"
    path = scope["path"]

    async def answer(status: int, value: object) -> None:
        body = json.dumps(value).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    if path == "/early":
        await answer(413, "too large")
    elif path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.create_task(_disconnected(receive))
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)
        scope["state"]["events"].append("stream ended")
    else:
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                scope["state"]["events"].append("left while sending a body")
                return
            size += len(message["body"])
            more = message["more_body"]
        await answer(200, {"bytes": size, "path": path, "version": scope["http_version"]})


async def _disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Running:
    """port: where it listens. shared: its connections. events: what the application saw."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.shared = Connections(limits)
        self.events: list[str] = []
        self.logged: list[str] = []
        events = self.events

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope["state"] = {"events": events}
            await application(scope, receive, send)

        self.server = uvicorn.Server(
            uvicorn.Config(
                app, loop="asyncio", http=http_class(self.shared), ws="none", lifespan="off", log_config=None,
                server_header=False, access_log=False, timeout_graceful_shutdown=1,
            )
        )  # fmt: skip
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        async def main() -> None:
            def failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
                self.logged.append(repr(context))

            asyncio.get_running_loop().set_exception_handler(failed)
            await self.server.serve(sockets=[self.socket])

        asyncio.run(main())

    def connect(self, timeout: float = 20.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def ask(self, data: bytes) -> bytes:
        """Send all of `data` and read until the server closes."""
        with self.connect() as client:
            client.sendall(data)
            return read_all(client)


def read_all(client: socket.socket) -> bytes:
    parts = []
    while data := client.recv(65536):
        parts.append(data)
    return b"".join(parts)


def read_response(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One response with a content-length: status, headers (lower case), body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        if not more:
            raise ConnectionError(f"closed after {data!r}")
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += client.recv(65536)
    return int(first.split()[1]), headers, body


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Poll until `condition()` holds; the limit is for what never comes, not for a busy machine."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


@contextmanager
def running(**limits: Any) -> Iterator[Running]:
    server = Running(ConnectionLimits(**limits))
    server.thread.start()
    wait_for(lambda: server.server.started)
    try:
        yield server
    finally:
        server.server.should_exit = True
        server.thread.join(20)
    assert not server.thread.is_alive()
    assert server.logged == []
    wait_for(lambda: server.shared.active == 0 and server.shared.lingering == 0 and not server.shared.waiting)
