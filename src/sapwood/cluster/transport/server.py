"""`EngineServer`: an engine process behind a TCP socket, for many routers at once."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

import msgspec

from sapwood.cluster.transport.handshake import HandshakeError, ReplicaHandshake, check_name, check_secret
from sapwood.cluster.transport.link import Link, count_silence, is_garbage
from sapwood.cluster.transport.messages import (
    MAX_ADD_FRAME_BYTES,
    MAX_HANDSHAKE_FRAME_BYTES,
    Accepted,
    Draining,
    HandshakeToReplica,
    Lost,
    Rejected,
    ReplicaFacts,
    Status,
    ToReplica,
    Welcome,
)
from sapwood.engine.client import EngineError, Health
from sapwood.engine.process.backend import EngineBackend
from sapwood.engine.process.framing import MessageError
from sapwood.engine.process.messages import (
    Abort,
    Add,
    EngineConfig,
    EngineStats,
    KVSnapshot,
    Ping,
    Ready,
    Refused,
    ResetPrefixCache,
    Step,
    TokenDelta,
)
from sapwood.engine.process.supervisor import EngineSupervisor

_LOG_SECONDS = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """max_handshakes: connections that have not proved anything yet; the oldest makes room for one more.

    max_requests: of all routers, a bound for memory; what may wait is the routers' decision. max_buffered_bytes: what
    one router may leave unread. handshake_seconds: for all of it. silence_seconds: without a byte of a router.
    stats_seconds: routers that get no tokens get statistics as often. close_seconds: for last messages to be read.
    """

    max_routers: int = 64
    max_handshakes: int = 64
    max_requests: int = 8192
    max_buffered_bytes: int = 32 * 1024 * 1024
    handshake_seconds: float = 5.0
    silence_seconds: float = 10.0
    stats_seconds: float = 0.25
    close_seconds: float = 2.0


class EngineServer:
    """One engine process, and the routers that use it. All methods belong to one event loop.

    secret: of the cluster. replica_id, pool, model: how routers are told of it. host, port: where to listen; port 0
    takes a free one, `address` says which. connect: makes the engine's backend, of `on_message`, `on_lost`, `on_ready`
    and `busy`; by default an `EngineSupervisor`.

    A router that goes away, or that leaves too much unread, has its requests aborted; others do not notice.
    Raises ValueError for a short secret or a name that is no name.
    """

    def __init__(
        self,
        config: EngineConfig,
        *,
        secret: bytes,
        replica_id: str,
        pool: str,
        model: str,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: ServerLimits = ServerLimits(),
        connect: Callable[..., EngineBackend] | None = None,
    ) -> None:
        self._secret = check_secret(secret)
        self._host, self._port, self.limits = host, port, limits
        self.facts = ReplicaFacts(
            replica_id=check_name("replica_id", replica_id),
            pool=pool,
            model=model,
            dtype=config.dtype,
            max_model_len=config.max_model_len,
            block_size=config.block_size,
            max_num_seqs=config.max_num_seqs,
            max_num_batched_tokens=config.max_num_batched_tokens,
            enable_prefix_caching=config.enable_prefix_caching,
            eos_token_ids=config.eos_token_ids,
        )
        self._owners: dict[str, tuple[_RouterLink, str]] = {}  # by the engine's id: whose it is, and its id there
        self._serials = itertools.count()
        self._routers: dict[_RouterLink, None] = {}  # in the order of their coming, as are those below
        self._strangers: dict[_RouterLink, None] = {}
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._stats_timer: asyncio.TimerHandle | None = None
        self._last_step: Step | None = None
        self._logged_at, self._num_unlogged = 0.0, 0
        self._listener: asyncio.Server | None = None
        self._ticker: asyncio.Task[None] | None = None
        make = connect or partial(EngineSupervisor, config)
        self._backend: EngineBackend = make(
            on_message=self._from_engine,
            on_lost=self._engine_lost,
            on_ready=self._engine_ready,
            busy=lambda: bool(self._owners),
        )

    # -- what the replica's process calls --------------------------------------------------------------------

    async def start(self) -> tuple[str, int]:
        """Start the engine, wait until it takes requests, then listen; the address.

        Raises EngineStartError, and OSError when it cannot listen there; then nothing is left.
        """
        await self._backend.start()
        try:
            loop = asyncio.get_running_loop()
            self._listener = await loop.create_server(
                lambda: _RouterLink(self), self._host, self._port, family=_family(self._host)
            )
        except BaseException:
            await self._backend.close()
            raise
        self._ticker = asyncio.create_task(count_silence(self.limits.silence_seconds, self._tick), name="silence")
        return self.address

    @property
    def address(self) -> tuple[str, int]:
        """Host and port where it listens."""
        assert self._listener is not None
        host, port = self._listener.sockets[0].getsockname()[:2]
        return host, port

    @property
    def num_routers(self) -> int:
        return len(self._routers)

    @property
    def num_requests(self) -> int:
        return len(self._owners)

    @property
    def stats(self) -> EngineStats:
        return self._backend.stats

    def health(self) -> Health:
        health = self._backend.health()
        return Health("draining", "the replica takes no new requests") if self._draining and health.ok else health

    async def wait_ended(self) -> None:
        """Return when there is no engine and will be none."""
        await self._backend.wait_ended()

    def drain(self) -> None:
        """Take nothing new from now on, and tell the routers."""
        if not self._draining:
            self._draining = True
            for link in list(self._routers):
                link.tell(Draining())

    async def drained(self) -> None:
        """Return when no request is left."""
        await self._idle.wait()

    async def close(self) -> None:
        """Tell routers what they lose, let them read what was sent, and end the engine process."""
        self.drain()
        if self._listener is not None:
            self._listener.close()
        if self._ticker is not None:
            self._ticker.cancel()
        if self._stats_timer is not None:
            self._stats_timer.cancel()
        self._lose_all("the replica was shut down")
        links = [*self._routers, *self._strangers]
        for link in links:
            link.finish(self.limits.close_seconds)
        if links:
            await asyncio.wait([link.gone for link in links])
        await self._backend.close()

    # -- what the engine says --------------------------------------------------------------------------------

    def _from_engine(self, message: Step | Refused) -> None:
        if isinstance(message, Step):
            self._share(message)
            return
        owner = self._forget(message.request_id)
        if owner is None:
            logger.warning("the engine refused a message: %s", message.message)
        else:
            link, request_id = owner
            link.tell(msgspec.structs.replace(message, request_id=request_id))

    def _share(self, step: Step) -> None:
        """Give every router its own deltas, with its own ids; the others hear of the step a little later."""
        parts: dict[_RouterLink, list[TokenDelta]] = {}
        for delta in step.deltas:
            owner = self._owners.get(delta.request_id)
            if owner is None:
                continue  # it was aborted meanwhile
            link, request_id = owner
            parts.setdefault(link, []).append(msgspec.structs.replace(delta, request_id=request_id))
            if delta.finish_reason is not None:
                self._forget(delta.request_id)
        for link in list(self._routers):
            deltas = parts.get(link)
            events = step.kv_events if link.wants_kv_events else None
            link.behind = deltas is None and events is None
            if not link.behind:
                link.tell(Step(step.at, deltas or [], step.stats, events))
        self._last_step = step
        if self._stats_timer is None and any(link.behind for link in self._routers):
            loop = asyncio.get_running_loop()
            self._stats_timer = loop.call_later(self.limits.stats_seconds, self._share_stats)

    def _share_stats(self) -> None:
        self._stats_timer = None
        step = self._last_step
        if step is None:
            return
        for link in list(self._routers):
            if link.behind:
                link.behind = False
                link.tell(Step(step.at, [], step.stats))

    def _engine_ready(self, ready: Ready) -> None:
        self._last_step = None
        for link in list(self._routers):
            link.tell(self._welcome(ready))

    def _welcome(self, ready: Ready) -> Welcome:
        backend = self._backend
        return Welcome(facts=self.facts, ready=ready, stats=backend.stats, num_restarts=backend.num_restarts)

    def _engine_lost(self, reason: str) -> None:
        self._last_step = None
        self._lose_all(reason)

    def _lose_all(self, reason: str) -> None:
        for link in list(self._routers):
            request_ids = list(link.requests)
            for engine_id in list(link.requests.values()):
                self._forget(engine_id)
            link.tell(Lost(reason, request_ids))

    # -- what routers say ------------------------------------------------------------------------------------

    def from_router(self, link: _RouterLink, message: ToReplica) -> None:
        if isinstance(message, Add):
            refusal = self._add(link, message)
            if refusal is not None:
                link.tell(Refused(message.request_id, *refusal))
        elif isinstance(message, Abort):
            self._abort(link, [link.requests[i] for i in message.request_ids if i in link.requests])
        elif isinstance(message, Ping):
            health = self._backend.health()
            link.tell(
                Status(
                    number=message.number,
                    at=monotonic(),
                    stats=self._backend.stats,
                    state=health.state,
                    detail=health.detail,
                )
            )
        elif isinstance(message, ResetPrefixCache | KVSnapshot) and self._backend.ready is not None:
            self._backend.send(message)

    def _add(self, link: _RouterLink, message: Add) -> tuple[str, str] | None:
        """Hand a request to the engine; kind and message of a refusal."""
        if message.request_id in link.requests:
            return "duplicate", "this id is in use by an unfinished request"
        if self._draining:
            return "draining", "the replica takes no new requests"
        if len(self._owners) >= self.limits.max_requests:
            return "overloaded", f"the replica has {len(self._owners)} requests; allowed: {self.limits.max_requests}"
        # Ids of the engine are used once, so that late tokens of an aborted request reach no other.
        engine_id = f"{next(self._serials)}:{message.request_id}"
        try:
            self._backend.send(msgspec.structs.replace(message, request_id=engine_id))
        except EngineError as error:
            return "unavailable", str(error)
        except MessageError as error:
            return "invalid", str(error)
        link.requests[message.request_id] = engine_id
        self._owners[engine_id] = link, message.request_id
        self._idle.clear()
        return None

    def _abort(self, link: _RouterLink, engine_ids: list[str]) -> None:
        engine_ids = [engine_id for engine_id in engine_ids if self._forget(engine_id) is not None]
        if not engine_ids or self._backend.ready is None:
            return
        self._backend.send(Abort(engine_ids))
        if not self._owners:
            self._backend.ping()  # no step will tell how the engine is now

    def _forget(self, engine_id: str) -> tuple[_RouterLink, str] | None:
        owner = self._owners.pop(engine_id, None)
        if owner is not None:
            link, request_id = owner
            link.requests.pop(request_id, None)
            if not self._owners:
                self._idle.set()
        return owner

    # -- links -----------------------------------------------------------------------------------------------

    def new_handshake(self, link: _RouterLink) -> ReplicaHandshake:
        if len(self._strangers) >= self.limits.max_handshakes:
            oldest = next(iter(self._strangers))
            self._log(oldest.peer, "too many connections without a handshake")
            oldest.cut("another one takes its place")
        self._strangers[link] = None
        return ReplicaHandshake(self._secret, self.facts.replica_id)

    def accept(self, link: _RouterLink, answer: Accepted) -> None:
        """The router has proved that it is one. Raises HandshakeError when there is no place for it."""
        if len(self._routers) >= self.limits.max_routers:
            raise HandshakeError("full", f"the replica has {len(self._routers)} routers, which is all it allows")
        del self._strangers[link]
        self._routers[link] = None
        logger.info("router %s has connected from %s", link.router_id, link.peer)
        link.tell(answer)
        ready = self._backend.ready
        link.tell(Lost(self._backend.health().detail, []) if ready is None else self._welcome(ready))
        if self._draining:
            link.tell(Draining())

    def reject(self, link: _RouterLink, error: HandshakeError) -> None:
        self._log(link.peer, str(error))
        link.tell(Rejected(error.kind, str(error)))
        link.finish(self.limits.close_seconds)

    def link_ended(self, link: _RouterLink, reason: str) -> None:
        self._strangers.pop(link, None)
        if link in self._routers:
            del self._routers[link]
            logger.info("router %s is gone: %s; aborted: %d", link.router_id, reason, len(link.requests))
            self._abort(link, list(link.requests.values()))

    def _tick(self, elapsed: float) -> None:
        for link in list(self._routers):
            link.tick(elapsed, self.limits.silence_seconds)

    def _log(self, peer: str, why: str) -> None:
        """A line for what strangers do, but not for each time that they do it."""
        now = monotonic()
        if self._logged_at and now - self._logged_at < _LOG_SECONDS:
            self._num_unlogged += 1
            return
        logger.warning("rejected a connection from %s: %s (%d more since)", peer, why, self._num_unlogged)
        self._logged_at, self._num_unlogged = now, 0


class _RouterLink(Link):
    """A connection from outside: a stranger, until its handshake has succeeded.

    requests: the engine's ids by the router's. behind: a step ended that it was not told of.
    """

    def __init__(self, server: EngineServer) -> None:
        limits = server.limits
        super().__init__(
            HandshakeToReplica, MAX_HANDSHAKE_FRAME_BYTES, max_buffered_bytes=limits.max_buffered_bytes
        )
        self._server = server
        self._handshake: ReplicaHandshake | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.requests: dict[str, str] = {}
        self.router_id = ""
        self.wants_kv_events = self.behind = False

    def opened(self) -> None:
        self._handshake = self._server.new_handshake(self)
        late = HandshakeError("timeout", "the handshake took too long")
        seconds = self._server.limits.handshake_seconds
        self._deadline = asyncio.get_running_loop().call_later(seconds, self._server.reject, self, late)

    def received(self, message: Any) -> None:
        if self._handshake is not None:
            try:
                self._shake_hands(self._handshake, message)
            except HandshakeError as error:
                self._stop_deadline()
                self._server.reject(self, error)
        elif is_garbage(message):
            self.tell(Rejected("malformed", str(message)))
            logger.error("router %s sent what is not a message: %s", self.router_id, message)
            self.cut("it sent what is not a message")
        elif isinstance(message, MessageError):
            self.tell(Refused(message.request_id, "invalid", str(message)))
        else:
            self._server.from_router(self, message)

    def _shake_hands(self, handshake: ReplicaHandshake, message: object) -> None:
        answer = handshake.receive(message)
        if not isinstance(answer, Accepted):
            self.tell(answer)
            return
        assert handshake.accepted is not None
        self.router_id, self.wants_kv_events = handshake.accepted.router_id, handshake.accepted.kv_events
        self._server.accept(self, answer)
        self._stop_deadline()
        self._handshake = None
        self.expect(ToReplica, MAX_ADD_FRAME_BYTES)

    def tell(self, message: object) -> None:
        try:
            self.send(message)
        except MessageError as error:  # nothing that came through the engine's own socket
            logger.error("router %s cannot be told: %s", self.router_id, error)
            self.cut("a message for it cannot be sent")

    def ended(self, reason: str) -> None:
        self._stop_deadline()
        self._server.link_ended(self, reason)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
