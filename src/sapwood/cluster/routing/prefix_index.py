"""Which replica has which blocks, as far as a router knows: what it sent there, and what engines tell.

A block's name maps to a set of replicas, the bits of an int: names are chains, so the replicas that have a prefix are
found by one `and` a block, however many there are. Each replica's names are kept in order of use and bounded by the
number of blocks that it has: what it must have evicted is forgotten here as well.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt


class PrefixIndex:
    """Slots are small ints that the caller gives out; `capacity` of a slot is set when it is opened."""

    def __init__(self) -> None:
        self._holders: dict[bytes, int] = {}
        self._names: dict[int, OrderedDict[bytes, None]] = {}
        self._capacity: dict[int, int] = {}

    def __len__(self) -> int:
        """Pairs of a name and a slot."""
        return sum(map(len, self._names.values()))

    @property
    def num_names(self) -> int:
        return len(self._holders)

    def open(self, slot: int, capacity: int) -> None:
        """A replica with no blocks known, which has room for `capacity` of them."""
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}; allowed: at least 1")
        self.close(slot)
        self._names[slot] = OrderedDict()
        self._capacity[slot] = capacity

    def close(self, slot: int) -> None:
        """The replica is gone: nothing of it is left. Does nothing for a slot that is not open."""
        self.clear(slot)
        self._names.pop(slot, None)
        self._capacity.pop(slot, None)

    def clear(self, slot: int) -> None:
        """The replica's cache is empty."""
        for name in self._names.get(slot, ()):
            self._drop(name, slot)
        if slot in self._names:
            self._names[slot] = OrderedDict()

    def replace(self, slot: int, names: Iterable[bytes]) -> None:
        """A snapshot: the replica has these blocks and no others."""
        self.clear(slot)
        self.add(slot, names)

    def add(self, slot: int, names: Iterable[bytes]) -> None:
        """The replica has these blocks, or will have: they were used just now, the first one last.

        The order is that of the engine, which evicts the end of a prefix before its beginning.
        """
        own, bit = self._names[slot], 1 << slot
        for name in reversed(list(names)):
            if name in own:
                own.move_to_end(name)
            else:
                own[name] = None
                self._holders[name] = self._holders.get(name, 0) | bit
        while len(own) > self._capacity[slot]:
            name, _ = own.popitem(last=False)
            self._drop(name, slot)

    def remove(self, slot: int, names: Iterable[bytes]) -> None:
        """The replica has these blocks no more. Names that are not known are ignored."""
        own = self._names[slot]
        for name in names:
            if name in own:
                del own[name]
                self._drop(name, slot)

    def _drop(self, name: bytes, slot: int) -> None:
        rest = self._holders[name] & ~(1 << slot)
        if rest:
            self._holders[name] = rest
        else:
            del self._holders[name]

    def names(self, slot: int) -> Iterator[bytes]:
        """Of a replica, the one that will be forgotten first coming first."""
        return iter(self._names.get(slot, ()))

    def matched(self, names: Sequence[bytes], num_slots: int) -> npt.NDArray[np.int64]:
        """For each of the first `num_slots` slots how many of the names, from the first on, it has."""
        depths = np.zeros(num_slots, np.int64)
        alive = (1 << num_slots) - 1
        for depth, name in enumerate(names):
            left = alive & self._holders.get(name, 0)
            if left != alive:
                if depth:
                    depths[_slots(alive & ~left, num_slots)] = depth
                alive = left
                if not alive:
                    return depths
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
