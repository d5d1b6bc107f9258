"""Logs of a server: one line an event, as JSON or as key=value text, on standard error.

Nothing here ever holds prompts, generated text, keys or headers. What else comes from a client (its request id, its
address) is escaped, so that it can neither end a line nor steer a terminal. Tracebacks name places in our code and the
class of an exception; its text, which may quote a prompt, only for loggers of our own that pass it on purpose.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Mapping
from typing import IO, Any

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")

access_logger = logging.getLogger("sapwood.access")
server_logger = logging.getLogger("sapwood.server")


def log_access(*, status: int, started_response: int, finish_reasons: tuple[str, ...], **values: Any) -> None:
    """One line about a request that ended. Values that are None or empty are left out; seconds get 4 digits."""
    if not access_logger.isEnabledFor(logging.INFO):
        return
    shown: dict[str, Any] = {"status": status}
    if started_response not in (0, status):
        shown["started_response"] = started_response
    if finish_reasons:
        shown["finish_reason"] = ",".join(dict.fromkeys(finish_reasons))
    for name, value in values.items():
        if value is None or value == "" or (value == 0 and name.endswith("_tokens")):
            continue
        shown[name] = round(value, 4) if isinstance(value, float) else value
    access_logger.info("request", extra={"values": shown})


def log_event(message: str, level: int = logging.INFO, **values: Any) -> None:
    """An event of the server itself, with values under names."""
    server_logger.log(level, message, extra={"values": values})


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


class _Known(logging.Filter):
    """Drops what uvicorn says of every malformed request: a metric counts those, and a client could fill the disk."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.getMessage() not in ("Invalid HTTP request received.", "Unsupported upgrade request.")


def configure_logging(level: str = "info", form: str = "text", stream: IO[str] | None = None) -> None:
    """Send the logs of this process to `stream` (standard error) in one of FORMATS, from one of LEVELS up.

    Raises ValueError for other words.
    """
    if level not in LEVELS:
        raise ValueError(f"level is {level!r}; allowed: {', '.join(LEVELS)}")
    if form not in FORMATS:
        raise ValueError(f"form is {form!r}; allowed: {', '.join(FORMATS)}")
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    number = logging.getLevelName(level.upper())
    for name in ("sapwood", "uvicorn", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(max(number, logging.WARNING) if name != "sapwood" else number)
    uvicorn_errors = logging.getLogger("uvicorn.error")
    if not any(isinstance(known, _Known) for known in uvicorn_errors.filters):
        uvicorn_errors.addFilter(_Known())
