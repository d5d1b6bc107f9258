"""What a router knows of every replica: columns over slots, so that a thousand replicas are scored in a few operations.

Load is counted in tokens. Of a request that was sent to a replica, `prefill` are prompt tokens that it has still to
compute, `decode` those that it will probably still generate, `held` the tokens whose keys and values it keeps for this
request alone: a prefix that was cached belongs to whoever brought it, and a request that waits holds nothing yet.

What other routers sent to a replica shows in its own statistics only: the `other_` columns are what these count beyond
this router's requests, and are as old as they are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

READY, DRAINING, UNHEALTHY = "ready", "draining", "unhealthy"
STATES = (READY, DRAINING, UNHEALTHY)
_COLUMNS = ("prefill", "decode", "held", "requests", "other_prefill", "other_requests", "other_held", "capacity",
            "max_model_len", "last_given")  # fmt: skip
_HALF_LIFE_SECONDS = 10.0  # of busy time, after which a measurement of speed counts half


@dataclass(frozen=True)
class ReplicaInfo:
    """A replica as it introduces itself.

    tokens_per_second: of a busy replica of its pool, a first guess; what is measured replaces it.
    num_blocks, block_size: of its KV cache. numerics_id: see `ModelRunner`.
    """

    replica_id: str
    pool: str
    model: str
    numerics_id: str
    block_size: int
    num_blocks: int
    max_model_len: int
    tokens_per_second: float

    def __post_init__(self) -> None:
        for name in ("block_size", "num_blocks", "max_model_len", "tokens_per_second"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed: above 0")


@dataclass
class PoolSpeed:
    """Tokens per second of a busy replica of a pool. `seconds` of measurement stand behind it."""

    tokens_per_second: float
    seconds: float = 0.0

    def measure(self, tokens: float, seconds: float) -> None:
        """A replica computed so many tokens in so many seconds in which requests waited."""
        keep = 2.0 ** (-seconds / _HALF_LIFE_SECONDS)
        known = self.seconds * keep
        self.tokens_per_second = (self.tokens_per_second * known + tokens) / (known + seconds)
        self.seconds = known + seconds


class _Numbers:
    """Numbers for things that are equal, in order of their first appearance."""

    def __init__(self) -> None:
        self.items: list[object] = []
        self._number: dict[object, int] = {}

    def of(self, item: object) -> int:
        """A new one for a new item."""
        if item not in self._number:
            self._number[item] = len(self.items)
            self.items.append(item)
        return self._number[item]

    def find(self, item: object) -> int:
        """-1 for an item that is not there."""
        return self._number.get(item, -1)


class Fleet:
    """Replicas in slots. A slot of a replica that is gone is used again.

    Columns, one element a slot, int64 where nothing else is said: prefill, decode, held (tokens, see above), requests,
    other_prefill, other_requests, other_held (which may be below 0: what is shared is held once), capacity (tokens of
    the KV cache), max_model_len, last_given (a number that grows), ready (bool, whether it takes requests), and numbers
    that say which model, pool and kind of block names (`group`) a replica has.
    """

    prefill: np.ndarray
    decode: np.ndarray
    held: np.ndarray
    requests: np.ndarray
    other_prefill: np.ndarray
    other_requests: np.ndarray
    other_held: np.ndarray
    capacity: np.ndarray
    max_model_len: np.ndarray
    last_given: np.ndarray

    def __init__(self) -> None:
        self.infos: list[ReplicaInfo | None] = []
        self.states: list[str] = []
        self.slot_of: dict[str, int] = {}
        self.speeds: list[PoolSpeed] = []  # by the number of the pool
        self.ready = np.zeros(0, bool)
        self.model, self.pool, self.group = (np.zeros(0, np.int64) for _ in range(3))
        for name in _COLUMNS:
            setattr(self, name, np.zeros(0, np.int64))
        self._models, self._pools, self._groups = _Numbers(), _Numbers(), _Numbers()
        self._members: Counter[tuple[str, int, str, int]] = Counter()  # (model, group, numerics id, block size)
        self._free: list[int] = []
        self._seen: dict[int, tuple[float, int, bool]] = {}  # slot -> time, tokens computed, whether requests waited

    @property
    def num_slots(self) -> int:
        return len(self.infos)

    def groups(self, model: str) -> list[tuple[int, str, int]]:
        """(number, numerics id, block size) of each kind of block names that replicas of a model have now."""
        return [(group, numerics_id, size) for name, group, numerics_id, size in self._members if name == model]

    def number_of_model(self, model: str) -> int:
        """-1 for a model that no replica has had."""
        return self._models.find(model)

    def add(self, info: ReplicaInfo) -> int:
        """Its slot. Raises ValueError for an id that is there."""
        if info.replica_id in self.slot_of:
            raise ValueError(f"replica {info.replica_id!r} is there already")
        slot = self._free.pop() if self._free else self._grow()
        self.infos[slot] = info
        self.slot_of[info.replica_id] = slot
        for name in _COLUMNS:
            getattr(self, name)[slot] = 0
        self.capacity[slot] = info.num_blocks * info.block_size
        self.max_model_len[slot] = info.max_model_len
        self.model[slot] = self._models.of(info.model)
        self.group[slot] = self._groups.of((info.numerics_id, info.block_size))
        self._members[self._member(slot)] += 1
        self.pool[slot] = pool = self._pools.of(info.pool)
        if pool == len(self.speeds):
            self.speeds.append(PoolSpeed(info.tokens_per_second))
        self.set_state(info.replica_id, READY)
        return slot

    def _grow(self) -> int:
        self.infos.append(None)
        self.states.append(UNHEALTHY)
        for name in (*_COLUMNS, "ready", "model", "pool", "group"):
            column = getattr(self, name)
            setattr(self, name, np.append(column, np.zeros(1, column.dtype)))
        return len(self.infos) - 1

    def remove(self, replica_id: str) -> int:
        """The slot that is free now. Raises KeyError."""
        slot = self.slot_of.pop(replica_id)
        member = self._member(slot)
        self._members[member] -= 1
        if not self._members[member]:
            del self._members[member]
        self.infos[slot] = None
        self.states[slot] = UNHEALTHY
        self.ready[slot] = False
        self._seen.pop(slot, None)
        self._free.append(slot)
        return slot

    def _member(self, slot: int) -> tuple[str, int, str, int]:
        info = self.info(slot)
        return info.model, int(self.group[slot]), info.numerics_id, info.block_size

    def set_state(self, replica_id: str, state: str) -> None:
        """Raises KeyError, and ValueError for a state that is none."""
        if state not in STATES:
            raise ValueError(f"state is {state!r}; allowed: {', '.join(STATES)}")
        slot = self.slot_of[replica_id]
        self.states[slot] = state
        self.ready[slot] = state == READY

    def info(self, slot: int) -> ReplicaInfo:
        info = self.infos[slot]
        assert info is not None
        return info

    @property
    def tokens_per_second(self) -> np.ndarray:
        """Of each slot, by what is known of its pool."""
        return np.array([speed.tokens_per_second for speed in self.speeds])[self.pool]

    @property
    def full(self) -> np.ndarray:
        """The share of each cache that requests hold, float64, 0 and above."""
        return np.maximum(self.held + self.other_held, 0) / np.maximum(self.capacity, 1)

    def observe_load(
        self, replica_id: str, num_requests: int, num_waiting_tokens: int, kv_cache_usage: float
    ) -> None:
        """What an engine's statistics say of its load, from all routers together."""
        slot = self.slot_of[replica_id]
        self.other_requests[slot] = max(num_requests - self.requests[slot], 0)
        self.other_prefill[slot] = max(num_waiting_tokens - self.prefill[slot], 0)
        self.other_held[slot] = round(kv_cache_usage * self.capacity[slot]) - self.held[slot]

    def observe(self, replica_id: str, now: float, num_batched_tokens: int, num_waiting: int) -> None:
        """What an engine's statistics say of its speed: tokens computed since its start, requests that wait."""
        slot = self.slot_of[replica_id]
        before, self._seen[slot] = self._seen.get(slot), (now, num_batched_tokens, num_waiting > 0)
        if before is None or not before[2] or num_waiting == 0:
            return  # it was not busy all the time
        seconds, tokens = now - before[0], num_batched_tokens - before[1]
        if seconds > 0 and tokens > 0:
            self.speeds[self.pool[slot]].measure(tokens, seconds)
