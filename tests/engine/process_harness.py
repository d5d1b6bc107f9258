"""An AsyncLLM for the length of a test, and the check that nothing stayed behind."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sapwood.engine.model_assets import EngineOptions
from sapwood.engine.outputs import RequestOutput
from sapwood.engine.process.async_llm import AsyncLLM
from sapwood.engine.sampling_params import SamplingParams

FAKE_WORKER = [sys.executable, str(Path(__file__).parent / "fake_worker.py")]
GREEDY = SamplingParams(temperature=0, max_tokens=8)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a test. The limit is for a test that would hang; nothing is measured."""
    asyncio.run(asyncio.wait_for(coroutine, 120))


@asynccontextmanager
async def fake_engine(model: Path, options: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[AsyncLLM]:
    """Over the runner of fake_worker.py. At the end every block must be free and every request forgotten."""
    llm = await AsyncLLM.start(
        EngineOptions(model=model, **(options or {})), worker_command=FAKE_WORKER, restart_backoff=0.01, **settings
    )
    try:
        yield llm
        await idle(llm)
    finally:
        await llm.close()


async def idle(llm: AsyncLLM) -> None:
    """Wait for the engine to say that it holds nothing; hangs, and so fails, when something leaked."""
    assert llm.num_unfinished_requests() == 0 and llm._waiters == {} and llm._num_queued_tokens == 0
    assert llm._outputs.num_texts == 0
    await eventually(lambda: llm.ready is not None)
    assert llm.ready is not None
    while True:
        stats = await fresh_stats(llm)
        if (stats.num_running, stats.num_waiting) == (0, 0):
            break
    assert stats.num_free_blocks == llm.ready.memory.num_blocks and stats.num_leaked_blocks == 0


async def fresh_stats(llm: AsyncLLM) -> Any:
    before = llm.stats()
    llm._backend.ping()
    await eventually(lambda: llm.stats() is not before)
    return llm.stats()


async def eventually(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.002)


async def collect(
    llm: AsyncLLM, tokens: list[int], params: SamplingParams = GREEDY, **more: Any
) -> list[RequestOutput]:
    name = more.pop("request_id", f"r{time.monotonic_ns()}")
    return [output async for output in llm.generate(tokens, params, request_id=name, **more)]
