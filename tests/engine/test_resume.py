"""A text that one engine began goes on in another: same tokens, same end, whatever the second one does besides."""

from __future__ import annotations

from typing import Any

import pytest
from engine_fakes import FakeRunner
from hypothesis import given
from hypothesis import strategies as st

from sapwood.engine.engine_core import EngineCore
from sapwood.engine.process.messages import TokenDelta
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.scheduler import SchedulerConfig

EOS = frozenset({7, 13, 19})
PARAMS = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 0.8]),
    seed=st.integers(0, 2**64 - 1),
    max_tokens=st.sampled_from([2, 3, 8, 30, None]),
    min_tokens=st.sampled_from([0, 0, 2]),
    ignore_eos=st.booleans(),
    stop_token_ids=st.sampled_from([None, [1, 2, 3], list(range(6))]),
    repetition_penalty=st.sampled_from([1.0, 1.5]),
    presence_penalty=st.sampled_from([0.0, 0.5]),
    frequency_penalty=st.sampled_from([0.0, -0.5]),
    logit_bias=st.sampled_from([None, {3: 5.0}]),
    logprobs=st.sampled_from([None, 2]),
    prompt_logprobs=st.sampled_from([None, 0, 2]),
)


def make(seed: int = 0, **options: Any) -> EngineCore:
    """Few tokens, so that end tokens come up; `seed`: of requests that bring none."""
    runner = FakeRunner(vocab_size=24, **options)
    return EngineCore(runner, SchedulerConfig(16, 4, 64), eos_token_ids=EOS, seed=seed, strict=True)


def run(core: EngineCore, request_id: str) -> list[TokenDelta]:
    found = []
    while core.has_unfinished_requests():
        found += [delta for delta in core.step() if delta.request_id == request_id]
    assert core.check()
    return found


def told(deltas: list[TokenDelta]) -> tuple[Any, ...]:
    """What came, without what only the first delta of a request has."""
    tokens = [t for d in deltas for t in d.token_ids]
    return tokens, [p for d in deltas for p in d.logprobs], deltas[-1].finish_reason, deltas[-1].stop_token_id


@given(
    prompt=st.lists(st.integers(0, 23), min_size=1, max_size=40), params=PARAMS, cut=st.integers(0, 60),
    others=st.lists(st.lists(st.integers(0, 23), min_size=1, max_size=20), max_size=5),
    blocks=st.sampled_from([16, 64]),
)  # fmt: skip
def test_a_text_goes_on_as_it_would_have(prompt, params, cut, others, blocks):
    first = make()
    first.add_request("x", prompt, params)
    whole = run(first, "x")
    cut = min(cut, len(whole) - 1)
    begun = [t for d in whole[:cut] for t in d.token_ids]
    second = make(seed=1, num_blocks=blocks)
    for i, other in enumerate(others):
        second.add_request(f"other {i}", other, SamplingParams(temperature=0, max_tokens=9))
    for _ in range(len(others)):
        second.step()
    second.add_request("x", prompt, params, output_token_ids=begun)
    rest = run(second, "x")
    assert told(rest) == told(whole[cut:])
    assert all(d.prompt_logprobs is None for d in rest) or cut == 0


def test_what_is_cached_is_found():
    """The second engine has seen the prompt, or all of the text: it goes on from there."""
    params = SamplingParams(temperature=0, max_tokens=20, ignore_eos=True)
    core = make()
    core.add_request("x", list(range(12)), params)
    whole = told(run(core, "x"))[0]
    core.add_request("y", list(range(12)), params, output_token_ids=whole[:11])
    assert told(run(core, "y"))[0] == whole[11:]
    assert core.stats().prefix_cache_hits == 20  # five blocks of four: prompt and output


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ([1, 24], r"output_token_ids\[1\] is 24; allowed: an integer from 0 to 23"),
        ([1, True], r"output_token_ids\[1\] is True; allowed"),
        ([1, 2, 3], "output_token_ids has 3 tokens; allowed: fewer than max_tokens, which is 3"),
        ([1, 7], "output_token_ids has 7, which ends the text"),
        ([5], "output_token_ids has 5, which ends the text"),
    ],
)
def test_what_cannot_go_on_is_refused(output, message):
    core = make()
    params = SamplingParams(temperature=0, max_tokens=3, stop_token_ids=[5])
    with pytest.raises(ValueError, match=message):
        core.add_request("x", [1, 2], params, output_token_ids=output)
    assert not core.has_unfinished_requests()
