"""The CPU as a device: programs that copy, launch and wait run on it as on a GPU, in the order that they say."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sapwood.lang.devices.base import ArrayMaking
from sapwood.lang.loading.current_target import kernel_target
from sapwood.runtime.array import Array


class _Memory:
    def __init__(self, nbytes: int) -> None:
        self.array = Array.empty(nbytes, "u8")
        self.address = self.array.data_ptr


class SimtDevice(ArrayMaking):
    """Kernels run on CPU cores; a launch has ended when it returns."""

    name = kind = "simt"
    label = "CPU"
    dlpack = (1, 0)

    def allocate(self, nbytes: int) -> Any:
        return _Memory(nbytes)

    def upload(self, address: int, host: int, nbytes: int, stream: Any = None) -> None:
        on(stream, lambda: ctypes.memmove(address, host, nbytes))

    def download(self, host: int, address: int, nbytes: int) -> None:
        ctypes.memmove(host, address, nbytes)

    move = upload

    def move_rows(
        self, to: int, to_step: int, address: int, step: int, width: int, count: int, stream: Any = None
    ) -> None:
        def move() -> None:
            for k in range(count):
                ctypes.memmove(to + k * to_step, address + k * step, width)

        on(stream, move)

    def fill(self, address: int, byte: int, nbytes: int) -> None:
        ctypes.memset(address, byte, nbytes)

    def export_to(self, stream: Any) -> tuple[int, int]:
        return self.dlpack

    def stream(self, priority: int = 0) -> SimtStream:
        return SimtStream(self)

    def event(self, timing: bool = True) -> SimtEvent:
        return SimtEvent()

    def synchronize(self) -> None:
        """Nothing is left to wait for."""

    @property
    def target(self) -> Any:
        return kernel_target()

    def launch(self, launch: Any, passed: Sequence[Any]) -> None:
        from sapwood.lang.simt_runtime import run

        def go() -> None:
            state, values = launch.fn.state, list(passed)
            run(state.specialise(state.classify(values)), launch.config, values)

        on(launch.config.stream, go)

    def __repr__(self) -> str:
        return f"<device simt: {kernel_target().name}>"


def on(stream: Any, work: Callable[[], object]) -> None:
    """Do work, or note it where a graph is captured."""
    if isinstance(stream, SimtStream) and stream.captured is not None:
        stream.captured.append(work)
    else:
        work()


class SimtEvent:
    """A time."""

    def __init__(self) -> None:
        self.record()

    def record(self, stream: Any = None) -> None:
        self.time = time.perf_counter()

    def synchronize(self) -> None:
        """It has happened."""

    def done(self) -> bool:
        return True

    def elapsed(self, later: SimtEvent) -> float:
        """Seconds from this event to a later one."""
        return later.time - self.time


class SimtStream:
    """Work in order, each piece done when the call returns; or noted, for a graph."""

    handle = 0

    def __init__(self, device: SimtDevice) -> None:
        self.device = device
        self.captured: list[Callable[[], object]] | None = None

    def synchronize(self) -> None:
        """Nothing is left to wait for."""

    def done(self) -> bool:
        return True

    def wait(self, event: SimtEvent) -> None:
        """It has happened."""

    def record(self, timing: bool = True) -> SimtEvent:
        return SimtEvent()

    @contextmanager
    def capture(self) -> Iterator[SimtGraph]:
        """What is launched and copied on this stream in the block becomes the graph's, and is not done."""
        graph = SimtGraph()
        self.captured = work = []
        try:
            yield graph
            graph.work = work
        finally:
            self.captured = None

    def __enter__(self) -> SimtStream:
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing is left to wait for."""


class SimtGraph:
    """Work that was captured."""

    def __init__(self) -> None:
        self.work: list[Callable[[], object]] | None = None

    def launch(self, stream: Any = None) -> None:
        if self.work is None:
            raise ValueError("the graph is not whole: its capture has not ended, or it failed")
        for piece in self.work:
            on(stream, piece)


@lru_cache(maxsize=1)
def simt_device() -> SimtDevice:
    return SimtDevice()
