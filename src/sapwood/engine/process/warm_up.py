"""Everything is compiled before the first request waits for it, and before a step that takes long looks stuck."""

from __future__ import annotations

from sapwood.engine.model_runner import (
    LogitAdjustments,
    ModelRunner,
    PromptLogprobs,
    SamplingState,
    SequenceSlice,
    StepBatch,
)


def warm_up(runner: ModelRunner) -> None:
    """Compute steps that take every way through the model and the sampler. No request may run.

    What is written to the first block of the cache is not in the prefix cache, and nobody reads it.
    """
    tokens = [0, 1] if runner.vocab_size > 1 and runner.max_logit_rows > 1 else [0]
    adjustments = LogitAdjustments([0], [0], 1.1, 0.1, 0.1, {0: 1.0}, frozenset({0}))
    plain = SamplingState(temperature=0.0, top_k=0, top_p=1.0, seed=0, position=len(tokens), logprobs=None)
    drawn = SamplingState(
        temperature=1.0,
        top_k=min(2, runner.vocab_size),
        top_p=0.9,
        seed=0,
        position=len(tokens),
        logprobs=1,
        min_p=0.1,
        adjustments=adjustments,
    )
    asked = PromptLogprobs(tokens[1:], 1) if len(tokens) > 1 else None
    for sampling, prompt_logprobs in ((plain, None), (drawn, asked)):
        runner.execute(StepBatch([SequenceSlice(tokens, 0, [0], sampling, prompt_logprobs)]))
