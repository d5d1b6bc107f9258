"""Whatever is sent, the answer is an error in the API's own form, and nobody else notices."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx2
import pytest
from hostile import CHAT, CONTEXT, chat, hostile_requests, problem
from serve_fakes import MODEL, FakeClient, RunningServer, running_server

REQUESTS = hostile_requests(MODEL)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(FakeClient(max_model_len=CONTEXT)) as found:
        yield found


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        yield client


def stream_events(http: httpx2.Client) -> list[str]:
    """The events of a stream, but for what names the request."""
    body = chat(MODEL, seed=7, max_tokens=20, stream=True)
    with http.stream("POST", CHAT, json=body) as response:
        lines = list(response.iter_lines())
    assert lines[-2:] == ["data: [DONE]", ""]
    return [line.partition('"choices"')[2] for line in lines]


@pytest.fixture
def bystander(server: RunningServer, http: httpx2.Client) -> Iterator[None]:
    """Checks that a stream that was open all the time is whole, and that nothing is left when it has ended."""
    expected = stream_events(http)
    server.call(server.client.gate.clear)
    found: list[list[str]] = []
    thread = threading.Thread(target=lambda: found.append(stream_events(http)))
    thread.start()
    while not server.client.active:
        assert thread.is_alive()
    held = dict(server.client.active)
    yield
    assert server.client.active == held
    server.call(server.client.gate.set)
    thread.join(30)
    assert found == [expected]
    while server.client.active:
        pass


@pytest.mark.parametrize("kind", REQUESTS)
def test_hostile_requests(http: httpx2.Client, bystander: None, kind: str) -> None:
    found = [
        problem(hostile, http.request("POST", hostile.path, content=hostile.data(), headers=hostile.headers))
        for hostile in REQUESTS[kind]
    ]
    assert [text for text in found if text] == []
