"""Texts and log-probabilities have the same bits however a request is scheduled.

The reference is each request on its own, in one chunk, on an empty cache. One runner serves every engine of a model, so
its cache is full of what others left there.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sapwood import LLM, SamplingParams, demo_model
from sapwood.engine.llm_engine import LLMEngine
from sapwood.engine.scheduler import SchedulerConfig
from sapwood.models.random_checkpoint import SHAPES, write_checkpoint

CONTEXT, BUDGET, SEQS = 256, 512, 16
GREEDY = SamplingParams(temperature=0.0, max_tokens=24, logprobs=3, ignore_eos=True)
SAMPLED = SamplingParams(temperature=0.9, top_p=0.95, seed=7, max_tokens=24, logprobs=2, ignore_eos=True)
ADJUSTED = SamplingParams(
    temperature=0.7, min_p=0.02, seed=3, repetition_penalty=1.3, presence_penalty=0.5, frequency_penalty=0.4,
    logit_bias={5: 4.0, 9: -50.0}, min_tokens=20, max_tokens=24, logprobs=2, prompt_logprobs=2,
)  # fmt: skip
Job = tuple[list[int], SamplingParams]


class Fewer:
    """A runner that says it has fewer blocks."""

    def __init__(self, runner: Any, num_blocks: int) -> None:
        self.runner, self.num_blocks = runner, num_blocks

    def __getattr__(self, name: str) -> Any:
        return getattr(self.runner, name)


class RandomBudget:
    """Step budgets that no clock would give."""

    def __init__(self, least: int) -> None:
        self.random, self.least = random.Random(3), least

    @property
    def tokens(self) -> int:
        return self.random.randint(self.least, 3 * self.least)

    def record(self, num_tokens: int, seconds: float) -> None:
        pass


class Model:
    """A model, jobs for it, and what each of them gives alone."""

    def __init__(self, directory: Path, dtype: str) -> None:
        limits = {"max_model_len": CONTEXT, "max_num_batched_tokens": BUDGET, "max_num_seqs": SEQS}
        self.llm = LLM(directory, dtype=dtype, **limits)
        rng = random.Random(directory.name)
        vocabulary = self.llm.config.vocab_size

        def draw(n: int) -> list[int]:
            return [rng.randrange(3, vocabulary) for _ in range(n)]

        self.prefix = draw(70)
        prompts = [self.prefix + draw(n) for n in (1, 10, 40)] + [self.prefix[:40] + draw(9), self.prefix[:64]]
        prompts += [draw(n) for n in (1, 17, 100)]
        self.jobs: list[Job] = [(p, params) for p in prompts for params in (GREEDY, SAMPLED)]
        self.jobs += [(p, ADJUSTED) for p in prompts[::2]] + [(prompts[1], replace(GREEDY, prompt_logprobs=0))]
        self.alone = [run(self.engine(), [job])[0] for job in self.jobs]

    def engine(self, budget: int = BUDGET, seqs: int = SEQS, blocks: int = 0, caching: bool = False) -> LLMEngine:
        runner = self.llm.engine.runner
        config = SchedulerConfig(budget, seqs, CONTEXT, enable_prefix_caching=caching)
        return LLMEngine(Fewer(runner, blocks or runner.num_blocks), self.llm.tokenizer, config)


def seen(output: Any) -> Any:
    """All that a caller can see of a finished request, but what was cached."""
    assert output.finished

    def shown(places: Any) -> list[Any]:
        return [p and {i: (e.logprob, e.rank, e.decoded_token) for i, e in p.items()} for p in places or ()]

    return shown(output.prompt_logprobs), [
        (t.index, t.text, t.token_ids, t.cumulative_logprob, t.finish_reason, shown(t.logprobs)) for t in output.outputs
    ]


def finish(engine: LLMEngine) -> dict[str, Any]:
    done: dict[str, Any] = {}
    while engine.has_unfinished_requests():
        done |= {output.request_id: output for output in engine.step()}
    assert engine.scheduler.kv_cache_manager.usage == 0 and engine.core.check()
    return done


def run(engine: LLMEngine, jobs: list[Job]) -> list[Any]:
    for i, (prompt, params) in enumerate(jobs):
        engine.add_request(str(i), prompt, params)
    done = finish(engine)
    return [seen(done[str(i)]) for i in range(len(jobs))]


MODELS = [
    ("demo", "bfloat16"), ("qwen3-tiny", "bfloat16"),
    pytest.param(("demo", "float16"), marks=pytest.mark.nightly),
    pytest.param(("qwen3-tiny", "float32"), marks=pytest.mark.nightly),
]  # fmt: skip


@pytest.fixture(scope="module", params=MODELS, ids="-".join)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    name, dtype = request.param
    if name == "demo":
        return Model(demo_model(), dtype)
    return Model(write_checkpoint(tmp_path_factory.mktemp("models") / name, SHAPES[name]), dtype)


def test_the_reference_is_not_trivial(model: Model):
    texts = [text for _, [(_, text, *_)] in model.alone]
    assert len(set(texts)) > len(texts) // 2
    assert all(len(logprobs) >= 20 and all(logprobs) for _, [(*_, logprobs)] in model.alone)
    asked = [len(prompt) - 1 for (prompt, params) in model.jobs if params.prompt_logprobs is not None]
    assert [sum(map(bool, prompt)) for prompt, _ in model.alone if prompt] == asked


@pytest.mark.parametrize("caching", [False, True])
def test_in_company(model: Model, caching: bool):
    assert run(model.engine(caching=caching), model.jobs) == model.alone
    assert run(model.engine(seqs=3, caching=caching), model.jobs[::-1]) == model.alone[::-1]


@pytest.mark.parametrize(("budget", "seqs"), [(64, 16), (16, 4), (7, 3), (1, 1)])
def test_in_chunks(model: Model, budget: int, seqs: int):
    some = slice(0, 6) if budget == 1 else slice(None)
    assert run(model.engine(budget, seqs), model.jobs[some]) == model.alone[some]


def test_with_a_budget_that_changes(model: Model):
    engine: Any = model.engine()
    engine.core.step_budget = RandomBudget(SEQS)
    assert run(engine, model.jobs) == model.alone


@pytest.mark.parametrize("caching", [False, True])
def test_preempted_and_resumed(model: Model, caching: bool):
    """Short prompts and long texts, in a cache that has room for two of them."""
    jobs = [(prompt, replace(params, max_tokens=100)) for prompt, params in model.jobs[10:14]]
    engine = model.engine(blocks=CONTEXT // 16, budget=32, caching=caching)
    assert run(engine, jobs) == [run(model.engine(), [job])[0] for job in jobs]
    assert engine.scheduler.num_preemptions


@pytest.mark.parametrize("caching", [False, True])
def test_preempted_at_any_time(model: Model, caching: bool):
    engine = model.engine(budget=64, caching=caching)
    for i, (prompt, params) in enumerate(model.jobs):
        engine.add_request(str(i), prompt, params)
    done: dict[str, Any] = {}
    steps = 0
    while engine.has_unfinished_requests():
        done |= {output.request_id: output for output in engine.step()}
        steps += 1
        if steps % 5 == 0 and steps < 100:
            engine.scheduler.preempt_all()
    assert [seen(done[str(i)]) for i in range(len(model.jobs))] == model.alone
    assert engine.scheduler.num_preemptions > len(model.jobs)


def test_from_the_prefix_cache(model: Model):
    """Each job after the shared prefix, after itself, and after others have taken part of its blocks."""
    engine = model.engine(blocks=16, caching=True)

    def job(number: int) -> int:
        """Run one; how many tokens of its prompt were cached."""
        prompt, params = model.jobs[number]
        engine.add_request("one", prompt, params)
        output = finish(engine)["one"]
        assert seen(output) == model.alone[number]
        return output.num_cached_tokens

    assert job(0) == 0
    assert [job(i) for i in (0, 1, 2, 3)] == [64] * 4  # itself, other parameters, another tail
    assert job(6) == 32  # half of the prefix
    assert job(8) == 48  # all of the prompt is cached; the last block is computed, to have a row to sample from
    assert job(4) == 64
    assert [job(i) for i in (12, 14, 15)] == [0, 0, 96]
    found = [job(i) for i in (4, 6, 0)]
    assert 0 < found[0] < 96  # the end of it was taken


@pytest.mark.parametrize("caching", [False, True])
def test_begun_by_another_engine(model: Model, caching: bool):
    """The rest of each text, by an engine that computes what was generated so far as if it were a prompt."""
    core, cuts, found = model.engine(caching=caching).core, {}, {}
    for number, ((prompt, params), (_, [(_, _, ids, *_)])) in enumerate(zip(model.jobs, model.alone, strict=True)):
        cuts[str(number)] = cut = 5 * number % len(ids)
        core.add_request(str(number), prompt, params, output_token_ids=ids[:cut])
    while core.has_unfinished_requests():
        for delta in core.step():
            found.setdefault(delta.request_id, []).append(delta)
    for number, cut in cuts.items():
        _, [(_, _, ids, _, reason, logprobs)] = model.alone[int(number)]
        deltas = found[number]
        assert [t for d in deltas for t in d.token_ids] == list(ids[cut:])
        entries = [e for d in deltas for e in d.logprobs]
        assert [e.logprob for e in entries] == [p[t][0] for p, t in zip(logprobs, ids, strict=True)][cut:]
        assert deltas[-1].finish_reason == reason


def test_several_texts_of_a_prompt(model: Model):
    for number in (4, 5):
        prompt, params = model.jobs[number]
        each = [replace(params, seed=None if params.seed is None else params.seed + i) for i in range(4)]
        single = [run(model.engine(), [(prompt, p)])[0][1][0] for p in each]
        for engine in (model.engine(), model.engine(caching=True), model.engine(16, 3, caching=True)):
            company = [(prompt, replace(params, n=4)), model.jobs[0]]
            _, texts = run(engine, company)[0]
            assert [text[1:] for text in texts] == [text[1:] for text in single]
            assert [text[0] for text in texts] == [0, 1, 2, 3]


SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(3, 60))]


@pytest.mark.parametrize("seed", SEEDS)
def test_any_schedule(model: Model, seed: int):
    """Requests come at any time, some are aborted, steps are of any size, the pool is small, prefixes are cached."""
    rng = random.Random(seed)
    engine: Any = model.engine(blocks=rng.randint(16, 30), seqs=6, caching=True)
    engine.core.step_budget = RandomBudget(6)
    order = list(range(len(model.jobs))) * 2
    rng.shuffle(order)
    done: dict[str, Any] = {}
    aborted: set[str] = set()
    names: dict[str, int] = {}
    while order or engine.has_unfinished_requests():
        while order and rng.random() < 0.3:
            name = str(len(names))
            names[name] = order.pop()
            engine.add_request(name, *model.jobs[names[name]])
        if rng.random() < 0.02 and names:
            name = rng.choice(list(names))
            aborted.add(name)
            engine.abort_requests([name])
        done |= {output.request_id: output for output in engine.step()}
    assert engine.scheduler.kv_cache_manager.usage == 0 and engine.core.check()
    assert set(done) | aborted == set(names)
    finished = [name for name, output in done.items() if output.finished and name not in aborted]
    assert len(finished) > len(names) // 2
    for name in finished:
        assert seen(done[name]) == model.alone[names[name]]
    assert engine.scheduler.prefix_cache_hits
