"""Checkpoints with random weights, in a known shape: for measuring speed, and for tests.

The weights are normal(0, 0.02) in bf16, from a fixed seed; norms are 1. To be quick, values repeat after a block of
a prime number of elements, so that no two rows of a matrix are the same.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sapwood.models.hub import demo_model

Config = dict[str, Any]

_BLOCK = 8388593  # a prime


def _llama(hidden: int, layers: int, heads: int, kv_heads: int, ffn: int, vocabulary: int) -> Config:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": ffn,
        "vocab_size": vocabulary,
        "hidden_act": "silu",
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "dtype": "bfloat16",
    }


def _qwen3(hidden: int, layers: int, heads: int, kv_heads: int, ffn: int, vocabulary: int, head_dim: int) -> Config:
    return _llama(hidden, layers, heads, kv_heads, ffn, vocabulary) | {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "head_dim": head_dim,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "use_sliding_window": False,
    }


#: config.json of each shape that has a name
SHAPES: dict[str, Config] = {
    "llama-1b": _llama(2048, 16, 32, 8, 8192, 32000),
    "llama-100m": _llama(768, 10, 12, 4, 2048, 32000),
    "llama-tiny": _llama(256, 4, 8, 2, 688, 4096),
    "qwen3-0.6b": _qwen3(1024, 28, 16, 8, 3072, 32000, 128),
    "qwen3-tiny": _qwen3(192, 3, 6, 2, 512, 4096, 48),
}


def tensor_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a checkpoint's tensors, in the order in which they are written."""
    width, ffn = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    d = config.get("head_dim") or width // heads
    out: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], width)}
    for i in range(config["num_hidden_layers"]):
        layer = {
            "input_layernorm": (width,),
            "self_attn.q_proj": (heads * d, width),
            "self_attn.k_proj": (kv_heads * d, width),
            "self_attn.v_proj": (kv_heads * d, width),
            "self_attn.o_proj": (width, heads * d),
            "post_attention_layernorm": (width,),
            "mlp.gate_proj": (ffn, width),
            "mlp.up_proj": (ffn, width),
            "mlp.down_proj": (width, ffn),
        }
        if config["model_type"] == "qwen3":
            layer |= {"self_attn.q_norm": (d,), "self_attn.k_norm": (d,)}
        out |= {f"model.layers.{i}.{name}.weight": shape for name, shape in layer.items()}
    out["model.norm.weight"] = (width,)
    if not config.get("tie_word_embeddings", False):
        out["lm_head.weight"] = (config["vocab_size"], width)
    return out


def write_checkpoint(directory: str | os.PathLike[str], config: Mapping[str, Any], seed: int = 0) -> Path:
    """Write a model directory: config, bf16 weights in one safetensors file, and a tokenizer that covers them.

    The directory appears under its name when it is complete. Raises FileExistsError if it is there already, OSError
    if it cannot be written, ValueError if the vocabulary is smaller than the tokenizer's 2048.
    """
    target = Path(directory)
    if target.exists():
        raise FileExistsError(f"{target} exists already")
    work = target.with_name(f".{target.name}.{os.getpid()}")
    work.mkdir(parents=True)
    try:
        _write_tokenizer(work, config["vocab_size"])
        (work / "config.json").write_text(json.dumps(dict(config), indent=2), encoding="utf-8")
        with open(work / "model.safetensors", "wb") as f:
            _write_weights(f, tensor_shapes(config), seed)
        work.rename(target)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return target


def _write_weights(f: BinaryIO, shapes: Mapping[str, tuple[int, ...]], seed: int) -> None:
    header: dict[str, Any] = {}
    at = 0
    for name, shape in shapes.items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    f.write(len(text).to_bytes(8, "little") + text)
    rng = np.random.Generator(np.random.PCG64(seed))
    count = min(_BLOCK, max(math.prod(shape) for shape in shapes.values()))
    block = _bf16(rng.standard_normal(count, dtype=np.float32) * np.float32(0.02))
    one = _bf16(np.ones(1, dtype=np.float32))
    start = 0
    for shape in shapes.values():
        size = math.prod(shape)
        if len(shape) == 1:
            f.write(np.repeat(one, size).data)
            continue
        f.writelines(piece.data for piece in _cyclic(block, start, size))
        start = (start + size) % len(block)


def _cyclic(block: np.ndarray, start: int, size: int) -> Iterator[np.ndarray]:
    """Views of `block`, round and round from `start`, of `size` elements together."""
    while size:
        piece = block[start : start + size]
        yield piece
        size -= len(piece)
        start = 0


def _bf16(x: np.ndarray) -> np.ndarray:
    """The bits of f32 values rounded to bf16, ties to even. No nan is expected."""
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def _write_tokenizer(directory: Path, vocabulary: int) -> None:
    """The demo model's tokenizer, with further tokens that nothing encodes to."""
    demo = demo_model()
    for name in ("tokenizer_config.json", "generation_config.json"):
        shutil.copy(demo / name, directory / name)
    data = json.loads((demo / "tokenizer.json").read_bytes())
    tokens = data["model"]["vocab"]
    if vocabulary < len(tokens):
        raise ValueError(f"vocab_size is {vocabulary}; allowed: at least {len(tokens)}, the tokenizer's")
    for i in range(len(tokens), vocabulary):
        tokens[f"\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}w{i}"] = i  # how byte-level BPE spells " w"
    (directory / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
