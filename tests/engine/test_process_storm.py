"""Many clients of every kind at once, and an engine that is killed under them: everybody gets an answer."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest
from engine_fakes import write_model
from fake_worker import KILL, RAISE
from process_harness import collect, eventually, fake_engine, idle, run

from sapwood import SamplingParams
from sapwood.engine.client import EngineDeadError, EngineError, EngineOverloadedError
from sapwood.engine.outputs import CompletionOutput, RequestOutput
from sapwood.engine.process.async_llm import AsyncLLM
from sapwood.engine.sampling_params import RequestOutputKind

seen: Counter[str] = Counter()
PROMPTS = [[5], [5, 6, 7], list(range(10, 40)), [8] * 20]


async def client(llm: AsyncLLM, rng: random.Random, number: int, answers: dict[int, list[CompletionOutput]]) -> str:
    """One request of a random kind, sent again when it was told to; what became of it."""
    which = rng.randrange(len(PROMPTS))
    kind = rng.choice(list(RequestOutputKind))
    params = SamplingParams(temperature=0, max_tokens=20, ignore_eos=True, n=rng.choice([1, 1, 3]), output_kind=kind)
    fault = [RAISE] * (rng.random() < 0.05)
    leave_after = rng.choice([None, None, None, 0, 1, 5])
    await asyncio.sleep(rng.random())
    while True:
        stream = llm.generate(PROMPTS[which] + fault, params, request_id=f"r{number}")
        outputs: list[RequestOutput] = []
        try:
            if leave_after == 0:
                await asyncio.wait_for(anext(stream), rng.random() * 0.01)
                return "left"
            async for output in stream:
                outputs.append(output)
                if len(outputs) == leave_after:
                    return "left"
                if rng.random() < 0.1:
                    await asyncio.sleep(rng.random() * 0.02)
        except (EngineOverloadedError, EngineDeadError) as error:
            seen[type(error).__name__] += 1
            await asyncio.sleep(0.01)
            continue
        except TimeoutError:
            return "left"
        except EngineError:
            return "failed" if fault else "hit by another's failure"  # a step that raises fails all that were in it
        finally:
            await stream.aclose()
        assert not fault
        check(outputs, params, answers[which][0])
        return "served"


def check(outputs: list[RequestOutput], params: SamplingParams, alone: CompletionOutput) -> None:
    """A whole answer is the one that the engine gives when it has nothing else to do."""
    assert outputs[-1].finished
    for index in range(params.n):
        parts = [text for output in outputs for text in output.outputs if text.index == index]
        if params.output_kind is RequestOutputKind.DELTA:
            ids = [token_id for part in parts for token_id in part.token_ids]
            found = dataclasses.replace(parts[-1], text="".join(p.text for p in parts), token_ids=ids)
        else:
            found = parts[-1]
        assert dataclasses.replace(found, index=0) == alone


async def storm(model: Path, seed: int, clients: int, kills: int) -> None:
    seen.clear()
    rng = random.Random(seed)
    options = {"max_num_seqs": 8, "num_kv_blocks": 24, "max_num_batched_tokens": 32}
    async with fake_engine(model, options, max_num_queued_reqs=clients // 2) as llm:
        params = SamplingParams(temperature=0, max_tokens=20, ignore_eos=True)
        answers = {i: (await collect(llm, prompt, params))[-1].outputs for i, prompt in enumerate(PROMPTS)}
        tasks = [asyncio.create_task(client(llm, random.Random(rng.random()), i, answers)) for i in range(clients)]
        for _ in range(kills):
            await asyncio.sleep(0.2 + rng.random() * 0.5)
            await eventually(lambda: llm.ready is not None)
            before, by_request = llm.num_restarts, rng.random() < 0.5
            if llm.ready is not None and not by_request:
                os.kill(llm.ready.pid, signal.SIGKILL)
            while llm.num_restarts == before:
                if by_request:  # it may be refused, or fail with a step of others: then again
                    with pytest.raises(EngineError):
                        await collect(llm, [5, KILL])
                await asyncio.sleep(0.01)
        ended = Counter(await asyncio.gather(*tasks))
        assert ended["served"] > clients / 4 and ended["hit by another's failure"] < clients / 4, ended
        assert seen["EngineDeadError"] > 0 and llm.num_restarts == kills
        await idle(llm)


def test_everybody_gets_an_answer(tmp_path: Path) -> None:
    run(storm(write_model(tmp_path / "m"), seed=1, clients=150, kills=1))


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(10))
def test_everybody_gets_an_answer_again_and_again(tmp_path: Path, seed: int) -> None:
    run(storm(write_model(tmp_path / "m"), seed=seed, clients=500, kills=3))
