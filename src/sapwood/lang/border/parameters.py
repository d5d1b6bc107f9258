"""Parameters of a call from Python: `*args` takes one place for each value that is passed."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import Parameter, Signature
from typing import Any, TypeVar

T = TypeVar("T")


def star_index(signature: Signature) -> int:
    """The place of `*args` among the parameters; -1 if there is none."""
    kinds = [p.kind for p in signature.parameters.values()]
    return kinds.index(Parameter.VAR_POSITIONAL) if Parameter.VAR_POSITIONAL in kinds else -1


def spread(items: Sequence[T], star: int, count: int) -> list[T]:
    """What is said of each parameter, for each of `count` values: repeated for those of `*args`."""
    if star < 0:
        return list(items)
    return [*items[:star], *[items[star]] * (count - len(items) + 1), *items[star + 1 :]]


def flatten(arguments: Sequence[Any], star: int) -> list[Any]:
    """The values of bound arguments, with those of `*args` one by one."""
    if star < 0:
        return list(arguments)
    return [*arguments[:star], *arguments[star], *arguments[star + 1 :]]


def spread_names(signature: Signature, count: int) -> list[str]:
    """A name for each of `count` values, as messages say it."""
    star = star_index(signature)
    names = spread(list(signature.parameters), star, count)
    for i in range(star, star + count - len(signature.parameters) + 1) if star >= 0 else ():
        names[i] = f"*{names[i]}[{i - star}]"
    return names
