"""The numerics id: equal for equal bits, different for what changes them; and the bits that a version stands for."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import sapwood
from sapwood import demo_model
from sapwood.engine.compiled_runner import CompiledRunner
from sapwood.engine.model_runner import RunnerSpec, SamplingState, SequenceSlice, StepBatch
from sapwood.engine.numerics import numerics_id, weights_digest
from sapwood.kernels import numerics
from sapwood.lang.loading.current_target import use_target
from sapwood.models.registry import load_model_config
from sapwood.models.safetensors import INDEX_NAME, open_weights
from sapwood.targets.x86 import make, probe

AVX2 = frozenset({"avx", "avx2", "fma", "f16c"})
AVX512 = AVX2 | {"avx512f", "avx512bw"}


def spec(**changes: Any) -> RunnerSpec:
    config = load_model_config(demo_model())
    values: dict[str, Any] = {
        "directory": demo_model(), "config": config, "dtype": "bf16", "max_model_len": 64,
        "max_num_batched_tokens": 64, "max_num_seqs": 4, "block_size": 16, "num_blocks": 8,
    }  # fmt: skip
    return RunnerSpec(**(values | changes))


def write(directory: Path, tensors: dict[str, np.ndarray], shards: int = 1) -> Path:
    directory.mkdir()
    if shards == 1:
        save_file(tensors, directory / "model.safetensors")
        return directory
    where = {name: f"part{i % shards}.safetensors" for i, name in enumerate(tensors)}
    for shard in set(where.values()):
        save_file({n: t for n, t in tensors.items() if where[n] == shard}, directory / shard)
    (directory / INDEX_NAME).write_text(json.dumps({"weight_map": where}))
    return directory


def random_tensors(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "small": rng.standard_normal(7, np.float32),
        "large": rng.standard_normal((300, 41), np.float32),
        "empty": np.zeros((0, 4), np.float32),
        "odd": rng.integers(0, 255, 4097).astype(np.uint8),
    }


def test_digest_knows_content_names_and_shapes_but_not_shards(tmp_path: Path):
    tensors = random_tensors(1)
    want = weights_digest(open_weights(write(tmp_path / "a", tensors)))
    assert want == weights_digest(open_weights(write(tmp_path / "b", tensors, shards=2)))
    others = [random_tensors(2), {**tensors, "large": tensors["large"].reshape(41, 300)}]
    others.append({("renamed" if n == "small" else n): t for n, t in tensors.items()})
    others.append({**tensors, "small": tensors["small"].view(np.int32)})
    for name, at in (("small", 3), ("large", 0), ("large", -1), ("odd", 4096)):  # one element
        changed = tensors[name].copy()
        changed.flat[at] += 1
        others.append({**tensors, name: changed})
    digests = [weights_digest(open_weights(write(tmp_path / f"o{i}", t))) for i, t in enumerate(others)]
    assert len({want, *digests}) == len(others) + 1


def test_id_has_what_changes_bits_and_nothing_else():
    config, weights = load_model_config(demo_model()), open_weights(demo_model())
    avx2 = make(AVX2)
    base = numerics_id(config, weights, "bf16", 16, avx2)
    label, _, digest = base.partition(":")
    assert label == f"llama-bf16-x86-v256-fma-b16-n{numerics.NUMERICS_VERSION}" and len(bytes.fromhex(digest)) == 32
    same = dataclasses.replace(config, dtype="f16", eos_token_ids=(3,), max_position_embeddings=7)
    assert numerics_id(same, weights, "bf16", 16, avx2) == base
    different = [
        numerics_id(dataclasses.replace(config, rms_norm_eps=config.rms_norm_eps * 2), weights, "bf16", 16, avx2),
        numerics_id(
            dataclasses.replace(config, rope=dataclasses.replace(config.rope, theta=1.0)), weights, "bf16", 16, avx2
        ),
        numerics_id(config, weights, "f32", 16, avx2),
        numerics_id(config, weights, "bf16", 32, avx2),
        numerics_id(config, weights, "bf16", 16, make(AVX2 - {"fma"})),
        numerics_id(config, weights, "bf16", 16, make(AVX512)),
        numerics_id(config, weights, "bf16", 16, make(AVX512 | {"avx512bf16"})),
        numerics_id(config, weights, "bf16", 16, make(AVX2 | {"amx-tile", "amx-bf16"})),
    ]
    assert len({base, *different}) == len(different) + 1
    assert numerics_id(config, weights, "bf16", 16, make(AVX512 | {"amx-tile", "amx-bf16"})) not in different


def test_f32_does_not_care_how_bf16_is_multiplied():
    bf16_too = make(AVX512 | {"avx512bf16", "amx-tile", "amx-bf16"})
    assert numerics.numerics_family("f32", make(AVX512)) == numerics.numerics_family("f32", bf16_too)


def test_version_is_in_the_id(monkeypatch: pytest.MonkeyPatch):
    config, weights = load_model_config(demo_model()), open_weights(demo_model())
    before = numerics_id(config, weights, "bf16", 16)
    monkeypatch.setattr("sapwood.engine.numerics.NUMERICS_VERSION", numerics.NUMERICS_VERSION + 1)
    assert numerics_id(config, weights, "bf16", 16) != before


def test_runner_tells_its_id_whatever_the_limits_and_threads():
    first = CompiledRunner(spec())
    old = sapwood.set_num_threads(1)
    second = CompiledRunner(spec(max_num_seqs=2, max_num_batched_tokens=16, num_blocks=3, max_model_len=32))
    sapwood.set_num_threads(old)
    assert first.numerics_id == second.numerics_id
    assert first.numerics_id == numerics_id(first.config, open_weights(demo_model()), "bf16", 16)
    assert CompiledRunner(spec(dtype="f32")).numerics_id != first.numerics_id


#: digest of the logits below for each dtype, at this NUMERICS_VERSION, of AVX2 code
BITS = {"version": 1, "bf16": "5828da02ad81d204", "f32": "8c37844f37f92c7d"}


@pytest.mark.skipif(not probe() >= AVX2, reason="this machine has no AVX2")
@pytest.mark.parametrize("dtype", ["bf16", "f32"])
def test_bits_are_those_of_the_version(dtype: str):
    """If this fails, kernels compute other bits than before: raise NUMERICS_VERSION, and write the new digests."""
    with use_target(make(AVX2)):
        runner = CompiledRunner(spec(dtype=dtype))
        state = SamplingState(0.0, 0, 1.0, 0, 40, None)
        tokens = [(7 * i + 3) % runner.vocab_size for i in range(40)]
        runner.execute(StepBatch([SequenceSlice(tokens, 0, [0, 1, 2], state)]))
        logits = runner.logits.numpy()[0]
    assert numerics.NUMERICS_VERSION == BITS["version"]
    assert hashlib.sha256(logits.tobytes()).hexdigest()[:16] == BITS[dtype]
