"""Simulate a cluster in virtual time: the real router, scheduler and block manager, over a model of a step's time.

Conversations are made up (--requests, --rate and what follows them), or recorded: a trace of Mooncake's form (--trace).
A pool is NAME=COUNT or NAME=COUNT*SPEED, a device so many times as fast as --timing says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sapwood.cli.errors import CommandError

if TYPE_CHECKING:
    from sapwood.cluster.simulator.engine import ReplicaSpec
    from sapwood.cluster.simulator.run import Result
    from sapwood.cluster.simulator.timing import TimingModel
    from sapwood.cluster.simulator.traces import Trace

HELP = "simulate a cluster, and compare ways to route"

DEFAULT_TIMING = "0.008,6e-5,3e-8"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--replicas", type=int, default=16, metavar="N", help="replicas of one pool; default 16")
    add("--pool", action="append", default=[], metavar="NAME=COUNT[*SPEED]", help="a pool of replicas, instead; repeat")
    add("--policy", action="append", default=[], metavar="NAME", help="one to compare, repeat; default: all")
    add("--timing", default=DEFAULT_TIMING, metavar="A,B,C",
        help=f"seconds of a step: A + B * tokens + C * context tokens; default {DEFAULT_TIMING}")  # fmt: skip
    add("--samples", type=Path, metavar="FILE",
        help='calibrate the timing: JSON lines of {"tokens": n, "context": n, "seconds": s}')  # fmt: skip
    add("--block-size", type=int, default=64, metavar="N", help="tokens of a KV block; default 64")
    add("--blocks", type=int, default=2048, metavar="N", help="KV blocks of a replica; default 2048")
    add("--max-num-seqs", type=int, default=128, metavar="N", help="sequences that run at once; default 128")
    add("--trace", type=Path, metavar="FILE", help="a recorded trace, JSON lines of Mooncake's form")
    add("--speed", type=float, default=1.0, metavar="X", help="replay the trace so many times as fast; default 1")
    add("--requests", type=int, metavar="N", help="requests; default 1000 a replica, or all of the trace")
    add("--rate", type=float, metavar="R", help="conversations that begin per second; default 1 a replica")
    add("--burstiness", type=float, default=1.0, metavar="B", help="1 is Poisson, less is burstier; default 1")
    add("--turns", type=float, default=4.0, metavar="N", help="turns of a conversation, mean; default 4")
    add("--think", type=float, default=10.0, metavar="S", help="seconds between turns, mean; default 10")
    add("--system-prompts", type=int, default=50, metavar="N", help="shared beginnings; default 50")
    add("--system-tokens", type=int, default=512, metavar="N", help="tokens of each; default 512")
    add("--seed", type=int, default=0, metavar="N", help="of everything that is drawn; default 0")
    add("--no-kv-events", action="store_true", help="engines do not tell of their caches; the router predicts")
    add("--svg", type=Path, metavar="FILE", help="draw it")
    add("--json", action="store_true", help="print one JSON object a policy")


def run(options: argparse.Namespace) -> int:
    from sapwood.cluster.simulator.policies import POLICIES
    from sapwood.cluster.simulator.report import picture, summary, table

    names = options.policy or list(POLICIES)
    for name in names:
        if name not in POLICIES:
            raise CommandError(f"--policy is {name!r}; allowed: {', '.join(POLICIES)}")
    try:
        replicas = _replicas(options)
        trace = _trace(options, len(replicas))
    except ValueError as error:
        raise CommandError(str(error)) from None
    results: list[Result] = []
    for name in names:
        results.append(_simulate(options, name, replicas, trace))
        if options.json:
            print(json.dumps(summary(results[-1])), flush=True)
    if not options.json:
        print(table(results))
    if options.svg is not None:
        try:
            options.svg.write_text(picture(results, _describe(options, len(results[0].ttft))), encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{options.svg}: {error.strerror or error}") from None
    return 0


def _simulate(options: argparse.Namespace, name: str, replicas: list[ReplicaSpec], trace: Trace) -> Result:
    from sapwood.cluster.simulator.policies import POLICIES
    from sapwood.cluster.simulator.run import Cluster

    cluster = Cluster(
        replicas, POLICIES[name], name=name, kv_events=not options.no_kv_events, seed=options.seed
    )
    try:
        return cluster.run(trace, _progress(name))
    except ValueError as error:  # a line of the trace
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{options.trace}: {error.strerror or error}") from None
    finally:
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _progress(name: str) -> Callable[[int, float], None] | None:
    """A line on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, seconds: float) -> None:
        print(f"\r\x1b[K{name}: {done} requests, {seconds:.0f} s of virtual time", end="", file=sys.stderr, flush=True)

    return show


def _timing(options: argparse.Namespace) -> TimingModel:
    from sapwood.cluster.simulator.timing import TimingModel, calibrate, read_samples

    if options.samples is not None:
        try:
            model, error = calibrate(read_samples(options.samples))
        except OSError as os_error:
            raise CommandError(f"{options.samples}: {os_error.strerror or os_error}") from None
        print(f"timing {model.base:.3g},{model.token:.3g},{model.context:.3g} from {error}", file=sys.stderr)
        return model
    try:
        base, token, context = (float(part) for part in options.timing.split(","))
    except ValueError:
        raise CommandError(f"--timing is {options.timing!r}; allowed: numbers such as {DEFAULT_TIMING}") from None
    return TimingModel(base, token, context)


def _replicas(options: argparse.Namespace) -> list[ReplicaSpec]:
    from sapwood.cluster.simulator.engine import ReplicaSpec

    timing = _timing(options)
    pools = [_pool(text) for text in options.pool] or [("pool", options.replicas, 1.0)]
    if len({name for name, _, _ in pools}) < len(pools):
        raise CommandError("two of --pool have the same name")
    return [
        ReplicaSpec(
            name,
            timing.faster(speed),
            block_size=options.block_size,
            num_blocks=options.blocks,
            max_model_len=min(options.block_size * options.blocks, 1 << 20),
            max_num_seqs=options.max_num_seqs,
            max_num_batched_tokens=max(2048, options.max_num_seqs),
        )
        for name, count, speed in pools
        for _ in range(count)
    ]


def _pool(text: str) -> tuple[str, int, float]:
    name, _, rest = text.partition("=")
    count, _, speed = rest.partition("*")
    try:
        found = name, int(count), float(speed or 1)
        if not name or found[1] < 1 or not 0 < found[2] < float("inf"):
            raise ValueError
    except ValueError:
        raise CommandError(f"--pool is {text!r}; allowed: a name and a number of replicas, such as fast=2*8") from None
    return found


def _trace(options: argparse.Namespace, replicas: int) -> Trace:
    from sapwood.cluster.simulator.traces import ConversationTrace, RecordedTrace

    for name in ("requests", "replicas", "rate", "burstiness", "speed", "turns", "think"):
        value = getattr(options, name)
        if value is not None and not 0 < value < float("inf"):
            raise CommandError(f"--{name} is {value}; allowed: above 0")
    for name in ("system_prompts", "system_tokens"):
        if getattr(options, name) < 0:
            raise CommandError(f"--{name.replace('_', '-')} is {getattr(options, name)}; allowed: at least 0")
    if options.trace is not None:
        return RecordedTrace(options.trace, options.speed, options.requests)
    return ConversationTrace(
        options.requests or 1000 * replicas,
        options.rate or float(replicas),
        burstiness=options.burstiness,
        system_prompts=options.system_prompts,
        system_tokens=options.system_tokens,
        turns=options.turns,
        think_seconds=options.think,
        seed=options.seed,
    )


def _describe(options: argparse.Namespace, requests: int) -> str:
    if options.trace is not None:
        return f"{options.trace.name}, {options.speed:g} times as fast"
    return (
        f"{requests} requests in conversations of {options.turns:g} turns, {options.think:g} s between them, "
        f"{options.system_prompts} system prompts of {options.system_tokens} tokens, seed {options.seed}"
    )
