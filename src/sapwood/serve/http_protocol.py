"""HTTP/1.1 on a socket: uvicorn's h11 protocol with limits on time, size and number that uvicorn leaves out.

A connection is always in one of these phases, and every one of them ends by itself:

    headers    from the first byte of a request (on a new connection: from its start) until the headers are complete
    body       until the last byte of the request's body
    response   the application works; the client reads: a reader that stops is cut off after `write_timeout`
    discard    the response was sent before the body had come (a 413): the rest is read and thrown away for a while,
               because closing at once would reset the connection before the client had read the answer
    idle       between two requests

When all connections are taken, the one that has waited longest without a request in progress makes room. A client
that opens thousands of connections and says nothing therefore keeps nobody out.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, cast

import h11
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

RESERVED_FILES = 128
"""File descriptors that are left for everything but clients: listening sockets, the engine, logs, refusals."""

MAX_LINGERING = 64
LINGER_SECONDS = 2.0
LINGER_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Seconds, bytes and numbers for one server.

    header_timeout: for complete request headers. body_timeout: for a complete body. keep_alive_timeout: between
    requests; above the 90 s for which Go's clients keep connections, because a server that closes first resets their
    next request. write_timeout: for a client that does not read what it asked for. discard_timeout, discard_bytes:
    for the rest of a body whose request was answered already. max_header_bytes: request line and headers together.
    """

    header_timeout: float = 20.0
    body_timeout: float = 60.0
    keep_alive_timeout: float = 120.0
    write_timeout: float = 60.0
    discard_timeout: float = 10.0
    discard_bytes: int = 64 << 20
    max_header_bytes: int = 64 << 10
    max_connections: int = 4096


@dataclass(eq=False)
class Connections:
    """What the connections of one server share.

    waiting: connections with no request in progress, the longest waiting first. closed: how many the server ended,
    by reason: "header_timeout", "body_timeout", "write_timeout", "discarded", "evicted", "refused" or "invalid".
    """

    limits: ConnectionLimits
    active: int = 0
    waiting: dict[Protocol, None] = field(default_factory=dict)
    closed: Counter[str] = field(default_factory=Counter)
    lingering: int = 0

    def protocol(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> Protocol:
        """What uvicorn calls for each new connection (its `http` setting)."""
        return Protocol(self, config, server_state, app_state, _loop)


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one, at most 65536; the soft limit that holds afterwards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return soft
    return wanted


def connections_allowed(wanted: int, file_limit: int) -> int:
    """At most `wanted` connections, and so few that RESERVED_FILES descriptors stay free. Raises ValueError."""
    allowed = min(wanted, file_limit - RESERVED_FILES)
    if allowed < 1:
        raise ValueError(
            f"the limit of open files is {file_limit} (ulimit -n); a server needs more than {RESERVED_FILES}"
        )
    return allowed


class _H11Connection(h11.Connection):
    """Remembers which status h11 suggests for what it could not parse: 400, 431 (headers too large) or 501.

    Frames the pieces of a chunked body itself: a stream has one for each token, they change nothing in h11's state, and
    its way through it costs as much as the socket's.
    """

    error_status = 400
    _chunked = False

    def send(self, event: Any) -> bytes | None:
        if self._chunked and type(event) is h11.Data and self.our_state is h11.SEND_BODY:
            data = event.data
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        output = super().send(event)
        if type(event) is h11.Response:
            self._chunked = output is not None and b"\r\nTransfer-Encoding: chunked\r\n" in output
        return output

    def next_event(self) -> Any:
        try:
            return super().next_event()
        except h11.RemoteProtocolError as error:
            self.error_status = error.error_status_hint
            raise


class Protocol(H11Protocol):
    """One connection. uvicorn's class parses, runs the application and writes; this one watches the clock."""

    conn: _H11Connection

    def __init__(
        self,
        shared: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self.shared = shared
        self.limits = shared.limits
        self.timeout_keep_alive = shared.limits.keep_alive_timeout
        self.conn = _H11Connection(h11.SERVER, shared.limits.max_header_bytes)
        self._phase: object = None  # "headers", "response", "idle", ("body" or "discard", request)
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._received = False  # anything since the last request
        self._discarded = 0
        self._lingering = False
        self._counted = False

    # -- called by the transport -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        shared = self.shared
        if shared.active >= self.limits.max_connections and not self._make_room():
            self.transport = transport
            shared.closed["refused"] += 1
            self._answer_and_linger(503, "the server has no connection left; try again", b"retry-after: 1\r\n")
            return
        shared.active += 1
        self._counted = True
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timers()
        self.shared.waiting.pop(self, None)
        if self._lingering:
            self.shared.lingering -= 1
            self._lingering = False
        if self._counted:
            self._counted = False
            self.shared.active -= 1
            super().connection_lost(exc)
            self._unset_keepalive_if_required()  # uvicorn leaves it armed when the connection broke

    def data_received(self, data: bytes) -> None:
        if self._lingering or not self._counted:
            self._discard(len(data), LINGER_BYTES)
            return
        if self.transport.is_closing():
            return
        if isinstance(self._phase, tuple) and self._phase[0] == "discard":
            self._discard(len(data), self.limits.discard_bytes)
            if self.transport.is_closing():
                return
        self._received = True
        super().data_received(data)
        self._watch()

    def eof_received(self) -> None:
        if self._lingering:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.limits.write_timeout, self._writing_timed_out)

    def resume_writing(self) -> None:
        self._cancel_write_timer()
        super().resume_writing()

    # -- called by uvicorn -------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        self._received = False
        super().on_response_complete()
        if not self.transport.is_closing():
            self._watch()

    def send_400_response(self, msg: str) -> None:
        self.shared.closed["invalid"] += 1
        status = self.conn.error_status
        limit = self.limits.max_header_bytes
        too_large = f"the request line and headers are larger than {limit} bytes"
        self._fail(status, too_large if status == 431 else "this is not a valid HTTP request")

    def _should_upgrade(self) -> bool:
        return False  # no WebSockets; a request for an upgrade is answered as if it had not asked

    def timeout_keep_alive_handler(self) -> None:
        if not self.transport.is_closing() and self.conn.our_state is h11.IDLE:
            super().timeout_keep_alive_handler()
        else:
            self.transport.close()

    def shutdown(self) -> None:
        if self._lingering:
            self.transport.abort()
        elif self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    # -- phases ------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Set the timer that belongs to what the connection waits for now."""
        if self._lingering or self.transport.is_closing():
            return
        theirs, ours = self.conn.their_state, self.conn.our_state
        if theirs is h11.IDLE:
            idle = self.timeout_keep_alive_task is not None and not self._received
            self._enter("idle" if idle else "headers")
        elif theirs is h11.SEND_BODY:
            self._enter(("discard" if ours in (h11.DONE, h11.MUST_CLOSE) else "body", self.cycle))
        else:
            self._enter("response")

    def _enter(self, phase: object) -> None:
        if phase == self._phase:
            return
        self._phase = phase
        self._cancel_timer()
        waiting = phase in ("idle", "headers")
        if waiting:
            self.shared.waiting.setdefault(self)
        else:
            self.shared.waiting.pop(self, None)
        limits = self.limits
        if phase == "headers":
            self._timer = self.loop.call_later(limits.header_timeout, self._headers_timed_out)
        elif isinstance(phase, tuple):
            self._discarded = 0
            seconds, ended = (
                (limits.body_timeout, self._body_timed_out)
                if phase[0] == "body"
                else (limits.discard_timeout, self._discard_timed_out)
            )
            self._timer = self.loop.call_later(seconds, ended)

    def _headers_timed_out(self) -> None:
        self._timer = None
        self.shared.closed["header_timeout"] += 1
        if self._received:
            self._fail(408, f"the request's headers did not arrive within {self.limits.header_timeout:g} seconds")
        else:
            self.transport.close()

    def _body_timed_out(self) -> None:
        self._timer = None
        self.shared.closed["body_timeout"] += 1
        self._fail(408, f"the request's body did not arrive within {self.limits.body_timeout:g} seconds")

    def _discard_timed_out(self) -> None:
        self._timer = None
        self.shared.closed["discarded"] += 1
        self.transport.close()

    def _writing_timed_out(self) -> None:
        self._write_timer = None
        self.shared.closed["write_timeout"] += 1
        self.transport.abort()  # close() would wait for the client to read

    def _discard(self, size: int, limit: int) -> None:
        self._discarded += size
        if self._discarded > limit and not self.transport.is_closing():
            self.shared.closed["discarded"] += 1
            self.transport.abort()

    def _make_room(self) -> bool:
        """Close the connection that has waited longest for a request; False if every one is at work."""
        for other in self.shared.waiting:
            self.shared.closed["evicted"] += 1
            other.transport.abort()  # connection_lost comes later; what it counts is counted now
            self.shared.waiting.pop(other)
            other._leave()
            return True
        return False

    def _leave(self) -> None:
        """Free the place in the count; the rest of connection_lost follows when the transport calls it."""
        if self._counted:
            self._counted = False
            self.shared.active -= 1
            self._stop_timers()
            self._unset_keepalive_if_required()
            self.connections.discard(self)

    # -- endings -----------------------------------------------------------------------------------------

    def _fail(self, status: int, message: str) -> None:
        """End the connection with an error response, or without one if another response has begun."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the application sees a client that left
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self.transport.is_closing():
            self._answer_and_linger(status, message)
        else:
            self.transport.close()

    def _answer_and_linger(self, status: int, message: str, more_headers: bytes = b"") -> None:
        """Write a whole response, say that nothing follows, and give the client a moment to read it.

        A socket that is closed with unread input resets the connection, and the client loses the response with it.
        """
        kind = "overloaded_error" if status == 503 else "invalid_request_error"
        error = {"message": message, "type": kind, "param": None, "code": None}
        body = msgspec.json.encode({"error": error})
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n"
        )
        self.transport.write(head.encode("ascii") + more_headers + b"\r\n" + body)
        if self.shared.lingering >= MAX_LINGERING or not self.transport.can_write_eof():
            self.transport.close()
            return
        self._stop_timers()
        self._unset_keepalive_if_required()
        self.shared.waiting.pop(self, None)
        self.shared.lingering += 1
        self._lingering = True
        self._discarded = 0
        self.transport.write_eof()
        self.transport.resume_reading()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _stop_timers(self) -> None:
        self._cancel_timer()
        self._cancel_write_timer()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cancel_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
}


def http_class(connections: Connections) -> type[asyncio.Protocol]:
    """`connections.protocol` under the type that uvicorn's settings declare; uvicorn only calls it."""
    return cast("type[asyncio.Protocol]", connections.protocol)
