"""The compiled runner alone: prompt logprobs, adjustments, limits; the bits do not depend on how work is cut."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import sapwood
from sapwood import demo_model
from sapwood.engine.compiled_runner import CompiledRunner
from sapwood.engine.memory_plan import max_logit_rows
from sapwood.engine.model_runner import (
    LogitAdjustments,
    PromptLogprobs,
    RunnerSpec,
    SampledToken,
    SamplingState,
    SequenceSlice,
    StepBatch,
    StepOutput,
)
from sapwood.engine.step_inputs import StepInputs
from sapwood.models.registry import load_model_config

GREEDY = SamplingState(0.0, 0, 1.0, 0, 0, None)
NOTHING = LogitAdjustments([], [], 1.0, 0.0, 0.0, {}, frozenset())
PROMPT = [(37 * i * i + 11 * i + 5) % 2000 for i in range(60)]


def make_runner(**changes: Any) -> CompiledRunner:
    values: dict[str, Any] = {
        "directory": demo_model(), "config": load_model_config(demo_model()), "dtype": "bf16", "max_model_len": 160,
        "max_num_batched_tokens": 128, "max_num_seqs": 6, "block_size": 16, "num_blocks": 60,
    }  # fmt: skip
    return CompiledRunner(RunnerSpec(**(values | changes)))


@pytest.fixture(scope="module")
def runner() -> CompiledRunner:
    return make_runner()


@pytest.fixture(autouse=True)
def poison(request: pytest.FixtureRequest):
    """What a step does not write must not be read."""
    if "runner" in request.fixturenames:
        r = request.getfixturevalue("runner")
        r.logits.numpy()[:] = np.nan
        r.sampler.arrays["adjusted"].numpy()[:] = np.nan
        r.sampler.arrays["order"].numpy()[:] = -(2**31)
        r.sampler.arrays["tokens"].numpy()[:] = -1


def one(runner: CompiledRunner, *slices: SequenceSlice) -> StepOutput:
    return runner.execute(StepBatch(list(slices)))


def blocks(first: int) -> list[int]:
    return list(range(first, first + 8))


def prompt_slice(start: int, end: int, count: int = 3, table: list[int] | None = None, **kw: Any) -> SequenceSlice:
    """Tokens start..end of PROMPT with prompt logprobs, as a scheduler would ask for them."""
    asked = PromptLogprobs(PROMPT[start + 1 : end + 1], count)
    return SequenceSlice(PROMPT[start:end], start, table or blocks(0), kw.pop("sampling", None), asked, **kw)


def log_softmax(x: np.ndarray) -> np.ndarray:
    wide = x.astype(np.float64)
    wide -= wide.max(-1, keepdims=True)
    return wide - np.log(np.exp(wide).sum(-1, keepdims=True))


def test_prompt_logprobs_are_those_of_each_row(runner: CompiledRunner):
    found = one(runner, prompt_slice(0, 60)).prompt_logprobs[0]
    logits = runner.logits.numpy()[:59].copy()
    assert len(found) == 59 and not np.isnan(logits).any()
    want = log_softmax(logits)
    for p, entry in enumerate(found):
        assert entry.token_id == PROMPT[p + 1]
        assert abs(entry.logprob - want[p, entry.token_id]) < 1e-6
        best = np.argsort(-logits[p], kind="stable")[:3]
        assert [t for t, _ in entry.top_logprobs] == best.tolist()
        assert np.abs(np.array([v for _, v in entry.top_logprobs]) - want[p, best]).max() < 1e-6
    for p in (0, 1, 15, 16, 30, 58):  # the row that a request of its own would be sampled from
        asked = dataclasses.replace(GREEDY, logprobs=3)
        (alone,) = one(runner, SequenceSlice(PROMPT[: p + 1], 0, blocks(8), asked)).sampled
        assert alone is not None and alone.top_logprobs == found[p].top_logprobs
        assert (runner.logits.numpy()[0] == logits[p]).all()


@pytest.mark.parametrize("cuts", [[1] * 60, [7, 16, 1, 30, 6], [16, 16, 16, 12], [59, 1]], ids=str)
def test_prompt_logprobs_do_not_depend_on_chunks_and_company(runner: CompiledRunner, cuts: list[int]):
    whole = one(runner, prompt_slice(0, 60)).prompt_logprobs[0]
    got, start = [], 0
    for n, cut in enumerate(cuts):
        end = start + cut
        other = SequenceSlice([5, 6, 7], 3 * n % 90, blocks(30), dataclasses.replace(GREEDY, logprobs=1))
        idle = SequenceSlice([9], n, blocks(40), None)
        out = one(runner, idle, prompt_slice(start, end, table=blocks(16)), other)
        assert out.sampled[0] is out.sampled[1] is None and out.sampled[2] is not None
        assert list(out.prompt_logprobs) == [1]
        got += out.prompt_logprobs[1]
        start = end
    assert got == whole


def test_a_slice_can_be_sampled_and_report_its_rows(runner: CompiledRunner):
    asked = dataclasses.replace(GREEDY, logprobs=2)
    first = one(runner, prompt_slice(0, 60, sampling=asked))
    second = one(runner, prompt_slice(0, 59, 0), SequenceSlice(PROMPT, 0, blocks(8), asked))
    assert first.sampled[0] == second.sampled[1] is not None
    assert [(e.token_id, e.logprob) for e in first.prompt_logprobs[0]] == [
        (e.token_id, e.logprob) for e in second.prompt_logprobs[0]
    ]
    assert all(e.top_logprobs == () for e in second.prompt_logprobs[0])


def sampled(runner: CompiledRunner, *states: SamplingState) -> list[SampledToken | None]:
    slices = [SequenceSlice(PROMPT[: 20 + i], 0, blocks(8 * i), state) for i, state in enumerate(states)]
    return one(runner, *slices).sampled


def test_adjustments_change_what_is_sampled_and_not_the_logprobs(runner: CompiledRunner):
    plain = dataclasses.replace(GREEDY, logprobs=4)
    ((best,), logits) = sampled(runner, plain), runner.logits.numpy()[0].copy()
    assert best is not None
    order = np.argsort(-logits, kind="stable")
    ban = dataclasses.replace(NOTHING, banned_token_ids=frozenset(order[:2].tolist()))
    far = dataclasses.replace(NOTHING, logit_bias={int(order[-1]): 100.0})
    repeat = dataclasses.replace(
        NOTHING, prompt_token_ids=[best.token_id], output_token_ids=[int(order[1])] * 3, repetition_penalty=10.0,
        frequency_penalty=2.0,
    )  # fmt: skip
    for change, token in ((ban, order[2]), (far, order[-1]), (NOTHING, order[0]), (repeat, None)):
        (got,) = sampled(runner, dataclasses.replace(plain, adjustments=change))
        assert got is not None and (runner.logits.numpy()[0] == logits).all()
        assert got.top_logprobs == best.top_logprobs
        assert abs(got.logprob - log_softmax(logits)[got.token_id]) < 1e-6
        assert got.token_id not in order[:2] if token is None else got.token_id == token


def test_adjusted_and_plain_rows_in_one_step(runner: CompiledRunner):
    hot = SamplingState(1.5, 0, 0.95, 2**64 - 1, 77, None, min_p=0.01)
    change = LogitAdjustments(PROMPT, [3, 3, 4], 1.3, 0.2, 0.1, {7: 2.0}, frozenset({1, 2}))
    states = [hot, dataclasses.replace(hot, adjustments=change), GREEDY, dataclasses.replace(hot, seed=2**63)]
    together = sampled(runner, *states)
    for i, state in enumerate(states):
        alone = one(runner, SequenceSlice(PROMPT[: 20 + i], 0, blocks(48), state)).sampled[0]
        assert alone == together[i]
    old = sapwood.set_num_threads(1)
    assert sampled(runner, *states) == together
    sapwood.set_num_threads(old)


REFUSED = [
    (SequenceSlice([], 0, [0], GREEDY), "at least one token"),
    (SequenceSlice([2048], 0, [0], GREEDY), "ids below 2048"),
    (SequenceSlice([-1], 0, [0], None), "ids below 2048"),
    (SequenceSlice([2**40], 0, [0], None), "vocabulary"),
    (SequenceSlice([1], -1, [0], GREEDY), "positions below"),
    (SequenceSlice([1], 16, [0], GREEDY), "positions below"),
    (SequenceSlice([1], 160, list(range(11)), GREEDY), "positions below 160"),
    (SequenceSlice([1], 0, list(range(11)), GREEDY), "table of 11 blocks; allowed: 10"),
    (SequenceSlice([1], 0, [60], GREEDY), "blocks below 60"),
    (SequenceSlice([1], 20, [-1, 3], GREEDY), "blocks below 60"),
    (SequenceSlice([1], 0, [2**40], GREEDY), "block"),
    (SequenceSlice([1], 0, [0], GREEDY, PromptLogprobs([1, 2], 0)), "prompt_logprobs asks about 2"),
    (SequenceSlice([1], 0, [0], GREEDY, PromptLogprobs([2048], 0)), "vocabulary of 2048"),
    (SequenceSlice([1], 0, [0], GREEDY, PromptLogprobs([-1], 0)), "vocabulary of 2048"),
]
for change in (
    {"logit_bias": {2048: 1.0}}, {"logit_bias": {2**40: 1.0}}, {"banned_token_ids": frozenset({-1})},
    {"prompt_token_ids": [2048], "repetition_penalty": 2.0}, {"output_token_ids": [2048], "presence_penalty": 1.0},
):  # fmt: skip
    state = dataclasses.replace(GREEDY, adjustments=dataclasses.replace(NOTHING, **change))
    REFUSED.append((SequenceSlice([1], 0, [0], state), "logit_bias, banned_token_ids or the history"))


@pytest.mark.parametrize(("wrong", "message"), REFUSED, ids=str)
def test_nothing_is_computed_of_a_batch_that_does_not_fit(runner: CompiledRunner, wrong: SequenceSlice, message: str):
    good = SequenceSlice(PROMPT[:20], 0, [4, 5], dataclasses.replace(GREEDY, logprobs=2))
    want = one(runner, good)
    runner.logits.numpy()[:] = np.nan
    with pytest.raises(ValueError, match=message):
        one(runner, good, wrong)
    with pytest.raises(ValueError, match=message):
        one(runner, wrong, good)
    assert np.isnan(runner.logits.numpy()).all()
    assert one(runner, good) == want


def test_limits_of_a_step(runner: CompiledRunner):
    slices = [SequenceSlice([1], 0, [i], GREEDY) for i in range(7)]
    with pytest.raises(ValueError, match="7 sequences; allowed: 6"):
        one(runner, *slices)
    with pytest.raises(ValueError, match="129 tokens; allowed: 128"):
        one(runner, SequenceSlice([1] * 129, 0, list(range(9)), GREEDY))
    few = make_runner(max_num_batched_tokens=20, max_num_seqs=2)
    assert few.max_logit_rows == 20 and len(one(few, prompt_slice(0, 20)).prompt_logprobs[0]) == 20
    asked = PromptLogprobs(PROMPT[1:21], 0)
    with pytest.raises(ValueError, match="logits of 21 rows; allowed: 20"):
        one(few, SequenceSlice(PROMPT[:20], 0, blocks(0), GREEDY, asked))
    assert one(few) == StepOutput([])


def test_rows_of_logits_stay_few_and_small():
    assert max_logit_rows(32, 2048, 32000) == 128
    assert max_logit_rows(32, 2048, 152_000) == 110  # 64 MiB
    assert max_logit_rows(256, 2048, 152_000) == 256  # each sequence may be sampled
    assert max_logit_rows(4, 16, 1000) == 16
    assert max_logit_rows(1, 1, 1) == 1


def test_tables_that_stay_and_change():
    """Against fresh memory: growing, shrinking, moving and failing tables, lists that are changed in place."""
    rng = np.random.default_rng(3)
    limits = (128, 6, 128, 160, 2048, 60)
    kept = StepInputs(*limits)
    tables: list[list[int]] = [[int(rng.integers(60))] for _ in range(6)]
    for step in range(200):
        change = rng.integers(6)
        i = int(rng.integers(6))
        if change == 0:
            tables[i] = tables[i][: 1 + len(tables[i]) // 2]
        elif change == 1:
            tables.insert(0, tables.pop(i))
        elif change == 2:
            tables[i][int(rng.integers(len(tables[i])))] = int(rng.integers(60))
        elif len(tables[i]) < 10:
            tables[i].append(int(rng.integers(60)))
        count = int(rng.integers(1, 7))
        slices = []
        for table in tables[:count]:
            n = int(rng.integers(1, min(16 * len(table), 20) + 1))
            start = int(rng.integers(0, 16 * len(table) - n + 1))
            slices.append(SequenceSlice(rng.integers(0, 2048, n).tolist(), start, table, GREEDY))
        if step % 10 == 0:
            broken = dataclasses.replace(slices[-1], block_table=[*slices[-1].block_table[:9], 2**40])
            with pytest.raises(ValueError):
                kept.fill([*slices[:-1], broken])
        fresh = StepInputs(*limits)
        sizes = kept.fill(slices)
        assert sizes == fresh.fill(slices)
        for name, length in (("ids", sizes[0]), ("positions", sizes[0]), ("sequences", sizes[0]), ("slots", sizes[0])):
            assert (kept.arrays[name].numpy()[:length] == fresh.arrays[name].numpy()[:length]).all()
        for k, s in enumerate(slices):
            at = k * kept.table_width
            assert kept.arrays["tables"].numpy()[at : at + len(s.block_table)].tolist() == s.block_table
        last_rows = np.cumsum([len(s.token_ids) for s in slices]) - 1
        assert (kept.arrays["samples"].numpy()[: sizes[1]] == last_rows).all()
