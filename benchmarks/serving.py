"""The server against llama.cpp's, against the engine alone, and against more load than it can take.

    python benchmarks/serving.py peers --llama-server PATH [--shape llama-1b]
    python benchmarks/serving.py overhead [--shape llama-tiny | --shape demo ...]
    python benchmarks/serving.py overload [--shape demo] [--ttft 1000] [--tpot 50]

peers: both servers in turn on the same weights, 8 clients, 128 tokens in and 64 out, by `sapwood bench serve`.
overhead: the same closed loop on `LLMEngine` in one process and over HTTP; the difference per request and token.
overload: peak goodput over a sweep of rates, then three times the capacity: goodput, and how quickly it refuses. The
queue is short, because a request that waits for a place keeps no limit on its first token.

Every part is a process of its own, rounds are interleaved, and figures are medians over rounds. On a quiet machine
each command takes less than ten minutes. `peers` needs the `gguf` package and llama.cpp's server, built natively:

    pip download --no-deps --no-binary :all: llama-cpp-python==0.3.36 && tar xzf llama_cpp_python-0.3.36.tar.gz
    cd llama_cpp_python-0.3.36/vendor/llama.cpp
    cmake -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAMA_BUILD_UI=OFF -DLLAMA_OPENSSL=OFF
    ninja -C build llama-server     # build/bin/llama-server
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from serving_processes import ServerProcess, cpu_seconds, free_port

INPUT, OUTPUT = 128, 64
CLI = [sys.executable, "-c", "import sys; from sapwood.cli import main; sys.exit(main())"]


def model_directory(shape: str) -> Path:
    from sapwood.cli.bench_engine import random_model
    from sapwood.models.hub import demo_model

    return Path(demo_model()) if shape == "demo" else random_model(shape)


def heading(o: argparse.Namespace) -> None:
    from sapwood import __version__
    from sapwood.loadgen.report import machine

    found = machine()
    date = datetime.datetime.now().astimezone().isoformat(timespec="minutes")
    root = Path(__file__).parents[1]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True, check=False
    )
    print(f"{date}  {found['cpu']}, {found['cpus']} CPUs, {found['platform']}, load {os.getloadavg()[0]:.1f}")
    print(f"sapwood {__version__} {commit.stdout.strip()}, Python {sys.version.split()[0]}; {o.mode}, {o.shape}")


def bench_serve(url: str, model: Path, *arguments: object, details: bool = False) -> list[dict[str, Any]]:
    """The runs of one `sapwood bench serve`, with prompts as token ids."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out.json"
        command = [
            *CLI,
            "bench",
            "serve",
            url,
            "--prompt-ids",
            "--tokenizer",
            str(model),
            "--json",
            str(out),
            "--quiet",
        ]
        command += ["--input-len", str(INPUT), "--output-len", str(OUTPUT), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not out.exists():
            raise SystemExit(f"sapwood bench serve failed:\n{done.stderr[-2000:]}{done.stdout[-2000:]}")
        return json.loads(out.read_text())["runs"]


def sapwood_server(o: argparse.Namespace, model: Path, *arguments: str) -> ServerProcess:
    port = free_port()
    command = o.server_command.split() if o.server_command else CLI
    command = [*command, "serve", str(model), "--port", str(port), "--log-level", "warning", *arguments]
    return ServerProcess("sapwood", command, f"http://127.0.0.1:{port}")


def llama_server(o: argparse.Namespace, model: Path) -> ServerProcess:
    from gguf_checkpoint import convert

    gguf = model.with_name(f"{model.name}.gguf")
    if not gguf.exists():
        print(f"writing {gguf}", file=sys.stderr)
        convert(model, gguf)
    port = free_port()
    context = o.clients * 2 * (INPUT + OUTPUT)
    command = [o.llama_server, "-m", str(gguf), "-np", str(o.clients), "-c", str(context), "-t", str(o.threads)]
    return ServerProcess(
        "llama-server", [*command, "--host", "127.0.0.1", "--port", str(port)], f"http://127.0.0.1:{port}"
    )


# -- peers -----------------------------------------------------------------------------------------------------


PEER_FIGURES = (
    ("output tokens/s", lambda r: r["output_throughput"], True),
    ("TTFT median, ms", lambda r: r["ttft_ms"]["median"], False),
    ("TTFT p99, ms", lambda r: r["ttft_ms"]["p99"], False),
    ("TPOT median, ms", lambda r: r["tpot_ms"]["median"], False),
    ("E2E median, ms", lambda r: r["e2el_ms"]["median"], False),
    ("E2E p99, ms", lambda r: r["e2el_ms"]["p99"], False),
)


def peers(o: argparse.Namespace) -> dict[str, Any]:
    model = model_directory(o.shape)
    if o.llama_server is None:
        raise SystemExit("--llama-server PATH is needed: llama.cpp's server, built for this machine")
    version = subprocess.run([o.llama_server, "--version"], capture_output=True, text=True, check=False)
    print("llama-server", " ".join((version.stderr + version.stdout).split())[:160])
    makers = {"sapwood": lambda: sapwood_server(o, model), "llama-server": lambda: llama_server(o, model)}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in makers}
    for i in range(o.rounds):
        for name, make in makers.items():
            with make() as server:
                server.wait_ready(o.start_timeout)
                arguments = ("--concurrency", o.clients, "--num-prompts", o.requests, "--seed", i, "--warmups", 1)
                [run] = bench_serve(server.url, model, *arguments)
            print(f"round {i + 1}: {name}: {run['output_throughput']:.1f} output tokens/s", file=sys.stderr)
            if run["failed"]:
                raise SystemExit(f"{name}: {run['failed']} requests failed: {run['error_messages']}")
            runs[name].append(run)
    what = f"{o.clients} clients, {INPUT} tokens in, {OUTPUT} out, {o.requests} requests"
    print(f"\n{what}, BF16 weights; medians of {o.rounds} rounds")
    print(f"{'':<20}{'sapwood':>12}{'llama-server':>14}{'ratio':>8}   (above 1: sapwood is better)")
    table = {}
    for name, get, more in PEER_FIGURES:
        ours, theirs = (statistics.median(map(get, runs[n])) for n in makers)
        ratio = statistics.median(
            get(a) / get(b) if more else get(b) / get(a)
            for a, b in zip(runs["sapwood"], runs["llama-server"], strict=True)
        )
        table[name] = {"sapwood": ours, "llama-server": theirs, "ratio": ratio}
        print(f"{name:<20}{ours:>12.1f}{theirs:>14.1f}{ratio:>8.2f}")
    return {"table": table, "runs": runs}


# -- overhead --------------------------------------------------------------------------------------------------


def bare_engine(o: argparse.Namespace) -> dict[str, float]:
    """The engine in this process, under the loads that clients will make: one stream, then `o.streams`."""
    from sapwood import LLM, SamplingParams
    from sapwood.engine.sampling_params import RequestOutputKind

    llm = LLM(model_directory(o.shape), max_num_seqs=o.streams)
    engine = llm.engine
    params = SamplingParams(temperature=0.0, max_tokens=OUTPUT, ignore_eos=True, output_kind=RequestOutputKind.DELTA)
    prompts = prompt_ids(model_directory(o.shape))
    number = 0

    def add() -> str:
        nonlocal number
        number += 1
        engine.add_request(str(number), next(prompts), params)
        return str(number)

    def closed_loop(streams: int, count: int) -> tuple[list[float], float]:
        """Seconds to each first token, and for everything."""
        begin = time.perf_counter()
        started: dict[str, float] = {}
        firsts: list[float] = []
        left = count

        def start() -> None:
            nonlocal left
            left -= 1
            now = time.perf_counter()
            started[add()] = now

        for _ in range(min(streams, count)):
            start()
        while engine.has_unfinished_requests():
            outputs = engine.step()
            now = time.perf_counter()
            for output in outputs:
                if output.request_id in started:
                    firsts.append(now - started.pop(output.request_id))
                if output.finished and left:
                    start()
        return firsts, time.perf_counter() - begin

    closed_loop(o.streams, o.streams)
    firsts, _ = closed_loop(1, o.single)
    cpu = time.process_time()
    _, seconds = closed_loop(o.streams, o.requests)
    return {
        "ttft_ms": 1e3 * statistics.median(firsts),
        "output_throughput": o.requests * OUTPUT / seconds,
        "cpu_ms_per_token": 1e3 * (time.process_time() - cpu) / (o.requests * OUTPUT),
    }


def prompt_ids(model: Path) -> Any:
    """The prompts that `sapwood bench serve` sends, for ever."""
    import asyncio

    from sapwood.engine.tokenizer import Tokenizer
    from sapwood.loadgen.vocabulary import Vocabulary
    from sapwood.loadgen.workload import RandomSpec, random_conversations

    tokenizer = Tokenizer.from_directory(model)

    async def tokenize(text: str) -> list[int]:
        return tokenizer.encode(text)

    vocabulary = asyncio.run(Vocabulary.measured(tokenize))
    spec = RandomSpec(input_len=INPUT, output_len=OUTPUT, as_ids=True)
    return (list(c.turns[0].token_ids or ()) for c in random_conversations(spec, vocabulary, 0))


def over_http(o: argparse.Namespace) -> dict[str, float]:
    model = model_directory(o.shape)
    with sapwood_server(o, model, "--max-num-seqs", str(o.streams)) as server:
        server.wait_ready(o.start_timeout)
        [one] = bench_serve(server.url, model, "--concurrency", 1, "--num-prompts", o.single, "--warmups", o.streams)
        before = cpu_seconds(server.pid)
        arguments = ("--concurrency", o.streams, "--num-prompts", o.requests, "--warmups", 0, "--seed", 1)
        [many] = bench_serve(server.url, model, *arguments)
        after = cpu_seconds(server.pid)
    for run in (one, many):
        if run["failed"]:
            raise SystemExit(f"{run['failed']} requests failed: {run['error_messages']}")
    tokens = many["output_tokens"]
    children = sum(after.values()) - after[server.pid] - (sum(before.values()) - before[server.pid])
    return {
        "ttft_ms": one["ttft_ms"]["median"],
        "output_throughput": many["output_throughput"],
        "cpu_ms_per_token": 1e3 * children / tokens,
        "http_cpu_ms_per_token": 1e3 * (after[server.pid] - before[server.pid]) / tokens,
        "client_cpu_ms_per_token": 1e3 * many["client_cpu_share"] * many["duration_s"] / tokens,
    }


def overhead(o: argparse.Namespace) -> dict[str, Any]:
    bare, http = [], []
    for i in range(o.rounds):
        print(f"round {i + 1} of {o.rounds}", file=sys.stderr)
        command = [sys.executable, __file__, *sys.argv[1:], "--inside"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the engine failed:\n{done.stderr[-2000:]}")
        bare.append(json.loads(done.stdout.splitlines()[-1]))
        http.append(over_http(o))
    first = statistics.median(b["ttft_ms"] - a["ttft_ms"] for a, b in zip(bare, http, strict=True))
    token = statistics.median(
        1e3 / b["output_throughput"] - 1e3 / a["output_throughput"] for a, b in zip(bare, http, strict=True)
    )
    print(f"\n{INPUT} tokens in, {OUTPUT} out; medians of {o.rounds} rounds of {o.requests} requests")
    print(f"{'':<44}{'engine':>10}{'server':>10}{'cost':>10}{'limit':>8}")
    rows = (
        ("first token at 1 stream, ms", "ttft_ms"),
        (f"output tokens/s at {o.streams} streams", "output_throughput"),
    )
    limits = {"ttft_ms": (first, "5"), "output_throughput": (token, "0.3")}
    for name, key in rows:
        a, b = (statistics.median(r[key] for r in runs) for runs in (bare, http))
        cost, limit = limits[key]
        name = name if key == "ttft_ms" else f"{name}; cost: ms a token"
        print(f"{name:<44}{a:>10.2f}{b:>10.2f}{cost:>10.3f}{limit:>8}")
    cpu = {k: statistics.median(r[k] for r in http) for k in http[0] if "cpu" in k}
    print(
        f"processor time per token at {o.streams} streams, ms: HTTP process {cpu['http_cpu_ms_per_token']:.3f}, engine "
        f"process {cpu['cpu_ms_per_token']:.3f} (alone {statistics.median(r['cpu_ms_per_token'] for r in bare):.3f}), "
        f"load tool {cpu['client_cpu_ms_per_token']:.3f}"
    )
    return {"first_token_ms": first, "token_ms": token, "bare": bare, "http": http}


# -- overload --------------------------------------------------------------------------------------------------


def overload(o: argparse.Namespace) -> dict[str, Any]:
    model = model_directory(o.shape)
    limits = ["--goodput", f"ttft:{o.ttft}", f"tpot:{o.tpot}"]
    arguments = ["--max-num-seqs", str(o.streams), *o.server_arguments.split()]
    with sapwood_server(o, model, *arguments) as server:
        server.wait_ready(o.start_timeout)
        closed = ("--concurrency", o.streams, "--duration", o.seconds, "--warmups", o.streams)
        [full] = bench_serve(server.url, model, *closed)
        capacity = full["request_throughput"]
        rates = [capacity * share for share in (0.5, 0.7, 0.85, 1.0, 1.2, 1.5)]
        text = "rate:" + ",".join(f"{rate:.4g}" for rate in rates)
        sweep = bench_serve(server.url, model, "--sweep", text, "--duration", o.seconds, "--seed", 1, *limits)
        arguments_3x = ("--request-rate", f"{3 * capacity:.4g}", "--duration", 2 * o.seconds, "--seed", 2)
        [over] = bench_serve(server.url, model, *arguments_3x, *limits)
    peak = max(sweep, key=lambda r: r["goodput"]["request_goodput"])
    best = peak["goodput"]["request_goodput"]
    print(f"\n{INPUT} tokens in, {OUTPUT} out; good: TTFT <= {o.ttft:g} ms, TPOT <= {o.tpot:g} ms; Poisson arrivals")
    print(f"server arguments: {' '.join(arguments)}")
    print(f"capacity {capacity:.2f} requests/s (closed loop, {o.streams} clients)")
    print(
        f"{'offered/s':>10}{'completed':>11}{'goodput':>9}{'TTFT p50':>10}{'p99':>9}"
        f"{'TPOT p50':>10}{'p99':>8}{'refused':>9}"
    )
    for run in [*sweep, over]:
        ttft, tpot = run["ttft_ms"], run["tpot_ms"]
        refused = sum(n for kind, n in run["errors"].items() if kind.startswith("refused"))
        print(
            f"{run['load']:>10.2f}{run['request_throughput']:>11.2f}{run['goodput']['request_goodput']:>9.2f}"
            f"{ttft['median']:>10.0f}{ttft['p99']:>9.0f}{tpot['median']:>10.1f}{tpot['p99']:>8.1f}{refused:>9}"
        )
    share = over["goodput"]["request_goodput"] / best if best else 0.0
    others = {k: n for k, n in over["errors"].items() if not k.startswith("refused")}
    print(f"goodput at 3x capacity is {100 * share:.0f}% of the peak (limit: 90%)")
    times = over["refusal_ms"]
    if times:
        told = ", ".join(f"{k} {times[k]:.1f}" for k in ("median", "p99", "max"))
        print(f"refusals at 3x, ms: {told} (limit: 50)")
    if others:
        print(f"other errors at 3x: {others}")
    return {"capacity": capacity, "share": share, "closed": full, "sweep": sweep, "over": over}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("peers", "overhead", "overload"))
    parser.add_argument(
        "--shape", help="llama-1b, llama-100m, llama-tiny or demo; default: llama-1b for peers, else demo"
    )
    parser.add_argument("--rounds", type=int, help="default: 1 for peers, 3 for overhead")
    parser.add_argument("--clients", type=int, default=8, help="of peers; default 8")
    parser.add_argument("--streams", type=int, default=32, help="of overhead and overload; default 32")
    parser.add_argument("--requests", type=int, help="a run; default: 24 for peers, 128 for overhead")
    parser.add_argument("--single", type=int, default=30, help="requests at one stream, of overhead; default 30")
    parser.add_argument("--seconds", type=float, default=20.0, help="a rate, of overload; default 20")
    parser.add_argument("--ttft", type=float, default=1000.0, help="ms of a good request; default 1000")
    parser.add_argument("--tpot", type=float, default=50.0, help="ms of a good request; default 50")
    parser.add_argument("--server-arguments", default="--max-queued-requests 4", help="of overload")
    parser.add_argument("--server-command", help="instead of the `sapwood` of this Python")
    parser.add_argument("--llama-server", help="path of llama.cpp's server")
    parser.add_argument(
        "--threads", type=int, default=len(os.sched_getaffinity(0)), help="of llama-server; default: all"
    )
    parser.add_argument("--start-timeout", type=float, default=300.0)
    parser.add_argument("--json", type=Path, help="write everything that was measured")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    o = parser.parse_args()
    o.shape = o.shape or ("llama-1b" if o.mode == "peers" else "demo")
    o.rounds = o.rounds or (1 if o.mode == "peers" else 3)
    o.requests = o.requests or (24 if o.mode == "peers" else 128)
    if o.inside:
        print(json.dumps(bare_engine(o)))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are ended with it
    heading(o)
    begin = time.monotonic()
    found = {"peers": peers, "overhead": overhead, "overload": overload}[o.mode](o)
    print(f"took {time.monotonic() - begin:.0f} s")
    if o.json:
        o.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
