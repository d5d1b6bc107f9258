from __future__ import annotations

import json

import numpy as np
import pytest

from sapwood.engine.tokenizer import Tokenizer
from sapwood.models.hub import demo_model
from sapwood.models.random_checkpoint import SHAPES, tensor_shapes, write_checkpoint
from sapwood.models.registry import load_model_config

TINY = SHAPES["llama-tiny"]


def load(path):
    from safetensors.torch import load_file

    return load_file(path / "model.safetensors")


@pytest.mark.parametrize("family", ["Llama", "Qwen3"])
@pytest.mark.parametrize("tied", [True, False])
def test_names_and_shapes_are_those_of_transformers(family, tied):
    import torch
    import transformers

    config = SHAPES[f"{family.lower()}-tiny"] | {"tie_word_embeddings": tied, "head_dim": 24}
    with torch.device("meta"):
        model = getattr(transformers, f"{family}ForCausalLM")(getattr(transformers, f"{family}Config")(**config))
    expected = {n: tuple(p.shape) for n, p in model.named_parameters()}
    assert tensor_shapes(config) == expected


@pytest.mark.parametrize("name", SHAPES)
def test_named_shapes_are_valid(name, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(SHAPES[name]))
    assert load_model_config(tmp_path).vocab_size == SHAPES[name]["vocab_size"]


def test_llama_1b_is_the_published_shape():
    assert sum(int(np.prod(s)) for s in tensor_shapes(SHAPES["llama-1b"]).values()) == 1_038_682_112


def test_weights(tmp_path):
    directory = write_checkpoint(tmp_path / "m", TINY, seed=3)
    weights = load(directory)
    assert {n: tuple(w.shape) for n, w in weights.items()} == tensor_shapes(TINY)
    for name, w in weights.items():
        values = w.float()
        if w.ndim == 1:
            assert (values == 1).all(), name
        else:
            assert abs(values.std() - 0.02) < 1e-3, name
            assert abs(values.mean()) < 1e-3, name
            assert len(set(map(tuple, values[:64, :8].tolist()))) == 64, name


def test_the_seed_decides(tmp_path):
    files = [write_checkpoint(tmp_path / str(i), TINY, seed=s) / "model.safetensors" for i, s in enumerate((1, 1, 2))]
    first, same, other = (f.read_bytes() for f in files)
    assert first == same
    assert first != other


def test_every_token_has_a_text(tmp_path):
    directory = write_checkpoint(tmp_path / "m", TINY)
    tokenizer = Tokenizer.from_directory(directory)
    assert tokenizer.vocab_size == TINY["vocab_size"]
    demo = Tokenizer.from_directory(demo_model())
    text = "def f(x): return w3000"
    assert tokenizer.encode(text) == demo.encode(text)
    assert tokenizer._inner.decode([3000]) == " w3000"


def test_nothing_is_left_behind(tmp_path):
    with pytest.raises(ValueError, match="vocab_size is 100; allowed: at least 2048"):
        write_checkpoint(tmp_path / "m", TINY | {"vocab_size": 100})
    assert list(tmp_path.iterdir()) == []
    write_checkpoint(tmp_path / "m", TINY)
    with pytest.raises(FileExistsError):
        write_checkpoint(tmp_path / "m", TINY)
