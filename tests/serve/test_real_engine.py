"""The server with a real engine behind it: an engine process that runs the demo model."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hostile import CHAT, COMPLETIONS, CONTEXT, chat, completion, hostile_requests, problem
from http_harness import wait_for
from serve_fakes import MODEL, RunningServer, running_server

from sapwood.engine.llm import LLM
from sapwood.engine.model_assets import EngineOptions
from sapwood.engine.process.async_llm import AsyncLLM
from sapwood.engine.sampling_params import SamplingParams
from sapwood.models.hub import demo_model

REQUESTS = hostile_requests(MODEL)


async def start() -> AsyncLLM:
    options = EngineOptions(
        model=demo_model(), max_model_len=CONTEXT, max_num_seqs=8, num_kv_blocks=128, max_num_batched_tokens=256
    )
    return await AsyncLLM.start(options, restart_backoff=0.05)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(start) as found:
        yield found


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=60, trust_env=False) as client:
        yield client


def wait_until_idle(server: RunningServer) -> None:
    """Nothing runs, nothing waits, and every block is free: what was there before the first request."""
    total = server.client.ready.memory.num_blocks

    def idle() -> bool:
        stats = server.client.stats()
        counts = (stats.num_running, stats.num_waiting, server.client.num_unfinished_requests())
        return counts == (0, 0, 0) and stats.kv_cache_usage == 0 and stats.num_free_blocks >= total - 1

    wait_for(idle)
    assert server.client.stats().num_leaked_blocks == 0
    assert server.client.stats().num_step_errors == 0


class Neighbour(threading.Thread):
    """Asks the same all the time; `answers` are what it got."""

    def __init__(self, http: httpx2.Client) -> None:
        super().__init__()
        self._http = http
        self.body = completion(MODEL, prompt="import os\n", max_tokens=40, temperature=0, stream=True)
        self.answers: list[list[str]] = []
        self.ended = threading.Event()

    def ask(self) -> list[str]:
        with self._http.stream("POST", COMPLETIONS, json=self.body) as response:
            return [line.partition('"choices"')[2] for line in response.iter_lines()]

    def run(self) -> None:
        while not self.ended.is_set():
            self.answers.append(self.ask())

    def text(self, answer: list[str]) -> str:
        events = [json.loads('{"choices"' + line) for line in answer if line]
        return "".join(choice["text"] for event in events for choice in event["choices"])


# What is refused before the engine hears of it is left to the tests with a fake engine, and to the nightly run.
@pytest.mark.parametrize(
    "kind", [k if k in ("string", "prompt") else pytest.param(k, marks=pytest.mark.nightly) for k in REQUESTS]
)
def test_hostile_requests(server: RunningServer, http: httpx2.Client, kind: str) -> None:
    neighbour = Neighbour(http)
    expected = neighbour.text(neighbour.ask())
    assert len(expected) > 40
    neighbour.start()
    found = [
        problem(hostile, http.request("POST", hostile.path, content=hostile.data(), headers=hostile.headers))
        for hostile in REQUESTS[kind]
    ]
    neighbour.ended.set()
    neighbour.join()
    assert [text for text in found if text] == []
    assert neighbour.answers and {neighbour.text(answer) for answer in neighbour.answers} == {expected}
    wait_until_idle(server)


def test_a_chat_says_what_the_bare_engine_says(http: httpx2.Client) -> None:
    llm = LLM(demo_model(), max_model_len=CONTEXT)
    messages = [{"role": "user", "content": "Write a loop."}]
    expected = llm.chat(messages, SamplingParams(temperature=0, max_tokens=20), use_tqdm=False)[0]
    body = chat(MODEL, messages=messages, temperature=0, max_tokens=20)
    answer = http.post(CHAT, json=body).json()
    assert answer["choices"][0]["message"]["content"] == expected.outputs[0].text
    assert answer["usage"]["prompt_tokens"] == len(expected.prompt_token_ids)
    again = http.post(CHAT, json=body).json()
    assert again["choices"] == answer["choices"]


def test_cached_tokens_are_told(http: httpx2.Client) -> None:
    body = completion(MODEL, prompt="x = 1\n" * 40, temperature=0)
    first, second = (http.post(COMPLETIONS, json=body).json() for _ in range(2))
    assert first["choices"] == second["choices"]
    cached = second["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert 0 < cached < second["usage"]["prompt_tokens"]


def test_features_reach_the_engine(http: httpx2.Client) -> None:
    def text(**changes: Any) -> str:
        body = completion(MODEL, prompt="import os\n", temperature=0, max_tokens=12) | changes
        response = http.post(COMPLETIONS, json=body)
        assert response.status_code == 200, response.text
        return response.json()["choices"][0]["text"]

    plain = text()
    token = http.post("/tokenize", json={"prompt": "import os\n" + plain, "add_special_tokens": False}).json()["tokens"]
    assert text(logit_bias={str(token[-1]): 100}) != plain
    assert text(stop=[plain[3:6]]) == plain[: plain.index(plain[3:6])]
    assert text(repetition_penalty=5.0) != plain
    assert text(temperature=1, seed=1, n=2) == text(temperature=1, seed=1)
    assert text(temperature=1, seed=1, min_p=1.0) == plain
    body = completion(MODEL, prompt="import os\n", echo=True, logprobs=2, max_tokens=0)
    scored = http.post(COMPLETIONS, json=body).json()["choices"][0]["logprobs"]
    assert scored["token_logprobs"][0] is None and all(value < 0 for value in scored["token_logprobs"][1:])


def test_clients_that_leave_free_everything(server: RunningServer) -> None:
    body = json.dumps(completion(MODEL, max_tokens=200, ignore_eos=True, stream=True, n=2)).encode()
    head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    connections = []
    for _ in range(20):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        connection.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        connections.append(connection)
    wait_for(lambda: server.client.stats().num_running > 0)
    connections[0].recv(1000)
    for connection in connections:
        connection.close()
    wait_until_idle(server)


def test_a_full_queue_is_refused_at_once() -> None:
    async def start_small() -> AsyncLLM:
        options = EngineOptions(model=demo_model(), max_model_len=CONTEXT, max_num_seqs=1, num_kv_blocks=32)
        return await AsyncLLM.start(options, max_num_queued_reqs=1)

    with running_server(start_small) as server, httpx2.Client(base_url=server.url, timeout=60) as http:
        answers: list[httpx2.Response] = []

        def ask(stream: bool) -> None:
            body = completion(MODEL, max_tokens=200, ignore_eos=True, stream=stream)
            answers.append(http.post(COMPLETIONS, json=body))

        threads = [threading.Thread(target=ask, args=(i % 2 == 0,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = [answer for answer in answers if answer.status_code != 200]
        assert refused and len(answers) - len(refused) >= 2
        for answer in refused:
            assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1
            assert answer.json()["error"]["code"] == "engine_overloaded"
        wait_until_idle(server)


def test_an_engine_that_is_killed() -> None:
    """Its own requests get an error; the server says that it is down, and serves again."""


    async def start_long() -> AsyncLLM:
        return await AsyncLLM.start(EngineOptions(model=demo_model(), max_num_seqs=8), restart_backoff=0.05)

    with running_server(start_long) as server, httpx2.Client(base_url=server.url, timeout=60) as http:
        expected = http.post(COMPLETIONS, json=completion(MODEL, temperature=0)).json()["choices"]
        body = completion(MODEL, max_tokens=900, ignore_eos=True, stream=True)
        statuses: list[int] = []

        def wait_for_the_whole() -> None:
            statuses.append(http.post(COMPLETIONS, json=body | {"stream": False, "n": 8}).status_code)

        whole = threading.Thread(target=wait_for_the_whole)
        with http.stream("POST", COMPLETIONS, json=body) as response:
            lines = response.iter_lines()
            next(lines)
            os.kill(server.client.ready.pid, signal.SIGSTOP)  # or the answer could be whole before the kill
            whole.start()
            wait_for(lambda: server.client.num_unfinished_requests() == 2)
            os.kill(server.client.ready.pid, signal.SIGKILL)
            events = [line for line in lines if line]
        whole.join()
        error = json.loads(events[-1].removeprefix("data: "))["error"]
        assert error["type"] == "service_unavailable_error" and error["code"] == "engine_dead"
        assert statuses == [503]
        down = http.post(COMPLETIONS, json=completion(MODEL))
        assert down.status_code in (200, 503)  # it may be back already
        wait_for(lambda: http.get("/health").status_code == 200)
        again = http.post(COMPLETIONS, json=completion(MODEL, temperature=0)).json()["choices"]
        assert again == expected
        assert server.client.num_restarts == 1
