"""`EngineConnection`: one replica, as a router sees it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

import msgspec

from sapwood.cluster.transport.clock import RemoteClock
from sapwood.cluster.transport.handshake import HandshakeError, RouterHandshake, check_name, check_secret
from sapwood.cluster.transport.link import Link, count_silence
from sapwood.cluster.transport.messages import (
    MAX_ADD_FRAME_BYTES,
    MAX_HANDSHAKE_FRAME_BYTES,
    Draining,
    FromReplica,
    HandshakeFromReplica,
    Lost,
    Rejected,
    Status,
    Welcome,
)
from sapwood.engine.client import EngineDeadError, EngineDrainingError, Health
from sapwood.engine.process.framing import MessageError
from sapwood.engine.process.messages import Add, EngineStats, Ping, Ready, Refused, Step

_HEALTHY_SECONDS = 10.0  # a connection that held for so long was a good one: its end is answered at once

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """connect_seconds: until the handshake is done. ping_seconds: between questions for statistics and clock.

    silence_seconds: without a byte of the replica. backoff_seconds, max_backoff_seconds: before another attempt to
    connect, doubled each time. max_buffered_bytes: what the replica may leave unread.
    """

    connect_seconds: float = 5.0
    ping_seconds: float = 2.0
    silence_seconds: float = 10.0
    backoff_seconds: float = 0.1
    max_backoff_seconds: float = 5.0
    max_buffered_bytes: int = 256 * 1024 * 1024


class EngineConnection:
    """Connects to an `EngineServer` and, when that was lost, again, until `close`. Methods belong to one event loop.

    on_message: gets every Step and Refused, with times of this machine's clock. on_ready: gets a Welcome whenever an
    engine takes requests: the first, and any later one, which knows nothing of what was sent before. on_lost: gets a
    sentence and the ids of requests that are lost, None when all are. on_draining: the replica takes nothing new.
    They neither block nor raise.

    replica_id: who must answer; None: any replica of this secret. Raises ValueError for a short secret or a router_id
    that is no name.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        secret: bytes,
        router_id: str,
        on_message: Callable[[Step | Refused], None],
        on_lost: Callable[[str, list[str] | None], None],
        on_ready: Callable[[Welcome], None] = lambda welcome: None,
        on_draining: Callable[[], None] = lambda: None,
        replica_id: str | None = None,
        kv_events: bool = False,
        limits: ConnectionLimits = ConnectionLimits(),
    ) -> None:
        self._secret, self._router_id = check_secret(secret), check_name("router_id", router_id)
        self._host, self._port, self._replica_id, self._kv_events = host, port, replica_id, kv_events
        self._on_message, self._on_lost = on_message, on_lost
        self._on_ready, self._on_draining = on_ready, on_draining
        self._limits = limits
        self._link: _ReplicaLink | None = None
        self._task: asyncio.Task[None] | None = None
        self._clock = RemoteClock()
        self._pings: dict[int, float] = {}
        self._num_pings = 0
        self._health = Health("starting", "the replica is being connected to")
        self._ready_event = asyncio.Event()
        self.welcome: Welcome | None = None
        self.stats = EngineStats()
        self.draining = False
        self.num_connections = 0

    # -- what a router calls ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect."""
        self._task = asyncio.create_task(self._run(), name=f"connection to {self._host}:{self._port}")

    async def wait_ready(self) -> Welcome:
        """What the replica says of itself, as soon as an engine takes requests there."""
        while self.welcome is None:
            await self._ready_event.wait()
        return self.welcome

    @property
    def ready(self) -> Ready | None:
        """What the engine said of itself; None while none takes requests, or none can be reached."""
        return None if self.welcome is None else self.welcome.ready

    @property
    def num_restarts(self) -> int:
        """How often the replica has started its engine process again."""
        return 0 if self.welcome is None else self.welcome.num_restarts

    def health(self) -> Health:
        """ "stuck": of the replica's engine, or of the replica itself, which does not answer."""
        link = self._link
        if link is not None and link.silence > self._limits.silence_seconds / 2:
            return Health("stuck", f"the replica has not answered for {link.silence:.0f} s")
        if self.draining and self._health.ok:
            return Health("draining", "the replica takes no new requests")
        return self._health

    def send(self, message: object) -> None:
        """Queue Add, Abort, ResetPrefixCache or KVSnapshot.

        Raises EngineDeadError when no engine is there, EngineDrainingError for an Add that would be refused, and
        MessageError for what cannot be sent.
        """
        if self._link is None or self.welcome is None:
            detail = self._health.detail or "the replica is not connected"
            raise EngineDeadError(f"{detail}; try again in a few seconds")
        if self.draining and isinstance(message, Add):
            raise EngineDrainingError("the replica takes no new requests")
        self._link.send(message, MAX_ADD_FRAME_BYTES)

    def ping(self) -> None:
        """Ask for an answer with fresh statistics, if the replica is there."""
        if self._link is not None:
            self._num_pings += 1
            self._pings[self._num_pings] = monotonic()
            self._link.send(Ping(self._num_pings))

    async def close(self) -> None:
        """Disconnect, which aborts what is left there. No callback is called any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        self._health = Health("dead", "the connection was closed")

    # -- connecting ------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0
        while True:
            began = monotonic()
            try:
                reason = await self._live()
                failures = 0 if monotonic() - began > _HEALTHY_SECONDS else failures + 1
                logger.warning("replica at %s:%d is gone: %s", self._host, self._port, reason)
            except (OSError, TimeoutError, HandshakeError) as error:
                reason = str(error)
                if failures == 0 or reason not in self._health.detail:
                    logger.warning("replica at %s:%d cannot be reached: %s", self._host, self._port, reason)
                failures += 1
            self._health = Health("dead", f"the replica is not connected: {reason}")
            delay = min(self._limits.backoff_seconds * 2 ** min(failures, 30), self._limits.max_backoff_seconds)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))

    async def _live(self) -> str:
        """One connection from start to end; why it ended. Raises what kept it from being one."""
        loop = asyncio.get_running_loop()
        handshake = RouterHandshake(
            self._secret, self._router_id, replica_id=self._replica_id, kv_events=self._kv_events
        )
        link = _ReplicaLink(self, handshake, self._limits.max_buffered_bytes)
        tasks: list[asyncio.Task[None]] = []
        try:
            try:
                async with asyncio.timeout(self._limits.connect_seconds):
                    await loop.create_connection(lambda: link, self._host, self._port)
                    await link.accepted
            except TimeoutError:
                if self._link is not link:  # else it came just in time, and may have got requests already
                    raise TimeoutError("no answer in time") from None
            seconds = self._limits.silence_seconds
            tasks.append(asyncio.create_task(count_silence(seconds, lambda elapsed: link.tick(elapsed, seconds))))
            tasks.append(asyncio.create_task(self._ping_again_and_again()))
            reason = await asyncio.shield(link.gone)
            self._leave()
            self._call(self._on_lost, reason, None)
            return reason
        finally:
            self._leave()
            link.cut("it was closed")
            for task in tasks:
                task.cancel()

    def enter(self, link: _ReplicaLink) -> None:
        """The replica has proved that it is one."""
        self._link, self._clock = link, RemoteClock()
        self._pings.clear()
        self.draining = False
        self.num_connections += 1
        self.ping()  # its answer comes before any step: the clock is known by then

    def _leave(self) -> None:
        self._link = self.welcome = None
        self._ready_event.clear()
        self.stats = EngineStats()

    async def _ping_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(self._limits.ping_seconds)
            self.ping()

    # -- what the replica says -------------------------------------------------------------------------------

    def receive(self, message: FromReplica) -> None:
        if isinstance(message, Step):
            self.stats = message.stats
            self._call(self._on_message, self._in_local_time(message))
        elif isinstance(message, Refused):
            self._call(self._on_message, message)
        elif isinstance(message, Status):
            sent = self._pings.pop(message.number, None)
            if sent is not None:
                self._clock.measure(sent, message.at, monotonic())
            if self.welcome is not None:
                self.stats = message.stats
                self._health = Health(message.state, message.detail)
        elif isinstance(message, Welcome):
            self.welcome, self.stats = message, message.stats
            self._health = Health("ok")
            self._ready_event.set()
            self._call(self._on_ready, message)
        elif isinstance(message, Lost):
            self.welcome, self.stats = None, EngineStats()
            self._ready_event.clear()
            self._health = Health("dead", message.reason)
            self._call(self._on_lost, message.reason, message.request_ids)
        elif isinstance(message, Draining):
            self.draining = True
            self._call(self._on_draining)

    def _in_local_time(self, step: Step) -> Step:
        if self._clock.offset == 0.0:
            return step
        local = self._clock.local
        deltas = step.deltas
        if any(delta.queued is not None for delta in deltas):
            deltas = [
                msgspec.structs.replace(
                    delta,
                    queued=None if delta.queued is None else local(delta.queued),
                    scheduled=None if delta.scheduled is None else local(delta.scheduled),
                )
                for delta in deltas
            ]
        return msgspec.structs.replace(step, at=local(step.at), deltas=deltas)

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:  # a bug of ours; ending the connection would take all requests along
            logger.exception("what %s:%d said could not be handled", self._host, self._port)


class _ReplicaLink(Link):
    """A connection to a replica. accepted: done when the handshake is, or failed with what was wrong."""

    def __init__(self, owner: EngineConnection, handshake: RouterHandshake, max_buffered_bytes: int) -> None:
        super().__init__(HandshakeFromReplica, MAX_HANDSHAKE_FRAME_BYTES, max_buffered_bytes=max_buffered_bytes)
        self._owner, self._handshake = owner, handshake
        self.accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def opened(self) -> None:
        self.send(self._handshake.hello)

    def received(self, message: Any) -> None:
        if not self._handshake.done:
            try:
                proof = self._handshake.receive(message)
            except HandshakeError as error:
                self._fail(error)
                self.cut(str(error))
                return
            if proof is not None:
                self.send(proof)
            else:
                self.expect(FromReplica, None)
                self._owner.enter(self)
                if not self.accepted.done():
                    self.accepted.set_result(None)
        elif isinstance(message, MessageError):
            logger.error("from replica at %s: %s", self.peer, message)
            self.cut("the replica sent what is not a message")
        elif isinstance(message, Rejected):
            self.cut(message.message)
        else:
            self._owner.receive(message)

    def ended(self, reason: str) -> None:
        self._fail(HandshakeError("malformed", f"the handshake ended: {reason}"))

    def _fail(self, error: HandshakeError) -> None:
        if not self.accepted.done():
            self.accepted.set_exception(error)
            self.accepted.exception()  # nobody may be waiting any more
