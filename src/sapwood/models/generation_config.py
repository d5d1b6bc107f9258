"""Sampling defaults that a checkpoint brings along, read from generation_config.json."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sapwood.models.fields import Fields, read_json_object

GENERATION_CONFIG_NAME = "generation_config.json"


@dataclass(frozen=True, slots=True)
class GenerationConfig:
    """None (or an empty tuple) means that the file does not say.

    `temperature` is 0 when the file says `do_sample: false`. `top_k` 0 means all tokens.
    `max_new_tokens` counts generated tokens, `max_length` prompt and generated tokens together.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    max_new_tokens: int | None = None
    max_length: int | None = None
    bos_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = ()


def load_generation_config(directory: str | os.PathLike[str], vocab_size: int) -> GenerationConfig:
    """The defaults of a model directory; all None if it has no generation_config.json.

    Raises ConfigError when a value that is used here has the wrong type or is impossible.
    """
    path = Path(directory) / GENERATION_CONFIG_NAME
    if not path.exists():
        return GenerationConfig()
    fields = Fields(read_json_object(path), str(path))
    temperature = fields.number("temperature", above=-1e-9, most=100.0, default=None)
    if fields.boolean("do_sample", default=True) is False:
        temperature = 0.0
    bos = fields.token_ids("bos_token_id", vocab_size)
    return GenerationConfig(
        temperature=None if temperature is None else max(temperature, 0.0),
        top_k=fields.integer("top_k", least=0, default=None),
        top_p=fields.number("top_p", above=0.0, most=1.0, default=None),
        max_new_tokens=fields.integer("max_new_tokens", default=None),
        max_length=fields.integer("max_length", default=None),
        bos_token_id=bos[0] if bos else None,
        eos_token_ids=fields.token_ids("eos_token_id", vocab_size),
    )
