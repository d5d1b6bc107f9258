"""`ClusterBackend`: many engine replicas as one `EngineBackend`, so that `AsyncLLM` and a server see one engine.

Each text is routed when it is sent. Its tokens are kept here; when its replica is lost it goes on at another one, with
its prompt, what it has generated, and a seed that was chosen here: the rest of the text has the same bits, as long as
the other replica has the same numerics id. Whoever reads the text sees a pause.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from sapwood.cluster.routing.fleet import DRAINING, ReplicaInfo
from sapwood.cluster.routing.request import RoutingRequest
from sapwood.cluster.routing.router import NoReplica, Overloaded, Router
from sapwood.engine.client import EngineDeadError, EngineError, EngineOverloadedError, Health
from sapwood.engine.process.messages import Abort, Add, EngineStats, KVSnapshot, Ready, Refused, Step, TokenDelta

STRANDED_SECONDS = 60.0  # that a text waits for a replica after its own was lost
#: refusals of a replica that are not the request's fault (transport/messages.py)
ELSEWHERE = frozenset({"draining", "unavailable", "overloaded", "failed"})
_SUMMED = (
    "num_running", "num_waiting", "num_waiting_tokens", "num_free_blocks", "num_preemptions", "prefix_cache_queries",
    "prefix_cache_hits", "num_steps", "num_step_errors", "num_leaked_blocks", "num_batched_tokens",
)  # fmt: skip

logger = logging.getLogger(__name__)


class Connection(Protocol):
    """A replica, as the backend speaks to it (`transport/connection.py`)."""

    def send(self, message: object) -> None:
        """Raises EngineError when nobody takes it."""
        ...

    def ping(self) -> None: ...


@dataclass
class _Replica:
    info: ReplicaInfo
    ready: Ready
    connection: Connection
    max_num_seqs: int
    stats: EngineStats = field(default_factory=EngineStats)


@dataclass
class _Text:
    """A request of an engine, wherever it is. replica: the one that has it, "" while none does. refused: those that did
    not take it when it was placed last."""

    add: Add
    replica: str = ""
    outputs: list[int] = field(default_factory=list)
    numerics_id: str = ""  # of the engine that made `outputs`
    moves: int = 0
    refused: set[str] = field(default_factory=set)
    timer: Any = None  # of a text that waits for a replica

    def stop_waiting(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class ClusterBackend:
    """See `EngineBackend`. model: what the router calls it. max_moves: how often a text may go on elsewhere.

    call_later: as that of an event loop, which is the default.
    """

    def __init__(
        self,
        router: Router,
        model: str,
        *,
        on_message: Callable[[Step | Refused], None],
        on_lost: Callable[[str], None],
        busy: Callable[[], bool],
        max_moves: int = 3,
        call_later: Callable[..., Any] | None = None,
    ) -> None:
        self._router, self._model, self._max_moves = router, model, max_moves
        self._on_message = on_message
        self._call_later = call_later
        self._replicas: dict[str, _Replica] = {}
        self._texts: dict[str, _Text] = {}
        self._ended = asyncio.Event()
        self._started = asyncio.Event()
        self._random = random.Random()
        self.num_restarts = 0  # replicas that were lost

    # -- replicas come and go ------------------------------------------------------------------------------

    def add_replica(self, info: ReplicaInfo, ready: Ready, connection: Connection, max_num_seqs: int) -> None:
        """An engine takes requests: a new one, or one that was started again, which knows nothing of its past."""
        self.lose_replica(info.replica_id, "it was started again")
        self._replicas[info.replica_id] = _Replica(info, ready, connection, max_num_seqs)
        self._router.add_replica(info)
        self._started.set()
        for text_id, text in list(self._texts.items()):
            if not text.replica:
                text.refused.clear()
                self._place(text_id, text)

    def drain_replica(self, replica_id: str) -> None:
        """It gets nothing new; what it has ends there."""
        if replica_id in self._replicas:
            self._router.set_state(replica_id, DRAINING)

    def lose_replica(self, replica_id: str, reason: str) -> None:
        """What it had goes on elsewhere. Does nothing for a replica that is not there."""
        if self._replicas.pop(replica_id, None) is None:
            return
        self.num_restarts += 1
        lost = self._router.remove_replica(replica_id)
        logger.warning("replica %s is lost with %d texts: %s", replica_id, len(lost), reason)
        self._move(lost)

    # -- what a front end calls ----------------------------------------------------------------------------

    @property
    def ready(self) -> Ready | None:
        """Of any replica; None while there is none."""
        return next((replica.ready for replica in self._replicas.values()), None)

    @property
    def max_num_seqs(self) -> int:
        """Texts that all replicas run at once."""
        return sum(replica.max_num_seqs for replica in self._replicas.values())

    @property
    def stats(self) -> EngineStats:
        """Sums over the replicas that are there; the share of the KV cache is that of all blocks."""
        found = [replica.stats for replica in self._replicas.values()]
        sums = {name: sum(getattr(s, name) for s in found) for name in _SUMMED}
        blocks = [replica.info.num_blocks for replica in self._replicas.values()]
        used = sum(s.kv_cache_usage * n for s, n in zip(found, blocks, strict=True))
        return EngineStats(**sums, kv_cache_usage=used / max(sum(blocks), 1))

    def health(self) -> Health:
        if self._replicas:
            return Health("ok")
        return Health("dead" if self._started.is_set() else "starting", "no engine replica is there")

    async def start(self) -> Ready:
        """Wait for the first replica."""
        await self._started.wait()
        while self.ready is None:
            self._started.clear()
            await self._started.wait()
        return self.ready

    def send(self, message: object) -> None:
        if isinstance(message, Add):
            self._add(message)
        elif isinstance(message, Abort):
            self._abort(message.request_ids)
        else:
            for replica in list(self._replicas.values()):
                replica.connection.send(message)

    def ping(self) -> None:
        for replica in list(self._replicas.values()):
            replica.connection.ping()

    async def wait_ended(self) -> None:
        await self._ended.wait()

    async def close(self) -> None:
        for text in self._texts.values():
            text.stop_waiting()
        self._texts.clear()
        self._replicas.clear()
        self._ended.set()

    # -- texts ---------------------------------------------------------------------------------------------

    def _add(self, add: Add) -> None:
        if add.sampling_params.seed is None:  # so that another engine goes on as this one would have
            params = dataclasses.replace(add.sampling_params, seed=self._random.getrandbits(63))
            add = msgspec.structs.replace(add, sampling_params=params)
        text = _Text(add)
        try:
            self._send_to_one(add.request_id, text)
        except Overloaded as error:
            raise EngineOverloadedError(str(error), error.retry_after) from None
        except NoReplica as error:
            raise EngineDeadError(f"{error}; try again in a few seconds") from None
        self._texts[add.request_id] = text

    def _abort(self, text_ids: Iterable[str]) -> None:
        there: dict[str, list[str]] = {}
        for text_id in text_ids:
            text = self._texts.pop(text_id, None)
            if text is None:
                continue
            self._router.failed(text_id)
            text.stop_waiting()
            if text.replica:
                there.setdefault(text.replica, []).append(text_id)
        for replica_id, ids in there.items():
            self._tell(replica_id, Abort(ids))

    def _tell(self, replica_id: str, message: object) -> None:
        replica = self._replicas.get(replica_id)
        if replica is not None:
            try:
                replica.connection.send(message)
            except EngineError:
                pass  # it is gone, and with it what the message was about

    def _send_to_one(self, text_id: str, text: _Text) -> None:
        """Route a text and send it. Raises NoReplica and Overloaded."""
        add, tokens, exclude = text.add, text.add.prompt_token_ids, set(text.refused)
        if text.outputs:  # which engines of other arithmetic would not have generated
            tokens = [*tokens, *text.outputs]
            exclude |= {i for i, r in self._replicas.items() if r.info.numerics_id != text.numerics_id}
        most = add.sampling_params.max_tokens
        room = (1 << 30 if most is None else most) - len(text.outputs)
        request = RoutingRequest(text_id, self._model, tokens, max(room, 1), add.cache_salt)
        while True:
            chosen = self._router.route(request, exclude).replica_id
            replica = self._replicas[chosen]
            try:
                replica.connection.send(msgspec.structs.replace(add, output_token_ids=list(text.outputs)))
            except EngineError:  # it has just gone, and nobody has told us yet
                self._router.failed(text_id)
                exclude.add(chosen)
                continue
            except BaseException:
                self._router.failed(text_id)
                raise
            text.replica = chosen
            text.numerics_id = replica.info.numerics_id
            return

    def _move(self, text_ids: Iterable[str]) -> None:
        """Their replica has them no more."""
        for text_id in text_ids:
            text = self._texts.get(text_id)
            if text is None:
                continue
            text.replica, text.refused = "", set()
            text.moves += 1
            if text.moves > self._max_moves:
                self._give_up(text_id, f"its engine was lost {text.moves} times")
            else:
                self._place(text_id, text)

    def _place(self, text_id: str, text: _Text) -> None:
        """Send a text that no replica has, or let it wait for one."""
        try:
            self._send_to_one(text_id, text)
        except (NoReplica, Overloaded):
            if text.timer is None:
                later = self._call_later or asyncio.get_running_loop().call_later
                text.timer = later(STRANDED_SECONDS, self._strand, text_id, text)
            return
        text.stop_waiting()

    def _strand(self, text_id: str, text: _Text) -> None:
        if self._texts.get(text_id) is text and not text.replica:
            self._give_up(text_id, f"its engine was lost, and no other could go on for {STRANDED_SECONDS:.0f} s")

    def _give_up(self, text_id: str, why: str) -> None:
        self._texts.pop(text_id).stop_waiting()
        delta = TokenDelta(request_id=text_id, finish_reason="abort", error=f"the request was given up: {why}")
        self._on_message(Step(time.monotonic(), [delta], self.stats))

    # -- what replicas say ---------------------------------------------------------------------------------

    def receive(self, replica_id: str, message: Step | Refused) -> None:
        """Of a replica that is there; of others it is ignored."""
        replica = self._replicas.get(replica_id)
        if replica is None:
            return
        if isinstance(message, Refused):
            self._refused(replica_id, message)
            return
        replica.stats = message.stats
        stats = message.stats
        self._router.observe(replica_id, message.at, stats.num_batched_tokens, stats.num_waiting)
        if message.kv_events is not None and not self._router.apply_events(replica_id, message.kv_events):
            self._tell(replica_id, KVSnapshot())
        deltas = [delta for delta in message.deltas if self._took(replica_id, delta)]
        load = stats.num_running + stats.num_waiting, stats.num_waiting_tokens, stats.kv_cache_usage
        self._router.observe_load(replica_id, *load)
        if deltas:
            self._on_message(Step(message.at, deltas, self.stats))

    def _took(self, replica_id: str, delta: TokenDelta) -> bool:
        """Enter a delta; False for one of a text that this replica has no more."""
        text = self._texts.get(delta.request_id)
        if text is None or text.replica != replica_id:
            return False
        text.outputs += delta.token_ids
        self._router.generated(delta.request_id, len(delta.token_ids))
        if delta.finish_reason is not None:
            del self._texts[delta.request_id]
            if delta.finish_reason == "abort":
                self._router.failed(delta.request_id)
            else:
                self._router.finished(delta.request_id)
        return True

    def _refused(self, replica_id: str, message: Refused) -> None:
        text = self._texts.get(message.request_id)
        if text is None or text.replica != replica_id:
            return
        self._router.failed(message.request_id)
        if message.kind in ELSEWHERE:
            if message.kind == "draining":
                self.drain_replica(replica_id)
            text.replica = ""
            text.refused.add(replica_id)
            self._place(message.request_id, text)
            return
        del self._texts[message.request_id]
        self._on_message(message)
