"""The whole engine on the demo model: scheduling never changes a token, sampling is reproducible, nothing is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sapwood import LLM, SamplingParams, demo_model

PROMPTS = ["def read_lines(path):\n", "import os", "class Node:\n    def __init__(self", "# " + "very " * 30]


def tokens(llm: LLM, prompts: Any, params: Any) -> list[list[int]]:
    return [o.outputs[0].token_ids for o in llm.generate(prompts, params, use_tqdm=False)]


@pytest.fixture(scope="module")
def llm() -> LLM:
    return LLM(demo_model(), max_model_len=256)


@pytest.fixture(scope="module")
def alone(llm: LLM) -> dict[float, list[list[int]]]:
    return {t: [tokens(llm, p, params(t))[0] for p in PROMPTS] for t in (0.0, 0.9)}


def params(temperature: float) -> SamplingParams:
    return SamplingParams(temperature=temperature, top_p=0.95, seed=7, max_tokens=40, ignore_eos=True)


@pytest.mark.parametrize("temperature", [0.0, 0.9])
@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"max_num_batched_tokens": 16, "max_num_seqs": 4},
        {"max_num_seqs": 2},
        {"num_kv_blocks": 16, "max_num_seqs": 4},
    ],
    ids=["together", "chunks of 16", "two at once", "few blocks"],
)
def test_scheduling_changes_no_token(limits: dict[str, int], temperature: float, alone: Any):
    llm = LLM(demo_model(), max_model_len=256, **limits)  # type: ignore[arg-type]
    assert tokens(llm, PROMPTS, params(temperature)) == alone[temperature]
    if "num_kv_blocks" in limits:
        assert llm.engine.scheduler.num_preemptions > 0
    assert llm.engine.scheduler.kv_cache_manager.usage == 0


def test_logprobs_are_of_the_raw_distribution(llm: LLM):
    found = SamplingParams(temperature=0.0, max_tokens=5, logprobs=3)
    (output,) = llm.generate(PROMPTS[0], found, use_tqdm=False)
    runner: Any = llm.engine.runner
    logits = runner.logits.numpy()[0].astype(np.float64)  # of the last step
    expected = logits - (np.log(np.exp(logits - logits.max()).sum()) + logits.max())
    last = output.outputs[0].logprobs[-1]
    best = np.argsort(-expected)[:3]
    assert set(best.tolist()) <= set(last)
    for token, entry in last.items():
        assert abs(getattr(entry, "logprob", entry) - expected[token]) < 1e-5


def test_sampling_follows_the_seed(llm: LLM, alone: Any):
    other = SamplingParams(temperature=0.9, top_p=0.95, seed=8, max_tokens=40, ignore_eos=True)
    assert tokens(llm, PROMPTS[0], params(0.9))[0] == alone[0.9][0]
    assert tokens(llm, PROMPTS[0], other)[0] != alone[0.9][0]
    assert tokens(llm, PROMPTS[0], SamplingParams(temperature=0.9, top_k=1, max_tokens=40, ignore_eos=True))[0] == (
        alone[0.0][0]
    )


def adjusted(logits: np.ndarray, prompt: list[int], output: list[int], p: SamplingParams, ends: set[int]) -> np.ndarray:
    """What the parameters say about a row, written plainly."""
    y = logits.astype(np.float64)
    for token in {*prompt, *output}:
        y[token] = y[token] / p.repetition_penalty if y[token] > 0 else y[token] * p.repetition_penalty
    for token in output:
        y[token] -= p.frequency_penalty
    for token in set(output):
        y[token] -= p.presence_penalty
    for token, bias in (p.logit_bias or {}).items():
        y[token] += bias
    if len(output) < p.min_tokens:
        y[list(ends)] = -np.inf
    return y


@pytest.mark.parametrize(
    "changes",
    [
        {"repetition_penalty": 1.2}, {"frequency_penalty": 0.7, "presence_penalty": 0.4},
        {"logit_bias": {199: 30.0, 10: -100.0}, "frequency_penalty": 2.0}, {"min_tokens": 12, "logit_bias": {0: 100.0}},
    ],
    ids=str,
)  # fmt: skip
def test_adjusted_texts_follow_the_formulas(llm: LLM, changes: dict[str, Any]):
    """Each token is the likeliest of its adjusted row, and its logprob that of the row as the model gave it."""
    p = SamplingParams(temperature=0.0, max_tokens=16, logprobs=1, **changes)
    (output,) = llm.generate(PROMPTS[0], p, use_tqdm=False)
    prompt, text = output.prompt_token_ids, output.outputs[0].token_ids
    plain = llm.generate(PROMPTS[0], SamplingParams(temperature=0.0, max_tokens=16, ignore_eos=True), use_tqdm=False)
    assert text != plain[0].outputs[0].token_ids
    runner: Any = llm.engine.runner
    ends = set(llm.engine.eos_token_ids)
    ask = SamplingParams(temperature=0.0, max_tokens=1)
    for i, token in enumerate(text):
        llm.generate({"prompt_token_ids": prompt + text[:i]}, ask, use_tqdm=False)
        logits = runner.logits.numpy()[0].astype(np.float64)
        row = adjusted(logits, prompt, text[:i], p, ends)
        assert row[token] >= row.max() - 1e-5
        norm = np.log(np.exp(logits - logits.max()).sum()) + logits.max()
        entry: Any = output.outputs[0].logprobs[i][token]
        assert abs(getattr(entry, "logprob", entry) - (logits[token] - norm)) < 1e-5
    assert len(text) >= p.min_tokens
