"""An engine client without an engine, a server around it, and a socket to speak to that server in any way."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from engine_fakes import SPECIALS, TEMPLATE, make_tokenizer

from sapwood.engine.chat_template import ChatTemplate
from sapwood.engine.client import EngineDrainingError, Health
from sapwood.engine.detokenizer import Detokenizer
from sapwood.engine.outputs import CompletionOutput, Logprob, RequestOutput
from sapwood.engine.process.messages import EngineStats, MemoryPlan, Ready
from sapwood.engine.sampling_params import RequestOutputKind, SamplingParams
from sapwood.models.config import ModelConfig, RopeConfig
from sapwood.serve.app import create_app
from sapwood.serve.config import ServerConfig
from sapwood.serve.http_protocol import ConnectionLimits, Connections, http_class

MODEL = "fake-model"


class FakeClient:
    """Tokens are a pure function of prompt, seed and position. Requests that it holds are in `active`.

    token_delay: seconds before each token. fail: called as fail(request_id, number of tokens so far) before each
    token; what it raises is the engine's failure.
    """

    def __init__(self, *, max_model_len: int = 256, token_delay: float = 0.0) -> None:
        self.tokenizer = make_tokenizer()
        self.chat_template: ChatTemplate | None = ChatTemplate(TEMPLATE, bos_token="<|begin|>", eos_token="<|end|>")
        self.max_model_len = max_model_len
        self.default_sampling_params: dict[str, object] = {}
        self.token_delay = token_delay
        self.fail: Callable[[str, int], None] = lambda request_id, count: None
        self.active: dict[str, list[int]] = {}
        self.salts: list[str] = []
        self.prompts: list[list[int]] = []
        self.params: list[SamplingParams] = []
        self.num_aborted = 0
        self.refusal: Exception | None = None
        self.cached_tokens = 3
        self.state = Health("ok")
        self.num_restarts = 0
        self.ended = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.config = ModelConfig(
            architecture="LlamaForCausalLM",
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=8,
            vocab_size=self.tokenizer.vocab_size,
            max_position_embeddings=max_model_len,
            rms_norm_eps=1e-5,
            rope=RopeConfig(),
        )
        self.eos = self.tokenizer.eos_token_id

    @property
    def ready(self) -> Ready | None:
        memory = MemoryPlan(weights_bytes=1, arena_bytes=1, kv_bytes=64, block_bytes=1, num_blocks=64, block_size=4)
        return Ready(
            pid=1,
            vocab_size=self.config.vocab_size,
            max_model_len=self.max_model_len,
            numerics_id="fake",
            memory=memory,
            load_seconds=0.0,
        )

    def check_admission(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    def check_prompt(self, prompt_token_ids: Sequence[int], params: SamplingParams) -> None:
        vocab_size = self.config.vocab_size
        for token_id in prompt_token_ids:
            if not 0 <= token_id < vocab_size:
                raise ValueError(f"prompt_token_ids has {token_id}; allowed: at most {vocab_size - 1}")
        for name, ids in (("stop_token_ids", params.stop_ids), ("logit_bias", params.logit_bias or {})):
            for token_id in ids:
                if token_id >= vocab_size:
                    raise ValueError(f"{name} has {token_id}; allowed: at most {vocab_size - 1}")

    def _token(self, prompt: Sequence[int], seed: int, position: int) -> int:
        digest = hashlib.sha256(json.dumps([list(prompt), seed, position]).encode()).digest()
        ordinary = self.config.vocab_size - len(SPECIALS)
        return len(SPECIALS) + int.from_bytes(digest[:4], "big") % ordinary

    def _logprobs(self, token_id: int, count: int) -> dict[int, Logprob]:
        decode = self.tokenizer.decode
        size = self.config.vocab_size
        found = {
            (token_id + i) % size: Logprob(-0.5 * (i + 1), i + 1, decode([(token_id + i) % size], False))
            for i in range(count)
        }
        found.setdefault(token_id, Logprob(-0.5, None, decode([token_id], False)))
        return found

    async def generate(
        self,
        prompt_token_ids: Sequence[int],
        params: SamplingParams,
        *,
        request_id: str,
        cache_salt: str = "",
        prompt: str | None = None,
    ) -> AsyncGenerator[RequestOutput, None]:
        if self.state.state == "draining":
            raise EngineDrainingError("The server is shutting down.")
        ids = list(prompt_token_ids)
        self.active[request_id] = ids
        self.salts.append(cache_salt)
        self.prompts.append(ids)
        self.params.append(params)
        finished = False
        try:
            async for output in self._outputs(ids, params, request_id, prompt):
                finished = output.finished
                yield output
        finally:
            del self.active[request_id]
            self.num_aborted += not finished

    async def _outputs(
        self, ids: list[int], params: SamplingParams, request_id: str, prompt: str | None
    ) -> AsyncGenerator[RequestOutput, None]:
        texts = [_Text(self, ids, params, index) for index in range(params.n)]
        prompt_logprobs: list[dict[int, Logprob] | None] | None = None
        if params.prompt_logprobs is not None:
            prompt_logprobs = [None, *(self._logprobs(i, params.prompt_logprobs) for i in ids[1:])]
        first = True
        while any(text.finish_reason is None for text in texts):
            self.fail(request_id, max(len(text.token_ids) for text in texts))
            await self.gate.wait()
            await asyncio.sleep(self.token_delay)
            changed = [text.step() for text in texts if text.finish_reason is None]
            finished = all(text.finish_reason is not None for text in texts)
            if params.output_kind is RequestOutputKind.FINAL_ONLY:
                if not finished:
                    continue
                outputs = [text.whole() for text in texts]
            else:
                assert params.output_kind is RequestOutputKind.DELTA
                outputs = changed
            yield RequestOutput(
                request_id, prompt, ids, outputs, finished, prompt_logprobs if first else None, self.cached_tokens
            )
            first = False

    def stats(self) -> EngineStats:
        return EngineStats(num_running=len(self.active))

    def num_unfinished_requests(self) -> int:
        return len(self.active)

    def add_step_listener(self, listener: Callable[[EngineStats], None]) -> None:
        """There are no steps."""

    def health(self) -> Health:
        return self.state

    async def wait_ended(self) -> None:
        await self.ended.wait()

    async def drain(self, timeout: float) -> bool:
        self.state = Health("draining")
        return not self.active

    async def close(self) -> None:
        self.state = Health("dead")


@dataclass
class _Text:
    """One of the `n` texts of a request."""

    client: FakeClient
    prompt: list[int]
    params: SamplingParams
    index: int
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[dict[int, Logprob]] = field(default_factory=list)
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    text: str = ""

    def __post_init__(self) -> None:
        self.detokenizer = Detokenizer(
            self.client.tokenizer, prompt_token_ids=self.prompt, stop=self.params.stop_strings
        )

    def step(self) -> CompletionOutput:
        client, params = self.client, self.params
        token_id = client._token(self.prompt, (params.seed or 0) + self.index, len(self.token_ids))
        self.token_ids.append(token_id)
        if token_id in params.stop_ids:
            self.finish_reason, self.stop_reason = "stop", token_id
        elif len(self.token_ids) == (params.max_tokens or client.max_model_len - len(self.prompt)):
            self.finish_reason = "length"
        hidden = self.finish_reason == "stop"
        stop = self.detokenizer.update(None if hidden else token_id, self.finish_reason is not None)
        if stop is not None:
            self.finish_reason, self.stop_reason = "stop", stop
        if params.logprobs is not None:
            self.logprobs.append(client._logprobs(token_id, params.logprobs))
        piece = self.detokenizer.take()
        self.text += piece
        return self._output(piece, [token_id], self.logprobs[-1:])

    def whole(self) -> CompletionOutput:
        return self._output(self.text, self.token_ids, self.logprobs)

    def _output(self, text: str, token_ids: list[int], logprobs: list[dict[int, Logprob]]) -> CompletionOutput:
        return CompletionOutput(
            self.index,
            text,
            list(token_ids),
            logprobs=list(logprobs) if self.params.logprobs is not None else None,
            finish_reason=self.finish_reason,
            stop_reason=self.stop_reason,
        )


def make_config(**changes: Any) -> ServerConfig:
    return ServerConfig(**({"served_model_names": (MODEL,)} | changes))


@dataclass
class RunningServer:
    """A server in a thread of this process. `client` lives in that thread: only look at it, or use `call`."""

    port: int
    client: Any
    loop: asyncio.AbstractEventLoop
    server: uvicorn.Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function in the server's thread."""
        return asyncio.run_coroutine_threadsafe(_call(function), self.loop).result(timeout=30)

    def raw(self, data: bytes, timeout: float = 20.0, *, end: bool = False) -> bytes:
        """Send bytes and return all that comes back until the server closes. end: close our side first."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            with contextlib.suppress(OSError):  # the server may have answered and closed already
                connection.sendall(data)
                if end:
                    connection.shutdown(socket.SHUT_WR)
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while part := connection.recv(65536):
                    received += part
            return received


async def _call(function: Callable[[], Any]) -> Any:
    return function()


@contextlib.contextmanager
def running_server(client: Any, config: ServerConfig | None = None, **changes: Any) -> Iterator[RunningServer]:
    """Serve a client on a free port until the block ends.

    client: an EngineClient, or a coroutine function that starts one in the server's event loop; it is closed then.
    """
    config = config or make_config(**changes)
    listener = socket.create_server(("127.0.0.1", 0))
    running: list[RunningServer] = []

    async def serve() -> None:
        engine = await client() if callable(client) else client
        settings = uvicorn.Config(
            create_app(engine, config),
            http=http_class(Connections(ConnectionLimits())),
            ws="none",
            log_config=None,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(settings)
        running.append(RunningServer(listener.getsockname()[1], engine, asyncio.get_running_loop(), server))
        try:
            await server.serve(sockets=[listener])
        finally:
            if engine is not client:
                await engine.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        while not (running and running[0].server.started):
            thread.join(0.005)
            assert thread.is_alive(), "the server did not start"
        yield running[0]
    finally:
        if running:
            running[0].server.should_exit = True
        thread.join(30)
        listener.close()
