"""The seam between engine and model: plain data in, sampled tokens out.

A runner owns weights and the paged KV cache; it knows nothing of requests, queues or text. The engine owns
which block belongs to whom; it knows nothing of tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sapwood.models.config import ModelConfig


@dataclass(frozen=True, slots=True)
class LogitAdjustments:
    """Changes to one row of logits before temperature; meanings as in SamplingParams.

    Order: repetition penalty, frequency and presence penalty, logit_bias, then banned_token_ids get -inf. Where that
    would leave nothing at all, the row is sampled as it is.
    prompt_token_ids, output_token_ids: the whole history of the sequence; empty when there are no penalties. Best
    an array("i"), which the sampler copies as a block.
    Logprobs are reported from the unchanged row.
    """

    prompt_token_ids: Sequence[int]
    output_token_ids: Sequence[int]
    repetition_penalty: float
    presence_penalty: float
    frequency_penalty: float
    logit_bias: Mapping[int, float]
    banned_token_ids: frozenset[int]


@dataclass(frozen=True, slots=True)
class SamplingState:
    """How to sample the token that follows a slice.

    temperature: 0 is greedy. top_k: 0 keeps all. top_p: in (0, 1]. min_p: in [0, 1], 0 keeps all.
    adjustments: None when the row is sampled as it is.
    seed, position: the key of the counter generator. `seed` is in [0, 2**64); `position` is the absolute
        position of the token that is sampled, so a resumed request draws the same numbers.
    logprobs: None, or how many of the most likely tokens to report (0: the sampled one only).
    """

    temperature: float
    top_k: int
    top_p: float
    seed: int
    position: int
    logprobs: int | None
    min_p: float = 0.0
    adjustments: LogitAdjustments | None = None


@dataclass(frozen=True, slots=True)
class PromptLogprobs:
    """Log-probabilities wanted for rows of a slice: row i is asked about token targets[i].

    targets has at most as many entries as the slice has tokens (the last row of a prompt has none).
    count: how many of the likeliest tokens to report besides (0: none).
    """

    targets: list[int]
    count: int


@dataclass(frozen=True, slots=True)
class SequenceSlice:
    """Consecutive tokens of one sequence that are computed in this step.

    start: absolute position of token_ids[0]; the KV of all earlier positions is in the cache.
    block_table: ids of the sequence's blocks; position p lives in slot p % block_size of
        block_table[p // block_size]. It covers at least start + len(token_ids) positions.
    sampling: None when the slice does not reach the end of the sequence: then nothing is sampled.
    prompt_logprobs: None, or what to report about the slice's own rows.
    """

    token_ids: list[int]
    start: int
    block_table: list[int]
    sampling: SamplingState | None
    prompt_logprobs: PromptLogprobs | None = None


@dataclass(frozen=True, slots=True)
class StepBatch:
    """One step. No block appears in two slices' writable range; slices are in scheduling order.

    Rows whose logits are computed (num_logit_rows) are at most the runner's max_logit_rows.
    """

    slices: list[SequenceSlice]

    @property
    def num_tokens(self) -> int:
        return sum(len(s.token_ids) for s in self.slices)

    @property
    def num_logit_rows(self) -> int:
        return sum(
            (s.sampling is not None) + (len(s.prompt_logprobs.targets) if s.prompt_logprobs else 0)
            for s in self.slices
        )


@dataclass(frozen=True, slots=True)
class SampledToken:
    """What one sampling slice produced.

    `logprob` is that of `token_id` in the model's raw distribution (natural log); `top_logprobs` are (token
    id, logprob), most likely first. Both are None, and empty, when no logprobs were asked for.
    """

    token_id: int
    logprob: float | None = None
    top_logprobs: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """Log-probability of one given token, and (token id, logprob) of the likeliest, most likely first."""

    token_id: int
    logprob: float
    top_logprobs: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class StepOutput:
    """`sampled` has one entry per slice of the batch, None where `sampling` was None.

    prompt_logprobs: number of the slice -> one entry for each of its targets; only slices that asked.
    """

    sampled: list[SampledToken | None]
    prompt_logprobs: dict[int, list[TokenLogprobs]] = field(default_factory=dict)


class ModelRunner(Protocol):
    """A model that can be stepped. `execute` is called from one thread at a time.

    numerics_id: names everything that the bits of keys and values depend on (weights, dtype, kernels, target).
        Equal ids give equal bits; it starts every chain of block hashes.
    max_logit_rows: rows of logits that one step can compute; at least max_num_seqs.
    """

    @property
    def numerics_id(self) -> str: ...

    @property
    def max_logit_rows(self) -> int: ...

    @property
    def vocab_size(self) -> int: ...

    @property
    def max_model_len(self) -> int: ...

    @property
    def block_size(self) -> int: ...

    @property
    def num_blocks(self) -> int: ...

    def execute(self, batch: StepBatch) -> StepOutput: ...


@dataclass(frozen=True, slots=True)
class RunnerSpec:
    """What a runner factory gets: all that the engine knows about the model before weights are touched.

    dtype: "f32", "bf16" or "f16", already resolved. block_size: tokens per KV block. num_blocks: blocks of
    the cache, or None for as many as `kv_cache_memory_bytes` holds (None too: enough for max_num_seqs
    sequences of max_model_len tokens or what memory allows, whichever is less; never fewer than one such
    sequence).
    """

    directory: Path
    config: ModelConfig
    dtype: str
    max_model_len: int
    max_num_batched_tokens: int
    max_num_seqs: int
    block_size: int
    num_blocks: int | None = None
    kv_cache_memory_bytes: int | None = None


RunnerFactory = Callable[[RunnerSpec], ModelRunner]
