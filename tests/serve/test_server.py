"""Start, signals, drain and end of a server process, with an engine that needs no model."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serve_fakes import MODEL

from sapwood.serve.server import RunOptions, ServerStartError, bind

SCRIPT = Path(__file__).parent / "fake_server.py"


class Process:
    def __init__(self, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), json.dumps(options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},  # the fakes are modules of the tests
        )

    def wait_ready(self) -> str:
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], 60)
        assert readable, "no address was printed"
        self.url = self.process.stdout.readline().strip()
        return self.url

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str, list[dict[str, Any]]]:
        """Exit status, the rest of stdout, and the log."""
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, [json.loads(line) for line in err.splitlines()]


@contextlib.contextmanager
def process(**options: Any) -> Iterator[Process]:
    one = Process(**options)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        for stream in (one.process.stdout, one.process.stderr):
            assert stream is not None
            stream.close()


def completion(url: str, max_tokens: int, stream: bool = False, client: Any = httpx2) -> httpx2.Response:
    body = {"model": MODEL, "prompt": "hello", "max_tokens": max_tokens, "stream": stream, "ignore_eos": True}
    return client.post(f"{url}/v1/completions", json=body, timeout=60)


def events(lines: Iterator[str]) -> Iterator[Any]:
    for line in lines:
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


def slow_stream(client: httpx2.Client, url: str, max_tokens: int) -> Any:
    body = {"model": MODEL, "prompt": "hello", "max_tokens": max_tokens, "stream": True}
    return client.stream("POST", f"{url}/v1/completions", json=body, timeout=60)


def test_it_serves_and_ends_with_status_0() -> None:
    with process() as server, httpx2.Client() as kept:
        url = server.wait_ready()
        answer = completion(url, 5, client=kept)  # its connection stays open and idle
        assert answer.status_code == 200 and answer.json()["usage"]["completion_tokens"] == 5
        assert "server" not in answer.headers
        server.signal()
        status, out, log = server.end()
        assert (status, out) == (0, "engine closed\n")
        (line,) = [one for one in log if one["logger"] == "sapwood.access"]
        assert line["status"] == 200 and line["completion_tokens"] == 5 and line["route"] == "createCompletion"
        assert line["request_id"] == answer.headers["x-request-id"]
        assert "hello" not in json.dumps(log)
        with pytest.raises(httpx2.ConnectError):
            completion(url, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_running_requests_finish_and_new_ones_are_refused(number: int) -> None:
    with process(token_delay=0.05) as server, httpx2.Client() as client:
        url = server.wait_ready()
        with slow_stream(client, url, 40) as response:
            lines = response.iter_lines()
            next(events(lines))
            server.signal(number)
            deadline = time.monotonic() + 20
            while httpx2.get(f"{url}/health").status_code == 200:
                assert time.monotonic() < deadline
            health = httpx2.get(f"{url}/health")
            assert health.status_code == 503 and health.json()["status"] == "draining"
            refused = completion(url, 5)
            assert refused.status_code == 503 and int(refused.headers["retry-after"]) > 0
            assert refused.json()["error"]["code"] == "server_draining"
            rest = list(events(lines))
            assert rest[-1]["choices"][0]["finish_reason"] == "length"
        assert server.end()[0] == 0


def test_what_outlasts_the_drain_gets_an_error() -> None:
    with process(token_delay=0.05, drain_timeout=0.3) as server, httpx2.Client() as client:
        url = server.wait_ready()
        with slow_stream(client, url, 200) as response:
            lines = response.iter_lines()
            next(events(lines))
            server.signal()
            assert [one for one in events(lines) if "error" in one]
        status, out, _ = server.end()
        assert (status, out) == (1, "engine closed\n")


def test_a_second_signal_skips_the_drain() -> None:
    with process(token_delay=0.05, drain_timeout=60) as server, httpx2.Client() as client:
        url = server.wait_ready()
        with slow_stream(client, url, 200) as response:
            lines = response.iter_lines()
            next(events(lines))
            server.signal()
            while httpx2.get(f"{url}/health").status_code == 200:
                pass
            server.signal()
            status, out, _ = server.end()  # waits at most 60 s; the request would have run 10 s and the drain 60 s
            assert (status, out) == (1, "engine closed\n")


def test_a_client_that_does_not_read_does_not_hold_up_the_end() -> None:
    with process() as server:
        url = server.wait_ready()
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as silent:
            silent.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\n")
            server.signal()
            assert server.end()[0] == 0


def test_a_signal_while_the_engine_is_loading() -> None:
    with process(load_seconds=60.0) as server:
        time.sleep(1.0)
        server.signal()
        status, out, _ = server.end()
        assert out == "" and status in (0, -signal.SIGTERM)  # the latter if Python itself was still starting


def test_an_engine_that_cannot_start_ends_the_process() -> None:
    with process(fail_start=True) as server:
        out, err = server.process.communicate(timeout=60)
        assert server.process.returncode == 1 and out == "" and "cannot start" in err


def test_an_engine_that_cannot_start_again_ends_the_process() -> None:
    """A service manager starts the server again; one that stayed would refuse every request for ever."""
    with process(give_up=True) as server:
        server.wait_ready()
        status, out, log = server.end()
        assert (status, out) == (1, "engine closed\n")
        assert any("it could not be started, 5 times" in json.dumps(line) for line in log)


def test_metrics_need_a_key_and_show_the_requests() -> None:
    key = "key-of-the-test"
    with process(config={"api_keys": [key]}) as server:
        url = server.wait_ready()
        assert httpx2.get(f"{url}/metrics").status_code == 401
        headers = {"authorization": f"Bearer {key}"}
        assert httpx2.get(f"{url}/nowhere", headers=headers).status_code == 404
        answer = httpx2.post(
            f"{url}/v1/completions", headers=headers,
            json={"model": MODEL, "prompt": "hello", "max_tokens": 7, "ignore_eos": True},
        )  # fmt: skip
        assert answer.status_code == 200
        page = httpx2.get(f"{url}/metrics", headers=headers)
        assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
        usage = answer.json()["usage"]
        for line in (
            f'sapwood:generation_tokens_total{{model_name="{MODEL}"}} {usage["completion_tokens"]:.1f}',
            f'sapwood:prompt_tokens_total{{model_name="{MODEL}"}} {usage["prompt_tokens"]:.1f}',
            'sapwood:http_requests_total{method="POST",route="createCompletion",status="200"} 1.0',
            'sapwood:http_requests_total{method="GET",route="unmatched",status="404"} 1.0',
            'sapwood:http_requests_total{method="GET",route="unmatched",status="401"} 1.0',
            f'sapwood:request_success_total{{finished_reason="length",model_name="{MODEL}"}} 1.0',
        ):
            assert line in page.text.splitlines()


def test_a_port_that_is_taken_is_known_before_the_model_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ServerStartError, match=rf"127\.0\.0\.1 port {port} cannot be bound: Address already in use; .* another"
        ):
            bind("127.0.0.1", port)
    with pytest.raises(ServerStartError, match="host 'no such host' is not known"):
        bind("no such host", 0)
    with pytest.raises(ServerStartError, match="cannot be bound"):
        bind("192.0.2.1", 0)
    with pytest.raises(ValueError, match="drain_timeout"):
        RunOptions(drain_timeout=-1)
