"""What TCP between router and replica adds to the way of a token, over the engine process's socketpair alone.

    python benchmarks/cluster_transport.py [--rounds 5] [--streams 1 32]

The same requests go to an engine process of this process and, over loopback, to one of an `EngineServer` in another
process, by turns. "way" is from the end of a step in the engine until its tokens are here, "first token" from Add until
the first token is here; milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from sapwood import demo_model
from sapwood.cluster.transport.connection import EngineConnection
from sapwood.cluster.transport.server import EngineServer
from sapwood.engine.model_assets import EngineOptions, load_model_assets
from sapwood.engine.process.messages import Add, EngineConfig, Refused, Step
from sapwood.engine.process.supervisor import EngineSupervisor
from sapwood.engine.sampling_params import SamplingParams

SECRET = b"only of this benchmark"


class Load:
    """Requests that are sent together; when each of their tokens came."""

    def __init__(self) -> None:
        self.send: Callable[[object], None] = lambda message: None
        self.ways: list[float] = []
        self._sent: dict[str, float] = {}
        self._first: dict[str, float] = {}
        self._left = 0
        self._done = asyncio.Event()

    def receive(self, message: Step | Refused) -> None:
        now = time.monotonic()
        if isinstance(message, Refused):
            raise SystemExit(message.message)
        if message.deltas:
            self.ways.append(now - message.at)
        for delta in message.deltas:
            self._first.setdefault(delta.request_id, now)
            self._left -= delta.finish_reason is not None
        if self._left == 0:
            self._done.set()

    async def run(self, name: str, streams: int) -> list[float]:
        """Seconds from Add to the first token of each stream."""
        self._left = streams
        self._done.clear()
        params = SamplingParams(temperature=0, max_tokens=64, ignore_eos=True)
        ids = [f"{name}-{i}" for i in range(streams)]
        for number, request_id in enumerate(ids):
            prompt = [10 + (number * 37 + k) % 200 for k in range(16)]
            self._sent[request_id] = time.monotonic()
            self.send(Add(request_id=request_id, prompt_token_ids=prompt, sampling_params=params))
        await self._done.wait()
        return [self._first[i] - self._sent[i] for i in ids]


async def serve(config: EngineConfig) -> None:
    server = EngineServer(config, secret=SECRET, replica_id="replica", pool="cpu", model="demo")
    print(*await server.start(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.close()


async def measure(config: EngineConfig, address: tuple[str, int], rounds: int, streams: list[int]) -> None:
    near, far = Load(), Load()
    supervisor = EngineSupervisor(config, on_message=near.receive, on_lost=print, busy=lambda: False)
    connection = EngineConnection(
        *address, secret=SECRET, router_id="router", on_message=far.receive, on_lost=lambda reason, ids: print(reason)
    )
    near.send, far.send = supervisor.send, connection.send
    await supervisor.start()
    connection.start()
    await connection.wait_ready()
    for count in streams:
        firsts: dict[str, list[float]] = {"socketpair": [], "TCP": []}
        for load in (near, far):
            await load.run(f"warm-{count}", count)
            load.ways.clear()
        for number in range(rounds):
            for name, load in (("socketpair", near), ("TCP", far)):
                firsts[name] += await load.run(f"{count}-{number}", count)
        for name, load in (("socketpair", near), ("TCP", far)):
            print(f"{count:3} streams, {name:10}  way {shown(load.ways)}   first token {shown(firsts[name])}")
    await connection.close()
    await supervisor.close()


def shown(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    return f"p50 {cuts[9] * 1e3:7.3f}  p95 {cuts[18] * 1e3:7.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    engine = EngineOptions(model=demo_model(), max_model_len=256, max_num_seqs=32, num_threads=1)
    config = load_model_assets(engine).engine_config
    if options.serve:
        asyncio.run(serve(config))
        return
    command = [sys.executable, __file__, "--serve"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdin is not None
    try:
        host, port = child.stdout.readline().split()
        asyncio.run(measure(config, (host, int(port)), options.rounds, options.streams))
    finally:
        child.stdin.close()
        child.wait(30)


if __name__ == "__main__":
    main()
