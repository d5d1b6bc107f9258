"""The table of architectures: one entry per name in config.json's `architectures`.

To add a model family: write its file (`<family>.py` with its module class and weight names), add its entry
here, and its test.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sapwood.models.config import CONFIG_NAME, ModelConfig, parse_decoder_config, parse_qwen3_config
from sapwood.models.errors import ConfigError, shown
from sapwood.models.fields import read_json_object


@dataclass(frozen=True, slots=True)
class Architecture:
    """One architecture.

    `family` is the module that holds the model class of the same `name`; it is imported when a model is
    built, so that reading a config needs no compiler. `model_type` is its name in config.json.
    `parse_config` maps config.json to a ModelConfig.
    """

    name: str
    model_type: str
    family: str
    parse_config: Callable[[Mapping[str, object], str, str], ModelConfig]


architectures: dict[str, Architecture] = {
    entry.name: entry
    for entry in (
        Architecture("LlamaForCausalLM", "llama", "sapwood.models.llama", parse_decoder_config),
        Architecture("Qwen3ForCausalLM", "qwen3", "sapwood.models.qwen3", parse_qwen3_config),
    )
}


def find_architecture(values: Mapping[str, object], file: str = CONFIG_NAME) -> Architecture:
    """The entry for a config. Raises ConfigError if it names none that is known.

    Without `architectures` (a config that was saved before the model was), a unique `model_type` decides.
    """
    known = ", ".join(architectures)
    names = values.get("architectures")
    if names is None:
        names = [a.name for a in architectures.values() if a.model_type == values.get("model_type")] or None
    if names is None:
        raise ConfigError(
            f"architectures is missing; required: a list with one of {known}",
            file=file,
            field="architectures",
            allowed=known,
        )
    if isinstance(names, list):
        for name in names:
            if isinstance(name, str) and name in architectures:
                return architectures[name]
    raise ConfigError(
        f"architectures is {shown(names)}; supported: {known}",
        file=file,
        field="architectures",
        found=names,
        allowed=known,
    )


def load_model_config(directory: str | os.PathLike[str]) -> ModelConfig:
    """Read and check `directory`/config.json. Raises ConfigError."""
    path = Path(directory) / CONFIG_NAME
    values = read_json_object(path)
    architecture = find_architecture(values, str(path))
    return architecture.parse_config(values, architecture.name, str(path))
