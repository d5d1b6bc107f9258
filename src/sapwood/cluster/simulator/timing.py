"""How long a step takes: a model of three numbers, calibrated from measured steps, that states how wrong it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_ITERATIONS = 20  # of reweighting; some five do


@dataclass(frozen=True, slots=True)
class StepSample:
    """A measured step: tokens it computed, tokens whose keys and values its rows read, and how long it took."""

    tokens: int
    context: int
    seconds: float


@dataclass(frozen=True, slots=True)
class TimingError:
    """Of a calibrated model over its samples: relative errors |model - measured| / measured, median and 95th
    percentile; and that of the sum of all seconds, signed."""

    num_samples: int
    median: float
    p95: float
    total: float

    def __str__(self) -> str:
        return (
            f"{self.num_samples} steps: error {self.median:.1%} in the median, {self.p95:.1%} at the 95th percentile, "
            f"{self.total:+.1%} of all seconds"
        )


@dataclass(frozen=True, slots=True)
class TimingModel:
    """seconds = base + token * tokens + context * context tokens.

    base: reading the weights, and what does not depend on the batch. token: arithmetic of a token. context: reading the
    keys and values of one token of context; a slice of n tokens that ends at position p reads p of them (a tile of
    rows shares what it reads). Raises ValueError for a negative number, or if all are 0.
    """

    base: float
    token: float
    context: float = 0.0

    def __post_init__(self) -> None:
        for name in ("base", "token", "context"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} is {value!r}; allowed: seconds, at least 0")
        if not self.base and not self.token:
            raise ValueError("base and token are 0; allowed: a step that takes time")

    def seconds(self, tokens: int, context: int) -> float:
        """Of a step of `tokens` tokens whose slices read `context` tokens of keys and values."""
        return self.base + self.token * tokens + self.context * context

    def run(self, tokens: int, context: int, count: int) -> list[float]:
        """Of `count` steps in which each of `tokens` sequences gets one token: its context grows by that."""
        fixed = self.base + self.token * tokens
        return [fixed + self.context * c for c in range(context, context + count * tokens, tokens)]

    def faster(self, times: float) -> TimingModel:
        """A device that does everything so many times as fast."""
        return TimingModel(self.base / times, self.token / times, self.context / times)

    def prefill_tokens_per_second(self, step_tokens: int) -> float:
        """Of steps that are full of prompts."""
        return step_tokens / self.seconds(step_tokens, step_tokens)

    def decode_tokens_per_second(self, sequences: int, context: int = 1000) -> float:
        """Of so many texts together, each with so much context."""
        return sequences / self.seconds(sequences, sequences * context)


def calibrate(samples: Sequence[StepSample]) -> tuple[TimingModel, TimingError]:
    """The model with the least squares of relative errors, and its error.

    Relative, because a decode step of 10 ms is to count as much as a prefill of a second; and relative to the model
    (iteratively reweighted), as errors relative to the measurements would favour a model that is too fast. Numbers that
    would come out negative are 0 (the fit is repeated without them). Raises ValueError for fewer than 3 samples, or
    steps that took no time.
    """
    if len(samples) < 3:
        raise ValueError(f"there are {len(samples)} samples of steps; allowed: at least 3")
    seconds = np.array([s.seconds for s in samples])
    if not (np.isfinite(seconds).all() and (seconds > 0).all()):
        raise ValueError("a sample's seconds are not above 0")
    columns = np.array([[1.0, s.tokens, s.context] for s in samples])
    predicted = seconds
    for _ in range(_ITERATIONS):
        numbers = _least_squares(columns / predicted[:, None], seconds / predicted)
        predicted = np.maximum(columns @ numbers, seconds.min() / 100)
    model = TimingModel(*(float(x) for x in numbers))
    predicted = columns @ numbers
    errors = np.abs(predicted - seconds) / seconds
    return model, TimingError(
        len(samples),
        float(np.median(errors)),
        float(np.percentile(errors, 95)),
        float(predicted.sum() / seconds.sum() - 1),
    )


def _least_squares(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Coefficients of columns, float64 [n, 3], that come nearest to the values, float64 [n]; none is negative."""
    out = np.zeros(3)
    used = [0, 1, 2]
    while used:
        scale = np.maximum(np.abs(columns[:, used]).max(axis=0), 1e-300)
        found = np.linalg.lstsq(columns[:, used] / scale, values, rcond=None)[0]
        if (found >= 0).all():
            out[used] = found / scale
            break
        used.pop(int(np.argmin(found)))
    return out


def read_samples(path: Path) -> list[StepSample]:
    """JSON lines of {"tokens": n, "context": n, "seconds": s}. Raises ValueError naming the line."""
    return list(_samples(path.read_text(encoding="utf-8").splitlines(), path))


def _samples(lines: Iterable[str], path: Path) -> Iterable[StepSample]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
            yield StepSample(int(found["tokens"]), int(found["context"]), float(found["seconds"]))
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f'{path}:{number}: no sample of a step; allowed: {{"tokens": 5, "context": 800, "seconds": 0.02}}'
            ) from None
