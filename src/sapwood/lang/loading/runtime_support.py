"""What compiled code needs from the process: the thread pool, and how much stack recursion may use."""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from sapwood import config
from sapwood.lang.library import pool_layout as pool
from sapwood.runtime import cgroup
from sapwood.runtime.error_layout import CALL_WORDS, STACK_LIMIT
from sapwood.runtime.jit import LoadedObject
from sapwood.runtime.stack import register_stack
from sapwood.targets.base import Target

if TYPE_CHECKING:
    from sapwood.lang.ir.ssa import Var

LIBC = ("malloc", "free", "__errno_location", "syscall", "pthread_create", "pthread_detach", "pthread_sigmask")
_lock = threading.Lock()
_state: ctypes.Array[ctypes.c_int64] | None = None


def thread_count() -> int:
    """Threads of the pool: SAPWOOD_NUM_THREADS, else what affinity and the cgroup quota allow."""
    asked = config.num_threads()
    if asked:
        return asked
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup.cpu_quota()
    return max(1, min(count, quota) if quota else count)


def install() -> None:
    """Register the symbols that compiled code refers to, once per process. The pool is made on first use."""
    global _state
    if _state is not None:
        return
    with _lock:
        if _state is not None:
            return
        from sapwood.runtime.jit import register_provider, register_symbol

        state = (ctypes.c_int64 * pool.WORDS)()
        _reset(state)
        register_stack()
        register_symbol("sapwood_pool_state", ctypes.addressof(state))
        libc = ctypes.CDLL(None)
        for c_name in LIBC:
            address = ctypes.cast(getattr(libc, c_name), ctypes.c_void_p).value
            assert address is not None
            register_symbol(c_name, address)
        name = "sapwood_parallel_for"
        register_provider(name, lambda: load_library("pool", _pool_text).address("sapwood_parallel_for"))
        for name in ERROR_FUNCTIONS:
            register_provider(name, partial(_error_function, name))
        os.register_at_fork(after_in_child=_after_fork)
        atexit.register(_park)
        _state = state


def _reset(state: ctypes.Array[ctypes.c_int64]) -> None:
    ctypes.memset(ctypes.addressof(state), 0, ctypes.sizeof(state))
    state[pool.THREADS] = thread_count()
    for i in range(16):
        state[pool.SIGNALS + i] = -1


def _after_fork() -> None:
    """Threads do not survive fork: begin anew, workers start with the next parallel loop."""
    if _state is not None:
        _reset(_state)


def _park() -> None:
    """At exit no more work is handed to workers; they sleep until the process ends."""
    if _state is not None:
        _state[pool.THREADS] = 1


def set_num_threads(n: int) -> int:
    """Use at most n threads (the caller included) from now on; gives the old number."""
    install()
    assert _state is not None
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"the number of threads must be at least 1, not {n!r}")
    old = int(_state[pool.LIMIT])
    old = old or int(_state[pool.THREADS])
    _state[pool.LIMIT] = min(n, int(_state[pool.THREADS]))
    return old


def num_threads() -> int:
    """Threads that a parallel loop uses now, the caller included."""
    install()
    assert _state is not None
    return int(_state[pool.LIMIT] or _state[pool.THREADS])


def load_library(name: str, text: Callable[[Target], str]) -> LoadedObject:
    """Load code of the runtime that is written in the language: from the cache, or made from LLVM text now."""
    from sapwood.lang.loading.current_target import current_target
    from sapwood.lang.loading.fingerprint import compiler_key, digest
    from sapwood.runtime.cache import default_store
    from sapwood.runtime.jit import load_object
    from sapwood.targets.codegen import emit_object

    target, store = current_target(), default_store()
    key = digest(name, target.key, compiler_key())
    obj = store.get_object(key) if store is not None else None
    if obj is None:
        obj = emit_object(text(target), target)
        if store is not None:
            store.put_object(key, obj)
    return load_object(obj)


def library_text(target: Target, instances: Sequence[tuple[Any, tuple[Var, ...], str]]) -> str:
    """LLVM text of functions of the library: (function, arguments, name) of each that C code calls."""
    from sapwood.lang.infer.interpreter import Interpreter, finish
    from sapwood.lang.ir.ssa import Program
    from sapwood.lang.lower.emitter import lower_program
    from sapwood.lang.passes.orders import settle_orders
    from sapwood.lang.passes.verify import verify

    interpreter = Interpreter(target)

    def walk() -> None:
        for function, arguments, name in instances:
            interpreter.instance(function, arguments, name)

    interpreter.settle(walk)
    functions = [i.function for i in interpreter.order]
    finish(functions)
    program = Program(functions[0], functions, {}, target)
    verify(program)
    for function in functions:
        settle_orders(function)
    return lower_program(program, target)


def _pool_text(target: Target) -> str:
    """LLVM text of the pool: `parallel_for` and `worker` of library/pool.py behind C functions."""
    from sapwood.lang import types as ty
    from sapwood.lang.ir.ssa import Var
    from sapwood.lang.library import pool

    words, word = ty.Ptr(ty.I64), ty.I64
    text = library_text(target, (
        (pool.worker, (Var(words), Var(words)), "pool_worker"),
        (pool.parallel_for, (Var(words), Var(word), Var(word), Var(word), Var(words)), "pool_parallel_for"),
    ))  # fmt: skip
    attributes = target.function_attributes(None)
    return text + f"""
@sapwood_pool_state = external global i8
declare i64 @sapwood_stack_limit()
define ptr @sapwood_pool_worker(ptr %state) {attributes} {{
  %record = alloca [{CALL_WORDS} x i64]
  %limit = call i64 @sapwood_stack_limit()
  %at = getelementptr i64, ptr %record, i64 {STACK_LIMIT}
  store i64 %limit, ptr %at
  %r = call {{i32}} @pool_worker(ptr %state, ptr %record, ptr %record)
  ret ptr null
}}
define i32 @sapwood_parallel_for(ptr %body, ptr %context, i64 %chunks, ptr %err) {attributes} {{
  %b = ptrtoint ptr %body to i64
  %c = ptrtoint ptr %context to i64
  %r = call {{i32, i32}} @pool_parallel_for(ptr @sapwood_pool_state, i64 %b, i64 %c, i64 %chunks, ptr %err, ptr %err)
  %s = extractvalue {{i32, i32}} %r, 1
  ret i32 %s
}}
"""


# C functions behind those of library/error_records.py: symbol -> (function, parameters, type of the result)
ERROR_FUNCTIONS = {
    "sapwood_error_matches": ("matches", "ptr %a, i64 %b", "i1"),
    "sapwood_error_shared": ("shared", "ptr %a", "i64"),
    "sapwood_error_share": ("share", "ptr %a", "i64"),
    "sapwood_error_object": ("as_object", "ptr %a", "i64"),
    "sapwood_error_raise_again": ("raise_again", "ptr %a, ptr %b", ""),
    "sapwood_error_discard": ("discard", "ptr %a", ""),
    "sapwood_error_context": ("set_context", "ptr %a, ptr %b", ""),
}


def _error_function(name: str) -> int:
    return _error_library().address(name)


@lru_cache(maxsize=1)
def _error_library() -> LoadedObject:
    return load_library("errors", _error_text)


def _error_text(target: Target) -> str:
    """LLVM text of library/error_records.py behind C functions; those without a result give 0."""
    from sapwood.lang import types as ty
    from sapwood.lang.ir.ssa import Var
    from sapwood.lang.library import error_records

    instances, wrappers = [], []
    for symbol, (name, parameters, result) in ERROR_FUNCTIONS.items():
        kinds = [p.split()[0] for p in parameters.split(", ")]
        arguments = tuple(Var(ty.Ptr(ty.I64) if k == "ptr" else ty.I64) for k in kinds)
        instances.append((getattr(error_records, name), arguments, f"error_{name}"))
        ret = f"{{i32, {result}}}" if result else "{i32}"
        out = result if result == "i64" else "i32"
        lines = [f"define {out} @{symbol}({parameters}) {target.function_attributes(None)} {{"]
        lines.append(f"  %record = alloca [{CALL_WORDS} x i64]")
        lines.append(f"  store [{CALL_WORDS} x i64] zeroinitializer, ptr %record")
        lines.append(f"  %r = call {ret} @error_{name}({parameters}, ptr %record)")
        if result:
            lines.append(f"  %x = extractvalue {ret} %r, 1")
        if result == "i1":
            lines.append("  %y = zext i1 %x to i32")
        lines.append(f"  ret {out} {'%y' if result == 'i1' else '%x' if result else '0'}\n}}")
        wrappers.append("\n".join(lines))
    return library_text(target, instances) + "\n" + "\n".join(wrappers) + "\n"
