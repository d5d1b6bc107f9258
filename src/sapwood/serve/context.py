"""What a handler is given: the server's own state, and what is known of the request besides its body."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field

import anyio
from starlette.types import Scope

from sapwood.engine.client import EngineClient
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


class ServerState:
    """What all requests share."""

    def __init__(self, client: EngineClient, config: ServerConfig) -> None:
        self.client = client
        self.config = config
        self.serial = itertools.count()  # engine requests; clients choose the ids of HTTP requests, also twice the same
        self.created = int(time.time())
        self.tokenizer_limiter = anyio.CapacityLimiter(config.tokenizer_threads)
        self.large_prompt = asyncio.Semaphore(1)  # one at a time: small ones never wait for a queue of large ones
