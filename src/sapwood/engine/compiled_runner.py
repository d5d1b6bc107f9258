"""The model runner that compiles: one native step for the model, native sampling after it.

It turns a StepBatch into flat arrays, runs the step, and samples the rows that end a sequence. All memory of a
step is laid out when the runner is made.
"""

from __future__ import annotations

import os
from typing import Any

from sapwood import graph
from sapwood.engine.model_runner import RunnerSpec, SampledToken, SequenceSlice, StepBatch, StepOutput
from sapwood.engine.numerics import numerics_id
from sapwood.kernels.attention import BLOCK
from sapwood.kernels.sampling import sample_rows, top_logprobs
from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import f32, i32, i64, u64
from sapwood.lang.function import fn
from sapwood.models.loading import build_model, load_weights
from sapwood.models.safetensors import open_weights
from sapwood.runtime.array import Array

LOGIT_ROWS = 128
LOGITS_BYTES = 64 << 20

INPUTS = {
    "ids": (("rows",), "i32"),
    "positions": (("rows",), "i32"),
    "sequences": (("rows",), "i32"),
    "slots": (("rows",), "i32"),
    "tables": (("slices", "table_width"), "i32"),
    "samples": (("sampled",), "i32"),
}


@fn(unchecked=True)
def place_rows(
    starts: Ptr[i32], counts: Ptr[i32], tables: Ptr[i32], positions: Ptr[i32], sequences: Ptr[i32], slots: Ptr[i32],
    slices: int, table_width: int,
) -> None:
    """Position, sequence and cache slot of every row of the step: slices one after the other."""
    row = 0
    for s in range(slices):
        table = tables + s * table_width
        for i in range(int(counts[s])):
            p = int(starts[s]) + i
            positions[row] = i32(p)
            sequences[row] = i32(s)
            slots[row] = i32(int(table[p // BLOCK]) * BLOCK + p % BLOCK)
            row += 1


@fn(unchecked=True)
def sample(
    logits: Ptr[f32], order: Ptr[i32], parameters: Ptr[float], seeds: Ptr[u64], positions: Ptr[i64],
    tokens: Ptr[i64], logprobs: Ptr[float], rows: int, vocabulary: int,
) -> None:  # fmt: skip
    """kernels.sampling.sample_rows for this runner's arrays."""
    sample_rows(logits, order, parameters, seeds, positions, tokens, logprobs, rows, vocabulary)


@fn(unchecked=True)
def likeliest(
    logits: Ptr[f32], order: Ptr[i32], tokens: Ptr[i32], logprobs: Ptr[float], vocabulary: int, count: int
) -> None:
    """kernels.sampling.top_logprobs for one row."""
    top_logprobs(logits, order, tokens, logprobs, vocabulary, count)


class CompiledRunner:
    """A model that is compiled for this machine. See `model_runner.ModelRunner`."""

    def __init__(self, spec: RunnerSpec) -> None:
        if spec.block_size != BLOCK:
            raise ValueError(f"block_size is {spec.block_size}; allowed: {BLOCK}, the kernels' own")
        config = self.config = spec.config
        self.vocab_size = config.vocab_size
        self.max_model_len = spec.max_model_len
        self.block_size = BLOCK
        self.num_blocks = _num_blocks(spec)
        weights = open_weights(spec.directory)
        self.numerics_id = numerics_id(config, weights, spec.dtype, BLOCK)
        self.model = build_model(config, spec.dtype)
        load_weights(self.model, weights, str(spec.directory))
        self.model.allocate(self.num_blocks, spec.max_model_len, spec.dtype)
        self.program = graph.compile(self.model, INPUTS, name=config.architecture.lower())
        self.max_rows, self.max_slices = spec.max_num_batched_tokens, spec.max_num_seqs
        self.max_logit_rows = max_logit_rows(self.max_slices, self.max_rows, self.vocab_size)
        self.table_width = -(-spec.max_model_len // BLOCK)
        self.program.reserve(
            rows=self.max_rows, slices=self.max_slices, sampled=self.max_slices, table_width=self.table_width
        )
        rows, slices = self.max_rows, self.max_slices
        shapes = {
            "ids": (rows, "i32"), "positions": (rows, "i32"), "sequences": (rows, "i32"), "slots": (rows, "i32"),
            "tables": (slices * self.table_width, "i32"), "samples": (slices, "i32"), "starts": (slices, "i32"),
            "counts": (slices, "i32"), "logits": (slices * self.vocab_size, "f32"),
            "order": (slices * self.vocab_size, "i32"), "parameters": (slices * 3, "f64"), "seeds": (slices, "u64"),
            "places": (slices, "i64"), "tokens": (slices, "i64"), "logprobs": (slices, "f64"),
            "top_tokens": (self.vocab_size, "i32"), "top_logprobs": (self.vocab_size, "f64"),
        }  # fmt: skip
        self.arrays = {name: Array.zeros(n, dtype) for name, (n, dtype) in shapes.items()}
        self.views = {name: a.numpy() for name, a in self.arrays.items()}

    # -- a step -----------------------------------------------------------------------------------

    def execute(self, batch: StepBatch) -> StepOutput:
        """Compute one step. Raises ValueError for a batch beyond the limits that the runner was made for."""
        rows, slices = batch.num_tokens, batch.slices
        if rows > self.max_rows or len(slices) > self.max_slices:
            raise ValueError(
                f"the step has {rows} tokens of {len(slices)} sequences; allowed: {self.max_rows} and {self.max_slices}"
            )
        if not rows:
            return StepOutput([None] * len(slices))
        width = max(len(s.block_table) for s in slices)
        sampled = self._fill(slices, width)
        self._run(rows, len(slices), len(sampled), width)
        if not sampled:
            return StepOutput([None] * len(slices))
        return self._sample(slices, sampled)

    def _fill(self, slices: list[SequenceSlice], width: int) -> list[int]:
        """Write the step's inputs, block tables `width` wide; the numbers of the slices that are sampled."""
        v = self.views
        sampled: list[int] = []
        row = 0
        tables = v["tables"][: len(slices) * width].reshape(len(slices), width)
        for i, s in enumerate(slices):
            n = len(s.token_ids)
            v["ids"][row : row + n] = s.token_ids
            v["starts"][i], v["counts"][i] = s.start, n
            tables[i, : len(s.block_table)] = s.block_table
            row += n
            if s.sampling is not None:
                k = len(sampled)
                v["samples"][k] = row - 1
                v["parameters"][3 * k : 3 * k + 3] = (s.sampling.temperature, s.sampling.top_k, s.sampling.top_p)
                v["seeds"][k], v["places"][k] = s.sampling.seed, s.sampling.position
                sampled.append(i)
        return sampled

    def _address(self, name: str) -> int:
        return self.arrays[name].data_ptr

    def _run(self, rows: int, slices: int, sampled: int, width: int) -> None:
        place_rows(
            *(self._address(n) for n in ("starts", "counts", "tables", "positions", "sequences", "slots")), slices,
            width,
        )  # fmt: skip
        symbols = {"rows": rows, "slices": slices, "sampled": sampled, "table_width": width}
        self.program.run([self.arrays[n] for n in INPUTS], [self.arrays["logits"]], symbols)

    def _sample(self, slices: list[SequenceSlice], sampled: list[int]) -> StepOutput:
        names = ("logits", "order", "parameters", "seeds", "places", "tokens", "logprobs")
        sample(*(self._address(n) for n in names), len(sampled), self.vocab_size)
        tokens, logprobs = self.views["tokens"].tolist(), self.views["logprobs"].tolist()
        out: list[SampledToken | None] = [None] * len(slices)
        for k, i in enumerate(sampled):
            state = slices[i].sampling
            assert state is not None
            if state.logprobs is None:
                out[i] = SampledToken(tokens[k])
            else:
                out[i] = SampledToken(tokens[k], logprobs[k], self._top(k, state.logprobs))
        return StepOutput(out)

    def _top(self, k: int, count: int) -> tuple[tuple[int, float], ...]:
        count = min(count, self.vocab_size)
        if not count:
            return ()
        likeliest(
            self._address("logits") + 4 * k * self.vocab_size, self._address("order"), self._address("top_tokens"),
            self._address("top_logprobs"), self.vocab_size, count,
        )  # fmt: skip
        pairs = zip(self.views["top_tokens"][:count].tolist(), self.views["top_logprobs"][:count].tolist(), strict=True)
        return tuple(pairs)


def max_logit_rows(max_num_seqs: int, max_num_batched_tokens: int, vocab_size: int) -> int:
    """Rows of logits that a step may ask for: one for each sequence, and for prompt logprobs more, as far as they
    stay few and the logits within LOGITS_BYTES. Never more than the step has tokens."""
    some = min(LOGIT_ROWS, LOGITS_BYTES // (4 * vocab_size))
    return min(max(max_num_seqs, some), max(max_num_batched_tokens, max_num_seqs))


def _num_blocks(spec: RunnerSpec) -> int:
    """Blocks of the KV cache, as RunnerSpec says."""
    from sapwood.runtime.dtypes import DTYPES

    if spec.num_blocks is not None:
        return spec.num_blocks
    c = spec.config
    block = 2 * c.num_hidden_layers * c.num_key_value_heads * c.head_dim * BLOCK * DTYPES[spec.dtype].itemsize
    sequence = -(-spec.max_model_len // BLOCK)
    if spec.kv_cache_memory_bytes is not None:
        return max(spec.kv_cache_memory_bytes // block, 1)
    return max(min(sequence * spec.max_num_seqs, _available_memory() // 2 // block), sequence)


def _available_memory() -> int:
    """Bytes that the system could give without swapping."""
    try:
        with open("/proc/meminfo", encoding="ascii") as f:
            for line in f:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def create_runner(spec: RunnerSpec) -> Any:
    """A ready runner; see `CompiledRunner`. Raises WeightsError and ValueError."""
    return CompiledRunner(spec)
