"""How much memory a runner will need, before it takes any: weights, working memory, the KV cache.

Working memory is what the compiled step (its arena, planned by graph/plan.py), its inputs, rope tables, logits and
the sampler take; it is known to the byte. Memory of the KV cache becomes resident when a block is first used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sapwood.engine.model_runner import RunnerSpec
from sapwood.engine.process.messages import MemoryPlan
from sapwood.runtime.memory import available_memory

PROCESS_BYTES = 150 << 20  # the interpreter, libraries, and compiled code
LOGIT_ROWS = 128
LOGITS_BYTES = 64 << 20
SPARE = 16  # this part of what is available, at least SPARE_BYTES, is left when the size of the cache is ours to choose
SPARE_BYTES = 256 << 20
MIB = 1 << 20


@dataclass(frozen=True)
class PlannedMemory:
    """A plan, and what it was made from.

    plan: the figures. max_logit_rows: rows of logits of a step. limits: the largest step, by the symbols of the
    compiled program. mapped_bytes: the part of the weights that stays in the checkpoint's files, which the system
    may drop and read again. available_bytes: what there was. max_model_len: tokens.
    """

    plan: MemoryPlan
    max_logit_rows: int
    limits: Mapping[str, int]
    mapped_bytes: int
    available_bytes: int
    max_model_len: int
    dtype: str

    @property
    def needed_bytes(self) -> int:
        """Peak memory of the process when every block is in use."""
        return self.plan.weights_bytes + self.plan.arena_bytes + self.plan.kv_bytes + PROCESS_BYTES

    def lines(self) -> list[str]:
        """The plan for people."""
        p = self.plan
        how = "mapped from the checkpoint" if self.mapped_bytes == p.weights_bytes else "converted when loaded"
        rows, sequences = self.limits["rows"], self.limits["slices"]
        return [
            f"memory available   {_size(self.available_bytes)}",
            f"weights            {_size(p.weights_bytes)}  {self.dtype}, {how}",
            f"working memory     {_size(p.arena_bytes)}  steps of {rows} tokens, {sequences} sequences",
            f"process            {_size(PROCESS_BYTES)}",
            f"KV cache           {_size(p.kv_bytes)}  {p.num_blocks} blocks of {p.block_size} tokens",
            f"concurrency        {max_concurrency(p, self.max_model_len):.1f} requests of {self.max_model_len} tokens",
        ]


def max_concurrency(plan: MemoryPlan, max_model_len: int) -> float:
    """Requests of max_model_len tokens that the KV cache holds at once."""
    return plan.num_blocks * plan.block_size / max_model_len


def max_logit_rows(max_num_seqs: int, max_num_batched_tokens: int, vocab_size: int) -> int:
    """Rows of logits that a step may ask for: one for each sequence, and for prompt logprobs more, as far as they
    stay few and the logits within LOGITS_BYTES. Never more than the step has tokens."""
    some = min(LOGIT_ROWS, LOGITS_BYTES // (4 * vocab_size))
    return min(max(max_num_seqs, some), max(max_num_batched_tokens, max_num_seqs))


def plan_memory(spec: RunnerSpec, available: int | None = None) -> PlannedMemory:
    """The plan for a runner. Reads headers of weights only, and compiles nothing.

    available: bytes; None asks the system. The number of blocks is as RunnerSpec says; "what memory allows" leaves a
    part to others. Raises WeightsError for weights that cannot be read, and ValueError for another block size than
    the kernels', and when the memory is not enough: it names the bytes and the option to lower.
    """
    from sapwood.kernels.attention import BLOCK
    from sapwood.models.loading import build_model

    if spec.block_size != BLOCK:
        raise ValueError(f"block_size is {spec.block_size}; allowed: {BLOCK}, the kernels' own")
    if available is None:
        available = available_memory()
    rows, slices = spec.max_num_batched_tokens, spec.max_num_seqs
    logit_rows = max_logit_rows(slices, rows, spec.config.vocab_size)
    width = -(-spec.max_model_len // BLOCK)
    limits = {"rows": rows, "slices": slices, "sampled": logit_rows, "table_width": width}
    model = build_model(spec.config, spec.dtype)
    weights, mapped = _weights_bytes(spec, model)
    block, position = _buffer_bytes(model, spec.dtype)
    working = _working_bytes(spec, model, limits) + position * spec.max_model_len
    rest = available - weights - working - PROCESS_BYTES
    blocks = _num_blocks(spec, block, width, rest, available)
    plan = MemoryPlan(
        weights_bytes=weights, arena_bytes=working, kv_bytes=blocks * block, block_bytes=block, num_blocks=blocks,
        block_size=BLOCK,
    )  # fmt: skip
    planned = PlannedMemory(plan, logit_rows, limits, mapped, available, spec.max_model_len, spec.dtype)
    if planned.needed_bytes > available:
        raise ValueError(_refusal(spec, planned, rest))
    return planned


def _num_blocks(spec: RunnerSpec, block: int, width: int, rest: int, available: int) -> int:
    """Blocks of the cache. block: bytes of one; width: blocks of the longest sequence; rest: bytes left for all."""
    if spec.num_blocks is not None:
        return spec.num_blocks
    if spec.kv_cache_memory_bytes is not None:
        if spec.kv_cache_memory_bytes < block:
            raise ValueError(f"kv_cache_memory_bytes is {spec.kv_cache_memory_bytes}; one block needs {block}")
        return spec.kv_cache_memory_bytes // block
    allowed = rest - max(available // SPARE, SPARE_BYTES)
    return max(min(width * spec.max_num_seqs, allowed // block), width)


def _refusal(spec: RunnerSpec, planned: PlannedMemory, rest: int) -> str:
    p = planned.plan
    fits = max(rest // p.block_bytes, 0)
    if fits == 0:
        advice = "lower max_num_batched_tokens or max_num_seqs, or take a smaller model or dtype"
    elif spec.num_blocks is not None:
        advice = f"lower num_kv_blocks to at most {fits}"
    elif spec.kv_cache_memory_bytes is not None:
        advice = f"lower kv_cache_memory_bytes to at most {fits * p.block_bytes}"
    else:
        advice = f"lower max_model_len to at most {fits * p.block_size}, which the KV cache has to hold once"
    return (
        f"not enough memory: {_size(planned.needed_bytes)} needed (weights {_size(p.weights_bytes)}, working memory "
        f"{_size(p.arena_bytes)}, KV cache {_size(p.kv_bytes)}, process {_size(PROCESS_BYTES)}), "
        f"{_size(planned.available_bytes)} available; {advice}"
    )


def _weights_bytes(spec: RunnerSpec, model: Any) -> tuple[int, int]:
    """Bytes of all parameters, and of those that are used in place."""
    from sapwood.models.safetensors import open_weights

    weights = open_weights(spec.directory)
    total = mapped = 0
    seen: set[int] = set()
    for name, p in model.named_parameters():
        if id(p) in seen:
            continue
        seen.add(id(p))
        size = math.prod(p.shape) * p.dtype.itemsize
        total += size
        if name in weights and weights.info(name).dtype == p.dtype.name:
            mapped += size
    return total, mapped


def _buffer_bytes(model: Any, dtype: str) -> tuple[int, int]:
    """Bytes of caches and tables for each block, and for each position: what one more of them adds to the model."""
    from sapwood.nn.module import Buffer

    def size(blocks: int, positions: int) -> int:
        model.allocate(blocks, positions, dtype)
        return sum(b.array.nbytes for _, b in model.named_data() if isinstance(b, Buffer))

    base = size(1, 1)
    return size(2, 1) - base, size(1, 2) - base


def _working_bytes(spec: RunnerSpec, model: Any, limits: Mapping[str, int]) -> int:
    """Bytes of the arena, the inputs, the logits and the sampler."""
    from sapwood.engine.row_sampler import RowSampler
    from sapwood.engine.step_inputs import INPUTS, StepInputs
    from sapwood.graph.pipeline import arena_bytes
    from sapwood.runtime.dtypes import DTYPES

    rows, slices, logit_rows = limits["rows"], limits["slices"], limits["sampled"]
    vocabulary = spec.config.vocab_size
    inputs = sum(StepInputs.sizes(rows, slices, logit_rows, spec.max_model_len).values()) * DTYPES["i32"].itemsize
    sampler = sum(n * DTYPES[dtype].itemsize for n, dtype in RowSampler.shapes(vocabulary, slices).values())
    logits = logit_rows * vocabulary * DTYPES["f32"].itemsize
    return arena_bytes(model, INPUTS, limits) + inputs + sampler + logits


def _size(n: int) -> str:
    """Bytes as people read them."""
    if n >= 1 << 30:
        return f"{n / (1 << 30):.2f} GiB"
    return f"{n / MIB:.1f} MiB" if n >= MIB else f"{n / 1024:.1f} KiB"
