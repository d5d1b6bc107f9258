"""`sapwood cluster simulate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sapwood.cli.command import run

SMALL = ["cluster", "simulate", "--replicas", "2", "--requests", "60", "--think", "1"]


def test_policies_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    svg = tmp_path / "run.svg"
    assert run([*SMALL, "--policy", "default", "--policy", "random", "--svg", str(svg)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["policy", "default", "random"]
    assert "60 requests" in svg.read_text(encoding="utf-8")


def test_pools_of_two_speeds_and_calibrated_timing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = tmp_path / "steps.jsonl"
    samples.write_text("".join(f'{{"tokens": {n}, "context": {c}, "seconds": {0.01 + n / 1e4}}}\n'
                               for n in (1, 10, 100) for c in (10, 1000)))  # fmt: skip
    pools = ["--pool", "fast=1*8", "--pool", "slow=2", "--samples", str(samples)]
    assert run([*SMALL, *pools, "--policy", "default", "--json"]) == 0
    found = capsys.readouterr()
    values = json.loads(found.out)
    assert values["replicas"] == 3 and values["requests"] == 60 and values["refused"] == 0
    assert found.err.startswith("timing 0.01,0.0001,") and "6 steps: error 0.0%" in found.err


def test_a_recorded_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text('{"timestamp": 0, "input_length": 1000, "output_length": 5, "hash_ids": [1, 2]}\n' * 3)
    assert run([*SMALL[:4], "--trace", str(path), "--policy", "default", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["requests"] == 3
    path.write_text("junk\n")
    assert run([*SMALL[:4], "--trace", str(path), "--policy", "default"]) == 2
    assert "trace.jsonl:1: no request" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "best"], "allowed: default, least_load"),
        (["--pool", "fast"], "--pool is 'fast'"),
        (["--pool", "a=1", "--pool", "a=2"], "the same name"),
        (["--timing", "1,2"], "--timing is '1,2'"),
        (["--timing=-1,2,3"], "base is -1.0"),
        (["--requests", "0"], "--requests is 0"),
        (["--replicas", "-1"], "--replicas is -1"),
        (["--blocks", "0"], "0"),
        (["--trace", "none.jsonl", "--policy", "default"], "none.jsonl: No such file"),
        (["--samples", "none.jsonl"], "none.jsonl: No such file"),
    ],
)
def test_mistakes(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SMALL, *arguments]) == 2
    assert message in capsys.readouterr().err
