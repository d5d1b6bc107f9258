"""One TCP connection that carries messages; what both of its ends have in common."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from sapwood.engine.process.framing import FrameReader, MessageError, encode_frame

logger = logging.getLogger(__name__)


class Link(asyncio.Protocol):
    """A subclass says what is done when the link is `opened`, with each message `received`, and when it has `ended`.

    kind, max_frame_bytes: of what comes, until `expect` says otherwise. max_buffered_bytes: what the peer may leave
    unread before the link is cut. silence: seconds for which nothing came, by the count of whoever calls `tick`.
    """

    def __init__(self, kind: Any, max_frame_bytes: int, *, max_buffered_bytes: int) -> None:
        self._reader: FrameReader[Any] = FrameReader(kind, max_frame_bytes)
        self._max_buffered_bytes = max_buffered_bytes
        self._transport: asyncio.Transport | None = None
        self._finishing = False
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()  # gets the reason
        self.silence = 0.0
        self.peer = "?"

    def opened(self) -> None:
        """The connection is there."""

    def received(self, message: Any) -> None:
        """A message, or the MessageError that stands for one."""
        raise NotImplementedError

    def ended(self, reason: str) -> None:
        """Called once; nothing is received or sent after it."""

    # -- what the owner calls --------------------------------------------------------------------------------

    def expect(self, kind: Any, max_frame_bytes: int | None) -> None:
        self._reader.expect(kind, max_frame_bytes)

    def send(self, message: object, max_frame_bytes: int | None = None) -> None:
        """Queue a message; nothing happens when the link has ended. Raises MessageError."""
        frame = encode_frame(message, max_frame_bytes)
        if self._transport is None or self._finishing or self.gone.done():
            return
        unread = self._transport.get_write_buffer_size()
        if unread > self._max_buffered_bytes:  # without this message, which may be a large one
            self.cut(f"{unread} bytes were not read; allowed: {self._max_buffered_bytes}")
        else:
            self._transport.write(frame)

    def tick(self, elapsed: float, limit: float) -> None:
        """Count `elapsed` seconds, and cut the link after `limit` of them without a byte."""
        self.silence += elapsed
        if self.silence > limit:
            self.cut(f"nothing was heard for {self.silence:.1f} s")

    def cut(self, reason: str) -> None:
        """End the connection now; what was not sent is dropped."""
        self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    def finish(self, seconds: float) -> None:
        """Send what is queued, hear no more, and end when the peer does, or after `seconds`.

        Closing at once would reset the connection where input is unread, and the reset overtakes the last message.
        """
        if self._transport is None or self._finishing or self.gone.done():
            return
        self._finishing = True
        self._transport.write_eof()
        timer = asyncio.get_running_loop().call_later(seconds, self.cut, "it was finished")
        self.gone.add_done_callback(lambda gone: timer.cancel())

    # -- what asyncio calls ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        address = transport.get_extra_info("peername")
        self.peer = f"{address[0]}:{address[1]}" if address else "?"
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.opened()

    def data_received(self, data: bytes) -> None:
        self.silence = 0.0
        if self._finishing:
            return
        for message in self._reader.read(data):
            try:
                self.received(message)
            except Exception:  # a bug of ours; closing the connection would take all requests along
                logger.exception("a message from %s could not be handled", self.peer)
            if self._finishing or self.gone.done():
                return

    def eof_received(self) -> None:
        self.cut("the peer closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("the connection was lost" if exc else "the peer closed the connection")

    def _end(self, reason: str) -> None:
        if not self.gone.done():
            self.gone.set_result(reason)
            self.ended(reason)


async def count_silence(seconds: float, tick: Callable[[float], None]) -> None:
    """Call `tick` with the seconds since the last call, some times within `seconds`, for ever.

    A pause of this very process is not the peers': a call counts for about one period, however late it comes.
    """
    period = min(1.0, seconds / 8)
    loop = asyncio.get_running_loop()
    ticked = loop.time()
    while True:
        await asyncio.sleep(period)
        now = loop.time()
        tick(min(now - ticked, 2 * period))
        ticked = now


def is_garbage(message: object) -> bool:
    """Bytes that are no message and do not tell which request they were about: nothing after them can be trusted."""
    return isinstance(message, MessageError) and not message.request_id
