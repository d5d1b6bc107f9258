"""From rows of logits to tokens and log-probabilities: the sampler of the compiled runner."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from sapwood.engine.model_runner import LogitAdjustments, SamplingState
from sapwood.kernels.adjustments import BOUNDS, PENALTIES
from sapwood.kernels.sampling import report_rows, sample_rows
from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import f32, i32, i64, u64
from sapwood.lang.function import fn
from sapwood.lang.loading.runtime_support import num_threads
from sapwood.runtime.array import Array

WHERE = "a token of logit_bias, banned_token_ids or the history"


@fn(unchecked=True)
def sample(
    logits: Ptr[f32], order: Ptr[i32], adjusted: Ptr[f32], parameters: Ptr[float], seeds: Ptr[u64],
    positions: Ptr[i64], bounds: Ptr[i64], ids: Ptr[i32], biases: Ptr[float], penalties: Ptr[float],
    tokens: Ptr[i64], rows: int, vocabulary: int, slots: int,
) -> None:  # fmt: skip
    """kernels.sampling.sample_rows, from Python."""
    sample_rows(
        logits, order, adjusted, parameters, seeds, positions, bounds, ids, biases, penalties, tokens, rows,
        vocabulary, slots,
    )


@fn(unchecked=True)
def report(
    logits: Ptr[f32], rows: Ptr[i32], targets: Ptr[i64], counts: Ptr[i32], logprobs: Ptr[float],
    top_tokens: Ptr[i32], top: Ptr[float], reports: int, width: int, vocabulary: int,
) -> None:  # fmt: skip
    """kernels.sampling.report_rows, from Python."""
    report_rows(logits, rows, targets, counts, logprobs, top_tokens, top, reports, width, vocabulary)


class RowSampler:
    """Samples from rows of logits [rows, vocab_size], f32. Up to max_rows rows are sampled at once.

    Memory beside the logits: two words of scratch for each thread and token of the vocabulary.
    """

    def __init__(self, vocab_size: int, max_rows: int) -> None:
        self.vocab_size = vocab_size
        self.slots = _slots(max_rows)
        shapes = self.shapes(vocab_size, max_rows)
        self.arrays = {name: Array.zeros(n, dtype) for name, (n, dtype) in shapes.items()}
        self._views = {name: a.numpy() for name, a in self.arrays.items()}
        self._before = tuple(
            self.arrays[name].data_ptr for name in ("order", "adjusted", "parameters", "seeds", "positions", "bounds")
        )
        self._after = tuple(self.arrays[name].data_ptr for name in ("penalties", "tokens"))
        self._bounded = 0  # rows of `bounds` that may be other than zero
        self._states = 0
        self._ids, self._biases = array("i"), array("d")

    @staticmethod
    def shapes(vocab_size: int, max_rows: int) -> dict[str, tuple[int, str]]:
        """Elements and dtype of each array."""
        scratch = _slots(max_rows) * vocab_size
        return {
            "order": (scratch, "i32"), "adjusted": (scratch, "f32"), "parameters": (max_rows * 4, "f64"),
            "seeds": (max_rows, "u64"), "positions": (max_rows, "i64"), "bounds": (max_rows * BOUNDS, "i64"),
            "penalties": (max_rows * PENALTIES, "f64"), "tokens": (max_rows, "i64"),
        }  # fmt: skip

    def prepare(self, states: Sequence[SamplingState]) -> None:
        """Write what the next call of `sample` needs to know about each row.

        Raises ValueError for adjustments that name ids outside of the vocabulary.
        """
        n, v = len(states), self._views
        self._states = 0
        self._ids, self._biases = self._adjust(states)
        v["parameters"][: 4 * n] = [x for s in states for x in (s.temperature, s.top_k, s.top_p, s.min_p)]
        v["seeds"][:n] = [s.seed for s in states]
        v["positions"][:n] = [s.position for s in states]
        self._states = n

    def sample(self, logits: int) -> list[int]:
        """One token for each of the prepared rows, which are the first ones at the address `logits`."""
        n = self._states
        if n:
            sample(
                logits, *self._before, _address(self._ids), _address(self._biases), *self._after, n, self.vocab_size,
                self.slots,
            )  # fmt: skip
        return self._views["tokens"][:n].tolist()

    def report(
        self, logits: int, rows: Sequence[int], targets: Sequence[int], counts: Sequence[int]
    ) -> list[tuple[float, tuple[tuple[int, float], ...]]]:
        """For each i the log-probability of token targets[i] in row rows[i], and (token id, log-probability) of the
        counts[i] likeliest tokens there (fewer in a smaller vocabulary), likeliest first. All of the raw row.
        """
        n, width = len(rows), min(max(counts), self.vocab_size)
        number, most = np.array(rows, np.int32), np.minimum(np.array(counts, np.int32), width)
        logprobs = np.empty(n, np.float64)
        top_tokens, top = np.empty((n, width), np.int32), np.empty((n, width), np.float64)
        arrays = (number, np.array(targets, np.int64), most, logprobs, top_tokens, top)
        report(logits, *(a.ctypes.data for a in arrays), n, width, self.vocab_size)
        found = zip(logprobs.tolist(), most.tolist(), top_tokens.tolist(), top.tolist(), strict=True)
        return [(own, tuple(zip(t[:c], p[:c], strict=True))) for own, c, t, p in found]

    # -- adjustments ------------------------------------------------------------------------------

    def _adjust(self, states: Sequence[SamplingState]) -> tuple[array[int], array[float]]:
        """Write bounds and penalties of the rows; the ids and biases that they are about."""
        ids, biases = array("i"), array("d")
        if self._bounded:
            self._views["bounds"][: self._bounded * BOUNDS] = 0
            self._bounded = 0
        if all(s.adjustments is None for s in states):
            return ids, biases
        bounds: list[int] = []
        penalties: list[float] = []
        for s in states:
            a = s.adjustments
            if a is None:
                bounds += (0,) * BOUNDS
                penalties += (1.0, 0.0, 0.0)
                continue
            bounds += _gather(a, ids, biases)
            penalties += (a.repetition_penalty, a.presence_penalty, a.frequency_penalty)
        _check(ids, self.vocab_size)
        n = self._bounded = len(states)
        self._views["bounds"][: n * BOUNDS] = bounds
        self._views["penalties"][: n * PENALTIES] = penalties
        return ids, biases


def _slots(max_rows: int) -> int:
    """Rows that are sampled at once, each with scratch of its own."""
    return max(min(num_threads(), max_rows), 1)


def _gather(a: LogitAdjustments, ids: array[int], biases: array[float]) -> tuple[int, ...]:
    """Append what one row needs to ids and biases; its bounds. Tokens that no penalty is about are left out."""
    start = len(ids)
    try:
        if a.repetition_penalty != 1.0:
            ids.extend(a.prompt_token_ids)
        output = len(ids)
        if a.repetition_penalty != 1.0 or a.presence_penalty or a.frequency_penalty:
            ids.extend(a.output_token_ids)
        bias, first = len(ids), len(biases)
        if a.logit_bias:
            ids.fromlist(list(a.logit_bias))
            biases.fromlist(list(a.logit_bias.values()))
        banned = len(ids)
        if a.banned_token_ids:
            ids.fromlist(list(a.banned_token_ids))
    except OverflowError:
        raise ValueError(f"{WHERE} is outside of the vocabulary") from None
    return start, output, bias, banned, len(ids), first


def _check(ids: array[int], vocab_size: int) -> None:
    """Raises ValueError if any id is outside of the vocabulary."""
    found = np.frombuffer(ids, np.int32)
    if len(found) and not (0 <= found.min() and found.max() < vocab_size):
        bad = found[(found < 0) | (found >= vocab_size)][0]
        raise ValueError(f"{WHERE} is {bad}; allowed: 0 to {vocab_size - 1}")


def _address(x: array[Any]) -> int:
    return x.buffer_info()[0]
