"""Decisions of the router: who gets what, what is reserved for it, and what is given back."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sapwood.cluster.routing.fleet import ReplicaInfo
from sapwood.cluster.routing.policy import Policy, PolicyError
from sapwood.cluster.routing.request import RoutingRequest
from sapwood.cluster.routing.router import NoReplica, Overloaded, Router
from sapwood.engine.block_hash import hash_blocks
from sapwood.engine.kv_events import AllCleared, BlocksRemoved, BlocksStored, KVEvent, KVEventBatch


def replica(name: str, **changes: Any) -> ReplicaInfo:
    values: dict[str, Any] = {
        "replica_id": name, "pool": "p", "model": "m", "numerics_id": "n", "block_size": 4, "num_blocks": 1000,
        "max_model_len": 2000, "tokens_per_second": 1000.0,
    }  # fmt: skip
    return ReplicaInfo(**{**values, **changes})


def router(count: int = 4, policy: Policy | None = None, **options: Any) -> Router:
    found = Router(policy or Policy(), **options)
    for i in range(count):
        found.add_replica(replica(f"r{i}"))
    return found


def request(name: str, tokens: list[int] | int, max_tokens: int = 100, **more: Any) -> RoutingRequest:
    """An int: so many tokens that nobody else has."""
    if isinstance(tokens, int):
        rng = random.Random(name)
        tokens = [rng.randrange(1 << 20) for _ in range(tokens)]
    return RoutingRequest(name, more.pop("model", "m"), tokens, max_tokens, **more)


def test_cold_prefixes_are_spread():
    r = router(6)
    assert Counter(r.route(request(str(i), 200)).replica_id for i in range(6)) == {f"r{i}": 1 for i in range(6)}


def test_short_requests_of_a_burst_are_spread():
    """Costs are equal but for a few tokens: no replica may get them all."""
    r = router(4)
    found = Counter(r.route(request(str(i), 5 + i % 3, max_tokens=4)).replica_id for i in range(80))
    assert max(found.values()) <= 22


def test_a_prefix_goes_where_it_is_until_the_queue_costs_more():
    r = router(4)
    prefix = list(range(800))
    first = r.route(request("first", [*prefix, 1], max_tokens=1))
    r.generated("first", 1)
    r.finished("first")
    found = [r.route(request(str(i), [*prefix, 2, i], max_tokens=1)) for i in range(400)]
    assert all(d.replica_id == first.replica_id and d.cached_tokens == 800 for d in found[:100])
    count = Counter(d.replica_id for d in found)
    assert len(count) == 4 and max(count.values()) < 320  # each of the others has computed it once


def test_a_prefix_of_another_salt_is_another_prefix():
    r = router(1)
    tokens = list(range(100))
    r.route(request("a", tokens, cache_salt="x"))
    assert r.route(request("b", tokens, cache_salt="y")).cached_tokens == 0
    assert r.route(request("c", tokens, cache_salt="x")).cached_tokens == 96  # the last token is always computed


def test_a_generated_text_is_found_in_the_next_turn():
    r = router(3)
    prompt, answer = list(range(50)), list(range(100, 131))
    where = r.route(request("a", prompt)).replica_id
    r.generated("a", len(answer))
    r.finished("a", answer)
    turn = r.route(request("b", [*prompt, *answer, 7, 8, 9]))
    assert (turn.replica_id, turn.cached_tokens) == (where, 80)  # 50 + 31 - 1 tokens are computed: 20 blocks


def test_fast_and_slow_devices_share_by_speed():
    r = Router()
    for i in range(2):
        r.add_replica(replica(f"fast{i}", pool="fast", tokens_per_second=8000.0))
        r.add_replica(replica(f"slow{i}", pool="slow"))
    found = Counter(r.route(request(str(i), 100, max_tokens=10)).replica_id[:4] for i in range(900))
    assert found["fast"] == pytest.approx(800, abs=10)


def test_speed_is_measured():
    r = Router()
    r.add_replica(replica("a", pool="a"))
    r.add_replica(replica("b", pool="b"))
    for k in range(20):  # b does 4,000 tokens a second while somebody waits; of a it says nothing that nobody does
        r.observe("b", 0.5 * k, 2000 * k, 1)
        r.observe("a", 0.5 * k, 10 * k, 0)
    a, b = (r.fleet.speeds[r.fleet.pool[r.fleet.slot_of[x]]].tokens_per_second for x in "ab")
    assert a == 1000.0 and b == pytest.approx(4000)
    r.observe("b", 11.0, 5, 1)  # started again: its count begins anew
    assert r.fleet.speeds[1].tokens_per_second == pytest.approx(4000)


def test_different_kinds_of_engines_have_names_of_their_own():
    r = Router()
    r.add_replica(replica("a", numerics_id="x", block_size=4))
    r.add_replica(replica("b", numerics_id="y", block_size=16))
    tokens = list(range(100))
    for name in ("1", "2"):
        r.route(request(name, tokens))
    assert {x.replica_id for x in r.open.values()} == {"a", "b"}
    third = request("3", [*tokens, 5])
    assert sorted(r._cached(third).tolist()) == [96, 96]
    r.failed("1")
    r.failed("2")
    assert r._cached(third).tolist() == [0, 0]  # neither was computed


def test_names_are_computed_for_kinds_of_engines_that_are_there():
    r = Router()
    r.add_replica(replica("a", numerics_id="x"))
    r.add_replica(replica("b", numerics_id="y"))
    r.add_replica(replica("c", numerics_id="z", model="other"))
    r.remove_replica("a")
    q = request("1", 100)
    r.route(q)
    assert list(q._hashes) == [("y", 4)]


def test_what_a_failed_request_would_have_computed_is_forgotten():
    r = router(1)
    prefix = list(range(40))
    r.route(request("a", prefix))
    for _ in range(2):
        assert r.route(request("b", [*prefix, *range(100, 121)])).cached_tokens == 36
        assert len(r.index) == 15
        r.failed("b")
        assert len(r.index) == 9
    r.generated("a", 1)
    r.failed("a")  # aborted: what is computed is computed
    assert len(r.index) == 9
    r.route(request("c", [*prefix, 1, 2]))
    r.failed("c")
    assert len(r.index) == 9


# -- filters -------------------------------------------------------------------------------------------


def test_what_cannot_have_a_request():
    r = router(2)
    r.set_state("r0", "draining")
    assert {r.route(request(str(i), 10)).replica_id for i in range(5)} == {"r1"}
    with pytest.raises(NoReplica) as e:
        r.route(request("x", 10), exclude={"r1", "gone"})
    assert e.value.removed == {"ready": 2, "model": 0, "context": 0, "cache": 0}
    with pytest.raises(NoReplica, match="no replica for model 'gpt': ready 1, model 1"):
        r.route(request("x", 10, model="gpt"))
    with pytest.raises(NoReplica, match="context 1"):
        r.route(request("x", 2000))
    r.set_state("r1", "unhealthy")
    r.set_state("r0", "ready")
    assert r.route(request("x", 1999)).replica_id == "r0"
    with pytest.raises(ValueError, match="request 'x' is open already"):
        r.route(request("x", 5))
    with pytest.raises(NoReplica, match="there is none"):
        Router().route(request("x", 5))


def test_a_full_cache_gets_nothing_while_another_has_room():
    r = Router()
    r.add_replica(replica("small", num_blocks=50))
    r.add_replica(replica("large", pool="slow", tokens_per_second=10.0))
    r.fleet.held[0] = 150
    assert r.route(request("a", 60)).replica_id == "large"
    assert r.route(request("b", 30)).replica_id == "small"
    r.set_state("large", "draining")
    assert r.route(request("c", 60)).replica_id == "small"  # it waits there


def test_what_waits_fills_no_cache():
    """A fast replica with a long queue goes on getting its share, though its queue is larger than its cache."""
    r = Router()
    r.add_replica(replica("fast", pool="fast", tokens_per_second=8000.0, num_blocks=100))
    r.add_replica(replica("slow", pool="slow", num_blocks=100))
    found = Counter(r.route(request(str(i), 100, max_tokens=10)).replica_id for i in range(90))
    assert found["fast"] == pytest.approx(80, abs=1)
    fast = next(i for i, x in r.open.items() if x.replica_id == "fast")
    assert r.fleet.held.tolist() == [0, 0]
    r.generated(fast, 3)
    assert r.fleet.held.tolist() == [103, 0]


def test_what_other_routers_sent_counts():
    r = router(2)
    r.observe_load("r0", 12, 5000, 0.5)
    assert {r.route(request(str(i), 100)).replica_id for i in range(5)} == {"r1"}
    fleet = r.fleet
    assert (fleet.other_requests[0], fleet.other_prefill[0], fleet.full[0]) == (12, 5000, 0.5)
    r.observe_load("r1", 5, 300, 0.25)  # all of it is this router's own
    assert (fleet.other_requests[1], fleet.other_prefill[1], fleet.full[1]) == (0, 0, 0.25)
    r.generated("0", 100)
    assert fleet.full[1] == 0.25 + 200 / 4000
    least = router(2, Policy.from_options({"scorers": ["requests"]}))
    least.observe_load("r0", 1, 0, 0.0)
    assert least.route(request("a", 10)).replica_id == "r1"
    limited = router(1, max_queued_tokens=500)
    limited.observe_load("r0", 1, 600, 0.0)
    with pytest.raises(Overloaded):
        limited.route(request("a", 10))


def test_queues_have_an_end():
    r = router(2, max_queued_tokens=500)
    for i in range(4):
        r.route(request(str(i), 240))
    with pytest.raises(Overloaded) as e:
        r.route(request("x", 240))
    assert e.value.retry_after == 1.0
    r.generated("0", 1)
    assert r.route(request("x", 240)).replica_id == r.open["0"].replica_id
    alone = router(1, max_queued_tokens=500)
    assert alone.route(request("x", 1000)).replica_id == "r0"  # what is larger than the limit may have an empty queue


def test_after_a_failure_elsewhere():
    r = router(3)
    first = r.route(request("a", 100)).replica_id
    r.failed("a")
    second = r.route(request("a", 100), exclude={first}).replica_id
    assert second != first
    assert r.remove_replica(second) == ["a"]
    assert r.route(request("a", 100)).replica_id != second
    with pytest.raises(KeyError):
        r.remove_replica(second)
    r.add_replica(replica(second))  # a new process of the same name has nothing in its cache
    assert not list(r.index.entries(r.fleet.slot_of[second]))


# -- pickers -------------------------------------------------------------------------------------------


def picks(policy: dict[str, Any], seed: int, count: int = 200) -> list[str]:
    r = router(4, Policy.from_options(policy), seed=seed)
    r.fleet.prefill[:] = [0, 200, 400, 100_000]
    out = []
    for i in range(count):
        out.append(r.route(request(str(i), 20, max_tokens=1)).replica_id)
        r.failed(str(i))
    return out


@pytest.mark.parametrize("name", ["random", "two_choices", "softmax"])
def test_choices_at_random_repeat_with_the_seed(name):
    assert picks({"picker": name}, 1) == picks({"picker": name}, 1) != picks({"picker": name}, 2)


def test_softmax_gives_by_cost():
    found = Counter(picks({"picker": {"name": "softmax", "temperature": 0.2}}, 1, 2000))
    assert found["r0"] / found["r1"] == pytest.approx(np.e, rel=0.2)  # costs are 0.2 s apart
    assert found["r1"] / found["r2"] == pytest.approx(np.e, rel=0.2)
    assert found["r3"] == 0
    assert set(picks({"picker": {"name": "softmax", "temperature": 1e-6}}, 1)) == {"r0"}


def test_two_choices_are_two():
    assert "r3" not in picks({"picker": "two_choices"}, 1)  # whoever is drawn beside the worst is better
    assert len(set(picks({"picker": "two_choices"}, 1))) == 3


def test_idle_replicas_take_turns():
    """Each request has ended before the next one comes, so all cost the same; who begins depends on the seed."""
    orders = set()
    for seed in range(8):
        r = router(4, seed=seed)
        order = []
        for i in range(8):
            order.append(r.route(request(str(i), 50)).replica_id)
            r.failed(str(i))
        assert order[:4] == order[4:] and len(set(order)) == 4
        orders.add(tuple(order))
    assert len(orders) > 1


# -- events of engines ---------------------------------------------------------------------------------


def test_events_and_snapshots():
    r = router(2)
    tokens = list(range(40))
    names = hash_blocks(tokens, numerics_id="n", block_size=4)

    def cached() -> list[int]:
        return r._cached(request("probe", [*tokens, 1])).tolist()

    def tell(sequence: int, *events: KVEvent) -> bool:
        return r.apply_events("r1", KVEventBatch(sequence, list(events)))

    assert not tell(57, BlocksStored(names))  # a new router: what was there before is not known
    assert cached() == [0, 0]
    assert tell(58, AllCleared(), BlocksStored(names[:5]))
    assert cached() == [0, 20]
    assert tell(59, BlocksRemoved(names[4:5]), BlocksStored(names[5:8]))
    assert cached() == [0, 16]
    assert not tell(61, BlocksStored(names))  # the one before is missing: nothing is believed
    assert not tell(62, BlocksStored(names))
    assert cached() == [0, 16]
    assert tell(63, AllCleared(), BlocksStored(names[:9]))
    assert cached() == [0, 36]
    assert tell(62, BlocksRemoved(names)) and cached() == [0, 36]  # the snapshot has it
    assert tell(64, BlocksRemoved(names[2:3])) and cached() == [0, 8]
    r.route(request("a", [*tokens, 2], max_tokens=9), exclude={"r0"})
    r.generated("a", 9)
    r.finished("a", list(range(9)))
    assert len(r.index) == 10  # of the text the engine will tell itself
    r.remove_replica("r1")
    r.add_replica(replica("r1"))
    assert not tell(65, BlocksStored(names[:1])) and cached() == [0, 0]
    assert tell(0, AllCleared(), BlocksStored(names[:1])) and cached() == [0, 4]


# -- policies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "spread"),
    [
        ({"picker": "round_robin"}, 25),
        ({"scorers": ["requests"]}, 25),
        ({"scorers": ["requests"], "picker": "two_choices"}, 31),
        ({"picker": "random"}, 40),
    ],
)
def test_policies_to_compare_with(options, spread):
    r = router(4, Policy.from_options(options))
    found = Counter(r.route(request(str(i), 50)).replica_id for i in range(100))
    assert len(found) == 4 and max(found.values()) <= spread


def test_a_policy_of_a_file():
    found = Policy.from_options({
        "filters": ["context", {"name": "cache", "ceiling": 0.5}],
        "scorers": ["work", {"name": "cache_usage", "weight": 2}],
        "picker": {"name": "least", "tolerance": 0.5},
    })  # fmt: skip
    assert [f.name for f in found.filters] == ["ready", "model", "context", "cache"]
    assert [(s.name, weight) for s, weight in found.scorers] == [("work", 1.0), ("cache_usage", 2.0)]
    assert found.picker == Policy.from_options({"picker": {"name": "least", "tolerance": 0.5}}).picker
    assert Policy.from_options({}) == Policy()


@pytest.mark.parametrize(
    ("options", "path", "message"),
    [
        ({"scorer": []}, "scorer", "there is no such field; did you mean scorers?"),
        ({"scorers": "work"}, "scorers", "'work'; expected a list"),
        ({"scorers": ["works"]}, "scorers[0]", "'works'; there are work, cache_usage, requests, uncached_share; did"),
        ({"scorers": ["work", 5]}, "scorers[1]", "5; expected a name, or a mapping with one"),
        ({"scorers": [{"name": "work", "wait": 1}]}, "scorers[0].wait", "there is no such field; did you mean weight?"),
        ({"scorers": [{"name": "work", "weight": "x"}]}, "scorers[0].weight", "'x'; expected a number"),
        ({"scorers": [{"name": "work", "weight": float("nan")}]}, "scorers[0].weight", "nan; allowed: 0 to 1e6"),
        ({"picker": {"name": "least", "tolerance": -1}}, "picker.tolerance", "tolerance is -1.0; allowed: 0 to 10"),
        ({"filters": [{"name": "cache", "ceiling": True}]}, "filters[0].ceiling", "True; expected a number"),
        ({"filters": [{"name": "cache", "ceiling": 2}]}, "filters[0].ceiling", "ceiling is 2.0; allowed: above 0"),
        ({"picker": {"name": "softmax", "temperature": 0}}, "picker.temperature", "temperature is 0.0; allowed: 1e-6"),
        ({"filters": [{"name": "cache", "weight": 2}]}, "filters[0].weight", "there is no such field"),
    ],
)  # fmt: skip
def test_policies_that_cannot_be(options, path, message):
    with pytest.raises(PolicyError) as e:
        Policy.from_options(options)
    assert e.value.path == path and message in e.value.message


def test_values_of_replicas():
    with pytest.raises(ValueError, match="tokens_per_second is 0; allowed: above 0"):
        replica("x", tokens_per_second=0)
    r = router(1)
    with pytest.raises(ValueError, match="replica 'r0' is there already"):
        r.add_replica(replica("r0"))
    with pytest.raises(ValueError, match="state is 'gone'; allowed: ready, draining, unhealthy"):
        r.set_state("r0", "gone")


# -- what is reserved is given back --------------------------------------------------------------------


class RouterMachine(RuleBasedStateMachine):
    """Whatever happens: the columns are the sums over open requests, and nothing is left of what has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.router = Router(max_queued_tokens=3000)
        self.serial = 0
        self.replicas: list[str] = []
        self.wanted: dict[str, tuple[str, int, int, int]] = {}  # request -> replica, prefill, decode, held

    @rule(pool=st.sampled_from(["a", "b"]), numerics=st.sampled_from(["x", "y"]))
    def add(self, pool: str, numerics: str) -> None:
        self.serial += 1
        name = f"r{self.serial}"
        self.router.add_replica(replica(name, pool=pool, numerics_id=numerics, num_blocks=60))
        self.replicas.append(name)

    @precondition(lambda self: self.replicas)
    @rule(data=st.data(), how=st.sampled_from(["remove", "draining", "unhealthy", "ready", "ready"]))
    def change(self, data: st.DataObject, how: str) -> None:
        name = data.draw(st.sampled_from(self.replicas))
        if how != "remove":
            self.router.set_state(name, how)
            return
        before = {i for i, x in self.router.open.items() if x.replica_id == name}
        lost = self.router.remove_replica(name)
        assert set(lost) == before == {i for i, x in self.wanted.items() if x[0] == name}
        for i in lost:
            del self.wanted[i]
        self.replicas.remove(name)

    @rule(start=st.integers(0, 3), length=st.integers(1, 300), max_tokens=st.integers(1, 500))
    def route(self, start: int, length: int, max_tokens: int) -> None:
        self.serial += 1
        q = request(f"q{self.serial}", list(range(1000 * start, 1000 * start + length)), max_tokens)
        ready = {r for r in self.replicas if self.router.fleet.states[self.router.fleet.slot_of[r]] == "ready"}
        try:
            found = self.router.route(q)
        except NoReplica:
            assert not ready
        except Overloaded as e:
            assert ready and e.retry_after >= 1
        else:
            assert found.replica_id in ready and 0 <= found.cached_tokens < length
            expected = self.router.open[q.request_id].decode
            assert 0 <= expected <= max_tokens
            self.wanted[q.request_id] = found.replica_id, length - found.cached_tokens, expected, 0

    @precondition(lambda self: self.router.open)
    @rule(data=st.data(), how=st.sampled_from(["generated", "generated", "finished", "failed"]), n=st.integers(0, 40))
    def go_on(self, data: st.DataObject, how: str, n: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.router.open)))
        if how == "generated":
            self.router.generated(name, n)
            where, prefill, decode, held = self.wanted[name]
            if n:
                self.wanted[name] = where, 0, max(decode - n, 0), held + prefill + n
        elif how == "finished":
            self.router.finished(name, list(range(n)))
            del self.wanted[name]
        else:
            self.router.failed(name)
            del self.wanted[name]

    @rule()
    def unknown(self) -> None:
        self.router.generated("nobody", 3)
        self.router.finished("nobody", [1])
        self.router.failed("nobody")

    @invariant()
    def sums(self) -> None:
        fleet = self.router.fleet
        assert set(self.wanted) == set(self.router.open)
        for k, column in enumerate(("prefill", "decode", "held"), 1):
            wanted = [0] * fleet.num_slots
            for x in self.wanted.values():
                wanted[fleet.slot_of[x[0]]] += x[k]
            assert getattr(fleet, column).tolist() == wanted
        count = Counter(x.slot for x in self.router.open.values())
        assert fleet.requests.tolist() == [count[slot] for slot in range(fleet.num_slots)]
        coming = {(x.slot, name) for x in self.router.open.values() if not x.generated for name in x.to_compute}
        for slot in fleet.slot_of.values():
            entries = dict(self.router.index.entries(slot))
            assert len(entries) <= 60
            assert all(known or (slot, name) in coming for name, known in entries.items())
        assert {fleet.info(x.slot).replica_id for x in self.router.open.values()} <= set(self.replicas)


TestRouterMachine = RouterMachine.TestCase
