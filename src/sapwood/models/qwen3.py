"""Qwen3 (Yang et al., Qwen3 Technical Report, 2025), dense: the shared decoder with a norm of every head's queries and
keys, which its configuration asks for (`ModelConfig.qk_norm`)."""

from __future__ import annotations

from sapwood.models.decoder import DecoderForCausalLM


class Qwen3ForCausalLM(DecoderForCausalLM):
    """The shared decoder; weights have the shared names, and `self_attn.q_norm` and `k_norm` besides."""
