"""The index of prefixes against a naive one."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sapwood.cluster.routing.prefix_index import PrefixIndex
from sapwood.engine.kv_events import AllCleared, BlocksRemoved, BlocksStored, KVEvent, KVEventBatch, KVEventBuffer

NAMES = [bytes([i]) * 4 for i in range(12)]
SLOTS = 20
MAX_ENTRIES = 30
chains = st.integers(0, 12).map(lambda n: NAMES[:n]) | st.lists(st.sampled_from(NAMES), unique=True, max_size=6)


class Naive:
    """Per slot a list of (name, known), the one used last at the end."""

    def __init__(self) -> None:
        self.entries: dict[int, list[tuple[bytes, bool]]] = {}
        self.capacity: dict[int, int] = {}

    def trim(self) -> None:
        for slot, own in self.entries.items():
            limit = min(self.capacity[slot], max(MAX_ENTRIES // len(self.entries), 1))
            del own[: max(len(own) - limit, 0)]

    def add(self, slot: int, names: list[bytes], known: bool) -> None:
        own = self.entries[slot]
        for name in reversed(names):
            was_known = (name, True) in own
            own[:] = [x for x in own if x[0] != name]
            own.append((name, known or was_known))
        self.trim()

    def store(self, slot: int, names: list[bytes]) -> None:
        own = self.entries[slot]
        own[:] = [(name, known or name in names) for name, known in own]
        own += [(name, True) for name in reversed(names) if (name, True) not in own]
        self.trim()

    def forget(self, slot: int, names: list[bytes], known: bool) -> None:
        self.entries[slot][:] = [x for x in self.entries[slot] if x[0] not in names or x[1] != known]

    def matched(self, names: list[bytes]) -> list[int]:
        out = []
        for slot in range(SLOTS):
            own = {name for name, _ in self.entries.get(slot, [])}
            out.append(next((i for i, name in enumerate(names) if name not in own), len(names)))
        return out


class IndexMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.index, self.naive = PrefixIndex(MAX_ENTRIES), Naive()
        self.sequence: dict[int, int | None] = {}

    @rule(slot=st.integers(0, SLOTS - 1), capacity=st.integers(1, 10))
    def open(self, slot: int, capacity: int) -> None:
        self.index.open(slot, capacity)
        self.naive.entries[slot], self.naive.capacity[slot] = [], capacity
        self.sequence[slot] = None
        self.naive.trim()

    @rule(slot=st.integers(0, SLOTS - 1))
    def close(self, slot: int) -> None:
        self.index.close(slot)
        self.naive.entries.pop(slot, None)

    @precondition(lambda self: self.naive.entries)
    @rule(data=st.data(), names=chains, how=st.sampled_from(["known", "predicted", "confirm", "retract"]))
    def change(self, data: st.DataObject, names: list[bytes], how: str) -> None:
        slot = data.draw(st.sampled_from(sorted(self.naive.entries)))
        own = self.naive.entries[slot]
        if how == "confirm":
            self.index.confirm(slot, names)
            own[:] = [(name, known or name in names) for name, known in own]
        elif how == "retract":
            self.index.retract(slot, names)
            self.naive.forget(slot, names, known=False)
        else:
            self.index.add(slot, names, known=how == "known")
            self.naive.add(slot, names, how == "known")

    @precondition(lambda self: self.naive.entries)
    @rule(
        data=st.data(), stored=chains, removed=chains, step=st.sampled_from([0, 0, 0, 0, -1, 1]),
        how=st.sampled_from(["news", "news", "snapshot", "cleared last"]),
    )  # fmt: skip
    def events(self, data: st.DataObject, stored: list[bytes], removed: list[bytes], step: int, how: str) -> None:
        slot = data.draw(st.sampled_from(sorted(self.naive.entries)))
        wanted = self.sequence[slot]
        sequence = max((wanted or 0) + step, 0)
        events: list[KVEvent] = {
            "news": [BlocksRemoved(removed), BlocksStored(stored)],
            "snapshot": [AllCleared(), BlocksStored(stored)],
            "cleared last": [BlocksStored(stored), AllCleared()],
        }[how]
        found = self.index.apply(slot, KVEventBatch(sequence, events))
        assert found == self.index.in_step(slot)
        if how != "snapshot" and (wanted is None or sequence != wanted):
            if wanted is None or sequence > wanted:
                self.sequence[slot] = None
            assert found == (self.sequence[slot] is not None)
            return
        assert found
        self.sequence[slot] = sequence + 1
        if how == "news":
            self.naive.forget(slot, removed, known=True)
        elif how == "snapshot":
            self.naive.forget(slot, [name for name in NAMES if name not in stored], known=True)
        self.naive.store(slot, stored)
        if how == "cleared last":
            self.naive.forget(slot, NAMES, known=True)

    @invariant()
    def same(self) -> None:
        for slot, own in self.naive.entries.items():
            assert list(self.index.entries(slot)) == own
        assert len(self.index) == sum(map(len, self.naive.entries.values())) <= MAX_ENTRIES
        assert self.index.num_names == len({n for own in self.naive.entries.values() for n, _ in own})

    @rule(names=chains)
    def match(self, names: list[bytes]) -> None:
        assert self.index.matched(names, SLOTS).tolist() == self.naive.matched(names)


TestIndexMachine = IndexMachine.TestCase


@given(st.lists(st.tuples(st.sampled_from(["stored", "removed", "take", "lose", "restart"]), st.sampled_from(NAMES))))
def test_a_lost_batch_is_noticed_and_a_snapshot_heals(history):
    """An engine's own buffer tells the index; batches are lost on the way, and the engine starts again."""
    index, buffer, cache = PrefixIndex(), KVEventBuffer(5), set()
    index.open(0, 100)

    def deliver() -> None:
        batch = buffer.take(sorted(cache))
        if batch is not None and not index.apply(0, batch):
            buffer.request_snapshot()
            batch = buffer.take(sorted(cache))
            assert batch is not None and index.apply(0, batch)

    for what, name in history:
        if what == "take":
            deliver()
        elif what == "lose":
            buffer.take(sorted(cache))
        elif what == "restart":
            buffer, cache = KVEventBuffer(5), set()
            index.open(0, 100)  # the router takes a new process for a new replica
        elif (name in cache) != (what == "stored"):
            cache ^= {name}
            getattr(buffer, what)(name)
    deliver()
    buffer.stored(NAMES[0])  # whatever was lost is noticed with the next batch
    cache.add(NAMES[0])
    deliver()
    assert {name for name, _ in index.entries(0)} == cache


def test_no_news_takes_away_what_is_still_to_come():
    index = PrefixIndex()
    index.open(0, 10)
    assert index.apply(0, KVEventBatch(7, [AllCleared(), BlocksStored(NAMES[:2])]))
    index.add(0, NAMES[:4], known=False)  # a request was sent; meanwhile the engine evicts and is cleared
    assert index.apply(0, KVEventBatch(8, [BlocksRemoved(NAMES[1:3])]))
    assert dict(index.entries(0)) == {NAMES[0]: True, NAMES[2]: False, NAMES[3]: False}
    assert index.apply(0, KVEventBatch(0, [AllCleared()]))
    assert dict(index.entries(0)) == {NAMES[2]: False, NAMES[3]: False}
    index.confirm(0, NAMES[:4])
    assert dict(index.entries(0)) == {NAMES[2]: True, NAMES[3]: True}


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
    with pytest.raises(ValueError, match="max_entries is 0; allowed: at least 1"):
        PrefixIndex(0)
