"""The blocks that decoder-only families share, and the model that is made of them.

Attributes have the names of the checkpoint's weights. Shapes: rows are the tokens of a step, of any sequences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sapwood import graph, nn
from sapwood.graph import ops
from sapwood.kernels.attention import BLOCK
from sapwood.kernels.rope import fill_rope_tables
from sapwood.models.config import ModelConfig
from sapwood.runtime.array import Array

ROPE_KINDS = {"default": 0, "linear": 1, "llama3": 2}


@dataclass(frozen=True)
class Batch:
    """Where the rows of a step belong.

    positions, sequences, slots: i32 [rows]: place in the sequence, number of the sequence in `tables`, and place
    in the cache (block * 16 + place in the block). tables: i32 [sequences, width], block numbers.
    """

    positions: Any
    sequences: Any
    slots: Any
    tables: Any


class Attention(nn.Module):
    """Grouped-query attention over the paged cache, with rotary positions; queries and keys of each head are
    normalized before if the model says so."""

    def __init__(self, config: ModelConfig, dtype: str) -> None:
        d, width = config.head_dim, config.hidden_size
        self.heads, self.kv_heads, self.head_dim = config.num_attention_heads, config.num_key_value_heads, d
        self.q_proj = nn.Linear(width, self.heads * d, dtype=dtype)
        self.k_proj = nn.Linear(width, self.kv_heads * d, dtype=dtype)
        self.v_proj = nn.Linear(width, self.kv_heads * d, dtype=dtype)
        self.o_proj = nn.Linear(self.heads * d, width, dtype=dtype)
        self.q_norm = nn.HeadRMSNorm(d, config.rms_norm_eps, dtype) if config.qk_norm else None
        self.k_norm = nn.HeadRMSNorm(d, config.rms_norm_eps, dtype) if config.qk_norm else None

    def allocate(self, blocks: int, dtype: str) -> None:
        """Memory for keys [blocks, kv_heads, head_dim, 16] and values [blocks, kv_heads, 16, head_dim]."""
        keys, values = (blocks, self.kv_heads, self.head_dim, BLOCK), (blocks, self.kv_heads, BLOCK, self.head_dim)
        self.keys = nn.Buffer(keys, dtype, Array.zeros(keys, dtype))
        self.values = nn.Buffer(values, dtype, Array.zeros(values, dtype))

    def forward(self, x: Any, batch: Batch, cosines: Any, sines: Any) -> Any:
        d = self.head_dim
        q, k = self.q_proj(x), self.k_proj(x)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        q = ops.rope(q, cosines, sines, batch.positions, head_dim=d)
        k = ops.rope(k, cosines, sines, batch.positions, head_dim=d)
        keys = ops.write_keys(self.keys, k, batch.slots, head_dim=d)
        values = ops.write_values(self.values, self.v_proj(x), batch.slots, head_dim=d)
        y = ops.attention(
            q, keys, values, batch.tables, batch.sequences, batch.positions, heads=self.heads,
            kv_heads=self.kv_heads, head_dim=d,
        )  # fmt: skip
        return self.o_proj(y)


class MLP(nn.Module):
    """down(silu(gate(x)) * up(x)) (Shazeer, GLU Variants Improve Transformer, 2020)."""

    def __init__(self, config: ModelConfig, dtype: str) -> None:
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, dtype=dtype)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, dtype=dtype)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, dtype=dtype)

    def forward(self, x: Any) -> Any:
        return self.down_proj(ops.silu(self.gate_proj(x)) * self.up_proj(x))


class DecoderLayer(nn.Module):
    def __init__(self, config: ModelConfig, dtype: str) -> None:
        self.self_attn = Attention(config, dtype)
        self.mlp = MLP(config, dtype)
        self.input_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps, dtype)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps, dtype)

    def forward(self, x: Any, batch: Batch, cosines: Any, sines: Any) -> Any:
        x = x + self.self_attn(self.input_layernorm(x), batch, cosines, sines)
        return x + self.mlp(self.post_attention_layernorm(x))


class DecoderModel(nn.Module):
    """Embedding, layers, norm."""

    def __init__(self, config: ModelConfig, dtype: str) -> None:
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, dtype)
        self.layers = nn.ModuleList(DecoderLayer(config, dtype) for _ in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps, dtype)

    def forward(self, ids: Any, batch: Batch, cosines: Any, sines: Any) -> Any:
        x = self.embed_tokens(ids)
        return graph.repeat(self.layers, x, lambda layer, x: layer(x, batch, cosines, sines))


class DecoderForCausalLM(nn.Module):
    """Tokens in, logits of the rows that are sampled out. dtype: of weights; activations are f32."""

    #: how the names of weights end that checkpoints hold and that are computed here instead
    ignored: tuple[str, ...] = ()

    def __init__(self, config: ModelConfig, dtype: str) -> None:
        self.config = config
        self.model = DecoderModel(config, dtype)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, dtype=dtype)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def allocate(self, blocks: int, positions: int, dtype: str) -> None:
        """Memory for the caches (dtype: of their elements), and rope tables for `positions` positions."""
        for layer in self.model.layers:
            assert isinstance(layer, DecoderLayer)
            layer.self_attn.allocate(blocks, dtype)
        c, rope = self.config, self.config.rope
        shape = (positions, c.head_dim // 2)
        self.cosines = nn.Buffer(shape, "f32", Array.empty(shape, "f32"))
        self.sines = nn.Buffer(shape, "f32", Array.empty(shape, "f32"))
        fill_rope_tables(
            self.cosines.array.data_ptr, self.sines.array.data_ptr, positions, c.head_dim, rope.theta,
            ROPE_KINDS[rope.kind], rope.factor, rope.low_freq_factor, rope.high_freq_factor,
            float(rope.original_max_position_embeddings),
        )  # fmt: skip

    def forward(
        self, ids: Any, positions: Any, sequences: Any, slots: Any, tables: Any, samples: Any
    ) -> Any:
        """Logits f32 [samples, vocabulary] of the rows whose numbers are in `samples`; all inputs are i32."""
        x = self.model(ids, Batch(positions, sequences, slots, tables), self.cosines, self.sines)
        return self.lm_head(self.model.norm(ops.take_rows(x, samples)))
