"""Room for the compiler's own recursion: it follows chains of calls and long expressions of the program."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import ParamSpec, TypeVar

FRAME_BYTES = 800  # of the native stack that a frame of the compiler takes at most
MAIN_STACK = 8 << 20

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def deep_recursion() -> Iterator[None]:
    """As many frames as the native stack of this thread has room for."""
    old = sys.getrecursionlimit()
    main = threading.current_thread() is threading.main_thread()
    stack = MAIN_STACK if main else threading.stack_size() or MAIN_STACK
    sys.setrecursionlimit(max(old, stack // FRAME_BYTES))
    try:
        yield
    finally:
        with suppress(RecursionError):  # deeper than that now: who raised the limit lowers it
            sys.setrecursionlimit(old)


def deeply(f: Callable[P, R]) -> Callable[P, R]:
    """Run the function with room for deep recursion."""

    @wraps(f)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with deep_recursion():
            return f(*args, **kwargs)

    return run
