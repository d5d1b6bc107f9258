"""Messages on a socket: a length (u32, little-endian) and that many bytes of msgpack.

Whatever bytes come in, reading gives messages or MessageErrors, and goes on.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec

from sapwood.engine.process.messages import MAX_FRAME_BYTES

PREFIX_BYTES = 4
_READ_BYTES = 1 << 18

T = TypeVar("T")


class MessageError(ValueError):
    """A frame is no message, or is longer than MAX_FRAME_BYTES.

    request_id: of the request that it was about, "" where that cannot be told.
    """

    def __init__(self, message: str, request_id: str = "") -> None:
        super().__init__(message)
        self.request_id = request_id


class _AnyRequest(msgspec.Struct):
    """What a message that does not decode still tells."""

    request_id: str = ""


_encoder = msgspec.msgpack.Encoder()
_any_request = msgspec.msgpack.Decoder(_AnyRequest)


def encode_frame(message: object, max_frame_bytes: int | None = None) -> bytes:
    """A message as a frame. Raises MessageError when it is too long or holds an integer beyond 64 bits.

    max_frame_bytes: MAX_FRAME_BYTES, unless given.
    """
    most = MAX_FRAME_BYTES if max_frame_bytes is None else max_frame_bytes
    buffer = bytearray(PREFIX_BYTES)
    try:
        _encoder.encode_into(message, buffer, PREFIX_BYTES)
    except (OverflowError, TypeError, ValueError) as error:
        raise MessageError(f"the message cannot be sent: {error}", getattr(message, "request_id", "")) from None
    size = len(buffer) - PREFIX_BYTES
    if size > most:
        request_id = getattr(message, "request_id", "")
        raise MessageError(f"the message has {size} bytes; allowed: at most {most}", request_id)
    buffer[:PREFIX_BYTES] = size.to_bytes(PREFIX_BYTES, "little")
    return bytes(buffer)


class FrameReader(Generic[T]):
    """Bytes in, messages of one type out. A frame that is too long is skipped, not stored.

    max_frame_bytes: MAX_FRAME_BYTES, unless given.
    """

    def __init__(self, kind: Any, max_frame_bytes: int | None = None) -> None:
        self._buffer = bytearray()
        self._skip = 0
        self.expect(kind, max_frame_bytes)

    def expect(self, kind: Any, max_frame_bytes: int | None = None) -> None:
        """From the next frame on, another type and limit."""
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(kind)
        self._max_frame_bytes = MAX_FRAME_BYTES if max_frame_bytes is None else max_frame_bytes

    def feed(self, data: bytes) -> list[T | MessageError]:
        """The messages that are complete with `data`, in order."""
        return list(self.read(data))

    def read(self, data: bytes) -> Iterator[T | MessageError]:
        """As `feed`, each decoded when it is asked for: `expect` may be called in between."""
        buffer, start = self._buffer, 0
        buffer += data
        try:
            while True:
                if self._skip:
                    skipped = min(self._skip, len(buffer) - start)
                    start, self._skip = start + skipped, self._skip - skipped
                if self._skip or len(buffer) - start < PREFIX_BYTES:
                    return
                size = int.from_bytes(buffer[start : start + PREFIX_BYTES], "little")
                if size > self._max_frame_bytes:
                    start, self._skip = start + PREFIX_BYTES, size
                    yield MessageError(f"a frame of {size} bytes; allowed: at most {self._max_frame_bytes}")
                    continue
                end = start + PREFIX_BYTES + size
                if len(buffer) < end:
                    return
                raw = bytes(buffer[start + PREFIX_BYTES : end])
                start = end
                yield self._decode(raw)
        finally:
            del buffer[:start]

    def _decode(self, raw: bytes) -> T | MessageError:
        try:
            return self._decoder.decode(raw)
        # RecursionError: msgspec bounds the depth of what it builds, and says so with this class.
        except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
            return MessageError(f"not a message: {error}", _request_id(raw))


def _request_id(raw: bytes) -> str:
    try:
        return _any_request.decode(raw).request_id
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""


class MessageSocket(Generic[T]):
    """The engine's end: never blocks in sending, and in receiving only when asked to. Closed: the peer is gone."""

    def __init__(self, sock: socket.socket, kind: Any) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._reader: FrameReader[T] = FrameReader(kind)
        self._out = bytearray()
        self.closed = False

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def num_pending_bytes(self) -> int:
        """What the peer has not taken yet."""
        return len(self._out)

    def send(self, message: object) -> None:
        """Queue a message and send what the peer takes at once. Raises MessageError for one that cannot be sent."""
        self._out += encode_frame(message)
        self.flush()

    def flush(self) -> None:
        """Send what the peer takes at once."""
        sent = 0
        try:
            with memoryview(self._out) as view:
                while sent < len(view):
                    sent += self._socket.send(view[sent : sent + _READ_BYTES])
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.closed = True
            sent = len(self._out)
        del self._out[:sent]

    def receive(self) -> Iterator[T | MessageError]:
        """Everything that has come, without waiting."""
        while not self.closed:
            try:
                data = self._socket.recv(_READ_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                self.closed = True
                return
            yield from self._reader.feed(data)

    def close(self) -> None:
        self.closed = True
        self._socket.close()
