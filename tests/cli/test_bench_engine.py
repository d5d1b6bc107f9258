from __future__ import annotations

import json

import pytest

from sapwood.cli import bench_engine as bench
from sapwood.models.random_checkpoint import SHAPES, tensor_shapes
from sapwood.models.registry import load_model_config


@pytest.fixture
def quick(monkeypatch):
    """The machine's limits from short measurements over little memory."""
    from sapwood.kernels import machine_limits

    bandwidth, multiply = machine_limits.measure_bandwidth, machine_limits.measure_multiply
    monkeypatch.setattr(machine_limits, "measure_bandwidth", lambda size: bandwidth(1 << 20, 0.0))
    monkeypatch.setattr(machine_limits, "measure_multiply", lambda threads, dtype: multiply(threads, dtype, 0.0))


def test_json(run, model, quick):
    result = run("bench", model, "--prompt-tokens", "20", "--tokens", "5", "--repeat", "2", "--json")
    assert (result.status, result.err) == (0, "")
    report = json.loads(result.out)
    assert report["dtype"] == "f32"
    assert report["prefill"]["tokens"] == 20
    assert report["prefill"]["tokens_per_s"] == pytest.approx(20 / report["prefill"]["time_to_first_token_s"])
    limits, decode = report["limits"], report["decode"]
    assert limits["read_bytes_per_s"] > 0
    assert limits["operations_per_s"] > 0
    assert decode["tokens_per_s"] > 0
    read = report["weight_bytes"] + 2 * 1 * 2 * 8 * 22 * 4  # keys and values of 22 tokens
    assert decode["share_of_bandwidth"] == pytest.approx(read * decode["tokens_per_s"] / limits["read_bytes_per_s"])


def test_text(run, model, quick):
    result = run("bench", model, "--prompt-tokens", "20", "--tokens", "5", "--repeat", "1", "--threads", "1")
    assert result.status == 0
    assert [line.split()[0] for line in result.out.splitlines()] == ["model", "machine", "load", "prefill", "decode"]


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("tied", [True, False])
def test_counts_agree_with_the_checkpoint(name, tied, tmp_path):
    values = SHAPES[name] | {"tie_word_embeddings": tied}
    (tmp_path / "config.json").write_text(json.dumps(values))
    config = load_model_config(tmp_path)
    matrices = {n: s for n, s in tensor_shapes(values).items() if len(s) == 2}
    if not tied:
        del matrices["model.embed_tokens.weight"]
    assert bench.weight_bytes(config, "bf16") == 2 * sum(a * b for a, b in matrices.values())
    operations = 0
    for tensor, (rows, columns) in matrices.items():
        times = 1 if tensor in ("lm_head.weight", "model.embed_tokens.weight") else 7
        operations += 2 * rows * columns * times
    for _ in range(config.num_hidden_layers * config.num_attention_heads):
        operations += sum(2 * config.head_dim * (place + 1) * 2 for place in range(7))
    assert bench.prefill_operations(config, 7) == operations


def test_shape_is_written_once(run, tmp_path, monkeypatch, quick):
    from engine_fakes import fake_factory

    monkeypatch.setenv("SAPWOOD_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("sapwood.engine.model_assets.compiled_runner", fake_factory())
    arguments = ("--prompt-tokens", "20", "--tokens", "3", "--repeat", "1", "--json")
    first = run("bench", "--shape", "llama-tiny", *arguments)
    assert first.status == 0
    assert json.loads(first.out)["model"] == "llama-tiny"
    weights = tmp_path / "random-models" / "llama-tiny" / "model.safetensors"
    written = weights.stat().st_mtime_ns
    assert run("bench", "--shape", "llama-tiny", *arguments).status == 0
    assert weights.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--shape", "llama-9t"], "--shape is 'llama-9t'; allowed: llama-1b"),
        (["MODEL", "--shape", "llama-tiny"], "give a model or --shape, not both"),
        (["MODEL", "--tokens", "1"], "--tokens is 1"),
        (["MODEL", "--repeat", "0"], "--repeat is 0"),
        (["MODEL", "--prompt-tokens", "63", "--tokens", "2"], "--prompt-tokens is 63; allowed: at most 62"),
    ],
)
def test_mistakes_are_one_line(run, model, arguments, text):
    result = run("bench", *[model if a == "MODEL" else a for a in arguments])
    assert result.status == 2
    assert text in result.err
    assert result.err.count("\n") == 1
