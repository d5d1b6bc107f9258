"""The engine process: `python -m sapwood.engine.process.worker FD` steps an engine for whoever holds the other end.

FD is a connected stream socket. The process lives as long as that connection: when the front end closes it, dies or
says Shutdown, it exits. It ignores SIGTERM and SIGINT, which reach every process of a service or a terminal: the front
end decides when its engine ends, after the requests have. No message and no request can end it.
"""

from __future__ import annotations

import ctypes
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sapwood import config
from sapwood.engine.engine_core import EngineCore
from sapwood.engine.logs import configure_logging
from sapwood.engine.model_assets import build_runner
from sapwood.engine.model_runner import ModelRunner, RunnerFactory
from sapwood.engine.process.framing import MessageError, MessageSocket
from sapwood.engine.process.messages import (
    Abort,
    Add,
    EngineConfig,
    KVSnapshot,
    MemoryPlan,
    Ping,
    Pong,
    Ready,
    Refused,
    ResetPrefixCache,
    Shutdown,
    Start,
    StartFailed,
    Step,
    ToEngine,
    TokenDelta,
)
from sapwood.engine.process.warm_up import warm_up
from sapwood.engine.scheduler import DuplicateRequestError, RequestTooLargeError, SchedulerConfig
from sapwood.models.registry import load_model_config
from sapwood.targets.errors import UnsupportedPlatform

#: beyond this the front end does not keep up, and the next step waits until it does
MAX_PENDING_BYTES = 64 * 1024 * 1024
#: how long a full step should take: nobody waits longer for a turn, and a few hundred tokens still share the weights
STEP_SECONDS = 0.25
_PR_SET_PDEATHSIG = 1

logger = logging.getLogger("sapwood.engine.process.worker")  # this module runs as __main__


class EngineWorker:
    """An engine behind a socket. runner_factory: builds the model runner, by default the one that compiles."""

    def __init__(self, sock: socket.socket, runner_factory: RunnerFactory | None = None) -> None:
        self._socket: MessageSocket[ToEngine] = MessageSocket(sock, ToEngine)
        self._runner_factory = runner_factory
        self._core: EngineCore | None = None
        self._poll = select.poll()
        self._done = False
        self._status = 0
        self._checked = True  # nothing happened since the last time that the block pool was to be checked

    def run(self) -> int:
        """Serve until the connection ends; the exit status."""
        while not self._done and not self._socket.closed:
            core = self._core
            busy = core is not None and core.has_unfinished_requests()
            if not busy or self._socket.num_pending_bytes > MAX_PENDING_BYTES:
                if core is not None and not busy:
                    if not self._checked:
                        self._guarded(core.check_when_idle)
                        self._checked = True
                    self._guarded(lambda core=core: self._tell_kv_events(core))
                self._wait()
            elif self._socket.num_pending_bytes:
                self._socket.flush()
            for message in self._socket.receive():
                self._guarded(lambda message=message: self._handle(message))
                if self._done:
                    break
            if self._done or self._socket.closed or core is None:
                continue
            if core.has_unfinished_requests() and self._socket.num_pending_bytes <= MAX_PENDING_BYTES:
                self._guarded(lambda core=core: self._step(core))
                self._checked = False
        return self._status

    def _guarded(self, action: Callable[[], object]) -> None:
        """Whatever a bug raises: every request is told, and the engine goes on with a fresh block pool."""
        try:
            action()
        except Exception as error:
            logger.exception("the engine failed; every request is aborted")
            if self._core is None:
                raise
            deltas = _aborted(self._core.reset(), f"the engine failed ({type(error).__name__})")
            self._send_step(self._core, deltas)

    def _wait(self) -> None:
        """Sleep until a message comes or, when something is left to send, until the peer takes it."""
        events = select.POLLIN | (select.POLLOUT if self._socket.num_pending_bytes else 0)
        self._poll.register(self._socket.fileno(), events)
        self._poll.poll()
        self._socket.flush()

    def _handle(self, message: ToEngine | MessageError) -> None:
        if isinstance(message, MessageError):
            logger.warning("refused a message: %s", message)
            self._socket.send(Refused(message.request_id, "invalid", str(message)))
        elif isinstance(message, Shutdown):
            self._done = True
        elif isinstance(message, Start):
            if self._core is None:
                self._start(message.config)
            else:
                self._socket.send(Refused("", "invalid", "the engine was started already"))
        elif self._core is None:
            request_id = message.request_id if isinstance(message, Add) else ""
            self._socket.send(Refused(request_id, "invalid", "the engine was not started; the first message is Start"))
        elif isinstance(message, Add):
            self._add(self._core, message)
        elif isinstance(message, Abort):
            self._core.abort_requests(message.request_ids)
        elif isinstance(message, Ping):
            self._socket.send(Pong(message.number, self._core.stats()))
        elif isinstance(message, ResetPrefixCache):
            self._core.reset_prefix_cache()
        elif isinstance(message, KVSnapshot):
            self._core.request_kv_snapshot()

    def _start(self, config: EngineConfig) -> None:
        began = time.monotonic()
        try:
            core = _build_core(config, self._runner_factory)
            if self._runner_factory is None:
                warm_up(core.runner)
        except Exception as error:
            # ValueError is what everything that reads a model or an option raises about it.
            user_error = isinstance(error, ValueError | UnsupportedPlatform | MemoryError)
            if not user_error:
                logger.exception("the engine cannot be built")
            plain = isinstance(error, ValueError | UnsupportedPlatform)
            message = str(error) if plain else f"{type(error).__name__}: {error}"
            self._socket.send(StartFailed(message, user_error))
            self._done, self._status = True, 1
            while self._socket.num_pending_bytes and not self._socket.closed:
                self._wait()
            return
        self._core = core
        runner = core.runner
        self._socket.send(
            Ready(
                pid=os.getpid(),
                vocab_size=runner.vocab_size,
                max_model_len=core.max_model_len,
                numerics_id=runner.numerics_id,
                memory=_memory_plan(runner),
                load_seconds=time.monotonic() - began,
            )
        )

    def _add(self, core: EngineCore, message: Add) -> None:
        try:
            core.add_request(
                message.request_id,
                message.prompt_token_ids,
                message.sampling_params,
                message.cache_salt,
                message.output_token_ids,
            )
        except RequestTooLargeError as error:
            refused = Refused(message.request_id, "too_large", str(error))
        except DuplicateRequestError as error:
            refused = Refused(message.request_id, "duplicate", str(error))
        except ValueError as error:
            refused = Refused(message.request_id, "invalid", str(error))
        except Exception as error:
            logger.exception("request %s could not be queued", message.request_id)
            refused = Refused(message.request_id, "failed", f"the engine failed to queue it ({type(error).__name__})")
        else:
            return
        self._socket.send(refused)

    def _step(self, core: EngineCore) -> None:
        deltas = core.step()
        try:
            self._send_step(core, deltas)
        except MessageError as error:
            logger.error("the results of a step cannot be sent: %s", error)
            ids = [delta.request_id for delta in deltas]
            core.abort_requests(ids)
            core.request_kv_snapshot()  # what was taken is lost with the message
            self._send_step(core, _aborted(ids, str(error)))

    def _send_step(self, core: EngineCore, deltas: list[TokenDelta]) -> None:
        self._socket.send(Step(time.monotonic(), deltas, core.stats(), core.take_kv_events()))

    def _tell_kv_events(self, core: EngineCore) -> None:
        """What happened to the cache besides steps, now that no step is going to tell it."""
        events = core.take_kv_events()
        if events is not None:
            self._socket.send(Step(time.monotonic(), [], core.stats(), events))


def _aborted(request_ids: Sequence[str], error: str) -> list[TokenDelta]:
    return [TokenDelta(request_id=i, finish_reason="abort", error=error) for i in request_ids]


def _build_core(config: EngineConfig, factory: RunnerFactory | None) -> EngineCore:
    runner = build_runner(config, load_model_config(Path(config.directory)), factory)
    limits = SchedulerConfig(
        config.max_num_batched_tokens,
        config.max_num_seqs,
        config.max_model_len,
        enable_prefix_caching=config.enable_prefix_caching,
    )
    return EngineCore(
        runner,
        limits,
        eos_token_ids=config.eos_token_ids,
        seed=config.seed,
        step_seconds=STEP_SECONDS,
        kv_events=config.kv_events,
    )


def _memory_plan(runner: ModelRunner) -> MemoryPlan:
    plan = getattr(runner, "memory_plan", None)
    if isinstance(plan, MemoryPlan):
        return plan
    return MemoryPlan(
        weights_bytes=0, arena_bytes=0, kv_bytes=0, block_bytes=0,
        num_blocks=runner.num_blocks, block_size=runner.block_size,
    )  # fmt: skip


def _end_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, also in the middle of a step."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (OSError, AttributeError):
        pass  # no Linux; the closed socket ends it after the step


def main(arguments: Sequence[str], runner_factory: RunnerFactory | None = None) -> int:
    """Serve on the socket whose number is the one argument; the exit status."""
    _end_with_parent()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    configure_logging(config.log_level(), config.log_format())
    with socket.socket(fileno=int(arguments[0])) as sock:
        return EngineWorker(sock, runner_factory).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
