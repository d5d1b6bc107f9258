"""Values that may be None, and structs that may lead to themselves, as text."""

from __future__ import annotations

from sapwood.lang.function import fn
from sapwood.lang.infer.text.formatting import fields_text


@fn(unchecked=True)
def object_repr(x) -> str:
    """The repr of a struct on the heap: a function of its own, because its fields may be of the same class."""
    return fields_text(x)


@fn(unchecked=True)
def optional_str(x) -> str:
    return "None" if x is None else str(x)


@fn(unchecked=True)
def optional_repr(x) -> str:
    return "None" if x is None else repr(x)


@fn(unchecked=True)
def optional_ascii(x) -> str:
    return "None" if x is None else ascii(x)
