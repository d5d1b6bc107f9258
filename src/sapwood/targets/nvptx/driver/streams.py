"""Streams, events and graphs of a device.

Streams of ours wait for the device's default stream and it for them ("Stream synchronization behavior", legacy default
stream): memory is given and taken on the default stream, so it is never taken while a kernel may use it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import byref, c_float, c_void_p
from typing import TYPE_CHECKING, Any

from sapwood.targets.nvptx.driver.library import NOT_READY

if TYPE_CHECKING:
    from sapwood.targets.nvptx.driver.device import CudaDevice

_NO_TIMING = 2  # CU_EVENT_DISABLE_TIMING
_RELAXED = 2  # CU_STREAM_CAPTURE_MODE_RELAXED


def handle_of(stream: Any) -> int:
    """The CUstream of a stream of ours, of PyTorch, of CuPy, of anything with `__cuda_stream__`; None is 0."""
    if stream is None:
        return 0
    if isinstance(stream, Stream):
        return stream.handle
    protocol: Any = getattr(stream, "__cuda_stream__", None)
    if protocol is not None:
        pair: Any = protocol() if callable(protocol) else protocol
        return int(pair[1])
    return int(stream.cuda_stream if hasattr(stream, "cuda_stream") else stream.ptr)


class Stream:
    """Work of a device that runs in order; `device.stream()` makes one."""

    def __init__(self, device: CudaDevice, priority: int = 0) -> None:
        self.device = device
        out = c_void_p()
        with device.current():
            device.library.call("cuStreamCreateWithPriority", byref(out), 0, priority, doing="making a stream")
        self.handle = out.value or 0

    def __cuda_stream__(self) -> tuple[int, int]:
        """(version of the protocol, handle)."""
        return 0, self.handle

    def synchronize(self) -> None:
        """Wait until everything in the stream is done. Raises what its kernels raised."""
        self.device.wait("cuStreamSynchronize", self.handle)

    def done(self) -> bool:
        """Whether everything in the stream is done, without waiting."""
        return _ready(self.device, "cuStreamQuery", self.handle)

    def wait(self, event: Event) -> None:
        """Let what comes later in this stream begin when the event has happened."""
        with self.device.current():
            self.device.library.call("cuStreamWaitEvent", self.handle, event.handle, 0, doing="waiting for an event")

    def record(self, timing: bool = True) -> Event:
        """An event that happens when everything that is in the stream now is done."""
        event = Event(self.device, timing)
        event.record(self)
        return event

    @contextmanager
    def capture(self) -> Iterator[Graph]:
        """Launches and copies on this stream in the block are not run but become the graph's:

            with stream.capture() as graph:
                k.launch(grid=g, block=b, stream=stream)(x, y)
            graph.launch(stream)

        Arrays must be made before, and live as long as the graph is used. Raises CudaError for what cannot be captured.
        """
        device, graph = self.device, Graph(self.device)
        with device.current():
            device.library.call("cuStreamBeginCapture_v2", self.handle, _RELAXED, doing="beginning a graph")
        device.capturing += 1
        out, whole = c_void_p(), False
        try:
            yield graph
            whole = True
        finally:
            device.capturing -= 1
            with device.current():
                code = device.library.cuStreamEndCapture(self.handle, byref(out))
                if out.value and not code and whole:
                    graph.instantiate(out)
                if out.value:
                    device.library.cuGraphDestroy(out)
            device.free_later()
            if whole and code:
                raise device.library.error(code, "ending a graph")

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.synchronize()

    def __del__(self) -> None:
        _destroy(self, "cuStreamDestroy_v2")  # its work is still done

    def __repr__(self) -> str:
        return f"<stream {self.handle:#x} of {self.device.name}>"


class Event:
    """A place in a stream; `stream.record()` makes one."""

    def __init__(self, device: CudaDevice, timing: bool = True) -> None:
        self.device = device
        out = c_void_p()
        with device.current():
            flags = 0 if timing else _NO_TIMING
            device.library.call("cuEventCreate", byref(out), flags, doing="making an event")
        self.handle = out.value or 0

    def record(self, stream: Any = None) -> None:
        """Let the event be where the stream is now (None: the default stream)."""
        with self.device.current():
            self.device.library.call("cuEventRecord", self.handle, handle_of(stream), doing="recording an event")

    def synchronize(self) -> None:
        """Wait until it has happened."""
        self.device.wait("cuEventSynchronize", self.handle)

    def done(self) -> bool:
        return _ready(self.device, "cuEventQuery", self.handle)

    def elapsed(self, later: Event) -> float:
        """Seconds from this event to a later one; both must have happened, and have been made with timing."""
        out = c_float()
        with self.device.current():
            doing = "measuring the time between events"
            self.device.library.call("cuEventElapsedTime", byref(out), self.handle, later.handle, doing=doing)
        return out.value / 1e3

    def __del__(self) -> None:
        _destroy(self, "cuEventDestroy_v2")


class Graph:
    """Launches that were captured, to be launched together; `stream.capture()` makes one."""

    def __init__(self, device: CudaDevice) -> None:
        self.device, self.handle = device, 0

    def instantiate(self, captured: ctypes.c_void_p) -> None:
        out = c_void_p()
        self.device.library.call("cuGraphInstantiateWithFlags", byref(out), captured, 0, doing="making a graph")
        self.handle = out.value or 0

    def launch(self, stream: Any = None) -> None:
        """Run what was captured."""
        if not self.handle:
            raise ValueError("the graph is not whole: its capture has not ended, or it failed")
        with self.device.current():
            self.device.library.call("cuGraphLaunch", self.handle, handle_of(stream), doing="launching a graph")

    def __del__(self) -> None:
        _destroy(self, "cuGraphExecDestroy")


def _ready(device: CudaDevice, function: str, handle: int) -> bool:
    with device.current():
        code = getattr(device.library, function)(handle)
    if code not in (0, NOT_READY):
        raise device.failure(code, "asking whether work is done")
    return code == 0


def _destroy(x: Any, function: str) -> None:
    handle = getattr(x, "handle", 0)  # 0 where making it failed
    if handle and not x.device.closed():
        with x.device.current():
            getattr(x.device.library, function)(handle)
