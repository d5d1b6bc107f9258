"""What Python's own exceptions say: asked of the Python that runs, since versions differ."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=256, typed=True)
def python_text(function: Callable[..., Any], *args: Any) -> str:
    """The text of the exception that a call raises, for example python_text(operator.mod, 1.0, 0.0)."""
    try:
        function(*args)
    except Exception as e:
        return str(e)
    raise AssertionError(f"{function} raised nothing")
