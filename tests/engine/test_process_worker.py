"""The engine's end of the socket: nothing that comes in ends it, and what it holds is given back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_fakes import write_model
from fake_worker import RAISE, create_runner
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.engine.model_assets import EngineOptions, load_model_assets
from sapwood.engine.process import worker
from sapwood.engine.process.framing import FrameReader, encode_frame
from sapwood.engine.process.messages import (
    Abort,
    Add,
    EngineConfig,
    FromEngine,
    Ping,
    Pong,
    Ready,
    Refused,
    ResetPrefixCache,
    Shutdown,
    Start,
    StartFailed,
    Step,
)
from sapwood.engine.process.worker import EngineWorker
from sapwood.engine.sampling_params import SamplingParams

GREEDY = SamplingParams(temperature=0, max_tokens=5)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> EngineConfig:
    return load_model_assets(EngineOptions(model=write_model(tmp_path_factory.mktemp("models") / "m"))).engine_config


class Peer:
    """The front end's end, blocking."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.socket.settimeout(30)
        self.reader: FrameReader[Any] = FrameReader(FromEngine)
        self.messages: list[Any] = []

    def send(self, *messages: object) -> None:
        self.socket.sendall(b"".join(m if isinstance(m, bytes) else encode_frame(m) for m in messages))

    def receive(self) -> Any:
        while not self.messages:
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError
            self.messages += self.reader.feed(data)
        return self.messages.pop(0)

    def until(self, kind: Any) -> tuple[Any, list[Any]]:
        """The next message of a kind, and those before it."""
        before = []
        while not isinstance(message := self.receive(), kind):
            before.append(message)
        return message, before


@contextmanager
def engine(config: EngineConfig | None, factory: Any = create_runner) -> Iterator[Peer]:
    ours, theirs = socket.socketpair()
    status: list[int] = []

    def serve() -> None:
        with theirs:
            status.append(EngineWorker(theirs, factory).run())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with ours:
        peer = Peer(ours)
        if config is not None:
            peer.send(Start(config))
            assert isinstance(peer.receive(), Ready)
        yield peer
    thread.join(30)
    assert status, "the worker did not end with the connection"


def add(request_id: str, tokens: list[int], params: SamplingParams = GREEDY) -> Add:
    return Add(request_id=request_id, prompt_token_ids=tokens, sampling_params=params)


def test_tokens_come_in_steps_and_blocks_go_back(config: EngineConfig) -> None:
    with engine(config) as peer:
        peer.send(Ping(1))
        pong = peer.receive()
        assert isinstance(pong, Pong) and pong.number == 1
        free = pong.stats.num_free_blocks
        peer.send(add("a", [10, 11, 12]), add("b", [10, 11]))
        tokens: dict[str, list[int]] = {"a": [], "b": []}
        ended = {}
        while len(ended) < 2:
            step = peer.receive()
            assert isinstance(step, Step) and abs(step.at - time.monotonic()) < 30
            for delta in step.deltas:
                tokens[delta.request_id] += delta.token_ids
                if delta.finish_reason:
                    ended[delta.request_id] = delta.finish_reason
        assert ended == {"a": "length", "b": "length"} and [len(t) for t in tokens.values()] == [5, 5]
        peer.send(Ping(2), ResetPrefixCache(), Ping(3))
        pong, between = peer.until(Pong)
        assert between == [] and pong.stats.num_free_blocks == free and pong.stats.num_running == 0


def test_what_cannot_run_is_refused_and_says_why(config: EngineConfig) -> None:
    with engine(config) as peer:
        peer.send(add("big", [5] * 64), add("none", []), add("bad", [10_000]), add("a", [9, 9]), add("a", [9]))
        found = {}
        while len(found) < 4:
            message = peer.receive()
            if isinstance(message, Refused):
                found[message.request_id] = (message.kind, message.message)
        assert {name: kind for name, (kind, _) in found.items()} == {
            "big": "too_large", "none": "invalid", "bad": "invalid", "a": "duplicate"
        }  # fmt: skip
        assert "64" in found["big"][1] and "10000" in found["bad"][1]


def test_a_bug_in_queueing_is_not_the_fault_of_the_request(
    config: EngineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine(config) as peer:
        with monkeypatch.context() as patch:
            patch.setattr("sapwood.engine.engine_core.EngineCore.add_request", lambda self, *a: 1 / 0)
            peer.send(add("a", [9]))
            (refused,) = peer.until(Refused)[:1]
        assert (refused.request_id, refused.kind) == ("a", "failed") and "ZeroDivisionError" in refused.message


def test_messages_before_and_after_start_are_refused(config: EngineConfig) -> None:
    with engine(None) as peer:
        peer.send(add("early", [1]), Ping(1))
        assert isinstance(message := peer.receive(), Refused) and message.request_id == "early"
        assert isinstance(peer.receive(), Refused)
        peer.send(Start(config), Start(config))
        assert isinstance(peer.receive(), Ready) and isinstance(peer.receive(), Refused)


def test_a_failed_start_says_whose_fault_it_is(config: EngineConfig) -> None:
    def refuse(spec: Any) -> Any:
        raise ValueError("num_blocks is too small")

    def broken(spec: Any) -> Any:
        raise KeyError("bug")

    for factory, user_error, text in ((refuse, True, "num_blocks is too small"), (broken, False, "KeyError")):
        with engine(None, factory) as peer:
            peer.send(Start(config))
            message = peer.receive()
            assert isinstance(message, StartFailed) and message.user_error is user_error and text in message.message
            with pytest.raises(EOFError):
                peer.receive()


def test_a_step_that_raises_ends_its_requests_and_not_the_engine(config: EngineConfig) -> None:
    with engine(config) as peer:
        peer.send(add("bad", [10, RAISE]))
        step, _ = peer.until(Step)
        (delta,) = step.deltas
        assert delta.finish_reason == "abort" and "RuntimeError" in delta.error and step.stats.num_step_errors == 1
        peer.send(add("good", [10]))
        tokens = 0
        while tokens < 5:
            tokens += sum(len(d.token_ids) for d in peer.until(Step)[0].deltas)


def test_a_bug_in_the_scheduler_aborts_everything_and_says_so(
    config: EngineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine(config) as peer:
        with monkeypatch.context() as patch:
            patch.setattr("sapwood.engine.scheduler.Scheduler.schedule", lambda self, budget=None: 1 / 0)
            peer.send(add("a", [10]), add("b", [11]))
            ended: set[str] = set()
            while ended != {"a", "b"}:
                ended |= {d.request_id for d in peer.until(Step)[0].deltas if d.error and "ZeroDivision" in d.error}
        peer.send(add("a", [10]))
        assert peer.until(Step)[0].deltas[0].token_ids


def test_a_bug_in_the_engine_aborts_everything_and_says_so(
    config: EngineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine(config) as peer:
        for name in ("step", "abort_requests", "reset_prefix_cache"):
            with monkeypatch.context() as patch:
                patch.setattr(f"sapwood.engine.engine_core.EngineCore.{name}", lambda self, *a: 1 / 0)
                peer.send(add("a", [10], SamplingParams(max_tokens=50, ignore_eos=True)), Abort(["x"]))
                peer.send(ResetPrefixCache())
                while not any(d.error and "ZeroDivision" in d.error for d in peer.until(Step)[0].deltas):
                    pass
            peer.send(Abort(["a"]), Ping(1))
            assert peer.until(Pong)[0].stats.num_running == 0


def test_an_abort_frees_what_waits_and_what_runs(config: EngineConfig) -> None:
    forever = SamplingParams(temperature=0, max_tokens=60, ignore_eos=True)
    with engine(config) as peer:
        peer.send(Ping(0))
        free = peer.receive().stats.num_free_blocks
        for count in (1, 300):
            ids = [f"r{i}" for i in range(count)]
            peer.send(*(add(i, [10, 11], forever) for i in ids))
            peer.until(Step)
            peer.send(Abort([*ids, "unknown"]), Ping(count))
            pong, _ = peer.until(Pong)
            assert (pong.stats.num_running, pong.stats.num_waiting, pong.stats.num_free_blocks) == (0, 0, free)


def test_a_front_end_that_does_not_read_stops_the_steps_and_not_the_worker(
    config: EngineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MAX_PENDING_BYTES", 1000)
    long = SamplingParams(temperature=0, max_tokens=60, ignore_eos=True, logprobs=20)
    with engine(config) as peer:
        ids = [f"r{i}" for i in range(20)]
        peer.send(*(add(i, [10, 11], long) for i in ids))
        time.sleep(0.3)
        ended: set[str] = set()
        tokens = 0
        while len(ended) < len(ids):
            for delta in peer.until(Step)[0].deltas:
                tokens += len(delta.token_ids)
                if delta.finish_reason:
                    ended.add(delta.request_id)
        assert tokens == 60 * len(ids)


def test_shutdown_and_a_closed_connection_end_it(config: EngineConfig) -> None:
    with engine(config) as peer:
        peer.send(add("a", [10], SamplingParams(max_tokens=50)), Shutdown())
        with pytest.raises(EOFError):
            while True:
                peer.receive()
    with engine(config):
        pass  # idle
    with engine(config) as peer:
        peer.send(add("a", [10], SamplingParams(max_tokens=50)))
        peer.receive()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
SHAPES = st.fixed_dictionaries(
    {"type": st.sampled_from(["add", "abort", "ping", "reset_prefix_cache", "start", "zzz"])},
    optional={
        "request_id": st.sampled_from(["x", "y"]) | VALUES,
        "request_ids": st.lists(st.text(max_size=3), max_size=3) | VALUES,
        "number": VALUES,
        "prompt_token_ids": st.lists(st.integers(-5, 299), max_size=70) | VALUES,
        "cache_salt": VALUES,
        "config": VALUES,
        "sampling_params": VALUES
        | st.fixed_dictionaries(
            {},
            optional={
                "temperature": st.floats() | st.integers(),
                "max_tokens": st.integers() | st.none(),
                "min_tokens": st.integers(-2, 70),
                "logprobs": st.integers(-1, 21) | st.none(),
                "prompt_logprobs": st.integers(-1, 21) | st.none(),
                "seed": st.integers(-(2**63), 2**64 - 1),
                "logit_bias": st.dictionaries(st.integers(-1, 500), st.floats(), max_size=3) | st.none(),
                "stop_token_ids": st.lists(st.integers(-1, 500), max_size=3) | st.none(),
                "n": st.integers(0, 3),
            },
        ),
    },
)


def test_fuzzed_messages_never_end_the_engine(config: EngineConfig) -> None:
    with engine(config) as peer:
        peer.send(Ping(0))
        free = peer.receive().stats.num_free_blocks

        @settings(max_examples=60, deadline=None)
        @given(st.lists(SHAPES | st.binary(max_size=30), min_size=1, max_size=4))
        def check(items: list[Any]) -> None:
            for item in items:
                try:
                    raw = item if isinstance(item, bytes) else msgspec.msgpack.encode(item)
                except (OverflowError, UnicodeEncodeError, ValueError):
                    continue
                peer.send(len(raw).to_bytes(4, "little") + raw)
            peer.send(Abort(["x", "y", ""]), add("sane", [10, 11]), Ping(7))
            tokens = 0
            while tokens < 5:
                for delta in peer.until(Step)[0].deltas:
                    tokens += len(delta.token_ids) if delta.request_id == "sane" else 0

        check()
        running = True
        while running:  # requests with other names may still run to their end
            peer.send(Ping(1))
            stats = peer.until(Pong)[0].stats
            running = stats.num_running + stats.num_waiting > 0
        assert stats.num_free_blocks == free


def test_the_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m")
    script = Path(__file__).parent / "fake_worker.py"
    code = f"""
import asyncio, sys
from sapwood.engine.model_assets import EngineOptions
from sapwood.engine.process.async_llm import AsyncLLM
async def main():
    llm = await AsyncLLM.start(EngineOptions(model={str(model)!r}), worker_command=[sys.executable, {str(script)!r}])
    print(llm.ready.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.kill()
    for _ in range(500):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return  # dead; whoever adopted it has not looked yet
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the engine process outlived its parent")
