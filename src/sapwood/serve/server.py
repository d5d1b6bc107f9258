"""From a socket and an engine to a running server, and back to nothing: start, signals, drain, end.

    bind        before the model is loaded, so that a port that is taken is known at once
    start       the engine; until it is ready connections are refused by the kernel
    serve       until SIGTERM or SIGINT; or until the engine is dead for good, which is for a service manager to see
    drain       new requests get 503, /health says "draining"; what runs goes on, for at most `drain_timeout` seconds
    end         connections are closed, the engine process is ended and waited for

A second signal skips the rest of the drain. The engine process never outlives this one, however it ends: it lives only
while its socket is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.middleware import Middleware

from sapwood.engine.client import EngineClient
from sapwood.serve.app import create_app
from sapwood.serve.config import ServerConfig
from sapwood.serve.context import RequestContext, ServerState
from sapwood.serve.http_protocol import ConnectionLimits, Connections, http_class
from sapwood.serve.logs import log_event
from sapwood.serve.metrics import CONTENT_TYPE, Metrics
from sapwood.serve.observe import MeteredEngine, ObserveMiddleware
from sapwood.serve.operation import Operation, Reply

BACKLOG = 2048
FLUSH_SECONDS = 5.0
"""For clients to read the ends of their answers after the engine has finished them."""


_BIND_ADVICE = {
    errno.EADDRINUSE: "; another program listens there: end it, or give another port (0 takes a free one)",
    errno.EACCES: "; ports below 1024 are for root: give another port",
    errno.EADDRNOTAVAIL: "; no network interface of this machine has that address",
}


class ServerStartError(Exception):
    """The server cannot be started as asked for; the text says why in one line."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """drain_timeout: seconds for running requests after a signal."""

    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    drain_timeout: float = 90.0

    def __post_init__(self) -> None:
        if not self.drain_timeout >= 0:
            raise ValueError(f"drain_timeout is {self.drain_timeout}; allowed: 0 seconds or more")


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket that is bound and does not listen yet; port 0 takes a free one. Raises ServerStartError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise ServerStartError(f"host {host!r} is not known: {error}") from None
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        advice = _BIND_ADVICE.get(error.errno or 0, "")
        raise ServerStartError(f"{host} port {port} cannot be bound: {error.strerror or error}{advice}") from None
    return bound


def address_of(bound: socket.socket) -> str:
    """http://host:port of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn's server, without its handling of signals; says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:  # type: ignore[override]
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.listening.set()


class _Signals:
    """The first SIGTERM or SIGINT sets `stop`, the second `force`."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.force = asyncio.Event()

    def _came(self, number: signal.Signals) -> None:
        again = self.stop.is_set()
        action = "ending at once" if again else "draining; a second one ends at once"
        log_event("signal", signal=number.name, action=action)
        (self.force if again else self.stop).set()

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self._came, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


async def _first(*coroutines: Coroutine[Any, Any, Any]) -> list[asyncio.Task[Any]]:
    """Run together until one has ended, cancel the others, and return all tasks, ended."""
    tasks = [asyncio.ensure_future(one) for one in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return tasks


def metrics_operation(metrics: Metrics) -> Operation:
    """The route of the metrics. It needs an API key, as every other one: prompts' lengths and times are in it."""

    async def show(state: ServerState, context: RequestContext, request: None, path: dict[str, Any]) -> Reply:
        return Reply(metrics.page(), CONTENT_TYPE)

    return Operation(
        name="metrics",
        method="GET",
        path="/metrics",
        summary="Counters in Prometheus' text form.",
        handler=show,
        media_type="text/plain",
    )


async def run_server(
    start_engine: Callable[[], Awaitable[EngineClient]],
    config: ServerConfig,
    options: RunOptions,
    bound: socket.socket,
    on_ready: Callable[[EngineClient, str], None],
) -> int:
    """Serve until a signal; the exit status: 0, or 1 if requests were cut off, or the server or the engine failed.

    start_engine: returns an engine that takes requests, or raises. bound: from `bind`; closed at the end. on_ready:
    called with the engine and the server's address when requests are taken. Raises what start_engine does.
    """
    signals = _Signals()
    with bound, signals.caught():
        start, stopped = await _first(_started(start_engine), signals.stop.wait())
        if start.cancelled():
            return 0  # told to end before there was anything to end
        engine: EngineClient = start.result()
        try:
            if stopped.cancelled():
                return await _serve(engine, config, options, bound, signals, on_ready)
            return 0
        finally:
            await engine.close()


async def _started(start_engine: Callable[[], Awaitable[EngineClient]]) -> EngineClient:
    return await start_engine()


async def _serve(
    engine: EngineClient,
    config: ServerConfig,
    options: RunOptions,
    bound: socket.socket,
    signals: _Signals,
    on_ready: Callable[[EngineClient, str], None],
) -> int:
    connections = Connections(options.connections)
    metrics = Metrics(
        engine,
        config.model_name,
        connections=lambda: connections.active,
        closed=lambda: dict(connections.closed),
    )
    app = create_app(
        MeteredEngine(engine, metrics),
        config,
        operations=[metrics_operation(metrics)],
        middleware=[Middleware(ObserveMiddleware, metrics=metrics)],
    )
    server = _Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=http_class(connections),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=int(FLUSH_SECONDS),
        )
    )
    address = address_of(bound)
    serving = asyncio.ensure_future(server.serve(sockets=[bound]))
    try:
        await _first(server.listening.wait(), _ended(serving))
        if not serving.done():
            on_ready(engine, address)
            log_event("ready", address=address, model=config.model_name)
            await _first(signals.stop.wait(), _ended(serving), engine.wait_ended())
        if serving.done():
            log_event("the HTTP server ended by itself", logging.ERROR)
            return 1
        if not signals.stop.is_set():
            log_event("ending: the engine cannot be started again", logging.ERROR, detail=engine.health().detail)
            return 1
        status = await _drain(engine, options, signals)
        if status:
            await engine.close()  # what still runs ends with an error that its client can read
    finally:
        server.should_exit = True
        server.force_exit = signals.force.is_set()
        await asyncio.wait([serving], timeout=FLUSH_SECONDS + 2)
        serving.cancel()
        await asyncio.wait([serving])
    return status


async def _ended(task: asyncio.Future[Any]) -> None:
    await asyncio.wait([task])


async def _drain(engine: EngineClient, options: RunOptions, signals: _Signals) -> int:
    running = engine.num_unfinished_requests()
    log_event("draining", requests=running, seconds=options.drain_timeout)
    drain, _ = await _first(engine.drain(options.drain_timeout), signals.force.wait())
    left = engine.num_unfinished_requests()
    clean = not drain.cancelled() and drain.result()
    log_event("drained" if clean else "requests were cut off", logging.INFO if clean else logging.WARNING, left=left)
    return 0 if clean else 1
