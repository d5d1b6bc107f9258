"""AsyncLLM: what clients get, what is refused, and that nothing stays behind however they leave."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from engine_fakes import write_model
from fake_worker import RAISE, SLOW
from process_harness import FAKE_WORKER, GREEDY, collect, eventually, fake_engine, fresh_stats, idle, run

from sapwood import LLM, SamplingParams, demo_model
from sapwood.engine.client import EngineDrainingError, EngineError, EngineOverloadedError
from sapwood.engine.model_assets import EngineOptions
from sapwood.engine.process.async_llm import AsyncLLM
from sapwood.engine.process.messages import Refused
from sapwood.engine.sampling_params import RequestOutputKind
from sapwood.engine.scheduler import DuplicateRequestError, RequestTooLargeError

DELTA, FINAL_ONLY = RequestOutputKind.DELTA, RequestOutputKind.FINAL_ONLY
LONG = SamplingParams(temperature=0, max_tokens=25, ignore_eos=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


def test_texts_are_those_of_the_offline_engine() -> None:
    llm = LLM(demo_model(), max_model_len=256)
    prompts = ["def read_lines(path):\n", "import os", "# " + "very " * 30]
    common = {"max_tokens": 16, "logprobs": 2, "stop": ["\n\n", "return"]}
    params = [SamplingParams(temperature=0, **common), SamplingParams(temperature=0.9, seed=5, n=3, **common)]
    expected = [llm.generate(prompts, p, use_tqdm=False) for p in params]

    async def main() -> None:
        engine = await AsyncLLM.start(EngineOptions(model=demo_model(), max_model_len=256))
        try:
            kinds = [dataclasses.replace(p, output_kind=k) for p in params for k in RequestOutputKind]
            tasks = [collect(engine, llm.tokenizer.encode(p), k, request_id=f"{i}-{p}") for i, k in enumerate(kinds)
                     for p in prompts]  # fmt: skip
            found = await asyncio.gather(*tasks)
        finally:
            await engine.close()
        for i, outputs in enumerate(found):
            kind, want = kinds[i // 3].output_kind, expected[i // 9][i % 3]
            assert outputs[-1].finished and outputs[-1].prompt_token_ids == want.prompt_token_ids
            for text in want.outputs:
                parts = [c for o in outputs for c in o.outputs if c.index == text.index]
                if kind is DELTA:
                    assert "".join(p.text for p in parts) == text.text
                    assert [t for p in parts for t in p.token_ids] == text.token_ids
                    assert [e for p in parts for e in p.logprobs or []] == text.logprobs
                else:
                    assert dataclasses.replace(parts[-1]) == text
                assert (parts[-1].finish_reason, parts[-1].stop_reason) == (text.finish_reason, text.stop_reason)

    run(main())


def test_the_front_end_imports_neither_numpy_nor_a_compiler(model: Path) -> None:
    code = f"""
import asyncio, sys
from sapwood.engine.model_assets import EngineOptions
from sapwood.engine.process.async_llm import AsyncLLM
from sapwood.engine.sampling_params import SamplingParams
async def main():
    llm = await AsyncLLM.start(EngineOptions(model={str(model)!r}), worker_command={FAKE_WORKER!r})
    async for output in llm.generate([5, 6], SamplingParams(max_tokens=3, logprobs=1), request_id="a"):
        pass
    await llm.close()
    print(len(output.outputs[0].token_ids), {{"numpy", "llvmlite"}} & {{*sys.modules}})
asyncio.run(main())
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == "3 set()\n"


def test_what_can_never_run_is_refused_at_once(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model) as llm:
            for tokens, params, kind, text in (
                ([], GREEDY, ValueError, "empty"),
                ([5, 10**6], GREEDY, ValueError, "1000000"),
                ([5] * 64, GREEDY, RequestTooLargeError, "64"),
                ([5], SamplingParams(stop_token_ids=[10**6]), ValueError, "stop_token_ids"),
                ([5], SamplingParams(logit_bias={10**6: 1}), ValueError, "logit_bias"),
            ):
                with pytest.raises(kind, match=text):
                    llm.check_prompt(tokens, params)
                with pytest.raises(kind, match=text):
                    await collect(llm, tokens, params)
            llm.check_prompt([5] * 63, GREEDY)
            (first,) = (await collect(llm, [5] * 63))[-1].outputs
            assert len(first.token_ids) == 1 and first.finish_reason == "length"

    run(main())


def test_what_only_the_engine_refuses_reaches_the_request(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model) as llm:
            llm._limits = dataclasses.replace(llm._limits, max_model_len=10**6, vocab_size=10**6)
            with pytest.raises(RequestTooLargeError, match="64"):
                await collect(llm, [5] * 64)
            with pytest.raises(ValueError, match="399999"):
                await collect(llm, [399999])
            assert len((await collect(llm, [5]))[-1].outputs[0].token_ids) == 8

    run(main())


def test_what_the_engine_fails_to_queue_is_its_own_fault(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model) as llm:
            task = asyncio.ensure_future(collect(llm, [5]))
            while not llm._waiters:
                await asyncio.sleep(0)
            (waiter,) = llm._waiters.values()
            llm._receive(Refused(waiter.state.texts[0].text_id, "failed", "the engine failed to queue it (E)"))
            with pytest.raises(EngineError, match="failed to queue"):
                await task

    run(main())


def test_one_id_is_one_request_at_a_time(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model) as llm:
            first = llm.generate([5, SLOW], LONG, request_id="same")
            await anext(first)
            with pytest.raises(DuplicateRequestError, match="same"):
                await collect(llm, [5], request_id="same")
            await first.aclose()
            again = await collect(llm, [7], request_id="same")  # late tokens of the first are not mistaken for its own
            assert again[-1].outputs[0] == (await collect(llm, [7]))[-1].outputs[0]

    run(main())


def test_a_failed_step_fails_its_requests_and_no_others(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model) as llm:
            with pytest.raises(EngineError, match="RuntimeError") as found:
                await collect(llm, [5, RAISE])
            assert type(found.value) is EngineError and llm.num_restarts == 0 and llm.health().ok
            assert (await collect(llm, [5]))[-1].finished
            assert (await fresh_stats(llm)).num_step_errors == 1

    run(main())


def test_whoever_leaves_frees_everything(model: Path) -> None:
    async def never_began(llm: AsyncLLM) -> None:
        await llm.generate([5], LONG, request_id="a").aclose()
        assert llm.num_unfinished_requests() == 0

    async def before_the_first_step(llm: AsyncLLM) -> None:
        task = asyncio.ensure_future(anext(llm.generate([5], LONG, request_id="a")))
        await asyncio.sleep(0)
        assert llm.num_unfinished_requests() == 1
        await cancelled(task)

    async def while_queued(llm: AsyncLLM) -> None:
        others = [llm.generate([6, SLOW], LONG, request_id=f"b{i}") for i in range(2)]
        await asyncio.gather(*map(anext, others))
        task = asyncio.ensure_future(anext(llm.generate([5], LONG, request_id="a")))
        await eventually(lambda: llm.stats().num_waiting == 1)
        await cancelled(task)
        for other in others:
            await other.aclose()

    async def while_running(llm: AsyncLLM) -> None:
        stream = llm.generate([5, SLOW], LONG, request_id="a")
        await anext(stream)
        await stream.aclose()

    async def with_its_task(llm: AsyncLLM) -> None:
        task = asyncio.create_task(collect(llm, [5, SLOW], LONG))
        await eventually(lambda: llm.stats().num_running)
        await cancelled(task)

    async def after_the_last_output(llm: AsyncLLM) -> None:
        stream = llm.generate([5], GREEDY, request_id="a")
        async for output in stream:
            if output.finished:
                break
        await stream.aclose()

    async def cancelled(task: asyncio.Future[Any]) -> None:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def main() -> None:
        async with fake_engine(model, {"max_num_seqs": 2}) as llm:
            for leave in (
                never_began, before_the_first_step, while_queued, while_running, with_its_task, after_the_last_output
            ):  # fmt: skip
                await leave(llm)
                await idle(llm)

    run(main())


def test_a_thousand_leave_at_once(model: Path) -> None:
    async def main() -> None:
        options = {"max_num_seqs": 16, "num_kv_blocks": 80}
        async with fake_engine(model, options, max_num_queued_reqs=5000, max_queue_seconds=3600.0) as llm:
            prompts = [[5, SLOW]] + [[5, 6 + i % 50] for i in range(999)]
            tasks = [asyncio.create_task(collect(llm, p, LONG, request_id=str(i))) for i, p in enumerate(prompts)]
            await eventually(lambda: llm.stats().num_running == 16)
            survivor = asyncio.create_task(collect(llm, [5], request_id="survivor"))
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert any(isinstance(e, asyncio.CancelledError) for e in ended)
            assert (await survivor)[-1].finished

    run(main())


def test_a_slow_reader_gets_fewer_and_larger_outputs(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model) as llm:
            params = dataclasses.replace(LONG, output_kind=DELTA, logprobs=1)
            stream = llm.generate([5], params, request_id="slow")
            first = await anext(stream)
            await collect(llm, [5], LONG)  # as long: the other has come to its end meanwhile
            await eventually(lambda: llm._outputs.num_texts == 0)
            rest = [output async for output in stream]
            assert len(rest) <= 1  # none if the engine was done before the first was read
            slow = [o.outputs[0] for o in [first, *rest]]
            assert [first, *rest][-1].finished and sum(len(o.token_ids) for o in slow) == 25
            assert all(len(o.logprobs or []) == len(o.token_ids) for o in slow)
            quick = [t for o in await collect(llm, [5], params) for t in o.outputs[0].token_ids]
            assert [t for o in slow for t in o.token_ids] == quick

    run(main())


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model, {"max_num_seqs": 2}, max_num_queued_reqs=3) as llm:
            slow = dataclasses.replace(LONG, output_kind=FINAL_ONLY)
            tasks = [asyncio.create_task(collect(llm, [5, SLOW], slow, request_id=str(i))) for i in range(5)]
            await asyncio.sleep(0)
            with pytest.raises(EngineOverloadedError, match="allowed: 3") as found:
                await collect(llm, [5])
            assert found.value.retry_after >= 1
            with pytest.raises(EngineOverloadedError):  # all texts of a request count
                await collect(llm, [5], SamplingParams(n=4))
            await eventually(lambda: llm.stats().num_waiting == 3)
            with pytest.raises(EngineOverloadedError):
                await collect(llm, [5])
            assert len(await asyncio.gather(*tasks)) == 5
            assert (await collect(llm, [5]))[-1].finished

    run(main())


def test_a_wait_that_would_be_too_long_is_refused_at_once(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model, {"max_num_seqs": 2}, max_num_queued_reqs=1000, max_queue_seconds=1) as llm:
            prompts = [[5, SLOW]] + [[5, 6]] * 199
            tasks = [asyncio.create_task(collect(llm, p, LONG, request_id=str(i))) for i, p in enumerate(prompts)]
            await eventually(lambda: llm._admission.estimated_wait(llm._load()) > 1)
            with pytest.raises(EngineOverloadedError, match=r"would wait about .* s; allowed: 1 s") as found:
                await collect(llm, [5])
            assert found.value.retry_after >= 1 and not all(task.done() for task in tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert (await collect(llm, [5]))[-1].finished

    run(main())


def test_an_idle_engine_takes_a_request_of_more_texts_than_the_queue_holds(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model, {"max_num_seqs": 2}, max_num_queued_reqs=0) as llm:
            (output,) = await collect(llm, [5], SamplingParams(n=5, output_kind=FINAL_ONLY))
            assert [len(text.token_ids) > 0 for text in output.outputs] == [True] * 5

    run(main())


def test_drain_waits_for_what_runs_and_takes_nothing_new(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model) as llm:
            task = asyncio.create_task(collect(llm, [5, SLOW], LONG))
            await eventually(lambda: llm.stats().num_running)
            assert await llm.drain(0.01) is False and llm.health().state == "draining"
            with pytest.raises(EngineDrainingError):
                await collect(llm, [5])
            assert await llm.drain(60) is True
            assert (await task)[-1].finished
            assert await llm.drain(60) is True

    run(main())


def test_close_ends_requests_and_the_process(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model) as llm:
            pass
        task: Any
        llm = await AsyncLLM.start(EngineOptions(model=model), worker_command=FAKE_WORKER)
        assert llm.ready is not None
        pid = llm.ready.pid
        task = asyncio.create_task(collect(llm, [5, SLOW], LONG))
        await eventually(lambda: llm.stats().num_running)
        await llm.close()
        with pytest.raises(EngineDrainingError):
            await task
        assert not Path(f"/proc/{pid}").exists() and llm.health().state == "dead" and llm.num_restarts == 0
        await llm.close()  # twice is once

    run(main())


def test_listeners_see_every_step(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model) as llm:
            seen: list[int] = []
            llm.add_step_listener(lambda stats: seen.append(stats.num_steps))
            await collect(llm, [5], LONG)
            assert seen == list(range(1, 26))

    run(main())


def test_settings_are_checked(model: Path) -> None:
    async def main() -> None:
        for settings in (
            {"max_num_queued_reqs": -1},
            {"max_queue_seconds": 0},
            {"step_timeout": float("inf")},
            {"start_timeout": "x"},
        ):
            with pytest.raises(ValueError, match=next(iter(settings))):
                await AsyncLLM.start(EngineOptions(model=model), **settings)  # type: ignore[arg-type]

    run(main())
