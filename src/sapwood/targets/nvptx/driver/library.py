"""libcuda: the functions that we call, with the types of their parameters, and errors as exceptions."""

from __future__ import annotations

import ctypes
import sys
from ctypes import POINTER, c_char_p, c_float, c_int, c_size_t, c_ubyte, c_uint, c_uint32, c_uint64, c_void_p
from typing import Any

Handle = c_void_p
_OUT = POINTER(c_void_p)
_ADDRESS = c_uint64


class Copy2D(ctypes.Structure):
    """CUDA_MEMCPY2D."""

    _fields_ = [
        *(("src" + n, t) for n, t in (("x", c_size_t), ("y", c_size_t), ("type", c_uint), ("host", c_void_p),
                                      ("device", _ADDRESS), ("array", c_void_p), ("pitch", c_size_t))),
        *(("dst" + n, t) for n, t in (("x", c_size_t), ("y", c_size_t), ("type", c_uint), ("host", c_void_p),
                                      ("device", _ADDRESS), ("array", c_void_p), ("pitch", c_size_t))),
        ("width", c_size_t),
        ("height", c_size_t),
    ]  # fmt: skip


# name in the library -> types of the parameters; all give a CUresult. `_v2` is what cuda.h makes of the plain name.
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
    "cuGetErrorString": (c_int, POINTER(c_char_p)),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGetName": (c_void_p, c_int, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDeviceGetDefaultMemPool": (_OUT, c_int),
    "cuDevicePrimaryCtxRetain": (_OUT, c_int),
    "cuCtxPushCurrent_v2": (Handle,),
    "cuCtxPopCurrent_v2": (_OUT,),
    "cuCtxSynchronize": (),
    "cuMemGetInfo_v2": (POINTER(c_size_t), POINTER(c_size_t)),
    "cuMemPoolSetAttribute": (Handle, c_int, c_void_p),
    "cuMemPoolTrimTo": (Handle, c_size_t),
    "cuMemAlloc_v2": (POINTER(_ADDRESS), c_size_t),
    "cuMemFree_v2": (_ADDRESS,),
    "cuMemAllocAsync": (POINTER(_ADDRESS), c_size_t, Handle),
    "cuMemFreeAsync": (_ADDRESS, Handle),
    "cuMemHostAlloc": (_OUT, c_size_t, c_uint),
    "cuMemFreeHost": (c_void_p,),
    "cuMemHostGetDevicePointer_v2": (POINTER(_ADDRESS), c_void_p, c_uint),
    "cuMemcpyHtoDAsync_v2": (_ADDRESS, c_void_p, c_size_t, Handle),
    "cuMemcpyDtoHAsync_v2": (c_void_p, _ADDRESS, c_size_t, Handle),
    "cuMemcpyDtoDAsync_v2": (_ADDRESS, _ADDRESS, c_size_t, Handle),
    "cuMemcpy2DAsync_v2": (POINTER(Copy2D), Handle),
    "cuMemsetD8Async": (_ADDRESS, c_ubyte, c_size_t, Handle),
    "cuStreamCreateWithPriority": (_OUT, c_uint, c_int),
    "cuStreamDestroy_v2": (Handle,),
    "cuStreamSynchronize": (Handle,),
    "cuStreamQuery": (Handle,),
    "cuStreamWaitEvent": (Handle, Handle, c_uint),
    "cuStreamBeginCapture_v2": (Handle, c_int),
    "cuStreamEndCapture": (Handle, _OUT),
    "cuEventCreate": (_OUT, c_uint),
    "cuEventRecord": (Handle, Handle),
    "cuEventQuery": (Handle,),
    "cuEventSynchronize": (Handle,),
    "cuEventElapsedTime": (POINTER(c_float), Handle, Handle),
    "cuEventDestroy_v2": (Handle,),
    "cuLinkCreate_v2": (c_uint, POINTER(c_int), _OUT, _OUT),
    "cuLinkAddData_v2": (Handle, c_int, c_void_p, c_size_t, c_char_p, c_uint, POINTER(c_int), _OUT),
    "cuLinkComplete": (Handle, _OUT, POINTER(c_size_t)),
    "cuLinkDestroy": (Handle,),
    "cuModuleLoadData": (_OUT, c_void_p),
    "cuModuleUnload": (Handle,),
    "cuModuleGetFunction": (_OUT, Handle, c_char_p),
    "cuFuncGetAttribute": (POINTER(c_int), c_int, Handle),
    "cuFuncSetAttribute": (Handle, c_int, c_int),
    "cuLaunchKernelEx": (c_void_p, Handle, c_void_p, c_void_p),
    "cuGraphInstantiateWithFlags": (_OUT, Handle, c_uint64),
    "cuGraphLaunch": (Handle, Handle),
    "cuGraphExecDestroy": (Handle,),
    "cuGraphDestroy": (Handle,),
    "cuTensorMapEncodeTiled": (
        c_void_p, c_int, c_uint32, c_void_p, POINTER(c_uint64), POINTER(c_uint64), POINTER(c_uint32),
        POINTER(c_uint32), c_int, c_int, c_int, c_int,
    ),
}  # fmt: skip
SINCE_11_8 = {"cuTensorMapEncodeTiled", "cuLaunchKernelEx"}  # CUDA 11.8, of 2022
NOT_READY = 600
OUT_OF_MEMORY = 2
COOPERATIVE_TOO_LARGE = 720
# after these nothing works in the process any more (cuda.h: "leaves the process in an inconsistent state")
FATAL = frozenset({214, 220, 700, 702, 710, 714, 715, 716, 717, 718, 719, 721})


class CudaError(RuntimeError):
    """A function of the driver failed. `code` is its CUresult, `name` that of the constant in cuda.h."""

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(message)
        self.code, self.name = code, name

    def __reduce__(self) -> Any:
        return type(self), (self.code, self.name, str(self))


class OutOfDeviceMemory(CudaError, MemoryError):
    """The device has no memory of that size left."""


class NoCuda(RuntimeError):
    """There is no CUDA driver, or it has no device."""


class Library:
    """The functions by name: `library.cuMemGetInfo_v2(...)` gives the CUresult; `call` raises CudaError."""

    def __init__(self, loaded: Any) -> None:
        self.address: dict[str, int] = {}
        for name, parameters in FUNCTIONS.items():
            function = getattr(loaded, name, None)
            if function is None and name in SINCE_11_8:
                raise NoCuda(f"the CUDA driver is older than 11.8: it has no {name}; install a newer one")
            if function is None:
                raise NoCuda(f"{loaded} has no {name}: it is no CUDA driver that we know")
            if isinstance(loaded, ctypes.CDLL):
                function.argtypes, function.restype = parameters, c_int
            setattr(self, name, function)
            self.address[name] = ctypes.cast(function, c_void_p).value or 0

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def call(self, name: str, *arguments: Any, doing: str = "") -> None:
        """Call a function; raises CudaError. `doing` is what for, as in "copying to the device"."""
        code = getattr(self, name)(*arguments)
        if code:
            raise self.error(code, doing or name)

    def error(self, code: int, doing: str) -> CudaError:
        """The exception of a CUresult."""
        name, text = self._text("cuGetErrorName", code), self._text("cuGetErrorString", code)
        message = f"{doing}: {text} ({name or 'CUDA error'} {code})"
        cls = OutOfDeviceMemory if code == OUT_OF_MEMORY else CudaError
        return cls(code, name, message)

    def _text(self, function: str, code: int) -> str:
        out = c_char_p()
        if getattr(self, function)(code, ctypes.byref(out)) or out.value is None:
            return "" if function == "cuGetErrorName" else "an error that the driver has no text for"
        return out.value.decode(errors="replace")


_library: Library | None = None
_missing = ""


def load() -> Library:
    """The driver, initialised. Raises NoCuda, again and again with the same text."""
    global _library, _missing
    if _library is not None:
        return _library
    if _missing:
        raise NoCuda(_missing)
    try:
        _library = _start(ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"))
    except OSError as e:
        _missing = f"no CUDA driver: {e}"
    except NoCuda as e:
        _missing = str(e)
    if _library is None:
        raise NoCuda(_missing)
    return _library


def _start(loaded: Any) -> Library:
    library = Library(loaded)
    code = library.cuInit(0)
    if code:
        raise NoCuda(str(library.error(code, "starting the CUDA driver")))
    return library


def use(loaded: Any) -> None:
    """Take another library for libcuda, or with None look for it anew (tests)."""
    global _library, _missing
    _library, _missing = (None if loaded is None else _start(loaded)), ""
