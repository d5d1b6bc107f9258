"""An engine process that dies, hangs or lies: its requests are told, another one takes its place."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from engine_fakes import write_model
from fake_worker import EXIT, FAIL_START, HANG, KILL, SCRIBBLE, SLOW
from process_harness import FAKE_WORKER, collect, eventually, fake_engine, idle, run

from sapwood import SamplingParams, demo_model
from sapwood.engine.client import EngineDeadError, EngineStartError
from sapwood.engine.model_assets import EngineOptions
from sapwood.engine.process import supervisor
from sapwood.engine.process.async_llm import AsyncLLM
from sapwood.models.errors import ModelError

LONG = SamplingParams(temperature=0, max_tokens=50, ignore_eos=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


def program(code: str) -> list[str]:
    """A command that runs Python instead of an engine process; the number of its socket is sys.argv[1]."""
    return [sys.executable, "-c", f"import os, sys, time; {code}"]


async def works_again(llm: AsyncLLM, restarts: int = 1) -> None:
    await eventually(lambda: llm.health().ok)
    assert llm.num_restarts == restarts
    assert len((await collect(llm, [5]))[-1].outputs[0].token_ids) == 8


def test_a_killed_engine_fails_its_requests_and_comes_back(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model) as llm:
            streams = [llm.generate([5, SLOW], LONG, request_id=str(i)) for i in range(8)]
            await asyncio.gather(*map(anext, streams))
            assert llm.ready is not None
            old = llm.ready.pid
            os.kill(old, signal.SIGSEGV)
            for stream in streams:
                with pytest.raises(EngineDeadError, match="killed by SIGSEGV; it is being started again"):
                    async for _ in stream:
                        pass
            assert llm.ready is None and not Path(f"/proc/{old}").exists() and not llm.health().ok
            with pytest.raises(EngineDeadError, match="try again"):
                await collect(llm, [5])
            await works_again(llm)
            assert llm.ready is not None and llm.ready.pid != old

    run(main())


def test_whatever_ends_an_engine_is_named_and_harms_no_later_request(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model) as llm:
            for restarts, (token, text) in enumerate(
                [
                    (EXIT, "exited with status 7"),
                    (KILL, "killed by SIGKILL"),
                    (SCRIBBLE, "sent what is not a message"),
                ],
                start=1,
            ):
                with pytest.raises(EngineDeadError, match=text):
                    await collect(llm, [5, token])
                await works_again(llm, restarts)

    run(main())


def test_a_step_that_hangs_is_found_and_killed(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model, step_timeout=1.5) as llm:
            task = asyncio.create_task(collect(llm, [5, HANG]))
            await eventually(lambda: llm.health().state == "stuck")
            with pytest.raises(EngineDeadError, match="no sign of life"):
                await task
            await works_again(llm)

    run(main())


def test_a_stopped_engine_is_found_also_when_idle(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sapwood.engine.process.supervisor._PING_SECONDS", 0.1)

    async def main() -> None:
        async with fake_engine(model, step_timeout=1.5) as llm:
            assert llm.ready is not None
            os.kill(llm.ready.pid, signal.SIGSTOP)
            await eventually(lambda: llm.health().state == "stuck")
            await eventually(lambda: llm.ready is None)
            await works_again(llm)

    run(main())


def test_a_busy_or_idle_engine_is_not_taken_for_stuck(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sapwood.engine.process.supervisor._PING_SECONDS", 0.1)

    async def main() -> None:
        limit = 1.5
        async with fake_engine(model, step_timeout=limit) as llm:
            began = time.monotonic()
            while time.monotonic() - began < 1.5 * limit:
                await collect(llm, [5, SLOW], LONG)
            await asyncio.sleep(1.2 * limit)
            assert llm.health().ok and llm.num_restarts == 0

    run(main())


def test_signals_that_reach_the_whole_service_do_not_end_the_engine(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model) as llm:
            assert llm.ready is not None and os.getsid(llm.ready.pid) == llm.ready.pid
            task = asyncio.create_task(collect(llm, [5, SLOW], LONG))
            await eventually(lambda: llm.stats().num_running)
            for number in (signal.SIGTERM, signal.SIGINT):
                os.kill(llm.ready.pid, number)
            assert (await task)[-1].finished and llm.num_restarts == 0

    run(main())


def test_a_model_that_cannot_be_loaded_is_a_clear_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(demo_model(), broken)
    (weights,) = broken.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:100_000])

    async def main() -> None:
        with pytest.raises(EngineStartError, match=r"M002.*model\.safetensors") as found:
            await AsyncLLM.start(EngineOptions(model=broken, max_model_len=64))
        assert found.value.user_error
        with pytest.raises(ModelError, match="no such directory"):
            await AsyncLLM.start(EngineOptions(model=tmp_path / "nowhere"))

    run(main())


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["/nowhere/python"], "cannot be started"),
        (program("sys.exit(3)"), "exited with status 3"),
        (program("time.sleep(600)"), "within 1 s"),
        (program("os.write(int(sys.argv[1]), b'\\5\\0\\0\\0junk!'); time.sleep(600)"), "not a message"),
    ],
)
def test_a_start_that_fails_says_how(model: Path, command: list[str], text: str) -> None:
    async def main() -> None:
        with pytest.raises(EngineStartError, match=text) as found:
            await AsyncLLM.start(EngineOptions(model=model), worker_command=command, start_timeout=1.0)
        assert not found.value.user_error

    run(main())


def test_an_engine_that_cannot_start_again_is_given_up(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    flag = tmp_path / "flag"
    monkeypatch.setenv(FAIL_START, str(flag))
    monkeypatch.setattr("sapwood.engine.process.supervisor._MAX_FAILED_STARTS", 2)

    async def main() -> None:
        llm = await AsyncLLM.start(EngineOptions(model=model), worker_command=FAKE_WORKER, restart_backoff=0.01)
        try:
            assert llm.ready is not None
            flag.touch()
            os.kill(llm.ready.pid, signal.SIGKILL)
            await asyncio.wait_for(llm.wait_ended(), 60)
            assert "2 times" in llm.health().detail
            assert llm.health().state == "dead" and "made to fail" in caplog.text
            with pytest.raises(EngineDeadError, match="could not be started again, 2 times") as found:
                await collect(llm, [5])
            assert "made to fail" not in str(found.value)  # it may name files, which are no business of a client
        finally:
            await llm.close()

    run(main())


def test_a_start_that_failed_once_is_tried_again(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flag = tmp_path / "flag"
    monkeypatch.setenv(FAIL_START, str(flag))

    async def main() -> None:
        async with fake_engine(model) as llm:
            assert llm.ready is not None
            flag.touch()
            os.kill(llm.ready.pid, signal.SIGKILL)
            await eventually(lambda: "could not be started" in llm.health().detail)
            flag.unlink()
            await works_again(llm, 2)

    run(main())


def test_a_cancelled_start_leaves_no_process(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []

    async def main() -> None:
        popen = supervisor.subprocess.Popen

        def note(*arguments: Any, **options: Any) -> Any:
            started.append(popen(*arguments, **options))
            return started[-1]

        monkeypatch.setattr(supervisor.subprocess, "Popen", note)
        task = asyncio.create_task(
            AsyncLLM.start(EngineOptions(model=model), worker_command=program("time.sleep(600)"))
        )
        await eventually(lambda: started)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert started[0].poll() is not None

    run(main())


def test_a_request_that_is_aborted_while_the_engine_dies_is_no_trouble(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model) as llm:
            streams = [llm.generate([5, SLOW], LONG, request_id=str(i)) for i in range(4)]
            await asyncio.gather(*map(anext, streams))
            assert llm.ready is not None
            os.kill(llm.ready.pid, signal.SIGKILL)
            await streams[0].aclose()
            await eventually(lambda: llm.ready is None)
            await streams[1].aclose()
            for stream in streams[2:]:
                with pytest.raises(EngineDeadError):
                    await anext(stream)
            await works_again(llm)
            await idle(llm)

    run(main())
