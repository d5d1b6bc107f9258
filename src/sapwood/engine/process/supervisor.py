"""Starts an engine process, watches it, and starts it again when it dies or hangs."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import sapwood
from sapwood.engine.client import EngineDeadError, EngineStartError, Health
from sapwood.engine.process.framing import FrameReader, MessageError, encode_frame
from sapwood.engine.process.messages import (
    EngineConfig,
    EngineStats,
    FromEngine,
    Ping,
    Pong,
    Ready,
    Refused,
    Shutdown,
    Start,
    StartFailed,
    Step,
)

#: an engine that answered for so long was well: its next death is answered at once
_HEALTHY_SECONDS = 60.0
_MAX_BACKOFF_SECONDS = 30.0
_MAX_FAILED_STARTS = 5
_PING_SECONDS = 5.0
_CLOSE_SECONDS = 5.0
_KILL_SECONDS = 30.0

logger = logging.getLogger(__name__)


class EngineSupervisor:
    """One engine process at a time; methods are called from one event loop.

    on_message: gets every Step and Refused. on_lost: gets a sentence when the process is gone; what it held is lost.
    on_ready: gets what a process says when it takes requests, the first one's and that of each later one.
    busy: whether requests wait for the engine. command: what to start instead of the engine process; the number of
    its socket is added. step_timeout: seconds without a step while there is work, or without an answer, after which
    the process is taken for stuck and killed. start_timeout: seconds that loading the model may take.
    """

    def __init__(
        self,
        config: EngineConfig,
        *,
        on_message: Callable[[Step | Refused], None],
        on_lost: Callable[[str], None],
        busy: Callable[[], bool],
        on_ready: Callable[[Ready], None] = lambda ready: None,
        command: Sequence[str] | None = None,
        step_timeout: float = 120.0,
        start_timeout: float = 900.0,
        backoff: float = 1.0,
    ) -> None:
        self._config = config
        self._on_message, self._on_lost, self._on_ready, self._busy = on_message, on_lost, on_ready, busy
        self._command = list(command or (sys.executable, "-P", "-m", "sapwood.engine.process.worker"))
        self._step_timeout, self._start_timeout, self._backoff = step_timeout, start_timeout, backoff
        self._task: asyncio.Task[None] | None = None
        self._connection: _Connection | None = None
        self._silence = 0.0  # seconds that an answer has been due
        self._ping_sent_at: float | None = None
        self._health = Health("starting", "the engine is being started")
        self.ready: Ready | None = None
        self.stats = EngineStats()
        self.num_restarts = 0

    # -- what a front end calls ------------------------------------------------------------------------------

    @property
    def max_num_seqs(self) -> int:
        return self._config.max_num_seqs

    async def start(self) -> Ready:
        """Start the process and wait until it takes requests. Raises EngineStartError; then nothing is left."""
        first: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(first), name="engine supervisor")
        try:
            return await first
        except BaseException:
            await self._end_task()
            raise

    def send(self, message: object) -> None:
        """Queue a message. Raises EngineDeadError when no engine is there, MessageError when it cannot be sent."""
        if self.ready is None or self._connection is None:
            raise EngineDeadError(f"{self._health.detail or 'the engine is not running'}; try again in a few seconds")
        self._connection.send(encode_frame(message))

    def ping(self) -> None:
        """Ask for an answer with fresh statistics, if the engine runs."""
        if self.ready is not None and self._connection is not None:
            self._ping_sent_at = time.monotonic()
            self._connection.send(encode_frame(Ping(0)))

    def health(self) -> Health:
        """ "ok" means that the last answer that was due came in time."""
        if self.ready is not None and self._silence > self._step_timeout / 2:
            return Health("stuck", f"the engine has not answered for {self._silence:.0f} s")
        return self._health

    async def wait_ended(self) -> None:
        """Return when no process runs and none will be started: too many starts failed, or `close` was called."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """End the process, at most a few seconds later. Messages that were sent before reach it."""
        if self._connection is not None and self.ready is not None:
            self._connection.send(encode_frame(Shutdown()))
        self.ready = None
        self._health = Health("dead", "the engine was shut down")
        await self._end_task()

    async def _end_task(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    # -- the life of processes -------------------------------------------------------------------------------

    async def _run(self, first: asyncio.Future[Ready]) -> None:
        """Keep a process running. `first` gets the first Ready, or why there is none; then nothing is retried."""
        failed_starts = quick_deaths = 0
        while True:
            try:
                ready_at, reason = await self._live(first)
            except Exception as error:
                if not isinstance(error, EngineStartError):
                    logger.exception("the engine process cannot be supervised")
                if not first.done():
                    self._health = Health("dead", str(error))
                    first.set_exception(error)
                    return
                failed_starts += 1
                # Clients see the health; the message may name files, and goes to the log only.
                logger.error("the engine could not be started again: %s", error)
                reason = "the engine could not be started again"
                if failed_starts >= _MAX_FAILED_STARTS:
                    self._health = Health("dead", f"{reason}, {failed_starts} times; the log says why")
                    logger.error("giving up after %d attempts", failed_starts)
                    return
            else:
                failed_starts = 0
                quick_deaths = 0 if time.monotonic() - ready_at > _HEALTHY_SECONDS else quick_deaths + 1
            deaths = failed_starts + quick_deaths
            delay = min(self._backoff * 2 ** (deaths - 1), _MAX_BACKOFF_SECONDS) if deaths else 0.0
            self._health = Health("dead", f"{reason}; it is being started again")
            logger.error("%s; starting it again in %.0f s", reason, delay)
            await asyncio.sleep(delay)
            self.num_restarts += 1

    async def _live(self, first: asyncio.Future[Ready]) -> tuple[float, str]:
        """One process from start to end: when it became ready, and a sentence about its end.

        Raises EngineStartError when it did not become ready.
        """
        connection = await self._spawn()
        process, lost = connection.process, connection.lost
        ready_at: float | None = None
        try:
            connection.send(encode_frame(Start(self._config)))
            done, _ = await asyncio.wait(
                {connection.started, lost}, timeout=self._start_timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if connection.started not in done:
                why = f"did not get ready within {self._start_timeout:.0f} s"
                raise EngineStartError(f"the engine process {await self._cause(connection) if done else why}")
            answer = connection.started.result()
            if isinstance(answer, StartFailed):
                raise EngineStartError(answer.message, user_error=answer.user_error)
            ready_at = time.monotonic()
            self._silence, self._ping_sent_at = 0.0, None
            self._connection, self.ready, self.stats = connection, answer, EngineStats()
            self._health = Health("ok")
            logger.info("engine process %d is ready after %.1f s", process.pid, answer.load_seconds)
            if not first.done():
                first.set_result(answer)
            self._on_ready(answer)
            await self._watch(connection)
            self.ready = self._connection = None
            self._health = Health("dead", "the engine process ended")
            return ready_at, f"the engine process {await self._cause(connection)}"
        except asyncio.CancelledError:
            if ready_at is not None:
                await self._wait_for_exit(process, _CLOSE_SECONDS)
            raise
        finally:
            self.ready = self._connection = None
            self.stats = EngineStats()
            connection.close()
            if process.poll() is None:
                process.kill()
                if not await self._wait_for_exit(process, _KILL_SECONDS):
                    logger.error("engine process %d does not end", process.pid)
            if ready_at is not None:
                self._on_lost(connection.end or "the engine was shut down")

    async def _watch(self, connection: _Connection) -> None:
        """Return when the connection is lost, or when an answer is overdue."""
        period = min(1.0, self._step_timeout / 8)
        ticked = time.monotonic()
        while not connection.lost.done():
            await asyncio.wait({connection.lost}, timeout=period)
            now = time.monotonic()
            # A pause of this very process is not the engine's: a tick counts for about one period, however late.
            elapsed, ticked = min(now - ticked, 2 * period), now
            if self._busy() or self._ping_sent_at is not None:
                self._silence += elapsed
                if self._silence > self._step_timeout:
                    connection.lose(f"gave no sign of life for {self._silence:.0f} s and was killed")
                continue
            self._silence = 0.0
            if now - connection.heard_at > _PING_SECONDS:
                self.ping()

    async def _cause(self, connection: _Connection) -> str:
        """What ended the connection: the process's own end, when it has one."""
        process = connection.process
        why = connection.lost.result()
        if not why:
            await self._wait_for_exit(process, 1.0)
            why = _describe(process.poll())
        connection.end = f"the engine process {why}; it is being started again"
        return why

    @staticmethod
    async def _wait_for_exit(process: subprocess.Popen[bytes], seconds: float) -> bool:
        end = time.monotonic() + seconds
        delay = 0.002
        while process.poll() is None:
            if time.monotonic() > end:
                return False
            await asyncio.sleep(delay)
            delay = min(2 * delay, 0.1)
        return True

    async def _spawn(self) -> _Connection:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                # Not in another thread: the kernel ends the child with the thread that made it.
                process = subprocess.Popen(
                    [*self._command, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=2,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                    env=self._environment(),
                )
        except OSError as error:
            ours.close()
            raise EngineStartError(f"the engine process cannot be started: {error}") from None
        self._health = Health("starting", "the engine is being started")
        connection = _Connection(process, self._receive)
        ours.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: connection, sock=ours)
        return connection

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        if self._config.num_threads is not None:
            environment["SAPWOOD_NUM_THREADS"] = str(self._config.num_threads)
        home = str(Path(sapwood.__file__).parents[1])
        if home not in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
            # The child is to find the same package, also where this process found it by its working directory.
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, (home, environment.get("PYTHONPATH"))))
        return environment

    def _receive(self, message: Step | Refused | Pong) -> None:
        self._silence = 0.0
        self._ping_sent_at = None
        if isinstance(message, Step | Pong):
            self.stats = message.stats
        if not isinstance(message, Pong):
            self._on_message(message)


class _Connection(asyncio.Protocol):
    """The front end's end of the socket of one process.

    started: gets the answer to Start. lost: gets "" when the process closed the connection, else what it did wrong.
    end: a sentence about it, once the cause is known.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], receive: Callable[[Step | Refused | Pong], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        self.process = process
        self.started: asyncio.Future[Ready | StartFailed] = loop.create_future()
        self.lost: asyncio.Future[str] = loop.create_future()
        self.end = ""
        self.heard_at = time.monotonic()
        self._receive = receive
        self._reader: FrameReader[FromEngine] = FrameReader(FromEngine)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard_at = time.monotonic()
        for message in self._reader.feed(data):
            if self.lost.done():
                return
            if isinstance(message, MessageError):
                logger.error("from the engine process: %s", message)
                self.lose("sent what is not a message and was killed")
            elif isinstance(message, Ready | StartFailed):
                if self.started.done():
                    self.lose("said twice that it had started and was killed")
                else:
                    self.started.set_result(message)
            elif not self.started.done():
                self.lose("sent results before it had started and was killed")
            else:
                try:
                    self._receive(message)
                except Exception:  # a bug of ours; closing the connection would take all requests along
                    logger.exception("a message from the engine process could not be handled")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lose("")

    def lose(self, why: str) -> None:
        if not self.lost.done():
            self.lost.set_result(why)

    def send(self, frame: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _describe(status: int | None) -> str:
    """How a process ended, as the end of a sentence."""
    if status is None:
        return "closed its connection and was killed"
    if status >= 0:
        return f"exited with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"was killed by {name}"
