"""Server-sent events (WHATWG HTML, section 9.2), fed in pieces of any size."""

from __future__ import annotations

MAX_EVENT = 16 * 1024 * 1024


class EventStreamError(Exception):
    """The bytes are not an event stream that can be read."""


class EventStream:
    """Bytes in, the data of complete events out. Comments and unknown fields are skipped."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._first = True

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of the events that `piece` completes. Raises EventStreamError for an event that is too long."""
        text = self._rest + piece if self._rest else piece
        if b"\r" in text:
            # A "\r" at the end may be half of a "\r\n".
            held = text.endswith(b"\r")
            text = (text[:-1] if held else text).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            text += b"\r" if held else b""
        if self._first:
            if len(text) < 3 and b"\xef\xbb\xbf".startswith(text):
                self._rest = text
                return []
            text = text.removeprefix(b"\xef\xbb\xbf")
            self._first = False
        lines = text.split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) + sum(map(len, self._data)) > MAX_EVENT:
            raise EventStreamError(f"an event of more than {MAX_EVENT} bytes")
        events: list[bytes] = []
        for line in lines:
            if not line:
                if self._data:
                    events.append(b"\n".join(self._data))
                    self._data = []
            elif line.startswith(b"data:"):
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif line == b"data":
                self._data.append(b"")
        return events

    @property
    def in_event(self) -> bool:
        """Whether an event has begun that is not complete: at the end of a stream, it was cut off."""
        return bool(self._data) or bool(self._rest.strip())
