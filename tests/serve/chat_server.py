"""A server for the chat page whose answers a test writes: real HTTP, real event streams, no model, no waiting."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

from sapwood.serve.pages import CONTENT_SECURITY_POLICY

STATIC = Path(str(files("sapwood.serve").joinpath("static")))
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def static_files() -> dict[str, bytes]:
    """The files of the page by name."""
    return {path.name: path.read_bytes() for path in sorted(STATIC.iterdir())}


@dataclass
class Answer:
    """What one request for a completion gets.

    hold_after: pieces sent before the stream waits for `release`; None never waits. lose: break the connection
    instead of ending the stream. event: a last event in place of the end, as an error. finish: "" ends the stream, in
    good order, before the answer is complete.
    """

    pieces: Sequence[str] = ("Hello ", "there.")
    status: int = 200
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hold_after: int | None = None
    lose: bool = False
    event: dict[str, Any] | None = None
    finish: str = "stop"
    cached: int = 0
    release: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)  # the client closed the connection


class ChatServer:
    """Serves at `url`. `answers` are used up in order, then `Answer()`; `requests` are the bodies that came."""

    def __init__(self, key: str = "", model: str = "mock") -> None:
        self.answers: deque[Answer] = deque()
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.key = key
        self.models = [{"id": model, "max_model_len": 4096}]
        server = self
        pages = static_files()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                server.paths.append(self.path)
                path = self.path.split("?")[0]
                name = path.removeprefix("/") or "index.html"
                if path == "/v1/models":
                    if server._authorised(self):
                        server._json(self, 200, {"object": "list", "data": server.models})
                elif name in pages:
                    kind = f"{TYPES[Path(name).suffix]}; charset=utf-8"
                    policy = {"content-security-policy": CONTENT_SECURITY_POLICY}
                    server._send(self, 200, pages[name], {"content-type": kind} | policy)
                else:
                    server._json(self, 404, {"error": {"message": "not found"}})

            def do_POST(self) -> None:
                server.paths.append(self.path)
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if not server._authorised(self):
                    return
                server.requests.append(body)
                answer = server.answers.popleft() if server.answers else Answer()
                try:
                    server._complete(self, answer, body)
                except OSError:
                    self.close_connection = True
                    answer.left.set()

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _send(self, to: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
        to.send_response(status)
        for name, value in (headers | {"content-length": str(len(body))}).items():
            to.send_header(name, value)
        to.end_headers()
        to.wfile.write(body)

    def _json(self, to: BaseHTTPRequestHandler, status: int, body: object, **headers: str) -> None:
        self._send(to, status, json.dumps(body).encode(), {"content-type": "application/json"} | headers)

    def _authorised(self, to: BaseHTTPRequestHandler) -> bool:
        if not self.key or to.headers.get("authorization") == f"Bearer {self.key}":
            return True
        self._json(to, 401, {"error": {"message": "Incorrect API key provided.", "code": "invalid_api_key"}})
        return False

    def _complete(self, to: BaseHTTPRequestHandler, answer: Answer, body: dict[str, Any]) -> None:
        if answer.status != 200:
            self._json(to, answer.status, {"error": {"message": answer.message}}, **answer.headers)
            return
        to.send_response(200)
        to.send_header("content-type", "text/event-stream")
        to.send_header("transfer-encoding", "chunked")
        to.end_headers()

        def write(data: bytes) -> None:
            to.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

        def event(**fields: object) -> None:
            chunk = {"id": "c", "object": "chat.completion.chunk", "model": body["model"], **fields}
            write(b"data: %s\n\n" % json.dumps(chunk).encode())

        def delta(finish: str | None = None, **fields: str) -> None:
            event(choices=[{"index": 0, "delta": fields, "finish_reason": finish}], usage=None)

        delta(role="assistant", content="")
        write(b": keep-alive\n\n")
        for i, piece in enumerate(answer.pieces):
            if i == answer.hold_after:
                self._hold(to, answer)
            delta(content=piece)
        if answer.hold_after is not None and answer.hold_after >= len(answer.pieces):
            self._hold(to, answer)
        if answer.lose:
            to.close_connection = True
            to.connection.shutdown(socket.SHUT_RDWR)
            return
        if answer.event is not None:
            event(**answer.event)
        elif answer.finish:
            delta(finish=answer.finish)
            tokens = len(answer.pieces)
            usage = {"prompt_tokens": 20, "completion_tokens": tokens, "total_tokens": 20 + tokens}
            usage["prompt_tokens_details"] = {"cached_tokens": answer.cached}  # type: ignore[assignment]
            event(choices=[], usage=usage)
            write(b"data: [DONE]\n\n")
        to.wfile.write(b"0\r\n\r\n")

    def _hold(self, to: BaseHTTPRequestHandler, answer: Answer) -> None:
        while not answer.release.wait(0.01):
            readable, _, _ = select.select([to.connection], [], [], 0)
            if readable and not to.connection.recv(1, socket.MSG_PEEK):  # nothing to read is the end
                raise ConnectionResetError
