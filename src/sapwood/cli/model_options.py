"""Options that the commands with a model share, and how they become an `LLM` and `SamplingParams`."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sapwood.cli.errors import CommandError

if TYPE_CHECKING:
    from sapwood.engine.llm import LLM
    from sapwood.engine.sampling_params import SamplingParams

DEFAULT_MAX_TOKENS = 256


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", nargs="?", help="a directory in Hugging Face's layout or a repository id; default: the demo model"
    )
    parser.add_argument("--revision", help="branch, tag or commit of a repository")
    parser.add_argument("--dtype", default="auto", help="auto (the checkpoint's), float32, bfloat16 or float16")
    parser.add_argument("--max-model-len", type=int, metavar="N", help="context in tokens; default: the model's")
    parser.add_argument("--threads", type=int, metavar="N", help="threads that compute; default: all of ours")


def add_sampling(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sampling", "what is not given comes from the model's generation_config.json")
    group.add_argument("--temperature", type=float, metavar="T", help="0 always takes the most likely token")
    group.add_argument("--top-k", type=int, metavar="K", help="sample from the K most likely tokens; 0: from all")
    group.add_argument("--top-p", type=float, metavar="P", help="sample from the most likely tokens of total P")
    group.add_argument("--seed", type=int, help="the same seed gives the same text")
    group.add_argument(
        "--max-tokens", type=int, metavar="N", help=f"the most tokens to generate; default: {DEFAULT_MAX_TOKENS}"
    )
    group.add_argument("--stop", action="append", metavar="TEXT", help="end at this text; may be repeated")


def load_llm(options: argparse.Namespace, **changes: Any) -> LLM:
    """The model that the options name. Raises CommandError for one that cannot be used."""
    from sapwood.lang.loading.runtime_support import set_num_threads
    from sapwood.targets.errors import UnsupportedPlatform

    if options.threads is not None:
        if not 1 <= options.threads <= 1024:
            raise CommandError(f"--threads is {options.threads}; allowed: 1 to 1024")
        os.environ["SAPWOOD_NUM_THREADS"] = str(options.threads)  # read when the pool starts
    from sapwood.engine.llm import LLM
    from sapwood.models.hub import demo_model

    model = options.model or demo_model()
    settings = {"dtype": options.dtype, "max_model_len": options.max_model_len, "revision": options.revision}
    with waiting(f"loading {options.model or 'the demo model'}"), user_errors():
        try:
            llm = LLM(model, **settings | changes)
            if options.threads is not None:
                set_num_threads(options.threads)
        except UnsupportedPlatform as error:
            raise CommandError(str(error)) from None
    return llm


def sampling_params(llm: LLM, options: argparse.Namespace) -> SamplingParams:
    """The model's defaults with the options over them. Raises CommandError."""
    with user_errors():
        params = llm.get_default_sampling_params()
        names = ("temperature", "top_k", "top_p", "seed", "stop", "max_tokens")
        given = {n: getattr(options, n) for n in names if getattr(options, n) is not None}
        return dataclasses.replace(params, **{"max_tokens": DEFAULT_MAX_TOKENS} | given)


@contextmanager
def user_errors() -> Iterator[None]:
    """Inside, a ValueError is about what the user gave, and says so in one line."""
    try:
        yield
    except ValueError as error:
        raise CommandError(str(error)) from None


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say on stderr what is going on, if it is a terminal; the line goes away at the end."""
    if not sys.stderr.isatty():
        yield
        return
    import threading

    done = threading.Event()
    start = time.monotonic()

    def show() -> None:
        while not done.wait(0.2):
            seconds = time.monotonic() - start
            print(f"\r{what} ... {seconds:.0f} s", end="", file=sys.stderr, flush=True)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Text of a model for a terminal: control characters, which could do anything there, become visible."""
    if not sys.stdout.isatty():
        return text
    return "".join(c if c in "\n\t" or c.isprintable() or c == " " else "\N{REPLACEMENT CHARACTER}" for c in text)
