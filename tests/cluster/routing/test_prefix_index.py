"""The index of prefixes against a naive one."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sapwood.cluster.routing.prefix_index import PrefixIndex

NAMES = [bytes([i]) * 4 for i in range(12)]
SLOTS = 20
chains = st.integers(0, 12).map(lambda n: NAMES[:n]) | st.lists(st.sampled_from(NAMES), unique=True, max_size=6)


class Naive:
    """Per slot a list of names, the one used last at the end."""

    def __init__(self) -> None:
        self.names: dict[int, list[bytes]] = {}
        self.capacity: dict[int, int] = {}

    def add(self, slot: int, names: list[bytes]) -> None:
        own = self.names[slot]
        for name in reversed(names):
            if name in own:
                own.remove(name)
            own.append(name)
        del own[: max(len(own) - self.capacity[slot], 0)]

    def matched(self, names: list[bytes]) -> list[int]:
        out = []
        for slot in range(SLOTS):
            own = self.names.get(slot, [])
            out.append(next((i for i, name in enumerate(names) if name not in own), len(names)))
        return out


class IndexMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.index, self.naive = PrefixIndex(), Naive()

    @rule(slot=st.integers(0, SLOTS - 1), capacity=st.integers(1, 10))
    def open(self, slot: int, capacity: int) -> None:
        self.index.open(slot, capacity)
        self.naive.names[slot], self.naive.capacity[slot] = [], capacity

    @rule(slot=st.integers(0, SLOTS - 1))
    def close(self, slot: int) -> None:
        self.index.close(slot)
        self.naive.names.pop(slot, None)

    @precondition(lambda self: self.naive.names)
    @rule(data=st.data(), names=chains, how=st.sampled_from(["add", "add", "remove", "replace", "clear"]))
    def change(self, data: st.DataObject, names: list[bytes], how: str) -> None:
        slot = data.draw(st.sampled_from(sorted(self.naive.names)))
        own = self.naive.names[slot]
        if how == "clear":
            self.index.clear(slot)
            own.clear()
            return
        getattr(self.index, how)(slot, names)
        if how == "remove":
            own[:] = [name for name in own if name not in names]
            return
        if how == "replace":
            own.clear()
        self.naive.add(slot, names)

    @invariant()
    def same(self) -> None:
        for slot in range(SLOTS):
            assert list(self.index.names(slot)) == self.naive.names.get(slot, [])
        assert len(self.index) == sum(map(len, self.naive.names.values()))
        assert self.index.num_names == len({n for own in self.naive.names.values() for n in own})

    @rule(names=chains)
    def match(self, names: list[bytes]) -> None:
        assert self.index.matched(names, SLOTS).tolist() == self.naive.matched(names)


TestIndexMachine = IndexMachine.TestCase


@given(st.integers(1, 300), st.data())
def test_many_slots(count, data):
    """Sets of more than a few slots are unpacked in another way."""
    index = PrefixIndex()
    depths = data.draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))
    for slot, depth in enumerate(depths):
        index.open(slot, 10)
        index.add(slot, NAMES[:depth])
    assert index.matched(NAMES[:4], count).tolist() == depths
    assert index.matched(NAMES[:2], count).tolist() == [min(d, 2) for d in depths]
    assert index.matched([], count).tolist() == [0] * count


def test_a_capacity_is_positive():
    with pytest.raises(ValueError, match="capacity is 0; allowed: at least 1"):
        PrefixIndex().open(0, 0)
