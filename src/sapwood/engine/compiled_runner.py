"""The model runner that compiles: one native step for the model, native sampling after it.

It turns a StepBatch into flat arrays, runs the step, and samples the rows that end a sequence. All memory of a
step is laid out when the runner is made.
"""

from __future__ import annotations

from typing import Any

from sapwood import graph
from sapwood.engine.memory_plan import plan_memory
from sapwood.engine.model_runner import (
    RunnerSpec,
    SampledToken,
    SamplingState,
    SequenceSlice,
    StepBatch,
    StepOutput,
    TokenLogprobs,
)
from sapwood.engine.numerics import numerics_id
from sapwood.engine.row_sampler import RowSampler
from sapwood.engine.step_inputs import INPUTS, StepInputs
from sapwood.kernels.attention import BLOCK
from sapwood.models.loading import build_model, load_weights
from sapwood.models.safetensors import open_weights
from sapwood.runtime.array import Array


class CompiledRunner:
    """A model that is compiled for this machine. See `model_runner.ModelRunner`.

    memory_plan: the bytes that it was planned with; `plan_memory` says when it refuses to start.
    """

    def __init__(self, spec: RunnerSpec) -> None:
        planned = plan_memory(spec)
        self.memory_plan = planned.plan
        config = self.config = spec.config
        rows, slices = spec.max_num_batched_tokens, spec.max_num_seqs
        self.vocab_size = config.vocab_size
        self.max_model_len = spec.max_model_len
        self.block_size = BLOCK
        self.num_blocks = planned.plan.num_blocks
        self.max_logit_rows = planned.max_logit_rows
        weights = open_weights(spec.directory)
        self.numerics_id = numerics_id(config, weights, spec.dtype, BLOCK)
        self.model = build_model(config, spec.dtype)
        load_weights(self.model, weights, str(spec.directory))
        self.model.allocate(self.num_blocks, spec.max_model_len, spec.dtype)
        self.program = graph.compile(self.model, INPUTS, name=config.architecture.lower())
        self.inputs = StepInputs(
            rows, slices, self.max_logit_rows, spec.max_model_len, self.vocab_size, self.num_blocks
        )
        self.program.reserve(**planned.limits)
        self.logits = Array.empty((self.max_logit_rows, self.vocab_size), "f32")
        self.sampler = RowSampler(self.vocab_size, slices)
        self._step = self.program.prepare([self.inputs.arrays[n] for n in INPUTS], [self.logits])

    def execute(self, batch: StepBatch) -> StepOutput:
        """Compute one step. Raises ValueError, having computed nothing, for a batch beyond the limits that the runner
        was made for, and for ids or blocks that do not exist."""
        slices = batch.slices
        if not slices:
            return StepOutput([])
        rows, logit_rows = self.inputs.fill(slices)
        states = [s.sampling for s in slices if s.sampling is not None]
        self.sampler.prepare(states)
        sizes = {
            "rows": rows, "slices": len(slices), "sampled": logit_rows, "table_width": self.inputs.table_width,
        }  # fmt: skip
        self._step(sizes)
        return self._sample(slices, states) if logit_rows else StepOutput([None] * len(slices))

    def _sample(self, slices: list[SequenceSlice], states: list[SamplingState]) -> StepOutput:
        """Tokens of the first rows of logits, and reports about those and the others."""
        logits = self.logits.data_ptr
        tokens = self.sampler.sample(logits)
        rows = [k for k, state in enumerate(states) if state.logprobs is not None]
        targets = [tokens[k] for k in rows]
        counts = [states[k].logprobs or 0 for k in rows]
        at = len(tokens)
        for s in slices:
            if s.prompt_logprobs is not None:
                asked = s.prompt_logprobs.targets
                rows += range(at, at + len(asked))
                targets += asked
                counts += [s.prompt_logprobs.count] * len(asked)
                at += len(asked)
        found = iter(self.sampler.report(logits, rows, targets, counts) if rows else [])
        drawn = iter(tokens)
        sampled: list[SampledToken | None] = []
        for s in slices:
            if s.sampling is None:
                sampled.append(None)
            elif s.sampling.logprobs is None:
                sampled.append(SampledToken(next(drawn)))
            else:
                sampled.append(SampledToken(next(drawn), *next(found)))
        prompt_logprobs = {
            i: [TokenLogprobs(t, *next(found)) for t in s.prompt_logprobs.targets]
            for i, s in enumerate(slices)
            if s.prompt_logprobs is not None
        }
        return StepOutput(sampled, prompt_logprobs)


def create_runner(spec: RunnerSpec) -> Any:
    """A ready runner; see `CompiledRunner`. Raises WeightsError, and ValueError as `plan_memory` does."""
    return CompiledRunner(spec)
