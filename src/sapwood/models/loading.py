"""From a model directory to a module with weights: mapped where the dtype is the checkpoint's, else converted."""

from __future__ import annotations

import importlib
from typing import Any

from sapwood.models.config import ModelConfig
from sapwood.models.errors import WeightsError
from sapwood.models.registry import architectures
from sapwood.models.safetensors import Weights
from sapwood.runtime.array import Array

FLOATS = ("f32", "bf16", "f16")


def build_model(config: ModelConfig, dtype: str) -> Any:
    """The module of a config's architecture, without weights. dtype: "f32", "bf16" or "f16", of the weights."""
    entry = architectures[config.architecture]
    return getattr(importlib.import_module(entry.family), entry.name)(config, dtype)


def load_weights(model: Any, weights: Weights, file: str) -> None:
    """Give each parameter its tensor, by name. Tensors stay in the mapped file if their dtype fits."""
    own = dict(model.named_parameters())
    loaded: set[int] = set()
    for name, p in own.items():
        p.name = name
    for name, p in own.items():
        if name in weights and id(p) not in loaded:
            p.assign(_tensor(weights, name, p, file))
            loaded.add(id(p))
    missing = [n for n, p in own.items() if id(p) not in loaded]
    if missing:
        raise WeightsError(f"is missing ({len(missing)} of {len(own)} are)", file=file, tensor=missing[0])
    ignored = getattr(model, "ignored", ())
    unknown = [n for n in weights if n not in own and not n.endswith(ignored)]
    if unknown:
        raise WeightsError("is not a weight of this architecture", file=file, tensor=unknown[0])


def _tensor(weights: Weights, name: str, p: Any, file: str) -> Any:
    info = weights.info(name)
    if info.shape != p.shape:
        raise WeightsError(
            f"has shape {list(info.shape)}", file=file, tensor=name, field="shape", limit=f"needed: {list(p.shape)}"
        )
    if info.dtype not in FLOATS:
        raise WeightsError(
            f"has dtype {info.dtype}", file=file, tensor=name, field="dtype", limit=f"allowed: {', '.join(FLOATS)}"
        )
    tensor = weights.tensor(name)
    array = tensor.array()
    if info.dtype == p.dtype.name:
        return array
    from sapwood.kernels.convert import convert_elements

    target = Array.empty(p.shape, p.dtype)
    convert_elements(array.reshape(array.size), target.reshape(target.size))
    weights.release(name)
    return target
