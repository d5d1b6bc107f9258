"""A cluster serves a trace: one heap of events, the real router, and replicas that hold the real scheduler."""

from __future__ import annotations

import heapq
import math
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sapwood.cluster.routing.fleet import ReplicaInfo
from sapwood.cluster.routing.policy import Policy
from sapwood.cluster.routing.request import RoutingRequest
from sapwood.cluster.routing.router import NoReplica, Overloaded, Router
from sapwood.cluster.simulator.engine import ReplicaSpec, Report, SimulatedReplica
from sapwood.cluster.simulator.traces import Conversation, Trace
from sapwood.engine.block_hash import extend_hashes, hash_root
from sapwood.engine.scheduler import RequestTooLargeError

MODEL = "simulated"
GUESSED_SEQUENCES = 16  # of a busy replica, for the first guess of its speed
MAX_TOKENS = 1024  # what clients allow: nobody tells a router how long an answer is going to be

Progress = Callable[[int, float], None]


@dataclass(slots=True)
class Result:
    """What came of a run. Seconds are virtual, but for wall_seconds, route_seconds and longest_route_seconds.

    Arrays have an entry for each request that was answered, in order of their ends: arrived, ttft (to the first token),
    latency (to the last one), output_tokens. cached_tokens, prompt_tokens: as the schedulers counted at the first
    admission, of prompts that may read the cache. ideal_cached_tokens: the most that any router could have had, see
    `_Ideal`. computed_tokens: of each replica. busy_seconds: of each replica up to `loaded_seconds`, when the last
    conversation began: afterwards there is less and less to share. pools: name of the pool of each.
    """

    policy: str
    pools: list[str]
    arrived: array[float] = field(default_factory=lambda: array("d"))
    ttft: array[float] = field(default_factory=lambda: array("d"))
    latency: array[float] = field(default_factory=lambda: array("d"))
    output_tokens: array[int] = field(default_factory=lambda: array("q"))
    num_refused: int = 0
    num_preemptions: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    ideal_cached_tokens: int = 0
    ideal_prompt_tokens: int = 0
    busy_seconds: list[float] = field(default_factory=list)
    computed_tokens: list[int] = field(default_factory=list)
    num_steps: int = 0
    loaded_seconds: float = 0.0
    seconds: float = 0.0
    wall_seconds: float = 0.0
    route_seconds: float = 0.0
    longest_route_seconds: float = 0.0

    @property
    def hit_rate(self) -> float:
        return self.cached_tokens / max(self.prompt_tokens, 1)

    @property
    def ideal_hit_rate(self) -> float:
        return self.ideal_cached_tokens / max(self.ideal_prompt_tokens, 1)

    @property
    def imbalance(self) -> float:
        """The longest time that a replica was busy, over the mean."""
        mean = sum(self.busy_seconds) / max(len(self.busy_seconds), 1)
        return max(self.busy_seconds) / mean if mean else math.nan

    @property
    def throughput(self) -> float:
        """Output tokens per second of requests that ended while conversations began, after the first fifth of that
        time: of a cluster that has more to do than it can, what it can."""
        begin, end = 0.2 * self.loaded_seconds, self.loaded_seconds
        ends = zip(self.arrived, self.latency, self.output_tokens, strict=True)
        tokens = sum(count for arrived, latency, count in ends if begin <= arrived + latency < end)
        return tokens / (end - begin) if end > begin else math.nan


class _Names:
    """Names of the blocks of a conversation, for each kind of replica: each block is named once, for router, engine
    and bound, as they all use the same function."""

    def __init__(self, conversation: Conversation) -> None:
        self._tokens = conversation.history
        self._chains: dict[tuple[str, int], tuple[bytes, list[bytes]]] = {}

    def of(self, numerics_id: str, block_size: int) -> list[bytes]:
        """Of all full blocks so far; not a copy."""
        found = self._chains.get((numerics_id, block_size))
        if found is None:
            found = self._chains[numerics_id, block_size] = hash_root(numerics_id, block_size), []
        root, chain = found
        extend_hashes(chain, root, self._tokens, block_size)
        return chain


class _NamedRequest(RoutingRequest):
    """A request whose names come from its conversation."""

    __slots__ = ("_names",)

    def __init__(self, request_id: str, prompt: Sequence[int], names: _Names) -> None:
        super().__init__(request_id, MODEL, prompt, MAX_TOKENS)
        self._names = names

    def block_hashes(self, numerics_id: str, block_size: int) -> list[bytes]:
        return self._names.of(numerics_id, block_size)[: (self.num_tokens - 1) // block_size]


class _Ideal:
    """A bound that no router can exceed: one cache without limit for the whole cluster, in which every prompt is found
    from the moment it arrives, and every answer when it is complete."""

    def __init__(self, spec: ReplicaSpec) -> None:
        self.kind = spec.numerics_id, spec.block_size
        self._seen: set[bytes] = set()

    def match(self, request: RoutingRequest) -> int:
        """Tokens that are found; those of the request are there from now on."""
        names = request.block_hashes(*self.kind)
        found = 0
        for name in names:
            if name not in self._seen:
                break
            found += 1
        self._seen.update(names[found:])
        return found * self.kind[1]

    def add(self, names: Sequence[bytes]) -> None:
        """Names of a whole conversation so far, the first of which are known."""
        for name in reversed(names):
            if name in self._seen:
                break
            self._seen.add(name)


@dataclass(slots=True)
class _Talk:
    """A conversation that is going on. turn: which turn it is in; arrived: when that was asked."""

    conversation: Conversation
    names: _Names
    turn: int = 0
    arrived: float = 0.0
    first: float = math.nan


class Cluster:
    """replicas: specs, one for each. policy: as in the router. kv_events: whether engines tell of their caches; else
    the router has what it predicts. merge: see `SimulatedReplica`."""

    def __init__(
        self,
        replicas: Sequence[ReplicaSpec],
        policy: Policy,
        *,
        name: str = "default",
        kv_events: bool = True,
        merge: bool = True,
        seed: int = 0,
    ) -> None:
        self.router = Router(policy, seed=seed)
        self.replicas = [
            SimulatedReplica(f"{spec.pool}-{i}", spec, kv_events=kv_events, merge=merge)
            for i, spec in enumerate(replicas)
        ]
        self._by_id = {replica.replica_id: i for i, replica in enumerate(self.replicas)}
        for replica in self.replicas:
            self.router.add_replica(_info(replica))
        self.result = Result(name, [spec.pool for spec in replicas])
        self._ideal = _Ideal(replicas[0])
        self._talks: dict[str, _Talk] = {}
        self._turns: list[tuple[float, int, _Talk]] = []
        self._due: list[tuple[float, int]] = []  # when a replica is to be fired; some are outdated
        self._num_turns = 0

    def run(self, trace: Trace, progress: Progress | None = None) -> Result:
        """Serve all of a trace. progress: called now and then with answered requests and virtual seconds."""
        began = time.perf_counter()
        arrivals = trace.conversations()
        upcoming = next(arrivals, None)
        now, told = 0.0, began
        while True:
            due = self._due[0][0] if self._due else math.inf
            turn = self._turns[0][0] if self._turns else math.inf
            new = upcoming.arrival if upcoming is not None else math.inf
            if due <= turn and due <= new:  # what ends now is known to what arrives now
                if math.isinf(due):
                    break
                now = due
                self._fire()
            elif new <= turn:
                assert upcoming is not None
                now = new
                self._ask(_Talk(upcoming, _Names(upcoming)), now)
                upcoming = next(arrivals, None)
                if upcoming is None and now > 0:
                    self.result.loaded_seconds = now
                    self.result.busy_seconds = [replica.busy_seconds(now) for replica in self.replicas]
            else:
                now, _, talk = heapq.heappop(self._turns)
                self._ask(talk, now)
            if progress is not None and (wall := time.perf_counter()) - told > 0.2:
                told = wall
                progress(len(self.result.ttft), now)
        return self._finish(now, time.perf_counter() - began)

    # -- requests ----------------------------------------------------------------------------------

    def _ask(self, talk: _Talk, now: float) -> None:
        conversation, turn = talk.conversation, talk.conversation.turns[talk.turn]
        conversation.history += turn.added
        prompt = conversation.history.copy()
        request_id = f"{conversation.name}/{talk.turn}"
        request = _NamedRequest(request_id, prompt, talk.names)
        began = time.perf_counter()
        try:
            decision = self.router.route(request)
        except (NoReplica, Overloaded):
            self.result.num_refused += 1
            return
        seconds = time.perf_counter() - began
        self.result.route_seconds += seconds
        self.result.longest_route_seconds = max(self.result.longest_route_seconds, seconds)
        number = self._by_id[decision.replica_id]
        replica = self.replicas[number]
        hashes = talk.names.of(replica.spec.numerics_id, replica.spec.block_size).copy()
        try:
            replica.add(request_id, prompt, turn.output, hashes, now)
        except RequestTooLargeError:
            self.router.failed(request_id)
            self.result.num_refused += 1
            return
        self.result.ideal_cached_tokens += self._ideal.match(request)
        self.result.ideal_prompt_tokens += len(prompt)
        talk.arrived = now
        self._talks[request_id] = talk
        self._push(number)

    def _push(self, number: int) -> None:
        due = self.replicas[number].due
        if due is not None:
            heapq.heappush(self._due, (due, number))

    def _fire(self) -> None:
        due, number = heapq.heappop(self._due)
        replica = self.replicas[number]
        if replica.due != due:
            return  # it was told of something since, and is in the heap with another time
        report = replica.fire()
        if report is not None:
            self._hear(replica, report)
        self._push(number)

    def _hear(self, replica: SimulatedReplica, report: Report) -> None:
        router = self.router
        for request_id, count in report.progress:
            router.generated(request_id, count)
        for request_id in report.first:
            self._talks[request_id].first = report.time
        for request_id in report.finished:
            self._end(request_id, report.time)
        router.observe(replica.replica_id, report.time, report.num_batched_tokens, report.num_waiting)
        if report.events is not None:
            if not router.apply_events(replica.replica_id, report.events):
                raise RuntimeError(f"the router missed events of {replica.replica_id}, though it was given every batch")

    def _end(self, request_id: str, now: float) -> None:
        talk = self._talks.pop(request_id)
        result, turn = self.result, talk.conversation.turns[talk.turn]
        self.router.finished(request_id, turn.output)
        result.arrived.append(talk.arrived)
        result.ttft.append(talk.first - talk.arrived)
        result.latency.append(now - talk.arrived)
        result.output_tokens.append(len(turn.output))
        talk.conversation.history += turn.output[:-1]  # the last token is computed by nobody
        self._ideal.add(talk.names.of(*self._ideal.kind))
        talk.conversation.history += turn.output[-1:]
        talk.turn += 1
        if talk.turn < len(talk.conversation.turns):
            self._num_turns += 1
            heapq.heappush(self._turns, (now + turn.think, self._num_turns, talk))

    def _finish(self, now: float, wall: float) -> Result:
        result = self.result
        result.seconds, result.wall_seconds = now, wall
        if not result.busy_seconds:  # all began at once
            result.loaded_seconds = now
            result.busy_seconds = [replica.busy_seconds(now) for replica in self.replicas]
        for replica in self.replicas:
            scheduler = replica.scheduler
            result.prompt_tokens += scheduler.prefix_cache_queries
            result.cached_tokens += scheduler.prefix_cache_hits
            result.num_preemptions += scheduler.num_preemptions
            result.computed_tokens.append(replica.num_batched_tokens)
            result.num_steps += replica.num_steps
        return result


def _info(replica: SimulatedReplica) -> ReplicaInfo:
    spec = replica.spec
    return ReplicaInfo(
        replica_id=replica.replica_id,
        pool=spec.pool,
        model=MODEL,
        numerics_id=spec.numerics_id,
        block_size=spec.block_size,
        num_blocks=spec.num_blocks,
        max_model_len=spec.max_model_len,
        tokens_per_second=spec.timing.prefill_tokens_per_second(spec.max_num_batched_tokens),
    )
