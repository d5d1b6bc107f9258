"""Llama 2 and 3 (Touvron et al., 2023; Grattafiori et al., 2024): the decoder that most open models follow."""

from __future__ import annotations

from sapwood.models.decoder import DecoderForCausalLM


class LlamaForCausalLM(DecoderForCausalLM):
    """The shared decoder as it is."""

    ignored = ("rotary_emb.inv_freq",)
