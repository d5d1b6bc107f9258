"""HTTP/1.1 by hand over asyncio streams, so that a test can stop anywhere in the middle of it."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from dataclasses import dataclass, field
from typing import Any


def request_bytes(path: str, body: Any = None, method: str = "POST", **headers: str) -> tuple[bytes, bytes]:
    """Head and body of a request; `body` is bytes, or becomes JSON."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"host": "localhost", "content-type": "application/json", "content-length": str(len(data))} | headers
    lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n", data


@dataclass
class Response:
    """events: those of a stream, decoded, with "[DONE]" as text; comments are left out."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    events: list[Any] = field(default_factory=list)

    @property
    def is_stream(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One socket. Every read ends in ConnectionError when the server ends it early."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, address: tuple[str, int]) -> Connection:
        return cls(*await asyncio.open_connection(*address, limit=1 << 20))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def _line(self) -> bytes:
        line = await self.reader.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("the server closed the connection")
        return line.rstrip(b"\r\n")

    async def head(self) -> Response:
        status = int((await self._line()).split()[1])
        headers = {}
        while line := await self._line():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return Response(status, headers)

    async def _exactly(self, size: int) -> bytes:
        try:
            return await self.reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("the server closed the connection") from error

    async def pieces(self, response: Response, most: int | None = None) -> bytes:
        """The body, or its first `most` chunks."""
        if response.headers.get("transfer-encoding") != "chunked":
            return await self._exactly(int(response.headers.get("content-length", "0")))
        parts: list[bytes] = []
        while most is None or len(parts) < most:
            size = int(await self._line(), 16)
            part = await self._exactly(size)
            await self._line()
            if not size:
                break
            parts.append(part)
        return b"".join(parts)

    async def response(self) -> Response:
        """A whole response; what a stream says is in `events`."""
        response = await self.head()
        response.body = await self.pieces(response)
        if response.is_stream:
            for block in response.body.decode().split("\n\n"):
                for line in block.split("\n"):
                    if line.startswith("data: "):
                        data = line.removeprefix("data: ")
                        response.events.append(data if data == "[DONE]" else json.loads(data))
        return response

    async def close(self, reset: bool = False) -> None:
        """Say goodbye, or break the connection off with a reset."""
        if reset:
            sock: socket.socket = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
        else:
            self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass
