"""Measure a server of the OpenAI API under load: time to first token, between tokens, end to end, throughput, goodput.

A closed loop (--concurrency) keeps that many requests under way. An open loop (--request-rate) sends requests at
their times, whatever became of earlier ones: what a server meets in the world, and the only one that shows overload.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapwood.cli.errors import CommandError

if TYPE_CHECKING:
    from sapwood.loadgen.bench import LoadOptions, Progress
    from sapwood.loadgen.vocabulary import Tokenize

HELP = "measure a server of the OpenAI API under load"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", help="http://HOST:PORT of vLLM, SGLang, llama.cpp's server, Sapwood, ...")
    parser.add_argument("--model", help="name to ask for; default: the first of /v1/models")
    parser.add_argument("--endpoint", choices=("completions", "chat"), default="completions")
    parser.add_argument("--api-key", default=None, metavar="KEY", help="default: the environment's OPENAI_API_KEY")
    parser.add_argument("--header", action="append", default=[], metavar="NAME: VALUE", help="may be repeated")
    parser.add_argument("--insecure", action="store_true", help="do not verify the server's certificate")
    parser.add_argument("--timeout", type=float, default=600.0, metavar="S", help="for a whole request; default 600")
    load = parser.add_argument_group("load")
    loop = load.add_mutually_exclusive_group()
    loop.add_argument("--concurrency", type=int, metavar="N", help="closed loop of N clients; the default, with 1")
    loop.add_argument("--request-rate", type=float, metavar="R", help="open loop, R requests a second")
    loop.add_argument("--sweep", metavar="KIND:A,B,...", help="several runs: rate:1,2,4 or concurrency:1,8,32")
    load.add_argument(
        "--burstiness", type=float, default=1.0, metavar="B",
        help="shape of the gaps of an open loop: 1 Poisson, less is burstier, inf constant; default 1",
    )  # fmt: skip
    load.add_argument("--num-prompts", type=int, metavar="N", help="conversations of a run; default 100")
    load.add_argument("--duration", type=float, metavar="S", help="begin nothing new after S seconds")
    load.add_argument("--warmups", type=int, default=1, metavar="N", help="requests that do not count; default 1")
    load.add_argument("--seed", type=int, default=0, help="of prompts and arrivals; default 0")
    what = parser.add_argument_group("prompts")
    what.add_argument("--input-len", type=int, default=128, metavar="N", help="tokens of a random prompt; default 128")
    what.add_argument("--output-len", type=int, default=64, metavar="N", help="tokens to generate; default 64")
    what.add_argument("--range-ratio", type=float, default=0.0, metavar="R", help="spread of both, 0 to 1; default 0")
    what.add_argument("--prefix-len", type=int, default=0, metavar="N", help="tokens of a shared prefix in front")
    what.add_argument("--num-prefixes", type=int, default=1, metavar="N", help="how many different ones; default 1")
    what.add_argument("--turns", type=int, default=1, metavar="N", help="requests of a conversation; default 1")
    what.add_argument("--think-time", type=float, default=0.0, metavar="S", help="between two turns; default 0")
    what.add_argument("--prompts", type=Path, metavar="FILE", help="JSONL with prompt or messages in each line")
    what.add_argument("--tokenizer", metavar="DIR", help="has tokenizer.json; default: the server's /tokenize")
    what.add_argument("--prompt-ids", action="store_true", help="send token ids, not text (completions only)")
    what.add_argument("--temperature", type=float, default=0.0, metavar="T", help="default 0; -1 sends none")
    what.add_argument("--stop-at-eos", action="store_true", help="let the model end early; default: ignore_eos is sent")
    what.add_argument("--extra-body", metavar="JSON", help="an object of further fields of every request")
    out = parser.add_argument_group("results")
    out.add_argument(
        "--goodput", nargs="+", default=[], metavar="NAME:MS",
        help="limits that a good request keeps: ttft, tpot, e2el, such as ttft:500 tpot:50",
    )  # fmt: skip
    out.add_argument("--json", type=Path, metavar="FILE", help="write all figures; - for stdout instead of the table")
    out.add_argument("--details", action="store_true", help="with --json, every request too")
    out.add_argument("--picture", type=Path, metavar="FILE.svg", help="draw distributions and timeline, or the sweep")
    out.add_argument("--quiet", action="store_true", help="no progress on stderr")


def run(options: argparse.Namespace) -> int:
    from sapwood.loadgen.bench import sweep
    from sapwood.loadgen.openai_api import ServerError
    from sapwood.loadgen.vocabulary import VocabularyError
    from sapwood.loadgen.workload import WorkloadError

    load = load_options(options)
    if options.sweep is not None:
        kind, values = parse_sweep(options.sweep)
    elif load.request_rate is not None:
        kind, values = "rate", [load.request_rate]
    else:
        kind, values = "concurrency", [float(load.concurrency or 1)]
    for path in (options.json, options.picture):
        if path is not None and str(path) != "-" and not path.parent.is_dir():
            raise CommandError(f"{path}: there is no directory {path.parent}")
    if options.picture is not None and options.picture.suffix.lower() != ".svg":
        raise CommandError(f"--picture is {str(options.picture)!r}; allowed: a name that ends with .svg")
    _raise_file_limit()
    try:
        bench, runs = asyncio.run(sweep(load, kind, values, None if options.quiet else _progress()))
    except (ServerError, VocabularyError, WorkloadError) as error:
        raise CommandError(str(error)) from None
    finally:
        if not options.quiet and sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    _write(options, bench, runs)
    if bench.interrupted:
        return 130
    return 0 if any(m.summary["completed"] for m in runs) else 1


def _raise_file_limit() -> None:
    """As many connections as this process may have at all: a client needs one each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))


def _write(options: argparse.Namespace, bench: Any, runs: list[Any]) -> None:
    from sapwood.loadgen import picture, report

    data = None if options.json is None else json.dumps(report.as_json(bench, runs, options.details), indent=1)
    if str(options.json) == "-":
        print(data)
    else:
        print(report.table(bench, runs[0]) if options.sweep is None else report.sweep_table(bench, runs))
    try:
        if options.json is not None and data is not None and str(options.json) != "-":
            options.json.write_text(data + "\n", encoding="utf-8")
        if options.picture is not None:
            svg = picture.run_picture(bench, runs[0]) if options.sweep is None else picture.sweep_picture(bench, runs)
            options.picture.write_text(svg, encoding="utf-8")
    except OSError as error:
        raise CommandError(str(error)) from None


def load_options(options: argparse.Namespace) -> LoadOptions:
    """Checked. Raises CommandError naming option, value and limit."""
    from sapwood.loadgen.bench import LoadOptions
    from sapwood.loadgen.http import HttpClient
    from sapwood.loadgen.workload import RandomSpec

    o = options
    for name, low, high in (
        ("concurrency", 1, 100_000), ("request_rate", 1e-6, 1e6), ("burstiness", 1e-3, float("inf")),
        ("num_prompts", 1, 10**8), ("duration", 1e-3, 1e7), ("warmups", 0, 10**6), ("input_len", 1, 10**7),
        ("output_len", 1, 10**7), ("range_ratio", 0, 1), ("prefix_len", 0, 10**7), ("num_prefixes", 1, 10**6),
        ("turns", 1, 10**4), ("think_time", 0, 1e6), ("timeout", 1e-3, 1e7), ("temperature", -1, 1e3),
    ):  # fmt: skip
        value = getattr(o, name)
        if value is not None and not low <= value <= high:
            raise CommandError(f"--{name.replace('_', '-')} is {value}; allowed: {low:g} to {high:g}")
    if o.prompt_ids and (o.endpoint == "chat" or o.turns > 1 or o.prompts):
        raise CommandError("--prompt-ids goes with single random prompts of --endpoint completions only")
    if o.prompts and (o.turns > 1 or o.prefix_len):
        raise CommandError("--turns and --prefix-len are for random prompts; --prompts has its own")
    try:
        extra = json.loads(o.extra_body) if o.extra_body else {}
    except (ValueError, RecursionError):
        extra = None
    if not isinstance(extra, dict):
        raise CommandError(f"--extra-body is {o.extra_body[:80]!r}; allowed: a JSON object")
    headers = {}
    for line in o.header:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise CommandError(f"--header is {line!r}; allowed: NAME: VALUE")
        headers[name.strip()] = value.strip()
    load = LoadOptions(
        url=o.url, model=o.model, chat=o.endpoint == "chat", headers=headers, verify=not o.insecure,
        api_key=o.api_key if o.api_key is not None else os.environ.get("OPENAI_API_KEY"),
        concurrency=o.concurrency, request_rate=o.request_rate, burstiness=o.burstiness,
        num_prompts=o.num_prompts, duration=o.duration, prompts=o.prompts, think_time=o.think_time, seed=o.seed,
        random=RandomSpec(
            o.input_len, o.output_len, o.prefix_len, o.num_prefixes, o.range_ratio, o.turns, o.prompt_ids
        ),
        warmups=o.warmups, temperature=None if o.temperature < 0 else o.temperature, ignore_eos=not o.stop_at_eos,
        extra_body=extra, timeout=o.timeout, goodput=parse_goodput(o.goodput),
        tokenizer=_local_tokenizer(o.tokenizer) if o.tokenizer else None,
    )  # fmt: skip
    try:
        HttpClient(load.url, headers=headers)
    except ValueError as error:
        raise CommandError(str(error)) from None
    return load


def parse_goodput(items: list[str]) -> dict[str, float]:
    from sapwood.loadgen.metrics import GOODPUT_METRICS

    limits: dict[str, float] = {}
    for item in items:
        name, _, text = item.partition(":")
        value = _number(text)
        if name not in GOODPUT_METRICS or value is None or value <= 0:
            raise CommandError(f"--goodput is {item!r}; allowed: NAME:MS with {', '.join(GOODPUT_METRICS)}")
        limits[name] = value
    return limits


def parse_sweep(text: str) -> tuple[str, list[float]]:
    kind, _, items = text.partition(":")
    values = [_number(item) for item in items.split(",")]
    whole = kind != "concurrency" or all(v is not None and v == int(v) for v in values)
    numbers = [v for v in values if v is not None and 0 < v <= 1e6]
    if kind not in ("rate", "concurrency") or len(numbers) < len(values) or not whole:
        raise CommandError(f"--sweep is {text!r}; allowed: rate:1,2,4 or concurrency:1,8,32")
    return kind, numbers


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _local_tokenizer(directory: str) -> Tokenize:
    from sapwood.engine.tokenizer import Tokenizer

    try:
        tokenizer = Tokenizer.from_directory(directory)
    except ValueError as error:
        raise CommandError(str(error)) from None

    async def tokenize(text: str) -> list[int]:
        return tokenizer.encode(text)

    return tokenize


def _progress() -> Any:
    """Tells on stderr what goes on: in place on a terminal, else a line every ten seconds."""
    terminal = sys.stderr.isatty()
    told = [0.0]

    def watch(progress: Progress) -> None:
        run = progress.run
        now = run.clock.now()
        if not terminal and not progress.done:
            told[0] = min(told[0], now)  # the clock starts again with every run of a sweep
            if now - told[0] < 10:
                return
            told[0] = now
        ended = len(run.records) - run.active
        failed = sum(1 for r in run.records if r.error is not None)
        tokens = sum(len(r.token_times) for r in run.records)
        of = f" of {progress.total}" if progress.total else ""
        text = f"{now:.0f} s: {ended}{of} requests, {run.active} under way, {failed} failed, {tokens} chunks"
        print(f"\r{text}\x1b[K" if terminal else text, end="" if terminal else "\n", file=sys.stderr, flush=True)

    return watch
