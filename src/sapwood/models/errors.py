"""Errors about a model directory. Each names the file, the field, what was found and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

_MAX_SHOWN = 120


def shown(value: object) -> str:
    """`repr` that is safe to print: bounded in length, on one line, whatever a hostile file contained."""
    try:
        text = ascii(value)
    except (ValueError, RecursionError):  # an int beyond Python's digit limit, a bottomless list
        text = f"<{type(value).__name__}>"
    if len(text) > _MAX_SHOWN:
        text = f"{text[:_MAX_SHOWN]}... ({len(text)} characters)"
    return text


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about a name that is not known: the nearest that is, or nothing."""
    found = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {found[0]}?" if found else ""


class ModelError(ValueError):
    """A model directory cannot be used. `code` is stable; `file` and `field` say where."""

    code: ClassVar[str] = "M000"

    def __init__(self, message: str, *, file: str = "", field: str = "") -> None:
        self.file = file
        self.field = field
        super().__init__(f"[{self.code}] {file + ': ' if file else ''}{message}")


class ConfigError(ModelError):
    """A key of config.json (or a sibling) is missing, has the wrong type or an impossible value.

    Attributes: `file`, `field` (the key, dotted when nested), `found` (the value; None when missing) and
    `allowed` (a sentence).
    """

    code: ClassVar[str] = "M001"

    def __init__(
        self, message: str, *, file: str, field: str, found: object = None, allowed: str = ""
    ) -> None:
        self.found = found
        self.allowed = allowed
        super().__init__(message, file=file, field=field)


class WeightsError(ModelError):
    """A weight file does not say the truth about itself, or says something that is not supported.

    Attributes: `file`, `tensor` (name, or "" for the file as a whole), `field` (the header field that is
    wrong) and `limit` (a sentence with the numbers that bound it).
    """

    code: ClassVar[str] = "M002"

    def __init__(
        self, message: str, *, file: str, tensor: str = "", field: str = "", limit: str = ""
    ) -> None:
        self.tensor = tensor
        self.limit = limit
        where = f"tensor {shown(tensor)}: " if tensor else ""
        bound = f" ({limit})" if limit else ""
        super().__init__(f"{where}{message}{bound}", file=file, field=field)


class HubError(ModelError):
    """A model argument is neither a usable directory nor a repository that can be fetched."""

    code: ClassVar[str] = "M003"
