"""A server over a fake engine with a client, for tests of what every request meets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from hostile import CHAT
from serve_fakes import FakeClient, RunningServer, running_server


@contextmanager
def serving(**changes: Any) -> Iterator[tuple[RunningServer, httpx2.Client]]:
    delay = changes.pop("token_delay", 0.0)
    with running_server(FakeClient(token_delay=delay), **changes) as server:
        with httpx2.Client(base_url=server.url, timeout=30, trust_env=False) as http:
            yield server, http


def post_head(length: int, path: str = CHAT) -> bytes:
    """The head of a request whose body has so many bytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}"
    return head.encode() + b"\r\n\r\n"


def raises(error: Exception, at: int = 0) -> Callable[[str, int], None]:
    def fail(request_id: str, count: int) -> None:
        if count >= at:
            raise error

    return fail
