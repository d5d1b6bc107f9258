"""The numerics id: a name for everything that the bits of keys, values and logits depend on.

Runners with equal ids compute equal bits for equal tokens, so blocks of keys and values may be exchanged between
them. It starts every chain of block hashes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json

from sapwood.kernels.numerics import NUMERICS_VERSION, numerics_family
from sapwood.models.config import ModelConfig
from sapwood.models.safetensors import Weights
from sapwood.targets.base import Target

PIECES = 8  # of each tensor that are read
PIECE_BYTES = 256
#: fields of ModelConfig that are about text or files, not about arithmetic
IGNORED_FIELDS = frozenset({"dtype", "bos_token_id", "eos_token_ids", "max_position_embeddings"})


def numerics_id(
    config: ModelConfig, weights: Weights, dtype: str, block_size: int, target: Target | None = None
) -> str:
    """For example "llama-bf16-x86-v256-fma-b16-n1:" and 64 hexadecimal digits.

    config, weights: of the checkpoint. dtype: of the weights as they are computed with, and of the cache: "f32",
    "bf16" or "f16". block_size: tokens of a KV block. target: by default the one that is compiled for.

    Not in it, because no bit depends on them: threads, limits of a step, length of the context, size of the cache.
    """
    family = numerics_family(dtype, target)
    name = config.architecture.removesuffix("ForCausalLM").lower()
    label = f"{name}-{dtype}-{family}-b{block_size}-n{NUMERICS_VERSION}"
    fields = {k: v for k, v in dataclasses.asdict(config).items() if k not in IGNORED_FIELDS}
    h = hashlib.sha256(json.dumps([label, fields], sort_keys=True).encode())
    h.update(weights_digest(weights))
    return f"{label}:{h.hexdigest()}"


def weights_digest(weights: Weights) -> bytes:
    """32 bytes for a checkpoint's tensors: their names, dtypes and shapes, and a sample of their content.

    PIECES of PIECE_BYTES are read from each tensor, its ends among them, so that gigabytes take milliseconds. What
    training does to a tensor changes all of it and so the digest; an edit of single elements can go unseen. How
    tensors are spread over files does not count.
    """
    h = hashlib.sha256()
    for name in sorted(weights):
        info = weights.info(name)
        h.update(json.dumps([name, info.dtype, info.shape]).encode())
        data = weights.data(name)
        if info.nbytes <= PIECES * PIECE_BYTES:
            h.update(data)
            continue
        last = info.nbytes - PIECE_BYTES
        for i in range(PIECES):
            at = last * i // (PIECES - 1)
            h.update(data[at : at + PIECE_BYTES])
    return h.digest()
