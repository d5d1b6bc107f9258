"""Values that may be None, as text."""

from __future__ import annotations

from sapwood.lang.function import fn


@fn(unchecked=True)
def optional_str(x) -> str:
    return "None" if x is None else str(x)


@fn(unchecked=True)
def optional_repr(x) -> str:
    return "None" if x is None else repr(x)


@fn(unchecked=True)
def optional_ascii(x) -> str:
    return "None" if x is None else ascii(x)
