"""`sapwood serve` with the demo model: what processes do to each other, and what is there when it says it is ready."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from real_server import MODEL, RealServer, gone, real_server, resident_mb


@pytest.fixture
def server() -> Iterator[RealServer]:
    with real_server("--max-num-seqs", "8", "--num-kv-blocks", "512") as running:
        yield running


def completion(server: RealServer, **changes: Any) -> httpx2.Response:
    body = {"model": MODEL, "prompt": "def add(a, b):", "max_tokens": 8, "temperature": 0} | changes
    return httpx2.post(f"{server.url}/v1/completions", json=body, timeout=100)


class Stream(threading.Thread):
    """A stream that is read in a thread: `begun` is set with its first event."""

    def __init__(self, server: RealServer, **changes: Any) -> None:
        super().__init__(daemon=True)
        self.server, self.changes = server, changes
        self.begun = threading.Event()
        self.events: list[Any] = []
        self.start()

    def run(self) -> None:
        body = {"model": MODEL, "prompt": "x", "max_tokens": 900, "ignore_eos": True, "stream": True} | self.changes
        with (
            contextlib.suppress(httpx2.TransportError),  # the server may be killed
            httpx2.stream("POST", f"{self.server.url}/v1/completions", json=body, timeout=100) as response,
        ):
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    self.events.append(json.loads(line.removeprefix("data: ")))
                    self.begun.set()

    def wait_begun(self) -> None:
        assert self.begun.wait(100)

    def wait_ended(self) -> None:
        self.join(100)
        assert not self.is_alive()


def test_a_process_that_serves(server: RealServer) -> None:
    """One server, so that it is started once: small, quick to end, and the same text by every API."""
    (engine,) = server.engine_pids()
    loaded = Path(f"/proc/{server.pid}/maps").read_text()
    assert "numpy" not in loaded and "llvm" not in loaded
    assert resident_mb(server.pid) < 60
    assert any(line.startswith("KV cache") and "512 blocks of 16 tokens" in line for line in server.printed)

    text = completion(server).json()["choices"][0]["text"]
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        chunks = client.completions.create(
            model=MODEL, prompt="def add(a, b):", max_tokens=8, temperature=0, stream=True
        )
        assert "".join(chunk.choices[0].text for chunk in chunks) == text
        hello: list[Any] = [{"role": "user", "content": "hello"}]
        chat = client.chat.completions.create(model=MODEL, messages=hello, max_tokens=8, temperature=0)
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        message = client.messages.create(model=MODEL, messages=hello, max_tokens=8, extra_body={"temperature": 0})
        counted = client.messages.count_tokens(model=MODEL, messages=hello)
    assert message.content[0].text == chat.choices[0].message.content  # type: ignore[union-attr]
    assert chat.usage is not None and counted.input_tokens == chat.usage.prompt_tokens

    # The engine is killed while it computes: its requests get an error, the next ones another engine.
    stream = Stream(server)
    stream.wait_begun()
    os.kill(engine, signal.SIGKILL)
    stream.wait_ended()
    assert stream.events[-1]["error"]["code"] == "engine_dead"
    end = time.monotonic() + 100
    while (answer := completion(server)).status_code == 503:
        assert int(answer.headers["retry-after"]) > 0
        assert time.monotonic() < end
        time.sleep(0.1)
    assert answer.status_code == 200 and answer.json()["choices"][0]["text"] == text
    (second,) = server.engine_pids()
    assert second != engine
    assert server.metric("engine_restarts_total") == 1
    assert server.metric("request_success_total", finished_reason="error") == 1

    # SIGTERM in the middle of a stream: it ends by itself.
    stream = Stream(server, max_tokens=300)
    stream.wait_begun()
    assert server.terminate() == 0
    stream.wait_ended()
    assert stream.events[-1]["choices"][0]["finish_reason"] == "length"
    assert gone(second)


def test_the_engine_does_not_outlive_a_server_that_is_killed(server: RealServer) -> None:
    (engine,) = server.engine_pids()
    stream = Stream(server)
    stream.wait_begun()
    server.process.kill()
    assert gone(engine)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_model_is_loading_leaves_nothing(number: int) -> None:
    server = RealServer()
    try:
        end = time.monotonic() + 100
        while not server.engine_pids():
            assert time.monotonic() < end and server.process.poll() is None
            time.sleep(0.005)
        (engine,) = server.engine_pids()
        server.process.send_signal(number)
        assert server.process.wait(100) == 0
        assert gone(engine)
        assert "is served" not in "".join(server.printed)
    finally:
        server.process.kill()
        server.log_file.close()


@pytest.mark.nightly
def test_nothing_is_compiled_after_it_is_ready(tmp_path: Path) -> None:
    """With an empty cache: what a first request of any kind needs is there when the address is printed."""

    def entries() -> set[Path]:
        return {path for path in tmp_path.rglob("*") if path.is_file()}

    with real_server(environment={"SAPWOOD_CACHE_DIR": str(tmp_path)}) as server:
        compiled = entries()
        assert compiled
        for changes in (
            {}, {"max_tokens": 1}, {"temperature": 1.0}, {"top_p": 0.5, "top_k": 3, "min_p": 0.1, "temperature": 0.7},
            {"logprobs": 3}, {"prompt_logprobs": 2}, {"n": 4, "temperature": 1.0}, {"min_tokens": 3},
            {"repetition_penalty": 1.2, "presence_penalty": 0.5, "frequency_penalty": 0.5, "logit_bias": {"3": 1}},
            {"prompt": "x " * 400}, {"prompt": ["a", "b c", "d " * 50]},
        ):  # fmt: skip
            assert completion(server, **changes).status_code == 200
        assert entries() == compiled
