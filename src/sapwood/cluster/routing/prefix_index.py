"""Which replica has which blocks, as far as a router knows: what it sent there, and what engines tell.

A block's name maps to a set of replicas, the bits of an int: names are chains, so the replicas that have a prefix are
found by one `and` a block, however many there are.

An entry is a name and a replica, and of one of two kinds. A *predicted* one was made by a decision: a request was sent
there and will compute the block. It is taken back if the request ends before it has. A *known* one is computed: the
request's first token showed it, or events of the engine did. Events take away known entries only, for what is predicted
is still to come: news that the name has gone is about an earlier block.

Each replica's entries are kept in order of use, and bounded by its number of blocks and its share of `max_entries`:
what it must have evicted is forgotten here as well.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sapwood.engine.kv_events import BlocksRemoved, BlocksStored, KVEventBatch

MAX_ENTRIES = 2_000_000


@dataclass(slots=True)
class _Replica:
    """Entries (name -> whether it is known), longest unused first. next_sequence: of the events that come next; None
    while a snapshot is needed."""

    capacity: int
    entries: OrderedDict[bytes, bool] = field(default_factory=OrderedDict)
    next_sequence: int | None = None


class PrefixIndex:
    """Slots are small ints that the caller gives out; `capacity` of a slot is set when it is opened. Methods raise
    KeyError for slots that are not open. max_entries: of all replicas, which share it equally."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        if max_entries < 1:
            raise ValueError(f"max_entries is {max_entries}; allowed: at least 1")
        self._max_entries = self._share = max_entries
        self._holders: dict[bytes, int] = {}
        self._replicas: dict[int, _Replica] = {}

    def __len__(self) -> int:
        """The number of entries."""
        return sum(len(replica.entries) for replica in self._replicas.values())

    @property
    def num_names(self) -> int:
        return len(self._holders)

    def entries(self, slot: int) -> Iterator[tuple[bytes, bool]]:
        """Names and whether they are known, the one that will be forgotten first coming first."""
        return iter(self._replicas[slot].entries.items())

    def open(self, slot: int, capacity: int) -> None:
        """A replica with no blocks known, which has room for `capacity` of them."""
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}; allowed: at least 1")
        self.close(slot)
        self._replicas[slot] = _Replica(capacity)
        self._divide()

    def close(self, slot: int) -> None:
        """The replica is gone: nothing of it is left. Does nothing for a slot that is not open."""
        if slot in self._replicas:
            self._forget(slot, list(self._replicas[slot].entries))
            del self._replicas[slot]
            self._divide()

    def _divide(self) -> None:
        before, self._share = self._share, max(self._max_entries // max(len(self._replicas), 1), 1)
        if self._share < before:
            for slot in self._replicas:
                self._trim(slot)

    # -- what the router knows by itself -----------------------------------------------------------

    def add(self, slot: int, names: Iterable[bytes], known: bool = True) -> None:
        """The replica has these blocks, or, if not `known`, will have: they were used just now, the first one last.

        The order is that of the engine, which evicts the end of a prefix before its beginning. What is known stays so.
        """
        entries, holders, bit = self._replicas[slot].entries, self._holders, 1 << slot
        for name in reversed(list(names)):
            if name in entries:
                entries.move_to_end(name)
                if known:
                    entries[name] = True
            else:
                entries[name] = known
                held = holders.get(name)
                holders[name] = bit if held is None else held | bit  # new names of a slot share one int
        self._trim(slot)

    def confirm(self, slot: int, names: Iterable[bytes]) -> None:
        """These have been computed. Names that are not there stay away: who took them knew more."""
        entries = self._replicas[slot].entries
        for name in names:
            if name in entries:
                entries[name] = True

    def retract(self, slot: int, names: Iterable[bytes]) -> None:
        """These will not be computed after all: forgets those that are predicted."""
        entries = self._replicas[slot].entries
        self._forget(slot, [name for name in names if entries.get(name) is False])

    # -- what engines tell -------------------------------------------------------------------------

    def apply(self, slot: int, batch: KVEventBatch) -> bool:
        """Take a batch of an engine's events. False if a snapshot is needed, and then nothing was changed: there has
        been none, or a batch before this one is missing. One that came before is ignored.

        Numbers are those of one engine process. Another one needs its slot opened anew.
        """
        replica = self._replicas[slot]
        if batch.is_snapshot:
            stored = {name for e in batch.events if isinstance(e, BlocksStored) for name in e.hashes}
            self._forget(slot, [name for name, known in replica.entries.items() if known and name not in stored])
        elif replica.next_sequence is None or batch.sequence > replica.next_sequence:
            replica.next_sequence = None
            return False
        elif batch.sequence < replica.next_sequence:
            return True
        replica.next_sequence = batch.sequence + 1
        for event in batch.events[batch.is_snapshot :]:
            if isinstance(event, BlocksStored):
                self._store(slot, event.hashes)
            else:
                gone = event.hashes if isinstance(event, BlocksRemoved) else list(replica.entries)
                self._forget(slot, [name for name in gone if replica.entries.get(name)])
        return True

    def in_step(self, slot: int) -> bool:
        """Whether the engine's events have told all that its cache holds."""
        return self._replicas[slot].next_sequence is not None

    def _store(self, slot: int, names: Sequence[bytes]) -> None:
        """Make entries known. Those that are there keep their order of use, which events do not tell."""
        entries, holders, bit = self._replicas[slot].entries, self._holders, 1 << slot
        for name in reversed(names):  # engines name blocks from the beginning of a prefix on
            if name not in entries:
                holders[name] = holders.get(name, 0) | bit
            entries[name] = True
        self._trim(slot)

    # -- entries go --------------------------------------------------------------------------------

    def _trim(self, slot: int) -> None:
        replica = self._replicas[slot]
        limit = min(replica.capacity, self._share)
        while len(replica.entries) > limit:
            name, _ = replica.entries.popitem(last=False)
            self._drop(name, slot)

    def _forget(self, slot: int, names: Iterable[bytes]) -> None:
        entries = self._replicas[slot].entries
        for name in names:
            if entries.pop(name, None) is not None:
                self._drop(name, slot)

    def _drop(self, name: bytes, slot: int) -> None:
        rest = self._holders[name] & ~(1 << slot)
        if rest:
            self._holders[name] = rest
        else:
            del self._holders[name]

    # -- who has a prefix --------------------------------------------------------------------------

    def matched(self, names: Sequence[bytes], num_slots: int) -> npt.NDArray[np.int64]:
        """For each of the first `num_slots` slots how many of the names, from the first on, it has."""
        depths = np.zeros(num_slots, np.int64)
        holders = self._holders
        alive = holders.get(names[0], 0) if names else 0
        for depth, name in enumerate(names):
            left = alive & holders.get(name, 0)
            if left != alive:
                depths[_slots(alive ^ left, num_slots)] = depth
                alive = left
                if not alive:
                    return depths
        if alive:
            depths[_slots(alive, num_slots)] = len(names)
        return depths


def _slots(bits: int, num_slots: int) -> npt.NDArray[np.bool_] | list[int]:
    """The slots in a set, in a form that indexes an array."""
    if bits.bit_count() <= 8:
        found = []
        while bits:
            low = bits & -bits
            found.append(low.bit_length() - 1)
            bits ^= low
        return found
    data = np.frombuffer(bits.to_bytes(-(-num_slots // 8), "little"), np.uint8)
    return np.unpackbits(data, bitorder="little", count=num_slots).astype(bool)
