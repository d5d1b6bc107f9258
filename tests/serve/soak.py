"""Mixed load against a real server: every API, streams and not, clients that leave anywhere, bad input, overload, and
the death of the engine. What a client sees is checked as it comes; what the server keeps, at the end.

Greedy answers are compared with those of a quiet server, so that a request that got another's tokens, lost one, or was
computed differently in company is found.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from raw_client import Connection, Response, request_bytes
from real_server import MODEL, RealServer, parse_metrics, resident_mb

SECRET = "zebra-secret"
MAX_MODEL_LEN = 256
ARGUMENTS = (
    "--max-num-seqs", "8", "--max-queued-requests", "16", "--max-model-len", str(MAX_MODEL_LEN), "--num-kv-blocks",
    "24", "--max-num-batched-tokens", "64", "--max-body", "256K", "--request-timeout", "60",
)  # fmt: skip
"""Few blocks and a small step: preemption, chunks and waiting happen all the time."""

HANG_SECONDS = 120.0
ANTHROPIC_END = {"message_stop", "error"}


@dataclass(frozen=True)
class Question:
    """A greedy request in one of the APIs, and the answer of a quiet server: text, completion tokens."""

    path: str
    body: dict[str, Any]


@dataclass
class Answer:
    text: str
    tokens: int
    prompt_tokens: int


@dataclass
class Sample:
    at: float
    server_mb: float
    engine_mb: float
    metrics: dict[Any, float]


@dataclass
class Soak:
    """One run. outcomes: what clients saw, by action and result. lost: requests that the killed engine took along."""

    server: RealServer
    seconds: float
    seed: int
    num_clients: int = 16
    kill_at: float = 0.3  # of the time
    outcomes: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    tokens_seen: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.questions = [self._question() for _ in range(24)]
        self.answers: list[Answer] = []
        self.killed_at = float("inf")
        self.recovered_at = float("inf")
        self.actions: list[tuple[float, Callable[[random.Random], Awaitable[str]]]] = [
            (40, self.ask),
            (20, self.leave),
            (10, self.bad_input),
            (6, self.look),
            (5, self.many_texts),
            (4, self.pipeline),
            (4, self.slow_reader),
            (2, self.burst),
        ]

    # -- requests ----------------------------------------------------------------------------------------

    def _prompt(self) -> str:
        rng = self.rng
        beginning = rng.choice(["def add(a, b):\n", "class Tree:\n    ", f"# {SECRET}\n" * rng.randrange(1, 6)])
        return beginning + " ".join(
            rng.choice(["x", "return", "self.y", "import os", "\u00e9\U0001f600"]) for _ in range(rng.randrange(1, 30))
        )

    def _question(self) -> Question:
        rng, prompt = self.rng, self._prompt()
        length = rng.choice([1, 2, 8, 30, 60])
        messages = [{"role": "user", "content": prompt}]
        kind = rng.randrange(3)
        body: dict[str, Any] = {"model": MODEL, "max_tokens": length, "temperature": 0}
        if kind == 0:
            return Question("/v1/completions", body | {"prompt": prompt, "ignore_eos": rng.random() < 0.5})
        if kind == 1:
            return Question("/v1/chat/completions", body | {"messages": messages})
        return Question("/v1/messages", body | {"messages": messages})

    async def _request(self, path: str, body: Any, method: str = "POST") -> Response:
        connection = await Connection.open(self.server.address)
        try:
            head, data = request_bytes(path, body, method)
            await connection.send(head + data)
            return await connection.response()
        finally:
            await connection.close()

    def _lost(self, started: float) -> bool:
        """Whether a request that began then may have been the killed engine's, or found none."""
        return started < self.recovered_at and time.monotonic() > self.killed_at

    def _fail(self, message: str) -> str:
        self.failures.append(f"{message} (at {time.monotonic() - self.began:.1f} s of {self.seconds:g})")
        return "FAILED"

    def _refused(self, response: Response, started: float) -> str | None:
        """What became of a request that was not answered with 200, when that may be; None when it was."""
        if response.status == 429:
            if int(response.headers.get("retry-after", "0")) < 1:
                return self._fail("429 without Retry-After")
            return "queue full"
        if response.status in (503, 529) and self._lost(started):
            return "no engine"
        if response.status != 200:
            return self._fail(f"status {response.status}: {response.body[:300]!r}")
        return None

    def _read_answer(self, path: str, response: Response) -> Answer | None:
        """Text and tokens of a complete answer; None for a stream that ended in an error."""
        if not response.is_stream:
            body = response.json()
            if path == "/v1/messages":
                usage = body["usage"]
                prompt = usage["input_tokens"] + usage["cache_read_input_tokens"]
                return Answer(body["content"][0]["text"], usage["output_tokens"], prompt)
            choice = body["choices"][0]
            text = choice["message"]["content"] if "message" in choice else choice["text"]
            return Answer(text, body["usage"]["completion_tokens"], body["usage"]["prompt_tokens"])
        events = response.events
        if path == "/v1/messages":
            if events[-1]["type"] == "error":
                return None
            assert events[-1]["type"] == "message_stop", events[-1]
            text = "".join(e["delta"]["text"] for e in events if e["type"] == "content_block_delta")
            usage = events[-2]["usage"]
            prompt = usage["input_tokens"] + usage["cache_read_input_tokens"]
            return Answer(text, usage["output_tokens"], prompt)
        if "error" in events[-1]:
            return None
        assert events[-1] == "[DONE]", events[-1]
        choices = [e["choices"][0] for e in events[:-1] if e["choices"]]
        text = "".join((c["delta"].get("content") or "") if "delta" in c else c["text"] for c in choices)
        usage = events[-2]["usage"]
        return Answer(text, usage["completion_tokens"], usage["prompt_tokens"])

    @staticmethod
    def _streamed(question: Question) -> dict[str, Any]:
        extra = {} if question.path == "/v1/messages" else {"stream_options": {"include_usage": True}}
        return question.body | {"stream": True} | extra

    # -- actions: each returns a word for what happened -----------------------------------------------------

    async def ask(self, rng: random.Random) -> str:
        """A request that its client waits for, greedy or not."""
        number = rng.randrange(len(self.questions))
        question = self.questions[number]
        body = self._streamed(question) if rng.random() < 0.6 else dict(question.body)
        greedy = rng.random() < 0.7
        if not greedy:
            body["temperature"] = round(rng.uniform(0.1, 1.0), 2)
        started = time.monotonic()
        try:
            response = await self._request(question.path, body)
        except ConnectionError as error:
            return self._fail(f"{question.path}: {error}")
        refused = self._refused(response, started)
        if refused is not None:
            return refused
        answer = self._read_answer(question.path, response)
        if answer is None:
            return "lost" if self._lost(started) else self._fail(f"a stream ended in {response.events[-1]}")
        self.tokens_seen += answer.tokens
        if greedy and answer != self.answers[number]:
            return self._fail(f"{question} was answered with {answer}, alone with {self.answers[number]}")
        return "answered"

    async def leave(self, rng: random.Random) -> str:
        """A client that goes away: while it sends, while it waits, or in the middle of the answer."""
        question = rng.choice(self.questions)
        stage = rng.choice(["connected", "head", "body", "waiting", "waiting a while", "first chunk", "some chunks"])
        body = self._streamed(question) | {"max_tokens": rng.choice([50, 100])}
        if rng.random() < 0.3 and "chunk" not in stage:
            body["stream"] = False
            body.pop("stream_options", None)
        head, data = request_bytes(question.path, body)
        connection = await Connection.open(self.server.address)
        try:
            if stage == "head":
                await connection.send(head[: rng.randrange(1, len(head))])
            elif stage == "body":
                await connection.send(head + data[: rng.randrange(len(data))])
            elif stage != "connected":
                await connection.send(head + data)
            if stage == "waiting a while":
                await asyncio.sleep(rng.random())
            elif stage.endswith(("chunk", "chunks")):
                response = await connection.head()
                if response.status == 200:
                    await connection.pieces(response, 1 if stage == "first chunk" else rng.randrange(2, 12))
        except ConnectionError:
            return self._fail(f"the server left first: {stage}")
        finally:
            await connection.close(reset=rng.random() < 0.5)
        return f"left: {stage}"

    async def bad_input(self, rng: random.Random) -> str:
        """Something that must be refused with a 4xx (529 where Anthropic has that), in the API's own form."""
        good = {"model": MODEL, "prompt": "x", "max_tokens": 2}
        chat = {"model": MODEL, "messages": [{"role": "user", "content": "x"}], "max_tokens": 2}
        path, body, method = rng.choice([
            ("/v1/completions", b"{", "POST"),
            ("/v1/completions", b"\xff\xfe", "POST"),
            ("/v1/completions", b"[" * 100_000, "POST"),
            ("/v1/completions", b"x" * (300 << 10), "POST"),
            ("/v1/completions", good | {"max_tokens": -1}, "POST"),
            ("/v1/completions", good | {"n": 10**9}, "POST"),
            ("/v1/completions", good | {"prompt": []}, "POST"),
            ("/v1/completions", good | {"prompt": [2**31 - 1]}, "POST"),
            ("/v1/completions", good | {"prompt": "word " * 2000}, "POST"),
            ("/v1/completions", good | {"max_tokens": MAX_MODEL_LEN}, "POST"),
            ("/v1/completions", good | {"logit_bias": {"999999": 1}}, "POST"),
            ("/v1/completions", good | {"stop": [""]}, "POST"),
            ("/v1/completions", good | {"model": f"{SECRET}\r\nforged"}, "POST"),
            ("/v1/chat/completions", chat | {"temperature": "hot"}, "POST"),
            ("/v1/chat/completions", chat | {"messages": []}, "POST"),
            ("/v1/chat/completions", chat | {"tools": [{"type": "function"}]}, "POST"),
            ("/v1/messages", chat | {"max_tokens": 0}, "POST"),
            ("/v1/messages", chat | {"thinking": {"type": "enabled"}}, "POST"),
            ("/v1/messages", chat | {"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "POST"),
            ("/v1/embeddings", {"model": MODEL, "input": "x"}, "POST"),
            ("/v1/completions", None, "GET"),
            (f"/{SECRET}", None, "GET"),
            ("/v1/models/none", None, "GET"),
        ])  # fmt: skip
        started = time.monotonic()
        response = await self._request(path, body, method)
        # Whether the engine takes anything is looked at before the request is.
        busy = response.status == 529 and path.startswith("/v1/messages")
        if not 400 <= response.status < 500 and not busy and not (response.status == 503 and self._lost(started)):
            return self._fail(f"{method} {path} {str(body)[:100]}: status {response.status}")
        error = response.json()["error"]
        if not error["message"] or ("type" in response.json()) != path.startswith("/v1/messages"):
            return self._fail(f"{path}: {response.body!r}")
        return f"refused: {response.status}"

    async def look(self, rng: random.Random) -> str:
        """The cheap routes."""
        text = {"model": MODEL, "prompt": f"{SECRET} x"}
        chat = {"model": MODEL, "messages": [{"role": "user", "content": SECRET}]}
        path, body = rng.choice([
            ("/health", None), ("/v1/models", None), ("/openapi.json", None), ("/metrics", None), ("/tokenize", text),
            ("/detokenize", {"model": MODEL, "tokens": [1, 2, 3]}), ("/v1/messages/count_tokens", chat),
        ])  # fmt: skip
        started = time.monotonic()
        response = await self._request(path, body, "GET" if body is None else "POST")
        if response.status == 503 and path == "/health" and self._lost(started):
            return "health says no"
        return "shown" if response.status == 200 else self._fail(f"{path}: status {response.status}")

    async def many_texts(self, rng: random.Random) -> str:
        """Several prompts, several texts each, with log-probabilities: all come, each with its own index."""
        prompts, n = ["import os\n", f"# {SECRET}\n"], rng.choice([1, 2, 3])
        body = {"model": MODEL, "prompt": prompts, "n": n, "max_tokens": 6, "logprobs": 2, "ignore_eos": True,
                "seed": rng.randrange(100), "repetition_penalty": 1.1, "stream": rng.random() < 0.5}  # fmt: skip
        started = time.monotonic()
        response = await self._request("/v1/completions", body)
        refused = self._refused(response, started)
        if refused is not None:
            return refused
        if response.is_stream:
            if "error" in response.events[-1]:
                return "lost" if self._lost(started) else self._fail(f"a stream ended in {response.events[-1]}")
            choices = [c for event in response.events[:-1] for c in event["choices"]]
        else:
            choices = response.json()["choices"]
        ended = sorted(c["index"] for c in choices if c["finish_reason"])
        tokens = sum(len(c["logprobs"]["tokens"]) for c in choices if c["logprobs"])
        self.tokens_seen += tokens
        if ended != list(range(2 * n)) or tokens != 6 * 2 * n:
            return self._fail(f"of {2 * n} texts {ended} ended, with {tokens} tokens")
        return "answered"

    async def pipeline(self, rng: random.Random) -> str:
        """Three requests in one piece; three answers in their order."""
        number = rng.randrange(len(self.questions))
        question = self.questions[number]
        parts = [request_bytes("/v1/models", None, "GET"), request_bytes(question.path, question.body),
                 request_bytes("/v1/models/none", None, "GET")]  # fmt: skip
        started = time.monotonic()
        connection = await Connection.open(self.server.address)
        try:
            await connection.send(b"".join(head + data for head, data in parts))
            first, second, third = [await connection.response() for _ in range(3)]
        except ConnectionError as error:
            return self._fail(f"pipelined {question.path}: {error}")
        finally:
            await connection.close()
        if (first.status, third.status) != (200, 404):
            return self._fail(f"pipelined: statuses {first.status}, {second.status}, {third.status}")
        refused = self._refused(second, started)
        if refused is None and self._read_answer(question.path, second) != self.answers[number]:
            return self._fail(f"pipelined: {question} was answered with {second.body!r}")
        return refused or "answered"

    async def slow_reader(self, rng: random.Random) -> str:
        """A client that waits before it reads its stream; it gets all of it."""
        number = rng.randrange(len(self.questions))
        question = self.questions[number]
        head, data = request_bytes(question.path, self._streamed(question))
        started = time.monotonic()
        connection = await Connection.open(self.server.address)
        try:
            await connection.send(head + data)
            await asyncio.sleep(rng.uniform(0.5, 2.0))
            response = await connection.response()
        except ConnectionError as error:
            return self._fail(f"slow reader of {question.path}: {error}")
        finally:
            await connection.close()
        refused = self._refused(response, started)
        if refused is not None:
            return refused
        answer = self._read_answer(question.path, response)
        if answer is None:
            return "lost" if self._lost(started) else self._fail(f"a stream ended in {response.events[-1]}")
        return "answered" if answer == self.answers[number] else self._fail(f"{question}: {answer}")

    async def burst(self, rng: random.Random) -> str:
        """Twice as many at once as may run and wait; each is answered or refused."""
        results = Counter(await asyncio.gather(*(self.ask(random.Random(rng.random())) for _ in range(48))))
        self.outcomes.update({f"burst: {word}": count for word, count in results.items()})
        return "burst"

    # -- the run -----------------------------------------------------------------------------------------

    async def learn(self) -> None:
        """The answers of a quiet server, streamed and whole."""
        for question in self.questions:
            found = []
            for body in (question.body, self._streamed(question)):
                response = await self._request(question.path, body)
                assert response.status == 200, response
                found.append(self._read_answer(question.path, response))
            assert found[0] is not None and found[0] == found[1], (question, found)
            self.answers.append(found[0])

    async def _client(self, number: int) -> None:
        rng = random.Random(f"{self.seed}/{number}")
        weights = [weight for weight, _ in self.actions]
        while time.monotonic() < self.began + self.seconds:
            _, action = rng.choices(self.actions, weights)[0]
            name = action.__name__  # type: ignore[attr-defined]
            try:
                async with asyncio.timeout(HANG_SECONDS):
                    outcome = await action(rng)
            except TimeoutError:
                outcome = self._fail(f"{name} got no answer within {HANG_SECONDS:g} s")
            except Exception as error:
                outcome = self._fail(f"{name}: {type(error).__name__}: {error}")
            self.outcomes[f"{name}: {outcome}"] += 1
            await asyncio.sleep(rng.random() * 0.05)

    async def _kill_engine(self) -> None:
        await asyncio.sleep(self.seconds * self.kill_at)
        (pid,) = self.server.engine_pids()
        self.killed_at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        while True:
            await asyncio.sleep(0.05)
            if pid in self.server.engine_pids():
                continue
            response = await self._request("/health", None, "GET")
            if response.status == 200:
                break
            if time.monotonic() - self.killed_at > HANG_SECONDS:
                self._fail(f"the engine did not come back: {response.body!r}")
                return
        await asyncio.sleep(0.2)  # for what was refused just before to be read
        self.recovered_at = time.monotonic()

    async def sample(self) -> Sample:
        page = await self._request("/metrics", None, "GET")
        engines = self.server.engine_pids()
        engine = resident_mb(engines[0]) if engines else 0.0
        return Sample(time.monotonic(), resident_mb(self.server.pid), engine, parse_metrics(page.body.decode()))

    async def _watch(self) -> None:
        while True:
            self.samples.append(await self.sample())
            await asyncio.sleep(1.0)

    async def run(self) -> None:
        """Load for `seconds`. All failures are collected in `failures`."""
        self.began = time.monotonic()
        await self.learn()
        self.before = await self.sample()
        self.began = time.monotonic()
        watcher = asyncio.create_task(self._watch())
        killer = asyncio.create_task(self._kill_engine())
        await asyncio.gather(*(self._client(number) for number in range(self.num_clients)))
        await killer
        watcher.cancel()
        await asyncio.wait([watcher])

    def report(self) -> str:
        lines = [f"{count:7d} {name}" for name, count in sorted(self.outcomes.items())]
        for name in ("server_mb", "engine_mb"):
            sizes = [getattr(sample, name) for sample in self.samples]
            lines.append(f"{name}: {sizes[0]:.0f} at first, {sizes[-1]:.0f} at last, at most {max(sizes):.0f}")
        return "\n".join(lines)

    def totals(self) -> dict[str, float]:
        """What changed between the first and the last look, summed over labels."""
        found: Counter[str] = Counter()
        for sample, sign in ((self.samples[-1], 1), (self.before, -1)):
            for (name, _), value in sample.metrics.items():
                found[name] += sign * value
        return dict(found)
