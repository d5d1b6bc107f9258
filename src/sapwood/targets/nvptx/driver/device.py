"""A CUDA device: its context, its memory, what its kernels raise."""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import byref, c_int, c_size_t, c_uint64, c_void_p
from functools import cached_property
from typing import Any

from sapwood.targets.base import Target, get_target
from sapwood.targets.nvptx.driver import library as cuda
from sapwood.targets.nvptx.driver.library import FATAL, CudaError, Library, NoCuda
from sapwood.targets.nvptx.driver.streams import Event, Stream, handle_of
from sapwood.targets.nvptx.errors import BYTES, FULL, STATE
from sapwood.targets.nvptx.target import ARCHITECTURES

_PROCESSORS, _MAJOR, _MINOR, _MAX_SHARED, _POOLS = 16, 75, 76, 97, 115  # CUdevice_attribute
_RELEASE_THRESHOLD = 4  # CUmemPool_attribute
_MAPPED = 2  # CU_MEMHOSTALLOC_DEVICEMAP
_DEVICE = 2  # CUmemorytype
NAMES_KEPT = 16  # of the kernels that were launched last, for errors that come later


class DeviceMemory:
    """Memory of a device: freed, in the order of the default stream, when nothing refers to it any more."""

    def __init__(self, device: CudaDevice, address: int) -> None:
        self.device, self.address = device, address
        self.streams: set[int] = set()  # of others, whose work may still use it

    def __del__(self) -> None:
        if self.address and not self.device.closed():
            self.device.free(self.address, self.streams)


class PinnedMemory:
    """Memory of the host that the device copies from and to by itself."""

    def __init__(self, device: CudaDevice, nbytes: int) -> None:
        self.device = device
        out = c_void_p()
        with device.current():
            doing = f"taking {nbytes} bytes of page-locked memory"
            device.library.call("cuMemHostAlloc", byref(out), max(nbytes, 1), _MAPPED, doing=doing)
        self.address = out.value or 0

    def __del__(self) -> None:
        if getattr(self, "address", 0) and not self.device.closed():
            with self.device.current():
                self.device.library.cuMemFreeHost(self.address)


class CudaDevice:
    """One CUDA device, in its primary context, which it shares with PyTorch, CuPy and all that use the runtime API.

    `gpu.device("cuda:0")` gives it. Operations on memory run in the order of the default stream.
    """

    kind = "cuda"

    def __init__(self, library: Library, ordinal: int) -> None:
        self.library, self.ordinal, self.name = library, ordinal, f"cuda:{ordinal}"
        handle, context = c_int(), c_void_p()
        library.call("cuDeviceGet", byref(handle), ordinal, doing=f"opening {self.name}")
        self._device = handle.value
        library.call("cuDevicePrimaryCtxRetain", byref(context), handle, doing=f"opening {self.name}")
        self.context = context.value or 0
        self.capturing = 0  # captures of graphs that have begun and not ended
        self._later: list[tuple[int, set[int]]] = []  # memory to free when they have
        self.launched: deque[str] = deque(maxlen=NAMES_KEPT)
        self.decode: Callable[[int], None] | None = None  # raises the exception that a kernel has left
        self._pooled = bool(self.attribute(_POOLS))
        if self._pooled:
            self._keep_memory()

    # -- what it is ---------------------------------------------------------------------------------

    def attribute(self, number: int) -> int:
        """A CUdevice_attribute."""
        out = c_int()
        self.library.call("cuDeviceGetAttribute", byref(out), number, self._device, doing=f"asking {self.name}")
        return out.value

    @cached_property
    def label(self) -> str:
        """As in "NVIDIA H100 80GB HBM3"."""
        text = ctypes.create_string_buffer(256)
        self.library.call("cuDeviceGetName", text, 256, self._device, doing=f"asking {self.name}")
        return text.value.decode(errors="replace")

    @cached_property
    def capability(self) -> tuple[int, int]:
        """The compute capability."""
        return self.attribute(_MAJOR), self.attribute(_MINOR)

    @cached_property
    def architecture(self) -> str:
        """The architecture that we make code for: its own, or the newest that it runs. Raises NoCuda."""
        major, minor = self.capability
        number = 10 * major + minor
        if f"sm_{number}a" in ARCHITECTURES:
            return f"sm_{number}a"
        older = [a for a in ARCHITECTURES if a[3:].isdigit() and int(a[3:]) <= number]
        if not older:
            raise NoCuda(f"{self.name} ({self.label}) has compute capability {major}.{minor}; 7.5 is the oldest")
        return older[-1]

    @cached_property
    def target(self) -> Target:
        return get_target(f"nvptx:{self.architecture}")

    @cached_property
    def processors(self) -> int:
        """Streaming multiprocessors."""
        return self.attribute(_PROCESSORS)

    @cached_property
    def max_shared_bytes(self) -> int:
        """Shared memory that a block can have."""
        return self.attribute(_MAX_SHARED)

    @cached_property
    def driver_version(self) -> tuple[int, int]:
        """Of CUDA, that the driver was made for."""
        out = c_int()
        self.library.call("cuDriverGetVersion", byref(out), doing="asking the driver")
        return out.value // 1000, out.value % 1000 // 10

    @property
    def memory(self) -> tuple[int, int]:
        """(free, total) bytes."""
        free, total = c_size_t(), c_size_t()
        with self.current():
            self.library.call("cuMemGetInfo_v2", byref(free), byref(total), doing=f"asking {self.name}")
        return free.value, total.value

    @contextmanager
    def current(self) -> Iterator[None]:
        """Its context is the thread's in the block."""
        self.library.call("cuCtxPushCurrent_v2", self.context, doing=f"using {self.name}")
        try:
            yield
        finally:
            self.library.cuCtxPopCurrent_v2(byref(c_void_p()))

    def closed(self) -> bool:
        """Whether the process ends: handles then go with it."""
        return sys.is_finalizing()

    # -- memory -------------------------------------------------------------------------------------

    def _keep_memory(self) -> None:
        """Let the pool of the device keep what is freed: giving it back would synchronise."""
        pool, most = c_void_p(), c_uint64(2**64 - 1)
        doing = f"making the memory pool of {self.name}"
        self.library.call("cuDeviceGetDefaultMemPool", byref(pool), self._device, doing=doing)
        self.library.call("cuMemPoolSetAttribute", pool, _RELEASE_THRESHOLD, byref(most), doing=doing)
        self._pool = pool.value or 0

    def allocate(self, nbytes: int) -> DeviceMemory:
        """New memory, aligned to 256 bytes, its contents undefined. Raises OutOfDeviceMemory."""
        if not nbytes:
            return DeviceMemory(self, 0)
        if self.capturing:
            raise RuntimeError("arrays cannot be made while a graph is captured; make them before")
        out = c_uint64()
        doing = f"taking {nbytes} bytes on {self.name}"
        with self.current():
            if self._pooled:
                self.library.call("cuMemAllocAsync", byref(out), nbytes, None, doing=doing)
            else:
                self.library.call("cuMemAlloc_v2", byref(out), nbytes, doing=doing)
        return DeviceMemory(self, out.value)

    def free(self, address: int, streams: set[int]) -> None:
        """Give memory back when the default stream, and those that are named, have come here."""
        if self.capturing:
            self._later.append((address, streams))
            return
        with self.current():
            for stream in streams:
                self._default_waits_for(stream)
            if self._pooled:
                self.library.cuMemFreeAsync(address, None)
            else:
                self.library.cuMemFree_v2(address)

    def free_later(self) -> None:
        """Free what could not be freed while a graph was captured."""
        while self._later and not self.capturing:
            self.free(*self._later.pop())

    def _default_waits_for(self, stream: int) -> None:
        event = Event(self, timing=False)
        if not self.library.cuEventRecord(event.handle, stream):  # else the stream is gone, and its work with it
            self.library.cuStreamWaitEvent(None, event.handle, 0)

    def trim(self) -> None:
        """Give memory that is kept for new arrays back to the system."""
        if self._pooled:
            self.synchronize()
            with self.current():
                self.library.call("cuMemPoolTrimTo", self._pool, 0, doing=f"trimming the pool of {self.name}")

    def upload(self, address: int, host: int, nbytes: int, stream: Any = None) -> None:
        """Copy from the host. Memory that is not page-locked may be changed as soon as this returns."""
        self._copy("cuMemcpyHtoDAsync_v2", address, host, nbytes, stream, f"copying to {self.name}")

    def download(self, host: int, address: int, nbytes: int) -> None:
        """Copy to the host, and wait for it. Raises what kernels before it raised."""
        self._copy("cuMemcpyDtoHAsync_v2", host, address, nbytes, None, f"copying from {self.name}")
        self.wait("cuStreamSynchronize", 0)

    def move(self, to: int, address: int, nbytes: int, stream: Any = None) -> None:
        """Copy on the device, or from another one."""
        self._copy("cuMemcpyDtoDAsync_v2", to, address, nbytes, stream, f"copying on {self.name}")

    def _copy(self, function: str, to: int, source: int, nbytes: int, stream: Any, doing: str) -> None:
        if nbytes:
            with self.current():
                code = getattr(self.library, function)(to, source, nbytes, handle_of(stream))
            if code:
                raise self.failure(code, doing)

    def move_rows(
        self, to: int, to_step: int, address: int, step: int, width: int, count: int, stream: Any = None
    ) -> None:
        """Copy `count` rows of `width` bytes on the device; rows begin every so many bytes, at least `width`."""
        copy = cuda.Copy2D(srctype=_DEVICE, srcdevice=address, srcpitch=step, dsttype=_DEVICE, dstdevice=to,
                           dstpitch=to_step, width=width, height=count)
        with self.current():
            code = self.library.cuMemcpy2DAsync_v2(byref(copy), handle_of(stream))
        if code:
            raise self.failure(code, f"copying on {self.name}")

    def fill(self, address: int, byte: int, nbytes: int) -> None:
        if nbytes:
            with self.current():
                code = self.library.cuMemsetD8Async(address, byte, nbytes, None)
            if code:
                raise self.failure(code, f"filling memory of {self.name}")

    # -- time ---------------------------------------------------------------------------------------

    def stream(self, priority: int = 0) -> Stream:
        """A new stream; lower numbers of `priority` go first."""
        return Stream(self, priority)

    def event(self, timing: bool = True) -> Event:
        return Event(self, timing)

    def synchronize(self) -> None:
        """Wait until everything on the device is done. Raises what its kernels raised, and CudaError."""
        self.wait("cuCtxSynchronize")

    def wait(self, function: str, *arguments: int) -> None:
        """Call one of the functions that wait; raises what kernels have raised."""
        with self.current():
            code = getattr(self.library, function)(*arguments)
        if code:
            raise self.failure(code, f"waiting for {self.name}")
        self.raise_error()
        if function == "cuCtxSynchronize":
            self.launched.clear()

    # -- errors -------------------------------------------------------------------------------------

    @cached_property
    def record(self) -> tuple[int, int]:
        """(address on the host, on the device) of the record that a kernel leaves its exception in."""
        self._record = PinnedMemory(self, BYTES)
        ctypes.memset(self._record.address, 0, BYTES)
        out = c_uint64()
        with self.current():
            doing = f"mapping memory into {self.name}"
            self.library.call("cuMemHostGetDevicePointer_v2", byref(out), self._record.address, 0, doing=doing)
        return self._record.address, out.value

    def raise_error(self) -> None:
        """Raise the exception that a kernel has left, if one has."""
        if "record" not in vars(self):
            return
        address = self.record[0]
        if ctypes.c_int64.from_address(address + 8 * STATE).value == FULL:
            copy = (ctypes.c_char * BYTES).from_buffer_copy((ctypes.c_char * BYTES).from_address(address))
            ctypes.memset(address, 0, BYTES)
            assert self.decode is not None
            self.decode(ctypes.addressof(copy))

    def failure(self, code: int, doing: str) -> CudaError:
        """The exception of a CUresult; if it may be a kernel's fault, it names those that were launched last."""
        error = self.library.error(code, doing)
        if code not in FATAL:
            return error
        names = ", ".join(dict.fromkeys(reversed(self.launched))) or "none of ours"
        hint = (
            f"{error}\nkernels launched last, the newest first: {names}\nthe device cannot be used any more in this "
            "process; SAPWOOD_TARGET=simt:checked runs the program on the CPU and reports bugs of kernels by line"
        )
        return type(error)(error.code, error.name, hint)

    def __repr__(self) -> str:
        return f"<device {self.name}: {self.label}, {self.architecture}>"


def count() -> int:
    """Devices that there are; 0 without a driver."""
    try:
        library = cuda.load()
    except NoCuda:
        return 0
    out = c_int()
    return 0 if library.cuDeviceGetCount(byref(out)) else out.value
