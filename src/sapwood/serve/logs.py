"""What a server says: a line for each request, and events of its own. How lines are made: `engine/logs.py`.

Nothing here ever holds prompts, generated text, keys, headers or paths.
"""

from __future__ import annotations

import logging
from typing import IO, Any

from sapwood.engine import logs

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


class _Known(logging.Filter):
    """Drops what is said of every malformed request, and of writing to a client that has just left (the next turn of
    the event loop ends its request). Metrics count both, and a client could fill the disk."""

    MESSAGES = frozenset(
        {"Invalid HTTP request received.", "Unsupported upgrade request.", "socket.send() raised exception."}
    )

    def filter(self, record: logging.LogRecord) -> bool:
        return record.getMessage() not in self.MESSAGES


def configure_logging(level: str = "info", form: str = "text", stream: IO[str] | None = None) -> None:
    """See `engine/logs.py`. Raises ValueError."""
    logs.configure_logging(level, form, stream, ("uvicorn", "asyncio"))
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        if not any(isinstance(known, _Known) for known in logger.filters):
            logger.addFilter(_Known())
