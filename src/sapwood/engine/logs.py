"""Log lines of a server's processes: one line an event, as JSON or as key=value text.

Nothing in them can end a line or steer a terminal: what is not printable ASCII is escaped. Tracebacks name places in
our code and the class of an exception, never its text, which may quote a prompt. Values that an event has besides its
message are in the record's attribute `values`, a dict.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Mapping
from typing import IO, Any

from sapwood.config import LOG_FORMATS, LOG_LEVELS


def escaped(text: str) -> str:
    """Printable ASCII; everything else as an escape of JSON."""
    return json.dumps(text)[1:-1].replace("\x7f", "\\u007f")


def _places(record: logging.LogRecord) -> tuple[str, list[str]] | None:
    """Class of an exception, and file:line:function of its frames, innermost last."""
    if not record.exc_info or record.exc_info[0] is None:
        return None
    kind, _, trace = record.exc_info
    frames = traceback.extract_tb(trace)[-20:]
    return kind.__name__, [f"{frame.filename}:{frame.lineno}:{frame.name}" for frame in frames]


def _values(record: logging.LogRecord) -> Mapping[str, Any]:
    values = getattr(record, "values", None)
    return values if isinstance(values, Mapping) else {}


def _timestamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}Z"


class JsonFormatter(logging.Formatter):
    """time (UTC), level, logger and message first, then the event's values."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in _values(record).items():
            line.setdefault(name, value)
        places = _places(record)
        if places is not None:
            line["exception"], line["traceback"] = places
        return json.dumps(line, default=str).replace("\x7f", "\\u007f")


class TextFormatter(logging.Formatter):
    """time level logger: message key=value ..."""

    def format(self, record: logging.LogRecord) -> str:
        parts = [_timestamp(record.created), record.levelname.lower(), record.name + ":", escaped(record.getMessage())]
        parts += [f"{escaped(name)}={_text_value(value)}" for name, value in _values(record).items()]
        places = _places(record)
        if places is not None:
            parts.append(f"exception={escaped(places[0])} traceback={_text_value(' < '.join(reversed(places[1])))}")
        return " ".join(parts)


def _text_value(value: Any) -> str:
    text = escaped(value if isinstance(value, str) else str(value))
    return f'"{text}"' if not text or any(c in text for c in ' ="') else text


class _LineHandler(logging.StreamHandler[IO[str]]):
    """Begins each line at the margin of a terminal, over a line that tells of progress."""

    def format(self, record: logging.LogRecord) -> str:
        margin = "\r\x1b[K" if self.stream.isatty() else ""
        return margin + super().format(record)


def configure_logging(level: str, form: str, stream: IO[str] | None = None, names: tuple[str, ...] = ()) -> None:
    """Send the logs of this process to `stream` (standard error) in one of LOG_FORMATS, from one of LOG_LEVELS up.

    names: loggers besides ours that are shown too, from warnings up. Raises ValueError for other words.
    """
    if level not in LOG_LEVELS:
        raise ValueError(f"level is {level!r}; allowed: {', '.join(LOG_LEVELS)}")
    if form not in LOG_FORMATS:
        raise ValueError(f"form is {form!r}; allowed: {', '.join(LOG_FORMATS)}")
    handler = _LineHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    number = logging.getLevelName(level.upper())
    for name in ("sapwood", *names):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(number if name == "sapwood" else max(number, logging.WARNING))
