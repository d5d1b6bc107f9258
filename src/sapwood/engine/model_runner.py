"""The seam between engine and model: plain data in, sampled tokens out.

A runner owns weights and the paged KV cache; it knows nothing of requests, queues or text. The engine owns
which block belongs to whom; it knows nothing of tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sapwood.models.config import ModelConfig


@dataclass(frozen=True, slots=True)
class SamplingState:
    """How to sample the token that follows a slice.

    temperature: 0 is greedy. top_k: 0 keeps all. top_p: in (0, 1].
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


@dataclass(frozen=True, slots=True)
class SequenceSlice:
    """Consecutive tokens of one sequence that are computed in this step.

    start: absolute position of token_ids[0]; the KV of all earlier positions is in the cache.
    block_table: ids of the sequence's blocks; position p lives in slot p % block_size of
        block_table[p // block_size]. It covers at least start + len(token_ids) positions.
    sampling: None when the slice does not reach the end of the sequence: then nothing is sampled.
    """

    token_ids: list[int]
    start: int
    block_table: list[int]
    sampling: SamplingState | None


@dataclass(frozen=True, slots=True)
class StepBatch:
    """One step. No block appears in two slices' writable range; slices are in scheduling order."""

    slices: list[SequenceSlice]

    @property
    def num_tokens(self) -> int:
        return sum(len(s.token_ids) for s in self.slices)


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
class StepOutput:
    """One entry per slice of the batch, None where `sampling` was None."""

    sampled: list[SampledToken | None]


class ModelRunner(Protocol):
    """A model that can be stepped. `execute` is called from one thread at a time."""

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
