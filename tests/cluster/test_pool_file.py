"""Pool files: what they may say, and that whatever is wrong names its field and line."""

from __future__ import annotations

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sapwood.cluster.pool_file import (
    MAX_BYTES,
    CountRange,
    EngineSettings,
    PoolFile,
    PoolFileError,
    parse_pool_file,
    read_pool_file,
)
from sapwood.engine.model_assets import EngineOptions

GOOD = """\
models:
  - name: qwen
    path: /models/q
    options: {max_model_len: 8192, dtype: bfloat16}
pools:
  - name: gpu
    model: qwen
    replicas: {min: 1, max: 4}
    resources: {cpus: 4, gpus: 0.5, custom: {fast: 1}, labels: {accelerator: H200}}
  - name: cpu
    model: qwen
    options: {max_model_len: 100}
routers: 2
limits: {drain_timeout: 5}
"""


def test_a_file():
    found = parse_pool_file(GOOD)
    gpu, cpu = found.pools
    assert gpu.replica_range == CountRange(min=1, max=4)
    assert cpu.replica_range == CountRange(min=1, max=1)
    assert (gpu.resources.gpus, gpu.resources.custom) == (0.5, {"fast": 1})
    assert gpu.resources.labels == {"accelerator": "H200"}
    assert found.engine_settings(gpu) == EngineSettings(max_model_len=8192, dtype="bfloat16")
    assert found.engine_settings(cpu) == EngineSettings(max_model_len=100, dtype="bfloat16")
    assert (found.routers, found.limits.drain_timeout, found.limits.max_retries) == (2, 5, 3)


def test_settings_are_those_of_an_engine():
    ours = {f.name: f.default for f in msgspec.structs.fields(EngineSettings)}
    theirs = {name: f.default for name, f in EngineOptions.__dataclass_fields__.items()}
    del theirs["model"], theirs["seed"], theirs["kv_events"]  # the router chooses seeds, and asks for events itself
    assert ours == theirs


@pytest.mark.parametrize(
    ("old", "new", "line", "path", "message"),
    [
        ("replicas:", "replica:", 8, "pools[0].replica", "there is no such field; did you mean replicas?"),
        ("min: 1", "min: -1", 8, "pools[0].replicas.min", "-1; expected int >= 0"),
        ("min: 1", "min: 5", 8, "pools[0].replicas", "min is 5 and max 4; allowed: min at most max"),
        ("max: 4", "max: 0", 8, "pools[0].replicas.max", "0; expected int >= 1"),
        ("{min: 1, max: 4}", "many", 8, "pools[0].replicas", "'many'; expected int | object, got str"),
        ("8192", "long", 4, "models[0].options.max_model_len", "'long'; expected int | null, got str"),
        ("    path: /models/q\n", "", 2, "models[0]", "path is missing"),
        ("model: qwen\n    rep", "model: gpt\n    rep", 7, "pools[0].model", "no model 'gpt'; there are 'qwen'"),
        ("max_model_len: 100", "max_len: 100", 12, "pools[1].options.max_len", "did you mean max_model_len?"),
        ("max_model_len: 100", "max_model_len: 1", 12, "pools[1].options.max_model_len", "1; expected int >= 2"),
        ("name: cpu", "name: gpu", 10, "pools[1].name", "'gpu' is the name of another pool, too"),
        ("name: gpu", "name: GPU", 6, "pools[0].name", "'GPU'; expected str of 1 to 63 small letters, digits"),
        ("H200}", "[1]}", 9, "pools[0].resources.labels", "expected str, got array"),
        ("gpus: 0.5", "gpus: -1", 9, "pools[0].resources.gpus", "-1; expected float >= 0.0"),
        ("drain_timeout: 5", "drain_timeout: .inf", 14, "limits.drain_timeout", "inf; expected float <= 86400.0"),
        ("routers: 2", "routers: 2\nrouters: 3", 14, "routers", "it is given twice; first in line 13"),
        ("routers: 2", "3: 2", 13, "", "a key is no text"),
        ("routers: 2", "routers: !!python/object:os.system x", 13, "routers", "could not determine a constructor"),
        ("routers: 2", "routers: 2024-13-45", 13, "routers", "month must be in 1..12"),
        ("routers: 2", "routers: [", 15, "", "it is no YAML: "),
        ("pools:", "models:", 5, "models", "it is given twice; first in line 1"),
    ],
)  # fmt: skip
def test_mistakes(old, new, line, path, message):
    assert old in GOOD
    with pytest.raises(PoolFileError) as e:
        parse_pool_file(GOOD.replace(old, new, 1), "pool.yaml")
    assert (e.value.line, e.value.path) == (line, path)
    assert message in e.value.message
    assert str(e.value).startswith(f"pool.yaml:{line}: {path}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty; needed: models and pools"),
        ("- 1", "expected object, got array"),
        ("a: &x [*x]", "deeper than 32"),
        ("[" * 5000, "nested too deep"),
        (b"\xff\xfe\x00", "it is no YAML"),
        ("models: [{name: a, path: a}]\npools: []", "pools: expected array of length >= 1"),
        ("models: [{name: a, path: a}, {name: a, path: b}]\npools: [{name: p, model: a}]", "the name of another model"),
        ("models: [{name: a, path: a}, {name: b, path: b}]\npools: [{name: p, model: a}]", "no pool serves 'b'"),
        ("models: [{name: \"a\\n\", path: a}]\npools: [{name: p, model: \"a\\n\"}]", "allowed: printable characters"),
    ],
)  # fmt: skip
def test_files_that_are_none(text, message):
    with pytest.raises(PoolFileError) as e:
        parse_pool_file(text)
    assert message in str(e.value)


def test_a_small_file_of_many_values_is_refused():
    """Aliases of aliases: a billion values in a kilobyte."""
    lines = ["a: &a [" + ", ".join("x" * 10) + "]"]
    lines += [f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 10)}]" for i in range(9)]
    with pytest.raises(PoolFileError, match="larger than 100000 values"):
        parse_pool_file("\n".join(lines))


def test_files_are_read(tmp_path):
    path = tmp_path / "pool.yaml"
    path.write_text(GOOD)
    assert read_pool_file(path) == parse_pool_file(GOOD)
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(PoolFileError, match=f"allowed: at most {MAX_BYTES}"):
        read_pool_file(path)
    with pytest.raises(FileNotFoundError):
        read_pool_file(tmp_path / "none.yaml")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PLACES = (
    ("models",), ("pools",), ("limits",), ("routers",), ("models", 0), ("models", 0, "name"), ("models", 0, "options"),
    ("pools", 1), ("pools", 0, "replicas"), ("pools", 0, "resources"), ("pools", 0, "resources", "labels"),
    ("pools", 0, "resources", "custom"), ("pools", 1, "options"), ("pools", 1, "model"),
)  # fmt: skip


@given(st.sampled_from(PLACES), VALUES)
def test_any_value_in_any_place_is_taken_or_refused(place, value):
    whole = yaml.safe_load(GOOD)
    inner = whole
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    _taken_or_refused(yaml.safe_dump(whole))


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda s: s.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_taken_or_refused(data):
    _taken_or_refused(data)


def _taken_or_refused(text: str | bytes) -> None:
    try:
        found = parse_pool_file(text)
    except PoolFileError as e:
        assert e.line >= 1 and e.message
    else:
        assert isinstance(found, PoolFile)
        assert all(isinstance(found.engine_settings(pool), EngineSettings) for pool in found.pools)
