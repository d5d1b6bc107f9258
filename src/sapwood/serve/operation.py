"""A row of the table of routes, and what happens to a request between the socket and its handler."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sapwood.engine.client import EngineError
from sapwood.serve.body import (
    ClientDisconnected,
    check_content_type,
    decode_json_body,
    discard_body,
    header,
    read_body,
)
from sapwood.serve.context import RequestContext, ServerState, context_of
from sapwood.serve.disconnect import run_while_connected
from sapwood.serve.errors import ApiError, from_engine_error, render, status_for
from sapwood.serve.sse import EventStream, EventWriter

logger = logging.getLogger("sapwood.serve")

#: (state, context, decoded body or None, path parameters) -> a struct of `response`, a Reply or an EventStream
Handler = Callable[
    [ServerState, RequestContext, Any, dict[str, Any]], Awaitable["msgspec.Struct | Reply | EventStream"]
]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is made already."""

    body: bytes
    media_type: str
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route: routing and the OpenAPI document are both made from it.

    name: OpenAPI's operationId. path: with {parameters} as Starlette writes them. request: struct of the body, or
    None. response: struct of a 200; None for `media_type`. event: type of the data of its events, if it may answer in
    events. errors: statuses besides those that every route has. public: needs no API key. statuses: others that answer
    with `response`, and what they mean.
    """

    name: str
    method: str
    path: str
    summary: str
    handler: Handler
    request: Any = None
    response: Any = None
    media_type: str = "application/json"
    event: Any = None
    errors: tuple[int, ...] = ()
    public: bool = False
    statuses: tuple[tuple[int, str], ...] = ()


class OperationApp:
    """An operation as an ASGI application."""

    def __init__(self, operation: Operation, state: ServerState) -> None:
        self._operation = operation
        self._state = state
        self._decoder = None if operation.request is None else msgspec.json.Decoder(operation.request)
        self._encoder = msgspec.json.Encoder()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = context_of(scope)
        context.operation = self._operation.name
        if self._decoder is None:
            await self._answer(context, None, scope, send)
            return
        body = await self._body(scope, receive, self._decoder)
        await run_while_connected(receive, self._answer(context, body, scope, send))

    async def _body(self, scope: Scope, receive: Receive, decoder: msgspec.json.Decoder[Any]) -> Any:
        config = self._state.config
        check_content_type(scope)
        if self._operation.event is not None:
            # Before the body is waited for: under overload the turns of the event loop are what is scarce.
            self._state.client.check_admission()
        raw = await read_body(scope, receive, config.max_body_bytes, config.body_timeout)
        return await decode_json_body(raw, decoder)

    async def _answer(self, context: RequestContext, body: Any, scope: Scope, send: Send) -> None:
        stream: EventStream | None = None
        writer: EventWriter | None = None
        try:
            # Both are CLOCK_MONOTONIC. What the body took to come counts too.
            async with asyncio.timeout_at(context.started + self._state.config.request_timeout):
                result = await self._operation.handler(self._state, context, body, scope["path_params"])
                if isinstance(result, EventStream):
                    stream, writer = result, EventWriter(send, self._state.config.keep_alive_interval)
                    await writer.run(stream)
                    return
            await send_reply(send, self._reply(result))
        except Exception as error:
            answer = self._api_error(error, context)
            if writer is None or stream is None or not writer.started:
                raise answer from None
            await writer.fail(stream.format_error(answer))

    def _reply(self, result: msgspec.Struct | Reply) -> Reply:
        if isinstance(result, Reply):
            return result
        return Reply(self._encoder.encode(result), "application/json")

    def _api_error(self, error: Exception, context: RequestContext) -> ApiError:
        if isinstance(error, TimeoutError):
            limit = self._state.config.request_timeout
            return ApiError(408, f"The request took longer than {limit:g} seconds.", code="request_timeout", close=True)
        return to_api_error(error, context)


def to_api_error(error: Exception, context: RequestContext) -> ApiError:
    """The answer to any exception. What nobody expected is logged, without its text: that may hold a prompt."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, EngineError):
        return from_engine_error(error)
    if isinstance(error, HTTPException):
        headers = tuple((k.lower().encode(), v.encode()) for k, v in (error.headers or {}).items())
        allowed = (error.headers or {}).get("Allow", "another method")
        what = {
            404: f"There is no {context.path!r} here; /openapi.json says what there is.",
            405: f"{context.method} is not allowed here; allowed: {allowed}.",
        }
        return ApiError(
            error.status_code, what.get(error.status_code, "The request cannot be served."), headers=headers
        )
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("request %s failed: %s\n%s", context.request_id, type(error).__name__, where)
    return ApiError(
        500, f"The server failed; its log says more under request id {context.request_id}.", code="internal_error"
    )


async def send_reply(send: Send, reply: Reply) -> None:
    headers = [
        (b"content-type", reply.media_type.encode()),
        (b"content-length", b"%d" % len(reply.body)),
        *reply.headers,
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})


async def send_error(send: Send, error: ApiError, context: RequestContext) -> None:
    body = render(error, context.family, context.request_id)
    status = status_for(error.status, context.family)
    await send_reply(send, Reply(body, "application/json", status, tuple(error.headers())))


class ErrorMiddleware:
    """Answers with what was raised. A client that has gone gets nothing; an answer that began is cut off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False
        body_read = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            await send(message)
            started = True

        async def watched_receive() -> Message:
            nonlocal body_read
            message = await receive()
            body_read = body_read or not message.get("more_body", False)
            return message

        async def send_and_discard(message: Message) -> None:
            """The answer is complete by its length; it ends after the body that it did not wait for."""
            if message["type"] == "http.response.body":
                await send({**message, "more_body": True})
                await discard_body(receive)
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        try:
            await self._app(scope, watched_receive, watched_send)
        except ClientDisconnected:
            return
        except Exception as error:
            context = context_of(scope)
            answer = to_api_error(error, context)
            if not started:
                # A client that waits for "100 Continue" has not begun to send its body, and gets a final status.
                expects = header(scope, b"expect") is not None
                whole = body_read or answer.close or expects
                await send_error(send if whole else send_and_discard, answer, context)
