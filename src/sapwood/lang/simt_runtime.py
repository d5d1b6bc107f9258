"""Launches on simt, the Python side: the scheduler's code, and memory for the blocks that run."""

from __future__ import annotations

import ctypes
import math
import mmap
import threading
from typing import Any

from sapwood.lang.launch import LaunchConfig, check_shared
from sapwood.lang.loading.current_target import kernel_target
from sapwood.lang.types import I64, Ptr
from sapwood.runtime.jit import register_provider
from sapwood.targets.base import Target


def install() -> None:
    """Register the symbol that kernels refer to; the scheduler is made on first use."""
    from sapwood.lang.loading.runtime_support import load_library

    name = "sapwood_simt_launch"
    register_provider(name, lambda: load_library("simt", _scheduler_text).address(name))


def _scheduler_text(target: Target) -> str:
    """LLVM text of library/simt.py behind C functions."""
    from sapwood.lang.ir.ssa import Var
    from sapwood.lang.library import simt as scheduler
    from sapwood.lang.loading.runtime_support import library_text

    words = Ptr(I64)
    text = library_text(target, (
        (scheduler.run_slots, (Var(words), Var(I64)), "simt_run_slots"),
        (scheduler.launch, (Var(words), Var(words)), "simt_launch"),
    ))  # fmt: skip
    attributes = target.function_attributes(None)
    return text + f"""
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


KEEP_BYTES = 64 << 20  # larger arenas go back to the system

_free = threading.local()


def _memory(nbytes: int) -> mmap.mmap:
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
        self.memory: Any = kept if kept is not None and len(kept) >= nbytes else _memory(max(nbytes, 1 << 20))

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
    nbytes = code.slot_bytes(math.prod(config.block), config.shared) * slots * config.group
    with Arena(nbytes) as arena:
        sizes = (*config.grid, *config.block, *config.cluster)
        specialisation.call([*sizes, config.group, config.shared, arena, slots, *values])


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
