"""How far the native stack of the running thread may grow: compiled recursion ends with RecursionError before."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

from sapwood.runtime.jit import load_object, register_provider, register_symbol

# A quarter of the stack is left to Python, which compiled code may call, and to what does not check. The limit is found
# once for each thread and kept under a key of pthread: asking for it takes about two nanoseconds.
_SUPPORT = """
define i64 @sapwood_stack_limit() {
  %known = call i64 @pthread_getspecific(i32 ptrtoint (ptr @sapwood_stack_key to i32))
  %new = icmp eq i64 %known, 0
  br i1 %new, label %find, label %done
find:
  %attributes = alloca [64 x i8], align 8
  %low = alloca i64
  %size = alloca i64
  store i64 1, ptr %low
  store i64 0, ptr %size
  %self = call i64 @pthread_self()
  %failed = call i32 @pthread_getattr_np(i64 %self, ptr %attributes)
  %bad = icmp ne i32 %failed, 0
  br i1 %bad, label %keep, label %ask
ask:
  %r = call i32 @pthread_attr_getstack(ptr %attributes, ptr %low, ptr %size)
  %d = call i32 @pthread_attr_destroy(ptr %attributes)
  br label %keep
keep:
  %l = load i64, ptr %low
  %s = load i64, ptr %size
  %kept = lshr i64 %s, 2
  %limit = add i64 %l, %kept
  %k = call i32 @pthread_setspecific(i32 ptrtoint (ptr @sapwood_stack_key to i32), i64 %limit)
  ret i64 %limit
done:
  ret i64 %known
}
declare i64 @pthread_getspecific(i32)
declare i32 @pthread_setspecific(i32, i64)
declare i64 @pthread_self()
declare i32 @pthread_getattr_np(i64, ptr)
declare i32 @pthread_attr_getstack(ptr, ptr, ptr)
declare i32 @pthread_attr_destroy(ptr)
@sapwood_stack_key = external global i8
"""
_FUNCTIONS = (
    "pthread_getspecific", "pthread_setspecific", "pthread_self", "pthread_getattr_np", "pthread_attr_getstack",
    "pthread_attr_destroy",
)  # fmt: skip


def register_stack() -> None:
    """Let compiled code ask for `sapwood_stack_limit`."""
    register_provider("sapwood_stack_limit", lambda: _support().address("sapwood_stack_limit"))


@lru_cache(maxsize=1)
def _support() -> Any:
    from sapwood.runtime.support import compile_support

    libc = ctypes.CDLL(None)
    for name in _FUNCTIONS:
        register_symbol(name, ctypes.cast(getattr(libc, name), ctypes.c_void_p).value or 0)
    key = ctypes.c_uint()
    if libc.pthread_key_create(ctypes.byref(key), None):
        raise MemoryError("no pthread key is left")
    register_symbol("sapwood_stack_key", key.value)
    return load_object(compile_support(_SUPPORT))
