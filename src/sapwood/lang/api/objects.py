"""Python objects in compiled code."""

from __future__ import annotations

from typing import Any


def as_object(x: Any) -> Any:
    """The value as a Python object: what is done with it from here on is what Python does, at Python's speed.

    In Python it is `x` itself. In compiled code numbers, text and containers become new objects; functions, classes
    and modules known at compile time are the very objects: `as_object(json).loads(text)`.
    """
    return x
