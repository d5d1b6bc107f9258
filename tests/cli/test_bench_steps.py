"""`sapwood bench steps`: what the simulator is calibrated from."""

from __future__ import annotations

import json

from sapwood.cluster.simulator.timing import calibrate, read_samples


def test_samples_calibrate_the_simulator(run, model, tmp_path):
    path = tmp_path / "steps.jsonl"
    result = run("bench", "steps", model, "--batch", "3", "--prompt-tokens", "20", "--tokens", "4", "--out", str(path))
    assert (result.status, result.out, result.err) == (0, "", "")
    samples = read_samples(path)
    assert [s.tokens for s in samples[:4]] == [1, 1, 1, 1] and [s.context for s in samples[:4]] == [1, 2, 3, 4]
    assert {s.tokens for s in samples} == {1, 5, 20, 2, 10, 40, 3, 15, 60}  # prompts of 1, 5, 20 tokens; 1 to 3 texts
    assert all(s.seconds > 0 for s in samples)
    model_, error = calibrate(samples)
    assert error.num_samples == len(samples) == 3 * 3 * 4 and model_.seconds(1, 1) > 0


def test_printed(run, model):
    result = run("bench", "steps", model, "--batch", "1", "--prompt-tokens", "1", "--tokens", "1")
    assert [json.loads(line).keys() for line in result.out.splitlines()] == [{"tokens", "context", "seconds"}]


def test_mistakes(run, model):
    assert run("bench", "steps", model, "--batch", "0").status == 2
    assert run("bench", "steps", model, "--prompt-tokens", "100000").status == 2
