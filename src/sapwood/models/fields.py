"""Typed reading of JSON from a model directory.

A missing key, a wrong type or an impossible value is an error that names the key, what was found and what is
allowed. No value is ever guessed from a wrong one.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from sapwood.models.errors import ConfigError, shown

MAX_JSON_BYTES = 64 * 1024 * 1024
INT_MAX = 2**31 - 1

T = TypeVar("T")
_REQUIRED: Any = object()


def read_json_object(path: str | os.PathLike[str]) -> dict[str, object]:
    """The JSON object in a file. Raises ConfigError if it is absent, too large or malformed."""
    file = str(path)
    try:
        if not Path(path).is_file():
            raise ConfigError("is missing", file=file, field="", allowed="a JSON file")
        with open(path, "rb") as handle:
            raw = handle.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error}", file=file, field="") from error
    if len(raw) > MAX_JSON_BYTES:
        raise ConfigError(f"is larger than {MAX_JSON_BYTES} bytes", file=file, field="")
    try:
        value = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"is not valid JSON: {shown(str(error))}", file=file, field="") from None
    if not isinstance(value, dict):
        raise ConfigError(f"must hold a JSON object, found {type(value).__name__}", file=file, field="")
    return value


class Fields:
    """A JSON object with typed access. `prefix` names it when it is nested ("rope_scaling.")."""

    def __init__(self, values: Mapping[str, object], file: str, prefix: str = "") -> None:
        self.values = values
        self.file = file
        self.prefix = prefix

    def has(self, key: str) -> bool:
        """True when the key is present and not null."""
        return self.values.get(key) is not None

    def reject(self, key: str, allowed: str) -> NoReturn:
        """Raise ConfigError: the value of `key` is not allowed."""
        found = self.values.get(key)
        raise ConfigError(
            f"{self.prefix}{key} is {shown(found)}; allowed: {allowed}",
            file=self.file,
            field=self.prefix + key,
            found=found,
            allowed=allowed,
        )

    def _get(self, key: str, default: object, allowed: str) -> object:
        value = self.values.get(key)
        if value is not None:
            return value
        if default is not _REQUIRED:
            return default
        state = "is null" if key in self.values else "is missing"
        raise ConfigError(
            f"{self.prefix}{key} {state}; required: {allowed}",
            file=self.file,
            field=self.prefix + key,
            allowed=allowed,
        )

    def integer(self, key: str, least: int = 1, most: int = INT_MAX, default: T = _REQUIRED) -> int | T:
        """An integer in [least, most]. A bool or a float is not one."""
        allowed = f"an integer from {least} to {most}"
        value = self._get(key, default, allowed)
        if value is default:
            return default
        if type(value) is not int or not least <= value <= most:
            self.reject(key, allowed)
        return value

    def number(
        self, key: str, above: float = -math.inf, most: float = math.inf, default: T = _REQUIRED
    ) -> float | T:
        """A finite number in (above, most]."""
        allowed = f"a finite number above {above:g}" + (f", at most {most:g}" if most < math.inf else "")
        value = self._get(key, default, allowed)
        if value is default:
            return default
        if not isinstance(value, int | float) or isinstance(value, bool):
            self.reject(key, allowed)
        try:
            number = float(value)
        except OverflowError:
            self.reject(key, allowed)
        if not math.isfinite(number) or not above < number <= most:
            self.reject(key, allowed)
        return number

    def boolean(self, key: str, default: T = _REQUIRED) -> bool | T:
        """true or false."""
        value = self._get(key, default, "true or false")
        if value is default:
            return default
        if not isinstance(value, bool):
            self.reject(key, "true or false")
        return value

    def string(self, key: str, choices: tuple[str, ...] = (), default: T = _REQUIRED) -> str | T:
        """A string, one of `choices` if there are any."""
        allowed = "one of " + ", ".join(choices) if choices else "a string"
        value = self._get(key, default, allowed)
        if value is default:
            return default
        if not isinstance(value, str) or (choices and value not in choices):
            self.reject(key, allowed)
        return value

    def token_ids(self, key: str, vocab_size: int) -> tuple[int, ...]:
        """A token id, a list of them, or nothing: always as a tuple, without repeats."""
        allowed = f"a token id from 0 to {vocab_size - 1}, or a list of them"
        value = self.values.get(key)
        if value is None:
            return ()
        found = value if isinstance(value, list) else [value]
        ids = [i for i in found if type(i) is int and 0 <= i < vocab_size]
        if len(ids) != len(found):
            self.reject(key, allowed)
        return tuple(dict.fromkeys(ids))

    def nested(self, key: str) -> Fields | None:
        """The object at `key`, or None when it is absent or null."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.reject(key, "an object")
        return Fields(value, self.file, f"{self.prefix}{key}.")
