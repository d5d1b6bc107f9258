"""A command runs in this process: what it printed, and its status; and a model that needs no weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine_fakes import fake_factory, hashed, write_model

from sapwood.cli import main


@dataclass
class Result:
    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    def call(*argv: str) -> Result:
        try:
            status = main(argv)
        except SystemExit as leaving:  # argparse
            status = leaving.code if isinstance(leaving.code, int) else 1
        out, err = capsys.readouterr()
        return Result(status, out, err)

    return call


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model directory whose runner is a fake that hashes the prefix, and never says an end token."""
    factory = fake_factory(next_token=lambda prefix, sampling: 10 + hashed(prefix, sampling) % 200)
    monkeypatch.setattr("sapwood.engine.model_assets.compiled_runner", factory)
    return str(write_model(tmp_path / "model"))
