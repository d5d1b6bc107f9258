"""The engine at the level of tokens: fixed scenarios of sharing, budgets, errors and repair."""

from __future__ import annotations

import logging
from array import array
from typing import Any

import pytest
from engine_fakes import FakeRunner, prompt_logprob

from sapwood.engine.block_pool import BlockPoolError
from sapwood.engine.engine_core import EngineCore
from sapwood.engine.model_runner import LogitAdjustments, SampledToken, StepOutput
from sapwood.engine.process.messages import TokenDelta
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.scheduler import SchedulerConfig

GREEDY = SamplingParams(temperature=0, max_tokens=4, ignore_eos=True)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make(
    *,
    budget: int = 32,
    seqs: int = 8,
    length: int = 64,
    blocks: int = 64,
    rows: int = 10**9,
    caching: bool = True,
    numerics_id: str = "fake",
    runner: FakeRunner | None = None,
    **options: Any,
) -> EngineCore:
    runner = runner or FakeRunner(
        max_model_len=length,
        num_blocks=blocks,
        max_num_batched_tokens=budget,
        max_logit_rows=rows,
        numerics_id=numerics_id,
    )
    return EngineCore(
        runner, SchedulerConfig(budget, seqs, length, enable_prefix_caching=caching), **{"strict": True, **options}
    )


def fake(core: EngineCore) -> FakeRunner:
    assert isinstance(core.runner, FakeRunner)
    return core.runner


def finish(core: EngineCore) -> dict[str, list[TokenDelta]]:
    """Step until nothing is left; the deltas of each request."""
    found: dict[str, list[TokenDelta]] = {}
    while core.has_unfinished_requests():
        for delta in core.step():
            found.setdefault(delta.request_id, []).append(delta)
    assert core.check() and core.scheduler.kv_cache_manager.usage == 0
    return found


def tokens(deltas: list[TokenDelta]) -> list[int]:
    return [token_id for delta in deltas for token_id in delta.token_ids]


def ask(core: EngineCore, prompt: list[int], params: SamplingParams = GREEDY, salt: str = "") -> list[TokenDelta]:
    core.add_request("only", prompt, params, salt)
    return finish(core)["only"]


def num_computed(core: EngineCore) -> int:
    return sum(batch.num_tokens for batch in fake(core).batches)


PROMPT = list(range(100, 118))  # 4 full blocks of 4 and 2 tokens


# -- the prefix cache ---------------------------------------------------------------------------------


def test_a_second_request_goes_on_from_the_blocks_of_the_first() -> None:
    core, plain = make(), make(caching=False)
    first, second = ask(core, PROMPT), ask(core, PROMPT)
    assert tokens(first) == tokens(second) == tokens(ask(plain, PROMPT)) == tokens(ask(plain, PROMPT))
    assert (first[0].num_cached_tokens, second[0].num_cached_tokens) == (0, 16)
    assert all(delta.num_cached_tokens is None for delta in second[1:])
    assert num_computed(core) == num_computed(plain) - 16
    assert (core.stats().prefix_cache_queries, core.stats().prefix_cache_hits) == (36, 16)
    assert plain.stats().prefix_cache_queries == 0 and len(plain.scheduler.kv_cache_manager.block_pool.index) == 0


@pytest.mark.parametrize("length", [1, 4, 5, 8, 9])
def test_the_last_token_is_always_computed(length: int) -> None:
    core = make()
    for _ in range(2):
        (*_, last) = ask(core, PROMPT[:length])
    assert last.finish_reason == "length"
    cached = core.stats().prefix_cache_hits
    assert cached == (length - 1) // 4 * 4


def test_the_next_turn_finds_the_answer_of_the_last_one() -> None:
    core = make()
    answer = tokens(ask(core, PROMPT, SamplingParams(temperature=0, max_tokens=12, ignore_eos=True)))
    (delta, *_) = ask(core, [*PROMPT, *answer, 7, 8])
    assert delta.num_cached_tokens == 28  # 18 + 12 tokens, the last one was never computed: 29


def test_two_salts_never_share() -> None:
    core = make(budget=64)
    core.add_request("a", PROMPT, GREEDY, "one")
    core.add_request("b", PROMPT, GREEDY, "two")
    core.add_request("c", PROMPT, GREEDY)
    core.step()
    manager = core.scheduler.kv_cache_manager
    tables = [set(manager.get_block_ids(name)) for name in "abc"]
    assert all(tables) and not (tables[0] & tables[1] or tables[0] & tables[2] or tables[1] & tables[2])
    found = finish(core)
    assert all(deltas[0].num_cached_tokens in (0, None) for deltas in found.values())
    # nor later, from blocks that are free; nor by a salt and tokens that together look like another salt
    for salt in ("three", "on", "oneone", "\x00", "one\x00"):
        assert ask(core, PROMPT, salt=salt)[0].num_cached_tokens == 0
    for salt in ("one", "two", ""):
        assert ask(core, PROMPT, salt=salt)[0].num_cached_tokens == 16


def test_two_numerics_ids_never_share() -> None:
    pool_names = [set(), set()]
    for i, numerics_id in enumerate(("bf16", "int8")):
        core = make(numerics_id=numerics_id)
        ask(core, PROMPT)
        pool_names[i] = {name for name, _ in core.scheduler.kv_cache_manager.block_pool.index.entries()}
    assert len(pool_names[0]) == len(pool_names[1]) == 5 and not pool_names[0] & pool_names[1]


def test_reset_prefix_cache_keeps_what_is_read() -> None:
    core = make()
    ask(core, PROMPT)
    core.add_request("a", [1, *PROMPT], SamplingParams(temperature=0, max_tokens=10, ignore_eos=True))
    core.step()
    assert core.reset_prefix_cache() == 5
    core.add_request("b", [1, *PROMPT], GREEDY)
    core.add_request("c", PROMPT, GREEDY)
    found = finish(core)
    assert found["b"][0].num_cached_tokens == 16 and found["c"][0].num_cached_tokens == 0


def test_a_resumed_request_finds_its_own_blocks() -> None:
    core = make()
    core.add_request("a", PROMPT, SamplingParams(temperature=0, max_tokens=9, ignore_eos=True))
    for _ in range(4):
        core.step()
    core.scheduler.preempt_all()
    before = num_computed(core)
    core.step()
    assert num_computed(core) - before == 2  # of 22 known tokens 5 full blocks were computed
    deltas = finish(core)["a"]
    assert deltas[0].num_preemptions == 1 and deltas[0].num_cached_tokens is None
    assert core.stats().prefix_cache_queries == 18


# -- computing a prefix once --------------------------------------------------------------------------


def test_copies_of_a_prompt_compute_it_once() -> None:
    core = make(budget=256)
    for i in range(8):
        core.add_request(str(i), PROMPT, SamplingParams(temperature=1, seed=i, max_tokens=1))
    core.step()
    assert fake(core).batches[0].num_tokens == 18 and core.stats().num_waiting == 7
    core.step()
    assert fake(core).batches[1].num_tokens == 7 * 2 and not core.has_unfinished_requests()


def test_nobody_waits_for_a_small_part_and_strangers_are_not_held_up() -> None:
    core = make(budget=256, seqs=8)
    core.add_request("a", PROMPT, GREEDY)
    core.add_request("half", PROMPT[:8] + list(range(200, 208)), GREEDY)  # 8 of 16: waits
    core.add_request("less", PROMPT[:8] + list(range(300, 309)), GREEDY)  # 8 of 17: does not
    core.add_request("stranger", list(range(400, 410)), GREEDY)
    core.step()
    assert [r.request_id for r in core.scheduler.running] == ["a", "less", "stranger"]
    core.step()
    assert [r.request_id for r in core.scheduler.running] == ["a", "half", "less", "stranger"]  # by arrival again
    found = finish(core)
    assert found["half"][0].num_cached_tokens is None or found["half"][0].num_cached_tokens == 8


def test_who_waited_for_a_prefix_that_never_came_does_not_wait_again() -> None:
    core = make(budget=256)
    core.add_request("older", PROMPT, GREEDY)
    core.add_request("waits", [*PROMPT, 1], GREEDY)
    scheduled: list[list[str]] = []

    def lose_the_step(step: int) -> None:
        scheduled.append([r.request_id for r in core.scheduler.running])
        core.scheduler.preempt_all()  # while it is in flight: its blocks get no names

    fake(core).after_writing = lose_the_step
    for _ in range(3):
        core.step()
    # nothing more is cached than when it waited, so it computes by itself
    assert scheduled == [["older"], ["older", "waits"], ["older", "waits"]]
    fake(core).after_writing = lambda step: None
    found = finish(core)
    assert tokens(found["waits"]) == tokens(ask(make(), [*PROMPT, 1])) and len(tokens(found["older"])) == 4


def test_a_prefix_in_chunks_is_followed_to_its_end() -> None:
    core = make(budget=8, seqs=4)
    core.add_request("a", list(range(40)), GREEDY)
    core.add_request("b", list(range(40)), GREEDY)
    while core.stats().num_running < 2:
        core.step()
    assert len(fake(core).batches) == 6 and core.scheduler.requests["b"].num_cached_tokens == 36
    assert tokens(finish(core)["b"]) == tokens(ask(make(), list(range(40))))[1:]


# -- rows, penalties, end tokens ----------------------------------------------------------------------


@pytest.mark.parametrize("rows", [2, 3, 5, 100])
@pytest.mark.parametrize("budget", [2, 7, 64])
def test_prompt_logprobs_in_rows_that_are_left(rows: int, budget: int) -> None:
    core = make(budget=budget, seqs=2, rows=rows)
    for _ in range(2):  # the second time the cache has all of it, and must not be read
        core.add_request("a", PROMPT, SamplingParams(temperature=0, max_tokens=2, prompt_logprobs=1, logprobs=1))
        core.add_request("b", PROMPT[:5], GREEDY)
        deltas = finish(core)["a"]
        assert deltas[0].num_cached_tokens == 0 and deltas[0].prompt_logprobs is not None
        assert [(e.token_id, e.logprob) for e in deltas[0].prompt_logprobs] == [
            (PROMPT[i], prompt_logprob(PROMPT[:i], PROMPT[i])) for i in range(1, len(PROMPT))
        ]
        assert all(len(e.top) == 1 for e in deltas[0].prompt_logprobs)
        assert [d.prompt_logprobs for d in deltas[1:]] == [None] and all(len(d.logprobs) == 1 for d in deltas)
    assert max(batch.num_logit_rows for batch in fake(core).batches) <= rows


def test_prompt_logprobs_go_on_after_preemption() -> None:
    core = make(budget=64, seqs=2, rows=4)
    core.add_request("a", PROMPT, SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=0))
    core.step()
    core.step()
    core.scheduler.preempt_all()
    before = num_computed(core)
    found = finish(core)["a"][0].prompt_logprobs
    assert found is not None and [e.logprob for e in found] == [
        prompt_logprob(PROMPT[:i], PROMPT[i]) for i in range(1, 18)
    ]
    assert num_computed(core) - before == 10  # 8 answered before; their blocks are read from the cache


def test_a_long_slice_leaves_a_token_to_everybody_behind_it() -> None:
    core = make(seqs=4)
    scheduler = core.scheduler

    def step(budget: int) -> dict[str, int]:
        scheduled = scheduler.schedule(budget)
        scheduler.update_from_output(scheduled, core.runner.execute(scheduled.batch))
        return {s.request.request_id: s.num_tokens for s in scheduled.slices}

    core.add_request("a", PROMPT[:12], GREEDY)
    core.add_request("long", PROMPT[:12] + list(range(12)), GREEDY)
    core.add_request("behind", [1, 2, 3], GREEDY)
    assert step(16) == {"a": 12, "behind": 3}  # long waits for the prefix that a computes
    assert step(5) == {"a": 1, "behind": 1, "long": 3}
    assert step(5) == {"a": 1, "long": 3, "behind": 1}
    assert step(1) == {"a": 1}  # too small a budget for all: the oldest goes on


def adjustments(core: EngineCore, prompt: list[int], params: SamplingParams) -> list[LogitAdjustments | None]:
    ask(core, prompt, params)
    found = [s.sampling.adjustments for batch in fake(core).batches for s in batch.slices if s.sampling]
    fake(core).batches.clear()
    return found


def test_what_changes_logits_comes_with_its_history() -> None:
    core = make(eos_token_ids=[900])
    assert adjustments(core, [1, 2], SamplingParams(max_tokens=2, seed=1)) == [None, None]
    penal = SamplingParams(max_tokens=2, temperature=0, frequency_penalty=0.5, logit_bias={5: 1.5}, ignore_eos=True)
    first, second = adjustments(core, [1, 2], penal)
    none = array("i")  # arrays: for every token of every request the sampler takes the whole history
    assert first == LogitAdjustments(array("i", [1, 2]), none, 1.0, 0.0, 0.5, {5: 1.5}, frozenset())
    assert second is not None and second.prompt_token_ids == array("i", [1, 2]) and len(second.output_token_ids) == 1
    assert isinstance(second.output_token_ids, array)
    biased = SamplingParams(max_tokens=1, temperature=0, logit_bias={5: 1.5})
    assert adjustments(core, [1, 2], biased) == [LogitAdjustments(none, none, 1.0, 0.0, 0.0, {5: 1.5}, frozenset())]


def test_min_tokens_bans_what_would_end_the_text() -> None:
    core = make(eos_token_ids=[900])
    params = {"temperature": 0, "max_tokens": 3, "min_tokens": 2, "stop_token_ids": [7]}
    found = adjustments(core, [1, 2], SamplingParams(**params))
    assert [a and a.banned_token_ids for a in found] == [frozenset({7, 900}), frozenset({7, 900}), None]
    found = adjustments(core, [1, 2], SamplingParams(**params, ignore_eos=True))
    assert found[0] is not None and found[0].banned_token_ids == {7}
    with pytest.raises(ValueError, match="min_tokens"):
        every = {"stop_token_ids": list(range(999)), "max_tokens": 3, "min_tokens": 2}
        make(eos_token_ids=[999]).add_request("a", [1], SamplingParams(**every))


# -- errors, damage, aborts ---------------------------------------------------------------------------


class Broken(RuntimeError):
    pass


def test_a_step_that_raises_ends_its_requests_and_no_others(caplog: pytest.LogCaptureFixture) -> None:
    core = make(seqs=2, strict=False)
    for name in "abcd":
        core.add_request(name, [ord(name), 1, 2, 3, 4], GREEDY)

    def fail(step: int) -> None:
        if step == 1:
            raise Broken("secret prompt")

    fake(core).after_writing = fail
    core.step()
    with caplog.at_level(logging.ERROR):
        deltas = core.step()
    assert [(d.request_id, d.finish_reason, d.token_ids) for d in deltas] == [("a", "abort", []), ("b", "abort", [])]
    assert all(d.error and "Broken" in d.error and "secret" not in d.error for d in deltas)
    assert "a, b" in caplog.text and core.stats().num_step_errors == 1
    assert len(core.scheduler.kv_cache_manager.block_pool.index) == 0
    found = finish(core)
    assert {name: tokens(d) for name, d in found.items()} == {
        name: tokens(ask(make(), [ord(name), 1, 2, 3, 4])) for name in "cd"
    }
    assert core.stats().num_leaked_blocks == 0


def test_an_output_of_the_wrong_shape_is_a_failed_step() -> None:
    core = make()
    asked = SamplingParams(temperature=0, max_tokens=2, logprobs=1, prompt_logprobs=1)
    original = fake(core).execute
    outputs = [
        lambda batch: StepOutput([]),
        lambda batch: StepOutput([None]),
        lambda batch: StepOutput([SampledToken(1)], original(batch).prompt_logprobs),  # no logprob
        lambda batch: StepOutput(original(batch).sampled),  # no prompt logprobs
    ]
    for i, wrong in enumerate(outputs, start=1):
        core.add_request("a", PROMPT, asked)
        fake(core).execute = wrong  # type: ignore[method-assign]
        (delta,) = core.step()
        assert delta.error and delta.finish_reason == "abort" and core.stats().num_step_errors == i
    fake(core).execute = original  # type: ignore[method-assign]
    assert len(ask(core, PROMPT, asked)) == 2


def test_a_request_that_was_aborted_in_a_step_that_fails_hears_nothing() -> None:
    core = make()

    def fail(step: int) -> None:
        core.abort_requests(["a"])
        core.add_request("a", [9], GREEDY)  # a new one of that name was not in the step
        raise Broken

    fake(core).after_writing = fail
    core.add_request("a", [1], GREEDY)
    core.add_request("b", [2], GREEDY)
    assert [delta.request_id for delta in core.step()] == ["b"]
    fake(core).after_writing = lambda step: None
    assert list(finish(core)) == ["a"]


def test_without_containment_the_error_itself_comes_out() -> None:
    core = make(contain_errors=False)

    def fail(step: int) -> None:
        raise Broken

    fake(core).before_step = fail
    core.add_request("a", [1], GREEDY)
    with pytest.raises(Broken):
        core.step()
    assert core.reset() == ["a"] and core.stats().num_step_errors == 1 and core.step() == []


def test_a_leak_is_logged_counted_and_repaired(caplog: pytest.LogCaptureFixture) -> None:
    core = make(strict=False)
    core.add_request("a", PROMPT, GREEDY)
    first = core.step()
    core.scheduler.kv_cache_manager.block_pool.get_new_blocks(2)
    with caplog.at_level(logging.ERROR):
        second = core.step()
    assert core.stats().num_leaked_blocks == 2 and core.stats().num_preemptions == 1
    assert "Holders: a." in caplog.text and "has 1 references and is in 0 tables" in caplog.text
    assert str(PROMPT[0]) not in caplog.text
    assert tokens([*first, *second, *finish(core)["a"]]) == tokens(ask(make(), PROMPT))
    assert core.stats().num_leaked_blocks == 2
    strict = make()
    strict.scheduler.kv_cache_manager.block_pool.get_new_blocks(1)
    with pytest.raises(BlockPoolError, match="in 0 tables"):
        strict.check()


@pytest.mark.parametrize("counted", [True, False])
def test_a_leak_that_leaves_no_room_for_the_only_request_is_found_before_the_step(counted: bool) -> None:
    """Found by the state machine: nothing was scheduled, so no step ended, and only the end of a step looked."""
    core = make(strict=False, length=40, blocks=10)
    pool = core.scheduler.kv_cache_manager.block_pool
    pool.get_new_blocks(1)
    if not counted:  # the counts agree with each other: only a look at every block finds it
        pool.num_references -= 1
    core.add_request("a", list(range(38)), SamplingParams(temperature=0, max_tokens=2, ignore_eos=True))
    assert len(tokens(core.step() + core.step())) == 1 and core.stats().num_leaked_blocks > 0
    assert len(tokens(finish(core)["a"])) == 1


def test_the_look_at_every_block_is_for_idle_times_and_seldom() -> None:
    clock = Clock()
    core = make(strict=False, clock=clock)
    pool = core.scheduler.kv_cache_manager.block_pool
    looks: list[float] = []
    original = core.scheduler.kv_cache_manager.problems

    def problems() -> list[str]:
        looks.append(clock.now)
        clock.now += 0.01
        return original()

    core.scheduler.kv_cache_manager.problems = problems  # type: ignore[method-assign]
    core.add_request("a", PROMPT, GREEDY)
    core.check_when_idle()
    assert looks == []
    finish(core)
    (name, block) = next(pool.index.entries())
    block.block_hash = None  # no count sees it
    core.check_when_idle()
    clock.now += 0.98
    core.check_when_idle()
    assert core.stats().num_leaked_blocks == 0 and len(looks) == 1  # finish() looked
    clock.now += 0.03
    core.check_when_idle()
    assert core.stats().num_leaked_blocks == 1 and len(name) == 32
    assert core.check() and len(looks) == 4  # the one that found it looked once more, to say what


def test_a_broken_free_list_is_repaired_before_the_step() -> None:
    core = make(strict=False, blocks=20)
    core.add_request("a", PROMPT, GREEDY)
    core.step()
    core.scheduler.kv_cache_manager.block_pool.free_queue._count += 100
    core.scheduler.kv_cache_manager.block_pool.free_queue._ring.next_free = None
    core.add_request("b", [5, 6, 7, 8, 9], GREEDY)
    found = finish(core)
    assert tokens(found["b"]) == tokens(ask(make(), [5, 6, 7, 8, 9])) and len(tokens(found["a"])) == 3
    assert core.stats().num_leaked_blocks > 0


def test_a_thousand_aborts_at_once() -> None:
    core = make(seqs=4)
    for i in range(1000):
        core.add_request(str(i), [i % 1000, 1, 2], GREEDY)
    core.step()
    assert core.stats().num_waiting == 996 and core.stats().num_waiting_tokens == 996 * 3
    names = [str(i) for i in range(1000) if i != 500]
    assert core.abort_requests([*names[::-1], *names]) == names[::-1]
    assert core.stats().num_waiting == 1 and core.stats().num_running == 0 and core.stats().kv_cache_usage == 0
    assert list(finish(core)) == ["500"]


# -- time and numbers ---------------------------------------------------------------------------------


def test_times_and_counts() -> None:
    clock = Clock()
    core = make(seqs=1, clock=clock)
    core.add_request("a", PROMPT, SamplingParams(temperature=0, max_tokens=1))
    clock.now = 101.0
    core.add_request("b", PROMPT[:3], SamplingParams(temperature=0, max_tokens=2, ignore_eos=True))

    def work(step: int) -> None:
        clock.now += 2.0

    fake(core).before_step = work
    (a,) = core.step()
    assert (a.queued, a.scheduled, a.finish_reason) == (100.0, 101.0, "length")
    stats = core.stats()
    assert (stats.num_steps, stats.num_batched_tokens) == (1, 18)
    assert (stats.num_running, stats.num_waiting, stats.num_waiting_tokens) == (0, 1, 3)
    first, second = finish(core)["b"]
    assert (first.queued, first.scheduled, second.queued, second.scheduled) == (101.0, 103.0, None, None)
    assert core.stats().num_free_blocks == 64 and core.step() == []


def test_steps_of_a_slow_machine_become_short() -> None:
    clock = Clock()
    core = make(budget=512, seqs=4, length=600, blocks=200, clock=clock, step_seconds=0.25)

    def work(step: int) -> None:
        clock.now += 0.005 * fake(core).batches[-1].num_tokens

    fake(core).after_writing = work
    core.add_request("a", list(range(500)), GREEDY)
    assert len(finish(core)["a"]) == 4
    assert [batch.num_tokens for batch in fake(core).batches] == [64, *[50] * 8, 36, 1, 1, 1]
    core.step_budget = None
    core.add_request("b", list(range(500, 1000)), GREEDY)
    core.step()
    assert fake(core).batches[-1].num_tokens == 500  # no target: the whole budget of the step


def test_seeds_of_requests_that_bring_none() -> None:
    one, two, other = make(seed=1), make(seed=1), make(seed=2)
    params = SamplingParams(max_tokens=6, ignore_eos=True)
    found = [[tokens(ask(core, PROMPT, params)) for _ in range(2)] for core in (one, two, other)]
    assert found[0] == found[1] != found[2] and found[0][0] != found[0][1]
