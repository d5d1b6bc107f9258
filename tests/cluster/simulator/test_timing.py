"""The model of a step's time, and its calibration."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from sapwood.cluster.simulator.timing import StepSample, TimingModel, calibrate, read_samples

TRUE = TimingModel(0.008, 6e-5, 3e-8)


def samples(noise: float, model: TimingModel = TRUE) -> list[StepSample]:
    rng = random.Random(1)
    found = []
    for _ in range(200):
        tokens, context = rng.choice([1, 4, 16, 64, 500, 2000]), rng.randrange(10, 100_000)
        found.append(StepSample(tokens, context, model.seconds(tokens, context) * (1 + noise * rng.uniform(-1, 1))))
    return found


def test_exact_samples_give_the_model_back() -> None:
    model, error = calibrate(samples(0.0))
    assert (model.base, model.token, model.context) == pytest.approx((0.008, 6e-5, 3e-8), rel=1e-9)
    assert error.num_samples == 200 and max(error.median, error.p95, abs(error.total)) < 1e-9


def test_the_error_is_that_of_the_samples() -> None:
    model, error = calibrate(samples(0.2))
    assert (model.base, model.token, model.context) == pytest.approx((0.008, 6e-5, 3e-8), rel=0.2)
    assert 0.05 < error.median < 0.15 and 0.15 < error.p95 < 0.25 and abs(error.total) < 0.05
    assert "200 steps: error" in str(error)


def test_slow_outliers_do_not_make_the_model_too_fast() -> None:
    rng = random.Random(2)
    found = [StepSample(s.tokens, s.context, s.seconds * rng.choice([1, 1, 1, 8])) for s in samples(0.0)]
    _, error = calibrate(found)
    assert abs(error.total) < 0.25  # errors relative to the measurements would give -0.6


def test_no_number_is_negative() -> None:
    falling = [StepSample(n, c, 0.01 + 1e-4 * n - 1e-8 * c) for n in (1, 10, 100) for c in (0, 1000, 100_000)]
    model, error = calibrate(falling)
    assert model.context == 0 and model.token > 0 and error.p95 < 0.2
    alike, _ = calibrate([StepSample(5, 100, 0.5)] * 4)  # nothing tells the three apart
    assert alike.seconds(5, 100) == pytest.approx(0.5)


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 samples"):
        calibrate(samples(0.0)[:2])
    with pytest.raises(ValueError, match="above 0"):
        calibrate([StepSample(1, 1, 0.0)] * 3)
    for numbers, message in (((-1.0, 0.0, 0.0), "base"), ((0.0, 0.0, 1.0), "base and token")):
        with pytest.raises(ValueError, match=message):
            TimingModel(*numbers)
    path = tmp_path / "steps.jsonl"
    path.write_text('{"tokens": 5, "context": 800, "seconds": 0.02}\n\n')
    assert read_samples(path) == [StepSample(5, 800, 0.02)]
    path.write_text('{"tokens": 5, "context": 800, "seconds": 0.02}\n{"tokens": 5}\n')
    with pytest.raises(ValueError, match=r"steps\.jsonl:2: no sample"):
        read_samples(path)


def test_a_faster_device() -> None:
    assert TRUE.faster(8).seconds(100, 1000) == pytest.approx(TRUE.seconds(100, 1000) / 8)
    assert TRUE.prefill_tokens_per_second(2000) == pytest.approx(2000 / TRUE.seconds(2000, 2000))
