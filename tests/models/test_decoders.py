"""Llama and Qwen3 against Transformers, and against themselves: alone, in company, in chunks, on one thread and two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoder_factory import SHAPES, Shape, make_checkpoint, wide_oracle

from sapwood import Array, config
from sapwood.engine.compiled_runner import CompiledRunner
from sapwood.engine.model_runner import RunnerSpec, SamplingState, SequenceSlice, StepBatch
from sapwood.models.errors import WeightsError
from sapwood.models.registry import load_model_config

pytestmark = pytest.mark.sampled(2)  # each case takes seconds to compile

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

GREEDY = SamplingState(0.0, 0, 1.0, 0, 0, None)


def make_runner(directory: Path, dtype: str = "f32", **limits: Any) -> CompiledRunner:
    sizes = {"max_model_len": 256, "max_num_batched_tokens": 256, "max_num_seqs": 8, "num_blocks": 64} | limits
    return CompiledRunner(
        RunnerSpec(directory=directory, config=load_model_config(directory), dtype=dtype, block_size=16, **sizes)
    )


def step(runner: CompiledRunner, slices: Sequence[tuple[list[int], int, list[int]]]) -> np.ndarray:
    """Logits after each slice (tokens, start, block table)."""
    runner.logits.numpy()[...] = np.nan
    runner.execute(StepBatch([SequenceSlice(t, start, table, GREEDY) for t, start, table in slices]))
    return runner.logits.numpy()[: len(slices)].copy()


def table(sequence: int) -> list[int]:
    return [sequence * 8 + i for i in (3, 0, 5, 1, 7, 2, 6, 4)]


def in_chunks(runner: CompiledRunner, prompt: list[int], size: int) -> np.ndarray:
    out = np.zeros(0)
    for at in range(0, len(prompt), size):
        out = step(runner, [(prompt[at : at + size], at, table(0))])[0]
    return out


def prompts(shape: Shape) -> list[list[int]]:
    rng = np.random.default_rng(5)
    return [rng.integers(2, shape.vocabulary, n).tolist() for n in (50, 1, 17, 33)]


def oracle_logits(model: Any, prompt: list[int]) -> np.ndarray:
    with torch.no_grad():
        return model(torch.tensor([prompt])).logits[0, -1].double().numpy()


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.fixture(scope="module", params=SHAPES, ids=str)
def decoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = tmp_path_factory.mktemp("decoder")
    model = make_checkpoint(directory, request.param)
    return request.param, model, make_runner(directory), directory


def test_logits_of_float32(decoder: Any):
    shape, model, runner, _ = decoder
    for i, prompt in enumerate(prompts(shape)):
        found = step(runner, [(prompt, 0, table(i))])[0]
        assert relative(found, oracle_logits(model, prompt)) < 1e-4


def test_64_greedy_tokens(decoder: Any):
    shape, model, runner, _ = decoder
    for prompt in prompts(shape)[2:3]:
        with torch.no_grad():
            expected = model.generate(
                torch.tensor([prompt]), max_new_tokens=64, min_new_tokens=64, do_sample=False, eos_token_id=None,
                pad_token_id=0,
            )[0].tolist()  # fmt: skip
        tokens, logits = list(prompt), step(runner, [(prompt, 0, table(0))])[0]
        for _ in range(64):
            tokens.append(int(logits.argmax()))
            logits = step(runner, [(tokens[-1:], len(tokens) - 1, table(0))])[0]
        assert tokens == expected


def test_company_and_chunks_change_no_bit(decoder: Any):
    shape, _, runner, _ = decoder
    each = prompts(shape)
    alone = [step(runner, [(p, 0, table(0))])[0] for p in each]
    together = step(runner, [(p, 0, table(i)) for i, p in enumerate(each)])
    assert np.array_equal(np.stack(alone), together)
    for size in (16, 7, 1):
        assert np.array_equal(in_chunks(runner, each[0], size), alone[0])
    with config.override(SAPWOOD_NUM_THREADS="1"):
        from sapwood import set_num_threads

        set_num_threads(1)
        try:
            assert np.array_equal(step(runner, [(each[0], 0, table(0))])[0], alone[0])
        finally:
            set_num_threads(2)


def test_logits_of_bfloat16(decoder: Any, tmp_path: Path):
    shape, _, _, _ = decoder
    make_checkpoint(tmp_path, shape, "bfloat16")
    runner = make_runner(tmp_path, "bf16")
    exact = wide_oracle(tmp_path)
    for i, prompt in enumerate(prompts(shape)):
        found = step(runner, [(prompt, 0, table(i))])[0]
        assert relative(found, oracle_logits(exact, prompt)) < 2e-2
        assert np.array_equal(found, in_chunks(runner, prompt, 16))


def test_a_step_is_the_same_eagerly(decoder: Any):
    """Operation by operation, on the same kernels: the same model, within rounding."""
    shape, _, runner, _ = decoder
    prompt = prompts(shape)[2]
    compiled = step(runner, [(prompt, 0, table(0))])[0]
    n = len(prompt)

    def ints(values: Any) -> Any:
        return Array.from_buffer(np.ascontiguousarray(values, np.int32))

    positions = np.arange(n)
    slots = np.array(table(0))[positions // 16] * 16 + positions % 16
    eager = runner.model(
        ids=ints(prompt), positions=ints(positions), sequences=ints(np.zeros(n)), slots=ints(slots),
        tables=ints([table(0)]), samples=ints([n - 1]),
    )  # fmt: skip
    assert relative(eager.numpy()[0], compiled.astype(np.float64)) < 1e-5


def test_kernels_of_a_layer(decoder: Any):
    """Norms of heads are two kernels more; they rotate as well, and write the keys."""
    shape, _, runner, _ = decoder
    kernels = {"Llama": 7, "Qwen3": 9}[shape.family]
    (loop,) = [item for item in runner.program.fused.items if hasattr(item, "kernels")]
    assert len(loop.kernels) == kernels
    assert len(runner.program.fused.kernels()) == kernels + 2


def test_shards_and_other_dtypes(tmp_path: Path):
    shape = SHAPES[0]
    model = make_checkpoint(tmp_path / "shards", shape, shards="20KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    prompt = prompts(shape)[0]
    expected = oracle_logits(model, prompt)
    found = step(make_runner(tmp_path / "shards"), [(prompt, 0, table(0))])[0]
    assert relative(found, expected) < 1e-4
    narrow = step(make_runner(tmp_path / "shards", "bf16"), [(prompt, 0, table(0))])[0]  # converted when loaded
    assert relative(narrow, expected) < 5e-2
    make_checkpoint(tmp_path / "half", shape, "float16")
    expected = oracle_logits(wide_oracle(tmp_path / "half"), prompt)
    wide = step(make_runner(tmp_path / "half", "f32"), [(prompt, 0, table(0))])[0]
    assert relative(wide, expected) < 1e-4
    same = step(make_runner(tmp_path / "half", "f16"), [(prompt, 0, table(0))])[0]
    assert relative(same, expected) < 5e-3


def test_weights_that_do_not_fit(tmp_path: Path):
    from safetensors.torch import load_file, save_file

    make_checkpoint(tmp_path, SHAPES[1])
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    name = "model.layers.1.mlp.up_proj.weight"
    save_file({k: v for k, v in weights.items() if k != name}, file)
    with pytest.raises(WeightsError, match=r"up_proj.weight.*is missing"):
        make_runner(tmp_path)
    save_file({**weights, name: weights[name][:-1].contiguous()}, file)
    with pytest.raises(WeightsError, match=r"up_proj.weight.*has shape \[159, 96\].*needed: \[160, 96\]"):
        make_runner(tmp_path)
    save_file({**weights, "model.layers.0.self_attn.q_norm.weight": weights["model.norm.weight"].clone()}, file)
    with pytest.raises(WeightsError, match=r"q_norm.weight.*not a weight of this architecture"):
        make_runner(tmp_path)
    save_file({**weights, "model.layers.0.self_attn.rotary_emb.inv_freq": weights["model.norm.weight"].clone()}, file)
    make_runner(tmp_path)
    save_file({**weights, name: weights[name].int()}, file)
    with pytest.raises(WeightsError, match="has dtype i32"):
        make_runner(tmp_path)


def test_a_tied_head_that_is_in_the_file_too(tmp_path: Path):
    """Published checkpoints of Qwen3 hold the head beside the table that it is tied to."""
    from safetensors.torch import load_file, save_file

    shape = next(s for s in SHAPES if s.tied and s.family == "Qwen3")
    model = make_checkpoint(tmp_path, shape)
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    assert "lm_head.weight" not in weights
    save_file({**weights, "lm_head.weight": weights["model.embed_tokens.weight"].clone()}, file)
    prompt = prompts(shape)[0]
    found = step(make_runner(tmp_path), [(prompt, 0, table(0))])[0]
    assert relative(found, oracle_logits(model, prompt)) < 1e-4


def test_limits_of_a_runner(decoder: Any):
    _, _, runner, directory = decoder
    with pytest.raises(ValueError, match="allowed: 16"):
        CompiledRunner(
            RunnerSpec(
                directory=directory, config=load_model_config(directory), dtype="f32", max_model_len=64,
                max_num_batched_tokens=64, max_num_seqs=2, block_size=8,
            )
        )  # fmt: skip
    with pytest.raises(ValueError, match="the step has 300 tokens"):
        runner.execute(StepBatch([SequenceSlice([2] * 300, 0, list(range(20)), GREEDY)]))
