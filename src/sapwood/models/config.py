"""The shape of a decoder-only transformer, read from config.json.

`config.json` is data: it is parsed against this schema, keys that change nothing here are ignored, and keys
that would change the result and are not supported (quantization, biases, other rope scalings) are errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

from sapwood.models.fields import Fields

CONFIG_NAME = "config.json"

RopeKind = Literal["default", "linear", "llama3"]

#: names of dtypes in config.json -> ours
CHECKPOINT_DTYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary position embedding (https://arxiv.org/abs/2104.09864).

    `kind` "default" uses inverse frequencies theta**(-2i/head_dim); "linear" divides them by `factor`
    (https://arxiv.org/abs/2306.15595); "llama3" divides those with wavelength above
    original_max_position_embeddings / low_freq_factor by `factor`, keeps those below
    original_max_position_embeddings / high_freq_factor, and blends between (Llama 3.1).
    """

    theta: float = 10000.0
    kind: RopeKind = "default"
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 1.0
    original_max_position_embeddings: int = 0


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes and constants of one model, all checked. Names follow config.json.

    `qk_norm`: the queries and keys of each head go through an RMSNorm before they are rotated.

    `dtype` is the checkpoint's ("f32", "f16", "bf16"), None when the file does not say. `eos_token_ids` is
    empty when the file does not say.
    """

    architecture: str
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope: RopeConfig
    hidden_act: str = "silu"
    tie_word_embeddings: bool = False
    dtype: str | None = None
    bos_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = ()
    qk_norm: bool = False


def parse_rope(fields: Fields) -> RopeConfig:
    """Both ways to write it: `rope_theta` beside `rope_scaling`, and all of it in `rope_parameters`.

    Raises ConfigError for kinds that are not supported and for missing or impossible parameters.
    """
    theta = fields.number("rope_theta", above=0.0, default=None)
    scaling = fields.nested("rope_parameters") or fields.nested("rope_scaling")
    if scaling is None:
        return RopeConfig(theta=10000.0 if theta is None else theta)
    theta = scaling.number("rope_theta", above=0.0, default=10000.0 if theta is None else theta)
    kind_key = "rope_type" if scaling.has("rope_type") or not scaling.has("type") else "type"
    if not scaling.has(kind_key) and not scaling.has("factor"):
        kind = "default"
    else:
        kind = cast(RopeKind, scaling.string(kind_key, get_args(RopeKind)))
    for place in (fields, scaling):
        if place.number("partial_rotary_factor", default=1.0) != 1.0:
            place.reject("partial_rotary_factor", "1 (the whole head is rotated)")
    if kind == "default":
        return RopeConfig(theta=theta)
    factor = scaling.number("factor", above=0.0)
    if factor < 1.0:
        scaling.reject("factor", "a number of at least 1")
    if kind == "linear":
        return RopeConfig(theta=theta, kind=kind, factor=factor)
    low = scaling.number("low_freq_factor", above=0.0)
    high = scaling.number("high_freq_factor", above=0.0)
    if high <= low:
        scaling.reject("high_freq_factor", f"a number above low_freq_factor, which is {low:g}")
    original = scaling.integer("original_max_position_embeddings")
    return RopeConfig(theta, kind, factor, low, high, original)


def parse_decoder_config(
    values: Mapping[str, object], architecture: str, file: str = CONFIG_NAME
) -> ModelConfig:
    """The common fields of Llama-shaped decoders.

    `values` is config.json; `architecture` the name that the registry found in it. Raises ConfigError.
    """
    fields = Fields(values, file)
    if fields.has("quantization_config"):
        fields.reject("quantization_config", "nothing: quantized checkpoints are not supported")
    hidden_size = fields.integer("hidden_size", most=1 << 20)
    num_heads = fields.integer("num_attention_heads", most=1 << 14)
    num_kv_heads = fields.integer("num_key_value_heads", most=1 << 14, default=num_heads)
    if num_heads % num_kv_heads:
        fields.reject("num_key_value_heads", f"a divisor of num_attention_heads, which is {num_heads}")
    head_dim = fields.integer("head_dim", most=1 << 14, default=None)
    if head_dim is None:
        if hidden_size % num_heads:
            fields.reject(
                "num_attention_heads", f"a divisor of hidden_size, which is {hidden_size}, or give head_dim"
            )
        head_dim = hidden_size // num_heads
        if head_dim % 2:
            fields.reject("num_attention_heads", f"an even head size, here hidden_size / heads is {head_dim}")
    elif head_dim % 2:
        fields.reject("head_dim", "an even number, because rope rotates pairs")
    vocab_size = fields.integer("vocab_size", most=1 << 24)
    for bias in ("attention_bias", "mlp_bias"):
        if fields.boolean(bias, default=False):
            fields.reject(bias, "false: projections with a bias are not supported")
    bos = fields.token_ids("bos_token_id", vocab_size)
    # transformers 5 writes `dtype`, earlier versions `torch_dtype`; "auto" means that the file does not say
    dtype_key = "dtype" if fields.has("dtype") else "torch_dtype"
    dtype = fields.string(dtype_key, (*CHECKPOINT_DTYPES, "auto"), default="auto")
    return ModelConfig(
        architecture=architecture,
        hidden_size=hidden_size,
        intermediate_size=fields.integer("intermediate_size", most=1 << 22),
        num_hidden_layers=fields.integer("num_hidden_layers", most=10_000),
        num_attention_heads=num_heads,
        num_key_value_heads=num_kv_heads,
        head_dim=head_dim,
        vocab_size=vocab_size,
        max_position_embeddings=fields.integer("max_position_embeddings"),
        rms_norm_eps=fields.number("rms_norm_eps", above=0.0, most=1.0),
        rope=parse_rope(fields),
        hidden_act=fields.string("hidden_act", ("silu",), default="silu"),
        tie_word_embeddings=fields.boolean("tie_word_embeddings", default=False),
        dtype=CHECKPOINT_DTYPES.get(dtype),
        bos_token_id=bos[0] if bos else None,
        eos_token_ids=fields.token_ids("eos_token_id", vocab_size),
    )


def parse_qwen3_config(
    values: Mapping[str, object], architecture: str, file: str = CONFIG_NAME
) -> ModelConfig:
    """Qwen3: the common fields, norms of queries and keys, heads of 128 if the file does not say.

    Layers that attend through a sliding window are not supported. Raises ConfigError.
    """
    fields = Fields(values, file)
    if fields.boolean("use_sliding_window", default=False):
        fields.reject("use_sliding_window", "false: attention through a sliding window is not supported")
    fields.integer("num_key_value_heads")  # what its absence means differs between readers
    config = parse_decoder_config(
        {**values, "head_dim": 128 if values.get("head_dim") is None else values["head_dim"]}, architecture, file
    )
    layers = values.get("layer_types")
    if layers is not None and layers != ["full_attention"] * config.num_hidden_layers:
        fields.reject("layer_types", f"a list of {config.num_hidden_layers} times 'full_attention'")
    return replace(config, qk_norm=True)
