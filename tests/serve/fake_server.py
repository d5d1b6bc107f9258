"""A process that runs `run_server` over a fake engine: python fake_server.py OPTIONS_AS_JSON.

It prints the address when it is ready, and "engine closed" when the engine was.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from serve_fakes import MODEL, FakeClient

from sapwood.engine.client import EngineDeadError, Health
from sapwood.serve.config import ServerConfig
from sapwood.serve.http_protocol import ConnectionLimits
from sapwood.serve.logs import configure_logging
from sapwood.serve.server import RunOptions, bind, run_server


class DrainingClient(FakeClient):
    """Waits in `drain`, and fails what runs when it is closed, as the real one does."""

    closed = False

    async def drain(self, timeout: float) -> bool:
        self.state = Health("draining", "the server is shutting down")
        end = asyncio.get_running_loop().time() + timeout
        while self.active and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.01)
        return not self.active

    async def close(self) -> None:
        if not self.closed:
            print("engine closed", flush=True)
        self.closed = True
        self.state = Health("dead")

        def fail(request_id: str, count: int) -> None:
            raise EngineDeadError("The engine was shut down.")

        self.fail = fail


def main(options: dict[str, Any]) -> int:
    configure_logging("info", "json")
    client = DrainingClient(token_delay=options.get("token_delay", 0.0))

    async def start() -> FakeClient:
        await asyncio.sleep(options.get("load_seconds", 0.0))
        if options.get("fail_start"):
            raise RuntimeError("cannot start")
        return client

    def ready(engine: Any, address: str) -> None:
        print(address, flush=True)
        if options.get("give_up"):
            client.state = Health("dead", "it could not be started, 5 times")
            client.ended.set()

    config = ServerConfig(served_model_names=(MODEL,), **options.get("config", {}))
    run_options = RunOptions(drain_timeout=options.get("drain_timeout", 30.0), connections=ConnectionLimits())
    return asyncio.run(run_server(start, config, run_options, bind("127.0.0.1", options.get("port", 0)), ready))


if __name__ == "__main__":
    raise SystemExit(main(json.loads(sys.argv[1])))
