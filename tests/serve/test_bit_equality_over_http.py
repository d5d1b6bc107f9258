"""What a busy server answers has the bits of the same request alone, in process, on an empty cache.

The server is the real one: HTTP, an engine process, few slots, short steps, a small cache with shared prefixes. JSON
keeps every bit of a double.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sapwood import LLM, SamplingParams, demo_model
from sapwood.models.random_checkpoint import SHAPES, write_checkpoint

LIMITS = {"max-model-len": 256, "max-num-seqs": 12, "max-num-batched-tokens": 64, "num-kv-blocks": 60}
TEXT = "def read_lines(path):\n    with open(path) as f:\n        for line in f:\n            line = line.strip()\n"
ENDS = ("if not line:\n", "yield line", "# " + "very " * 30, "", "x")
QUESTIONS = ("What is a list?", TEXT + "What does it do?", "Why?")


class Server:
    """A server process of one model. `url` is where it answers; `log` is a file."""

    def __init__(self, directory: Path, log: Path) -> None:
        command = [sys.executable, "-c", "import sys; from sapwood.cli import main; sys.exit(main())", "serve"]
        options = [f"--{name}={value}" for name, value in LIMITS.items()]
        with open(log, "wb") as stderr:
            self.process = subprocess.Popen(
                [*command, str(directory), "--port=0", "--served-model-name=m", *options],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"http://\S+", line):
                self.url = found.group()
                return
        pytest.fail(log.read_text())

    def close(self) -> None:
        self.process.terminate()
        assert self.process.wait(60) == 0


class Case:
    """A model behind a server, requests for it, and what each of them gives alone, in process."""

    def __init__(self, directory: Path, server: Server) -> None:
        self.server = server
        self.llm = LLM(directory, max_model_len=256, enable_prefix_caching=False)
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.expected: list[list[Any]] = []
        sampled = {"temperature": 0.8, "top_p": 0.95, "top_k": 40}
        for i, end in enumerate(ENDS):
            for seed, how in enumerate(({"temperature": 0.0}, sampled, sampled)):
                self._complete(TEXT + end, {**how, "seed": seed, "max_tokens": 20 + i, "ignore_eos": True})
        for question in QUESTIONS:
            for how in ({"temperature": 0.0}, sampled):
                self._chat(question, {**how, "seed": 5, "max_tokens": 25, "ignore_eos": True})
        self._complete(TEXT, {**sampled, "seed": 11, "max_tokens": 30, "ignore_eos": True, "n": 3})
        penalties = {"repetition_penalty": 1.2, "presence_penalty": 0.5, "frequency_penalty": 0.3, "min_p": 0.01}
        penalties |= {"temperature": 0.0, "min_tokens": 20, "logit_bias": {"7": 5.0}}
        self._complete(TEXT, {**penalties, "max_tokens": 30})

    def _complete(self, prompt: str, fields: dict[str, Any]) -> None:
        (output,) = self.llm.generate(prompt, SamplingParams(logprobs=0, **fields), use_tqdm=False)
        self.requests.append(("completions", {"prompt": prompt, "logprobs": 0, **fields}))
        self.expected.append([_seen(text, 0) for text in output.outputs])

    def _chat(self, question: str, fields: dict[str, Any]) -> None:
        messages = [{"role": "user", "content": question}]
        (output,) = self.llm.chat(messages, SamplingParams(logprobs=3, **fields), use_tqdm=False)
        body = {"messages": messages, "logprobs": True, "top_logprobs": 3, **fields}
        self.requests.append(("chat/completions", body))
        self.expected.append([_seen(text, 3) for text in output.outputs])

    async def answers(self, order: list[int], concurrency: int) -> list[list[Any]]:
        """Ask for `order` with so many requests open at once, all of them streams; one by one, every other one."""
        limits = httpx2.Limits(max_connections=concurrency)
        async with httpx2.AsyncClient(base_url=self.server.url, timeout=120, limits=limits) as client:
            free = asyncio.Semaphore(concurrency)

            async def ask(place: int, number: int) -> list[Any]:
                async with free:
                    return await _ask(client, *self.requests[number], stream=concurrency > 1 or place % 2 == 0)

            return await asyncio.gather(*(ask(place, number) for place, number in enumerate(order)))


def _seen(text: Any, count: int) -> Any:
    """Text, reason, and for each token its text, its log-probability and those of the `count` likeliest."""
    places = []
    for token, place in zip(text.token_ids, text.logprobs, strict=True):
        top = sorted((p for p in place.values() if p.rank is not None and p.rank <= count), key=lambda p: p.rank)
        places.append((place[token].decoded_token, place[token].logprob, [(p.decoded_token, p.logprob) for p in top]))
    return text.text, text.finish_reason, places


async def _ask(client: Any, route: str, body: dict[str, Any], stream: bool) -> list[Any]:
    answer = await client.post(f"/v1/{route}", json={"model": "m", "stream": stream, **body})
    assert answer.status_code == 200, answer.text
    if stream:
        events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
        assert events.pop() == "[DONE]"
        chunks = [choice for event in events for choice in json.loads(event)["choices"]]
    else:
        chunks = answer.json()["choices"]
    found: dict[int, tuple[str, str | None, list[Any]]] = {}
    for chunk in chunks:
        text, reason, places = found.get(chunk["index"], ("", None, []))
        message = chunk.get("delta") or chunk.get("message") or {}
        text += chunk.get("text") or message.get("content") or ""
        logprobs = chunk.get("logprobs") or {}
        for item in logprobs.get("content") or ():
            top = [(other["token"], other["logprob"]) for other in item["top_logprobs"]]
            places.append((item["token"], item["logprob"], top))
        for token, logprob in zip(logprobs.get("tokens", ()), logprobs.get("token_logprobs", ()), strict=True):
            places.append((token, logprob, []))
        found[chunk["index"]] = (text, reason or chunk.get("finish_reason"), places)
    return [found[i] for i in sorted(found)]


@pytest.fixture(scope="module", params=["demo", "qwen3-tiny"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    home = tmp_path_factory.mktemp("served")
    directory = demo_model()
    if request.param != "demo":
        directory = write_checkpoint(home / request.param, SHAPES[request.param])
    server = Server(directory, home / "log")
    try:
        yield Case(directory, server)
        server.close()
    finally:
        server.process.kill()
        server.process.wait()


@pytest.mark.parametrize("concurrency", [1, 8, 32])
def test_the_bits_of_a_request_alone(case: Case, concurrency: int):
    order = list(range(len(case.requests))) * (1 if concurrency == 1 else 2)
    random.Random(concurrency).shuffle(order)
    found = asyncio.run(case.answers(order, concurrency))
    for number, answer in zip(order, found, strict=True):
        assert answer == case.expected[number]
        assert all(len(places) >= 20 for _, _, places in answer)


def test_the_server_was_busy(case: Case):
    """Prefixes were found in the cache, so the answers above were not all made in one way."""
    page = httpx2.get(f"{case.server.url}/metrics").text
    hits = re.search(r"^\S*prefix_cache_hits\S* (\S+)$", page, re.MULTILINE)
    assert hits is not None and float(hits.group(1)) > 0
