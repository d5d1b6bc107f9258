"""What a model directory and a user's options come to before any weight is read: limits, tokenizer, template, defaults.

`LLM` and `AsyncLLM` start here, so that both mean the same by every option. Nothing here imports NumPy or a compiler:
the process that speaks HTTP loads this and no more.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from pathlib import Path

from sapwood.engine.chat_template import ChatTemplate, load_chat_template
from sapwood.engine.model_runner import ModelRunner, RunnerFactory, RunnerSpec
from sapwood.engine.process.messages import EngineConfig
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.scheduler import SchedulerConfig
from sapwood.engine.tokenizer import Tokenizer
from sapwood.models.config import ModelConfig
from sapwood.models.errors import shown
from sapwood.models.generation_config import load_generation_config
from sapwood.models.hub import resolve_model
from sapwood.models.registry import load_model_config
from sapwood.models.safetensors import open_weights

DEFAULT_MAX_NUM_BATCHED_TOKENS = 2048
DEFAULT_MAX_NUM_SEQS = 128
DEFAULT_BLOCK_SIZE = 16

_DTYPES = {
    "float32": "f32",
    "float": "f32",
    "f32": "f32",
    "bfloat16": "bf16",
    "bf16": "bf16",
    "float16": "f16",
    "half": "f16",
    "f16": "f16",
}


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """What a user may say about an engine; None leaves it to the model or the machine.

    model: a directory in Hugging Face's layout, or a repository id (local cache first, then the network).
    revision: branch, tag or commit of a repository.
    dtype: "auto" (the checkpoint's), "float32", "bfloat16" or "float16".
    max_model_len: context in tokens, prompt and output together; by default the model's own.
    max_num_batched_tokens: token budget of a step; longer prompts are computed in chunks.
    max_num_seqs: the most sequences that run at once.
    block_size: tokens in a block of the KV cache. kv_cache_memory_bytes: size of that cache; num_kv_blocks sets it
        in blocks instead.
    enable_prefix_caching: keep full blocks and reuse them for prompts that begin alike.
    seed: seeds requests whose SamplingParams have none. num_threads: threads that compute.
    kv_events: have the engine process tell what becomes of its prefix cache, for `AsyncLLM.add_kv_event_listener`.
    """

    model: str | os.PathLike[str]
    revision: str | None = None
    dtype: str = "auto"
    max_model_len: int | None = None
    max_num_batched_tokens: int | None = None
    max_num_seqs: int | None = None
    block_size: int = DEFAULT_BLOCK_SIZE
    kv_cache_memory_bytes: int | None = None
    num_kv_blocks: int | None = None
    enable_prefix_caching: bool = True
    seed: int = 0
    num_threads: int | None = None
    kv_events: bool = False


@dataclass(frozen=True)
class ModelAssets:
    """A model directory, read and checked, and the engine's configuration for it.

    default_sampling_params: values of generation_config.json by SamplingParams' names, those that it has.
    """

    directory: Path
    config: ModelConfig
    tokenizer: Tokenizer
    chat_template: ChatTemplate | None
    default_sampling_params: dict[str, object]
    engine_config: EngineConfig

    def sampling_params(self) -> SamplingParams:
        """Those of a request that brings none: the defaults, with generation_config.json over them."""
        return SamplingParams(**self.default_sampling_params)  # type: ignore[arg-type]


def resolve_dtype(dtype: str, config: ModelConfig, directory: Path) -> str:
    """ "f32", "bf16" or "f16" from the option. "auto" takes the checkpoint's own.

    Raises ValueError for other names, WeightsError if "auto" has to read weights that cannot be read.
    """
    if dtype != "auto":
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise ValueError(f"dtype is {shown(dtype)}; allowed: auto, {', '.join(_DTYPES)}")
        return _DTYPES[dtype]
    if config.dtype is not None:
        return config.dtype
    weights = open_weights(directory)
    sizes = dict.fromkeys(("f32", "bf16", "f16"), 0)
    for name in weights:
        info = weights.info(name)
        if info.dtype in sizes:
            sizes[info.dtype] += info.nbytes
    return max(sizes, key=lambda name: sizes[name])


def _positive(name: str, value: object, default: int) -> int:
    if value is None:
        return default
    if type(value) is not int or not 1 <= value < 2**63:
        raise ValueError(f"{name} is {shown(value)}; allowed: an integer of at least 1")
    return value


def _positive_or_none(name: str, value: object) -> int | None:
    return None if value is None else _positive(name, value, 1)


def load_model_assets(options: EngineOptions) -> ModelAssets:
    """Find the model, read everything but its weights, and resolve every option.

    Raises HubError, ConfigError, WeightsError, TokenizerError or ChatTemplateError (all ValueError) for a model that
    cannot be used, and ValueError naming the option for a value that is not allowed.
    """
    directory = resolve_model(options.model, options.revision)
    config = load_model_config(directory)
    context = config.max_position_embeddings
    length = _positive("max_model_len", options.max_model_len, context)
    if length > context:
        raise ValueError(f"max_model_len is {length}; allowed: at most {context}, the model's max_position_embeddings")
    budget = _positive("max_num_batched_tokens", options.max_num_batched_tokens, DEFAULT_MAX_NUM_BATCHED_TOKENS)
    seqs = _positive("max_num_seqs", options.max_num_seqs, min(DEFAULT_MAX_NUM_SEQS, budget))
    SchedulerConfig(budget, seqs, length)  # checks how they go together
    if type(options.seed) is not int:
        raise ValueError(f"seed is {shown(options.seed)}; allowed: an integer")
    if not isinstance(options.enable_prefix_caching, bool):
        raise ValueError(f"enable_prefix_caching is {shown(options.enable_prefix_caching)}; allowed: True or False")
    if not isinstance(options.kv_events, bool):
        raise ValueError(f"kv_events is {shown(options.kv_events)}; allowed: True or False")
    dtype = resolve_dtype(options.dtype, config, directory)
    block_size = _positive("block_size", options.block_size, DEFAULT_BLOCK_SIZE)
    num_blocks = _positive_or_none("num_kv_blocks", options.num_kv_blocks)
    cache_bytes = _positive_or_none("kv_cache_memory_bytes", options.kv_cache_memory_bytes)
    generation = load_generation_config(directory, config.vocab_size)
    tokenizer = Tokenizer.from_directory(directory)
    template = load_chat_template(directory, bos_token=tokenizer.bos_token, eos_token=tokenizer.eos_token)
    eos = set(generation.eos_token_ids or config.eos_token_ids)
    if tokenizer.eos_token_id is not None:
        eos.add(tokenizer.eos_token_id)
    defaults = {
        "temperature": generation.temperature,
        "top_k": generation.top_k,
        "top_p": generation.top_p,
        "max_tokens": generation.max_new_tokens,
    }
    return ModelAssets(
        directory=directory,
        config=config,
        tokenizer=tokenizer,
        chat_template=template,
        default_sampling_params={name: value for name, value in defaults.items() if value is not None},
        engine_config=EngineConfig(
            directory=str(directory.absolute()),
            dtype=dtype,
            max_model_len=length,
            max_num_batched_tokens=budget,
            max_num_seqs=seqs,
            block_size=block_size,
            num_blocks=num_blocks,
            kv_cache_memory_bytes=cache_bytes,
            enable_prefix_caching=options.enable_prefix_caching,
            eos_token_ids=sorted(eos),
            seed=options.seed & (2**64 - 1),
            num_threads=_positive_or_none("num_threads", options.num_threads),
            kv_events=options.kv_events,
        ),
    )


def runner_spec(engine: EngineConfig, config: ModelConfig) -> RunnerSpec:
    """What the runner of an engine is made from."""
    return RunnerSpec(
        directory=Path(engine.directory),
        config=config,
        dtype=engine.dtype,
        max_model_len=engine.max_model_len,
        max_num_batched_tokens=engine.max_num_batched_tokens,
        max_num_seqs=engine.max_num_seqs,
        block_size=engine.block_size,
        num_blocks=engine.num_blocks,
        kv_cache_memory_bytes=engine.kv_cache_memory_bytes,
    )


def build_runner(engine: EngineConfig, config: ModelConfig, factory: RunnerFactory | None = None) -> ModelRunner:
    """The runner of an engine: by default the one that compiles the model. Raises WeightsError and ValueError."""
    return (factory or compiled_runner)(runner_spec(engine, config))


def compiled_runner(spec: RunnerSpec) -> ModelRunner:
    """The runner that compiles the model. Imported late: scheduling and text need no compiler."""
    module = importlib.import_module("sapwood.engine.compiled_runner")
    return module.create_runner(spec)
