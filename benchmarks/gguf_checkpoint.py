"""A Llama checkpoint of Hugging Face's layout as a GGUF file in BF16, bit by bit the same weights, for llama.cpp.

    python benchmarks/gguf_checkpoint.py MODEL_DIRECTORY OUT.gguf

Needs the `gguf` package. Rows of the query and key projections are put in the order that llama.cpp's rotary embedding
of neighbours expects; norms are widened to F32, as llama.cpp wants them. Tokenizers: byte-level BPE.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    base = name.removesuffix(".weight")
    if base.startswith("model.layers."):
        number, _, inner = base.removeprefix("model.layers.").partition(".")
        return f"blk.{number}.{NAMES[inner]}.weight"
    return f"{NAMES[base]}.weight"


def tensors(path: Path) -> dict[str, tuple[str, np.ndarray]]:
    """(dtype, bits) of each tensor of a safetensors file, without copying it."""
    data = np.memmap(path, np.uint8, mode="r")
    size = int.from_bytes(data[:8].tobytes(), "little")
    header = json.loads(data[8 : 8 + size].tobytes())
    header.pop("__metadata__", None)
    found = {}
    for name, info in header.items():
        begin, end = info["data_offsets"]
        bits = data[8 + size + begin : 8 + size + end].view(np.uint16)
        found[name] = (info["dtype"], bits.reshape(info["shape"]))
    return found


def neighbours(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head from (first half, second half) to pairs, as llama.cpp rotates them."""
    count, width = rows.shape
    return rows.reshape(heads, 2, count // heads // 2, width).swapaxes(1, 2).reshape(count, width)


def convert(model: Path, out: Path) -> None:
    import gguf

    config: dict[str, Any] = json.loads((model / "config.json").read_text())
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    work = out.with_suffix(".part")
    w = gguf.GGUFWriter(work, "llama")
    w.add_name(model.name)
    w.add_context_length(config["max_position_embeddings"])
    w.add_embedding_length(config["hidden_size"])
    w.add_block_count(config["num_hidden_layers"])
    w.add_feed_forward_length(config["intermediate_size"])
    w.add_head_count(heads)
    w.add_head_count_kv(kv_heads)
    w.add_rope_dimension_count(head_dim)
    w.add_rope_freq_base(config["rope_theta"])
    w.add_layer_norm_rms_eps(config["rms_norm_eps"])
    w.add_vocab_size(config["vocab_size"])
    w.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    add_tokenizer(w, model, config)
    for name, (dtype, bits) in tensors(model / "model.safetensors").items():
        if dtype != "BF16":
            raise SystemExit(f"{name} is {dtype}; only BF16 checkpoints are converted")
        if ".q_proj." in name or ".k_proj." in name:
            bits = neighbours(bits, heads if ".q_proj." in name else kv_heads)
        if bits.ndim == 1:
            w.add_tensor(gguf_name(name), (bits.astype(np.uint32) << 16).view(np.float32))
        else:
            kind = gguf.GGMLQuantizationType.BF16
            w.add_tensor(gguf_name(name), np.ascontiguousarray(bits).view(np.uint8), raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    work.rename(out)


def add_tokenizer(w: Any, model: Path, config: dict[str, Any]) -> None:
    import gguf

    data = json.loads((model / "tokenizer.json").read_text())
    tokens: list[str] = [f"[unused{i}]" for i in range(config["vocab_size"])]
    kinds = [gguf.TokenType.UNUSED] * config["vocab_size"]
    for token, i in data["model"]["vocab"].items():
        tokens[i], kinds[i] = token, gguf.TokenType.NORMAL
    for added in data.get("added_tokens", []):
        tokens[added["id"]], kinds[added["id"]] = added["content"], gguf.TokenType.CONTROL
    merges = [m if isinstance(m, str) else " ".join(m) for m in data["model"]["merges"]]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(tokens)
    w.add_token_types(kinds)
    w.add_token_merges(merges)
    w.add_bos_token_id(config["bos_token_id"])
    w.add_eos_token_id(config["eos_token_id"])
    w.add_add_bos_token(False)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
