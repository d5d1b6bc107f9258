"""Many replicas as one engine: texts go on when theirs is lost, and nobody who reads them can tell."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from engine_fakes import FakeRunner
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sapwood.cluster.backend import STRANDED_SECONDS, ClusterBackend
from sapwood.cluster.routing.fleet import ReplicaInfo
from sapwood.cluster.routing.router import Router
from sapwood.engine.client import EngineDeadError, EngineOverloadedError
from sapwood.engine.engine_core import EngineCore
from sapwood.engine.process.messages import (
    Abort,
    Add,
    EngineStats,
    KVSnapshot,
    MemoryPlan,
    Ping,
    Ready,
    Refused,
    ResetPrefixCache,
    Step,
)
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.scheduler import SchedulerConfig

PLAN = MemoryPlan(weights_bytes=0, arena_bytes=0, kv_bytes=0, block_bytes=0, num_blocks=64, block_size=4)


def core(numerics_id: str = "fake") -> EngineCore:
    runner = FakeRunner(numerics_id=numerics_id)
    return EngineCore(runner, SchedulerConfig(32, 4, 64), eos_token_ids={3}, strict=True, kv_events=True)


class Replica:
    """An engine, and what a router sends it. `dead`: it takes nothing more, and nobody has been told."""

    def __init__(self, name: str, numerics_id: str = "fake") -> None:
        self.info = ReplicaInfo(name, "p", "m", numerics_id, 4, 64, 64, 1000.0)
        self.ready = Ready(
            pid=1, vocab_size=1000, max_model_len=64, numerics_id=numerics_id, memory=PLAN, load_seconds=0
        )  # fmt: skip
        self.core = core(numerics_id)
        self.refuses = ""
        self.dead = False
        self.silent = False  # events are lost on their way
        self.inbox: list[Any] = []
        self.pings = 0

    def send(self, message: object) -> None:
        if self.dead:
            raise EngineDeadError("the replica is not connected")
        self.inbox.append(message)

    def ping(self) -> None:
        self.pings += 1

    def run(self, receive: Callable[[str, Any], None]) -> None:
        """Read what came, and make a step."""
        if self.dead:
            return
        for message in self.inbox:
            if isinstance(message, Add) and self.refuses:
                receive(self.info.replica_id, Refused(message.request_id, self.refuses, "no"))
            elif isinstance(message, Add):
                self.core.add_request(
                    message.request_id, message.prompt_token_ids, message.sampling_params, message.cache_salt,
                    message.output_token_ids,
                )  # fmt: skip
            elif isinstance(message, Abort):
                self.core.abort_requests(message.request_ids)
            elif isinstance(message, KVSnapshot):
                self.core.request_kv_snapshot()
        self.inbox.clear()
        deltas = self.core.step() if self.core.has_unfinished_requests() else []
        events = self.core.take_kv_events()
        if self.silent:
            events = None
        if deltas or events is not None:
            receive(self.info.replica_id, Step(0.0, deltas, self.core.stats(), events))


class Timers:
    """call_later without a clock."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def call_later(self, seconds: float, call: Callable[..., None], *args: Any) -> Any:
        assert seconds == STRANDED_SECONDS
        timer = type("Timer", (), {"cancel": lambda it: self.waiting.remove(it), "fire": lambda it: call(*args)})()
        self.waiting.append(timer)
        return timer


class Cluster:
    def __init__(self, count: int = 0, **options: Any) -> None:
        self.said: list[Any] = []
        self.timers = Timers()
        self.router = Router(**options)
        self.backend = ClusterBackend(
            self.router, "m", on_message=self.said.append, on_lost=lambda why: None, busy=lambda: False,
            call_later=self.timers.call_later,
        )  # fmt: skip
        self.replicas: dict[str, Replica] = {}
        for i in range(count):
            self.add(f"r{i}")

    def add(self, name: str, numerics_id: str = "fake") -> Replica:
        replica = self.replicas[name] = Replica(name, numerics_id)
        self.backend.add_replica(replica.info, replica.ready, replica, 4)
        return replica

    def kill(self, name: str) -> None:
        del self.replicas[name]
        self.backend.lose_replica(name, "killed")

    def step(self) -> None:
        for replica in list(self.replicas.values()):
            replica.run(self.backend.receive)

    def finish(self) -> None:
        for _ in range(500):
            if not self.backend._texts:
                return
            self.step()
        raise AssertionError("texts do not end")

    def tokens(self, text_id: str) -> tuple[list[int], str | None]:
        deltas = [d for m in self.said if isinstance(m, Step) for d in m.deltas if d.request_id == text_id]
        return [t for d in deltas for t in d.token_ids], deltas[-1].finish_reason if deltas else None

    def where(self, text_id: str) -> str:
        return self.backend._texts[text_id].replica


def add(name: str, prompt: list[int], **params: Any) -> Add:
    values: dict[str, Any] = {"temperature": 0.0, "max_tokens": 12, **params}
    return Add(request_id=name, prompt_token_ids=prompt, sampling_params=SamplingParams(**values))


def alone(message: Add) -> tuple[list[int], str | None]:
    """What one engine gives that nothing ever happens to."""
    engine = core()
    engine.add_request("x", message.prompt_token_ids, message.sampling_params, message.cache_salt)
    deltas = []
    while engine.has_unfinished_requests():
        deltas += engine.step()
    return [t for d in deltas for t in d.token_ids], deltas[-1].finish_reason


def test_a_text_goes_on_where_another_replica_is():
    cluster = Cluster(3)
    message = add("x", list(range(10)), temperature=0.9, seed=5, max_tokens=30)
    cluster.backend.send(message)
    for _ in range(3):
        cluster.step()
        cluster.step()
        cluster.kill(cluster.where("x"))
        cluster.add(f"new{len(cluster.said)}")
    cluster.finish()
    assert cluster.tokens("x") == alone(message)
    assert cluster.backend.num_restarts == 3 and not cluster.router.open


def test_what_other_routers_gave_a_replica_counts():
    cluster = Cluster(2)
    stats = EngineStats(num_running=3, num_waiting=2, num_waiting_tokens=900, kv_cache_usage=0.5)
    cluster.backend.receive("r0", Step(0.0, [], stats))
    for i in range(4):
        cluster.backend.send(add(str(i), [i] * 5))
    assert {cluster.where(str(i)) for i in range(4)} == {"r1"}


def test_a_seed_is_chosen_here():
    """A request without a seed goes on with the one that it had."""
    cluster = Cluster(2)
    cluster.backend.send(add("x", [1, 2], temperature=1.0, max_tokens=20, ignore_eos=True))
    seeded = cluster.backend._texts["x"].add
    assert seeded.sampling_params.seed is not None
    for _ in range(5):
        cluster.step()
    cluster.kill(cluster.where("x"))
    cluster.finish()
    assert cluster.tokens("x") == alone(seeded)


def test_what_was_lost_too_often_is_given_up():
    cluster = Cluster(1)
    cluster.backend.send(add("x", [1]))
    for i in range(4):
        assert cluster.tokens("x")[1] is None
        cluster.kill(cluster.where("x"))
        cluster.add(f"n{i}")
    assert cluster.tokens("x") == ([], "abort")
    (error,) = [d.error for m in cluster.said for d in m.deltas]
    assert error == "the request was given up: its engine was lost 4 times"


def test_a_text_waits_for_a_replica_that_can_go_on_with_it():
    """No other engine, or one with other arithmetic."""
    cluster = Cluster(1)
    message = add("x", list(range(9)))
    cluster.backend.send(message)
    cluster.step()
    cluster.step()
    cluster.kill("r0")
    assert len(cluster.timers.waiting) == 1 and cluster.backend.health().state == "dead"
    cluster.add("other", "other arithmetic")
    assert cluster.where("x") == "" and len(cluster.timers.waiting) == 1
    with pytest.raises(EngineDeadError):
        Cluster().backend.send(add("y", [1]))
    cluster.add("r1")
    assert cluster.where("x") == "r1" and not cluster.timers.waiting
    cluster.finish()
    assert cluster.tokens("x") == alone(message)


def test_a_text_that_nobody_goes_on_with_is_given_up():
    cluster = Cluster(1)
    cluster.backend.send(add("x", [1, 2]))
    cluster.step()
    cluster.kill("r0")
    cluster.timers.waiting[0].fire()
    assert cluster.tokens("x")[1] == "abort" and not cluster.timers.waiting and not cluster.router.open


def test_refusals_that_are_not_the_requests_fault():
    cluster = Cluster(3)
    for kind, replica in zip(("draining", "overloaded"), cluster.replicas.values(), strict=False):
        replica.refuses = kind
    for i in range(6):
        cluster.backend.send(add(str(i), [i] * 9))
    cluster.finish()
    assert all(cluster.tokens(str(i)) == alone(add("x", [i] * 9)) for i in range(6))
    assert cluster.router.fleet.states == ["draining", "ready", "ready"]
    cluster.replicas["r2"].refuses = "too_large"
    cluster.kill("r1")
    cluster.backend.send(add("y", [1]))
    cluster.step()
    assert cluster.said[-1] == Refused("y", "too_large", "no") and not cluster.backend._texts


def test_a_replica_that_died_unseen_is_passed_over():
    cluster = Cluster(2)
    cluster.replicas["r0"].dead = True
    for i in range(4):
        cluster.backend.send(add(str(i), [i]))
        assert cluster.where(str(i)) == "r1"
    cluster.replicas["r1"].dead = True
    with pytest.raises(EngineDeadError, match="no replica for model 'm'"):
        cluster.backend.send(add("x", [1]))
    assert len(cluster.router.open) == 4 and "x" not in cluster.backend._texts


def test_what_is_aborted_ends_everywhere():
    cluster = Cluster(2)
    for i in range(4):
        cluster.backend.send(add(str(i), [i] * 5))
    cluster.step()
    cluster.backend.send(Abort([str(i) for i in range(4)] + ["nobody"]))
    cluster.step()
    assert not any(r.core.has_unfinished_requests() for r in cluster.replicas.values())
    assert not cluster.router.open and not cluster.backend._texts


def test_overload_and_numbers():
    cluster = Cluster(2, max_queued_tokens=20)
    for i in range(2):
        cluster.backend.send(add(str(i), [i] * 15))
    with pytest.raises(EngineOverloadedError) as e:
        cluster.backend.send(add("x", [7] * 15))
    assert e.value.retry_after >= 1
    cluster.step()
    assert cluster.backend.max_num_seqs == 8
    assert (cluster.backend.stats.num_running, cluster.backend.stats.num_free_blocks) == (2, 120)
    assert cluster.backend.stats.kv_cache_usage == pytest.approx(8 / 128)
    cluster.backend.send(ResetPrefixCache())
    cluster.backend.ping()
    assert all(r.inbox == [ResetPrefixCache()] and r.pings == 1 for r in cluster.replicas.values())
    assert Ping(0) not in cluster.said


def test_the_router_knows_what_engines_have():
    """Also after events were lost: it asks for a snapshot."""
    cluster = Cluster(2)

    def known(name: str) -> set[bytes]:
        found = cluster.router.index.entries(cluster.router.fleet.slot_of[name])
        return {block_hash for block_hash, told in found if told}

    def there(name: str) -> set[bytes]:
        index = cluster.replicas[name].core.scheduler.kv_cache_manager.block_pool.index
        return {block_hash for block_hash, _ in index.entries()}

    for i in range(6):
        cluster.backend.send(add(str(i), [i] * 25, ignore_eos=True))
        cluster.finish()
        cluster.step()
        assert all(there(name) and known(name) == there(name) for name in cluster.replicas) or i == 0
    cluster.replicas["r0"].silent = True
    for i in range(10, 14):
        cluster.backend.send(add(str(i), [i] * 25, ignore_eos=True))
        cluster.finish()
    cluster.replicas["r0"].silent = False
    for i in range(20, 24):
        cluster.backend.send(add(str(i), [i] * 25, ignore_eos=True))
        cluster.finish()
        for _ in range(2):
            cluster.step()
    assert all(known(name) == there(name) for name in cluster.replicas)


class ClusterMachine(RuleBasedStateMachine):
    """Whatever happens to replicas: each text is what one engine alone gives, and nothing is left in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster(1)
        self.cluster.backend._max_moves = 10**6
        self.serial = 0
        self.sent: dict[str, Add] = {}
        self.aborted: set[str] = set()

    @rule(refuses=st.sampled_from(["", "", "overloaded"]))
    def join(self, refuses: str) -> None:
        self.serial += 1
        self.cluster.add(f"r{self.serial}").refuses = refuses

    @precondition(lambda self: len(self.cluster.replicas) > 1)
    @rule(data=st.data(), how=st.sampled_from(["kill", "drain", "restart", "die unseen"]))
    def leave(self, data: st.DataObject, how: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.cluster.replicas)))
        if how == "kill":
            self.cluster.kill(name)
        elif how == "drain":
            self.cluster.backend.drain_replica(name)
        elif how == "restart":
            self.cluster.add(name)
        else:
            self.cluster.replicas[name].dead = True

    @rule(
        start=st.integers(0, 3), length=st.integers(1, 30), temperature=st.sampled_from([0.0, 1.0]),
        max_tokens=st.integers(1, 20), penalty=st.sampled_from([1.0, 1.5]),
    )  # fmt: skip
    def send(self, start: int, length: int, temperature: float, max_tokens: int, penalty: float) -> None:
        self.serial += 1
        prompt = list(range(100 * start, 100 * start + length))
        message = add(str(self.serial), prompt, temperature=temperature, max_tokens=max_tokens,
                      repetition_penalty=penalty)  # fmt: skip
        try:
            self.cluster.backend.send(message)
        except EngineDeadError:
            return
        self.sent[message.request_id] = self.cluster.backend._texts[message.request_id].add

    @rule(times=st.integers(1, 8))
    def step(self, times: int) -> None:
        for _ in range(times):
            self.cluster.step()

    @precondition(lambda self: self.cluster.backend._texts)
    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.cluster.backend._texts)))
        self.cluster.backend.send(Abort([name]))
        self.aborted.add(name)

    @invariant()
    def a_text_is_open_where_it_is(self) -> None:
        backend = self.cluster.backend
        placed = {name: text.replica for name, text in backend._texts.items() if text.replica}
        assert {name: x.replica_id for name, x in self.cluster.router.open.items()} == placed
        assert set(placed.values()) <= set(self.cluster.replicas)
        assert len(self.cluster.timers.waiting) == sum(not t.replica for t in backend._texts.values())

    def teardown(self) -> None:
        for name in [n for n, r in self.cluster.replicas.items() if r.dead]:
            self.cluster.kill(name)
        self.cluster.add("last")
        self.cluster.finish()
        for name, message in self.sent.items():
            if name not in self.aborted:
                assert self.cluster.tokens(name) == alone(message)
        assert not self.cluster.router.open and not self.cluster.timers.waiting
        for replica in self.cluster.replicas.values():
            replica.run(self.cluster.backend.receive)
            assert not replica.core.has_unfinished_requests() and replica.core.check()


TestClusterMachine = ClusterMachine.TestCase


def test_random_is_not_shared():
    """Two routers choose other seeds."""
    a, b = Cluster(1), Cluster(1)
    random.seed(1)
    for cluster in (a, b):
        random.seed(1)
        cluster.backend.send(add("x", [1], temperature=1.0))
    assert a.backend._texts["x"].add.sampling_params.seed != b.backend._texts["x"].add.sampling_params.seed
