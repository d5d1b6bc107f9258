"""Random-weight checkpoints of each family, written by Transformers: the oracle of the models."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 10000.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}  # fmt: skip
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}


@dataclass(frozen=True)
class Shape:
    """One configuration; `heads` / `kv_heads` is the group."""

    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    inner: int
    vocabulary: int
    tied: bool = False
    rope: Any = field(default=None, hash=False)
    family: str = "Llama"  # Transformers' classes have its name

    def __str__(self) -> str:
        rope = "" if self.rope is None else f"-{self.rope['rope_type']}"
        sizes = f"{self.heads}of{self.kv_heads}x{self.head_dim}-{self.hidden}-{self.vocabulary}"
        return f"{self.family.lower()}-{sizes}{'-tied' * self.tied}{rope}"


SHAPES = [
    Shape(4, 1, 24, 52, 75, 131, tied=True, rope=LLAMA3),
    Shape(2, 2, 64, 96, 160, 257),
    Shape(8, 1, 80, 72, 99, 211, rope=LINEAR),
    Shape(4, 1, 128, 64, 128, 128, tied=True),
    Shape(4, 2, 128, 52, 75, 131, tied=True, rope={"rope_type": "default", "rope_theta": 1e6}, family="Qwen3"),
    Shape(3, 1, 10, 36, 99, 211, family="Qwen3"),
]


def make_checkpoint(directory: Path, shape: Shape, dtype: str = "float32", shards: str = "1GB") -> Any:
    """Write a checkpoint of 2 layers and give Transformers' model of it. dtype: of the weights in the file."""
    import torch
    import transformers

    torch.manual_seed(1234)
    config = getattr(transformers, f"{shape.family}Config")(
        hidden_size=shape.hidden, intermediate_size=shape.inner, num_hidden_layers=2, vocab_size=shape.vocabulary,
        num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads, head_dim=shape.head_dim,
        tie_word_embeddings=shape.tied, max_position_embeddings=256, rms_norm_eps=1e-5, initializer_range=0.2,
        bos_token_id=0, eos_token_id=1, attn_implementation="eager",
        **({} if shape.rope is None else {"rope_parameters": dict(shape.rope)}),
    )  # fmt: skip
    model = getattr(transformers, f"{shape.family}ForCausalLM")(config).to(getattr(torch, dtype)).eval()
    for name, p in model.named_parameters():  # norms of one would hide a wrong norm weight
        if "norm" in name:
            p.data = (1 + 0.3 * torch.randn(p.shape)).to(p.dtype)
    model.save_pretrained(directory, max_shard_size=shards)
    return model


def wide_oracle(directory: Path) -> Any:
    """Transformers' model of a checkpoint, computed in float32 on its weights as they are. (Casting the half-precision
    model would leave its rope tables rounded.)"""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
