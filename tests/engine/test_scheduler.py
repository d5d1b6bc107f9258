"""The scheduler with no model: fixed scenarios. The state machine over the whole engine is test_engine_machine.py."""

from __future__ import annotations

import pytest
from engine_fakes import FakeRunner

from sapwood.engine.kv_cache_manager import KVCacheManager
from sapwood.engine.model_runner import SamplingState, StepOutput
from sapwood.engine.request import Request, RequestStatus
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.scheduler import (
    DuplicateRequestError,
    RequestTooLargeError,
    Scheduler,
    SchedulerConfig,
    SchedulerOutput,
)

GREEDY = SamplingParams(temperature=0)


def request(name: str, prompt: int, max_tokens: int, **params: object) -> Request:
    ids = [(hash_of(name) + i) % 1000 for i in range(prompt)]
    return Request(name, ids, SamplingParams(temperature=0, **params), max_tokens=max_tokens)  # type: ignore[arg-type]


def hash_of(name: str) -> int:
    return sum(ord(c) * 31**i for i, c in enumerate(name)) % 997


class Engine:
    """A scheduler and a fake runner that agree on their sizes."""

    def __init__(
        self, budget: int = 16, seqs: int = 4, length: int = 64, blocks: int = 16, size: int = 4
    ) -> None:
        self.scheduler = Scheduler(SchedulerConfig(budget, seqs, length), KVCacheManager(blocks, size))
        self.runner = FakeRunner(
            block_size=size, num_blocks=blocks, max_model_len=length, max_num_batched_tokens=budget
        )

    def step(self) -> SchedulerOutput:
        output = self.scheduler.schedule()
        self.scheduler.update_from_output(output, self.runner.execute(output.batch))
        return output

    def plan(self) -> list[tuple[str, int, int]]:
        return [(s.request.request_id, s.start, s.num_tokens) for s in self.step().slices]

    def run(self, *requests: Request) -> list[list[int]]:
        for r in requests:
            self.scheduler.add_request(r)
        while self.scheduler.has_unfinished_requests():
            self.step()
        return [r.output_token_ids for r in requests]


def alone(prompt_token_ids: list[int], max_tokens: int) -> list[int]:
    """The tokens of a request that has a large engine for itself."""
    ids = list(prompt_token_ids)
    runner = FakeRunner()
    for _ in range(max_tokens):
        ids.append(runner.next_token(ids, SamplingState(0.0, 0, 1.0, 0, len(ids), None)) % runner.vocab_size)
    return ids[len(prompt_token_ids) :]


def test_running_first_then_waiting_in_one_budget() -> None:
    engine = Engine(budget=10)
    for r in (request("a", 12, 3), request("b", 5, 3), request("c", 2, 3)):
        engine.scheduler.add_request(r)
    assert engine.plan() == [("a", 0, 10)]
    assert engine.plan() == [("a", 10, 2), ("b", 0, 5), ("c", 0, 2)]
    assert engine.plan() == [("a", 12, 1), ("b", 5, 1), ("c", 2, 1)]
    assert engine.plan() == [("a", 13, 1), ("b", 6, 1), ("c", 3, 1)]
    assert not engine.scheduler.has_unfinished_requests() and engine.scheduler.schedule().slices == []


def test_only_the_last_chunk_samples() -> None:
    engine = Engine(budget=4)
    engine.scheduler.add_request(request("a", 10, 1))
    outputs = [engine.step() for _ in range(3)]
    assert [[s.samples for s in o.slices] for o in outputs] == [[False], [False], [True]]
    assert [o.batch.slices[0].sampling is not None for o in outputs] == [False, False, True]
    assert [o.total_num_scheduled_tokens for o in outputs] == [4, 4, 2]


def test_admission_is_first_come_and_takes_the_whole_prompt() -> None:
    engine = Engine(budget=4, blocks=8)
    for r in (request("a", 20, 2), request("b", 16, 2), request("c", 1, 2)):
        engine.scheduler.add_request(r)
    assert engine.plan() == [("a", 0, 4)]
    assert len(engine.scheduler.kv_cache_manager.get_block_ids("a")) == 5
    while not engine.scheduler.requests["a"].num_output_tokens:
        assert [p[0] for p in engine.plan()] == ["a"]  # b does not fit beside it; c may not overtake b
    assert engine.scheduler.num_preemptions == 0


def test_max_num_seqs() -> None:
    engine = Engine(seqs=2)
    for name in "abc":
        engine.scheduler.add_request(request(name, 2, 2))
    assert [p[0] for p in engine.plan()] == ["a", "b"]
    engine.step()
    assert [p[0] for p in engine.plan()] == ["c"]


def test_preemption_recomputes_to_the_same_tokens() -> None:
    engine = Engine(budget=16, seqs=3, length=20, blocks=6)
    requests = [request("a", 4, 16), request("b", 4, 16), request("c", 3, 12)]
    outputs = engine.run(*requests)
    assert engine.scheduler.num_preemptions > 0 and requests[0].num_preemptions == 0
    assert sum(r.num_preemptions for r in requests) == engine.scheduler.num_preemptions
    for r, output in zip(requests, outputs, strict=True):
        assert output == alone(r.prompt_token_ids, r.max_tokens)
        assert r.status is RequestStatus.FINISHED_LENGTH_CAPPED


def test_latest_is_preempted_and_resumes_first() -> None:
    engine = Engine(budget=16, seqs=3, length=20, blocks=5)
    for r in (request("a", 4, 16), request("b", 4, 16), request("d", 4, 16)):
        engine.scheduler.add_request(r)
    preempted: list[str] = []
    while len(preempted) < 2:
        preempted += [r.request_id for r in engine.step().preempted]
    assert preempted == ["d", "b"]
    assert [r.request_id for r in engine.scheduler.waiting] == ["b", "d"]
    assert engine.scheduler.requests["b"].status is RequestStatus.PREEMPTED
    assert engine.scheduler.kv_cache_manager.get_block_ids("b") == []


def test_preempt_all_makes_output_in_flight_stale() -> None:
    engine = Engine()
    requests = [request("a", 4, 5), request("b", 6, 5)]
    for r in requests:
        engine.scheduler.add_request(r)
    engine.step()
    in_flight = engine.scheduler.schedule()
    result = engine.runner.execute(in_flight.batch)
    assert engine.scheduler.preempt_all() == requests
    engine.scheduler.schedule()  # the same requests run again, before the old output arrives
    assert engine.scheduler.update_from_output(in_flight, result) == []
    assert [r.num_output_tokens for r in requests] == [1, 1]
    engine.scheduler.preempt_all()
    assert engine.run() == [] and [r.output_token_ids for r in requests] == [
        alone(r.prompt_token_ids, 5) for r in requests
    ]


def test_unservable_requests_are_refused_at_once() -> None:
    engine = Engine(length=64, blocks=4, size=4)
    engine.scheduler.add_request(request("fits", 10, 7))  # 16 slots: the last token needs none
    with pytest.raises(RequestTooLargeError, match=r"need 17 KV slots.*has 16 \(4 blocks of 4\)"):
        engine.scheduler.add_request(request("slots", 10, 8))
    with pytest.raises(RequestTooLargeError, match=r"are 65; the context \(max_model_len\) is 64"):
        engine.scheduler.add_request(request("context", 60, 5))
    with pytest.raises(DuplicateRequestError, match="'fits'"):
        engine.scheduler.add_request(request("fits", 1, 1))
    assert list(engine.scheduler.requests) == ["fits"]
    assert len(engine.run()) == 0 and engine.scheduler.kv_cache_manager.usage == 0


def test_stop_conditions() -> None:
    first = alone(request("a", 4, 4).prompt_token_ids, 4)
    params = SamplingParams(temperature=0)
    eos = Request(
        "a", request("a", 4, 4).prompt_token_ids, params, max_tokens=4, eos_token_ids=frozenset({first[1]})
    )
    assert Engine().run(eos) == [first[:2]]
    assert (eos.status, eos.stop_token_id, eos.status.finish_reason) == (
        RequestStatus.FINISHED_STOPPED,
        None,
        "stop",
    )
    stop = request("a", 4, 4, stop_token_ids=[first[2]])
    assert Engine().run(stop) == [first[:3]] and stop.stop_token_id == first[2]
    ignore = SamplingParams(temperature=0, ignore_eos=True)
    ignoring = Request("a", eos.prompt_token_ids, ignore, max_tokens=4, eos_token_ids=frozenset({first[1]}))
    assert Engine().run(ignoring) == [first] and ignoring.status.finish_reason == "length"


def test_finish_from_outside_at_every_stage() -> None:
    engine = Engine(budget=4, seqs=1)
    running, waiting = request("a", 10, 5), request("b", 4, 5)
    for r in (running, waiting):
        engine.scheduler.add_request(r)
    scheduled = engine.scheduler.schedule()
    result = engine.runner.execute(scheduled.batch)
    ended = engine.scheduler.finish_requests(["a", "b", "x", "a"], RequestStatus.FINISHED_ABORTED)
    assert ended == [running, waiting] and running.status.finish_reason == "abort"
    assert engine.scheduler.update_from_output(scheduled, result) == []
    assert engine.scheduler.kv_cache_manager.usage == 0 and not engine.scheduler.has_unfinished_requests()
    with pytest.raises(ValueError, match="RUNNING"):
        engine.scheduler.finish_requests(["a"], RequestStatus.RUNNING)
    engine.scheduler.add_request(request("a", 3, 1))  # the id is free again


def test_output_that_does_not_match_the_batch() -> None:
    engine = Engine(budget=4)
    engine.scheduler.add_request(request("a", 10, 5))
    scheduled = engine.scheduler.schedule()
    with pytest.raises(ValueError, match="0 results for 1 slices"):
        engine.scheduler.update_from_output(scheduled, StepOutput([]))
    dropped = engine.scheduler.reset()
    assert [r.status for r in dropped] == [RequestStatus.FINISHED_ABORTED]
    assert engine.scheduler.kv_cache_manager.usage == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0, 1, 1), "max_num_batched_tokens is 0"),
        ((8, True, 1), "max_num_seqs is True"),
        ((8, 1, 1.5), "max_model_len is 1.5"),
        ((8, 9, 64), "at least max_num_seqs, which is 9"),
    ],
)
def test_config(values: tuple[int, int, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SchedulerConfig(*values)
