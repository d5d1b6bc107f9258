"""Measure a model: prefill, decode, time to first token, as shares of what this machine can do.

The limits are measured in the same run: how fast memory of the size of the weights can be read, and how many
multiply-adds the vector units do. Decode of one sequence reads every weight once a token; prefill is arithmetic.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapwood.cli.errors import CommandError
from sapwood.cli.model_options import add_model, load_llm, user_errors, waiting

if TYPE_CHECKING:
    from sapwood.engine.llm import LLM
    from sapwood.models.config import ModelConfig

HELP = "measure prefill and decode against this machine's limits"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("--shape", metavar="NAME", help="instead of a model, random weights: llama-1b, llama-100m, ...")
    parser.add_argument("--prompt-tokens", type=int, default=512, metavar="N", help="length of the prompt; default 512")
    parser.add_argument("--tokens", type=int, default=64, metavar="N", help="tokens to decode; default 64")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs, of which the best counts; default 3")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    for name in ("prompt_tokens", "tokens", "repeat"):
        if getattr(options, name) < (2 if name == "tokens" else 1):
            raise CommandError(f"--{name.replace('_', '-')} is {getattr(options, name)}; allowed: at least 1, tokens 2")
    if options.shape is not None:
        if options.model is not None:
            raise CommandError("give a model or --shape, not both")
        options.model = str(random_model(options.shape))
    start = time.perf_counter()
    llm = load_llm(options, max_num_seqs=8)
    report = measure(llm, options, time.perf_counter() - start)
    print(json.dumps(report, indent=2) if options.json else describe(report))
    return 0


def random_model(shape: str) -> Path:
    """The directory of a checkpoint with random weights, written the first time it is asked for."""
    from sapwood import config
    from sapwood.models.random_checkpoint import SHAPES, write_checkpoint

    if shape not in SHAPES:
        raise CommandError(f"--shape is {shape!r}; allowed: {', '.join(SHAPES)}")
    base = config.cache_directory()
    if base is None:
        raise CommandError("there is no place for the weights; set SAPWOOD_CACHE_DIR")
    directory = Path(base) / "random-models" / shape
    if not directory.is_dir():
        with waiting(f"writing random weights to {directory}"):
            try:
                write_checkpoint(directory, SHAPES[shape])
            except OSError as error:
                raise CommandError(f"{directory}: the weights cannot be written: {error}") from None
    return directory


def measure(llm: LLM, options: argparse.Namespace, load_seconds: float) -> dict[str, Any]:
    """Everything that is reported; seconds, tokens, bytes, and floating-point operations."""
    from sapwood import __version__, num_threads
    from sapwood.kernels.machine_limits import measure_bandwidth, measure_multiply
    from sapwood.lang.loading.current_target import current_target

    config, dtype = llm.config, llm.dtype
    room = llm.engine.max_model_len - options.tokens
    if options.prompt_tokens > room:
        raise CommandError(
            f"--prompt-tokens is {options.prompt_tokens}; allowed: at most {room}, what the context leaves"
        )
    size = weight_bytes(config, dtype)
    with waiting("measuring the machine"):
        bandwidth = measure_bandwidth(min(size, 1 << 30))
        flops, instruction = measure_multiply(num_threads(), dtype)
    runs = []
    rng = random.Random(0)
    with waiting("measuring the model"):
        for _ in range(options.repeat):
            prompt = [rng.randrange(config.vocab_size) for _ in range(options.prompt_tokens)]
            runs.append(_run_once(llm, prompt, options.tokens))
    with waiting("measuring the machine"):  # again: another process may have been busy the first time
        bandwidth = max(bandwidth, measure_bandwidth(min(size, 1 << 30)))
        flops = max(flops, measure_multiply(num_threads(), dtype)[0])
    first = min(r[0] for r in runs)
    rate = max(r[1] for r in runs)
    per_token = size + kv_bytes(config, dtype, options.prompt_tokens + options.tokens // 2)
    work = prefill_operations(config, options.prompt_tokens)
    return {
        "model": options.shape or options.model or "demo",
        "dtype": dtype,
        "weight_bytes": size,
        "version": __version__,
        "target": current_target().key,
        "threads": num_threads(),
        "limits": {
            "read_bytes_per_s": bandwidth,
            "read_over_bytes": min(size, 1 << 30),
            "operations_per_s": flops,
            "operations": instruction,
        },
        "load_s": load_seconds,
        "prefill": {
            "tokens": options.prompt_tokens,
            "time_to_first_token_s": first,
            "tokens_per_s": options.prompt_tokens / first,
            "share_of_operations": work / first / flops,
        },
        "decode": {
            "tokens": options.tokens,
            "tokens_per_s": rate,
            "share_of_bandwidth": per_token * rate / bandwidth,
        },
    }


def _run_once(llm: LLM, prompt: list[int], tokens: int) -> tuple[float, float]:
    """Seconds to the first token, and tokens in a second after it."""
    from sapwood.engine.sampling_params import SamplingParams

    params = SamplingParams(temperature=0.0, max_tokens=tokens, ignore_eos=True)
    times = [time.perf_counter()]
    with user_errors():
        stream = llm.stream({"prompt_token_ids": prompt}, params)
    times += [time.perf_counter() for _ in stream]
    return times[1] - times[0], (len(times) - 2) / (times[-1] - times[1])


def multiplied_weights(config: ModelConfig) -> tuple[int, int]:
    """Elements of the matrices of all layers, and of the output head."""
    width, d = config.hidden_size, config.head_dim
    attention = width * d * (2 * config.num_attention_heads + 2 * config.num_key_value_heads)
    layer = attention + 3 * width * config.intermediate_size
    return config.num_hidden_layers * layer, config.vocab_size * width


def weight_bytes(config: ModelConfig, dtype: str) -> int:
    """Bytes of weights that a token reads: all but the table of embeddings, of which it reads one row."""
    return sum(multiplied_weights(config)) * (4 if dtype == "f32" else 2)


def kv_bytes(config: ModelConfig, dtype: str, context: int) -> int:
    """Bytes of keys and values that a token at this place reads."""
    heads = 2 * config.num_hidden_layers * config.num_key_value_heads
    return heads * config.head_dim * context * (4 if dtype == "f32" else 2)


def prefill_operations(config: ModelConfig, tokens: int) -> int:
    """Multiplications and additions for a prompt: layers for every token, the head for the last one, attention."""
    layers, head = multiplied_weights(config)
    attention = 4 * config.num_hidden_layers * config.num_attention_heads * config.head_dim
    return 2 * layers * tokens + 2 * head + attention * tokens * (tokens + 1) // 2


def describe(report: dict[str, Any]) -> str:
    limits, prefill, decode = report["limits"], report["prefill"], report["decode"]
    read, over = _size(limits["read_bytes_per_s"]), _size(limits["read_over_bytes"])
    flops = f"{limits['operations_per_s'] / 1e9:.0f} GFLOP/s of {limits['operations']}"
    seconds, work = prefill["time_to_first_token_s"], 100 * prefill["share_of_operations"]
    lines = {
        "model": f"{report['model']}, {report['dtype']}, {_size(report['weight_bytes'])} of weights",
        "machine": f"{report['threads']} threads; reads {read}/s over {over}; {flops}",
        "load": f"{report['load_s']:.2f} s",
        "prefill": f"{prefill['tokens']} tokens in {seconds:.3f} s: {prefill['tokens_per_s']:.0f} tokens/s, "
        f"{work:.0f}% of the operations limit",
        "decode": f"{decode['tokens_per_s']:.1f} tokens/s, {100 * decode['share_of_bandwidth']:.0f}% of the read limit",
    }
    return "\n".join(f"{name:<8} {text}" for name, text in lines.items())


def _size(n: float) -> str:
    return f"{n / 1e9:.2f} GB" if n >= 1e9 else f"{n / 1e6:.1f} MB"
