from __future__ import annotations

import json
import subprocess
import sys

from sapwood import __version__, config


def test_every_variable_is_shown(run, monkeypatch):
    monkeypatch.setenv("SAPWOOD_CACHE_MAX_MB", "77")
    result = run("info")
    assert (result.status, result.err) == (0, "")
    for name, variable in config.VARIABLES.items():
        assert name in result.out
        assert variable.meaning in result.out
    assert "77" in result.out


def test_json(run, monkeypatch):
    monkeypatch.setenv("SAPWOOD_NUM_THREADS", "1")
    facts = json.loads(run("info", "--json").out)
    assert facts["versions"]["sapwood"] == __version__
    assert facts["machine"]["threads"] == 1
    assert facts["environment"]["SAPWOOD_NUM_THREADS"]["value"] == "1"


def test_features_that_are_taken_away(run, monkeypatch):
    monkeypatch.setenv("SAPWOOD_DISABLE_FEATURES", "sse3")
    facts = json.loads(run("info", "--json").out)
    assert "avx" not in facts["machine"]["features"]
    assert facts["machine"]["vector width"] == "128 bits"


def test_cache_counts(run, monkeypatch, tmp_path):
    monkeypatch.setenv("SAPWOOD_CACHE_DIR", str(tmp_path))
    assert json.loads(run("info", "--json").out)["cache"]["entries"] == 0
    (tmp_path / "objects" / "ab").mkdir(parents=True)
    (tmp_path / "objects" / "ab" / "abc").write_bytes(bytes(3 << 20))
    facts = json.loads(run("info", "--json").out)["cache"]
    assert facts["entries"] == 1
    assert facts["size"].startswith("3.0 of")


def test_bad_variable(run, monkeypatch):
    monkeypatch.setenv("SAPWOOD_NUM_THREADS", "many")
    result = run("info")
    assert result.status == 2
    assert result.err == "sapwood info: SAPWOOD_NUM_THREADS='many': a number from 1 to 1024\n"
    monkeypatch.delenv("SAPWOOD_NUM_THREADS")
    monkeypatch.setenv("SAPWOOD_TARGET", "abacus")
    result = run("info")
    assert result.status == 2
    assert "unknown target 'abacus'" in result.err


def test_keys_are_not_shown(run, monkeypatch):
    monkeypatch.setenv("SAPWOOD_API_KEY", "secret-of-one")
    monkeypatch.setenv("SAPWOOD_API_KEYS", "secret-of-two,secret-of-three")
    for arguments in ((), ("--json",)):
        assert "secret" not in run("info", *arguments).out
    assert config.api_keys() == ["secret-of-one", "secret-of-two", "secret-of-three"]


def test_the_package_runs_as_a_module():
    result = subprocess.run([sys.executable, "-m", "sapwood", "--version"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, f"sapwood {__version__}\n")
