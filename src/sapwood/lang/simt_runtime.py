"""Launches on simt, the Python side: the scheduler's code, and memory for the blocks that run."""

from __future__ import annotations

import ctypes
import math
import mmap
import threading
from functools import lru_cache, partial
from typing import Any

from sapwood.lang.launch import LaunchConfig, check_shared
from sapwood.lang.loading.current_target import kernel_target
from sapwood.lang.types import I64, Ptr
from sapwood.runtime.jit import LoadedObject, register_provider
from sapwood.targets.base import Target
from sapwood.targets.simt.copies import FUNCTIONS


def install() -> None:
    """Register the symbol that kernels refer to; the scheduler is made on first use."""
    for name in ("sapwood_simt_launch", *FUNCTIONS, *(f"sapwood_check_{name}" for name in (*CHECKS, *ORDERS))):
        register_provider(name, partial(_address, name))


def _address(name: str) -> int:
    return _library().address(name)


@lru_cache(maxsize=1)
def _library() -> LoadedObject:
    from sapwood.lang.loading.runtime_support import load_library

    return load_library("simt", _scheduler_text)


CHECKS = {  # functions of library/simt_check.py, and how many numbers they take
    "read": 7, "write": 7, "update": 7, "lanes": 9, "wrong": 5, "pause": 2, "issued": 6,
}  # fmt: skip
ORDERS = {"acquire": 3, "release": 3, "fence": 3, "publish": 3, "observe": 3}  # of library/simt_orders.py


def _scheduler_text(target: Target) -> str:
    """LLVM text of library/simt.py behind C functions."""
    from sapwood.lang.ir.ssa import Var
    from sapwood.lang.library import simt as scheduler
    from sapwood.lang.library import simt_check, simt_orders
    from sapwood.lang.library import simt_copies as copies
    from sapwood.lang.loading.runtime_support import library_text

    words, copy_functions, wrappers = Ptr(I64), [], []
    attributes = target.function_attributes(None)
    for symbol, (name, count, has_result) in FUNCTIONS.items():
        arguments = (Var(words), *(Var(I64) for _ in range(count - 1)))
        copy_functions.append((getattr(copies, name), arguments, f"copies_{name}"))
        params = ", ".join(["ptr %p0", *(f"i64 %p{i}" for i in range(1, count))])
        result = "{i32, i1}" if has_result else "{i32}"
        lines = [f"define {'i64' if has_result else 'void'} @{symbol}({params}) {attributes} {{"]
        lines.append(f"  %r = call {result} @copies_{name}({params}, ptr null)")
        if has_result:
            lines += ["  %x = extractvalue {i32, i1} %r, 1", "  %y = zext i1 %x to i64"]
        wrappers.append("\n".join([*lines, f"  ret {'i64 %y' if has_result else 'void'}", "}"]))
    text = library_text(target, (  # those first that others call: a function has the name that it gets first
        *copy_functions,
        *((getattr(module, name), (Var(words), *(Var(I64) for _ in range(n))), f"simt_check_{name}")
          for module, table in ((simt_check, CHECKS), (simt_orders, ORDERS)) for name, n in table.items()),
        (scheduler.run_slots, (Var(words), Var(I64)), "simt_run_slots"),
        (scheduler.launch, (Var(words), Var(words)), "simt_launch"),
    ))  # fmt: skip
    checks = "".join(_check(name, n, attributes) for name, n in (CHECKS | ORDERS).items())
    return text + "\n".join(wrappers) + "\n" + checks + f"""
define i32 @sapwood_simt_run_slots(ptr %context, i64 %worker, ptr %record) {attributes} {{
  %r = call {{i32, i32}} @simt_run_slots(ptr %context, i64 %worker, ptr %record)
  %s = extractvalue {{i32, i32}} %r, 1
  ret i32 %s
}}
define i32 @sapwood_simt_launch(ptr %context, ptr %record) {attributes} {{
  %r = call {{i32, i32}} @simt_launch(ptr %context, ptr %record, ptr %record)
  %s = extractvalue {{i32, i32}} %r, 1
  ret i32 %s
}}
"""


def _check(name: str, count: int, attributes: str) -> str:
    """A C function of library/simt_check.py or simt_orders.py, which gives an i64 or nothing."""
    gives = name not in (*ORDERS, "issued")
    result, pack = ("i64", "{i32, i64}") if gives else ("void", "{i32}")
    words = ", ".join(["ptr %slot", *(f"i64 %w{i}" for i in range(count))])
    answer = f"  %s = extractvalue {pack} %r, 1\n  ret i64 %s" if gives else "  ret void"
    return (
        f"define {result} @sapwood_check_{name}({words}) {attributes} {{\n"
        f"  %r = call {pack} @simt_check_{name}({words}, ptr null)\n{answer}\n}}\n"
    )


KEEP_BYTES = 64 << 20  # larger arenas go back to the system

_free = threading.local()


def memory(nbytes: int) -> mmap.mmap:
    """New memory, which is zero."""
    try:
        return mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # not shared with forks
    except (OSError, OverflowError) as e:
        raise MemoryError(f"the threads of the blocks that run at one time need {nbytes} bytes") from e


class Arena:
    """Memory for the blocks that run at one time: shared memory and the frames of their threads.

    Taken in a `with` block. Each Python thread keeps its last one, so that launches do not ask the system again.
    """

    def __init__(self, nbytes: int) -> None:
        kept = getattr(_free, "memory", None)
        _free.memory = None  # a launch inside of a launch takes new memory
        self.memory: Any = kept if kept is not None and len(kept) >= nbytes else memory(max(nbytes, 1 << 20))

    def __enter__(self) -> int:
        self.view = ctypes.c_char.from_buffer(self.memory)
        return ctypes.addressof(self.view)

    def __exit__(self, *exc: object) -> None:
        del self.view
        if len(self.memory) <= KEEP_BYTES:
            _free.memory = self.memory


def run(specialisation: Any, config: LaunchConfig, values: list[Any]) -> None:
    """Launch loaded code of a kernel and wait for its end. Raises LaunchMistake, and what the kernel raises."""
    from sapwood.lang.loading.runtime_support import num_threads

    code = _code(specialisation)
    check_shared(code.name, code.shared, config, kernel_target())
    slots = min(num_threads(), math.prod(config.grid) // config.group)
    if kernel_target().checks:
        _run_checked(specialisation, code, config, values)
        return
    nbytes = code.slot_bytes(math.prod(config.block), config.shared) * slots * config.group
    with Arena(nbytes) as arena:
        sizes = (*config.grid, *config.block, *config.cluster)
        specialisation.call([*sizes, config.group, config.shared, arena, slots, 0, *values])


def _run_checked(specialisation: Any, code: _Code, config: LaunchConfig, values: list[Any]) -> None:
    """A launch that reports what is wrong in the kernel, on one thread. Raises KernelError."""
    from sapwood.lang.races import Launch

    slot_bytes = code.slot_bytes(math.prod(config.block), config.shared)
    launch = Launch(specialisation, config, values, slot_bytes, code.shared)
    with Arena(slot_bytes * config.group) as arena:
        try:
            sizes = (*config.grid, *config.block, *config.cluster)
            specialisation.call([*sizes, config.group, config.shared, arena, 1, launch.prepare(arena), *values])
        except BaseException as e:
            error = launch.error(e, arena)
            if error is None:
                raise
            raise error from None
        finally:
            launch.finish()


class _Code:
    """What a launch asks of loaded code."""

    def __init__(self, specialisation: Any) -> None:
        loaded, symbol = specialisation.loaded, specialisation.entry.removesuffix(".entry")
        self.name = specialisation.fn.__name__
        self.slot_bytes = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(
            loaded.address(f"{symbol}.slot")
        )
        self.shared = ctypes.c_int64.from_address(loaded.address(f"{symbol}.shared")).value


def _code(specialisation: Any) -> _Code:
    if specialisation.kernel_code is None:
        specialisation.kernel_code = _Code(specialisation)
    return specialisation.kernel_code
