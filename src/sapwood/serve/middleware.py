"""What every request passes on its way in, outermost first: RequestMiddleware, HostMiddleware, AuthMiddleware.

Plain ASGI classes: nothing here stands between a stream and its client.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import uuid
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sapwood.models.errors import shown
from sapwood.serve.body import header
from sapwood.serve.config import LOOPBACK_NAMES, ServerConfig
from sapwood.serve.context import SCOPE_KEY, RequestContext, context_of
from sapwood.serve.errors import ApiError, Family, family_of

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class RequestMiddleware:
    """Gives a request its context and id, and its answer the id and headers that keep browsers careful."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = header(scope, b"x-request-id")
        request_id = given if given and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        path = scope["path"]
        family = family_of(path)
        scope[SCOPE_KEY] = RequestContext(request_id, scope["method"], path, family)

        names = (b"x-request-id", b"request-id") if family is Family.ANTHROPIC else (b"x-request-id",)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    *((name, request_id.encode()) for name in names),
                    *_SECURITY_HEADERS,
                ]
            await send(message)

        await self._app(scope, receive, with_headers)


class HostMiddleware:
    """Refuses requests that name another host, where no API key is asked for.

    A page of any web site may point its own name at 127.0.0.1 and then read answers (DNS rebinding); its requests
    name that site.
    """

    def __init__(self, app: ASGIApp, config: ServerConfig) -> None:
        self._app = app
        names = {*LOOPBACK_NAMES, config.host.lower(), *(name.lower() for name in config.allowed_hosts)}
        self._names = frozenset(names) if config.checks_host_header else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._names is not None:
            given = header(scope, b"host")
            if given is not None and _host_name(given) not in self._names:
                raise ApiError(
                    403,
                    f"The Host header is {shown(given)}, which is not a name of this server; start it with API keys, "
                    "or allow the name (--allowed-host).",
                    code="host_not_allowed",
                )
        await self._app(scope, receive, send)


def _host_name(given: str) -> str:
    given = given.strip().lower()
    match = re.fullmatch(r"\[([^\]]*)\](?::[0-9]*)?|([^:]*)(?::[0-9]*)?", given)
    return "" if match is None else (match.group(1) or match.group(2) or "")


class AuthMiddleware:
    """Asks for an API key on every path but the public ones.

    Taken are `Authorization: Bearer KEY`, `x-api-key: KEY` and, for browsers, HTTP Basic with the key as password.
    Digests of equal length are compared, all of them, whichever fits: time tells nothing of the keys.
    """

    def __init__(self, app: ASGIApp, keys: Iterable[str], public: Iterable[str], pages: Iterable[str] = ()) -> None:
        self._app = app
        self._digests = [_digest(key) for key in keys]
        self._public = frozenset(public)
        self._pages = frozenset(pages)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._digests and scope["path"] not in self._public:
            given = _given_key(scope)
            digest = _digest(given or "")
            found = False
            for known in self._digests:
                found |= hmac.compare_digest(digest, known)
            if not found:
                scheme = b'Basic realm="sapwood", charset="UTF-8"' if scope["path"] in self._pages else b"Bearer"
                what = "The API key is wrong" if given else "An API key is needed"
                raise ApiError(
                    401,
                    f"{what}: send 'Authorization: Bearer KEY' or 'x-api-key: KEY'.",
                    code="invalid_api_key",
                    headers=((b"www-authenticate", scheme),),
                )
            context_of(scope).tenant = digest.hex()[:16]
        await self._app(scope, receive, send)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _given_key(scope: Scope) -> str | None:
    authorization = header(scope, b"authorization")
    if authorization is not None:
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return value.strip()
        if scheme.lower() == "basic":
            try:
                return base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")[2]
            except (binascii.Error, ValueError):
                return None
    return header(scope, b"x-api-key")
