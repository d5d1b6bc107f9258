"""What an engine tells of its prefix cache: which names came and which went.

A router that applies the batches in order knows at every time which blocks a request would find. The set of names is
all that is told; which block holds one, and how often, is the engine's own affair.

Batches are numbered. One that begins with AllCleared says everything (it is a snapshot) and may follow any number; any
other follows the number before it, and whoever sees a gap asks for a snapshot. A new engine begins with one.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec


class BlocksStored(msgspec.Struct, tag="stored", frozen=True, array_like=True):
    """Blocks of these names can be found now."""

    hashes: list[bytes]


class BlocksRemoved(msgspec.Struct, tag="removed", frozen=True, array_like=True):
    """No block of these names is left. Some may be unknown to the listener: they came and went within a batch."""

    hashes: list[bytes]


class AllCleared(msgspec.Struct, tag="cleared", frozen=True, array_like=True):
    """Whatever was told before is gone."""


KVEvent = BlocksStored | BlocksRemoved | AllCleared


class KVEventBatch(msgspec.Struct, frozen=True, array_like=True):
    """Events in the order in which they are to be applied. sequence: one more than that of the batch before."""

    sequence: int
    events: list[KVEvent]

    @property
    def is_snapshot(self) -> bool:
        return bool(self.events) and isinstance(self.events[0], AllCleared)


class KVEventBuffer:
    """Changes since the last batch, at most `limit` of them: beyond that the next batch is a snapshot.

    Only the last change of a name counts, so a buffer that nobody empties is bounded, and a name that comes and goes
    all the time costs its listeners nothing.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"limit is {limit}; allowed: at least 1")
        self._limit = limit
        self._changes: dict[bytes, bool] = {}  # name -> whether it is there now
        self._whole = True  # the next batch is a snapshot: nobody knows anything of a new engine
        self._sequence = 0

    def stored(self, block_hash: bytes) -> None:
        self._change(block_hash, True)

    def removed(self, block_hash: bytes) -> None:
        self._change(block_hash, False)

    def request_snapshot(self) -> None:
        """Have the next batch say everything: the pool began anew, or a listener missed something."""
        self._whole = True
        self._changes = {}

    def _change(self, block_hash: bytes, present: bool) -> None:
        if self._whole:
            return
        self._changes[block_hash] = present
        if len(self._changes) > self._limit:
            self.request_snapshot()

    def take(self, names: Collection[bytes]) -> KVEventBatch | None:
        """The batch of what happened since the last one, None if nothing did. names: all that are there now."""
        events: list[KVEvent] = []
        if self._whole:
            events.append(AllCleared())
            if names:
                events.append(BlocksStored(list(names)))
        elif self._changes:
            removed = [name for name, present in self._changes.items() if not present]
            stored = [name for name, present in self._changes.items() if present]
            if removed:
                events.append(BlocksRemoved(removed))
            if stored:
                events.append(BlocksStored(stored))
        else:
            return None
        self._whole, self._changes = False, {}
        batch = KVEventBatch(self._sequence, events)
        self._sequence += 1
        return batch
