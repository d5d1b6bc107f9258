"""A language model against PyTorch (eager, bf16) on the same weights, one after the other, several times.

    python benchmarks/decoder.py [--shape llama-1b] [--rounds 3] [--prompt 512] [--tokens 32] [--streams 8] [--json]

Each measurement is a process of its own with two threads (SAPWOOD_NUM_THREADS, or all). Figures are medians over
the rounds; ratios are of neighbours in time. Needs torch and transformers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FIGURES = ("prefill_tokens_per_s", "decode_tokens_per_s", "streams_tokens_per_s", "start_to_first_token_s", "peak_mb")


def peak_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def sapwood(model: str, o: argparse.Namespace, started: float) -> dict[str, float]:
    from sapwood import LLM, SamplingParams

    # Without the prefix cache: the prompts begin alike, and PyTorch computes them whole, too.
    llm = LLM(
        model, max_num_batched_tokens=max(o.prompt, 256), max_num_seqs=o.streams, enable_prefix_caching=False
    )
    prompt = list(range(3, 3 + o.prompt))

    def params(n: int) -> Any:
        return SamplingParams(temperature=0.0, max_tokens=n, ignore_eos=True)

    llm.generate({"prompt_token_ids": prompt[:128]}, params(1))
    first = time.time() - started
    best = 0.0
    for _ in range(2):
        t = time.perf_counter()
        llm.generate({"prompt_token_ids": prompt}, params(1))
        best = max(best, o.prompt / (time.perf_counter() - t))
    times = []
    for _ in llm.stream({"prompt_token_ids": prompt[:128]}, params(o.tokens + 1)):
        times.append(time.perf_counter())
    decode = o.tokens / (times[-1] - times[0])
    prompts = [{"prompt_token_ids": [(i * 7 + k) % 1000 + 3 for i in range(32)]} for k in range(o.streams)]
    llm.generate(prompts, params(1))
    t = time.perf_counter()
    llm.generate(prompts, params(1))
    one = time.perf_counter() - t
    t = time.perf_counter()
    llm.generate(prompts, params(o.tokens + 1))
    streams = o.streams * o.tokens / (time.perf_counter() - t - one)
    return dict(zip(FIGURES, (best, decode, streams, first, peak_mb()), strict=True))


def torch_eager(model: str, o: argparse.Namespace, started: float) -> dict[str, float]:
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.set_grad_enabled(False)
    net = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16).eval()

    def run(rows: list[list[int]], tokens: int) -> list[float]:
        """Time stamps after each step of a batch of equal prompts, greedily continued."""
        ids = torch.tensor(rows)
        past, times = None, []
        for _ in range(tokens):
            out = net(ids, past_key_values=past, use_cache=True, logits_to_keep=1)
            past = out.past_key_values
            ids = out.logits[:, -1:].argmax(-1)
            times.append(time.perf_counter())
        return times

    prompt = list(range(3, 3 + o.prompt))
    run([prompt[:128]], 1)
    first = time.time() - started
    best = 0.0
    for _ in range(2):
        t = time.perf_counter()
        best = max(best, o.prompt / (run([prompt], 1)[0] - t))
    times = run([prompt[:128]], o.tokens + 1)
    decode = o.tokens / (times[-1] - times[0])
    rows = [[(i * 7 + k) % 1000 + 3 for i in range(32)] for k in range(o.streams)]
    times = run(rows, o.tokens + 1)
    streams = o.streams * o.tokens / (times[-1] - times[0])
    return dict(zip(FIGURES, (best, decode, streams, first, peak_mb()), strict=True))


RUNNERS = {"sapwood": sapwood, "torch": torch_eager}


def measure(name: str, model: str, o: argparse.Namespace) -> dict[str, float]:
    arguments = [f"--{k}={getattr(o, k)}" for k in ("shape", "prompt", "tokens", "streams")]
    command = [sys.executable, __file__, "--run", name, "--model", model, *arguments]
    done = subprocess.run(
        [*command, "--started", str(time.time())], capture_output=True, text=True, check=False, env=os.environ
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def limits() -> dict[str, float]:
    """Read bandwidth and peak of this machine, now."""
    from sapwood import num_threads
    from sapwood.kernels.machine_limits import measure_bandwidth, measure_multiply

    return {
        "read_bytes_per_s": measure_bandwidth(1 << 30),
        "f32_operations_per_s": measure_multiply(num_threads())[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="llama-1b")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--run", choices=RUNNERS, help=argparse.SUPPRESS)
    parser.add_argument("--model", default="", help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, default=0.0, help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.run:
        print(json.dumps(RUNNERS[o.run](o.model, o, o.started)))
        return
    from sapwood.cli.bench_engine import random_model, weight_bytes
    from sapwood.models.registry import load_model_config

    directory = random_model(o.shape)
    size = weight_bytes(load_model_config(directory), "bf16")
    measure("sapwood", str(directory), o)  # fills the compile cache and the page cache
    found: dict[str, list[dict[str, float]]] = {"sapwood": [], "torch": [], "limits": []}
    for i in range(o.rounds):
        print(f"round {i + 1} of {o.rounds}", file=sys.stderr)
        found["limits"].append(limits())
        for name in RUNNERS:
            found[name].append(measure(name, str(directory), o))
    if o.json:
        print(json.dumps({"machine": platform.processor(), "shape": o.shape, "weight_bytes": size, **found}, indent=2))
        return
    print(f"{o.shape}, bf16, {size / 1e9:.2f} GB of weights; median of {o.rounds} rounds")
    for figure in FIGURES:
        ours, theirs = ([r[figure] for r in found[n]] for n in RUNNERS)
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        a, b = statistics.median(ours), statistics.median(theirs)
        print(f"{figure:<24} sapwood {a:>9.2f}  torch {b:>9.2f}  x{ratio:.2f}")
    read = statistics.median(limit["read_bytes_per_s"] for limit in found["limits"])
    share = statistics.median(
        r["decode_tokens_per_s"] * size / limit["read_bytes_per_s"]
        for r, limit in zip(found["sapwood"], found["limits"], strict=True)
    )
    print(f"read limit {read / 1e9:.1f} GB/s; decode is {100 * share:.0f}% of it")


if __name__ == "__main__":
    main()
