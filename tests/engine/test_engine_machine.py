"""A state machine that does to an engine everything that can be done to one, in any order.

The runner is a fake whose cache remembers what a position was computed from, so that a wrong block is seen at once.
An oracle says what each request must answer: a function of its prompt and parameters alone, whatever happens around
it. After every operation all invariants of the block pool, the prefix cache and the queues are checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from engine_fakes import FakeRunner, chained, hashed, prompt_logprob
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sapwood.engine.block_hash import hash_blocks
from sapwood.engine.engine_core import EngineCore
from sapwood.engine.kv_events import AllCleared, BlocksStored, KVEventBatch
from sapwood.engine.model_runner import StepOutput
from sapwood.engine.process.messages import TokenDelta
from sapwood.engine.request import Request, RequestStatus
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.scheduler import (
    DuplicateRequestError,
    RequestTooLargeError,
    SchedulerConfig,
    SchedulerOutput,
)

LENGTH, VOCABULARY = 40, 50
EOS = frozenset({0})
SALTS = ("", "tenant")


@dataclass(frozen=True)
class Sizes:
    """Token budget of a step, running requests, blocks, tokens of a block, rows of logits."""

    budget: int = 12
    seqs: int = 4
    blocks: int = 14
    block: int = 4
    rows: int = 5


SIZES = [Sizes(), Sizes(4, 4, 10, 4, 4), Sizes(64, 8, 45, 1, 1000), Sizes(7, 2, 8, 5, 2), Sizes(40, 6, 10, 4, 40)]


class Broken(RuntimeError):
    """What a runner raises when a test wants it to."""


@dataclass
class Expected:
    """One request: what it must answer, and what it has answered so far."""

    request_id: str
    prompt: list[int]
    params: SamplingParams
    salt: str
    block: int
    answer: list[int] = field(default_factory=list)
    reason: str | None = None
    stop_token_id: int | None = None
    tokens: list[int] = field(default_factory=list)
    ended: bool = False

    def __post_init__(self) -> None:
        room = LENGTH - len(self.prompt)
        max_tokens = room if self.params.max_tokens is None else min(self.params.max_tokens, room)
        seed = self.params.seed or 0
        request = Request("", self.prompt, self.params, max_tokens=max_tokens, eos_token_ids=EOS, seed=seed)
        while not request.status.is_finished:
            token_id = hashed(list(request.token_ids), request.sampling_state()) % VOCABULARY
            early = request.num_output_tokens < self.params.min_tokens
            while early and token_id in request.eos_token_ids | request.stop_token_ids:
                token_id = (token_id + 1) % VOCABULARY
            request.append_output_token(token_id)
        self.answer, self.reason = request.output_token_ids, request.status.finish_reason
        self.stop_token_id = request.stop_token_id

    def absorb(self, delta: TokenDelta) -> None:
        """Take a delta and compare it with what must come."""
        assert not self.ended, "a delta after the last one"
        first = not self.tokens
        self.tokens += delta.token_ids
        assert self.tokens == self.answer[: len(self.tokens)], "another text than alone"
        assert len(delta.logprobs) == (0 if self.params.logprobs is None else len(delta.token_ids))
        assert (delta.num_cached_tokens is not None) == (delta.scheduled is not None) == first
        if delta.num_cached_tokens is not None:
            assert delta.num_cached_tokens % self.block == 0 and delta.num_cached_tokens < len(self.prompt)
            assert self.params.prompt_logprobs is None or delta.num_cached_tokens == 0
        assert (delta.prompt_logprobs is not None) == (first and self.params.prompt_logprobs is not None)
        if delta.prompt_logprobs is not None:
            found = [(entry.token_id, entry.logprob, len(entry.top)) for entry in delta.prompt_logprobs]
            assert found == [
                (token_id, prompt_logprob(self.prompt[:i], token_id), self.params.prompt_logprobs)
                for i, token_id in enumerate(self.prompt)
                if i
            ]
        self.ended = len(self.tokens) == len(self.answer)
        if self.ended:
            assert (delta.finish_reason, delta.stop_token_id) == (self.reason, self.stop_token_id)
        else:
            assert delta.finish_reason is None


class Listener:
    """Applies the events of the prefix cache as `kv_events` says."""

    def __init__(self) -> None:
        self.names: set[bytes] = set()
        self.next: int | None = None

    def apply(self, batch: KVEventBatch | None) -> None:
        if batch is None:
            return
        assert batch.events and (batch.is_snapshot or batch.sequence == self.next)
        self.next = batch.sequence + 1
        for event in batch.events:
            if isinstance(event, AllCleared):
                self.names = set()
            elif isinstance(event, BlocksStored):
                assert len(set(event.hashes)) == len(event.hashes) and not self.names & {*event.hashes}
                self.names |= {*event.hashes}
            else:
                self.names -= {*event.hashes}


PARAMS = st.builds(
    lambda seed, penalties, **values: SamplingParams(seed=seed, **penalties, **values),
    seed=st.integers(0, 3),
    temperature=st.sampled_from([0.0, 0.0, 0.8]),
    penalties=st.sampled_from([{}, {}, {"repetition_penalty": 1.5}, {"presence_penalty": 1.0, "logit_bias": {3: 5}}]),
    max_tokens=st.sampled_from([None, 1, 2, 5, 5, 12, 30]),
    stop_token_ids=st.sampled_from([None, None, [1, 2, 3], list(range(25))]),
    ignore_eos=st.booleans(),
    min_tokens=st.sampled_from([0, 0, 0, 1]),
    logprobs=st.sampled_from([None, None, 0, 2]),
    prompt_logprobs=st.sampled_from([None, None, None, 0, 2]),
)


class EngineMachine(RuleBasedStateMachine):
    """See the module. `operations` counts rules over all runs."""

    operations = 0

    @initialize(
        caching=st.sampled_from([True, True, True, False]),
        step_seconds=st.sampled_from([None, 0.25]),
        sizes=st.sampled_from(SIZES),
    )
    def start(self, caching: bool, step_seconds: float | None, sizes: Sizes) -> None:
        self.caching, self.sizes = caching, sizes
        self.now = 0.0
        self.runner = FakeRunner(
            vocab_size=VOCABULARY,
            max_model_len=LENGTH,
            block_size=sizes.block,
            num_blocks=sizes.blocks,
            max_num_batched_tokens=sizes.budget,
            max_logit_rows=sizes.rows,
        )
        self.core = EngineCore(
            self.runner,
            SchedulerConfig(sizes.budget, sizes.seqs, LENGTH, enable_prefix_caching=caching),
            eos_token_ids=EOS,
            step_seconds=step_seconds,
            kv_events=True,
            clock=lambda: self.now,
        )
        self.scheduler, self.manager = self.core.scheduler, self.core.scheduler.kv_cache_manager
        self.all: list[Expected] = []
        self.live: dict[str, Expected] = {}
        self.contents: dict[bytes, tuple[list[int], int]] = {}  # name -> all tokens up to its end
        self.scheduled: SchedulerOutput | None = None
        self.listener = Listener()
        self.leaks = 0
        original = self.scheduler.schedule

        def schedule(budget: int | None = None) -> SchedulerOutput:
            self.scheduled = original(budget)
            self.check_step(self.scheduled, sizes.budget if budget is None else budget)
            return self.scheduled

        self.scheduler.schedule = schedule  # type: ignore[method-assign]

    # -- what is done -----------------------------------------------------------------------------

    def add_prompt(self, prompt: list[int], params: SamplingParams, salt: str) -> None:
        name = f"r{len(self.all)}"
        if len(prompt) >= LENGTH:
            with pytest.raises(ValueError, match=str(LENGTH)):
                self.core.add_request(name, prompt, params, salt)
            return
        self.core.add_request(name, prompt, params, salt)
        new = Expected(name, prompt, params, salt, self.sizes.block)
        self.all.append(new)
        self.live[name] = new

    @rule(
        family=st.integers(0, 2), length=st.integers(1, 42), tail=st.lists(st.integers(0, 49), max_size=3),
        params=PARAMS, salt=st.sampled_from(SALTS), copies=st.sampled_from([1, 1, 1, 3]),
    )  # fmt: skip
    def add(self, family: int, length: int, tail: list[int], params: SamplingParams, salt: str, copies: int) -> None:
        for _ in range(copies):
            self.add_prompt([(7 * family + i) % VOCABULARY for i in range(length)] + tail, params, salt)

    @precondition(lambda self: self.all)
    @rule(data=st.data(), tail=st.lists(st.integers(0, 49), min_size=1, max_size=6), params=PARAMS)
    def add_next_turn(self, data: st.DataObject, tail: list[int], params: SamplingParams) -> None:
        before = data.draw(st.sampled_from(self.all))
        self.add_prompt(before.prompt + before.tokens + tail, params, before.salt)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def add_what_is_refused(self, data: st.DataObject) -> None:
        used = data.draw(st.sampled_from(sorted(self.live)))
        with pytest.raises(DuplicateRequestError):
            self.core.add_request(used, [1], SamplingParams())
        with pytest.raises(RequestTooLargeError):
            self.scheduler.add_request(Request("new", [1], SamplingParams(), max_tokens=LENGTH))

    @rule(count=st.integers(1, 8), seconds=st.sampled_from([0.0, 0.01, 0.25, 5.0]))
    def steps(self, count: int, seconds: float) -> None:
        for _ in range(count):
            self.step(seconds)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), what=st.sampled_from(["abort", "preempt", "reset", "forget", "add", "abort and add"]))
    def step_while_something_happens(self, data: st.DataObject, what: str) -> None:
        victims = data.draw(st.lists(st.sampled_from(sorted(self.live)), min_size=1, max_size=3))
        params = data.draw(PARAMS)

        def happen() -> None:
            if what.startswith("abort"):
                self.abort(victims)
            if what == "preempt":
                self.preempt_everything()
            elif what == "reset":
                self.reset()
            elif what == "forget":
                self.reset_prefix_cache()
            elif what.endswith("add"):
                self.add_prompt(self.all[0].prompt, params, self.all[0].salt)

        self.step(0.1, in_flight=happen)

    @precondition(lambda self: self.live)
    @rule(how=st.sampled_from(["before", "after", "after abort", "short", "no token"]))
    def step_fails(self, how: str) -> None:
        def fail() -> None:
            assert self.scheduled is not None
            if how == "after abort":
                self.abort([self.scheduled.slices[0].request.request_id])
            for s in self.scheduled.batch.slices:  # whatever it was writing is garbage now
                for position in range(s.start, s.start + len(s.token_ids)):
                    place = (s.block_table[position // self.sizes.block], position % self.sizes.block)
                    self.runner.cache[place] = (position, -1, -1)
            raise Broken

        def fail_before(step: int) -> None:
            raise Broken

        original = self.runner.execute
        if how == "before":
            self.runner.before_step = fail_before
        elif how.startswith("after"):
            self.runner.after_writing = lambda step: fail()
        elif how == "short":
            self.runner.execute = lambda batch: StepOutput(original(batch).sampled[1:])  # type: ignore[method-assign]
        else:
            self.runner.execute = lambda batch: (original(batch), StepOutput([None] * len(batch.slices)))[1]  # type: ignore[method-assign]
        errors = self.core.stats().num_step_errors
        try:
            deltas = self.core.step()
        finally:
            self.runner.before_step = self.runner.after_writing = lambda step: None
            self.runner.execute = original  # type: ignore[method-assign]
        assert self.scheduled is not None
        if self.core.stats().num_step_errors == errors:  # a step without samples may well return none
            assert how == "no token"
            self.absorb(deltas)
            return
        assert [d.request_id for d in deltas] == [
            s.request.request_id for s in self.scheduled.slices if s.request.request_id in self.live
        ]
        for delta in deltas:
            assert delta.finish_reason == "abort" and delta.error and not delta.token_ids
            self.live.pop(delta.request_id).ended = True

    @precondition(lambda self: self.all)
    @rule(data=st.data())
    def abort_some(self, data: st.DataObject) -> None:
        names = [e.request_id for e in self.all] + ["nobody"]
        self.abort(data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=4)))

    def abort(self, names: list[str]) -> None:
        wanted = [name for name in dict.fromkeys(names) if name in self.live]
        assert self.core.abort_requests(names) == wanted
        for name in wanted:
            self.live.pop(name).ended = True

    @rule()
    def preempt_everything(self) -> None:
        running = list(self.scheduler.running)
        assert self.scheduler.preempt_all() == running and not self.manager.holders()

    @rule()
    def reset_prefix_cache(self) -> None:
        pool = self.manager.block_pool
        read = {block.block_id: block.block_hash for block in pool.blocks if block.ref_cnt}
        self.core.reset_prefix_cache()
        assert all(pool.blocks[i].block_hash == name for i, name in read.items())
        assert all(block.block_hash is None for block in pool.free_queue)

    @rule()
    def reset(self) -> None:
        assert sorted(self.core.reset()) == sorted(self.live)
        for gone in self.live.values():
            gone.ended = True
        self.live = {}
        assert self.manager.block_pool.num_free_blocks == self.sizes.blocks and len(self.manager.block_pool.index) == 0

    @rule(data=st.data(), what=st.sampled_from(["leak", "reference", "lost", "name", "free list", "freed"]))
    def corrupt_and_check(self, data: st.DataObject, what: str) -> None:
        pool = self.manager.block_pool
        held = [block for block in pool.blocks if block.ref_cnt]
        named = [block for block in pool.blocks if block.block_hash is not None]
        free = list(pool.free_queue)
        candidates = {"leak": free, "free list": free, "reference": pool.blocks, "name": named}.get(what, held)
        if not candidates:
            return
        block = data.draw(st.sampled_from(candidates))
        if what == "leak":
            pool.get_new_blocks(1)
        elif what == "reference":
            pool.touch([block])
        elif what == "lost":
            block.ref_cnt -= 1
        elif what == "name":
            block.block_hash = None
        elif what == "free list":
            pool.free_queue.remove(block)
        else:
            pool.free_blocks([block])
        self.check_repair(lambda: self.core.check())

    @precondition(lambda self: self.live)
    @rule()
    def leak_and_step(self) -> None:
        """What only counts see: nobody looks at the blocks, and the step finds it all the same."""
        pool = self.manager.block_pool
        if pool.num_free_blocks:
            pool.get_new_blocks(1)
        else:
            pool.touch(pool.blocks[:1])
        self.check_repair(lambda: self.step(0.0))

    @precondition(lambda self: len(self.manager.holders()) > 0)
    @rule(data=st.data())
    def free_twice_and_abort(self, data: st.DataObject) -> None:
        holder = data.draw(st.sampled_from(sorted(self.manager.holders())))
        block = self.manager.block_pool.blocks[self.manager.get_block_ids(holder)[-1]]
        if block.ref_cnt == 1:
            self.manager.block_pool.free_blocks([block])
            self.check_repair(lambda: self.abort([holder]))

    def check_repair(self, find: Callable[[], object]) -> None:
        before = self.core.stats().num_leaked_blocks
        find()
        self.leaks = self.core.stats().num_leaked_blocks
        assert self.leaks > before and self.manager.problems() == []

    @rule()
    def a_listener_begins(self) -> None:
        """Another router, or one that missed something: it knows nothing until it gets a snapshot."""
        self.listener = Listener()
        self.core.request_kv_snapshot()

    @rule()
    def the_listener_hears(self) -> None:
        self.listener.apply(self.core.take_kv_events())
        assert self.listener.names == set(self.manager.block_pool.index.names)
        assert self.core.take_kv_events() is None  # and nothing is told twice

    # -- what must hold ---------------------------------------------------------------------------

    def step(self, seconds: float, in_flight: Callable[[], None] = lambda: None) -> None:
        def work(step: int) -> None:
            self.now += seconds
            in_flight()

        self.runner.after_writing = work
        had_work = bool(self.live)
        self.scheduled = None
        try:
            deltas = self.core.step()
        finally:
            self.runner.after_writing = lambda step: None
        assert self.scheduled is not None and bool(self.scheduled.slices) == had_work
        self.absorb(deltas)

    def absorb(self, deltas: list[TokenDelta]) -> None:
        assert len({delta.request_id for delta in deltas}) == len(deltas)
        for delta in deltas:
            expected = self.live[delta.request_id]
            expected.absorb(delta)
            if expected.ended:
                del self.live[delta.request_id]

    def check_step(self, output: SchedulerOutput, budget: int) -> None:
        assert output.total_num_scheduled_tokens == output.batch.num_tokens <= budget <= self.sizes.budget
        assert output.batch.num_logit_rows <= self.sizes.rows
        # nobody who runs is left out of a step
        scheduled = [s.request for s in output.slices]
        assert len({id(r) for r in scheduled}) == len(scheduled)
        assert {id(r) for r in scheduled} == {id(r) for r in self.scheduler.running}
        for request in output.preempted:
            assert all(request.arrival > running.arrival for running in self.scheduler.running)
        for s in output.slices:
            assert s.start + s.num_tokens <= s.request.num_tokens  # at least one is computed, so never all from a hit

    @invariant()
    def pool_is_sound(self) -> None:
        assert self.manager.problems() == [] and self.manager.balances
        assert self.core.stats().num_leaked_blocks == self.leaks  # nothing was repaired but what a rule broke
        assert set(self.manager.holders()) == {r.request_id for r in self.scheduler.running}
        if not self.live:
            assert self.manager.block_pool.num_free_blocks == self.sizes.blocks and self.manager.usage == 0
        assert all(block.block_hash is None for block in self.manager.block_pool.blocks) or self.caching

    @invariant()
    def names_tell_the_truth(self) -> None:
        """Only full, computed blocks have a name, and it is that of exactly what they hold."""
        for expected in self.all:
            tokens = expected.prompt + expected.tokens
            names = hash_blocks(tokens, numerics_id="fake", block_size=self.sizes.block, cache_salt=expected.salt)
            for i, name in enumerate(names):
                self.contents.setdefault(name, (tokens[: (i + 1) * self.sizes.block], i))
        for name, block in self.manager.block_pool.index.entries():
            tokens, index = self.contents[name]
            digest = 0
            for position, token_id in enumerate(tokens):
                digest = chained(digest, position, token_id)
                if position >= index * self.sizes.block:
                    found = self.runner.cache[block.block_id, position % self.sizes.block]
                    assert found == (position, token_id, digest)

    @invariant()
    def tables_are_private_or_named(self) -> None:
        """A block is shared only by requests with the same salt and the same tokens up to its end."""
        blocks = self.manager.block_pool.blocks
        seen: dict[int, bytes | None] = {}
        for request in self.scheduler.running:
            expected = self.live[request.request_id]
            tokens = expected.prompt + expected.tokens
            names = hash_blocks(tokens, numerics_id="fake", block_size=self.sizes.block, cache_salt=expected.salt)
            full = self.manager.num_named_blocks(request.request_id)
            for i, block_id in enumerate(self.manager.get_block_ids(request.request_id)):
                if i < full:
                    assert blocks[block_id].block_hash == names[i] and seen.setdefault(block_id, names[i]) == names[i]
                else:
                    assert block_id not in seen and blocks[block_id].block_hash is None
                    seen[block_id] = None

    @invariant()
    def queues_are_sound(self) -> None:
        running, waiting = list(self.scheduler.running), list(self.scheduler.waiting)
        assert {r.request_id for r in running + waiting} == set(self.live) == set(self.scheduler.requests)
        for queue in (running, waiting):
            assert [r.arrival for r in queue] == sorted(r.arrival for r in queue)
        assert len(running) <= self.sizes.seqs and all(r.status is RequestStatus.RUNNING for r in running)
        assert all(r.num_computed_tokens == 0 and not r.status.is_finished for r in waiting)
        stats = self.core.stats()
        assert (stats.num_running, stats.num_waiting) == (len(running), len(waiting))
        assert stats.num_waiting_tokens == sum(r.num_tokens for r in waiting)
        assert 0 <= stats.prefix_cache_hits <= stats.prefix_cache_queries
        EngineMachine.operations += 1

    def teardown(self) -> None:
        if not hasattr(self, "all"):
            return
        bound = sum(len(e.prompt) + len(e.answer) for e in self.all) * 4 + 10
        for _ in range(bound):
            if not self.live:
                break
            self.step(0.01)
        assert not self.live, "a request starves"
        assert not self.core.has_unfinished_requests() and self.core.check()
        self.the_listener_hears()
        assert self.manager.usage == 0 and all(e.ended for e in self.all)


EngineMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
TestEngineMachine = EngineMachine.TestCase


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_a_hundred_thousand_operations() -> None:
    EngineMachine.operations, rounds = 0, 0
    while EngineMachine.operations < 100_000:
        rounds += 1
        machine = seed(rounds)(EngineMachine)
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=500,
                stateful_step_count=50,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    print(f"{EngineMachine.operations} operations in {rounds} rounds")
