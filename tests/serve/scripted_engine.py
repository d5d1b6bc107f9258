"""An EngineClient whose outputs a test writes down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Any

from sapwood.engine.client import EngineDrainingError, Health
from sapwood.engine.outputs import CompletionOutput, RequestMetrics, RequestOutput
from sapwood.engine.process.messages import EngineStats, MemoryPlan, Ready
from sapwood.engine.sampling_params import SamplingParams

MEMORY = MemoryPlan(weights_bytes=10, arena_bytes=20, kv_bytes=4096, block_bytes=64, num_blocks=64, block_size=16)


def output(
    prompt: Sequence[int], deltas: dict[int, tuple[list[int], str | None]], *, finished: bool, cached: int = 0,
    times: RequestMetrics | None = None,
) -> RequestOutput:  # fmt: skip
    """What a step brought: text index -> (new token ids, finish reason)."""
    outputs = [CompletionOutput(i, "x" * len(ids), ids, finish_reason=reason) for i, (ids, reason) in deltas.items()]
    return RequestOutput("r", None, list(prompt), outputs, finished, num_cached_tokens=cached, metrics=times)


class ScriptedEngine:
    """`script` is called with (prompt ids, params) and gives outputs, seconds to wait, or exceptions to raise."""

    def __init__(self, script: Callable[..., Iterable[Any]] | None = None, pid: int | None = 1) -> None:
        self.script = script or (lambda prompt, params: [])
        self.pid = pid
        self.current = EngineStats()
        self.listeners: list[Callable[[EngineStats], None]] = []
        self.num_restarts = 0
        self.running = 0
        self.draining = False
        self.closed = False
        self.max_model_len = 128
        self.default_sampling_params: dict[str, object] = {}
        self.config: Any = None
        self.tokenizer: Any = None
        self.chat_template: Any = None

    @property
    def ready(self) -> Ready | None:
        if self.pid is None:
            return None
        return Ready(
            pid=self.pid, vocab_size=256, max_model_len=128, numerics_id="n", memory=MEMORY, load_seconds=0.5
        )  # fmt: skip

    def step(self, **values: Any) -> None:
        """A step of the engine ended with these statistics."""
        self.current = EngineStats(**values)
        for listener in self.listeners:
            listener(self.current)

    def add_step_listener(self, listener: Callable[[EngineStats], None]) -> None:
        self.listeners.append(listener)

    def stats(self) -> EngineStats:
        return self.current

    def num_unfinished_requests(self) -> int:
        return self.running

    def health(self) -> Health:
        return Health("draining" if self.draining else "ok")

    def check_admission(self) -> None:
        pass

    def check_prompt(self, prompt_token_ids: Sequence[int], params: SamplingParams) -> None:
        for item in self.script(prompt_token_ids, params):
            if isinstance(item, ValueError):
                raise item

    async def generate(
        self, prompt_token_ids: Sequence[int], params: SamplingParams, *, request_id: str, cache_salt: str = "",
        prompt: str | None = None,
    ) -> AsyncGenerator[RequestOutput, None]:  # fmt: skip
        if self.draining:
            raise EngineDrainingError("The server is shutting down.")
        self.running += 1
        try:
            for item in self.script(prompt_token_ids, params):
                if isinstance(item, Exception):
                    raise item
                if isinstance(item, RequestOutput):
                    yield item
                else:
                    await asyncio.sleep(item)
        finally:
            self.running -= 1

    async def wait_ended(self) -> None:
        await asyncio.Event().wait()

    async def drain(self, timeout: float) -> bool:
        self.draining = True
        end = asyncio.get_running_loop().time() + timeout
        while self.running:
            if asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(0.01)
        return True

    async def close(self) -> None:
        self.closed = True
