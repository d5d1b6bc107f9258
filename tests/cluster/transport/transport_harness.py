"""Both ends of the transport over loopback, an engine that does what a test says, and a peer that has no manners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from process_harness import FAKE_WORKER, eventually

from sapwood.cluster.transport.connection import ConnectionLimits, EngineConnection
from sapwood.cluster.transport.handshake import RouterHandshake
from sapwood.cluster.transport.messages import FromReplica, HandshakeFromReplica, Welcome
from sapwood.cluster.transport.server import EngineServer, ServerLimits
from sapwood.engine.client import EngineDeadError, Health
from sapwood.engine.model_assets import EngineOptions, load_model_assets
from sapwood.engine.process.framing import FrameReader, encode_frame
from sapwood.engine.process.messages import (
    Abort,
    Add,
    EngineConfig,
    EngineStats,
    MemoryPlan,
    Ready,
    Refused,
    Step,
    TokenDelta,
)
from sapwood.engine.process.supervisor import EngineSupervisor
from sapwood.engine.sampling_params import SamplingParams

SECRET = b"a secret of this test, long enough"
SERVER = ServerLimits(stats_seconds=0.01, close_seconds=30.0)
ROUTER = ConnectionLimits(backoff_seconds=0.01, ping_seconds=0.05)
CONFIG = EngineConfig(
    directory="", dtype="float32", max_model_len=64, max_num_batched_tokens=64, max_num_seqs=8, block_size=4,
    num_blocks=64, kv_cache_memory_bytes=None, enable_prefix_caching=True, eos_token_ids=[1], seed=0,
)  # fmt: skip
READY = Ready(
    pid=1, vocab_size=400, max_model_len=64, numerics_id="fake", load_seconds=0.0,
    memory=MemoryPlan(weights_bytes=0, arena_bytes=0, kv_bytes=0, block_bytes=0, num_blocks=64, block_size=4),
)  # fmt: skip


def add(request_id: str, prompt: list[int] | None = None, max_tokens: int = 8) -> Add:
    params = SamplingParams(temperature=0, max_tokens=max_tokens, ignore_eos=True)
    return Add(request_id=request_id, prompt_token_ids=prompt or [5], sampling_params=params)


class ScriptedBackend:
    """An engine that answers nothing by itself."""

    def __init__(self, *, on_message: Any, on_lost: Any, on_ready: Any, busy: Any) -> None:
        self.on_message, self.on_lost, self.on_ready, self.busy = on_message, on_lost, on_ready, busy
        self.ready: Ready | None = None
        self.stats = EngineStats()
        self.num_restarts = 0
        self.sent: list[Any] = []
        self.num_pings = 0
        self.ended = asyncio.Event()

    async def start(self) -> Ready:
        self.ready = READY
        self.on_ready(READY)
        return READY

    def send(self, message: object) -> None:
        if self.ready is None:
            raise EngineDeadError("the engine is dead")
        self.sent.append(message)

    def ping(self) -> None:
        self.num_pings += 1

    def health(self) -> Health:
        return Health("ok") if self.ready is not None else Health("dead", "the engine is dead")

    async def wait_ended(self) -> None:
        await self.ended.wait()

    async def close(self) -> None:
        self.die("the engine was shut down")
        self.ended.set()

    # -- what a test does with it ----------------------------------------------------------------------------

    def die(self, reason: str) -> None:
        self.ready = None
        self.on_lost(reason)

    def come_back(self) -> None:
        self.num_restarts += 1
        self.ready = READY
        self.on_ready(READY)

    def added(self) -> list[str]:
        return [m.request_id for m in self.sent if isinstance(m, Add)]

    def aborted(self) -> list[str]:
        return [i for m in self.sent if isinstance(m, Abort) for i in m.request_ids]

    def step(self, tokens: dict[str, int], finished: set[str] | frozenset[str] = frozenset(), **stats: int) -> None:
        """One token each, by the engine's ids."""
        deltas = [
            TokenDelta(request_id=i, token_ids=[t], finish_reason="length" if i in finished else None)
            for i, t in tokens.items()
        ]
        self.stats = EngineStats(**stats)  # type: ignore[arg-type]
        self.on_message(Step(1.0, deltas, self.stats))


class Router:
    """A connection, and all that it was told."""

    def __init__(self, address: tuple[str, int], router_id: str = "router", **options: Any) -> None:
        self.steps: list[Step] = []
        self.refused: dict[str, Refused] = {}
        self.lost: list[tuple[str, list[str] | None]] = []
        self.welcomes: list[Welcome] = []
        self.num_drainings = 0
        values: dict[str, Any] = {"secret": SECRET, "limits": ROUTER} | options
        self.connection = EngineConnection(
            *address,
            router_id=router_id,
            on_message=self._message,
            on_lost=lambda reason, ids: self.lost.append((reason, ids)),
            on_ready=self.welcomes.append,
            on_draining=self._draining,
            **values,
        )

    def _draining(self) -> None:
        self.num_drainings += 1

    def _message(self, message: Step | Refused) -> None:
        if isinstance(message, Refused):
            self.refused[message.request_id] = message
        else:
            self.steps.append(message)

    def deltas(self, request_id: str) -> list[TokenDelta]:
        return [delta for step in self.steps for delta in step.deltas if delta.request_id == request_id]

    def tokens(self, request_id: str) -> list[int]:
        return [token for delta in self.deltas(request_id) for token in delta.token_ids]

    def finished(self, request_id: str) -> bool:
        return any(delta.finish_reason for delta in self.deltas(request_id))


@asynccontextmanager
async def connected(server: EngineServer, router_id: str = "router", **options: Any) -> AsyncIterator[Router]:
    router = Router(server.address, router_id, **options)
    router.connection.start()
    try:
        await router.connection.wait_ready()
        yield router
    finally:
        await router.connection.close()


@asynccontextmanager
async def scripted_server(**limits: Any) -> AsyncIterator[tuple[EngineServer, ScriptedBackend]]:
    """Over a ScriptedBackend. At the end nothing may be left."""
    found: list[ScriptedBackend] = []

    def connect(**callbacks: Any) -> ScriptedBackend:
        found.append(ScriptedBackend(**callbacks))
        return found[0]

    server = EngineServer(
        CONFIG, secret=SECRET, replica_id="replica", pool="cpu", model="tiny", connect=connect,
        limits=replace(SERVER, **limits),
    )  # fmt: skip
    await server.start()
    try:
        yield server, found[0]
        await nothing_left(server)
    finally:
        await server.close()


@asynccontextmanager
async def fake_server(model: Path, **limits: Any) -> AsyncIterator[EngineServer]:
    """Over an engine process with the runner of fake_worker.py. At the end every block must be free."""
    config = load_model_assets(EngineOptions(model=model)).engine_config
    server = EngineServer(
        config, secret=SECRET, replica_id="replica", pool="cpu", model="tiny", limits=replace(SERVER, **limits),
        connect=partial(EngineSupervisor, config, command=FAKE_WORKER, backoff=0.01),
    )  # fmt: skip
    await server.start()
    try:
        yield server
        await nothing_left(server)
        await eventually(lambda: server._backend.ready is not None)
        while True:
            before = server.stats
            server._backend.ping()
            await eventually(lambda before=before: server.stats is not before)
            if (server.stats.num_running, server.stats.num_waiting) == (0, 0):
                break
        ready = server._backend.ready
        assert ready is not None and server.stats.num_free_blocks == ready.memory.num_blocks
        assert server.stats.num_leaked_blocks == 0
    finally:
        await server.close()


async def nothing_left(server: EngineServer) -> None:
    await eventually(lambda: server.num_routers == 0)
    assert server.num_requests == 0 and server._owners == {}
    await asyncio.wait_for(server.drained(), 60)


class Peer:
    """A socket that says what a test wants it to say."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._frames: FrameReader[Any] = FrameReader(HandshakeFromReplica)
        self._messages: list[Any] = []

    @classmethod
    async def open(cls, address: tuple[str, int]) -> Peer:
        return cls(*await asyncio.open_connection(*address))

    def say(self, *messages: object) -> None:
        self.writer.write(b"".join(map(encode_frame, messages)))

    async def hear(self) -> Any:
        """The next message; None at the end of the connection, which is then closed on this side too."""
        while not self._messages:
            try:
                data = await self.reader.read(1 << 16)
            except ConnectionError:
                data = b""
            if not data:
                self.leave()
                return None
            self._messages += self._frames.feed(data)
        return self._messages.pop(0)

    async def shake_hands(self) -> None:
        handshake = RouterHandshake(SECRET, "peer", replica_id=None, kv_events=False)
        self.say(handshake.hello)
        proof = handshake.receive(await self.hear())
        self._frames.expect(HandshakeFromReplica | FromReplica)
        self.say(proof)
        handshake.receive(await self.hear())

    async def shake_hands_wrongly(self) -> None:
        """Up to the proof, with another secret."""
        handshake = RouterHandshake(b"not the secret of this server", "peer", replica_id=None, kv_events=False)
        self.say(handshake.hello)
        self.say(handshake.receive(await self.hear()))

    async def closed(self) -> None:
        """Read until the end; what comes is dropped."""
        while await self.hear() is not None:
            pass

    def leave(self) -> None:
        self.writer.transport.abort()
