"""Code on a device: PTX becomes a cubin, which is kept, and a cubin a module with its functions."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_int, c_size_t, c_void_p
from dataclasses import dataclass
from typing import Any

from sapwood.targets.nvptx.driver.library import CudaError, Library

LOG_BYTES = 16 << 10
_ERROR_LOG, _ERROR_LOG_BYTES, _TARGET = 5, 6, 9  # CUjit_option
_ACCELERATED = 0x10000  # CU_COMPUTE_ACCELERATED_TARGET_BASE
_PTX = 1  # CUjitInputType
_MAX_THREADS, _SHARED, _REGISTERS, _MAX_DYNAMIC = 0, 1, 4, 8  # CUfunction_attribute
UNSUPPORTED_PTX = 222


@dataclass
class Function:
    """A kernel that is loaded: its handle, and what it takes."""

    handle: int
    max_threads: int  # of a block, with the registers that it takes
    shared_bytes: int  # static
    registers: int  # of a thread


def link(library: Library, name: str, ptx: bytes, capability: tuple[int, int]) -> bytes:
    """PTX as a cubin for a device of a compute capability. Raises CudaError with what the driver's assembler says."""
    log = ctypes.create_string_buffer(LOG_BYTES)
    number = 10 * capability[0] + capability[1]
    target = number + (_ACCELERATED if b".target sm_%da" % number in ptx else 0)
    options = (c_int * 3)(_ERROR_LOG, _ERROR_LOG_BYTES, _TARGET)
    values = (c_void_p * 3)(ctypes.addressof(log), LOG_BYTES, target)
    state, cubin, size = c_void_p(), c_void_p(), c_size_t()
    library.call("cuLinkCreate_v2", 3, options, values, byref(state), doing=f"assembling kernel '{name}'")
    try:
        text = ptx + b"\0"
        code = library.cuLinkAddData_v2(state, _PTX, text, len(text), name.encode(), 0, None, None)
        code = code or library.cuLinkComplete(state, byref(cubin), byref(size))
        if code:
            raise _refused(library, code, name, log.value.decode(errors="replace").strip())
        return ctypes.string_at(cubin.value or 0, size.value)
    finally:
        library.cuLinkDestroy(state)


def _refused(library: Library, code: int, name: str, log: str) -> CudaError:
    error = library.error(code, f"assembling kernel '{name}'")
    if code == UNSUPPORTED_PTX:
        version = c_int()
        library.cuDriverGetVersion(byref(version))
        has = f"{version.value // 1000}.{version.value % 1000 // 10}"
        log = f"the driver (CUDA {has}) is too old for this code; install a newer one\n{log}".strip()
    return type(error)(error.code, error.name, f"{error}\n{log}".strip())


def load(library: Library, symbol: str, code: bytes) -> Function:
    """Load a cubin, or PTX, into the current context; its kernel is `symbol`."""
    module, handle = c_void_p(), c_void_p()
    library.call("cuModuleLoadData", byref(module), code, doing=f"loading kernel '{symbol}'")
    try:
        doing = f"looking for kernel '{symbol}'"
        library.call("cuModuleGetFunction", byref(handle), module, symbol.encode(), doing=doing)

        def attribute(number: int) -> int:
            out = c_int()
            library.call("cuFuncGetAttribute", byref(out), number, handle, doing=doing)
            return out.value

        return Function(handle.value or 0, *(attribute(n) for n in (_MAX_THREADS, _SHARED, _REGISTERS)))
    except CudaError:
        library.cuModuleUnload(module)
        raise


def allow_shared(library: Library, function: Function, name: str, nbytes: int) -> None:
    """Let launches ask for so much dynamic shared memory: more than 48 KiB has to be said before."""
    handle: Any = function.handle
    library.call("cuFuncSetAttribute", handle, _MAX_DYNAMIC, nbytes, doing=f"asking for shared memory of '{name}'")
