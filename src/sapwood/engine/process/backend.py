"""What runs requests for an `AsyncLLM`: an engine process (supervisor.py), or several engines behind a router."""

from __future__ import annotations

from typing import Protocol

from sapwood.engine.client import Health
from sapwood.engine.process.messages import EngineStats, Ready


class EngineBackend(Protocol):
    """Made with three callables. on_message: gets every Step and Refused. on_lost: gets a sentence when every request
    that was sent is lost. busy: whether requests wait for a token. Methods are called from one event loop."""

    @property
    def ready(self) -> Ready | None:
        """What the engine said of itself; None while none takes requests."""
        ...

    @property
    def stats(self) -> EngineStats: ...

    @property
    def num_restarts(self) -> int: ...

    @property
    def max_num_seqs(self) -> int:
        """Texts that run at once."""
        ...

    def health(self) -> Health: ...

    async def start(self) -> Ready:
        """Begin, and wait until requests are taken. Raises EngineStartError; then nothing is left."""
        ...

    def send(self, message: object) -> None:
        """Queue Add, Abort or ResetPrefixCache. Raises EngineError when nothing takes it (EngineDeadError,
        EngineOverloadedError), MessageError when it cannot be sent."""
        ...

    def ping(self) -> None:
        """Ask for fresh statistics."""
        ...

    async def wait_ended(self) -> None:
        """Return when there is nothing that takes requests, and will be nothing."""
        ...

    async def close(self) -> None: ...
