"""`sapwood cluster`: what it says of a pool file, and of a wrong one."""

from __future__ import annotations

import pytest

from sapwood.cli.command import run

FILE = """\
models:
  - {name: qwen, path: /models/q}
pools:
  - name: gpu
    model: qwen
    replicas: {min: 1, max: 4}
    resources: {cpus: 4, gpus: 1, memory_bytes: 8589934592, custom: {fast: 0.5}, labels: {accelerator: H200}}
  - {name: cpu, model: qwen}
"""


def test_check_shows_what_is_asked_for(tmp_path, capsys):
    path = tmp_path / "pool.yaml"
    path.write_text(FILE)
    assert run(["cluster", "check", str(path)]) == 0
    assert capsys.readouterr().out == (
        "model qwen: /models/q\n"
        "  pool gpu: 1 to 4 replicas, each 4 CPUs, 1 GPU, 8.0 GiB, 0.5 fast where accelerator=H200\n"
        "  pool cpu: 1 replica, each 1 CPU\n"
        "1 router\n"
    )


def test_mistakes(tmp_path, capsys):
    path = tmp_path / "pool.yaml"
    path.write_text(FILE.replace("gpus: 1", "gpu: 1"))
    assert run(["cluster", "check", str(path)]) == 2
    assert capsys.readouterr().err == (
        f"sapwood cluster: {path}:7: pools[0].resources.gpu: there is no such field; did you mean gpus?\n"
    )
    assert run(["cluster", "check", str(tmp_path / "none.yaml")]) == 2
    assert "No such file or directory" in capsys.readouterr().err


def test_without_a_subcommand(capsys):
    with pytest.raises(SystemExit):
        run(["cluster"])
    assert "WHAT" in capsys.readouterr().err
