"""`NativeFunction`: a callable whose calls land in compiled code.

Its vectorcall pointer leads to the newest entry; an entry that does not like the arguments passes them on to
the next, and the last link calls the Python function `slow`. Before there is any entry the pointer is null
and calls go to `slow` through the type's call slot.
"""

from __future__ import annotations

import ctypes
from typing import Any

from sapwood.runtime.heaptype import HEADER, make_type, set_call, supported
from sapwood.runtime.jit import LoadedObject, load_object

VECTORCALL_AT, SLOW_AT, DICT_AT, WEAKLIST_AT = HEADER, HEADER + 8, HEADER + 16, HEADER + 24

_slow_stub: int = 0

# vectorcallfunc that hands everything to `self->slow`
_STUB = f"""
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
define ptr @sapwood_slow(ptr %self, ptr %args, i64 %nargsf, ptr %kwnames) {{
  %at = getelementptr i8, ptr %self, i64 {SLOW_AT}
  %slow = load ptr, ptr %at
  %r = tail call ptr @PyObject_Vectorcall(ptr %slow, ptr %args, i64 %nargsf, ptr %kwnames)
  ret ptr %r
}}
"""

if supported():
    NativeFunction: Any = make_type(
        "sapwood.NativeFunction",
        HEADER + 32,
        objects={"slow": SLOW_AT},
        words={"_vectorcall": VECTORCALL_AT},
        vectorcall=VECTORCALL_AT,
        dict_at=DICT_AT,
        weaklist_at=WEAKLIST_AT,
    )

    def _init(self: Any, slow: Any) -> None:
        self.slow = slow

    NativeFunction.__init__ = _init
    set_call(NativeFunction, lambda self, *args, **kwargs: self.slow(*args, **kwargs))
else:  # other Pythons: the slow path alone

    class _SlowFunction:
        def __init__(self, slow: Any) -> None:
            self.slow = slow

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return self.slow(*args, **kwargs)

    NativeFunction = _SlowFunction


def _stub_address() -> int:
    global _slow_stub
    if not _slow_stub:
        from sapwood.runtime.support import compile_support

        _slow_stub = load_object(compile_support(_STUB)).address("sapwood_slow")
    return _slow_stub


def push_entry(fn: Any, loaded: LoadedObject, entry: str) -> None:
    """Put an entry at the head of the function's chain; the old head becomes its next link."""
    following = fn._vectorcall or _stub_address()
    ctypes.c_int64.from_address(loaded.address(f"{entry}.next")).value = following
    fn._vectorcall = loaded.address(entry)


def clear_entries(fn: Any) -> None:
    """Let every call go to the slow path again."""
    fn._vectorcall = 0
