"""The flat arrays that a compiled step reads, written from a StepBatch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from sapwood.engine.model_runner import SequenceSlice
from sapwood.kernels.attention import BLOCK
from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i32
from sapwood.lang.function import fn
from sapwood.runtime.array import Array

#: inputs of the compiled step: shape and dtype
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
    ids: Ptr[i32], starts: Ptr[i32], counts: Ptr[i32], tables: Ptr[i32], positions: Ptr[i32], sequences: Ptr[i32],
    slots: Ptr[i32], slices: int, table_width: int, vocabulary: int, blocks: int,
) -> int:
    """Position, sequence and cache slot of every row of the step: slices one after the other.

    Returns -1, or the number of the slice that has an id outside of the vocabulary or a block outside of the cache.
    """
    row = 0
    for s in range(slices):
        table = tables + s * table_width
        end = int(starts[s]) + int(counts[s])
        for b in range((end + BLOCK - 1) // BLOCK):
            if table[b] < 0 or int(table[b]) >= blocks:
                return s
        for p in range(int(starts[s]), end):
            if ids[row] < 0 or int(ids[row]) >= vocabulary:
                return s
            positions[row] = i32(p)
            sequences[row] = i32(s)
            slots[row] = i32(int(table[p // BLOCK]) * BLOCK + p % BLOCK)
            row += 1
    return -1


class StepInputs:
    """Memory for the inputs of steps of up to max_rows tokens of max_slices sequences.

    Block tables keep their rows from step to step: only what changed is written.
    """

    def __init__(
        self, max_rows: int, max_slices: int, max_logit_rows: int, max_model_len: int, vocab_size: int, num_blocks: int
    ) -> None:
        self.max_rows, self.max_slices, self.max_logit_rows = max_rows, max_slices, max_logit_rows
        self.max_model_len = max_model_len
        self.table_width = -(-max_model_len // BLOCK)
        sizes = self.sizes(max_rows, max_slices, max_logit_rows, max_model_len)
        self.arrays = {name: Array.zeros(n, "i32") for name, n in sizes.items()}
        self._views = {name: a.numpy() for name, a in self.arrays.items()}
        self._tables = self._views["tables"].reshape(max_slices, self.table_width)
        self._known: list[list[int]] = [[] for _ in range(max_slices)]  # what stands in each row of tables
        names = ("ids", "starts", "counts", "tables", "positions", "sequences", "slots")
        self._addresses = tuple(self.arrays[name].data_ptr for name in names)
        self._limits = vocab_size, num_blocks

    @staticmethod
    def sizes(max_rows: int, max_slices: int, max_logit_rows: int, max_model_len: int) -> dict[str, int]:
        """Elements, all i32, of each array."""
        width = -(-max_model_len // BLOCK)
        return {
            "ids": max_rows, "positions": max_rows, "sequences": max_rows, "slots": max_rows,
            "tables": max_slices * width, "samples": max_logit_rows, "starts": max_slices, "counts": max_slices,
        }  # fmt: skip

    def fill(self, slices: Sequence[SequenceSlice]) -> tuple[int, int]:
        """Write a step; the numbers of its rows and of its rows of logits.

        Rows of logits: the last one of each slice that is sampled, in order, then those with prompt logprobs.
        Raises ValueError, naming the slice, for what does not fit the limits, the vocabulary or the cache.
        """
        if len(slices) > self.max_slices:
            raise ValueError(f"the step has {len(slices)} sequences; allowed: {self.max_slices}")
        starts, counts = [s.start for s in slices], [len(s.token_ids) for s in slices]
        rows = sum(counts)
        if rows > self.max_rows:
            raise ValueError(f"the step has {rows} tokens; allowed: {self.max_rows}")
        vocabulary = self._limits[0]
        samples: list[int] = []
        asked: list[int] = []
        row = 0
        for i, s in enumerate(slices):
            count, table = counts[i], s.block_table
            end = starts[i] + count
            if not (count and 0 <= starts[i] and end <= self.max_model_len and end <= BLOCK * len(table)):
                self._reject(i, s)
            if table != self._known[i]:
                self._write_table(i, table)
            if s.sampling is not None:
                samples.append(row + count - 1)
            if s.prompt_logprobs is not None:
                targets = s.prompt_logprobs.targets
                if len(targets) > count:
                    raise ValueError(f"slice {i} has {count} tokens; prompt_logprobs asks about {len(targets)}")
                if targets and not (0 <= min(targets) and max(targets) < vocabulary):
                    raise ValueError(f"slice {i} asks for logprobs of ids outside of the vocabulary of {vocabulary}")
                asked += range(row, row + len(targets))
            row += count
        samples += asked
        if len(samples) > self.max_logit_rows:
            raise ValueError(f"the step asks for logits of {len(samples)} rows; allowed: {self.max_logit_rows}")
        v = self._views
        try:
            v["ids"][:rows] = list(chain.from_iterable([s.token_ids for s in slices]))
        except OverflowError:
            raise ValueError(f"a token id is outside of the vocabulary of {vocabulary}") from None
        v["starts"][: len(slices)] = starts
        v["counts"][: len(slices)] = counts
        v["samples"][: len(samples)] = samples
        bad = place_rows(*self._addresses, len(slices), self.table_width, *self._limits)
        if bad >= 0:
            self._reject(bad, slices[bad])
        return rows, len(samples)

    def _write_table(self, i: int, table: list[int]) -> None:
        """Row i of the block tables."""
        if len(table) > self.table_width:
            raise ValueError(f"slice {i} has a table of {len(table)} blocks; allowed: {self.table_width}")
        known = self._known[i]
        first = len(known) if known == table[: len(known)] else 0
        self._known[i] = []
        try:
            self._tables[i, first : len(table)] = table[first:]
        except OverflowError:
            raise ValueError(f"slice {i} has a block outside of the cache of {self._limits[1]}") from None
        self._known[i] = list(table)

    def _reject(self, i: int, s: SequenceSlice) -> Any:
        vocabulary, blocks = self._limits
        raise ValueError(
            f"slice {i}: {len(s.token_ids)} tokens from position {s.start} in {len(s.block_table)} blocks; allowed: "
            f"at least one token, ids below {vocabulary}, positions below {self.max_model_len} and within the "
            f"blocks of {BLOCK}, blocks below {blocks}"
        )
