"""Every environment variable of Sapwood: name, type, default, meaning. Read when asked for, so that a test or
a program may change them; a bad value raises ConfigError naming the variable and what it allows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

DEBUG_STEPS = ("hir", "ssa", "llvm", "asm", "graph", "fused", "plan")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")


class ConfigError(ValueError):
    """An environment variable has a value that it does not allow."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        super().__init__(f"{name}={value!r}: {allowed}")
        self.name = name


@dataclass(frozen=True)
class Variable:
    """One environment variable."""

    name: str
    default: str
    allowed: str
    meaning: str
    secret: bool = False  # its value is never shown


VARIABLES = {
    v.name: v
    for v in (
        Variable("SAPWOOD_DEBUG", "", f"comma list of {', '.join(DEBUG_STEPS)}", "print the output of these steps"),
        Variable("SAPWOOD_CACHE", "1", "0 or 1", "keep compiled code on disk"),
        Variable("SAPWOOD_CACHE_DIR", "", "a directory", "where; default $XDG_CACHE_HOME/sapwood, ~/.cache/sapwood"),
        Variable("SAPWOOD_CACHE_MAX_MB", "1024", "a number of at least 1", "size at which old entries are removed"),
        Variable("SAPWOOD_NUM_THREADS", "", "a number from 1 to 1024", "threads; default: affinity and cgroup"),
        Variable("SAPWOOD_DISABLE_FEATURES", "", "comma list of CPU features, LLVM's names", "do not use these"),
        Variable("SAPWOOD_OPT_LEVEL", "3", "a number from 0 to 3", "how much LLVM optimises: 0 compiles fastest"),
        Variable("SAPWOOD_LOG_LEVEL", "info", ", ".join(LOG_LEVELS), "what `sapwood serve` logs, from this level up"),
        Variable("SAPWOOD_LOG_FORMAT", "text", ", ".join(LOG_FORMATS), "how: key=value text, or JSON"),
        Variable("SAPWOOD_API_KEY", "", "a key", "lets requests into `sapwood serve` that bring it", secret=True),
        Variable("SAPWOOD_API_KEYS", "", "comma list of keys", "the same, for more than one", secret=True),
        Variable("SAPWOOD_SCHEDULE_SEED", "", "a number from 0 to 2147483647", "order of threads in checked launches"),
        Variable("SAPWOOD_TARGET", "", "a target's name", "compile for this target instead of the host's"),
    )
}

_overrides: dict[str, str] = {}


def _read(name: str) -> str:
    if name in _overrides:
        return _overrides[name]
    return os.environ.get(name, VARIABLES[name].default)


@contextmanager
def override(**values: str) -> Iterator[None]:
    """Set variables for the duration of a block: `override(SAPWOOD_NUM_THREADS="1")`."""
    for name in values:
        if name not in VARIABLES:
            raise KeyError(name)
    saved = dict(_overrides)
    _overrides.update(values)
    try:
        yield
    finally:
        _overrides.clear()
        _overrides.update(saved)


def _number(name: str, low: int, high: int) -> int:
    text = _read(name)
    try:
        value = int(text)
    except ValueError:
        raise ConfigError(name, text, VARIABLES[name].allowed) from None
    if not low <= value <= high:
        raise ConfigError(name, text, VARIABLES[name].allowed)
    return value


def _words(name: str) -> frozenset[str]:
    return frozenset(w.strip() for w in _read(name).split(",") if w.strip())


def debug() -> frozenset[str]:
    steps = _words("SAPWOOD_DEBUG")
    if not steps <= set(DEBUG_STEPS):
        raise ConfigError("SAPWOOD_DEBUG", _read("SAPWOOD_DEBUG"), VARIABLES["SAPWOOD_DEBUG"].allowed)
    return steps


def cache_enabled() -> bool:
    return bool(_number("SAPWOOD_CACHE", 0, 1))


def cache_directory() -> str | None:
    """The cache's directory, or None when there is no place for one."""
    own = _read("SAPWOOD_CACHE_DIR")
    if own:
        return own
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "sapwood") if os.path.isabs(base) else None


def cache_max_bytes() -> int:
    return _number("SAPWOOD_CACHE_MAX_MB", 1, 1 << 30) << 20


def num_threads() -> int:
    """Threads asked for; 0 when the machine decides."""
    return _number("SAPWOOD_NUM_THREADS", 1, 1024) if _read("SAPWOOD_NUM_THREADS") else 0


def opt_level() -> int:
    return _number("SAPWOOD_OPT_LEVEL", 0, 3)


def disable_features() -> list[str]:
    return sorted(_words("SAPWOOD_DISABLE_FEATURES"))


def _one_of(name: str, words: tuple[str, ...]) -> str:
    text = _read(name)
    if text not in words:
        raise ConfigError(name, text, VARIABLES[name].allowed)
    return text


def log_level() -> str:
    return _one_of("SAPWOOD_LOG_LEVEL", LOG_LEVELS)


def log_format() -> str:
    return _one_of("SAPWOOD_LOG_FORMAT", LOG_FORMATS)


def api_keys() -> list[str]:
    """Keys from SAPWOOD_API_KEY and SAPWOOD_API_KEYS, each once, in that order."""
    one = _read("SAPWOOD_API_KEY").strip()
    more = [key.strip() for key in _read("SAPWOOD_API_KEYS").split(",")]
    return list(dict.fromkeys(key for key in [one, *more] if key))


def schedule_seed() -> int | None:
    """Of the order in which a checked launch runs blocks, warps and threads; None: another for each launch."""
    return _number("SAPWOOD_SCHEDULE_SEED", 0, 2**31 - 1) if _read("SAPWOOD_SCHEDULE_SEED") else None


def target() -> str:
    return _read("SAPWOOD_TARGET")
