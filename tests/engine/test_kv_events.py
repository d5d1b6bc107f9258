"""Events of the prefix cache, from the buffer to a listener of AsyncLLM. What they add up to is tested by the state
machine (test_engine_machine.py)."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_fakes import FakeRunner, write_model
from fake_worker import KILL
from process_harness import collect, eventually, fake_engine, run

from sapwood.engine.block_hash import hash_blocks
from sapwood.engine.client import EngineDeadError
from sapwood.engine.engine_core import EngineCore
from sapwood.engine.kv_events import AllCleared, BlocksRemoved, BlocksStored, KVEventBatch, KVEventBuffer
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.scheduler import SchedulerConfig

A, B, C, D = (bytes([i]) * 32 for i in range(4))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


def test_a_buffer_begins_with_a_snapshot_and_tells_the_last_change_of_a_name() -> None:
    buffer = KVEventBuffer(limit=10)
    buffer.stored(A)
    assert buffer.take({A}) == KVEventBatch(0, [AllCleared(), BlocksStored([A])])
    assert buffer.take({A}) is None
    for change, name in ((buffer.stored, B), (buffer.stored, C), (buffer.removed, C), (buffer.removed, A)):
        change(name)
    buffer.stored(A)
    batch = buffer.take({A, B})
    assert batch == KVEventBatch(1, [BlocksRemoved([C]), BlocksStored([B, A])]) and not batch.is_snapshot


def test_more_changes_than_the_limit_become_a_snapshot() -> None:
    buffer = KVEventBuffer(limit=2)
    buffer.take(())
    for _ in range(5):
        buffer.stored(A)
        buffer.removed(A)
    buffer.stored(B)
    assert buffer.take({B}) == KVEventBatch(1, [BlocksRemoved([A]), BlocksStored([B])])
    for name in (A, C, D):
        buffer.stored(name)
    buffer.removed(B)
    assert buffer.take([A, C, D]) == KVEventBatch(2, [AllCleared(), BlocksStored([A, C, D])])
    with pytest.raises(ValueError, match="limit is 0"):
        KVEventBuffer(0)


def test_an_engine_that_was_not_asked_tells_nothing() -> None:
    core = EngineCore(FakeRunner(), SchedulerConfig(64, 4, 64))
    core.add_request("a", list(range(40)), SamplingParams(max_tokens=4))
    while core.has_unfinished_requests():
        core.step()
    core.request_kv_snapshot()
    assert len(core.scheduler.kv_cache_manager.block_pool.index) and core.take_kv_events() is None


def names_of(batches: list[KVEventBatch]) -> set[bytes]:
    names: set[bytes] = set()
    for event in (event for batch in batches for event in batch.events):
        if isinstance(event, AllCleared):
            names = set()
        elif isinstance(event, BlocksStored):
            names |= {*event.hashes}
        else:
            names -= {*event.hashes}
    return names


def test_listeners_hear_of_a_prompt_a_reset_and_the_end_of_the_process(model: Path) -> None:
    prompt = list(range(5, 41))
    names = set(hash_blocks(prompt, numerics_id="fake", block_size=16))

    async def main() -> None:
        async with fake_engine(model, {"kv_events": True}) as llm:
            heard: list[KVEventBatch] = []
            llm.add_kv_event_listener(heard.append)
            await collect(llm, prompt)
            assert names <= names_of(heard) and heard[0].is_snapshot
            late: list[KVEventBatch] = []
            llm.add_kv_event_listener(late.append)
            await eventually(lambda: late)  # with no step
            assert late[0].is_snapshot and names_of(late) == names_of(heard)
            llm.reset_prefix_cache()
            await eventually(lambda: not names_of(heard))
            assert [b.sequence for b in heard] == [*range(heard[0].sequence, heard[0].sequence + len(heard))]
            await collect(llm, prompt)
            assert names <= names_of(heard)
            with pytest.raises(EngineDeadError):
                await collect(llm, [5, KILL])
            assert not names_of(heard) and not names_of(late)
            count = len(heard)
            await eventually(lambda: llm.ready is not None and len(heard) > count)
            assert heard[count] == KVEventBatch(0, [AllCleared()])
            await collect(llm, prompt)
            assert names <= names_of(heard[count:])

    run(main())


def test_nobody_hears_what_was_not_asked_for(model: Path) -> None:
    async def main() -> None:
        async with fake_engine(model) as llm:
            heard: list[KVEventBatch] = []
            llm.add_kv_event_listener(heard.append)
            await collect(llm, list(range(5, 41)))
            llm.reset_prefix_cache()
            await collect(llm, list(range(5, 41)))
            assert heard == []

    run(main())
