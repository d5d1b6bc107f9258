"""GET /health, /ping, /version and /load: how the server is."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

import sapwood
from sapwood.serve.context import RequestContext, ServerState
from sapwood.serve.errors import RETRY_AFTER_RESTART
from sapwood.serve.operation import Reply


class HealthReport(msgspec.Struct):
    """status: "ok", and else "starting", "stuck", "dead" or "draining"; then the HTTP status is 503."""

    status: Literal["ok", "starting", "stuck", "dead", "draining"]
    detail: str


class Version(msgspec.Struct):
    version: str


class Load(msgspec.Struct):
    """server_load: requests that are not finished."""

    server_load: int


async def health(state: ServerState, context: RequestContext, request: None, path: dict[str, Any]) -> Reply:
    """Whether requests are answered: the engine lives, and steps end while work waits."""
    found = state.client.health()
    body = msgspec.json.encode({"status": found.state, "detail": found.detail})
    if found.ok:
        return Reply(body, "application/json")
    return Reply(body, "application/json", 503, ((b"retry-after", b"%d" % RETRY_AFTER_RESTART),))


async def version(state: ServerState, context: RequestContext, request: None, path: dict[str, Any]) -> Version:
    """Of this server."""
    return Version(sapwood.__version__)


async def load(state: ServerState, context: RequestContext, request: None, path: dict[str, Any]) -> Load:
    """For load balancers."""
    return Load(state.client.num_unfinished_requests())
