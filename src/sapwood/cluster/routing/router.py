"""Prepare, filter, score, pick, and reserve at once; and what becomes of a request after that."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from sapwood.cluster.routing.filters import Candidate
from sapwood.cluster.routing.fleet import Fleet, ReplicaInfo
from sapwood.cluster.routing.policy import Policy
from sapwood.cluster.routing.prefix_index import MAX_ENTRIES, PrefixIndex
from sapwood.cluster.routing.request import RoutingRequest
from sapwood.engine.block_hash import extend_hashes, hash_root
from sapwood.engine.kv_events import KVEventBatch

FIRST_EXPECTED_OUTPUT = 128.0  # tokens, until texts have ended
_OUTPUT_WEIGHT = 0.02  # of one more text in the mean length
_MAX_RETRY_SECONDS = 60.0


class NoReplica(Exception):
    """No replica may get a request. removed: filter -> how many of those that were left before it."""

    def __init__(self, model: str, removed: dict[str, int]) -> None:
        why = ", ".join(f"{name} {count}" for name, count in removed.items() if count) or "there is none"
        super().__init__(f"no replica for model {model!r}: {why}")
        self.removed = removed


class Overloaded(Exception):
    """All replicas that could have a request have too much queued. retry_after: seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"all replicas have too much queued; try again in {retry_after:.0f} s")
        self.retry_after = retry_after


@dataclass(frozen=True)
class Decision:
    """cached_tokens: prompt tokens that the replica is thought to have. cost: as the policy counts it."""

    replica_id: str
    cached_tokens: int
    cost: float


@dataclass(slots=True)
class _Open:
    """A request that a replica has, and what is reserved for it there. to_compute: names of blocks that the replica is
    not thought to have."""

    request: RoutingRequest
    to_compute: Sequence[bytes]
    slot: int
    replica_id: str
    prefill: int
    decode: int
    held: int = 0
    generated: int = 0


@dataclass
class Router:
    """policy: what decides. max_queued_tokens: prompt tokens that may wait for a replica before it takes no more; None
    sets no limit. seed: of choices at random. max_index_entries: see `PrefixIndex`. Requests are open from `route` to
    `finished` or `failed`."""

    policy: Policy = field(default_factory=Policy)
    max_queued_tokens: int | None = None
    seed: int = 0
    max_index_entries: int = MAX_ENTRIES

    def __post_init__(self) -> None:
        self.fleet = Fleet()
        self.index = PrefixIndex(self.max_index_entries)
        self.open: dict[str, _Open] = {}
        self._random = np.random.default_rng(self.seed)
        self._given = 0
        self._expected: dict[str, float] = {}  # model -> tokens of a text

    # -- replicas ----------------------------------------------------------------------------------

    def add_replica(self, info: ReplicaInfo) -> None:
        """Raises ValueError for an id that is there."""
        self.index.open(self.fleet.add(info), info.num_blocks)

    def remove_replica(self, replica_id: str) -> list[str]:
        """The replica is gone. Its open requests, which are open no more. Raises KeyError."""
        lost = [name for name, x in self.open.items() if x.replica_id == replica_id]
        for name in lost:
            self._close(name)
        self.index.close(self.fleet.remove(replica_id))
        return lost

    def set_state(self, replica_id: str, state: str) -> None:
        """"ready", "draining" (gets nothing new) or "unhealthy". Raises KeyError and ValueError."""
        self.fleet.set_state(replica_id, state)

    def observe(self, replica_id: str, now: float, num_batched_tokens: int, num_waiting: int) -> None:
        """Statistics of an engine (`EngineStats`), from which speeds are measured."""
        self.fleet.observe(replica_id, now, num_batched_tokens, num_waiting)

    def observe_load(
        self, replica_id: str, num_requests: int, num_waiting_tokens: int, kv_cache_usage: float
    ) -> None:
        """Statistics of an engine (`EngineStats`), from which is seen what other routers sent it: requests that run or
        wait, tokens that wait, and the share of its cache that is held."""
        self.fleet.observe_load(replica_id, num_requests, num_waiting_tokens, kv_cache_usage)

    # -- a request ---------------------------------------------------------------------------------

    def route(self, request: RoutingRequest, exclude: Collection[str] = ()) -> Decision:
        """Choose a replica and reserve what the request will take there. Raises NoReplica and Overloaded, and
        ValueError for an id that is open."""
        if request.request_id in self.open:
            raise ValueError(f"request {request.request_id!r} is open already")
        fleet = self.fleet
        expected = min(request.max_tokens, round(self._expected.get(request.model, FIRST_EXPECTED_OUTPUT)))
        candidate = Candidate(request, fleet, self._cached(request), expected, exclude)
        slots = self._filtered(candidate)
        costs = np.zeros(fleet.num_slots)
        for scorer, weight in self.policy.scorers:
            costs += weight * scorer.cost(candidate)
        slot = self.policy.picker.pick(fleet, slots, costs[slots], self._random)
        cached = int(candidate.cached[slot])
        self._reserve(request, slot, cached, expected)
        return Decision(fleet.info(slot).replica_id, cached, float(costs[slot]))

    def _cached(self, request: RoutingRequest) -> np.ndarray:
        """Of each slot the prompt tokens that it has."""
        fleet = self.fleet
        out = np.zeros(fleet.num_slots, np.int64)
        for number, numerics_id, block_size in fleet.groups(request.model):
            found = self.index.matched(request.block_hashes(numerics_id, block_size), fleet.num_slots)
            found *= block_size
            out += found * (fleet.group == number)
        return out

    def _filtered(self, candidate: Candidate) -> np.ndarray:
        keep, removed = np.ones(self.fleet.num_slots, bool), {}
        count = self.fleet.num_slots
        for f in self.policy.filters:
            keep = keep & f.keep(candidate, keep)
            before, count = count, int(np.count_nonzero(keep))
            removed[f.name] = before - count
        if not count:
            raise NoReplica(candidate.request.model, removed)
        if self.max_queued_tokens is not None:
            prefill = self.fleet.prefill + self.fleet.other_prefill
            room = keep & ((prefill == 0) | (prefill + candidate.uncached <= self.max_queued_tokens))
            if not room.any():
                seconds = (prefill / self.fleet.tokens_per_second)[keep].min()
                raise Overloaded(float(min(max(seconds, 1.0), _MAX_RETRY_SECONDS)))
            keep = room
        return np.flatnonzero(keep)

    def _reserve(self, request: RoutingRequest, slot: int, cached: int, expected: int) -> None:
        fleet, info = self.fleet, self.fleet.info(slot)
        uncached = request.num_tokens - cached
        names = request.block_hashes(info.numerics_id, info.block_size)
        x = _Open(request, names[cached // info.block_size :], slot, info.replica_id, uncached, expected)
        self.open[request.request_id] = x
        self._account(x, 1)
        self._given += 1
        fleet.last_given[slot] = self._given
        self.index.add(slot, names, known=False)

    def _account(self, x: _Open, sign: int) -> None:
        fleet, slot = self.fleet, x.slot
        fleet.prefill[slot] += sign * x.prefill
        fleet.decode[slot] += sign * x.decode
        fleet.held[slot] += sign * x.held
        fleet.requests[slot] += sign

    def generated(self, request_id: str, count: int) -> None:
        """A request brought `count` tokens more; the first of them say that its prompt is computed. Unknown ids are
        ignored: what ended may still be told of."""
        x = self.open.get(request_id)
        if x is None or count < 1:
            return
        if not x.generated:
            self.index.confirm(x.slot, x.to_compute)
        self._account(x, -1)
        x.held += x.prefill + count
        x.prefill = 0
        x.decode = max(x.decode - count, 0)
        x.generated += count
        self._account(x, 1)

    def finished(self, request_id: str, output_token_ids: Sequence[int] = ()) -> None:
        """A request has its last token. output_token_ids: what it generated, which is in that replica's cache now."""
        x = self._close(request_id)
        if x is None:
            return
        mean = self._expected.get(x.request.model, FIRST_EXPECTED_OUTPUT)
        self._expected[x.request.model] = mean + _OUTPUT_WEIGHT * (x.generated - mean)
        if output_token_ids and not self.index.in_step(x.slot):  # else the engine tells it
            info = self.fleet.info(x.slot)
            tokens = [*x.request.prompt_token_ids, *output_token_ids[:-1]]  # the last one is not computed
            names = x.request.block_hashes(info.numerics_id, info.block_size).copy()
            extend_hashes(
                names, hash_root(info.numerics_id, info.block_size, x.request.cache_salt), tokens, info.block_size
            )
            self.index.add(x.slot, names)

    def failed(self, request_id: str) -> None:
        """A request ended without its last token: aborted, refused, or to be routed again with `exclude`."""
        self._close(request_id)

    def _close(self, request_id: str) -> _Open | None:
        x = self.open.pop(request_id, None)
        if x is not None:
            if not x.generated:
                self.index.retract(x.slot, x.to_compute)
            self._account(x, -1)
        return x

    # -- what engines tell of their caches ---------------------------------------------------------

    def apply_events(self, replica_id: str, batch: KVEventBatch) -> bool:
        """Events of a replica's prefix cache. False, changing nothing, when a snapshot is needed: ask the engine for
        one. A replica whose process was started again is another replica: remove it and add it. Raises KeyError."""
        return self.index.apply(self.fleet.slot_of[replica_id], batch)
