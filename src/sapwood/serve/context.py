"""What a handler is given: the server's own state, and what is known of the request besides its body."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from starlette.types import Scope

from sapwood.engine.client import EngineClient
from sapwood.engine.outputs import RequestOutput
from sapwood.serve.config import ServerConfig
from sapwood.serve.errors import Family

SCOPE_KEY = "sapwood.request"


@dataclass(slots=True, eq=False)
class RequestContext:
    """One HTTP request. `started` is CLOCK_MONOTONIC seconds.

    operation: name of the matched route in the table, "" before one matched. tenant: stands for the API key, without
    being it; "" when there are no keys.
    """

    request_id: str
    method: str
    path: str
    family: Family
    started: float = field(default_factory=time.monotonic)
    operation: str = ""
    tenant: str = ""


def context_of(scope: Scope) -> RequestContext:
    """The context that the outermost middleware made."""
    return scope[SCOPE_KEY]


Observer = Callable[[RequestContext, RequestOutput], None]


def _observe_nothing(context: RequestContext, output: RequestOutput) -> None:
    pass


class ServerState:
    """What all requests share.

    observe: called with every output of the engine before it is formatted; it must be quick and must not raise.
    """

    def __init__(self, client: EngineClient, config: ServerConfig, observe: Observer | None = None) -> None:
        self.client = client
        self.config = config
        self.observe = observe or _observe_nothing
        self.created = int(time.time())
        self.tokenizer_limiter = anyio.CapacityLimiter(config.tokenizer_threads)
        self.large_prompt = asyncio.Semaphore(1)  # one at a time: small ones never wait for a queue of large ones
