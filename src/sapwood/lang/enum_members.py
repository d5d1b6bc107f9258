"""Members of an Enum as compiled code holds them at run time: one int."""

from __future__ import annotations

import enum
from functools import lru_cache

from sapwood.lang import types as ty
from sapwood.lang.values import Spec


@lru_cache(maxsize=256)
def members(cls: type[enum.Enum]) -> tuple[enum.Enum, ...]:
    """All members in the order of their definition, each once."""
    return tuple(dict.fromkeys(cls.__members__.values()))


def by_value(cls: type[enum.Enum]) -> bool:
    """Whether the value itself tells a member: it is an int of 64 bits."""
    if not issubclass(cls, int | enum.Flag):
        return False
    return all(type(m.value) is int and -(2**63) <= m.value < 2**63 for m in members(cls))


def has_layout(cls: type[enum.Enum]) -> bool:
    """Whether a member can be held at run time."""
    return bool(members(cls)) and (by_value(cls) or not issubclass(cls, int | enum.Flag))


def spec_of_class(cls: type[enum.Enum]) -> Spec:
    return Spec("agg", ty.Enum(cls), (Spec("leaf", ty.I64),))


def code(member: enum.Enum) -> int:
    cls = type(member)
    return int(member.value) if by_value(cls) else members(cls).index(member)
