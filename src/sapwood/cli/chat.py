"""Talk to a model. Ctrl-C stops an answer, Ctrl-D leaves, /reset begins anew."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from sapwood.cli.errors import CommandError
from sapwood.cli.model_options import add_model, add_sampling, load_llm, printable, sampling_params, user_errors

if TYPE_CHECKING:
    from sapwood.engine.llm import LLM, TokensPrompt
    from sapwood.engine.sampling_params import SamplingParams

HELP = "talk to a model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("--system", metavar="TEXT", help="the system message")
    add_sampling(parser)


def run(options: argparse.Namespace) -> int:
    llm = load_llm(options)
    params = sampling_params(llm, options)
    if llm.chat_template is None:
        raise CommandError(f"{llm.directory}: the model has no chat template; use sapwood generate")
    if sys.stdin.isatty():
        import readline  # noqa: F401  # editing and history for input()

        print(__doc__, file=sys.stderr)
    begin = [{"role": "system", "content": options.system}] if options.system else []
    messages = list(begin)
    while True:
        try:
            line = input("> " if sys.stdin.isatty() else "").strip()
        except EOFError:
            return 0
        except KeyboardInterrupt:
            print("\n(Ctrl-D leaves)", file=sys.stderr)
            continue
        if not line:
            continue
        if line == "/reset":
            messages = list(begin)
            continue
        messages.append({"role": "user", "content": line})
        try:
            answer = _answer(llm, messages, params)
        except CommandError as error:
            messages.pop()
            print(f"{error}\n(/reset begins a new conversation)", file=sys.stderr)
            continue
        messages.append({"role": "assistant", "content": answer})


def _answer(llm: LLM, messages: list[dict[str, str]], params: SamplingParams) -> str:
    """Print the answer as it comes; what came before Ctrl-C, if that was pressed."""
    text = ""
    with user_errors():
        prompt: TokensPrompt = {"prompt_token_ids": llm.apply_chat_template(messages)}
        stream = llm.stream(prompt, params)
    try:
        for output in stream:
            new = output.outputs[0].text
            print(printable(new[len(text) :]), end="", flush=True)
            text = new
    except KeyboardInterrupt:
        print(" ...", end="")
    finally:
        stream.close()  # frees what the answer held, wherever Ctrl-C fell
    print(flush=True)
    return text
