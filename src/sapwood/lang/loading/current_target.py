"""The targets that functions and kernels are compiled for now."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from sapwood import config
from sapwood.targets.base import Target, get_target, host_target

attached: WeakSet[Any] = WeakSet()  # functions that have entries
_heads: dict[str, WeakKeyDictionary[Any, int]] = {}  # target -> function -> head of its chain
_target_override: list[Target] = []


def current_target() -> Target:
    """The target that functions are compiled for now."""
    if _target_override:
        return _target_override[-1]
    return _default_target(config.target(), tuple(config.disable_features()), config.opt_level())


@lru_cache(maxsize=32)
def _default_target(name: str | None, disabled: tuple[str, ...], level: int) -> Target:
    chosen = get_target(name) if name else None
    chosen = host_target() if chosen is None or chosen.kernel else chosen
    return chosen if chosen.opt_level == level else replace(chosen, opt_level=level)


def kernel_target() -> Target:
    """The target that kernels are compiled for and launched on now: SAPWOOD_TARGET if it has kernels, else simt."""
    return _kernel_target(config.target(), current_target())


@lru_cache(maxsize=32)
def _kernel_target(name: str, host: Target) -> Target:
    chosen = get_target(name) if name else None
    if chosen is not None and chosen.kernel and not chosen.name.startswith("simt"):
        return chosen
    from sapwood.targets import simt

    return simt.on(host, chosen.name.partition(":")[2] if chosen is not None and chosen.kernel else "")


class use_target:
    """`with use_target(t):` compile and run for another target (tests of lower feature levels).

    Each target has entries of its own: a function's chain is exchanged on the way in and out. Not for use
    from several threads at once.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.outer = ""

    def __enter__(self) -> Target:
        self.outer = current_target().key
        _exchange_entries(self.outer, self.target.key)
        _target_override.append(self.target)
        return self.target

    def __exit__(self, *exc: object) -> None:
        _target_override.pop()
        _exchange_entries(self.target.key, self.outer)


def _exchange_entries(old: str, new: str) -> None:
    """Put aside the entries for one target and take up those for another, or the same."""
    for fn in list(attached):
        _heads.setdefault(old, WeakKeyDictionary())[fn] = fn._vectorcall
        fn._vectorcall = _heads.setdefault(new, WeakKeyDictionary()).get(fn, 0)
