"""Measure single steps of the engine, as `sapwood cluster simulate --samples` takes them: JSON lines of tokens, context
tokens and seconds.

Batches of 1 to --batch texts with short, middle and long prompts are generated, so that steps of all sizes come.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sapwood.cli.errors import CommandError
from sapwood.cli.model_options import add_model, load_llm, user_errors, waiting

if TYPE_CHECKING:
    from sapwood.engine.llm import LLM, Prompt
    from sapwood.engine.model_runner import ModelRunner, StepBatch, StepOutput

HELP = "measure steps, to calibrate the simulator"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("--batch", type=int, default=16, metavar="N", help="most texts at once; default 16")
    parser.add_argument("--prompt-tokens", type=int, default=512, metavar="N", help="longest prompt; default 512")
    parser.add_argument("--tokens", type=int, default=16, metavar="N", help="tokens to decode; default 16")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write them; default: print")


def run(options: argparse.Namespace) -> int:
    for name in ("batch", "prompt_tokens", "tokens"):
        if getattr(options, name) < 1:
            raise CommandError(f"--{name.replace('_', '-')} is {getattr(options, name)}; allowed: at least 1")
    llm = load_llm(options, max_num_seqs=options.batch, enable_prefix_caching=False)
    room = llm.engine.max_model_len - options.tokens
    if options.prompt_tokens > room:
        raise CommandError(f"--prompt-tokens is {options.prompt_tokens}; allowed: at most {room}")
    with waiting("measuring steps"):
        lines = "".join(json.dumps(sample) + "\n" for sample in measure(llm, options))
    if options.out is None:
        print(lines, end="")
        return 0
    try:
        options.out.write_text(lines, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{options.out}: {error.strerror or error}") from None
    return 0


def measure(llm: LLM, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Samples of all steps but those of the first batch, which warms up."""
    from sapwood.engine.sampling_params import SamplingParams

    core = llm.engine.core
    timed = _TimedRunner(core.runner)
    core.runner = cast("ModelRunner", timed)
    rng = random.Random(0)
    params = SamplingParams(temperature=0.0, max_tokens=options.tokens, ignore_eos=True)
    sizes = [1, *sorted({*(2**i for i in range(options.batch.bit_length())), options.batch})]
    with user_errors():
        for number, size in enumerate(sizes):
            for length in sorted({max(options.prompt_tokens // n, 1) for n in (1, 4, 16)}):
                prompts: list[Prompt] = [
                    {"prompt_token_ids": [rng.randrange(llm.config.vocab_size) for _ in range(length)]}
                    for _ in range(size)
                ]
                llm.generate(prompts, params, use_tqdm=False)
            if not number:
                timed.samples.clear()
    return timed.samples


class _TimedRunner:
    """A runner that notes of each step what it computed and how long that took."""

    def __init__(self, runner: ModelRunner) -> None:
        self._runner = runner
        self.samples: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def execute(self, batch: StepBatch) -> StepOutput:
        began = time.perf_counter()
        output = self._runner.execute(batch)
        seconds = time.perf_counter() - began
        context = sum(s.start + len(s.token_ids) for s in batch.slices)
        self.samples.append({"tokens": batch.num_tokens, "context": context, "seconds": seconds})
        return output
