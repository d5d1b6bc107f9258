"""Continue a prompt. The text appears as it is generated."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time

from sapwood.cli.errors import CommandError
from sapwood.cli.model_options import (
    add_model,
    add_sampling,
    load_llm,
    printable,
    sampling_params,
    user_errors,
    waiting,
)

HELP = "continue a prompt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("-p", "--prompt", required=True, help="the text to continue; - reads standard input")
    add_sampling(parser)
    parser.add_argument("--echo", action="store_true", help="print the prompt before its continuation")
    parser.add_argument("--stats", action="store_true", help="print speed on standard error at the end")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end instead of text")


def run(options: argparse.Namespace) -> int:
    prompt = _prompt(options.prompt)
    llm = load_llm(options)
    params = sampling_params(llm, options)
    start = time.perf_counter()
    first = last = 0.0
    shown = 0
    with user_errors():
        stream = llm.stream(prompt, params)
    with waiting("compiling for this machine"):  # the first time only; later it comes from the cache
        started = next(stream)
    if options.echo and not options.json:
        print(printable(prompt), end="", flush=True)
    for output in itertools.chain((started,), stream):
        last = time.perf_counter()
        first = first or last
        text = output.outputs[0].text
        if not options.json and len(text) > shown:
            print(printable(text[shown:]), end="", flush=True)
            shown = len(text)
    result = output.outputs[0]
    count = len(result.token_ids)
    timing = {
        "time_to_first_token_s": first - start,
        "decode_tokens_per_s": (count - 1) / (last - first) if count > 1 and last > first else None,
    }
    if options.json:
        print(
            json.dumps(
                {
                    "model": str(llm.directory),
                    "prompt": prompt,
                    "text": result.text,
                    "token_ids": result.token_ids,
                    "finish_reason": result.finish_reason,
                    "stop_reason": result.stop_reason,
                    "prompt_tokens": len(output.prompt_token_ids),
                    "completion_tokens": count,
                    **timing,
                }
            )
        )
        return 0
    print(flush=True)
    if options.stats:
        rate = timing["decode_tokens_per_s"]
        print(
            f"[{len(output.prompt_token_ids)} tokens of prompt, {count} generated, ended by {result.finish_reason}; "
            f"first token after {1000 * (first - start):.0f} ms" + (f", then {rate:.0f} tokens/s]" if rate else "]"),
            file=sys.stderr,
        )
    return 0


def _prompt(text: str) -> str:
    if text != "-":
        return text
    if sys.stdin is None:
        raise CommandError("--prompt - reads standard input, which is closed")
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise CommandError(f"standard input is not text: {error}") from None
