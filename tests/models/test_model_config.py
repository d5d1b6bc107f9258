"""config.json and generation_config.json: as Transformers reads them, or an error with a name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.models.config import ModelConfig, RopeConfig, parse_decoder_config, parse_qwen3_config
from sapwood.models.errors import ConfigError
from sapwood.models.generation_config import GenerationConfig, load_generation_config
from sapwood.models.registry import architectures, load_model_config

GOOD: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 176,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "bos_token_id": 1,
    "eos_token_id": [2, 3, 2],
    "torch_dtype": "bfloat16",
}
LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def parse(**changes: Any) -> ModelConfig:
    values = {k: v for k, v in {**GOOD, **changes}.items() if v != "absent"}
    return parse_decoder_config(values, "LlamaForCausalLM")


def test_reads_the_usual_fields() -> None:
    config = parse()
    assert config == ModelConfig(
        architecture="LlamaForCausalLM",
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        vocab_size=100,
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        rope=RopeConfig(theta=10000.0),
        dtype="bf16",
        bos_token_id=1,
        eos_token_ids=(2, 3),
    )


def test_defaults_of_old_files() -> None:
    config = parse(
        num_key_value_heads="absent", torch_dtype="absent", eos_token_id=None, bos_token_id="absent"
    )
    assert config.num_key_value_heads == 4 and config.dtype is None
    assert config.eos_token_ids == () and config.bos_token_id is None and not config.tie_word_embeddings
    assert parse(head_dim=24).head_dim == 24
    assert parse(hidden_size=66, head_dim=24).head_dim == 24
    assert parse(torch_dtype="absent", dtype="float16").dtype == "f16"


@pytest.mark.parametrize(
    ("changes", "rope"),
    [
        ({"rope_theta": 5e5}, RopeConfig(5e5)),
        ({"rope_theta": 500000, "rope_scaling": None}, RopeConfig(5e5)),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, RopeConfig(1e4, "linear", 2.0)),
        ({"rope_parameters": {"rope_theta": 3e4}}, RopeConfig(3e4)),
        ({"rope_parameters": {"rope_theta": 3e4, "rope_type": "default"}}, RopeConfig(3e4)),
        (
            {"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", **LLAMA3}},
            RopeConfig(5e5, "llama3", 8, 1, 4, 8192),
        ),
        (
            {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, **LLAMA3}},
            RopeConfig(5e5, "llama3", 8, 1, 4, 8192),
        ),
    ],
)
def test_rope_in_both_spellings(changes: dict[str, Any], rope: RopeConfig) -> None:
    assert parse(**changes).rope == rope


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        *(({key: "absent"}, key, "is missing") for key in (
            "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size",
            "max_position_embeddings", "rms_norm_eps",
        )),
        ({"hidden_size": None}, "hidden_size", "is null"),
        ({"hidden_size": "64"}, "hidden_size", "'64'"),
        ({"hidden_size": 64.0}, "hidden_size", "64.0"),
        ({"hidden_size": True}, "hidden_size", "True"),
        ({"hidden_size": 0}, "hidden_size", "from 1 to 1048576"),
        ({"hidden_size": -64}, "hidden_size", "-64"),
        ({"hidden_size": 10**5000}, "hidden_size", "from 1 to"),
        ({"num_hidden_layers": 10**6}, "num_hidden_layers", "10000"),
        ({"num_attention_heads": 5}, "num_key_value_heads", "divisor of num_attention_heads, which is 5"),
        ({"num_attention_heads": 6}, "num_attention_heads", "divisor of hidden_size, which is 64"),
        ({"num_attention_heads": 64}, "num_attention_heads", "even head size"),
        ({"num_key_value_heads": 3}, "num_key_value_heads", "which is 4"),
        ({"head_dim": 15}, "head_dim", "even"),
        ({"rms_norm_eps": 0}, "rms_norm_eps", "above 0"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps", "nan"),
        ({"rms_norm_eps": "1e-5"}, "rms_norm_eps", "'1e-5'"),
        ({"rms_norm_eps": True}, "rms_norm_eps", "True"),
        ({"hidden_act": "gelu"}, "hidden_act", "one of silu"),
        ({"attention_bias": True}, "attention_bias", "not supported"),
        ({"mlp_bias": True}, "mlp_bias", "not supported"),
        ({"mlp_bias": "no"}, "mlp_bias", "true or false"),
        ({"tie_word_embeddings": 1}, "tie_word_embeddings", "true or false"),
        ({"torch_dtype": "float8_e4m3fn"}, "torch_dtype", "bfloat16"),
        ({"bos_token_id": 100}, "bos_token_id", "from 0 to 99"),
        ({"eos_token_id": [2, -1]}, "eos_token_id", "from 0 to 99"),
        ({"eos_token_id": [True]}, "eos_token_id", "True"),
        ({"quantization_config": {"bits": 4}}, "quantization_config", "quantized"),
        ({"rope_theta": 0}, "rope_theta", "above 0"),
        ({"rope_theta": 10**400}, "rope_theta", "finite"),
        ({"rope_scaling": "linear"}, "rope_scaling", "an object"),
        ({"rope_scaling": {"factor": 2.0}}, "rope_scaling.rope_type", "is missing"),
        ({"rope_scaling": {"type": "yarn", "factor": 2.0}}, "rope_scaling.type", "default, linear, llama3"),
        ({"rope_scaling": {"type": "linear"}}, "rope_scaling.factor", "is missing"),
        ({"rope_scaling": {"type": "linear", "factor": 0.5}}, "rope_scaling.factor", "at least 1"),
        ({"rope_parameters": {"rope_type": "llama3", **LLAMA3, "low_freq_factor": 4.0}},
         "rope_parameters.high_freq_factor", "above low_freq_factor, which is 4"),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}, "rope_parameters.low_freq_factor",
         "is missing"),
        ({"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}},
         "rope_parameters.partial_rotary_factor", "0.5"),
    ],
)  # fmt: skip
def test_bad_values_are_named(changes: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(**changes)
    assert caught.value.field == field
    assert field in str(caught.value) and words in str(caught.value) and "M001" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is missing"):
        load_model_config(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(GOOD))
    assert load_model_config(tmp_path) == parse()
    for text in ("", "[]", "{", "\ud800".encode("utf-8", "surrogatepass"), "[" * 100_000):
        (tmp_path / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ConfigError, match=r"config\.json"):
            load_model_config(tmp_path)


@pytest.mark.parametrize("names", [None, "LlamaForCausalLM", [], ["GPT2LMHeadModel"], [7], {"a": 1}])
def test_unknown_architecture(tmp_path: Path, names: object) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**GOOD, "architectures": names}))
    with pytest.raises(ConfigError, match="LlamaForCausalLM") as caught:
        load_model_config(tmp_path)
    assert caught.value.field == "architectures"


@pytest.mark.parametrize(("kind", "name"), [("llama", "LlamaForCausalLM"), ("qwen3", "Qwen3ForCausalLM")])
def test_model_type_stands_in_for_absent_architectures(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**GOOD, "architectures": None, "model_type": kind}))
    assert load_model_config(tmp_path).architecture == name


def parse_qwen3(**changes: Any) -> ModelConfig:
    values = {k: v for k, v in {**GOOD, **changes}.items() if v != "absent"}
    return parse_qwen3_config(values, "Qwen3ForCausalLM")


def test_qwen3_is_the_decoder_with_norms_of_heads() -> None:
    config = parse_qwen3(head_dim=24, rope_theta=1e6, use_sliding_window=False, sliding_window=4096)
    expected = replace(parse(head_dim=24, rope_theta=1e6), architecture="Qwen3ForCausalLM", qk_norm=True)
    assert config == expected
    assert parse_qwen3().head_dim == parse_qwen3(head_dim=None).head_dim == 128
    assert parse_qwen3(layer_types=["full_attention"] * 2) == parse_qwen3()
    assert not parse().qk_norm


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"use_sliding_window": True}, "use_sliding_window", "sliding window is not supported"),
        ({"use_sliding_window": "no"}, "use_sliding_window", "true or false"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "layer_types", "2 times 'full_attention'"),
        ({"layer_types": ["full_attention"]}, "layer_types", "2 times 'full_attention'"),
        ({"layer_types": "full_attention"}, "layer_types", "2 times 'full_attention'"),
        ({"num_key_value_heads": "absent"}, "num_key_value_heads", "is missing"),
        ({"head_dim": 15}, "head_dim", "even"),
        ({"attention_bias": True}, "attention_bias", "not supported"),
        ({"quantization_config": {"quant_method": "fp8"}}, "quantization_config", "quantized"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope_scaling.rope_type", "default, linear, llama3"),
    ],
)
def test_qwen3_refuses(changes: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_qwen3(**changes)
    assert caught.value.field == field and field in str(caught.value) and words in str(caught.value)


def test_registry_names_its_entries() -> None:
    assert all(
        name == entry.name and entry.family.startswith("sapwood.models.")
        for name, entry in architectures.items()
    )


@pytest.mark.parametrize("family", ["Llama", "Qwen3"])
@pytest.mark.parametrize("kind", ["default", "llama3"])
def test_agrees_with_transformers(tmp_path: Path, family: str, kind: str) -> None:
    transformers = pytest.importorskip("transformers")
    rope = {"rope_type": kind, "rope_theta": 5e5, **(LLAMA3 if kind == "llama3" else {})}
    theirs = getattr(transformers, f"{family}Config")(
        hidden_size=96, num_attention_heads=4, num_key_value_heads=1, num_hidden_layers=3, vocab_size=101,
        intermediate_size=130, max_position_embeddings=16384, rope_parameters=rope, tie_word_embeddings=True,
        eos_token_id=[5, 6], dtype="bfloat16", architectures=[f"{family}ForCausalLM"],
    )  # fmt: skip
    theirs.save_pretrained(tmp_path)
    ours = load_model_config(tmp_path)
    for name in ("hidden_size", "num_attention_heads", "num_key_value_heads", "num_hidden_layers", "vocab_size",
                 "intermediate_size", "max_position_embeddings", "head_dim", "rms_norm_eps", "hidden_act",
                 "tie_word_embeddings", "bos_token_id"):  # fmt: skip
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.eos_token_ids == (5, 6) and ours.dtype == "bf16"
    assert (ours.rope.theta, ours.rope.kind) == (5e5, kind)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "rope_scaling", "rope_parameters", "head_dim", "dtype"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["rope_type", "type", "factor", "rope_theta"]), inner, max_size=3
                )
            ),
            max_leaves=5,
        ),
        max_size=4,
    )
)
def test_fuzz_never_another_exception(changes: dict[str, Any]) -> None:
    try:
        config = parse_decoder_config({**GOOD, **changes}, "LlamaForCausalLM")
    except ConfigError:
        return
    assert config.num_attention_heads % config.num_key_value_heads == 0 and config.head_dim % 2 == 0
    assert config.head_dim > 0 and config.rope.theta > 0 and 0 < config.rms_norm_eps <= 1


def test_generation_config(tmp_path: Path) -> None:
    path = tmp_path / "generation_config.json"
    assert load_generation_config(tmp_path, 100) == GenerationConfig()
    path.write_text(json.dumps({"temperature": 0.6, "top_p": 0.9, "top_k": 50, "eos_token_id": [7, 9],
                                "bos_token_id": 1,
                                "max_length": 4096, "do_sample": True, "unknown": {}}))  # fmt: skip
    assert load_generation_config(tmp_path, 100) == GenerationConfig(
        temperature=0.6, top_k=50, top_p=0.9, max_length=4096, bos_token_id=1, eos_token_ids=(7, 9)
    )
    path.write_text(
        json.dumps({"do_sample": False, "temperature": 0.6, "eos_token_id": 7, "max_new_tokens": 5})
    )
    assert load_generation_config(tmp_path, 100) == GenerationConfig(
        temperature=0.0, max_new_tokens=5, eos_token_ids=(7,)
    )
    for key, value in [("temperature", -1), ("top_p", 0), ("top_p", 1.5), ("top_k", 1.5),
                       ("eos_token_id", 100),
                       ("do_sample", "no"), ("max_new_tokens", 0)]:  # fmt: skip
        path.write_text(json.dumps({key: value}))
        with pytest.raises(ConfigError) as caught:
            load_generation_config(tmp_path, 100)
        assert caught.value.field == key
